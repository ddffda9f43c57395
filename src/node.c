#include "node.h"

#include "gallery.h"
#include "node_provenance.h"
#include "params.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void put_prices(const struct price_list *list, FILE *out)
{
	char text[PRICE_TEXT_MAX];
	fputs("USD by texture_size:", out);
	for (size_t i = 0; i < PRICE_ROWS; i++)
		fprintf(out, "%s %ld %s", i ? "," : "", list->rows[i].texture_size,
			price_text(list->rows[i].micros, text));
}

/* A value to show for a parameter that has no default. */
static const char *example_of(const struct params_spec *spec)
{
	if (spec->fallback)
		return spec->fallback;
	switch (spec->type) {
	case PARAMS_STRING: return "\"https://example.com/dog.png\"";
	case PARAMS_INTEGER: return "42";
	default: return "0.5";
	}
}

static void put_example(FILE *out)
{
	size_t count;
	const struct params_spec *spec = params_specs(&count);
	fputs("    {\n", out);
	for (size_t i = 0; i < count; i++, spec++) {
		int width = fprintf(out, "      \"%s\": %s%s", spec->name, example_of(spec),
				    i + 1 < count ? "," : "");
		fprintf(out, "%*s # ", width < 52 ? 52 - width : 0, "");
		if (!spec->fallback && spec->type != PARAMS_STRING)
			fputs("without a default: ", out);
		if (spec->allowed)
			fprintf(out, "one of %s: ", spec->allowed);
		if (spec->usual_min != spec->usual_max)
			fprintf(out, "usually %.15g to %.15g: ", spec->usual_min, spec->usual_max);
		fprintf(out, "%s\n", spec->meaning);
	}
	fputs("    }\n", out);
}

static void render_readme(const struct node_input *in, FILE *out)
{
	fprintf(out,
		"pixal3dfs: images to 3D models, as files\n"
		"========================================\n\n"
		"Mounted from %s at %s.\n\n",
		in->source, in->mountpoint);
	if (strcmp(in->source, "sandbox") == 0)
		fputs("This is the sandbox: it costs nothing, and its models are made up. With the service instead,\n\n",
		      out);
	fputs("EVERY SUBMISSION COSTS MONEY (by estimate ", out);
	put_prices(in->prices, out);
	fputs(")\nand cannot be cancelled or repeated for free. Only writing submits: looking, listing, copying out\n"
	      "and searching are free.\n\n"
	      "Make a model\n"
	      "    cp dog.json new/             dog.json: {\"image_url\": \"https://...\"}\n"
	      "    cat by-name/dog/wait         blocks until it is done, then says how it ended\n"
	      "    cp by-name/dog/output.glb .  the model, with its true size before it is read\n\n"
	      "or choose the path first\n"
	      "    mkdir cat\n"
	      "    echo '{\"texture_size\": 4096}' > cat/params.json    (optional)\n"
	      "    echo https://example.com/cat.png > cat/image_url   (submits)\n\n"
	      "or many, one a line: NAME.url has a URL on each line, NAME.jsonl a JSON object; # begins a comment\n"
	      "    cp dogs.url new/             jobs dogs-1, dogs-2, ... by line, submitted when cp closes the file\n"
	      "new/dogs.url.error names the lines that were refused. Correct the file and copy it again: only what\n"
	      "was not taken is submitted, also tomorrow. A line whose job was forgotten (rm -r) is submitted anew.\n\n"
	      "or your own images, on a mount with upload= (PNG, JPEG, WebP): they are put on the net first\n"
	      "    cp dog.png new/              dog.json beside it has its parameters, without image_url\n"
	      "    cp -r photos new/            jobs photos-front, photos-back, ...; cp ends before they are sent:\n"
	      "                                 what is refused later is in new/photos/front.png.error\n\n"
	      "The exit status of cp says whether the job was taken. When it was not, the reason is in\n"
	      "new/dog.json.error or cat/error.\n\n"
	      "What is here\n"
	      "    new/       drop box: NAME.json (one job), NAME.url (image URLs), NAME.jsonl (jobs), images\n"
	      "    by-name/   the newest job of each name\n"
	      "    latest     the newest job\n"
	      "    jobs       all jobs, tab separated\n"
	      "    defaults.json   parameters that every job starts from; write it (without image_url and seed)\n"
	      "    index.html all jobs as a page for a browser\n"
	      "    spend      what this mount has spent by its own estimate, and the budget\n"
	      "    stats      what it has done: requests, bytes, reads\n"
	      "    JOB/       status, wait, output.glb, params.json (what was sent), cost, log, error, ...\n"
	      "    JOB/progress    how much of output.glb is on this disk: bytes, of how many, percent\n"
	      "    getfattr -d JOB/output.glb   request id, seed, where it came from; cp -a keeps them\n"
	      "    p3d --help      a command that submits, watches and fetches, where it is installed\n\n"
	      "    mv JOB NAME   renames a job          rm -r JOB   forgets it (a running one runs on)\n\n"
	      "Mounted with budget=USD[/day|/month], what would pass the budget is refused (\"Disk quota exceeded\")\n"
	      "before anything is sent. REFUSED and ERROR are not charged. With retry_errors=N a job that ends in\n"
	      "ERROR is submitted again by itself, up to N times.\n\n"
	      "A job whose status is UNCERTAIN may or may not have been paid for: its `error` says what to do.\n\n"
	      "A job with every parameter and its default; all but image_url may be left out. What follows a # is\n"
	      "no JSON, and to be left out too: sed -n '/^    {$/,/^    }$/{s/ *#.*//;p}' README\n\n",
	      out);
	put_example(out);
}

