/* The table of the tree: names, visibility, writability, and what each renderer says. */
#include "node.h"
#include "params.h"
#include "run.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

static const char params[] =
	"{\n  \"image_url\": \"https://example.com/dog.png\",\n  \"seed\": 7\n}\n";

static struct job *job_in(enum job_state state)
{
	struct job *job = job_new();
	ck_assert_ptr_nonnull(job);
	job->number = 17;
	job->state = state;
	if (job_is(job, JOB_REMOTE_STATES)) {
		ck_assert_int_eq(job_set(&job->request_id, "pixal3d_019d"), 0);
		ck_assert_int_eq(job_set(&job->word, job_state_name(state)), 0);
	}
	return job;
}

static char *render(const struct job *job, unsigned kind, const char *text)
{
	char *out = NULL;
	size_t len;
	struct price_list prices = price_list_default();
	struct node_input in = {
		.job = job,
		.prices = &prices,
		.texture_size = 2048,
		.source = "sandbox",
		.mountpoint = "/mnt/p3d",
	};
	for (int i = 0; i < JOB_TEXTS; i++)
		in.text[i] = text;
	FILE *stream = open_memstream(&out, &len);
	node_of(kind)->render(&in, stream);
	fclose(stream);
	return out;
}

START_TEST(inodes_are_computed_and_the_root_is_fuse_s)
{
	ck_assert_uint_eq(node_ino(0, NODE_ROOT), 1);
	uint64_t ino = node_ino(123456789, NODE_OUTPUT + 3);
	ck_assert_uint_eq(node_number(ino), 123456789);
	ck_assert_uint_eq(node_kind(ino), NODE_OUTPUT + 3);
	ck_assert_uint_eq(node_version(ino), 0);
	struct job *job = job_new();
	job->number = 123456789;
	for (int i = 0; i < 4; i++)
		ck_assert_ptr_nonnull(job_add_output(job));
	ck_assert_uint_eq(node_output_ino(job, 3), ino);
	job->outputs[3].version = UINT16_MAX;
	ck_assert_uint_ne(node_output_ino(job, 3), ino);
	ck_assert_uint_eq(node_version(node_output_ino(job, 3)), UINT16_MAX);
	ck_assert_uint_eq(node_number(node_output_ino(job, 3)), 123456789);
	ck_assert_uint_eq(node_kind(node_output_ino(job, 3)), NODE_OUTPUT + 3);
	job_put(job);
}
END_TEST

START_TEST(rows_are_in_order_and_found_by_name_and_kind)
{
	static const unsigned parents[] = { NODE_ROOT, NODE_JOB };
	unsigned rows = 0;
	for (int i = 0; i < ROWS(parents); i++)
		for (const struct node *node = node_next(parents[i], 0), *after; node;
		     node = after, rows++) {
			after = node_next(parents[i], node->kind);
			ck_assert_ptr_eq(node_find(parents[i], node->name), node);
			ck_assert_ptr_eq(node_of(node->kind), node);
			ck_assert(!after || after->kind > node->kind);
			ck_assert(S_ISREG(node->mode) == (node->render != NULL));
		}
	ck_assert_uint_ge(rows, 13);
	ck_assert_ptr_null(node_find(NODE_ROOT, "status"));
	ck_assert_ptr_null(node_find(NODE_JOB, ""));
	ck_assert_ptr_null(node_of(NODE_OUTPUT));
}
END_TEST

START_TEST(hidden_bits_of_a_job_s_files_are_all_different)
{
	uint32_t seen = 0;
	for (const struct node *node = node_next(NODE_JOB, 0); node;
	     node = node_next(NODE_JOB, node->kind)) {
		ck_assert_uint_eq(seen & node_hidden_bit(node->kind), 0);
		seen |= node_hidden_bit(node->kind);
	}
	for (unsigned i = 0; i < JOB_OUTPUTS_MAX; i++) {
		ck_assert_uint_eq(seen & node_hidden_bit(NODE_OUTPUT + i), 0);
		seen |= node_hidden_bit(NODE_OUTPUT + i);
	}
}
END_TEST

