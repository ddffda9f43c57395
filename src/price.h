/*
 * price - money: the service's price list, budgets, and how amounts are read and written
 *
 * Role:    what a submission is estimated to cost, and the window in which a budget counts. The
 * numbers come from "Pricing" of the API's documentation, whose rows (1024p, 2048p, 4096p) fit
 * texture_size, not resolution: every amount is an estimate, and must be shown as one. Pure.
 * Threads: no state.
 * Units:   micro-dollars in an int64_t, so that sums are exact. Times are milliseconds of the Unix
 * epoch, days and months those of UTC.
 */
#ifndef PRICE_H
#define PRICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRICE_USD INT64_C(1000000)
#define PRICE_MAX (1000000 * PRICE_USD) /* of a submission, or of a budget */

/* Amounts. */

/* Reads an amount in USD, "12.50", with up to six decimals, no sign and no exponent, up to
 * PRICE_MAX; *END is what follows it. -1: none is there. */
int64_t price_parse(const char *text, const char **end);
/* "0.42", "12.00", "0.425": at least two decimals, no more than are needed. Gives BUF. */
#define PRICE_TEXT_MAX 32
const char *price_text(int64_t micros, char buf[PRICE_TEXT_MAX]);

/* The price list: one row for each texture_size that the API allows. */

#define PRICE_ROWS 3
struct price_list {
	struct {
		long texture_size;
		int64_t micros;
	} rows[PRICE_ROWS];
};

/* The documentation's. */
struct price_list price_list_default(void);
/* Replaces the prices that TEXT names: "1024:0.30:2048:0.42". 0, or -EINVAL and LIST as it was. */
int price_list_parse(struct price_list *list, const char *text);
/* The dearest row's for a size that is not in the list. */
int64_t price_of(const struct price_list *list, long texture_size);

/* The budget. */

enum price_period { PRICE_EVER, PRICE_DAY, PRICE_MONTH };

struct price_budget {
	bool set;
	int64_t micros;
	enum price_period period;
};

/* "12.50", "12.50/day", "100/month". 0, or -EINVAL and BUDGET as it was. */
int price_budget_parse(struct price_budget *budget, const char *text);
/* "12.50 USD a day", "12.50 USD in all". Gives BUF. */
#define PRICE_BUDGET_TEXT_MAX 64
const char *price_budget_text(const struct price_budget *budget, char buf[PRICE_BUDGET_TEXT_MAX]);
/* The beginning of the PERIOD that WALL_MS is in; INT64_MIN for PRICE_EVER. */
int64_t price_period_start(enum price_period period, int64_t wall_ms);

/* What was spent, by estimate, at one moment. */
struct price_account {
	int64_t today, month, ever;
	int64_t uncertain; /* of `ever`: nobody knows whether it was bought */
	struct price_list list;
	struct price_budget budget;
};

/* What the period of the budget has cost so far. */
int64_t price_spent(const struct price_account *account);
/* What may still be spent; 0 when the budget is passed already. Only with a budget. */
int64_t price_left(const struct price_account *account);

#endif
