/*
 * config - what the command line asks for
 *
 * Role:    reads argv as `pixal3dfs` or as mount(8)'s helper; one table of options; nests the
 * modules' own settings. Threads: before any other thread.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include "engine.h"
#include "http.h"
#include "log.h"
#include "output.h"
#include "upload.h"

#include <fuse_opt.h>
#include <stdbool.h>

#define CONFIG_ERROR_MAX 1024

/* Exit statuses of mount(8). */
#define CONFIG_EXIT_USAGE 1
#define CONFIG_EXIT_FAIL  32

enum config_action {
	CONFIG_MOUNT,
	CONFIG_HELP,
	CONFIG_VERSION,
	CONFIG_NOTHING, /* mount -f: would be mounted */
};

struct config {
	enum config_action action;
	char *source;     /* as given */
	char *mountpoint; /* absolute */
	char *namespace;  /* file of the mount namespace to mount in; NULL: our own */
	bool sandbox;     /* SOURCE is `sandbox`: start one */
	char *gateway;    /* api_gateway(SOURCE); NULL for the sandbox */
	char *home;
	char *state_dir;
	char *cache_dir;
	char *key_file;
	char *ca_file;
	char *webhook_url;
	char *webhook_listen;
	char *upload_target; /* NULL: images cannot be uploaded */
	char *s3_endpoint;
	char *s3_region;
	char *s3_public;
	char *s3_credentials;
	struct upload_conf upload; /* of these */
	struct engine_conf engine;
	struct output_conf cache; /* but its directory and books */
	int64_t submit_wait_ms;
	bool passthrough; /* the kernel may read whole models by itself */
	mode_t umask;
	uid_t uid;
	gid_t gid;
	enum log_level log_level;
	int ready_fd; /* told when the mount serves; -1: none */
	bool foreground;
	bool verbose;          /* say what was mounted where */
	bool debug;            /* libfuse's own trace */
	struct fuse_args fuse; /* argv for libfuse: program name and mount options */
};

/* 0, or -EINVAL with ERROR for the person: what is wrong and what would be right. */
int config_parse(struct config *config, int argc, char **argv, char error[CONFIG_ERROR_MAX]);
void config_release(struct config *config);

/* The text of --help. Heap. */
char *config_help(void);

#endif
