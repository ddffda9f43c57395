/*
 * main - wires the modules together, and takes them apart again
 *
 * The order matters: everything that can fail does so before the parent process is told that the
 * mount serves; threads start after the fork; at the end the waiting readers are answered before
 * the unmount, and the network gets a grace period after it.
 */
#include "config.h"
#include "credentials.h"
#include "engine.h"
#include "fs.h"
#include "hook.h"
#include "http.h"
#include "key.h"
#include "log.h"
#include "mountpoint.h"
#include "notify.h"
#include "output.h"
#include "process.h"
#include "service.h"
#include "spawn.h"
#include "spool.h"
#include "store.h"
#include "touch.h"
#include "upload.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 5000 /* for submissions that are on the wire when the mount ends */

struct driver {
	struct config config;
	int parent; /* pipe to the process that waits for us to serve; -1: none */
	struct spawn sandbox;
	struct key *key;
	struct credentials *credentials;
	struct upload *upload;
	struct store *store;
	struct spool *spool;
	struct http *http;
	struct world world;
	_Atomic uint64_t random;
	struct fs *fs;
	struct engine_observer observer;
	struct engine *engine;
	struct output_cache *cache;
	struct touch *touch;
	struct notify *notify;
	struct hook *hook;
	struct fuse_session *session;
	bool handlers;
	bool mounted;
	bool network;
};

/* Time and chance */

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t wall_ms(void *ctx)
{
	(void)ctx;
	return clock_ms(CLOCK_REALTIME);
}

static int64_t mono_ms(void *ctx)
{
	(void)ctx;
	return clock_ms(
		CLOCK_BOOTTIME); /* a suspended laptop's retries and polls are due when it wakes */
}

static int secret(void *ctx, void *out, size_t len)
{
	(void)ctx;
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : -EIO;
}

/* splitmix64 over a counter that getrandom() seeded: for seeds of models and jitter, where no
 * secret hangs on it. */
