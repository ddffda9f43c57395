/*
 * job - one generation: what is known of it, and its state machine
 *
 * Role:    the record of a job and the only place that decides how it moves between states (DESIGN
 * section 4). Pure: no I/O; time is an argument. Threads: a published job is immutable and counted:
 * job_get/job_put from any thread. To change one, copy it, apply an event to the copy, commit it to
 * the store, publish it in place of the old one (the engine does). Owns:    its strings.
 */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum job_state {
	/* ours */
	JOB_DRAFT,      /* nothing sent, nothing to be sent */
	JOB_WAITING,    /* durable, will be sent */
	JOB_SUBMITTING, /* the intent is on disk, the POST may be under way */
	JOB_UNCERTAIN,  /* the POST may have been accepted; never resent by the driver */
	JOB_REFUSED,    /* the service said no; nothing was charged */
	/* the service's */
	JOB_QUEUED,
	JOB_PROCESSING,
	JOB_OTHER, /* a word that the documentation does not know: shown as it came, polled on */
	JOB_COMPLETED,
	JOB_FAILED,
	JOB_ERROR,     /* "System error - not charged" */
	JOB_CANCELLED, /* undocumented, seen in other writings */
	JOB_STATES
};

#define JOB_IN(state) (1u << (state))
#define JOB_ANY_STATE ((1u << JOB_STATES) - 1)
#define JOB_REMOTE_STATES                                                                          \
	(JOB_IN(JOB_QUEUED) | JOB_IN(JOB_PROCESSING) | JOB_IN(JOB_OTHER) | JOB_IN(JOB_COMPLETED) | \
	 JOB_IN(JOB_FAILED) | JOB_IN(JOB_ERROR) | JOB_IN(JOB_CANCELLED))
#define JOB_POLLED_STATES (JOB_IN(JOB_QUEUED) | JOB_IN(JOB_PROCESSING) | JOB_IN(JOB_OTHER))
#define JOB_TERMINAL_STATES                                                                        \
	(JOB_IN(JOB_REFUSED) | JOB_IN(JOB_COMPLETED) | JOB_IN(JOB_FAILED) | JOB_IN(JOB_ERROR) |    \
	 JOB_IN(JOB_CANCELLED))
/* A new attempt may be made from these. */
#define JOB_RETRIABLE_STATES                                                                       \
	(JOB_IN(JOB_UNCERTAIN) | JOB_IN(JOB_REFUSED) | JOB_IN(JOB_FAILED) | JOB_IN(JOB_ERROR) |    \
	 JOB_IN(JOB_CANCELLED))

/* The texts of a job that are too large to keep in memory for each; the store keeps them. */
enum job_text {
	JOB_TEXT_PARAMS, /* canonical request (params_format): a draft's so far, then what was sent
			  */
	JOB_TEXT_ANSWER, /* raw answer to the POST, stored before it is parsed: "HTTP-STATUS\n" and
			    the body */
	JOB_TEXT_STATUS, /* the service's last status answer, verbatim */
	JOB_TEXT_LOG,    /* one line per transition, with RFC 3339 times */
	JOB_TEXTS
};

#define JOB_OUTPUTS_MAX 16

struct job_output {
	char *url;
	char *name;       /* "output.glb", "output-2.glb", ... */
	char *media_type; /* as the CDN or the service gave it; NULL: unknown */
	char *etag;       /* as remote_object has it; NULL: the CDN gave none */
	char *sha256;     /* of all its bytes, in hexadecimal; NULL: they never were all here */
	int64_t size;     /* bytes; -1 until known: the file is not there before */
	int64_t mtime_ms; /* Last-Modified, or the job's end */
	uint16_t version; /* counts the objects that were seen there since the mount; not stored */
};