static const struct {
	enum job_state state;
	const char *name;
	bool visible;
	bool writable;
} seen[] = {
	{ JOB_DRAFT, "params.json", true, true },
	{ JOB_DRAFT, "image_url", true, true },
	{ JOB_DRAFT, "request_id", true, true },
	{ JOB_DRAFT, "status.json", false, false },
	{ JOB_DRAFT, "error", false, false },
	{ JOB_WAITING, "params.json", true, false },
	{ JOB_WAITING, "request_id", false, false },
	{ JOB_SUBMITTING, "params.json", true, false },
	{ JOB_UNCERTAIN, "params.json", true, true },
	{ JOB_UNCERTAIN, "request_id", true, true },
	{ JOB_REFUSED, "params.json", true, true },
	{ JOB_REFUSED, "request_id", false, false },
	{ JOB_QUEUED, "params.json", true, false },
	{ JOB_QUEUED, "request_id", true, false },
	{ JOB_QUEUED, "status.json", true, false },
	{ JOB_COMPLETED, "params.json", true, false },
	{ JOB_COMPLETED, "image_url", true, false },
	{ JOB_FAILED, "params.json", true, true },
	{ JOB_ERROR, "image_url", true, true },
	{ JOB_ERROR, "status", true, false },
	{ JOB_ERROR, "log", true, false },
	{ JOB_ERROR, "wait", true, false },
};

START_TEST(files_are_seen_and_written_by_state)
{
	struct job *job = job_in(seen[_i].state);
	const struct node *node = node_find(NODE_JOB, seen[_i].name);
	ck_assert_ptr_nonnull(node);
	ck_assert_int_eq(node_visible(node, job), seen[_i].visible);
	ck_assert_int_eq(node_is_writable(node, job), seen[_i].writable);
	job->hidden = node_hidden_bit(node->kind);
	ck_assert(!node_visible(node, job));
	job_put(job);
}
END_TEST

START_TEST(an_output_is_seen_once_its_size_is_known)
{
	struct job *job = job_in(JOB_COMPLETED);
	ck_assert(job_add_output(job) && job_add_output(job));
	job->outputs[0].size = 1000;
	ck_assert(node_output_visible(job, 0));
	ck_assert(!node_output_visible(job, 1));
	ck_assert(!node_output_visible(job, 2));
	job->hidden = node_hidden_bit(NODE_OUTPUT);
	ck_assert(!node_output_visible(job, 0));
	job_put(job);
}
END_TEST

static const struct {
	enum job_state state;
	unsigned kind;
	const char *text; /* what the store has */
	const char *says;
} rendered[] = {
	{ JOB_DRAFT, NODE_STATUS, "", "DRAFT\n" },
	{ JOB_COMPLETED, NODE_WAIT, "", "COMPLETED\n" },
	{ JOB_QUEUED, NODE_REQUEST_ID, "", "pixal3d_019d\n" },
	{ JOB_DRAFT, NODE_REQUEST_ID, "", "" },
	{ JOB_DRAFT, NODE_ERROR, "", "" },
	{ JOB_QUEUED, NODE_PARAMS, params, params },
	{ JOB_QUEUED, NODE_IMAGE_URL, params, "https://example.com/dog.png\n" },
	{ JOB_DRAFT, NODE_IMAGE_URL, "{\n  \"seed\": 7\n}\n", "" },
	{ JOB_QUEUED, NODE_STATUS_JSON, "{\"status\": \"QUEUED\"}", "{\"status\": \"QUEUED\"}" },
	{ JOB_QUEUED, NODE_LOG, "a\nb\n", "a\nb\n" },
	{ JOB_DRAFT, NODE_COST, "",
	  "0.42 USD if it is submitted (estimate: price list row for texture_size 2048)\n" },
	{ JOB_QUEUED, NODE_COST, params, "0.00 USD (attached: paid for where it was submitted)\n" },
};

START_TEST(renderers_say)
{
	struct job *job = job_in(rendered[_i].state);
	const struct node *node = node_of(rendered[_i].kind);
	/* As the engine and the store note them. */
	for (int i = 0; i < JOB_TEXTS; i++)
		job->text_len[i] = (uint32_t)strlen(rendered[_i].text);
	if (strstr(rendered[_i].text, "image_url"))
		job_set(&job->image_url, "https://example.com/dog.png");
	char *text = render(job, rendered[_i].kind, rendered[_i].text);
	ck_assert_str_eq(text, rendered[_i].says);
	if (node->size)
		ck_assert_uint_eq(node->size(job), strlen(text));
	free(text);
	job_put(job);
}
END_TEST

