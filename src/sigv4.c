#include "sigv4.h"

#include "text.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define DIGEST    32
#define DIGITS    (2 * DIGEST + 1)

/* What dates a signature, and what it is good for. */
struct scope {
	char time[sizeof("20130524T000000Z")];
	char day[sizeof("20130524")];
	char *text; /* "20130524/us-east-1/s3/aws4_request"; NULL: no memory */
};

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void hexadecimal(const unsigned char digest[DIGEST], char out[DIGITS])
{
	for (size_t i = 0; i < DIGEST; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* All but unreserved characters (and what is in KEPT) as %XX. */
static char *encode(const char *text, const char *kept)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";
	char *out = malloc(3 * strlen(text) + 1), *end = out;
	for (; out && *text; text++) {
		if (strchr(unreserved, *text) || strchr(kept, *text))
			*end++ = *text;
		else
			end += sprintf(end, "%%%02X", (unsigned)(unsigned char)*text);
	}
	if (out)
		*end = '\0';
	return out;
}

char *sigv4_path(const char *text)
{
	return encode(text, "/");
}

static struct scope make_scope(const struct sigv4 *sign)
{
	struct scope scope = { .text = NULL };
	time_t now = (time_t)sign->now_s;
	struct tm tm = { .tm_year = 70 };
	gmtime_r(&now, &tm);
	strftime(scope.time, sizeof(scope.time), "%Y%m%dT%H%M%SZ", &tm);
	strftime(scope.day, sizeof(scope.day), "%Y%m%d", &tm);
	scope.text = text_format("%s/%s/s3/aws4_request", scope.day, sign->region);
	return scope;
}

static bool hmac(const void *key, size_t key_len, const char *text, unsigned char out[DIGEST])
{
	return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), out,
		    NULL) != NULL;
}

static bool signing_key(const struct sigv4 *sign, const char *day, unsigned char key[DIGEST])
{
	char *secret = text_format("AWS4%s", sign->secret);
	bool ok = secret && hmac(secret, strlen(secret), day, key) &&
		  hmac(key, DIGEST, sign->region, key) && hmac(key, DIGEST, "s3", key) &&
		  hmac(key, DIGEST, "aws4_request", key);
	wipe(secret);
	return ok;
}

/* The signature of a canonical request (heap, taken over; NULL: no memory). */
static bool sign_request(const struct sigv4 *sign, const struct scope *scope, char *canonical,
			 char out[DIGITS])
{
	unsigned char digest[DIGEST], key[DIGEST];
	char *text = NULL;
	if (canonical && scope->text &&
	    EVP_Digest(canonical, strlen(canonical), digest, NULL, EVP_sha256(), NULL)) {
		hexadecimal(digest, out);
		text = text_format(ALGORITHM "\n%s\n%s\n%s", scope->time, scope->text, out);
	}
	bool ok = text && signing_key(sign, scope->day, key) && hmac(key, DIGEST, text, digest);
	if (ok)
		hexadecimal(digest, out);
	explicit_bzero(key, sizeof(key));
	free(text);
	wipe(canonical);
	return ok;
}

/* In headers */

static char *canonical_headers(const struct sigv4 *sign, const struct scope *scope,
			       const struct sigv4_request *request, const char *names)
{
	const char *type = request->content_type;
	return text_format("%s\n%s\n%s\n"
			   "%s%s%shost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n%s%s%s\n"
			   "%s\n%s",
			   request->method, request->path, request->query,
			   type ? "content-type:" : "", type ? type : "", type ? "\n" : "",
			   request->host, request->sha256, scope->time,
			   *sign->token ? "x-amz-security-token:" : "", sign->token,
			   *sign->token ? "\n" : "", names, request->sha256);
}

char *sigv4_headers(const struct sigv4 *sign, const struct sigv4_request *request)
{
	const char *type = request->content_type;
	char names[96], signature[DIGITS], *lines = NULL;
	struct scope scope = make_scope(sign);
	snprintf(names, sizeof(names), "%shost;x-amz-content-sha256;x-amz-date%s",
		 type ? "content-type;" : "", *sign->token ? ";x-amz-security-token" : "");
	if (sign_request(sign, &scope, canonical_headers(sign, &scope, request, names), signature))
		lines = text_format(
			"x-amz-date: %s\nx-amz-content-sha256: %s\n%s%s%s%s%s%s"
			"Authorization: " ALGORITHM
			" Credential=%s/%s, SignedHeaders=%s, Signature=%s\n",
			scope.time, request->sha256, type ? "Content-Type: " : "", type ? type : "",
			type ? "\n" : "", *sign->token ? "x-amz-security-token: " : "", sign->token,
			*sign->token ? "\n" : "", sign->id, scope.text, names, signature);
	free(scope.text);
	return lines;
}

/* In a URL */

static char *presign_query(const struct sigv4 *sign, const struct scope *scope, unsigned lifetime_s)
{
	char *plain = scope->text ? text_format("%s/%s", sign->id, scope->text) : NULL;
	char *credential = plain ? encode(plain, "") : NULL, *token = encode(sign->token, "");
	char *query = NULL;
	if (credential && token)
		query = text_format("X-Amz-Algorithm=" ALGORITHM
				    "&X-Amz-Credential=%s&X-Amz-Date=%s"
				    "&X-Amz-Expires=%u%s%s&X-Amz-SignedHeaders=host",
				    credential, scope->time, lifetime_s,
				    *token ? "&X-Amz-Security-Token=" : "", token);
	free(plain);
	free(credential);
	free(token);
	return query;
}

char *sigv4_presign(const struct sigv4 *sign, const char *host, const char *path,
		    unsigned lifetime_s)
{
	char signature[DIGITS], *canonical = NULL, *signed_query = NULL;
	struct scope scope = make_scope(sign);
	char *query = presign_query(sign, &scope, lifetime_s);
	if (query)
		canonical = text_format("GET\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", path,
					query, host);
	if (sign_request(sign, &scope, canonical, signature))
		signed_query = text_format("%s&X-Amz-Signature=%s", query, signature);
	free(query);
	free(scope.text);
	return signed_query;
}