/* Names may hold any byte but NUL and '/': keep a line a line and a column a column. */
static void put_field(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\\\", out);
		else if (iscntrl((unsigned char)*text))
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			putc(*text, out);
	}
	putc('\t', out);
}

static void render_jobs_line(const struct job *job, FILE *out)
{
	char name[JOB_NAME_MAX], time[JOB_TIME_MAX];
	put_field(job_name(job, name), out);
	put_field(job->request_id ? job->request_id : "-", out);
	put_field(job_word(job), out);
	put_field(job_time(job->created_ms, time), out);
	char cost[PRICE_TEXT_MAX];
	put_field(price_text(job_cost(job) + job->earlier, cost), out);
	int64_t bytes = 0;
	for (unsigned i = 0; i < job->output_count; i++)
		bytes += job->outputs[i].size > 0 ? job->outputs[i].size : 0;
	fprintf(out, "%lld\n", (long long)bytes);
}

static void put_rows(const struct node_input *in, void (*row)(const struct job *job, FILE *out),
		     FILE *out)
{
	const struct job *job;
	for (uint64_t after = 0; (job = in->next(in->ctx, after)) != NULL; job_put(job)) {
		row(job, out);
		after = job->number;
	}
}

static void render_jobs(const struct node_input *in, FILE *out)
{
	fputs("name\trequest_id\tstatus\tcreated\tcost\tbytes\n", out);
	put_rows(in, render_jobs_line, out);
}

static void render_gallery(const struct node_input *in, FILE *out)
{
	gallery_begin(in->source, out);
	put_rows(in, gallery_row, out);
	gallery_end(out);
}

static void render_defaults(const struct node_input *in, FILE *out)
{
	fputs(in->defaults ? in->defaults : "{}\n", out);
}

static void render_params(const struct node_input *in, FILE *out)
{
	fputs(in->text[JOB_TEXT_PARAMS], out);
}

static void render_image_url(const struct node_input *in, FILE *out)
{
	if (in->job->image_url)
		fprintf(out, "%s\n", in->job->image_url);
}

static void render_status(const struct node_input *in, FILE *out)
{
	fprintf(out, "%s\n", job_word(in->job));
}

static void render_status_json(const struct node_input *in, FILE *out)
{
	fputs(in->text[JOB_TEXT_STATUS], out);
}

static void render_request_id(const struct node_input *in, FILE *out)
{
	if (in->job->request_id)
		fprintf(out, "%s\n", in->job->request_id);
}