/* The price of an attempt is the one that it was submitted at, whatever the list says now. */
static const struct {
	enum job_state state;
	const char *says;
} costs[] = {
	{ JOB_WAITING,
	  "0.50 USD once it is sent (estimate: price list row for texture_size 2048)\n" },
	{ JOB_SUBMITTING, "0.50 USD (estimate: price list row for texture_size 2048)\n" },
	{ JOB_UNCERTAIN, "0.50 USD, perhaps: it is not known whether it was bought (estimate: "
			 "price list row for texture_size 2048)\n" },
	{ JOB_REFUSED, "0.00 USD (what is refused is not charged)\n" },
	{ JOB_COMPLETED, "0.50 USD (estimate: price list row for texture_size 2048)\n" },
	{ JOB_FAILED, "0.50 USD, perhaps: whether FAILED is charged is not documented (estimate: "
		      "price list row for texture_size 2048)\n" },
	{ JOB_ERROR, "0.00 USD (ERROR is not charged)\n" },
};

START_TEST(a_draft_costs_what_the_defaults_say)
{
	struct price_list prices = price_list_default();
	struct job *job = job_in(JOB_DRAFT);
	struct node_input in = { .job = job, .prices = &prices, .texture_size = 1024 };
	static const struct {
		uint32_t texture_size;
		const char *says;
	} rows[] = { { 0, "0.30 USD if" }, { 4096, "0.42 USD if" } };
	for (int i = 0; i < ROWS(rows); i++) {
		char *text = NULL;
		size_t len;
		FILE *out = open_memstream(&text, &len);
		job->texture_size = rows[i].texture_size;
		node_of(NODE_COST)->render(&in, out);
		fclose(out);
		ck_assert_ptr_eq(strstr(text, rows[i].says), text);
		free(text);
	}
	job_put(job);
}
END_TEST

START_TEST(cost_says_what_is_known)
{
	static const char earlier[] = "0.42 USD for earlier attempts (estimate)\n";
	struct job *job = job_in(costs[_i].state);
	job->attempts = 1;
	job->price = 500000;
	char *text = render(job, NODE_COST, params);
	ck_assert_str_eq(text, costs[_i].says);
	free(text);
	job->attempts = 2;
	job->earlier = 420000;
	text = render(job, NODE_COST, params);
	size_t len = strlen(costs[_i].says);
	ck_assert(strncmp(text, costs[_i].says, len) == 0);
	ck_assert_str_eq(text + len, earlier);
	free(text);
	job_put(job);
}
END_TEST

/* What the CDN did not say is null, and so is what is not known yet. */
static const char provenance[] = "{\n"
				 "  \"driver\": \"pixal3dfs " VERSION "\",\n"
				 "  \"name\": \"dog\",\n"
				 "  \"request_id\": \"pixal3d_019d\",\n"
				 "  \"created\": null,\n"
				 "  \"submitted\": \"2026-05-22T13:17:32.110Z\",\n"
				 "  \"completed\": \"2026-05-22T13:17:33.110Z\",\n"
				 "  \"cost_usd_estimate\": 0.42,\n"
				 "  \"outputs\": [\n"
				 "    {\n"
				 "      \"file\": \"output.glb\",\n"
				 "      \"url\": \"https://cdn.example/a.glb?sig=1\",\n"
				 "      \"size\": 1234,\n"
				 "      \"media_type\": \"model/gltf-binary\",\n"
				 "      \"etag\": \"\\\"e\\\"\",\n"
				 "      \"modified\": \"2026-05-22T13:17:31.000Z\",\n"
				 "      \"sha256\": \"ab12\"\n"
				 "    },\n"
				 "    {\n"
				 "      \"file\": \"output-2.png\",\n"
				 "      \"url\": \"https://cdn.example/b.png\",\n"
				 "      \"size\": null,\n"
				 "      \"media_type\": null,\n"
				 "      \"etag\": null,\n"
				 "      \"modified\": null,\n"
				 "      \"sha256\": null\n"
				 "    }\n"
				 "  ],\n"
				 "  \"params\": {\n"
				 "  \"image_url\": \"https://example.com/dog.png\",\n"
				 "  \"seed\": 7\n"
				 "}\n"
				 "}\n";

