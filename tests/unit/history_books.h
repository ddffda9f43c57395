/*
 * history_books - what test_history.c knows of its history, and the checks after each of its steps
 *
 * A model apart from the driver: the purchases that the user asked for and what became of them at
 * the service, and the jobs that were seen. check_all() holds both against what the driver shows,
 * and that against its store.
 */
#ifndef HISTORY_BOOKS_H
#define HISTORY_BOOKS_H

#include "engine_internal.h"
#include "engine_world.h"
#include "history.h"

#include <inttypes.h>

#define JOBS_MAX 3 /* alive */

/* What the service makes of a POST. */
enum service_mind { TAKES, REFUSES, NOT_NOW };

/* One purchase, known by its image's URL. */
struct ask {
	uint64_t number; /* its job; 0: none was seen */
	unsigned attempt;
	bool refused;     /* the user was told that it will not be sent */
	unsigned on_wire; /* POSTs that the service may have taken and charged, as far as the driver
			     can know */
	unsigned errors;  /* ends in ERROR, which is not charged, that are on disk */
	enum service_mind mind;
	char id[32];                   /* given out */
	bool delivered;                /* in an answer that came whole */
	bool excused;                  /* the driver died before the disk took it */
	char token[API_TOKEN_LEN + 1]; /* of its last POST; "": none */
	bool called; /* the driver took a callback that named ID, and nobody said otherwise */
};

struct seen {
	uint64_t number;
	bool forgotten;
	char *log;    /* so far */
	char *record; /* at the beginning of the step; NULL: there was none */
	bool unsaved; /* then */
	enum job_state state;
};

static struct {
	struct history *h;
	struct ask asks[HISTORY_STEPS];
	unsigned asked;
	struct seen seen[HISTORY_STEPS];
	unsigned jobs;
	unsigned ids;
	int64_t paid;     /* for what is on the wire, and was; micro-dollars */
	uint64_t highest; /* number ever given */
	int asking;       /* index of the purchase asked for in this step; -1: none */
	struct ask *answering;
} play;

#define note(...)  tell(play.h, __VA_ARGS__)
#define wrong(...) broken(play.h, __VA_ARGS__)

/* What each purchase costs. */
#define PRICE 420000

/* Looking */

static inline char *record_of(const struct job *job)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	fprintf(out, "%s|%s|%s|%s|%s|%s|%s|%d|%u|%u", job->name ? job->name : "-",
		job->label ? job->label : "-", job_state_name(job->state),
		job->word ? job->word : "-", job->request_id ? job->request_id : "-",
		job->polling_url ? job->polling_url : "-", job->error ? job->error : "-",
		job->error_errno, job->attempts, job->failures);
	fprintf(out, "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%x|%u|%o|%d",
		job->created_ms, job->submitted_ms, job->changed_ms, job->ended_ms,
		job->retry_at_ms, job->hidden, job->uid, job->mode, job->output_unreachable);
	fprintf(out, "|%s|%s", job->token ? job->token : "-", job->claim ? job->claim : "-");
	fprintf(out, "|%s %u", job->image_url ? job->image_url : "-", job->texture_size);
	for (size_t i = 0; i < job->output_count; i++)
		fprintf(out, "|%s %s %" PRId64, job->outputs[i].url, job->outputs[i].name,
			job->outputs[i].size);
	fclose(out);
	return text;
}

static inline bool unsaved(uint64_t number)
{
	struct entry *entry = table_find(&sim.engine->table, number);

	return entry && entry->unsaved;
}

static inline struct seen *seen_of(uint64_t number)
{
	for (unsigned i = 0; i < play.jobs; i++)
		if (play.seen[i].number == number)
			return &play.seen[i];
	return NULL;
}

/* A job that is there; 0: none. */
static inline uint64_t some_job(void)
{
	uint64_t numbers[JOBS_MAX + 1];
	unsigned count = 0;

	for (unsigned i = 0; i < play.jobs && count < JOBS_MAX; i++)
		if (!play.seen[i].forgotten)
			numbers[count++] = play.seen[i].number;
	return count ? numbers[draw(play.h, count)] : 0;
}

static inline unsigned alive(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < play.jobs; i++)
		count += !play.seen[i].forgotten;
	return count;
}

/* Checking */

static inline void check_explained(const struct job *job)
{
	const char *error = job->error ? job->error : "";

	switch (job->state) {
	case JOB_UNCERTAIN:
		if (!strstr(error, "request_id") || !strstr(error, "params.json"))
			wrong("UNCERTAIN does not tell both ways out: %s", error);
		break;
	case JOB_REFUSED:
		if (!strstr(error, "othing was charged"))
			wrong("REFUSED does not say what it cost: %s", error);
		break;
	case JOB_FAILED:
	case JOB_ERROR:
	case JOB_CANCELLED:
		if (!strstr(error, "charged"))
			wrong("%s does not say what it cost: %s", job_word(job), error);
		break;
	case JOB_WAITING:
		if (job->failures && !strstr(error, "charged"))
			wrong("WAITING does not say why: %s", error);
		break;
	default: break;
	}
}

