#include "upload_internal.h"

#include "url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct upload {
	struct upload_way *way;
};

#define BUCKET  "s3://"
#define COMMAND "exec:"

bool upload_is_fetchable(const char *url, bool local)
{
	struct url_origin origin;
	return url_parse(url, &origin) && (origin.https || (local && url_is_loopback(&origin)));
}

bool upload_signs(const struct upload_conf *conf)
{
	return strncmp(conf->target, BUCKET, strlen(BUCKET)) == 0;
}

static bool is_command(const struct upload_conf *conf)
{
	const char *target = conf->target;
	return strncmp(target, COMMAND, strlen(COMMAND)) == 0 &&
	       target[strlen(COMMAND) + strspn(target + strlen(COMMAND), " \t")];
}

int upload_check(const struct upload_conf *conf, char error[UPLOAD_ERROR_MAX])
{
	struct upload_place place;
	if (upload_signs(conf)) {
		int r = upload_place_init(&place, conf, error);
		if (r == 0)
			upload_place_release(&place);
		return r;
	}
	if (!is_command(conf))
		snprintf(error, UPLOAD_ERROR_MAX,
			 "upload=%.200s is not right; it takes: upload=s3://BUCKET[/PREFIX] or "
			 "upload=exec:COMMAND",
			 conf->target);
	else
		return 0;
	return -EINVAL;
}

struct upload *upload_new(const struct upload_conf *conf, const struct remote *remote,
			  struct credentials *credentials)
{
	struct upload *upload = calloc(1, sizeof(*upload));
	if (upload)
		upload->way = upload_signs(conf) ? upload_s3_new(conf, remote, credentials)
						 : upload_exec_new(conf);
	if (upload && upload->way)
		return upload;
	free(upload);
	errno = ENOMEM;
	return NULL;
}

const struct publisher *upload_publisher(struct upload *upload)
{
	return &upload->way->publisher;
}

int upload_start(struct upload *upload)
{
	struct upload_way *way = upload->way;
	return way->start ? way->start(way->publisher.ctx) : 0;
}

void upload_stop(struct upload *upload)
{
	if (upload && upload->way->stop)
		upload->way->stop(upload->way->publisher.ctx);
}

void upload_free(struct upload *upload)
{
	if (!upload)
		return;
	upload_stop(upload);
	upload->way->free(upload->way->publisher.ctx);
	free(upload);
}
