/* price: amounts are exact, and a budget counts in the right days. */
#include "price.h"
#include "run.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define MAY_22 1779408000000 /* 2026-05-22T00:00:00Z */
#define HOUR   INT64_C(3600000)

static const struct amount {
	const char *text;
	int64_t micros;
	const char *rest, *shown;
} amounts[] = {
	{ "0.42", 420000, "", "0.42" },
	{ "0.3", 300000, "", "0.30" },
	{ "12", 12000000, "", "12.00" },
	{ "12/day", 12000000, "/day", "12.00" },
	{ "0", 0, "", "0.00" },
	{ "0.425:1", 425000, ":1", "0.425" },
	{ "0.000001", 1, "", "0.000001" },
	{ "0.100000", 100000, "", "0.10" },
	{ "007.5", 7500000, "", "7.50" },
	{ "1000000", PRICE_MAX, "", "1000000.00" },
};

START_TEST(amounts_are_exact)
{
	const struct amount *amount = &amounts[_i];
	char buf[PRICE_TEXT_MAX];
	const char *end;

	ck_assert_int_eq(price_parse(amount->text, &end), amount->micros);
	ck_assert_str_eq(end, amount->rest);
	ck_assert_str_eq(price_text(amount->micros, buf), amount->shown);
}
END_TEST

static const char *const no_amounts[] = {
	"",
	"-1",
	"+1",
	" 1",
	".5",
	"1.",
	"1.0000001",
	"1000001",
	"x",
	"1000000.01",
	"\x81",
	"1.x2",
	"18446744073709551617",
};

START_TEST(no_amount)
{
	const char *end = NULL;

	ck_assert_int_eq(price_parse(no_amounts[_i], &end), -1);
	ck_assert_ptr_null(end);
}
END_TEST

START_TEST(extreme_amounts_fit)
{
	char buf[PRICE_TEXT_MAX];

	ck_assert_str_eq(price_text(INT64_MIN, buf), "-9223372036854.775808");
	ck_assert_str_eq(price_text(INT64_MAX, buf), "9223372036854.775807");
	ck_assert_str_eq(price_text(-10000, buf), "-0.01");
}
END_TEST

START_TEST(the_documented_prices)
{
	struct price_list list = price_list_default();

	ck_assert_int_eq(price_of(&list, 1024), 300000);
	ck_assert_int_eq(price_of(&list, 2048), 420000);
	ck_assert_int_eq(price_of(&list, 4096), 420000);
	ck_assert_int_eq(price_of(&list, 8192), 420000);
}
END_TEST

START_TEST(prices_can_be_replaced)
{
	struct price_list list = price_list_default();

	ck_assert_int_eq(price_list_parse(&list, "4096:0.9"), 0);
	ck_assert_int_eq(price_of(&list, 1024), 300000);
	ck_assert_int_eq(price_of(&list, 4096), 900000);
	ck_assert_int_eq(price_of(&list, 3000), 900000);
	ck_assert_int_eq(price_list_parse(&list, "1024:0:2048:0.5:4096:1.25"), 0);
	ck_assert_int_eq(price_of(&list, 1024), 0);
	ck_assert_int_eq(price_of(&list, 2048), 500000);
	ck_assert_int_eq(price_of(&list, 4096), 1250000);
}
END_TEST

static const char *const no_lists[] = {
	"",         "1024",     "1024:",        "1024:0.3:",    "1024:0.3:2048", ":0.3",
	"512:0.30", "1024:x",   "1024:0.3,",    "-1024:0.30",   "1024:-0.3",     "1024::0.3",
	"0:0.3",    "1024 :.3", "1024:0.3:5:1", "1024:0.3/day",
};

START_TEST(no_list)
{
	struct price_list list = price_list_default();

	ck_assert_int_eq(price_list_parse(&list, no_lists[_i]), -EINVAL);
	ck_assert_int_eq(price_of(&list, 1024), 300000);
}
END_TEST