struct job {
	uint64_t number; /* from 1, never reused; 0: not in the store yet */
	char *name;      /* given by mkdir or mv; NULL: job_name() makes one */
	char *label;     /* its name below by-name/; NULL: none */
	enum job_state state;
	char *word;        /* the service's own status word; NULL before it answered */
	char *request_id;  /* NULL until known */
	char *polling_url; /* as the service gave it; NULL: the documented one */
	char *token; /* a secret: what the URL ends with that the present attempt's POST asked to
			be called back at; NULL: it did not ask */
	char *claim; /* the request id that a callback with that token named, while there is no
			request_id: not believed before the service confirms it; NULL: none */
	char *error; /* for the person: what happened, whether it cost money, what to do; NULL:
			nothing to say */
	char *image_url; /* of its parameters; NULL: none, or, where there is an image, not yet */
	char *image;   /* the person's own, to be published before the job is sent: its name in the
			  spool; NULL: none */
	char *warning; /* what is unusual about what was asked for, a line each; NULL: nothing */
	char *origin;  /* the line of the batch that asked for it: no two jobs have the same; NULL:
			  none */
	int error_errno;    /* what the writer who waits for this submission gets: 0 or a positive
			       errno; a WAITING one gets 0, and this is what is wrong with the key */
	unsigned attempts;  /* submissions so far, deliberate new attempts included */
	unsigned retries;   /* attempts since the last deliberate one that the driver made by itself
			     */
	unsigned failures;  /* tries in a row of the present attempt, or polls in a row, that failed
			     */
	int64_t price;      /* of the present attempt, in micro-dollars: an estimate */
	int64_t earlier;    /* what the attempts before it have cost, as job_cost() */
	int64_t created_ms; /* wall clock, Unix epoch */
	int64_t submitted_ms; /* when the service accepted it; 0: not yet */
	int64_t changed_ms;
	int64_t ended_ms;    /* 0: not ended */
	int64_t retry_at_ms; /* WAITING: wall clock before which nothing is sent; 0: at once. ERROR:
				when the driver submits it again; 0: it does not */
	uint32_t hidden; /* files of it that were unlinked: a bit for each node kind, see node.h */
	uid_t uid;
	gid_t gid;
	mode_t mode;                  /* permission bits of its directory */
	uint32_t text_len[JOB_TEXTS]; /* bytes of its texts, kept by the store; but the answer's */
	uint32_t texture_size;        /* the one in its parameters; 0: none */
	uint32_t revision;            /* counts its changes since the mount; not stored */
	bool output_unreachable; /* COMPLETED, but the CDN would not say the size yet: asked again
				    later */
	int refs;                /* atomic; job_get and job_put only */
	size_t output_count;
	struct job_output *outputs; /* grown by job_add_output() */
};

/* A zeroed DRAFT with one reference, or NULL. */
struct job *job_new(void);
/* A deep copy with one reference, or NULL. */
struct job *job_copy(const struct job *job);
const struct job *job_get(const struct job *job);
void job_put(const struct job *job); /* NULL is nothing */

/* Replaces *FIELD, a string of a job, by a copy of VALUE (NULL: none). 0 or -ENOMEM. */
int job_set(char **field, const char *value);

/* One more output, of unknown size, at the end; NULL: no memory. */
struct job_output *job_add_output(struct job *job);
/* Takes all outputs away from an unpublished job. */
void job_clear_outputs(struct job *job);

/* The name of its directory: given name, else request id, else "job-NUMBER". Written to BUF, which
 * is returned. */
#define JOB_NAME_MAX 256
const char *job_name(const struct job *job, char buf[JOB_NAME_MAX]);

/* What `status` shows: the service's own word where it spoke, else ours ("WAITING"). Borrowed. */
const char *job_word(const struct job *job);

/* DRAFT, WAITING...: the name of a state. */
const char *job_state_name(enum job_state state);
/* The state for a status word of the service, in any letter case; JOB_OTHER for a word that is not
 * documented. */
enum job_state job_state_of_word(const char *word);

/* What the present attempt has cost, or will when it is sent, in micro-dollars, an estimate:
 * nothing where the service says that nothing is charged; the price while that is not known. */
int64_t job_cost(const struct job *job);

static inline bool job_is(const struct job *job, uint32_t states)
{
	return (JOB_IN(job->state) & states) != 0;
}