/* It is in the books, and its image not yet where the service can fetch it. */
static bool is_unpublished(const struct job *job)
{
	return job->state == JOB_WAITING && job->image && !job->image_url && !job->error;
}

static void render_error(const struct node_input *in, FILE *out)
{
	if (is_unpublished(in->job))
		fputs("Its image is being uploaded; it is sent then. Nothing was charged so far, and there is nothing to do.\n",
		      out);
	if (in->job->error)
		fprintf(out, "%s\n", in->job->error);
	if (in->job->warning)
		fputs(in->job->warning, out);
}

static void render_log(const struct node_input *in, FILE *out)
{
	fputs(in->text[JOB_TEXT_LOG], out);
}

/* What is said beside an amount that may not have been, or not yet be, charged. */
static const char *const doubts[JOB_STATES] = {
	[JOB_DRAFT] = " if it is submitted",
	[JOB_WAITING] = " once it is sent",
	[JOB_UNCERTAIN] = ", perhaps: it is not known whether it was bought",
	[JOB_FAILED] = ", perhaps: whether FAILED is charged is not documented",
	[JOB_CANCELLED] = ", perhaps: whether CANCELLED is charged is not documented",
};

static const char *why_free(const struct job *job)
{
	switch (job->state) {
	case JOB_REFUSED: return "what is refused is not charged";
	case JOB_ERROR: return "ERROR is not charged";
	default:
		return job->attempts || job->state == JOB_DRAFT
			       ? NULL
			       : "attached: paid for where it was submitted";
	}
}

/* What was sent has the defaults of its time. */
static long texture_size_of(const struct node_input *in)
{
	if (in->job->texture_size)
		return in->job->texture_size;
	return job_is(in->job, JOB_IN(JOB_DRAFT)) ? in->texture_size : params_texture_size(NULL);
}

/* Each line begins with its number: a script may add them up. */
static void render_cost(const struct node_input *in, FILE *out)
{
	const struct job *job = in->job;
	long size = texture_size_of(in);
	char text[PRICE_TEXT_MAX];
	if (why_free(job))
		fprintf(out, "0.00 USD (%s)\n", why_free(job));
	else
		fprintf(out, "%s USD%s (estimate: price list row for texture_size %ld)\n",
			price_text(job->state == JOB_DRAFT ? price_of(in->prices, size)
							   : job_cost(job),
				   text),
			doubts[job->state] ? doubts[job->state] : "", size);
	if (job->earlier)
		fprintf(out, "%s USD for earlier attempts (estimate)\n",
			price_text(job->earlier, text));
}

static void put_amount(const char *what, int64_t micros, FILE *out)
{
	char text[PRICE_TEXT_MAX];
	fprintf(out, "%-10s %s USD\n", what, price_text(micros, text));
}

static void render_spend(const struct node_input *in, FILE *out)
{
	const struct price_account *account = in->account;
	char budget[PRICE_BUDGET_TEXT_MAX];
	put_amount("today", account->today, out);
	put_amount("month", account->month, out);
	put_amount("ever", account->ever, out);
	put_amount("uncertain", account->uncertain, out);
	fprintf(out, "%-10s %s\n", "budget",
		account->budget.set ? price_budget_text(&account->budget, budget) : "none");
	if (account->budget.set)
		put_amount("left", price_left(account), out);
	fputs("\nThese are estimates by the price list (", out);
	put_prices(in->prices, out);
	fputs("),\ncounted from the moment of submission; days and months are those of UTC. What was refused or ended\n"
	      "in ERROR is not counted. What is UNCERTAIN is: it may have been bought.\n",
	      out);
}

/* Of the same length however much is there: so its size is known without a look at the disk. */
static void render_progress(const struct node_input *in, FILE *out)
{
	const struct job *job = in->job;
	for (unsigned i = 0; i < job->output_count; i++) {
		if (!node_output_visible(job, i))
			continue;
		uint64_t size = (uint64_t)job->outputs[i].size;
		uint64_t stored = in->stored(in->ctx, job, i);
		unsigned percent = size ? (unsigned)((double)stored / (double)size * 100) : 100;
		int width = snprintf(NULL, 0, "%" PRIu64, size);
		fprintf(out, "%*" PRIu64 " %" PRIu64 " %3u%% %s\n", width, stored, size, percent,
			job->outputs[i].name);
	}
}

