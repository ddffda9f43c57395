/*
 * credentials - what signs for a bucket
 *
 * Role:    finds the access key of an S3 account as Amazon's own tools do, treats it as the
 * subscription key is (see key.h, secret.h), and reads it again when its file changes: who has a
 * session's renews it there. Threads: any thread may call credentials_read().
 */
#ifndef CREDENTIALS_H
#define CREDENTIALS_H

#include <stdbool.h>

#define CREDENTIALS_TOKEN_MAX 4096
#define CREDENTIALS_ERROR_MAX 512

struct credentials;

/* What signs now; to be wiped. */
struct credentials_value {
	char id[129];
	char secret[129];
	char token[CREDENTIALS_TOKEN_MAX]; /* of a session, which ends; "": none */
};

/* The first that exists: FILE (the option's value, or NULL);
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, which are taken out of the
 * environment; $CREDENTIALS_DIRECTORY/pixal3d-s3; HOME/.aws/credentials (HOME may be NULL). A file
 * is that of Amazon's tools: of its section [default], or of what comes before any section,
 * aws_access_key_id, aws_secret_access_key and aws_session_token are read. Gives what key_find()
 * gives: after -ENOENT *OUT waits for the file. ERROR is a sentence for the person. */
int credentials_find(const char *file, const char *home, struct credentials **out,
		     char error[CREDENTIALS_ERROR_MAX]);
void credentials_free(struct credentials *credentials); /* wipes it; NULL is nothing */

/* Takes the three variables out of the environment. */
void credentials_clear_environment(void);

/* 0, or -ENOKEY: none so far. */
int credentials_read(struct credentials *credentials, struct credentials_value *out);

#endif
