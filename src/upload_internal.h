/*
 * upload_internal - between upload's parts
 *
 * upload.c         the two ways, and which one it is
 * upload_place.c   where in S3: URLs and what is signed of them
 * upload_s3.c      HEAD, PUT and a URL
 * upload_answer.c  what S3 says, in words
 * upload_exec.c    commands that publish: which one runs, and what it has said
 * upload_command.c the processes of a command
 */
#ifndef UPLOAD_INTERNAL_H
#define UPLOAD_INTERNAL_H

#include "upload.h"

#include <stddef.h>
#include <sys/types.h>

#define UPLOAD_DETAIL_MAX 768

/* One of the two ways. */
struct upload_way {
	struct publisher publisher;
	int (*start)(void *ctx);
	void (*stop)(void *ctx);
	void (*free)(void *ctx);
};

/* upload.c */

/* Can the service fetch from URL, by its text: https, or http on loopback where it is LOCAL? */
bool upload_is_fetchable(const char *url, bool local);

/* upload_place.c */

struct upload_place {
	char *origin;     /* "https://BUCKET.s3.eu-west-1.amazonaws.com" */
	const char *host; /* of it, as the Host header has it */
	char *dir;        /* what object names are below, as a path: "/PREFIX/", "/BUCKET/" */
	char *region;
	char *public_base; /* ends with a "/"; NULL: none */
};

/* 0; -EINVAL with ERROR; -ENOMEM. */
int upload_place_init(struct upload_place *place, const struct upload_conf *conf,
		      char error[UPLOAD_ERROR_MAX]);
void upload_place_release(struct upload_place *place);

/* upload_answer.c */

/* What came of a request to WHERE that did not give what it should: fills in RESULT, with words in
 * DETAIL. Pure. */
void upload_answer_read(const struct remote_reply *reply, const char *where,
			struct published *result, char detail[UPLOAD_DETAIL_MAX]);
/* The last bytes of what a program says as one line of visible ASCII, in place. */
void upload_answer_clean(char *text);

/* upload_command.c: for one thread. */

#define UPLOAD_URL_MAX           8192 /* params_check_url()'s */
#define UPLOAD_OUTPUT_MAX        (UPLOAD_URL_MAX + 64)
#define UPLOAD_WORDS_MAX         300
#define UPLOAD_COMMAND_VARIABLES 2

/* A command that runs. The strings are ended when it has ended. */
struct upload_command {
	pid_t pid;
	int process;                        /* pidfd: readable when it has ended */
	int out, err;                       /* to be read when they can be; -1: at their end */
	char output[UPLOAD_OUTPUT_MAX + 1]; /* the beginning of what it prints */
	size_t output_len;
	char words[UPLOAD_WORDS_MAX + 1]; /* the end of what it says on stderr */
	size_t words_len;
};

/* Runs TEXT by /bin/sh, with IMAGE as $1 and on its standard input, VARIABLES added to the
 * environment, and nothing else inherited. LIFELINE: the reading end of a pipe whose writing end is
 * the driver's alone. COMMAND is zeroed. 0 or -errno. */
int upload_command_start(struct upload_command *command, const char *text, const char *image,
			 char *const variables[UPLOAD_COMMAND_VARIABLES], int lifeline);
/* Take what is there, without waiting. Whether there may be more now. */
bool upload_command_read_output(struct upload_command *command);
bool upload_command_read_words(struct upload_command *command);
/* Kills what is left of its group, waits for the command (which is dead by then), and takes what it
 * has said. Gives its status as of waitpid(). */
int upload_command_end(struct upload_command *command);

/* A pipe that no child inherits. 0 or -errno. */
int upload_pipe(int ends[2]);
void upload_close_all(const int *fds, size_t count);

/* Heap, NULL: no memory. */
struct upload_way *upload_s3_new(const struct upload_conf *conf, const struct remote *remote,
				 struct credentials *credentials);
struct upload_way *upload_exec_new(const struct upload_conf *conf);

#endif
