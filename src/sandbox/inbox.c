#include "inbox.h"

#include <ctype.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *posts;

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	json_t *headers = cls;
	char lower[128];
	size_t i;

	(void)kind;
	for (i = 0; i < sizeof(lower) - 1 && name[i]; i++)
		lower[i] = (char)tolower((unsigned char)name[i]);
	lower[i] = '\0';
	json_object_set_new(headers, lower, json_string(value ? value : ""));
	return MHD_YES;
}

void inbox_put(struct MHD_Connection *c, const char *body, size_t size)
{
	json_t *headers = json_object();
	/* What is not UTF-8 has no place in JSON: null. */
	json_t *text = json_stringn(body, size < INBOX_BODY ? size : INBOX_BODY);

	MHD_get_connection_values(c, MHD_HEADER_KIND, add_header, headers);
	json_t *post = json_pack("{s:o,s:o}", "headers", headers, "body",
				 text ? text : json_null());
	pthread_mutex_lock(&lock);
	if (!posts)
		posts = json_array();
	if (json_array_size(posts) >= INBOX_POSTS)
		json_array_remove(posts, 0);
	json_array_append_new(posts, post);
	pthread_mutex_unlock(&lock);
}

json_t *inbox_json(void)
{
	pthread_mutex_lock(&lock);
	json_t *copy = posts ? json_deep_copy(posts) : json_array();
	pthread_mutex_unlock(&lock);
	return copy;
}

void inbox_release(void)
{
	json_decref(posts);
	posts = NULL;
}
