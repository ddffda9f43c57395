/*
 * config - our own options, and what follows from them; the command line is config_line.c
 */
#include "config_internal.h"

#include "api.h"
#include "hook.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct option {
	const char *name;
	bool has_value;
	int (*set)(struct config *config, const char *value);
	const char *help; /* NULL: taken, and not worth a line */
};

int config_set_string(char **field, const char *value)
{
	free(*field);
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

/* A directory or file is named from where the user stands: the driver changes to the root. */
static int set_path(char **field, const char *value)
{
	char cwd[PATH_MAX], *path = NULL;
	if (!*value)
		return -EINVAL;
	if (value[0] == '/')
		return config_set_string(field, value);
	if (!getcwd(cwd, sizeof(cwd)) || asprintf(&path, "%s/%s", cwd, value) < 0)
		return -EINVAL;
	free(*field);
	*field = path;
	return 0;
}

/* Seconds with a fraction, up to a day, to milliseconds. -1: none. */
static int64_t parse_seconds(const char *text, const char **end)
{
	char *stop;
	double seconds = strtod(text, &stop);
	if (stop == text || !(seconds >= 0 && seconds <= 86400))
		return -1;
	*end = stop;
	return (int64_t)(seconds * 1000 + 0.5);
}

static int set_state_dir(struct config *config, const char *value)
{
	return set_path(&config->state_dir, value);
}

static int set_cache_dir(struct config *config, const char *value)
{
	return set_path(&config->cache_dir, value);
}

/* A number of bytes with K, M, G or T behind it, or a part of the disk in percent. */
static int set_cache_size(struct config *config, const char *value)
{
	static const char units[] = "KMGT";
	char *end;
	errno = 0;
	unsigned long long n = strtoull(value, &end, 10);
	const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	bool percent = *end == '%';
	config->cache = (struct output_conf){ .size = percent ? 0 : n << shift,
					      .percent = percent ? (unsigned)n : 0 };
	end += unit || percent;
	bool possible = percent ? n <= 100 : n <= UINT64_MAX >> shift >> 1;
	return !isdigit((unsigned char)*value) || *end || errno || !n || !possible ? -EINVAL : 0;
}

static int set_prefetch(struct config *config, const char *value)
{
	(void)value;
	config->engine.prefetch = true;
	return 0;
}

static int set_key_file(struct config *config, const char *value)
{
	return set_path(&config->key_file, value);
}

static int set_ca_file(struct config *config, const char *value)
{
	return set_path(&config->ca_file, value);
}

static int set_poll(struct config *config, const char *value)
{
	const char *end;
	int64_t min = parse_seconds(value, &end), max = min;
	if (min > 0 && (*end == ':' || *end == ','))
		max = parse_seconds(end + 1, &end);
	if (min <= 0 || max < min || *end)
		return -EINVAL;
	config->engine.sched.poll_min_ms = min;
	config->engine.sched.poll_max_ms = max;
	return 0;
}

static int set_submit(struct config *config, const char *value)
{
	config->engine.submit_sync = strcmp(value, "sync") == 0;
	return config->engine.submit_sync || strcmp(value, "queue") == 0 ? 0 : -EINVAL;
}

static int set_submit_wait(struct config *config, const char *value)
{
	const char *end;
	config->submit_wait_ms = parse_seconds(value, &end);
	return config->submit_wait_ms < 0 || *end ? -EINVAL : 0;
}

static int set_passthrough(struct config *config, const char *value)
{
	config->passthrough = strcmp(value, "auto") == 0;
	return config->passthrough || strcmp(value, "off") == 0 ? 0 : -EINVAL;
}

static int set_max_inflight(struct config *config, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);
	config->engine.max_submissions = (unsigned)n;
	return end == value || *end || n < 1 || n > 1000 ? -EINVAL : 0;
}

static int set_budget(struct config *config, const char *value)
{
	return price_budget_parse(&config->engine.budget, value);
}

static int set_prices(struct config *config, const char *value)
{
	return price_list_parse(&config->engine.prices, value);
}

static int set_retry_errors(struct config *config, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);
	config->engine.retry_errors = (unsigned)n;
	return end == value || *end || n > 100 ? -EINVAL : 0;
}

static int set_webhook_url(struct config *config, const char *value)
{
	return config_set_string(&config->webhook_url, value);
}

static int set_webhook_listen(struct config *config, const char *value)
{
	struct sockaddr_storage address;
	socklen_t len;
	return hook_address(value, &address, &len)
		       ? config_set_string(&config->webhook_listen, value)
		       : -EINVAL;
}