/* The service is to be asked about it: how it is doing, how large its output is, or whether it
 * knows what a callback has named. */
static inline bool job_is_polled(const struct job *job)
{
	return job_is(job, JOB_POLLED_STATES) || job->output_unreachable ||
	       (job->claim && job->state != JOB_SUBMITTING);
}

/* It ended in ERROR, which is not charged, and the driver will submit it again. */
static inline bool job_will_retry(const struct job *job)
{
	return job->state == JOB_ERROR && job->retry_at_ms != 0;
}

/* Its image is kept: it may have to be sent again. */
static inline bool job_needs_image(const struct job *job)
{
	return job->image && job->state != JOB_COMPLETED;
}

enum job_event_kind {
	JOB_EVENT_SUBMIT,   /* the user asks for it, parameters are complete */
	JOB_EVENT_SENDING,  /* connected; the first byte follows once this is committed */
	JOB_EVENT_NOT_SENT, /* provably not accepted: DNS, connect, TLS, 429... */
	JOB_EVENT_ACCEPTED, /* the service gave a request id */
	JOB_EVENT_REFUSED,  /* 400, 401, 402, 403...: nothing was charged */
	JOB_EVENT_LOST,     /* it was sent, and no usable answer came */
	JOB_EVENT_RESTART,  /* loaded from the store: what was under way is not any more */
	JOB_EVENT_ATTACH,   /* the user says that REQUEST_ID is this job's */
	JOB_EVENT_STATUS,   /* the service's answer to a poll; outputs filled in by the caller
			       beforehand */
	JOB_EVENT_UNKNOWN,  /* the service does not know the request id, or what was claimed */
	JOB_EVENT_CALLED,   /* a callback with the attempt's token names REQUEST_ID */
	JOB_EVENTS
};

struct job_event {
	enum job_event_kind kind;
	int64_t now_ms;          /* wall clock */
	const char *request_id;  /* ACCEPTED, ATTACH, CALLED */
	const char *token;       /* SENDING: of the POST that follows; NULL: none */
	const char *polling_url; /* ACCEPTED; may be NULL */
	const char *word;        /* ACCEPTED, STATUS: the service's status word */
	const char *reason;      /* for the error file, a sentence or two; NULL: nothing to say. Of
				    SUBMIT: what is unusual; of one by the driver, only for the log */
	int error;           /* positive errno for the waiting writer: NOT_SENT, REFUSED, LOST */
	int64_t retry_at_ms; /* NOT_SENT: wall clock of the next try. STATUS: the same, should it
				have ended in ERROR; 0: none */
	int64_t price;       /* SUBMIT: micro-dollars */
	bool again;          /* SUBMIT: by the driver, not the user; only where job_will_retry() */
};

enum job_action {
	JOB_DO_NOTHING = 0,
	JOB_DO_SEND = 1, /* submit it: at once, or at retry_at_ms */
	JOB_DO_POLL = 2, /* ask for its status, in a while */
	JOB_DO_STOP = 4, /* no timer any more */
};

/* Applies EVENT to JOB. Gives a mask of enum job_action, or -errno and leaves JOB as it was: -EROFS
 * (already submitted), -EALREADY (under way), -EBUSY (another claim is looked into), -EINVAL (an
 * event that makes no sense in this state), -ENOMEM. A repetition of what is known already gives
 * JOB_DO_NOTHING or the same action again: every event may arrive twice, except SUBMIT and SENDING,
 * which spend and are then -EALREADY. */
int job_apply(struct job *job, const struct job_event *event);

/* The log's line for what an event did, without time and newline: "QUEUED -> PROCESSING", "WAITING:
 * reason". Heap. */
char *job_describe(const struct job *before, const struct job *after,
		   const struct job_event *event);

/* RFC 3339 in UTC with milliseconds, "2026-05-22T13:17:32.110Z". Gives BUF. */
#define JOB_TIME_MAX 32
const char *job_time(int64_t wall_ms, char buf[JOB_TIME_MAX]);

#endif