static const struct {
	const char *text;
	struct price_budget budget;
	const char *shown;
} budgets[] = {
	{ "12.50/day", { true, 12500000, PRICE_DAY }, "12.50 USD a day" },
	{ "100/month", { true, 100000000, PRICE_MONTH }, "100.00 USD a month" },
	{ "0.9", { true, 900000, PRICE_EVER }, "0.90 USD in all" },
	{ "0", { true, 0, PRICE_EVER }, "0.00 USD in all" },
};

START_TEST(budgets_are_read)
{
	struct price_budget budget = { 0 };
	char buf[PRICE_BUDGET_TEXT_MAX];

	ck_assert_int_eq(price_budget_parse(&budget, budgets[_i].text), 0);
	ck_assert(budget.set);
	ck_assert_int_eq(budget.micros, budgets[_i].budget.micros);
	ck_assert_int_eq(budget.period, budgets[_i].budget.period);
	ck_assert_str_eq(price_budget_text(&budget, buf), budgets[_i].shown);
}
END_TEST

static const char *const no_budgets[] = { "",    "day",    "/day",     "12/",
					  "-1",  "12/Day", "12/days",  "12/week",
					  "$12", "12 USD", "12,5/day", "1e3",
					  "nan", "inf",    "12/day ",  "1000001/day" };

START_TEST(no_budget)
{
	struct price_budget budget = { 0 };

	ck_assert_int_eq(price_budget_parse(&budget, no_budgets[_i]), -EINVAL);
	ck_assert(!budget.set);
}
END_TEST

static const struct {
	enum price_period period;
	int64_t at, start;
} windows[] = {
	{ PRICE_DAY, MAY_22, MAY_22 },
	{ PRICE_DAY, MAY_22 - 1, MAY_22 - 24 * HOUR },
	{ PRICE_DAY, MAY_22 + 24 * HOUR - 1, MAY_22 },
	{ PRICE_DAY, -1, -24 * HOUR },
	{ PRICE_DAY, 0, 0 },
	{ PRICE_MONTH, MAY_22, MAY_22 - 21 * 24 * HOUR },
	{ PRICE_MONTH, MAY_22 + 10 * 24 * HOUR - 1, MAY_22 - 21 * 24 * HOUR },
	{ PRICE_MONTH, MAY_22 + 10 * 24 * HOUR, MAY_22 + 10 * 24 * HOUR },
	{ PRICE_MONTH, 1709208000000, 1706745600000 }, /* 29 and 1 February 2024 */
	{ PRICE_MONTH, 0, 0 },
	{ PRICE_EVER, MAY_22, INT64_MIN },
};

START_TEST(periods_are_those_of_utc)
{
	/* Whatever the clock on the wall says. */
	setenv("TZ", "Pacific/Auckland", 1);
	ck_assert_int_eq(price_period_start(windows[_i].period, windows[_i].at), windows[_i].start);
}
END_TEST

START_TEST(what_is_left)
{
	struct price_account account = {
		.today = 1000, .month = 2000, .ever = 3000, .budget = { true, 2500, PRICE_DAY }
	};

	ck_assert_int_eq(price_left(&account), 1500);
	account.budget.period = PRICE_MONTH;
	ck_assert_int_eq(price_left(&account), 500);
	account.budget.period = PRICE_EVER;
	ck_assert_int_eq(price_spent(&account), 3000);
	ck_assert_int_eq(price_left(&account), 0);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
	Suite *suite = suite_create("price");
	TCase *tcase = tcase_create("price");
	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, amounts_are_exact, 0, COUNT(amounts));
	tcase_add_loop_test(tcase, no_amount, 0, COUNT(no_amounts));
	tcase_add_test(tcase, extreme_amounts_fit);
	tcase_add_test(tcase, the_documented_prices);
	tcase_add_test(tcase, prices_can_be_replaced);
	tcase_add_loop_test(tcase, no_list, 0, COUNT(no_lists));
	tcase_add_loop_test(tcase, budgets_are_read, 0, COUNT(budgets));
	tcase_add_loop_test(tcase, no_budget, 0, COUNT(no_budgets));
	tcase_add_loop_test(tcase, periods_are_those_of_utc, 0, COUNT(windows));
	tcase_add_test(tcase, what_is_left);
	return run_suite(suite);
}
