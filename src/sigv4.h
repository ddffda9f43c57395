/*
 * sigv4 - Amazon's signature, version 4
 *
 * Role:    signs requests to S3 and what speaks its protocol: in headers, or in a URL that somebody
 * else may use for a while. Pure: time is an argument. From "Authenticating Requests (AWS Signature
 * Version 4)" of the S3 API reference. Threads: no state.
 */
#ifndef SIGV4_H
#define SIGV4_H

#include <stdint.h>

/* The longest life of a presigned URL, in seconds. */
#define SIGV4_LIFETIME_MAX (7 * 24 * 3600)

/* The digest of no bytes. */
#define SIGV4_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sigv4 {
	const char *id;
	const char *secret;
	const char *token;  /* of a session; "": none */
	const char *region; /* "us-east-1", "auto" */
	int64_t now_s;      /* Unix time: the server refuses one that is 15 minutes off */
};

struct sigv4_request {
	const char *method;
	const char *host;         /* as the Host header will have it: with a port that is not the
				     scheme's own */
	const char *path;         /* sigv4_path() */
	const char *query;        /* "a=1&b=2": encoded, sorted; "": none */
	const char *content_type; /* NULL: none */
	const char *sha256;       /* of the body: 64 hexadecimal digits */
};

/* The header lines to send with REQUEST, each with a "\n": x-amz-date, x-amz-content-sha256,
 * Content-Type, x-amz-security-token as needed, Authorization. Heap, to be wiped; NULL: no memory.
 */
char *sigv4_headers(const struct sigv4 *sign, const struct sigv4_request *request);

/* The query of a URL by which anybody may GET HOST's PATH until LIFETIME_S from now. It has the
 * token, and not the secret. Heap; NULL: no memory. */
char *sigv4_presign(const struct sigv4 *sign, const char *host, const char *path,
		    unsigned lifetime_s);

/* TEXT as S3 wants it in a path and in its signature: all but A-Z a-z 0-9 - . _ ~ and "/" as %XX.
 * Heap; NULL: no memory. */
char *sigv4_path(const char *text);

#endif
