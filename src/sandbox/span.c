#include "span.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Digits at *p; false when there are none or too many. */
static bool number(const char **p, uint64_t *out)
{
	const char *start = *p;

	*out = 0;
	for (; isdigit((unsigned char)**p); (*p)++)
		*out = *out * 10 + (uint64_t)(**p - '0');
	return *p > start && *p - start <= 18;
}

static struct span part(uint64_t start, uint64_t end, uint64_t total)
{
	if (start >= total)
		return (struct span){ .kind = SPAN_UNSATISFIABLE };
	end = end < total - 1 ? end : total - 1;
	return (struct span){ SPAN_PART, start, end - start + 1 };
}

struct span span_parse(const char *range, uint64_t total)
{
	const struct span whole = { SPAN_WHOLE, 0, total };
	uint64_t start, end = UINT64_MAX;

	if (!range || strncasecmp(range, "bytes=", 6) != 0)
		return whole;
	range += 6;
	if (*range == '-') {
		range++;
		if (!number(&range, &end) || *range)
			return whole;
		if (end == 0)
			return (struct span){ .kind = SPAN_UNSATISFIABLE };
		return part(end < total ? total - end : 0, UINT64_MAX, total);
	}
	if (!number(&range, &start) || *range++ != '-')
		return whole;
	if (*range && (!number(&range, &end) || *range || end < start))
		return whole;
	return part(start, end, total);
}

bool span_list_has(const char *list, const char *etag)
{
	return list && (!strcmp(list, "*") || strstr(list, etag));
}

bool span_if_range(const char *value, const char *etag, const char *modified)
{
	return !value || !strcmp(value, etag) || !strcmp(value, modified);
}
