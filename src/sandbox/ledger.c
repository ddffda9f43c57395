#include "ledger.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct totals totals;
static int file = -1;

static int64_t cents_of(const json_t *event)
{
	return llround(json_number_value(json_object_get(event, "usd")) * 100);
}

/* The ledger's own share of an old event; true when it was all. */
static bool replay_own(const json_t *event)
{
	const json_t *word = json_object_get(event, "event");
	const char *what = json_is_string(word) ? json_string_value(word) : "";

	if (!strcmp(what, "post")) {
		totals.count[C_POSTS]++;
	} else if (!strcmp(what, "charge")) {
		totals.charged += cents_of(event);
		totals.balance -= cents_of(event);
	} else if (!strcmp(what, "balance")) {
		totals.balance = cents_of(event);
	} else if (!strcmp(what, "refund")) {
		totals.refunded += cents_of(event);
		totals.balance += cents_of(event);
		return false;
	} else {
		return false;
	}
	return true;
}

static int load(const char *path, void (*replay)(const json_t *event))
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	while ((n = getline(&line, &size, f)) > 0) {
		json_t *event = json_loadb(line, (size_t)n, 0, NULL);

		/* A line cut short by a kill is no event. */
		if (json_is_object(event) && !replay_own(event))
			replay(event);
		json_decref(event);
	}
	free(line);
	fclose(f);
	return 0;
}

/* After a kill in the middle of a line the next event must start on a new one. */
static void end_last_line(void)
{
	char last = '\n';
	off_t size = lseek(file, 0, SEEK_END);

	if (size > 0 && pread(file, &last, 1, size - 1) == 1 && last != '\n' &&
	    write(file, "\n", 1) != 1)
		perror("pixal3d-sandbox: ledger");
}

int ledger_open(const char *path, int64_t balance, void (*replay)(const json_t *event))
{
	totals.balance = balance;
	if (!path)
		return 0;
	int r = load(path, replay);
	if (r < 0)
		return r;
	file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;
	end_last_line();
	return 0;
}

void ledger_close(void)
{
	if (file >= 0)
		close(file);
	file = -1;
}

void ledger_count(enum counter c, int64_t n)
{
	pthread_mutex_lock(&lock);
	totals.count[c] += n;
	pthread_mutex_unlock(&lock);
}

static char *line_of(json_t *event)
{
	char now[CLOCK_TEXT];

	if (!event)
		return NULL;
	clock_iso(clock_ms(), now);
	json_object_set_new(event, "time", json_string(now));
	char *text = json_dumps(event, JSON_COMPACT);
	json_decref(event);
	return text;
}

static void append_locked(json_t *first, json_t *second)
{
	char *a = line_of(first), *b = line_of(second), *both = NULL;
	int n = asprintf(&both, "%s%s%s%s", a ? a : "", a ? "\n" : "", b ? b : "", b ? "\n" : "");

	if (n > 0 && file >= 0 && write(file, both, (size_t)n) != n)
		perror("pixal3d-sandbox: ledger");
	if (n >= 0)
		free(both);
	free(a);
	free(b);
}

void ledger_append(json_t *first, json_t *second)
{
	pthread_mutex_lock(&lock);
	append_locked(first, second);
	pthread_mutex_unlock(&lock);
}

void ledger_post(void)
{
	pthread_mutex_lock(&lock);
	totals.count[C_POSTS]++;
	append_locked(json_pack("{s:s}", "event", "post"), NULL);
	pthread_mutex_unlock(&lock);
}

static json_t *money_event(const char *what, const char *id, int64_t cents)
{
	return json_pack("{s:s,s:s*,s:f,s:f}", "event", what, "request_id", id, "usd",
			 (double)cents / 100, "balance", (double)totals.balance / 100);
}

int ledger_charge(const char *id, int64_t cents, json_t *accept)
{
	int r = -EDQUOT;

	pthread_mutex_lock(&lock);
	if (totals.balance >= cents) {
		totals.balance -= cents;
		totals.charged += cents;
		append_locked(json_incref(accept), money_event("charge", id, cents));
		r = 0;
	}
	pthread_mutex_unlock(&lock);
	json_decref(accept);
	return r;
}

void ledger_refund(const char *id, int64_t cents)
{
	pthread_mutex_lock(&lock);
	totals.balance += cents;
	totals.refunded += cents;
	append_locked(money_event("refund", id, cents), NULL);
	pthread_mutex_unlock(&lock);
}

void ledger_set_balance(int64_t cents)
{
	pthread_mutex_lock(&lock);
	totals.balance = cents;
	append_locked(money_event("balance", NULL, cents), NULL);
	pthread_mutex_unlock(&lock);
}

void ledger_totals(struct totals *out)
{
	pthread_mutex_lock(&lock);
	*out = totals;
	pthread_mutex_unlock(&lock);
}
