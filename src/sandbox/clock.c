#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static struct tm utc(int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm = { 0 };

	gmtime_r(&seconds, &tm);
	return tm;
}

void clock_iso(int64_t ms, char out[CLOCK_TEXT])
{
	struct tm tm = utc(ms);
	size_t n = strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(out + n, CLOCK_TEXT - n, ".%03dZ", (int)(ms % 1000));
}

void clock_sql(int64_t ms, char out[CLOCK_TEXT])
{
	struct tm tm = utc(ms);

	strftime(out, CLOCK_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
}

void clock_http(int64_t ms, char out[CLOCK_TEXT])
{
	struct tm tm = utc(ms);

	strftime(out, CLOCK_TEXT, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}
