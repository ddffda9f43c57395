/*
 * upload_place - where in S3: URLs and what is signed of them
 *
 * Amazon wants the bucket in the host's name, other stores take it in the path. A bucket whose name
 * has dots would not match Amazon's certificate as a host's name.
 */
#include "upload_internal.h"

#include "sigv4.h"
#include "text.h"
#include "url.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the target names. */
struct target {
	char *bucket;
	const char *prefix; /* within bucket's memory; without "/" at its ends; may be "" */
};

static int refuse(char error[UPLOAD_ERROR_MAX], const char *option, const char *value,
		  const char *why)
{
	snprintf(error, UPLOAD_ERROR_MAX, "%s=%.200s is not right: %s", option, value, why);
	return -EINVAL;
}

static bool only_of(const char *text, const char *allowed, size_t min, size_t max)
{
	size_t len = strlen(text);
	return len >= min && len <= max && strspn(text, allowed) == len;
}

#define SMALL "abcdefghijklmnopqrstuvwxyz0123456789-"
#define LARGE "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Empty ones, "." and ".." are changed on the way by programs that mean well. */
static bool has_odd_parts(const char *prefix)
{
	for (size_t len; *prefix; prefix += len + (prefix[len] == '/')) {
		len = strcspn(prefix, "/");
		if (len == 0 || (len <= 2 && strspn(prefix, ".") >= len))
			return true;
	}
	return false;
}

static int read_target(const char *text, struct target *target, char error[UPLOAD_ERROR_MAX])
{
	target->bucket = strdup(strchr(text, '/') + 2);
	if (!target->bucket)
		return -ENOMEM;
	char *prefix = target->bucket + strcspn(target->bucket, "/");
	while (*prefix == '/')
		*prefix++ = '\0';
	for (size_t len = strlen(prefix); len && prefix[len - 1] == '/';)
		prefix[--len] = '\0';
	target->prefix = prefix;
	if (!only_of(target->bucket, SMALL LARGE "._", 3, 255))
		return refuse(error, "upload", text,
			      "a bucket's name is 3 to 255 of A-Z a-z 0-9 . _ -");
	if (strlen(prefix) > 800 || has_odd_parts(prefix))
		return refuse(error, "upload", text,
			      "a prefix has at most 800 bytes, and no part that is empty, . or ..");
	return 0;
}

/* Amazon's own. *BELOW becomes the path that the bucket is. */
static int find_amazon(struct upload_place *place, const char *bucket, char **below)
{
	bool in_host = only_of(bucket, SMALL, 3, 63);
	const char *country = strncmp(place->region, "cn-", 3) == 0 ? ".cn" : "";
	place->origin = text_format("https://%s%ss3.%s.amazonaws.com%s", in_host ? bucket : "",
				    in_host ? "." : "", place->region, country);
	*below = in_host ? strdup("") : text_format("/%s", bucket);
	return place->origin && *below ? 0 : -ENOMEM;
}

/* A URL without query, with "/" or without at its end; *LEN is without. */
static bool is_base(const char *url, size_t *len)
{
	*len = strlen(url);
	while (*len && url[*len - 1] == '/')
		--*len;
	return url_is_private(url) && !strpbrk(url, "?#");
}

/* A port that is the scheme's own is in no Host header, and so in no signature. */
static int find_endpoint(struct upload_place *place, const char *endpoint, const char *bucket,
			 char **below, char error[UPLOAD_ERROR_MAX])
{
	struct url_origin origin;
	size_t len;
	if (!is_base(endpoint, &len) || !url_parse(endpoint, &origin))
		return refuse(error, "s3_endpoint", endpoint,
			      "it takes https://HOST[:PORT], or http:// on loopback: pictures and "
			      "signatures do not cross a network unencrypted");
	char port[16] = "";
	if (origin.port != (origin.https ? 443 : 80))
		snprintf(port, sizeof(port), ":%ld", origin.port);
	place->origin = text_format("http%s://%.*s%s", origin.https ? "s" : "",
				    (int)origin.host_len, origin.host, port);
	for (char *p = place->origin; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	*below = text_format("%.*s/%s", (int)(endpoint + len - origin.rest), origin.rest, bucket);
	return place->origin && *below ? 0 : -ENOMEM;
}

/* "PREFIX/" as a path, or "". */
static char *encoded_prefix(const struct target *target)
{
	char *plain = text_format("%s%s", target->prefix, *target->prefix ? "/" : "");
	char *encoded = plain ? sigv4_path(plain) : NULL;
	free(plain);
	return encoded;
}

static int set_bases(struct upload_place *place, const struct upload_conf *conf,
		     const struct target *target, const char *below, char error[UPLOAD_ERROR_MAX])
{
	size_t len = 0;
	if (conf->public_url && !is_base(conf->public_url, &len))
		return refuse(error, "s3_public", conf->public_url,
			      "it takes https://HOST[/PATH]: where the service finds the bucket");
	char *prefix = encoded_prefix(target);
	if (prefix)
		place->dir = text_format("%s/%s", below, prefix);
	if (prefix && conf->public_url)
		place->public_base = text_format("%.*s/%s", (int)len, conf->public_url, prefix);
	free(prefix);
	if (!place->dir || (conf->public_url && !place->public_base))
		return -ENOMEM;
	if (!upload_is_fetchable(conf->public_url ? conf->public_url : place->origin, conf->local))
		return refuse(error, conf->public_url ? "s3_public" : "s3_endpoint",
			      conf->public_url ? conf->public_url : conf->endpoint,
			      "the service cannot fetch from this machine's loopback; say with "
			      "s3_public=https://... where it finds the bucket");
	return 0;
}

static int fill(struct upload_place *place, const struct upload_conf *conf,
		const struct target *target, char error[UPLOAD_ERROR_MAX])
{
	const char *region = conf->region ? conf->region : "us-east-1";
	char *below = NULL;
	if (!only_of(region, SMALL LARGE, 1, 63))
		return refuse(error, "s3_region", region, "it takes a name like eu-west-1 or auto");
	place->region = strdup(region);
	if (!place->region)
		return -ENOMEM;
	int r = conf->endpoint ? find_endpoint(place, conf->endpoint, target->bucket, &below, error)
			       : find_amazon(place, target->bucket, &below);
	if (r == 0) {
		place->host = strchr(place->origin, '/') + 2;
		r = set_bases(place, conf, target, below, error);
	}
	free(below);
	return r;
}

int upload_place_init(struct upload_place *place, const struct upload_conf *conf,
		      char error[UPLOAD_ERROR_MAX])
{
	struct target target;
	*place = (struct upload_place){ 0 };
	int r = read_target(conf->target, &target, error);
	if (r == 0)
		r = fill(place, conf, &target, error);
	free(target.bucket);
	if (r)
		upload_place_release(place);
	if (r == -ENOMEM)
		snprintf(error, UPLOAD_ERROR_MAX, "out of memory");
	return r;
}

void upload_place_release(struct upload_place *place)
{
	free(place->origin);
	free(place->dir);
	free(place->region);
	free(place->public_base);
	*place = (struct upload_place){ 0 };
}