static int set_webhook_mode(struct config *config, const char *value)
{
	bool sync = strcmp(value, "sync") == 0;
	config->engine.callback_mode = sync ? "sync" : "terminal";
	return sync || strcmp(value, "terminal") == 0 ? 0 : -EINVAL;
}

static int set_upload(struct config *config, const char *value)
{
	return config_set_string(&config->upload_target, value);
}

static int set_s3_endpoint(struct config *config, const char *value)
{
	return config_set_string(&config->s3_endpoint, value);
}

static int set_s3_region(struct config *config, const char *value)
{
	return config_set_string(&config->s3_region, value);
}

static int set_s3_public(struct config *config, const char *value)
{
	return config_set_string(&config->s3_public, value);
}

static int set_s3_credentials(struct config *config, const char *value)
{
	return set_path(&config->s3_credentials, value);
}

static int set_log(struct config *config, const char *value)
{
	int level = log_level_parse(value);
	config->log_level = level < 0 ? LOG_LEVEL_WARN : (enum log_level)level;
	return level < 0 ? -EINVAL : 0;
}

static int set_umask(struct config *config, const char *value)
{
	char *end;
	unsigned long mask = strtoul(value, &end, 8);
	config->umask = (mode_t)mask;
	return end == value || *end || mask > 0777 ? -EINVAL : 0;
}

static int parse_id(const char *value, unsigned *id)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);
	*id = (unsigned)n;
	return end == value || *end || n >= UINT_MAX ? -EINVAL : 0;
}

static int set_uid(struct config *config, const char *value)
{
	return parse_id(value, &config->uid);
}

static int set_gid(struct config *config, const char *value)
{
	return parse_id(value, &config->gid);
}

static int set_ready_fd(struct config *config, const char *value)
{
	char *end;
	long fd = strtol(value, &end, 10);
	config->ready_fd = (int)fd;
	return end == value || *end || fd < 0 || fd > INT_MAX ? -EINVAL : 0;
}

static int set_ro(struct config *config, const char *value)
{
	(void)value;
	config->engine.read_only = true;
	return fuse_opt_add_arg(&config->fuse, "-oro") ? -ENOMEM : 0;
}

int config_set_debug(struct config *config, const char *value)
{
	(void)value;
	config->debug = true;
	config->foreground = true;
	return 0;
}

static const struct option options[] = {
	{ "key_file", true, set_key_file,
	  "FILE  the subscription key, readable by its owner only" },
	{ "state_dir", true, set_state_dir, "DIR  where the books of all jobs are kept" },
	{ "cache_dir", true, set_cache_dir, "DIR  where models are kept once they were read" },
	{ "passthrough", true, set_passthrough,
	  "auto|off  the kernel reads whole models by itself: root, Linux 6.9 (auto)" },
	{ "cache_size", true, set_cache_size,
	  "SIZE  what they may take: bytes, or with K, M, G, T or % of the disk (no bound)" },
	{ "prefetch", false, set_prefetch, "fetch a model when its job completes" },
	{ "poll", true, set_poll, "MIN[:MAX]  seconds between status requests of a job (5:10)" },
	{ "submit", true, set_submit,
	  "queue|sync  keep what the service could not take, or refuse it (queue)" },
	{ "submit_wait", true, set_submit_wait,
	  "S  a writer waits for the service's answer so long (30)" },
	{ "max_inflight", true, set_max_inflight, "N  submissions under way at once (4)" },
	{ "budget", true, set_budget,
	  "USD[/day|/month]  refuse what would pass it, before anything is sent (none)" },
	{ "prices", true, set_prices,
	  "SIZE:USD[:SIZE:USD...]  estimate by texture_size (1024:0.30:2048:0.42:4096:0.42)" },
	{ "retry_errors", true, set_retry_errors,
	  "N  submit what ended in ERROR, which is not charged, again so often (0)" },
	{ "webhook_url", true, set_webhook_url,
	  "URL  where the service reaches webhook_listen=, through a proxy with TLS (none)" },
	{ "webhook_listen", true, set_webhook_listen,
	  "ADDR:PORT  listen here for the service's callbacks (none)" },
	{ "webhook_mode", true, set_webhook_mode,
	  "terminal|sync  be called at the end of a job, or at progress too (terminal)" },
	{ "upload", true, set_upload,
	  "s3://BUCKET[/PREFIX]|exec:COMMAND  where your own images become public (none)" },
	{ "s3_endpoint", true, set_s3_endpoint,
	  "URL  another store than Amazon's: R2, MinIO... (Amazon's, in s3_region=)" },
	{ "s3_region", true, set_s3_region,
	  "NAME  the bucket's region ($AWS_REGION, $AWS_DEFAULT_REGION, us-east-1)" },
	{ "s3_public", true, set_s3_public,
	  "URL  where everybody reads the bucket (none: URLs are signed, for 7 days)" },
	{ "s3_credentials", true, set_s3_credentials,
	  "FILE  of the bucket, as ~/.aws/credentials, readable by its owner only" },
	{ "uid", true, set_uid, "N  owner of the mount's own files, new/ among them (who mounts)" },
	{ "gid", true, set_gid, "N  their group" },
	{ "umask", true, set_umask,
	  "OCTAL  permissions taken from every file (022): who may write may spend" },
	{ "log", true, set_log, "error|warn|info|debug  how much is logged (warn)" },
	{ "ca_file", true, set_ca_file, "FILE  certificates to trust instead of the system's" },
	{ "ready_fd", true, set_ready_fd,
	  "N  a newline is written to this descriptor when the mount serves" },
	{ "ro", false, set_ro, "never spend: nothing can be written" },
	{ "debug", false, config_set_debug, "trace every request of the kernel (implies -f)" },
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

int config_set_option(struct config *config, const char *name, const char *value,
		      char error[CONFIG_ERROR_MAX])
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *option = &options[i];
		if (strcmp(option->name, name) != 0)
			continue;
		if (option->has_value == (value != NULL) && option->set(config, value) == 0)
			return 0;
		snprintf(error, CONFIG_ERROR_MAX, "option %s%s%s is not right; it takes: %s%s%s",
			 name, value ? "=" : "", value ? value : "", name,
			 option->has_value ? "=" : "", option->help);
		return -EINVAL;
	}
	return -ENOENT;
}

