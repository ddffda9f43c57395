/*
 * settings - what the command line fixes and what the control can change while running
 *
 * Role:    one value each; requests copy at acceptance what their life depends on.
 * Threads: `config` is written before threads start and read-only afterwards.  The
 *          settings are copied in and out under a lock of their own (a leaf).
 */
#ifndef SANDBOX_SETTINGS_H
#define SANDBOX_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum state { ST_NONE, ST_QUEUED, ST_PROCESSING, ST_COMPLETED, ST_FAILED, ST_ERROR };

/* "QUEUED", ...; the empty string for ST_NONE. */
const char *state_name(enum state s);

/* ST_NONE when the word is none of the service's. */
enum state state_parse(const char *word);

/* COMPLETED, FAILED or ERROR. */
bool state_is_terminal(enum state s);

struct config {
	const char *listen;
	unsigned port, cdn_port; /* 0 before start: the kernel's choice */
	const char *ready_file;
	const char *ledger_file;
	const char *control_file;
	const char *key; /* NULL: every non-empty key is good */
	int lifeline;    /* -1: none */
	bool allow_http_webhook;
	char gateway_url[128], cdn_url[128];
};

extern struct config config;

struct settings {
	double queue_time, process_time; /* seconds */
	int64_t rate;                    /* bytes per second and response; 0 = unlimited */
	enum state outcome;              /* ST_NONE: the image URL decides */
	int64_t output_bytes;            /* exact size of outputs; 0 = natural */
	int outputs;                     /* media URLs per request */
	bool sql_times;                  /* status answers use the callback's time format */
	double webhook_cycle;            /* seconds between callbacks of mode sync */
	int generation;                  /* media URLs of older generations have expired */
	int expired_status;              /* what an expired URL answers */
	int version;                     /* content version of every output */
	int64_t version_ms;              /* when it was last bumped; 0 = never */
};

/* What the command line asked for; settings_reset() returns to it. */
void settings_start(const struct settings *s);

void settings_get(struct settings *out);
void settings_set(const struct settings *s);

/* The starting values, but generation and version stay: they never go back. */
void settings_reset(void);

/* The content of every output changes from now on. */
void settings_bump(void);

#endif