START_TEST(output_json_says_where_every_output_is_from)
{
	struct job *job = job_in(JOB_COMPLETED);
	ck_assert(!node_visible(node_of(NODE_OUTPUT_JSON), job));
	ck_assert(job_add_output(job) && job_add_output(job));
	ck_assert(!node_visible(node_of(NODE_OUTPUT_JSON), job));
	job_set(&job->name, "dog");
	job->attempts = 1;
	job->price = 420000;
	job->submitted_ms = 1779455852110;
	job->ended_ms = 1779455853110;
	job->outputs[0] = (struct job_output){ .size = 1234, .mtime_ms = 1779455851000 };
	job_set(&job->outputs[0].name, "output.glb");
	job_set(&job->outputs[0].url, "https://cdn.example/a.glb?sig=1");
	job_set(&job->outputs[0].media_type, "model/gltf-binary");
	job_set(&job->outputs[0].etag, "\"e\"");
	job_set(&job->outputs[0].sha256, "ab12");
	job_set(&job->outputs[1].name, "output-2.png");
	job_set(&job->outputs[1].url, "https://cdn.example/b.png");
	ck_assert(node_visible(node_of(NODE_OUTPUT_JSON), job));
	char *text = render(job, NODE_OUTPUT_JSON, params);
	ck_assert_str_eq(text, provenance);
	free(text);
	job->text_len[JOB_TEXT_PARAMS] = strlen(params);
	ck_assert_uint_eq(node_of(NODE_OUTPUT_JSON)->size(job), strlen(provenance));
	text = render(job, NODE_OUTPUT_JSON, "");
	job->text_len[JOB_TEXT_PARAMS] = 0;
	ck_assert_uint_eq(node_of(NODE_OUTPUT_JSON)->size(job), strlen(text));
	ck_assert_ptr_nonnull(strstr(text, "\"params\": null\n}\n"));
	free(text);
	job_put(job);
}
END_TEST

static char *render_spend(const struct price_account *account)
{
	struct price_list prices = price_list_default();
	struct node_input in = { .prices = &prices, .account = account };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	node_of(NODE_SPEND)->render(&in, out);
	fclose(out);
	return text;
}