void config_guess_option(struct guess *guess)
{
	for (size_t i = 0; i < OPTIONS; i++)
		guess_consider(guess, options[i].name);
}

/* Where things are */

static int set_home(struct config *config)
{
	/* mount(8) takes HOME away. */
	const char *home = getenv("HOME");
	const struct passwd *user = home && *home ? NULL : getpwuid(getuid());
	return config_set_string(&config->home, user ? user->pw_dir : home && *home ? home : "/");
}

/* DIR/pixal3dfs/SOURCE: jobs of different gateways are kept apart. */
static char *default_dir(const struct config *config, const char *system, const char *variable,
			 const char *below_home)
{
	const char *base = getenv(variable);
	const char *tag = config->sandbox ? "sandbox" : strstr(config->gateway, "://") + 3;
	char *dir = NULL;
	int n;
	if (getuid() == 0)
		n = asprintf(&dir, "%s/pixal3dfs/%s", system, tag);
	else if (base && base[0] == '/')
		n = asprintf(&dir, "%s/pixal3dfs/%s", base, tag);
	else
		n = asprintf(&dir, "%s/%s/pixal3dfs/%s", config->home, below_home, tag);
	return n < 0 ? NULL : dir;
}

static int set_directories(struct config *config)
{
	/* Job numbers tie a cache to its books. */
	if (!config->cache_dir && config->state_dir &&
	    asprintf(&config->cache_dir, "%s/cache", config->state_dir) < 0)
		return -ENOMEM;
	if (!config->state_dir)
		config->state_dir = default_dir(config, "/var/lib", "XDG_STATE_HOME",
						".local/state");
	if (!config->cache_dir)
		config->cache_dir = default_dir(config, "/var/cache", "XDG_CACHE_HOME", ".cache");
	return config->state_dir && config->cache_dir ? 0 : -ENOMEM;
}

static int set_source(struct config *config, char error[CONFIG_ERROR_MAX])
{
	config->sandbox = strcmp(config->source, "sandbox") == 0;
	if (config->sandbox)
		return 0;
	const char *url = strcmp(config->source, "pixal3d") == 0 ? API_PUBLIC_GATEWAY
								 : config->source;
	config->gateway = api_gateway(url, error, CONFIG_ERROR_MAX);
	return config->gateway ? 0 : -EINVAL;
}

