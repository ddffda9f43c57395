#include "price.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)

/* Amounts */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The decimals after the point, as millionths. -1: none, or too many. */
static int64_t parse_decimals(const char **text)
{
	int64_t micros = 0, unit = PRICE_USD;
	const char *p = *text;

	for (; is_digit(*p) && unit > 1; p++) {
		unit /= 10;
		micros += (*p - '0') * unit;
	}
	if (p == *text || is_digit(*p))
		return -1;
	*text = p;
	return micros;
}

int64_t price_parse(const char *text, const char **end)
{
	int64_t whole = 0, decimals = 0;
	const char *p = text;

	for (; is_digit(*p) && whole <= PRICE_MAX / PRICE_USD; p++)
		whole = 10 * whole + (*p - '0');
	if (p == text || is_digit(*p))
		return -1;
	if (*p == '.') {
		p++;
		decimals = parse_decimals(&p);
	}
	if (decimals < 0 || whole * PRICE_USD + decimals > PRICE_MAX)
		return -1;
	*end = p;
	return whole * PRICE_USD + decimals;
}

const char *price_text(int64_t micros, char buf[PRICE_TEXT_MAX])
{
	const char *sign = micros < 0 ? "-" : "";
	uint64_t value = micros < 0 ? -(uint64_t)micros : (uint64_t)micros;
	int len = snprintf(buf, PRICE_TEXT_MAX, "%s%" PRIu64 ".%06" PRIu64, sign,
			   value / (uint64_t)PRICE_USD, value % (uint64_t)PRICE_USD);

	for (int spare = 4; spare > 0 && buf[len - 1] == '0'; spare--)
		buf[--len] = '\0';
	return buf;
}

/* The list */

struct price_list price_list_default(void)
{
	return (struct price_list){
		.rows = { { 1024, 300000 }, { 2048, 420000 }, { 4096, 420000 } }
	};
}

static int set_row(struct price_list *list, long texture_size, int64_t micros)
{
	for (size_t i = 0; i < PRICE_ROWS; i++) {
		if (list->rows[i].texture_size != texture_size)
			continue;
		list->rows[i].micros = micros;
		return 0;
	}
	return -EINVAL;
}

int price_list_parse(struct price_list *list, const char *text)
{
	struct price_list parsed = *list;

	for (const char *p = text;; p++) {
		char *colon;
		long size = is_digit(*p) ? strtol(p, &colon, 10) : 0;
		int64_t micros = size && *colon == ':' ? price_parse(colon + 1, &p) : -1;

		if (micros < 0 || set_row(&parsed, size, micros) < 0 || (*p && *p != ':'))
			return -EINVAL;
		if (!*p)
			break;
	}
	*list = parsed;
	return 0;
}

int64_t price_of(const struct price_list *list, long texture_size)
{
	int64_t dearest = 0;

	for (size_t i = 0; i < PRICE_ROWS; i++) {
		if (list->rows[i].texture_size == texture_size)
			return list->rows[i].micros;
		if (list->rows[i].micros > dearest)
			dearest = list->rows[i].micros;
	}
	return dearest;
}

/* The budget */

static const struct {
	const char *option, *words;
} periods[] = {
	[PRICE_EVER] = { "", "in all" },
	[PRICE_DAY] = { "/day", "a day" },
	[PRICE_MONTH] = { "/month", "a month" },
};

int price_budget_parse(struct price_budget *budget, const char *text)
{
	const char *end;
	int64_t micros = price_parse(text, &end);

	for (enum price_period period = PRICE_EVER; micros >= 0 && period <= PRICE_MONTH;
	     period++) {
		if (strcmp(end, periods[period].option) != 0)
			continue;
		*budget = (struct price_budget){ true, micros, period };
		return 0;
	}
	return -EINVAL;
}

const char *price_budget_text(const struct price_budget *budget, char buf[PRICE_BUDGET_TEXT_MAX])
{
	char amount[PRICE_TEXT_MAX];

	snprintf(buf, PRICE_BUDGET_TEXT_MAX, "%s USD %s", price_text(budget->micros, amount),
		 periods[budget->period].words);
	return buf;
}

static int64_t day_start(int64_t wall_ms)
{
	int64_t into = wall_ms % DAY_MS;

	return wall_ms - (into < 0 ? into + DAY_MS : into);
}

static int64_t month_start(int64_t wall_ms)
{
	int64_t day = day_start(wall_ms);
	time_t seconds = (time_t)(day / 1000);
	struct tm tm;

	return gmtime_r(&seconds, &tm) ? day - (tm.tm_mday - 1) * DAY_MS : INT64_MIN;
}

int64_t price_period_start(enum price_period period, int64_t wall_ms)
{
	switch (period) {
	case PRICE_DAY: return day_start(wall_ms);
	case PRICE_MONTH: return month_start(wall_ms);
	default: return INT64_MIN;
	}
}

int64_t price_spent(const struct price_account *account)
{
	switch (account->budget.period) {
	case PRICE_DAY: return account->today;
	case PRICE_MONTH: return account->month;
	default: return account->ever;
	}
}

int64_t price_left(const struct price_account *account)
{
	int64_t left = account->budget.micros - price_spent(account);

	return left > 0 ? left : 0;
}
