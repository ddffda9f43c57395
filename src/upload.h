/*
 * upload - makes a person's own images public
 *
 * Role:    implements struct publisher in two ways, by what `upload=` says: into a bucket of an S3
 * store, or by a command of the user's. The service then fetches the image by the URL.
 * Threads: publish() from any; a bucket's results come on the network thread, a command's on a
 * thread of its own.
 *
 * s3://BUCKET/PREFIX: the object is PREFIX/SHA256.EXTENSION, so that the same bytes are the same
 * object: a HEAD asks whether it is there, a PUT whose signature covers the digest sends it else.
 * The URL is presigned for seven days, which is as long as such signatures last, or the one below
 * `s3_public=`.
 *
 * exec:COMMAND: /bin/sh runs it with the image on its standard input and its path as $1 (a command
 * that is one plain word gets the path as its argument); PIXAL3DFS_NAME (SHA256.EXTENSION) and
 * PIXAL3DFS_MEDIA_TYPE tell the rest. The first line that it prints is the URL, and after a blank
 * for how many seconds it is good (without: for ever). The exit status is 0, or says whether
 * another try is worth while: not with 64 to 78 of <sysexits.h> but EX_TEMPFAIL, 126 and 127.
 */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "credentials.h"
#include "publish.h"
#include "remote.h"

#include <stdbool.h>
#include <stdint.h>

#define UPLOAD_ERROR_MAX 512

/* How many commands run at once, and for how long at most. */
#define UPLOAD_COMMANDS  4
#define UPLOAD_COMMAND_S 600

struct upload_conf {
	const char *target;     /* "s3://BUCKET[/PREFIX]" or "exec:COMMAND" */
	const char *endpoint;   /* NULL: Amazon's for the region */
	const char *region;     /* NULL: us-east-1 */
	const char *public_url; /* what the bucket is below for everybody; NULL: presigned URLs */
	bool local; /* the service is on this machine, as the sandbox: http:// on loopback will do
		     */
	int64_t command_ms; /* 0: UPLOAD_COMMAND_S */
};

/* 0, or -EINVAL with ERROR for the person: which option is not right, and what it takes. */
int upload_check(const struct upload_conf *conf, char error[UPLOAD_ERROR_MAX]);
/* Does it sign, so that it needs credentials? */
bool upload_signs(const struct upload_conf *conf);

struct upload;

/* CONF was checked, and is copied; REMOTE and CREDENTIALS (NULL for a command) are borrowed. NULL
 * with errno. */
struct upload *upload_new(const struct upload_conf *conf, const struct remote *remote,
			  struct credentials *credentials);
/* Borrowed. */
const struct publisher *upload_publisher(struct upload *upload);

/* Starts the thread that runs commands, if any. 0 or -errno. */
int upload_start(struct upload *upload);
/* Kills the commands, with all that they have started in their process groups: done() of each comes
 * before this returns, with ESHUTDOWN. publish() is refused with -ESHUTDOWN from then on. What goes
 * to a bucket ends with the network. NULL is nothing. */
void upload_stop(struct upload *upload);
void upload_free(struct upload *upload); /* stops it; NULL is nothing */

#endif
