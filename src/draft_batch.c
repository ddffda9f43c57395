#include "draft_batch.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line without white space around it. */
struct piece {
	const char *text;
	size_t len;
	unsigned number;
};

/* The line at *AT, which moves to the next. false: there is none. */
static bool next_piece(const char **at, const char *end, struct piece *piece)
{
	const char *start = *at, *stop;

	if (start == end)
		return false;
	stop = memchr(start, '\n', (size_t)(end - start));
	*at = stop ? stop + 1 : end;
	if (!stop)
		stop = end;
	while (start < stop && isspace((unsigned char)*start))
		start++;
	while (start < stop && isspace((unsigned char)stop[-1]))
		stop--;
	piece->text = start;
	piece->len = (size_t)(stop - start);
	piece->number++;
	return true;
}

static bool is_comment(const struct piece *piece)
{
	return piece->len && piece->text[0] == '#';
}

bool draft_is_list(const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	struct piece piece = { 0 };
	unsigned filled = 0;

	while (filled < 2 && next_piece(&at, end, &piece)) {
		if (is_comment(&piece))
			return true;
		filled += piece.len > 0;
	}
	return filled > 1;
}

/* The parser's places are within the line: "line 1, column 7: ..." is column 7 of ours. */
static void set_error(struct draft_line *line, const char *error)
{
	static const char first[] = "line 1, ";

	if (strncmp(error, first, strlen(first)) == 0)
		error += strlen(first);
	line->error = strdup(error);
}

static void judge_object(const struct piece *piece, struct draft_line *line)
{
	char error[PARAMS_ERROR_MAX];

	switch (params_parse(piece->text, piece->len, &line->params, error)) {
	case PARAMS_INCOMPLETE:
		set_error(line, "the line ends before its JSON object does: one object a line");
		return;
	case PARAMS_INVALID: set_error(line, error); return;
	case PARAMS_OK: break;
	}
	if (params_image_url(line->params))
		return;
	params_free(line->params);
	line->params = NULL;
	set_error(line, "image_url is missing");
}

static void judge_url(const struct piece *piece, struct draft_line *line)
{
	char error[PARAMS_ERROR_MAX];
	char *url = strndup(piece->text, piece->len);

	if (params_check_url(piece->text, piece->len, error))
		set_error(line, error);
	else if (url && (line->params = params_new()) != NULL &&
		 params_set_image_url(line->params, url) < 0) {
		params_free(line->params);
		line->params = NULL;
	}
	free(url);
}

static void put_canonical(FILE *out, const struct draft_line *line)
{
	char *text = line->params ? params_format(line->params) : NULL;

	fprintf(out, "%u %s\n", line->number, text ? text : line->error);
	free(text);
}

static bool judge_piece(const struct piece *piece, enum draft_use use, struct draft_line *line)
{
	line->number = piece->number;
	if (use == DRAFT_BATCH)
		judge_object(piece, line);
	else
		judge_url(piece, line);
	return line->params || line->error;
}

static size_t count_lines(const char *text, size_t len)
{
	const char *at = text;
	struct piece piece = { 0 };
	size_t count = 0;

	while (next_piece(&at, text + len, &piece))
		count += piece.len && !is_comment(&piece);
	return count;
}

/* false: no memory. */
static bool judge_pieces(const char *text, size_t len, enum draft_use use,
			 struct draft_content *out, FILE *canonical)
{
	const char *at = text;
	struct piece piece = { 0 };

	while (next_piece(&at, text + len, &piece)) {
		struct draft_line *line = &out->lines[out->line_count];

		if (!piece.len || is_comment(&piece))
			continue;
		out->line_count++;
		if (!judge_piece(&piece, use, line))
			return false;
		put_canonical(canonical, line);
	}
	return true;
}

enum draft_verdict draft_judge_lines(const char *text, size_t len, enum draft_use use,
				     struct draft_content *out, char **canonical,
				     char error[PARAMS_ERROR_MAX])
{
	size_t count = count_lines(text, len), canonical_len;
	FILE *stream;
	bool whole;

	if (!count)
		return DRAFT_NOTHING;
	if (count > DRAFT_LINES_MAX) {
		snprintf(error, PARAMS_ERROR_MAX, "%zu jobs are too many for one list: at most %d",
			 count, DRAFT_LINES_MAX);
		return DRAFT_INVALID;
	}
	out->lines = calloc(count, sizeof(*out->lines));
	stream = open_memstream(canonical, &canonical_len);
	whole = out->lines && stream && judge_pieces(text, len, use, out, stream);
	if (!stream || fclose(stream) != 0 || !whole) {
		if (stream)
			free(*canonical);
		*canonical = NULL;
	}
	return DRAFT_READY;
}

void draft_content_release(struct draft_content *content)
{
	for (size_t i = 0; i < content->line_count; i++) {
		params_free(content->lines[i].params);
		free(content->lines[i].error);
	}
	free(content->lines);
	params_free(content->params);
	spool_put(content->image);
	*content = (struct draft_content){ 0 };
}