static size_t size_params(const struct job *job)
{
	return job->text_len[JOB_TEXT_PARAMS];
}

static size_t size_image_url(const struct job *job)
{
	return job->image_url ? strlen(job->image_url) + 1 : 0;
}

static size_t size_status_json(const struct job *job)
{
	return job->text_len[JOB_TEXT_STATUS];
}

static size_t size_log(const struct job *job)
{
	return job->text_len[JOB_TEXT_LOG];
}

static size_t size_progress(const struct job *job)
{
	size_t len = 0;
	for (unsigned i = 0; i < job->output_count; i++)
		if (node_output_visible(job, i))
			len += 2 * (size_t)snprintf(NULL, 0, "%" PRId64, job->outputs[i].size) +
			       strlen("  100% \n") + strlen(job->outputs[i].name);
	return len;
}

static void render_stats(const struct node_input *in, FILE *out)
{
	fputs("Since the mount:\n", out);
	for (size_t i = 0; i < in->stat_count; i++)
		fprintf(out, "%-14s %14" PRIu64 "  %s\n", in->stats[i].name, in->stats[i].value,
			in->stats[i].what);
}

static bool has_answer(const struct job *job)
{
	return job->word != NULL;
}

static bool has_request_id(const struct job *job)
{
	return job->request_id != NULL || job_is(job, JOB_IN(JOB_DRAFT) | JOB_IN(JOB_UNCERTAIN));
}

static bool has_output(const struct job *job)
{
	unsigned i = 0;
	while (i < job->output_count && !node_output_visible(job, i))
		i++;
	return i < job->output_count;
}

static bool has_error(const struct job *job)
{
	return job->error != NULL || job->warning != NULL || is_unpublished(job);
}

#define DIR_MODE  (S_IFDIR | 0755)
#define FILE_MODE (S_IFREG | 0444)
#define LINK_MODE (S_IFLNK | 0777)
#define BUYS      (JOB_IN(JOB_DRAFT) | JOB_RETRIABLE_STATES)
#define ATTACHES  (JOB_IN(JOB_DRAFT) | JOB_IN(JOB_UNCERTAIN))
#define TEXT(t)   (1u << (t))
#define DONE      JOB_IN(JOB_COMPLETED)
#define ANY       JOB_ANY_STATE

/* In order of kind. Columns: kind, name, parent, mode, flags, seen in, written in, texts, present,
 * size, render. */
