#include "credentials.h"

#include "log.h"
#include "secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX    65536 /* with other profiles in it */
#define USUAL_PLACE ".aws/credentials"

_Static_assert(CREDENTIALS_ERROR_MAX == SECRET_ERROR_MAX, "errors are passed on");

struct credentials {
	pthread_mutex_t lock; /* of all below */
	struct secret_file file;
	struct credentials_value value; /* id "": none yet */
};

static const struct field {
	const char *name, *variable;
	size_t at, size;
} fields[] = {
#define FIELD(member, name, variable)                                                              \
	{                                                                                          \
		name, variable, offsetof(struct credentials_value, member),                        \
			sizeof(((struct credentials_value *)NULL)->member)                         \
	}
	FIELD(id, "aws_access_key_id", "AWS_ACCESS_KEY_ID"),
	FIELD(secret, "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
	FIELD(token, "aws_session_token", "AWS_SESSION_TOKEN"),
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static char *member(struct credentials_value *value, const struct field *field)
{
	return (char *)value + field->at;
}

/* They go into headers and URLs. */
static bool is_word(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool is_complete(struct credentials_value *value)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (!is_word(member(value, &fields[i])))
			return false;
	return value->id[0] && value->secret[0];
}

static char *trim(char *text)
{
	text += strspn(text, " \t");
	for (size_t len = strlen(text); len && strchr(" \t\r", text[len - 1]);)
		text[--len] = '\0';
	return text;
}

/* false: a value that is too long. */
static bool take_line(char *line, struct credentials_value *value)
{
	char *equals = strchr(line, '=');
	if (!equals)
		return true;
	*equals = '\0';
	const char *name = trim(line), *text = trim(equals + 1);
	for (size_t i = 0; i < FIELDS; i++)
		if (strcmp(name, fields[i].name) == 0) {
			if (strlen(text) >= fields[i].size)
				return false;
			strcpy(member(value, &fields[i]), text);
		}
	return true;
}

/* Reads a file's text, which is spoilt by that. */
static bool take_text(char *text, struct credentials_value *value)
{
	bool ours = true, fits = true;
	char *line;
	while (fits && (line = strsep(&text, "\n"))) {
		line = trim(line);
		if (*line == '[')
			ours = strcmp(line, "[default]") == 0;
		else if (ours && *line != '#' && *line != ';')
			fits = take_line(line, value);
	}
	return fits && is_complete(value);
}

static int read_file(struct credentials *credentials, char error[CREDENTIALS_ERROR_MAX])
{
	struct credentials_value value = { .id = "" };
	char *text = malloc(FILE_MAX);
	if (!text) {
		snprintf(error, CREDENTIALS_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	int r = secret_file_read(&credentials->file, text, FILE_MAX, error);
	if (r == 0 && !take_text(text, &value)) {
		snprintf(error, CREDENTIALS_ERROR_MAX,
			 "credentials file %.300s: aws_access_key_id= and aws_secret_access_key= "
			 "are not both in its section [default], or not such words",
			 credentials->file.path);
		r = -EINVAL;
	}
	if (r == 0)
		credentials->value = value;
	explicit_bzero(&value, sizeof(value));
	explicit_bzero(text, FILE_MAX);
	free(text);
	return r;
}

static struct credentials *credentials_new(char *path, mode_t refused)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));
	if (!credentials) {
		free(path);
		return NULL;
	}
	pthread_mutex_init(&credentials->lock, NULL);
	credentials->file = (struct secret_file){ .what = "credentials file",
						  .path = path,
						  .refused = refused };
	return credentials;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	pthread_mutex_destroy(&credentials->lock);
	secret_file_release(&credentials->file);
	explicit_bzero(credentials, sizeof(*credentials));
	free(credentials);
}

static void take_environment(struct credentials_value *value)
{
	for (size_t i = 0; i < FIELDS; i++)
		secret_take_variable(fields[i].variable, member(value, &fields[i]), fields[i].size);
}

void credentials_clear_environment(void)
{
	struct credentials_value value;
	take_environment(&value);
	explicit_bzero(&value, sizeof(value));
}

/* PATH is heap, taken over. *OUT stays NULL unless 0. */
static int find_in_file(char *path, mode_t refused, struct credentials **out,
			char error[CREDENTIALS_ERROR_MAX])
{
	struct credentials *credentials = path ? credentials_new(path, refused) : NULL;
	if (!credentials) {
		snprintf(error, CREDENTIALS_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	int r = read_file(credentials, error);
	if (r)
		credentials_free(credentials);
	else
		*out = credentials;
	return r;
}

static int find_in_environment(struct credentials_value *value, struct credentials **out,
			       char error[CREDENTIALS_ERROR_MAX])
{
	if (!is_complete(value)) {
		snprintf(error, CREDENTIALS_ERROR_MAX,
			 "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: both are needed, as words");
		return -EINVAL;
	}
	*out = credentials_new(NULL, 0);
	if (!*out)
		return -ENOMEM;
	(*out)->value = *value;
	return 0;
}

static int find_in_places(const char *home, struct credentials **out,
			  char error[CREDENTIALS_ERROR_MAX])
{
	char *given = secret_path(getenv("CREDENTIALS_DIRECTORY"), "pixal3d-s3");
	char *usual = secret_path(home, USUAL_PLACE);
	int r = given ? find_in_file(given, 07, out, error) : -ENOENT; /* its mode: see key.c */
	if (r == -ENOENT && usual)
		r = find_in_file(usual, 077, out, error);
	else
		free(usual);
	if (r == -ENOENT)
		snprintf(error, CREDENTIALS_ERROR_MAX,
			 "no credentials for upload=s3://: set AWS_ACCESS_KEY_ID and "
			 "AWS_SECRET_ACCESS_KEY, or s3_credentials=, or write them to %.200s/%s",
			 home ? home : "~", USUAL_PLACE);
	return r;
}

int credentials_find(const char *file, const char *home, struct credentials **out,
		     char error[CREDENTIALS_ERROR_MAX])
{
	struct credentials_value value;
	int r;
	*out = NULL;
	take_environment(&value);
	if (file)
		r = find_in_file(strdup(file), 077, out, error);
	else if (value.id[0] || value.secret[0])
		r = find_in_environment(&value, out, error);
	else
		r = find_in_places(home, out, error);
	explicit_bzero(&value, sizeof(value));
	if (r != -ENOENT)
		return r;
	*out = credentials_new(file ? strdup(file) : secret_path(home, USUAL_PLACE), 077);
	return *out ? r : -ENOMEM;
}

int credentials_read(struct credentials *credentials, struct credentials_value *out)
{
	char error[CREDENTIALS_ERROR_MAX];
	pthread_mutex_lock(&credentials->lock);
	if (secret_file_changed(&credentials->file)) {
		if (read_file(credentials, error))
			log_warn("%s", error);
		else
			log_info("the credentials were read again");
	}
	*out = credentials->value;
	pthread_mutex_unlock(&credentials->lock);
	return out->id[0] ? 0 : -ENOKEY;
}
