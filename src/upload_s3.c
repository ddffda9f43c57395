/*
 * upload_s3 - HEAD, PUT and a URL
 *
 * One publication:
 *  - asked: HEAD. There with the same size: done. Not there, or it does not say (without the right
 *    to list a bucket the answer for what is missing is 403; a HEAD has no words): sent.
 *  - sent: PUT. Done, or the store's words.
 *  - done: a URL for seven days. That of a session dies with the session, whose end is not known
 *    here: SESSION_MS are taken for certain.
 *
 * A PUT makes an object whole or not at all, so that one which died leaves nothing behind.
 */
#include "upload_internal.h"

#include "sigv4.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SESSION_MS (3600 * 1000) /* the shortest that Amazon gives by default */

struct s3 {
	struct upload_way way;
	struct upload_place place;
	char *where;
	const struct remote *remote;
	struct credentials *credentials;
};

struct task {
	struct s3 *s3;
	char *image; /* path */
	uint64_t size;
	char sha256[65];
	char media_type[32];
	char *name; /* SHA256.EXTENSION */
	char *path; /* of the object */
	void (*done)(void *arg, const struct published *result);
	void *arg;
};

static void free_task(struct task *task)
{
	free(task->image);
	free(task->name);
	free(task->path);
	free(task);
}

static void end(struct task *task, const struct published *result)
{
	task->done(task->arg, result);
	free_task(task);
}

static void fail(struct task *task, int error, const char *why)
{
	end(task, &(struct published){ .error = error, .detail = why });
}

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

/* Whose signature: *VALUE is to be wiped. 0 or -ENOKEY. */
static int signer(const struct s3 *s3, struct credentials_value *value, struct sigv4 *sign)
{
	int r = credentials_read(s3->credentials, value);
	*sign = (struct sigv4){ .id = value->id,
				.secret = value->secret,
				.token = value->token,
				.region = s3->place.region,
				.now_s = now_s() };
	return r;
}

/* A HEAD, or a PUT of the image. 0 or -errno. */
static int ask(struct task *task, bool put,
	       void (*answered)(void *arg, const struct remote_reply *reply))
{
	const struct s3 *s3 = task->s3;
	struct credentials_value value;
	struct sigv4 sign;
	struct sigv4_request request = { .method = put ? "PUT" : "HEAD",
					 .host = s3->place.host,
					 .path = task->path,
					 .query = "",
					 .content_type = put ? task->media_type : NULL,
					 .sha256 = put ? task->sha256 : SIGV4_EMPTY };
	char *url = NULL, *headers = NULL;
	int r = signer(s3, &value, &sign);
	if (r == 0) {
		headers = sigv4_headers(&sign, &request);
		url = text_format("%s%s", s3->place.origin, task->path);
		r = headers && url ? 0 : -ENOMEM;
	}
	explicit_bzero(&value, sizeof(value));
	if (r == 0)
		r = s3->remote->upload(s3->remote->ctx,
				       &(struct remote_upload){ .url = url,
								.headers = headers,
								.path = put ? task->image : NULL,
								.size = task->size,
								.done = answered,
								.arg = task });
	if (headers)
		explicit_bzero(headers, strlen(headers));
	free(headers);
	free(url);
	return r;
}

/* Heap. *EXPIRES_MS: 0 when it does not. */
static char *make_url(const struct task *task, int64_t *expires_ms)
{
	const struct upload_place *place = &task->s3->place;
	struct credentials_value value;
	struct sigv4 sign;
	char *query = NULL, *url = NULL;
	*expires_ms = 0;
	if (place->public_base)
		return text_format("%s%s", place->public_base, task->name);
	if (signer(task->s3, &value, &sign) == 0) {
		query = sigv4_presign(&sign, place->host, task->path, SIGV4_LIFETIME_MAX);
		*expires_ms = 1000 * sign.now_s +
			      (*value.token ? SESSION_MS : INT64_C(1000) * SIGV4_LIFETIME_MAX);
	}
	explicit_bzero(&value, sizeof(value));
	if (query)
		url = text_format("%s%s?%s", place->origin, task->path, query);
	free(query);
	return url;
}