START_TEST(stats_are_a_name_and_a_number_a_line)
{
	static const struct node_stat stats[] = { { "polls", 7, "questions" },
						  { "bytes", UINT64_MAX, "fetched" } };
	struct node_input in = { .stats = stats, .stat_count = 2 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	node_of(NODE_STATS)->render(&in, out);
	fclose(out);
	ck_assert_str_eq(text, "Since the mount:\n"
			       "polls                       7  questions\n"
			       "bytes          18446744073709551615  fetched\n");
	free(text);
}
END_TEST

START_TEST(spend_says_what_is_left)
{
	struct price_account account = {
		.today = 840000, .month = 1260000, .ever = 2000000, .uncertain = 420000
	};
	char *text = render_spend(&account);
	ck_assert_ptr_eq(strstr(text, "today      0.84 USD\nmonth      1.26 USD\n"
				      "ever       2.00 USD\nuncertain  0.42 USD\n"
				      "budget     none\n\n"),
			 text);
	ck_assert_ptr_nonnull(strstr(text, "estimate"));
	ck_assert_ptr_nonnull(strstr(text, "1024 0.30, 2048 0.42, 4096 0.42"));
	free(text);
	account.budget = (struct price_budget){ true, 1000000, PRICE_DAY };
	text = render_spend(&account);
	ck_assert_ptr_nonnull(strstr(text, "\nbudget     1.00 USD a day\nleft       0.16 USD\n"));
	free(text);
}
END_TEST

START_TEST(the_error_is_a_line)
{
	struct job *job = job_in(JOB_REFUSED);
	ck_assert_int_eq(job_set(&job->error, "Insufficient Balance. Nothing was charged."), 0);
	ck_assert(node_visible(node_of(NODE_ERROR), job));
	char *text = render(job, NODE_ERROR, "");
	ck_assert_str_eq(text, "Insufficient Balance. Nothing was charged.\n");
	free(text);
	job_put(job);
}
END_TEST

START_TEST(the_readme_names_mount_and_every_parameter)
{
	char *text = render(NULL, NODE_README, "");
	ck_assert_ptr_nonnull(strstr(text, "/mnt/p3d"));
	size_t count;
	const struct params_spec *spec = params_specs(&count);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(strstr(text, spec[i].name) != NULL, "%s", spec[i].name);
	free(text);
}
END_TEST

static const struct job *one_job(void *ctx, uint64_t after)
{
	const struct job *job = ctx;
	return after < job->number ? job_get(job) : NULL;
}

START_TEST(a_name_with_odd_bytes_stays_one_field_of_one_line)
{
	struct job *job = job_in(JOB_QUEUED);
	ck_assert_int_eq(job_set(&job->name, "a\tb\nc\\d \xc3\xa9"), 0);
	job->price = 300000;
	job->earlier = 420000;
	char *text = NULL;
	size_t len;
	struct node_input in = { .next = one_job, .ctx = job };
	FILE *out = open_memstream(&text, &len);
	node_of(NODE_JOBS)->render(&in, out);
	fclose(out);
	char *line = strchr(text, '\n') + 1;
	ck_assert_ptr_nonnull(strstr(line, "a\\x09b\\x0ac\\\\d \xc3\xa9\tpixal3d_019d\tQUEUED\t"));
	ck_assert_ptr_eq(strchr(line, '\n'), text + len - 1);
	ck_assert_ptr_nonnull(strstr(line, "Z\t0.72\t0\n"));
	ck_assert_ptr_nonnull(strstr(text, "\tcreated\tcost\tbytes\n"));
	int heads = 0, fields = 0;
	for (const char *c = text; c < line; c++)
		heads += *c == '\t';
	for (const char *c = line; *c; c++)
		fields += *c == '\t';
	ck_assert_int_eq(heads, fields);
	free(text);
	job_put(job);
}
END_TEST

static uint64_t third;

static uint64_t stored_third(void *ctx, const struct job *job, unsigned index)
{
	ck_assert_ptr_eq(ctx, &third);
	return index == 2 ? third : (uint64_t)job->outputs[index].size;
}

static char *progress(const struct job *job)
{
	char *text = NULL;
	size_t len;
	struct node_input in = { .job = job, .stored = stored_third, .ctx = &third };
	FILE *out = open_memstream(&text, &len);
	node_of(NODE_PROGRESS)->render(&in, out);
	fclose(out);
	return text;
}

/* Its size is told without looking at the disk. */
START_TEST(progress_has_one_length_and_is_whole_only_at_the_end)
{
	static const struct {
		uint64_t stored;
		const char *says;
	} rows[] = {
		{ 0, "    0 10000   0% output-3.glb\n" },
		{ 99, "   99 10000   0% output-3.glb\n" },
		{ 9999, " 9999 10000  99% output-3.glb\n" },
		{ 10000, "10000 10000 100% output-3.glb\n" },
	};
	struct job *job = job_in(JOB_COMPLETED);
	const struct node *node = node_of(NODE_PROGRESS);
	for (int i = 0; i < 3; i++) {
		struct job_output *output = job_add_output(job);
		ck_assert_ptr_nonnull(output);
		job_set(&output->name, i ? "output-3.glb" : "output.glb");
	}
	ck_assert(!node_visible(node, job));
	job->outputs[0].size = 7;
	job->outputs[2].size = 10000;
	ck_assert(node_visible(node, job));
	for (int i = 0; i < ROWS(rows); i++) {
		third = rows[i].stored;
		char *text = progress(job);
		ck_assert_int_eq(strncmp(text, "7 7 100% output.glb\n", 20), 0);
		ck_assert_str_eq(text + 20, rows[i].says);
		ck_assert_uint_eq(strlen(text), node->size(job));
		free(text);
	}
	job->hidden = node_hidden_bit(NODE_OUTPUT) | node_hidden_bit(NODE_OUTPUT + 2);
	ck_assert(!node_visible(node, job));
	job_put(job);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node");
	TCase *tcase = tcase_create("node");
	tcase_add_test(tcase, inodes_are_computed_and_the_root_is_fuse_s);
	tcase_add_test(tcase, rows_are_in_order_and_found_by_name_and_kind);
	tcase_add_test(tcase, hidden_bits_of_a_job_s_files_are_all_different);
	tcase_add_loop_test(tcase, files_are_seen_and_written_by_state, 0, ROWS(seen));
	tcase_add_test(tcase, an_output_is_seen_once_its_size_is_known);
	tcase_add_loop_test(tcase, renderers_say, 0, ROWS(rendered));
	tcase_add_test(tcase, a_draft_costs_what_the_defaults_say);
	tcase_add_loop_test(tcase, cost_says_what_is_known, 0, ROWS(costs));
	tcase_add_test(tcase, output_json_says_where_every_output_is_from);
	tcase_add_test(tcase, spend_says_what_is_left);
	tcase_add_test(tcase, stats_are_a_name_and_a_number_a_line);
	tcase_add_test(tcase, the_error_is_a_line);
	tcase_add_test(tcase, the_readme_names_mount_and_every_parameter);
	tcase_add_test(tcase, progress_has_one_length_and_is_whole_only_at_the_end);
	tcase_add_test(tcase, a_name_with_odd_bytes_stays_one_field_of_one_line);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
