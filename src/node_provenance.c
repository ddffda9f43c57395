#include "node_provenance.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What was sent comes last and as it was sent, so that its length is known without reading it. */
#define BEFORE_PARAMS ",\n  \"params\": "
#define NO_PARAMS     "null\n"
#define AFTER_PARAMS  "}\n"

/* No text: null. One that is no UTF-8 cannot be said in JSON, and is left out. */
static void set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, text ? json_string(text) : json_null());
}

static void set_time(json_t *object, const char *key, int64_t wall_ms)
{
	char time[JOB_TIME_MAX];
	set_text(object, key, wall_ms ? job_time(wall_ms, time) : NULL);
}

/* Where there is none an output is known by a date, which `modified` says. */
static const char *etag_of(const struct job_output *output)
{
	size_t len = output->etag ? strlen(output->etag) : 0;
	return len && output->etag[len - 1] == '"' ? output->etag : NULL;
}

static json_t *output_object(const struct job_output *output)
{
	json_t *object = json_object();
	set_text(object, "file", output->name);
	set_text(object, "url", output->url);
	json_object_set_new(object, "size",
			    output->size < 0 ? json_null() : json_integer(output->size));
	set_text(object, "media_type", output->media_type);
	set_text(object, "etag", etag_of(output));
	set_time(object, "modified", output->mtime_ms);
	set_text(object, "sha256", output->sha256);
	return object;
}

/* All but the parameters, and without its end. Heap. */
static char *head_of(const struct job *job)
{
	char name[JOB_NAME_MAX];
	json_t *object = json_object(), *outputs = json_array();
	for (size_t i = 0; i < job->output_count; i++)
		json_array_append_new(outputs, output_object(&job->outputs[i]));
	set_text(object, "driver", "pixal3dfs " VERSION);
	set_text(object, "name", job_name(job, name));
	set_text(object, "request_id", job->request_id);
	set_time(object, "created", job->created_ms);
	set_time(object, "submitted", job->submitted_ms);
	set_time(object, "completed", job->ended_ms);
	json_object_set_new(object, "cost_usd_estimate", json_real((double)job_cost(job) / 1e6));
	json_object_set_new(object, "outputs", outputs);
	char *text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(object);
	if (text)
		text[strlen(text) - strlen("\n}")] = '\0';
	return text;
}

void node_render_provenance(const struct node_input *in, FILE *out)
{
	const char *params = in->text[JOB_TEXT_PARAMS];
	char *head = head_of(in->job);
	if (head)
		fprintf(out, "%s" BEFORE_PARAMS "%s" AFTER_PARAMS, head,
			*params ? params : NO_PARAMS);
	free(head);
}

size_t node_size_provenance(const struct job *job)
{
	size_t params = job->text_len[JOB_TEXT_PARAMS];
	char *head = head_of(job);
	size_t size = head ? strlen(head) + strlen(BEFORE_PARAMS) +
				      (params ? params : strlen(NO_PARAMS)) + strlen(AFTER_PARAMS)
			   : 0;
	free(head);
	return size;
}