/* What a listing says of a job's texts is what reading them gives. */
static inline void check_lengths(const struct job *job)
{
	static const enum job_text kept[] = { JOB_TEXT_PARAMS, JOB_TEXT_STATUS, JOB_TEXT_LOG };

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		char *text = NULL;
		size_t len;

		if (engine_text(sim.engine, job->number, kept[i], &text, &len) == 0 &&
		    len != job->text_len[kept[i]])
			wrong("text %d of job %" PRIu64 " has %zu bytes, %u are shown", kept[i],
			      job->number, len, job->text_len[kept[i]]);
		free(text);
	}
}

static inline void check_log(struct seen *seen)
{
	char *log = NULL;
	size_t len;

	if (engine_text(sim.engine, seen->number, JOB_TEXT_LOG, &log, &len) < 0) {
		wrong("job %" PRIu64 " has no log", seen->number);
		return;
	}
	if (seen->log && strncmp(log, seen->log, strlen(seen->log)) != 0)
		wrong("the log of job %" PRIu64 " was \"%s\" and is \"%s\"", seen->number,
		      seen->log, log);
	free(seen->log);
	seen->log = log;
}

static inline void check_ask(struct ask *ask, const struct job *job)
{
	struct seen *seen = seen_of(job->number);
	bool current = job->attempts == ask->attempt;

	if (current && job->state == JOB_REFUSED)
		ask->refused = true;
	if (current && ask->called && !(job->request_id && strcmp(job->request_id, ask->id) == 0) &&
	    !(job->claim && strcmp(job->claim, ask->id) == 0))
		wrong("a callback named %s, and job %" PRIu64 " is %s without it", ask->id,
		      job->number, job_word(job));
	if (ask->called && !strstr(seen->log, ask->id))
		wrong("%s is not in the log of job %" PRIu64 ": %s", ask->id, job->number,
		      seen->log);
	if (!ask->delivered)
		return;
	if (current && !(job->request_id && strcmp(job->request_id, ask->id) == 0) &&
	    !(ask->excused && job->state == JOB_UNCERTAIN) && !(ask->excused && job->request_id))
		wrong("%s is lost: job %" PRIu64 " is %s", ask->id, job->number, job_word(job));
	if (!strstr(seen->log, ask->id) && !unsaved(job->number) && !ask->excused)
		wrong("%s is not in the log of job %" PRIu64 ": %s", ask->id, job->number,
		      seen->log);
}

static inline int check_stored(void *arg, struct job *job)
{
	const struct job *shown = engine_get(sim.engine, job->number);
	char *a = record_of(job), *b = shown ? record_of(shown) : NULL;

	if (!shown)
		wrong("job %" PRIu64 " is on disk alone", job->number);
	else if (!unsaved(job->number) && strcmp(a, b) != 0)
		wrong("job %" PRIu64 " is %s on disk, and %s shown", job->number, a, b);
	++*(unsigned *)arg;
	free(a);
	free(b);
	job_put(shown);
	job_put(job);
	return 0;
}

static inline void check_job(const struct job *job)
{
	struct seen *seen = seen_of(job->number);

	if (!seen) {
		if (job->number <= play.highest)
			wrong("number %" PRIu64 " was given again", job->number);
		play.highest = job->number;
		seen = &play.seen[play.jobs++];
		*seen = (struct seen){ .number = job->number };
	}
	if (seen->forgotten)
		wrong("job %" PRIu64 " was forgotten, and is there", job->number);
	check_explained(job);
	check_lengths(job);
	check_log(seen);
	for (unsigned i = 0; i < play.asked; i++)
		if (play.asks[i].number == job->number)
			check_ask(&play.asks[i], job);
}

static inline void check_all(void)
{
	const struct job *job;
	unsigned shown = 0, stored = 0;

	for (uint64_t number = 0; (job = engine_next(sim.engine, number)); shown++) {
		number = job->number;
		check_job(job);
		job_put(job);
	}
	store_load(sim.store, check_stored, &stored);
	if (shown != stored || shown != alive())
		wrong("%u jobs are shown, %u stored, %u known", shown, stored, alive());
}

/* What a step begins with. */
static inline void remember(void)
{
	for (unsigned i = 0; i < play.jobs; i++) {
		struct seen *seen = &play.seen[i];
		const struct job *job = engine_get(sim.engine, seen->number);

		free(seen->record);
		seen->record = job ? record_of(job) : NULL;
		seen->unsaved = unsaved(seen->number);
		seen->state = job ? job->state : JOB_STATES;
		job_put(job);
	}
	play.asking = -1;
	play.answering = NULL;
}

/* The driver died: what only its memory knew is lost. */
static inline void excuse(void)
{
	for (unsigned i = 0; i < play.asked; i++) {
		struct seen *seen = seen_of(play.asks[i].number);

		if (seen && seen->unsaved)
			play.asks[i].excused = true;
	}
	if (play.answering)
		play.answering->excused = true;
}

/* Nothing was under way for it: it comes back as it was. */
static inline void check_same_after(uint32_t states)
{
	for (unsigned i = 0; i < play.jobs; i++) {
		struct seen *seen = &play.seen[i];
		const struct job *job = engine_get(sim.engine, seen->number);
		char *record = job ? record_of(job) : NULL;

		if (seen->record && !seen->unsaved && (JOB_IN(seen->state) & states) &&
		    (!record || strcmp(record, seen->record) != 0))
			wrong("job %" PRIu64 " was %s, and is %s after the restart", seen->number,
			      seen->record, record ? record : "gone");
		free(record);
		job_put(job);
	}
}

#endif