static int check_webhook(struct config *config, char error[CONFIG_ERROR_MAX])
{
	const char *url = config->webhook_url;
	config->engine.callback_base = url;
	if (!url && !config->webhook_listen && !config->engine.callback_mode)
		return 0;
	if (!config->engine.callback_mode)
		config->engine.callback_mode = "terminal";
	if (!url || !config->webhook_listen)
		snprintf(error, CONFIG_ERROR_MAX,
			 "webhooks need both: webhook_url=, where the service calls, and "
			 "webhook_listen=, where that arrives");
	else if (!api_callback_base_allowed(config->gateway ? config->gateway : "http://127.0.0.1",
					    url))
		snprintf(error, CONFIG_ERROR_MAX,
			 "webhook_url=%.200s is not right: the service calls https:// URLs only "
			 "(http:// on loopback, if the gateway is there too), without ? and # and "
			 "a / at the end",
			 url);
	else
		return 0;
	return -EINVAL;
}

static const char *region_of_environment(void)
{
	const char *region = getenv("AWS_REGION");
	if (!region || !*region)
		region = getenv("AWS_DEFAULT_REGION");
	return region && *region ? region : NULL;
}

static int check_upload(struct config *config, char error[CONFIG_ERROR_MAX])
{
	_Static_assert(UPLOAD_ERROR_MAX <= CONFIG_ERROR_MAX, "errors are passed on");
	config->upload = (struct upload_conf){
		.target = config->upload_target,
		.endpoint = config->s3_endpoint,
		.region = config->s3_region,
		.public_url = config->s3_public,
		.local = !config->gateway ||
			 api_media_url_allowed(config->gateway, "http://127.0.0.1/"),
	};
	bool s3 = config->upload_target && upload_signs(&config->upload);
	if (!s3 && (config->s3_endpoint || config->s3_region || config->s3_public ||
		    config->s3_credentials)) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "the options s3_... are for upload=s3://BUCKET alone");
		return -EINVAL;
	}
	if (s3 && !config->s3_region)
		config->upload.region = region_of_environment();
	return config->upload_target ? upload_check(&config->upload, error) : 0;
}

int config_set_places(struct config *config, const char *mountpoint, char error[CONFIG_ERROR_MAX])
{
	int r = set_source(config, error);
	if (r)
		return r;
	if (set_path(&config->mountpoint, mountpoint) || set_home(config) ||
	    set_directories(config)) {
		snprintf(error, CONFIG_ERROR_MAX, "no memory, or no such directory");
		return -EINVAL;
	}
	r = check_webhook(config, error);
	return r ? r : check_upload(config, error);
}

void config_set_defaults(struct config *config)
{
	*config = (struct config){ .engine = { .sched = sched_policy_default(),
					       .max_submissions = 4,
					       .max_polls = 8,
					       .prices = price_list_default() },
				   .submit_wait_ms = 30000,
				   .passthrough = true,
				   .umask = 022,
				   .uid = getuid(),
				   .gid = getgid(),
				   .log_level = LOG_LEVEL_WARN,
				   .ready_fd = -1 };
}

void config_release(struct config *config)
{
	char *strings[] = { config->source,        config->mountpoint,     config->namespace,
			    config->gateway,       config->home,           config->state_dir,
			    config->cache_dir,     config->key_file,       config->ca_file,
			    config->webhook_url,   config->webhook_listen, config->upload_target,
			    config->s3_endpoint,   config->s3_region,      config->s3_public,
			    config->s3_credentials };
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		free(strings[i]);
	fuse_opt_free_args(&config->fuse);
}

char *config_help(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	fputs("usage: pixal3dfs SOURCE MOUNTPOINT [-f] [-o OPTION,...]\n"
	      "       mount -t pixal3dfs SOURCE MOUNTPOINT [-o OPTION,...]\n\n"
	      "SOURCE      pixal3d   the public service; every submission costs money\n"
	      "            sandbox   a gateway of its own on this machine: no key, no cost\n"
	      "            URL       another gateway: https://HOST[:PORT], http:// on loopback\n"
	      "-f          stay in the foreground, log to the terminal\n"
	      "-o          options, separated by commas:\n",
	      out);
	for (size_t i = 0; i < OPTIONS; i++)
		fprintf(out, "    %s%s%s\n", options[i].name, options[i].has_value ? "=" : "  ",
			options[i].help);
	fputs("    allow_other, noexec, nosuid, nodev... as for every mount\n\n"
	      "The key comes from key_file=, $PIXAZO_API_KEY, $CREDENTIALS_DIRECTORY/pixal3d-key,\n"
	      "~/.config/pixal3dfs/key or ~/.pixazo/api-key.\n"
	      "Unmount: umount MOUNTPOINT (fusermount3 -u MOUNTPOINT without root).\n",
	      out);
	return fclose(out) == 0 ? text : NULL;
}