static uint64_t random_number(void *ctx)
{
	_Atomic uint64_t *counter = ctx;
	uint64_t z = atomic_fetch_add(counter, 0x9e3779b97f4a7c15u);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* What the modules ask of each other */

static int64_t tick(void *arg)
{
	struct driver *driver = arg;
	int64_t engine = engine_tick(driver->engine), fs = fs_tick(driver->fs);
	return engine < fs ? engine : fs;
}

static void wake(void *ctx)
{
	const struct remote *remote = http_remote(((struct driver *)ctx)->http);
	remote->wake(remote->ctx);
}

static size_t stats(void *ctx, struct node_stat rows[NODE_STATS_MAX])
{
	struct driver *driver = ctx;
	struct http_counts http;
	struct output_counts output;
	uint64_t taken = 0, refused = 0;
	http_counts(driver->http, &http);
	output_counts(driver->cache, &output);
	if (driver->hook)
		hook_counts(driver->hook, &taken, &refused);
	const struct node_stat all[] = {
		{ "submissions", http.submissions, "requests to buy" },
		{ "polls", http.polls, "questions how a job is doing" },
		{ "heads", http.heads,
		  "questions how large a model is, or whether an image is there" },
		{ "fetches", http.fetches, "downloads of a model, or of a part" },
		{ "uploads", http.uploads, "of images into a bucket (upload=s3://)" },
		{ "bytes", http.bytes, "that came from the network" },
		{ "reads", output.reads, "of models; whole ones the kernel may read by itself" },
		{ "waits", output.waits, "of them for the network, the others were on disk" },
		{ "callbacks", taken, "of the service (webhook_url=)" },
		{ "refused", refused, "calls that were no such callback" },
	};
	_Static_assert(sizeof(all) / sizeof(all[0]) <= NODE_STATS_MAX, "room for all");
	memcpy(rows, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

static bool callback_expected(void *ctx, uint64_t number, const char *token)
{
	return engine_callback_expected(((struct driver *)ctx)->engine, number, token);
}

static int called_back(void *ctx, uint64_t number, const char *token, const char *request_id)
{
	return engine_callback(((struct driver *)ctx)->engine, number, token, request_id);
}

static void serving(void *ctx)
{
	struct driver *driver = ctx;
	if (driver->config.ready_fd >= 0) {
		if (write(driver->config.ready_fd, "\n", 1) != 1)
			log_warn("ready_fd: %s", strerror(errno));
		close(driver->config.ready_fd);
	}
	service_notify("READY=1\nSTATUS=%s on %s", driver->config.source,
		       driver->config.mountpoint);
	if (driver->parent < 0)
		return;
	log_setup(driver->config.log_level, true);
	if (process_serving(driver->parent))
		log_warn("nobody waits for the mount to serve");
}

/* Starting */

static int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *fmt, ...)
{
	va_list args;
	fputs("pixal3dfs: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}

static int make_dirs(char *path)
{
	int r = process_make_dirs(path);
	return r ? fail("cannot make %s: %s", path, strerror(-r)) : 0;
}

static int prepare_mountpoint(struct config *config)
{
	char error[MOUNTPOINT_ERROR_MAX];
	int r = config->namespace ? process_enter_namespace(config->namespace) : 0;
	if (r)
		return fail("%s: %s", config->namespace, strerror(-r));
	return mountpoint_prepare(&config->mountpoint, error) ? fail("%s", error) : 0;
}

static int find_key(struct driver *driver)
{
	char error[KEY_ERROR_MAX];
	if (driver->config.sandbox) {
		key_clear_environment(); /* the gateway is our child */
		driver->key = key_fixed("sandbox");
		return driver->key ? 0 : fail("no memory");
	}
	int r = key_find(driver->config.key_file, driver->config.home, &driver->key, error);
	if (r == -ENOENT && !driver->config.key_file) {
		fprintf(stderr, "pixal3dfs: warning: %s\n", error);
		return 0;
	}
	return r ? fail("%s", error) : 0;
}

static int find_credentials(struct driver *driver)
{
	const struct config *config = &driver->config;
	char error[CREDENTIALS_ERROR_MAX];
	if (!config->upload.target || !upload_signs(&config->upload)) {
		credentials_clear_environment(); /* a command of upload=exec: has its own */
		return 0;
	}
	int r = credentials_find(config->s3_credentials, config->home, &driver->credentials, error);
	if (r == -ENOENT && !config->s3_credentials) {
		fprintf(stderr, "pixal3dfs: warning: %s\n", error);
		return 0;
	}
	return r ? fail("%s", error) : 0;
}

/* Who has the books was unmounted already, and is in its grace period. */
static bool is_leaving(const char *state_dir)
{
	char *mountpoint = store_mountpoint(state_dir);
	bool leaving = mountpoint && !mountpoint_is_mounted(mountpoint);
	free(mountpoint);
	return leaving;
}

static int wait_for_store(struct driver *driver)
{
	const struct config *config = &driver->config;
	const struct timespec pause = { .tv_nsec = 20000000 };
	char error[STORE_ERROR_MAX];
	int r = store_open(config->state_dir, config->mountpoint, &driver->store, error);
	int64_t end = mono_ms(NULL) + 2 * GRACE_MS;
	while (r == -EBUSY && is_leaving(config->state_dir) && mono_ms(NULL) < end) {
		nanosleep(&pause, NULL);
		r = store_open(config->state_dir, config->mountpoint, &driver->store, error);
	}
	return r ? fail("%s", error) : 0;
}

/* Before there is anything that it should not have: the key, locks, the mount. */
static int start_touch(struct driver *driver)
{
	driver->touch = touch_start(driver->config.mountpoint);
	return driver->touch ? 0 : fail("cannot start a process: %s", strerror(errno));
}

static int open_store(struct driver *driver)
{
	const struct config *config = &driver->config;
	char error[STORE_ERROR_MAX];
	if (wait_for_store(driver))
		return -1;
	if (store_belong(driver->store, config->sandbox ? config->source : config->gateway, error))
		return fail("%s: %s", config->state_dir, error);
	return 0;
}

static int start_sandbox(struct driver *driver)
{
	char error[256];
	if (!driver->config.sandbox)
		return 0;
	if (spawn_sandbox(&driver->sandbox, driver->config.state_dir, error, sizeof(error)))
		return fail("%s", error);
	driver->config.gateway = strdup(driver->sandbox.gateway);
	return driver->config.gateway ? 0 : fail("no memory");
}

static int make_network(struct driver *driver)
{
	struct http_conf conf = http_conf_default();
	conf.gateway = driver->config.gateway;
	conf.ca_file = driver->config.ca_file;
	conf.key = driver->key;
	driver->http = http_new(&conf);
	return driver->http ? 0 : fail("cannot set up the network: %s", strerror(errno));
}

static int make_upload(struct driver *driver)
{
	const struct upload_conf *conf = &driver->config.upload;
	if (!conf->target)
		return 0;
	driver->upload = upload_new(conf, http_remote(driver->http), driver->credentials);
	return driver->upload ? 0 : fail("no memory");
}

static int make_world(struct driver *driver)
{
	uint64_t seed;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return fail("no randomness: %s", strerror(errno));
	driver->random = seed;
	driver->world = (struct world){ .ctx = &driver->random,
					.wall_ms = wall_ms,
					.mono_ms = mono_ms,
					.random = random_number,
					.secret = secret };
	return 0;
}

static int make_cache(struct driver *driver)
{
	struct output_conf *conf = &driver->config.cache;
	struct output_events events = engine_output_events(driver->engine);
	char books[STORE_NAME_MAX];
	int r = store_name(driver->store, books);
	if (r)
		return fail("cannot name the books: %s", strerror(-r));
	conf->dir = driver->config.cache_dir;
	conf->books = books;
	driver->cache = output_cache_new(conf, http_remote(driver->http), &events);
	conf->books = NULL;
	if (!driver->cache && errno == EBUSY)
		return fail("the cache in %s is in use by another mount", conf->dir);
	return driver->cache ? 0 : fail("the cache in %s: %s", conf->dir, strerror(errno));
}

/* Always: an earlier mount may have left images that its jobs wait for. */
static int open_spool(struct driver *driver)
{
	char *dir;
	if (asprintf(&dir, "%s/images", driver->config.state_dir) < 0)
		return fail("no memory");
	int r = spool_open(dir, &driver->spool);
	if (r)
		fail("cannot use %s: %s", dir, strerror(-r));
	free(dir);
	return r;
}

static int make_engine(struct driver *driver)
{
	struct config *config = &driver->config;
	struct fs_conf fs = { .source = config->source,
			      .mountpoint = config->mountpoint,
			      .uid = config->uid,
			      .gid = config->gid,
			      .umask = config->umask,
			      .passthrough = config->passthrough,
			      .submit_wait_ms = config->submit_wait_ms,
			      .spool = driver->upload ? driver->spool : NULL,
			      .world = driver->world,
			      .wake = wake,
			      .serving = serving,
			      .stats = stats,
			      .ctx = driver };
	driver->fs = fs_new(&fs);
	if (!driver->fs)
		return fail("no memory");
	driver->observer = (struct engine_observer){ .ctx = driver->fs, .changed = fs_job_changed };
	config->engine.gateway = config->gateway;
	driver->engine = engine_new(&config->engine, &driver->world, driver->store,
				    http_remote(driver->http), &driver->observer);
	if (!driver->engine)
		return fail("no memory");
	if (make_cache(driver))
		return -1;
	engine_set_cache(driver->engine, driver->cache);
	if (driver->upload)
		engine_set_publisher(driver->engine, upload_publisher(driver->upload));
	engine_set_spool(driver->engine, driver->spool);
	int r = engine_load(driver->engine);
	if (r == 0)
		r = spool_sweep(driver->spool);
	if (r == -EUCLEAN)
		return fail("the books in %s are damaged; restore them from a copy",
			    config->state_dir);
	return r ? fail("cannot read the books in %s: %s", config->state_dir, strerror(-r)) : 0;
}

static int make_hook(struct driver *driver)
{
	struct hook_events events = { .ctx = driver,
				      .expected = callback_expected,
				      .called = called_back };
	char error[HOOK_ERROR_MAX];
	if (!driver->config.webhook_listen)
		return 0;
	return hook_new(driver->config.webhook_listen, &events, &driver->hook, error)
		       ? fail("%s", error)
		       : 0;
}

static int mount_session(struct driver *driver)
{
	struct config *config = &driver->config;
	char *option = NULL;
	if (asprintf(&option, "-ofsname=%s,subtype=pixal3dfs,default_permissions", config->source) <
		    0 ||
	    fuse_opt_add_arg(&config->fuse, option) ||
	    (config->debug && fuse_opt_add_arg(&config->fuse, "-d")))
		return fail("no memory");
	free(option);
	driver->session = fuse_session_new(&config->fuse, fs_operations(),
					   sizeof(struct fuse_lowlevel_ops), driver->fs);
	if (!driver->session)
		return fail("libfuse does not take these options");
	if (fuse_set_signal_handlers(driver->session))
		return fail("cannot handle signals");
	driver->handlers = true;
	if (fuse_session_mount(driver->session, config->mountpoint))
		return fail("cannot mount on %s", config->mountpoint);
	driver->mounted = true;
	if (fs_mounted(driver->fs, driver->session))
		return fail("no memory");
	return 0;
}

/* From here on there are threads. */
static int start_threads(struct driver *driver)
{
	driver->notify = notify_new(driver->session, driver->touch);
	if (!driver->notify)
		return fail("cannot start a thread: %s", strerror(errno));
	fs_attach(driver->fs, driver->engine, driver->cache, driver->notify, driver->touch);
	output_sweep(driver->cache);
	int r = driver->upload ? upload_start(driver->upload) : 0;
	if (r == 0)
		r = http_start(driver->http, tick, driver);
	driver->network = r == 0;
	if (r == 0 && driver->hook)
		r = hook_start(driver->hook);
	return r ? fail("cannot start a thread: %s", strerror(-r)) : 0;
}

static int serve(struct driver *driver)
{
	struct fuse_loop_config *loop = fuse_loop_cfg_create();
	if (!loop)
		return fail("no memory");
	int r = fuse_session_loop_mt(driver->session, loop);
	fuse_loop_cfg_destroy(loop);
	/* A forced unmount, or a lazy one that meets a read of the device: an end like any other.
	 */
	if (r == -ECONNABORTED)
		return 0;
	return r < 0 ? fail("serving ended: %s", strerror(-r)) : 0;
}

static void end(struct driver *driver)
{
	service_notify("STOPPING=1");
	hook_free(driver->hook);
	if (driver->network)
		fs_stop(driver->fs);
	notify_stop(driver->notify);
	if (driver->handlers)
		fuse_remove_signal_handlers(driver->session);
	signal(SIGTERM, SIG_IGN); /* at a shutdown it comes again: not into the grace period */
	if (driver->mounted)
		fuse_session_unmount(driver->session);
	upload_stop(driver->upload);
	if (driver->network)
		http_stop(driver->http, GRACE_MS);
	output_stop(driver->cache);
	notify_free(driver->notify);
	fs_free(driver->fs);
	output_cache_free(driver->cache);
	engine_free(driver->engine);
	upload_free(driver->upload);
	http_free(driver->http);
	store_close(driver->store);
	spool_close(driver->spool);
	if (driver->session)
		fuse_session_destroy(driver->session);
	touch_end(driver->touch);
	key_free(driver->key);
	credentials_free(driver->credentials);
	spawn_end(&driver->sandbox);
}

static int run(struct driver *driver)
{
	struct config *config = &driver->config;
	int r = prepare_mountpoint(config);
	if (!r)
		r = start_touch(driver);
	if (!r)
		r = find_key(driver);
	if (!r)
		r = find_credentials(driver);
	if (!r)
		r = make_dirs(config->state_dir);
	if (!r)
		r = make_dirs(config->cache_dir);
	if (!r)
		r = open_store(driver);
	if (!r)
		r = start_sandbox(driver);
	if (!r)
		r = make_network(driver);
	if (!r)
		r = make_upload(driver);
	if (!r)
		r = make_world(driver);
	if (!r)
		r = open_spool(driver);
	if (!r)
		r = make_engine(driver);
	if (!r)
		r = make_hook(driver);
	if (!r)
		r = mount_session(driver);
	if (!r)
		r = start_threads(driver);
	if (!r)
		r = serve(driver);
	end(driver);
	return r ? CONFIG_EXIT_FAIL : 0;
}

static int tell_mounted(const struct config *config)
{
	if (config->verbose)
		printf("pixal3dfs: %s mounted on %s, books in %s\n", config->source,
		       config->mountpoint, config->state_dir);
	return 0;
}

static int daemonize(struct driver *driver)
{
	int status;
	int r = process_fork(&driver->parent, &status);
	if (r == 0)
		return run(driver);
	if (r < 0)
		fail("%s", strerror(-r));
	if (r < 0 || status < 0)
		return CONFIG_EXIT_FAIL;
	return status ? status : tell_mounted(&driver->config);
}

static int print_help(void)
{
	char *text = config_help();
	if (text)
		fputs(text, stdout);
	free(text);
	return 0;
}

int main(int argc, char **argv)
{
	struct driver driver = { .parent = -1 };
	char error[CONFIG_ERROR_MAX] = "";
	process_guard_memory();
	process_tune_memory();
	int r = config_parse(&driver.config, argc, argv, error);
	if (r) {
		fail("%s", error);
		r = CONFIG_EXIT_USAGE;
	} else if (driver.config.action == CONFIG_HELP) {
		r = print_help();
	} else if (driver.config.action == CONFIG_VERSION) {
		r = printf("pixal3dfs %s\n", VERSION) < 0;
	} else if (driver.config.action == CONFIG_MOUNT) {
		log_setup(driver.config.log_level, false);
		r = driver.config.foreground ? run(&driver) : daemonize(&driver);
	}
	config_release(&driver.config);
	return r;
}
