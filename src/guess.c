#include "guess.h"

#include <string.h>

#define WORD_MAX 40

static size_t least(size_t a, size_t b, size_t c)
{
	size_t d = a < b ? a : b;
	return d < c ? d : c;
}

/* Levenshtein's; both are shorter than WORD_MAX. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], len = strlen(b);
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < len; j++) {
			size_t above = row[j + 1];
			row[j + 1] = least(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[len];
}

struct guess guess_start(const char *typed)
{
	return (struct guess){ .typed = typed, .edits = 2 + strlen(typed) / 4 };
}

void guess_consider(struct guess *guess, const char *known)
{
	if (strlen(guess->typed) >= WORD_MAX || strlen(known) >= WORD_MAX)
		return;
	size_t edits = edit_distance(guess->typed, known);
	if (edits >= guess->edits)
		return;
	guess->edits = edits;
	guess->best = known;
}