static void succeed(struct task *task, const char *how)
{
	int64_t expires_ms;
	char *url = make_url(task, &expires_ms);
	if (url)
		end(task,
		    &(struct published){ .url = url, .expires_ms = expires_ms, .detail = how });
	else
		fail(task, ENOMEM, "no memory for the URL");
	free(url);
}

static void fail_with(struct task *task, const struct remote_reply *reply)
{
	struct published result;
	char detail[UPLOAD_DETAIL_MAX];
	upload_answer_read(reply, task->s3->where, &result, detail);
	end(task, &result);
}

static void sent(void *arg, const struct remote_reply *reply)
{
	struct task *task = arg;
	if (reply->fault == REMOTE_OK && reply->http_status / 100 == 2)
		succeed(task, "uploaded");
	else
		fail_with(task, reply);
}

static void asked(void *arg, const struct remote_reply *reply)
{
	struct task *task = arg;
	bool answered = reply->fault == REMOTE_OK || reply->fault == REMOTE_REDIRECT;
	if (!answered || reply->http_status >= 500 || reply->http_status == 429) {
		fail_with(task, reply);
	} else if (reply->http_status == 200 && reply->size == (int64_t)task->size) {
		succeed(task, "there already");
	} else {
		int r = ask(task, true, sent);
		if (r)
			fail(task, -r, "the image cannot be sent");
	}
}

/* NULL: no memory. */
static struct task *new_task(struct s3 *s3, const struct publish_image *image,
			     void (*done)(void *arg, const struct published *result), void *arg)
{
	struct task *task = calloc(1, sizeof(*task));
	if (!task)
		return NULL;
	task->s3 = s3;
	task->size = image->size;
	task->done = done;
	task->arg = arg;
	snprintf(task->sha256, sizeof(task->sha256), "%s", image->sha256);
	snprintf(task->media_type, sizeof(task->media_type), "%s", image->media_type);
	task->image = strdup(image->path);
	task->name = text_format("%s.%s", image->sha256, image->extension);
	task->path = text_format("%s%s.%s", s3->place.dir, image->sha256, image->extension);
	if (task->image && task->name && task->path)
		return task;
	free_task(task);
	return NULL;
}

static int publish(void *ctx, const struct publish_image *image,
		   void (*done)(void *arg, const struct published *result), void *arg)
{
	struct task *task = new_task(ctx, image, done, arg);
	int r = task ? ask(task, false, asked) : -ENOMEM;
	if (r && task)
		free_task(task);
	return r;
}

static void free_s3(void *ctx)
{
	struct s3 *s3 = ctx;
	upload_place_release(&s3->place);
	free(s3->where);
	free(s3);
}

/* All that its URLs depend on. Heap. */
static char *name_place(const struct upload_place *place, const char *target)
{
	const char *base = place->public_base ? place->public_base : place->origin;
	return text_format("%s at %s", target, strchr(base, '/') + 2);
}

struct upload_way *upload_s3_new(const struct upload_conf *conf, const struct remote *remote,
				 struct credentials *credentials)
{
	char error[UPLOAD_ERROR_MAX];
	struct s3 *s3 = calloc(1, sizeof(*s3));
	if (!s3)
		return NULL;
	s3->remote = remote;
	s3->credentials = credentials;
	if (!upload_place_init(&s3->place, conf, error))
		s3->where = name_place(&s3->place, conf->target);
	if (!s3->where) {
		free_s3(s3);
		return NULL;
	}
	s3->way = (struct upload_way){
		.publisher = { .ctx = s3, .where = s3->where, .publish = publish },
		.free = free_s3,
	};
	return &s3->way;
}
