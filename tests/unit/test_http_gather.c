/* http: the bytes of a fetch are gathered into larger pieces, and none is ever held back. */
#include "http_server.h"
#include "run.h"

#define SIZE     (4 << 20)
#define PART     (300 << 10) /* more than is given straight through, less than the whole */
#define STRAIGHT (256 << 10)

static unsigned char content[SIZE];

struct got {
	sem_t part, done;
	atomic_int calls, pieces;
	size_t first;
	uint64_t at, stop_at;
	enum remote_fault fault;
};

static int on_begin(void *arg, const struct remote_object *object)
{
	((struct got *)arg)->at = (uint64_t)object->start;
	return 0;
}

static int on_data(void *arg, uint64_t offset, const void *data, size_t len)
{
	struct got *got = arg;
	bool before = offset < PART;

	ck_assert_uint_eq(offset, got->at);
	ck_assert(memcmp(content + offset, data, len) == 0);
	if (!got->pieces++)
		got->first = len;
	got->at += len;
	if (before && got->at >= PART)
		sem_post(&got->part);
	return got->stop_at && got->at >= got->stop_at;
}

static void on_end(void *arg, const struct remote_object *object)
{
	struct got *got = arg;

	got->calls++;
	got->fault = object->fault;
	sem_post(&got->done);
}

static void begin_fetch(struct got *got, uint64_t stop_at)
{
	struct remote_fetch fetch = {
		.url = server.url,
		.end = SIZE,
		.size = SIZE,
		.begin = on_begin,
		.data = on_data,
		.done = on_end,
		.arg = got,
	};
	uint64_t id;

	memset(got, 0, sizeof(*got));
	got->stop_at = stop_at;
	sem_init(&got->part, 0, 0);
	sem_init(&got->done, 0, 0);
	ck_assert_int_eq(remote->fetch(remote->ctx, &fetch, &id), 0);
}

static void wait_end(struct got *got, enum remote_fault fault)
{
	sem_wait(&got->done);
	ck_assert_int_eq(got->calls, 1);
	ck_assert_str_eq(remote_fault_name(got->fault), remote_fault_name(fault));
}

static bool send_bytes(int fd, size_t start, size_t end)
{
	while (start < end) {
		ssize_t n = send(fd, content + start, end - start, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		start += (size_t)n;
	}
	return true;
}

static bool send_head(int fd)
{
	char head[64];

	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
	return say(fd, head);
}

static bool whole(struct server *s, int fd, const char *request)
{
	(void)s, (void)request;
	return send_head(fd) && send_bytes(fd, 0, SIZE);
}

static sem_t more;

/* The first part, and the rest when the test says so. */
static bool in_two(struct server *s, int fd, const char *request)
{
	(void)s, (void)request;
	if (!send_head(fd) || !send_bytes(fd, 0, PART))
		return false;
	sem_wait(&more);
	return send_bytes(fd, PART, SIZE);
}

static bool cut(struct server *s, int fd, const char *request)
{
	(void)s, (void)request;
	return send_head(fd) && send_bytes(fd, 0, PART) && false;
}

START_TEST(pieces_are_large)
{
	struct got got;

	start(whole);
	begin_fetch(&got, 0);
	wait_end(&got, REMOTE_OK);
	ck_assert_uint_eq(got.at, SIZE);
	ck_assert_uint_le(got.first, STRAIGHT);
	ck_assert_int_lt(got.pieces, SIZE / 16384 / 2);
	stop();
}
END_TEST

START_TEST(a_slow_server_s_bytes_are_given)
{
	struct got got;

	sem_init(&more, 0, 0);
	start(in_two);
	begin_fetch(&got, 0);
	sem_wait(&got.part); /* or the test runs out of time */
	sem_post(&more);
	wait_end(&got, REMOTE_OK);
	ck_assert_uint_eq(got.at, SIZE);
	stop();
}
END_TEST

START_TEST(a_cut_gives_what_came)
{
	struct got got;

	start(cut);
	begin_fetch(&got, 0);
	wait_end(&got, REMOTE_CUT);
	ck_assert_uint_eq(got.at, PART);
	stop();
}
END_TEST

START_TEST(fetches_are_not_mixed)
{
	struct got got[4];

	start(whole);
	for (int i = 0; i < 4; i++)
		begin_fetch(&got[i], 0);
	for (int i = 0; i < 4; i++) {
		wait_end(&got[i], REMOTE_OK);
		ck_assert_uint_eq(got[i].at, SIZE);
	}
	stop();
}
END_TEST

/* The server says nothing more: it is not waited for. */
START_TEST(a_reader_stops)
{
	struct got got;
	double began = seconds();

	sem_init(&more, 0, 0);
	start(in_two);
	begin_fetch(&got, _i ? PART : STRAIGHT + 1);
	wait_end(&got, REMOTE_ABORTED);
	ck_assert_double_lt(seconds() - began, 0.9); /* of the stall's 1 s */
	sem_post(&more);
	stop();
}
END_TEST

/* At the very last byte too. */
START_TEST(a_reader_stops_at_the_end)
{
	struct got got;

	start(whole);
	begin_fetch(&got, SIZE);
	wait_end(&got, REMOTE_ABORTED);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_gather");
	TCase *tcase = tcase_create("gather");
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (unsigned char)(i * 7 + i / 256 + i / 65536);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, pieces_are_large);
	tcase_add_test(tcase, a_slow_server_s_bytes_are_given);
	tcase_add_test(tcase, a_cut_gives_what_came);
	tcase_add_test(tcase, fetches_are_not_mixed);
	tcase_add_loop_test(tcase, a_reader_stops, 0, 2);
	tcase_add_test(tcase, a_reader_stops_at_the_end);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