/* clang-format off */
static const struct node table[] = {
	{ NODE_README,      "README",      NODE_ROOT, FILE_MODE, 0,             0,   0,        0,                        NULL,           NULL,             render_readme },
	{ NODE_NEW,         "new",         NODE_ROOT, DIR_MODE,  0,             0,   0,        0,                        NULL,           NULL,             NULL },
	{ NODE_BY_NAME,     "by-name",     NODE_ROOT, DIR_MODE,  0,             0,   0,        0,                        NULL,           NULL,             NULL },
	{ NODE_LATEST,      "latest",      NODE_ROOT, LINK_MODE, NODE_VOLATILE, 0,   0,        0,                        NULL,           NULL,             NULL },
	{ NODE_JOBS,        "jobs",        NODE_ROOT, FILE_MODE, NODE_VOLATILE | NODE_ROWS, 0, 0,   0,                        NULL,           NULL,             render_jobs },
	{ NODE_DEFAULTS,    "defaults.json", NODE_ROOT, FILE_MODE | 0200, 0,    0,   0,        0,                        NULL,           NULL,             render_defaults },
	{ NODE_SPEND,       "spend",       NODE_ROOT, FILE_MODE, NODE_VOLATILE, 0,   0,        0,                        NULL,           NULL,             render_spend },
	{ NODE_STATS,       "stats",       NODE_ROOT, FILE_MODE, NODE_VOLATILE, 0,   0,        0,                        NULL,           NULL,             render_stats },
	{ NODE_GALLERY,     "index.html",  NODE_ROOT, FILE_MODE, NODE_VOLATILE | NODE_ROWS, 0, 0,   0,                        NULL,           NULL,             render_gallery },
	{ NODE_ERROR,       "error",       NODE_JOB,  FILE_MODE, 0,             ANY, 0,        0,                        has_error,      NULL,             render_error },
	{ NODE_PARAMS,      "params.json", NODE_JOB,  FILE_MODE, 0,             ANY, BUYS,     TEXT(JOB_TEXT_PARAMS),    NULL,           size_params,      render_params },
	{ NODE_IMAGE_URL,   "image_url",   NODE_JOB,  FILE_MODE, 0,             ANY, BUYS,     0,                        NULL,           size_image_url,   render_image_url },
	{ NODE_STATUS,      "status",      NODE_JOB,  FILE_MODE, 0,             ANY, 0,        0,                        NULL,           NULL,             render_status },
	{ NODE_STATUS_JSON, "status.json", NODE_JOB,  FILE_MODE, 0,             ANY, 0,        TEXT(JOB_TEXT_STATUS),    has_answer,     size_status_json, render_status_json },
	{ NODE_REQUEST_ID,  "request_id",  NODE_JOB,  FILE_MODE, 0,             ANY, ATTACHES, 0,                        has_request_id, NULL,             render_request_id },
	{ NODE_LOG,         "log",         NODE_JOB,  FILE_MODE, NODE_GROWS,    ANY, 0,        TEXT(JOB_TEXT_LOG),       NULL,           size_log,         render_log },
	{ NODE_WAIT,        "wait",        NODE_JOB,  FILE_MODE, NODE_UNLISTED, ANY, 0,        0,                        NULL,           NULL,             render_status },
	{ NODE_COST,        "cost",        NODE_JOB,  FILE_MODE, 0,             ANY, 0,        0,                        NULL,           NULL,             render_cost },
	{ NODE_PROGRESS,    "progress",    NODE_JOB,  FILE_MODE, 0,             DONE, 0,       0,                        has_output,     size_progress,    render_progress },
	{ NODE_OUTPUT_JSON, "output.json", NODE_JOB,  FILE_MODE, 0,             DONE, 0,       TEXT(JOB_TEXT_PARAMS),    has_output,     node_size_provenance, node_render_provenance },
};
/* clang-format on */
#define ROWS (sizeof(table) / sizeof(table[0]))

size_t node_row_size(const struct node *node, const struct job *job)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = job ? open_memstream(&text, &size) : NULL;
	if (out) {
		if (node->kind == NODE_GALLERY)
			gallery_row(job, out);
		else
			render_jobs_line(job, out);
		fclose(out);
	}
	free(text);
	return size;
}

const struct node *node_of(unsigned kind)
{
	for (size_t i = 0; i < ROWS; i++)
		if (table[i].kind == kind)
			return &table[i];
	return NULL;
}

const struct node *node_next(unsigned parent, unsigned after)
{
	for (size_t i = 0; i < ROWS; i++)
		if (table[i].parent == parent && table[i].kind > after)
			return &table[i];
	return NULL;
}

const struct node *node_find(unsigned parent, const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (table[i].parent == parent && strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

bool node_visible(const struct node *node, const struct job *job)
{
	return job_is(job, node->states) && !(job->hidden & node_hidden_bit(node->kind)) &&
	       (!node->present || node->present(job));
}

bool node_is_writable(const struct node *node, const struct job *job)
{
	return job_is(job, node->writable);
}

bool node_output_visible(const struct job *job, unsigned index)
{
	return index < job->output_count && job->outputs[index].size >= 0 &&
	       !(job->hidden & node_hidden_bit(NODE_OUTPUT + index));
}

uint32_t node_hidden_bit(unsigned kind)
{
	unsigned bit = kind >= NODE_OUTPUT ? 16 + kind - NODE_OUTPUT : kind - NODE_FILES;
	return 1u << (bit & 31);
}
