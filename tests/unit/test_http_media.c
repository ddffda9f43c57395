/* http towards the CDN: nothing that the server says is believed unchecked, and it gets no key. */
#include "http_server.h"
#include "run.h"

#include <errno.h>

#define SIZE 10000

static char content[SIZE];

static void make_content(void)
{
	for (int i = 0; i < SIZE; i++)
		content[i] = (char)(i * 7 + i / 256);
}

/* What came of a head or a fetch. */
struct got {
	sem_t done, some;
	atomic_int calls;
	int begins, refuse_begin, refuse_data;
	enum remote_fault fault;
	long http_status;
	int64_t size, start, mtime_s;
	bool ranges;
	char etag[64], media_type[64], detail[256];
	uint64_t at, end;
	char bytes[SIZE];
};

static void note(struct got *got, const struct remote_object *object)
{
	got->fault = object->fault;
	got->http_status = object->http_status;
	got->size = object->size;
	got->start = object->start;
	got->mtime_s = object->mtime_s;
	got->ranges = object->ranges;
	snprintf(got->etag, sizeof(got->etag), "%s", object->etag ? object->etag : "");
	snprintf(got->media_type, sizeof(got->media_type), "%s",
		 object->media_type ? object->media_type : "");
	snprintf(got->detail, sizeof(got->detail), "%s", object->detail);
}

static int on_begin(void *arg, const struct remote_object *object)
{
	struct got *got = arg;

	got->begins++;
	note(got, object);
	got->at = (uint64_t)object->start;
	return got->refuse_begin;
}

static int on_data(void *arg, uint64_t offset, const void *data, size_t len)
{
	struct got *got = arg;

	ck_assert_int_eq(got->begins, 1);
	ck_assert_uint_eq(offset, got->at);
	ck_assert_uint_le(offset + len, SIZE);
	memcpy(got->bytes + offset, data, len);
	got->at += len;
	sem_post(&got->some);
	return got->refuse_data;
}

static void on_end(void *arg, const struct remote_object *object)
{
	struct got *got = arg;

	got->calls++;
	note(got, object);
	sem_post(&got->done);
}

static void got_init(struct got *got)
{
	memset(got, 0, sizeof(*got));
	sem_init(&got->done, 0, 0);
	sem_init(&got->some, 0, 0);
}

static void wait_end(struct got *got)
{
	sem_wait(&got->done);
	ck_assert_int_eq(got->calls, 1);
	ck_assert_str_ne(got->detail, "");
}

static void head(struct got *got, const char *url)
{
	got_init(got);
	ck_assert_int_eq(remote->head(remote->ctx, url, on_end, got), 0);
	wait_end(got);
}

static uint64_t begin_fetch(struct got *got, uint64_t start, uint64_t end, const char *etag)
{
	struct remote_fetch fetch = {
		.url = server.url,
		.start = start,
		.end = end,
		.size = SIZE,
		.etag = etag,
		.begin = on_begin,
		.data = on_data,
		.done = on_end,
		.arg = got,
	};
	uint64_t id = 0;

	got->end = end;
	ck_assert_int_eq(remote->fetch(remote->ctx, &fetch, &id), 0);
	ck_assert_uint_ne(id, 0);
	return id;
}

static void fetch(struct got *got, uint64_t start, uint64_t end, const char *etag)
{
	got_init(got);
	begin_fetch(got, start, end, etag);
	wait_end(got);
}

static void check_bytes(const struct got *got, uint64_t start)
{
	ck_assert_msg(got->fault == REMOTE_OK, "%s: %s", remote_fault_name(got->fault),
		      got->detail);
	ck_assert_int_eq(got->begins, 1);
	ck_assert_uint_ge(got->at, got->end);
	ck_assert_mem_eq(got->bytes + start, content + start, got->end - start);
}

static bool send_bytes(int fd, uint64_t start, uint64_t end)
{
	return send(fd, content + start, end - start, MSG_NOSIGNAL) == (ssize_t)(end - start);
}

static bool asked_range(const char *request, unsigned long *start, unsigned long *end)
{
	const char *line = strcasestr(request, "\r\nRange: bytes=");

	if (!line || sscanf(line + 15, "%lu-%lu", start, end) != 2)
		return false;
	++*end;
	return true;
}

#define GOOD_HEADERS                                                                               \
	"Content-Type: model/glb\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\n"                      \
	"Last-Modified: Fri, 22 May 2026 13:17:32 GMT\r\n"

/* A CDN as it should be. */
static bool good(struct server *s, int fd, const char *request)
{
	unsigned long start, end;

	(void)s;
	if (!strncmp(request, "HEAD", 4))
		return sayf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n", SIZE,
			    GOOD_HEADERS);
	if (!asked_range(request, &start, &end))
		return sayf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n", SIZE,
			    GOOD_HEADERS) &&
		       send_bytes(fd, 0, SIZE);
	return sayf(fd,
		    "HTTP/1.1 206 Partial\r\nContent-Length: %lu\r\n"
		    "Content-Range: bytes %lu-%lu/%d\r\n%s\r\n",
		    end - start, start, end - 1, SIZE, GOOD_HEADERS) &&
	       send_bytes(fd, start, end);
}

START_TEST(head_describes)
{
	struct got got;

	start(good);
	head(&got, server.url);
	ck_assert_int_eq(got.fault, REMOTE_OK);
	ck_assert_int_eq(got.http_status, 200);
	ck_assert_int_eq(got.size, SIZE);
	ck_assert(got.ranges);
	ck_assert_str_eq(got.etag, "\"v1\"");
	ck_assert_str_eq(got.media_type, "model/glb");
	ck_assert_int_eq(got.mtime_s, 1779455852);
	ck_assert_int_eq(server.requests, 1);
	ck_assert(server_saw(&server, "HEAD / HTTP/1.1"));
	ck_assert(!server_saw(&server, TEST_KEY));
	ck_assert(!server_saw(&server, "Subscription"));
	stop();
}
END_TEST

static bool refuse_head(struct server *s, int fd, const char *request)
{
	static const char *const words[] = { "403 Forbidden", "405 Not Allowed",
					     "501 Not Implemented", "200 OK" };

	if (strncmp(request, "HEAD", 4))
		return good(s, fd, request);
	return sayf(fd, "HTTP/1.1 %s\r\n%s\r\n", words[s->step],
		    s->step < 3 ? "Content-Length: 5\r\n" : "");
}

START_TEST(head_falls_back_to_one_byte)
{
	struct got got;

	start(refuse_head);
	server.step = _i;
	head(&got, server.url);
	ck_assert_int_eq(got.fault, REMOTE_OK);
	ck_assert_int_eq(got.http_status, 206);
	ck_assert_int_eq(got.size, SIZE);
	ck_assert(got.ranges);
	ck_assert(server_saw(&server, "\r\nRange: bytes=0-0\r\n"));
	ck_assert_int_eq(server.requests, 2);
	stop();
}
END_TEST

static bool know_no_ranges(struct server *s, int fd, const char *request)
{
	if (!strncmp(request, "HEAD", 4))
		return refuse_head(s, fd, request);
	return sayf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE) &&
	       send_bytes(fd, 0, SIZE);
}

START_TEST(head_of_a_server_without_ranges)
{
	struct got got;

	start(know_no_ranges);
	head(&got, server.url);
	ck_assert_int_eq(got.fault, REMOTE_OK);
	ck_assert_int_eq(got.size, SIZE);
	ck_assert(!got.ranges);
	stop();
}
END_TEST

/* No length in any header: chunked, and ended by the connection's end; a GLB file, and another. */
static bool tell_no_size(struct server *s, int fd, const char *request)
{
	static const char glb[] = "glTF\2\0\0\0\x10\x27\0"; /* 10000, and the 0 that ends it */
	bool chunked = s->step & 1, is_glb = s->step & 2;

	sayf(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n%s\r\n",
	     chunked ? "Transfer-Encoding: chunked\r\n" : "");
	if (!strncmp(request, "HEAD", 4))
		return false;
	if (chunked)
		sayf(fd, "%x\r\n", is_glb ? 12 : SIZE);
	if (is_glb)
		(void)!send(fd, glb, 12, MSG_NOSIGNAL);
	else
		send_bytes(fd, 0, SIZE);
	if (chunked && !is_glb)
		sayf(fd, "\r\n0\r\n\r\n");
	return false;
}

START_TEST(a_size_that_nobody_tells_is_found_out)
{
	struct got got;

	start(tell_no_size);
	server.step = _i;
	head(&got, server.url);
	ck_assert_int_eq(got.fault, REMOTE_OK);
	ck_assert_int_eq(got.size, SIZE);
	ck_assert(!got.ranges);
	ck_assert_int_eq(server.requests, 2);
	stop();
}
END_TEST

/* A chunked body that breaks off has no size. */
static bool break_off(struct server *s, int fd, const char *request)
{
	(void)s;
	sayf(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	if (strncmp(request, "HEAD", 4)) {
		sayf(fd, "%x\r\n", SIZE);
		send_bytes(fd, 0, SIZE / 2);
	}
	return false;
}

START_TEST(half_a_body_has_no_size)
{
	struct got got;

	start(break_off);
	head(&got, server.url);
	ck_assert_int_eq(got.fault, REMOTE_CUT);
	ck_assert_int_eq(got.size, -1);
	stop();
}
END_TEST

static bool refuse(struct server *s, int fd, const char *request)
{
	static const char *const words[] = { "404 Not Found", "410 Gone", "403 Forbidden",
					     "503 Busy" };

	if (strncmp(request, "HEAD", 4))
		return answer(fd, words[s->step], "", "<Error/>");
	return sayf(fd, "HTTP/1.1 %s\r\nContent-Length: 8\r\n\r\n", words[s->step]);
}

START_TEST(refusals_are_told)
{
	static const long statuses[] = { 404, 410, 403, 503 };
	struct got got;

	start(refuse);
	server.step = _i;
	head(&got, server.url);
	ck_assert_int_eq(got.fault, REMOTE_OK);
	ck_assert_int_eq(got.http_status, statuses[_i]);
	ck_assert_int_eq(got.size, -1);
	fetch(&got, 0, 100, NULL);
	ck_assert_int_eq(got.fault, REMOTE_OK);
	ck_assert_int_eq(got.http_status, statuses[_i]);
	ck_assert_int_eq(got.begins, 0);
	stop();
}
END_TEST

START_TEST(fetches_ranges)
{
	struct got got;

	start(good);
	fetch(&got, 0, SIZE, "\"v1\"");
	check_bytes(&got, 0);
	ck_assert(!server_saw(&server, "\r\nRange"));
	fetch(&got, 5000, 5001, "\"v1\"");
	check_bytes(&got, 5000);
	ck_assert_int_eq(got.start, 5000);
	ck_assert_int_eq(got.size, SIZE);
	ck_assert(server_saw(&server, "\r\nRange: bytes=5000-5000\r\n"));
	ck_assert(server_saw(&server, "\r\nIf-Range: \"v1\"\r\n"));
	ck_assert(!server_saw(&server, TEST_KEY));
	/* A weak one may be of other bytes, and is never right in an If-Range. */
	fetch(&got, 9000, SIZE, "W/\"v1\"");
	check_bytes(&got, 9000);
	ck_assert(!server_saw(&server, "If-Range"));
	fetch(&got, 9000, SIZE, NULL);
	check_bytes(&got, 9000);
	ck_assert(!server_saw(&server, "If-Range"));
	ck_assert_uint_eq(got.at, SIZE);
	head(&got, server.url);
	ck_assert_int_eq(server.connected, 1);
	stop();
}
END_TEST

START_TEST(impossible_ranges)
{
	struct remote_fetch ask = { .url = "http://127.0.0.1/", .size = SIZE };
	uint64_t id;

	start(good);
	ck_assert_int_eq(remote->fetch(remote->ctx, &ask, &id), -EINVAL);
	ask.end = SIZE + 1;
	ck_assert_int_eq(remote->fetch(remote->ctx, &ask, &id), -EINVAL);
	stop();
}
END_TEST

START_TEST(an_ignored_range_starts_at_zero)
{
	struct got got;

	start(know_no_ranges);
	fetch(&got, 5000, 6000, NULL);
	check_bytes(&got, 0);
	ck_assert_int_eq(got.start, 0);
	ck_assert_int_eq(got.http_status, 200);
	ck_assert_uint_eq(got.at, SIZE);
	stop();
}
END_TEST

struct lie {
	const char *head; /* status line's end and headers */
	int length;       /* bytes that are sent */
	enum remote_fault fault;
	bool begins;
};

/* To a question for [100, 200) of 10000 bytes with ETag "v1". */
static const struct lie lies[] = {
	/* what is right */
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\n", 100, REMOTE_OK, true },
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\nETag: W/\"v1\"\r\n", 100, REMOTE_OK,
	  true },
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\nContent-Encoding: identity\r\n", 100,
	  REMOTE_OK, true },
	{ "200 OK\r\n", 10000, REMOTE_OK, true },
	/* another range */
	{ "206 P\r\nContent-Range: bytes 101-200/10000\r\n", 100, REMOTE_CHANGED, false },
	{ "206 P\r\nContent-Range: bytes 0-99/10000\r\n", 100, REMOTE_CHANGED, false },
	{ "206 P\r\nContent-Range: bytes 100-200/10000\r\n", 101, REMOTE_CHANGED, false },
	{ "206 P\r\nContent-Range: bytes 100-199/10001\r\n", 100, REMOTE_CHANGED, false },
	{ "206 P\r\nContent-Range: bytes 100-199/*\r\n", 100, REMOTE_CHANGED, false },
	{ "206 P\r\nContent-Range: bytes 199-100/10000\r\n", 100, REMOTE_CHANGED, false },
	{ "206 P\r\nContent-Range: bytes 100-18446744073709551615/10000\r\n", 100, REMOTE_CHANGED,
	  false },
	{ "206 P\r\nContent-Range: 100-199/10000\r\n", 100, REMOTE_CHANGED, false },
	{ "206 P\r\n", 100, REMOTE_CHANGED, false },
	/* another object */
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\nETag: \"v2\"\r\n", 100, REMOTE_CHANGED,
	  false },
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\nETag: W/\"v2\"\r\n", 100, REMOTE_CHANGED,
	  false },
	{ "200 OK\r\nETag: \"v2\"\r\n", 10000, REMOTE_CHANGED, false },
	{ "200 OK\r\nContent-Length: 9999\r\n", 9999, REMOTE_CHANGED, false },
	/* encoded */
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\nContent-Encoding: gzip\r\n", 100,
	  REMOTE_CHANGED, false },
	{ "200 OK\r\nContent-Encoding: br\r\n", 10000, REMOTE_CHANGED, false },
	/* too short, too long */
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\n", 50, REMOTE_CUT, true },
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\nContent-Length: 100\r\n", 50, REMOTE_CUT,
	  true },
	{ "206 P\r\nContent-Range: bytes 100-149/10000\r\n", 50, REMOTE_CUT, true },
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\n", 0, REMOTE_CUT, true },
	{ "206 P\r\nContent-Range: bytes 100-199/10000\r\n", 101, REMOTE_CHANGED, true },
	{ "200 OK\r\n", 9999, REMOTE_CUT, true },
	{ "200 OK\r\nContent-Length: 10000\r\n", 5000, REMOTE_CUT, true },
	{ "200 OK\r\nContent-Length: 0\r\n", 0, REMOTE_CHANGED, false },
	/* neither yes nor no */
	{ "204 None\r\n", 0, REMOTE_OK, false },
	{ "304 Same\r\n", 0, REMOTE_REDIRECT, false },
	{ "302 Found\r\nLocation: http://127.0.0.1:1/\r\n", 0, REMOTE_REDIRECT, false },
};
#define LIES (int)(sizeof(lies) / sizeof(*lies))

static bool lie(struct server *s, int fd, const char *request)
{
	const struct lie *now = &lies[s->step];
	uint64_t from = now->length < 5000 ? 100 : 0;

	(void)request;
	sayf(fd, "HTTP/1.1 %s\r\n", now->head);
	send_bytes(fd, from, from + (uint64_t)now->length);
	return false;
}

START_TEST(no_lie_is_believed)
{
	struct got got;

	start(lie);
	server.step = _i;
	fetch(&got, 100, 200, "\"v1\"");
	ck_assert_msg(got.fault == lies[_i].fault, "%s: %s, %s", lies[_i].head,
		      remote_fault_name(got.fault), got.detail);
	ck_assert_int_eq(got.begins, lies[_i].begins);
	if (got.fault == REMOTE_OK && got.begins)
		check_bytes(&got, 100);
	stop();
}
END_TEST

#define MAY_22 "Fri, 22 May 2026 13:17:32 GMT"
#define MAY_23 "Sat, 23 May 2026 13:17:32 GMT"
#define SOON   "Fri, 22 May 2026 13:17:33 GMT"

static const struct {
	const char *known;
	const char *head;
	const char *etag; /* what is known then; NULL: the object is another one */
} identities[] = {
	{ NULL, "ETag: W/\"1\"\r\nLast-Modified: " MAY_22 "\r\nDate: " MAY_23, "W/\"1\"" },
	{ NULL, "Last-Modified: " MAY_22 "\r\nDate: " MAY_23, MAY_22 },
	{ NULL, "ETag: bad\r\nLast-Modified: " MAY_22 "\r\nDate: " MAY_23, MAY_22 },
	/* Changed, or made up, just now: by that it is not known. */
	{ NULL, "Last-Modified: " MAY_22 "\r\nDate: " SOON, "" },
	{ NULL, "Last-Modified: " MAY_22, "" },
	{ NULL, "Last-Modified: yesterday\r\nDate: " MAY_23, "" },
	{ MAY_22, "Last-Modified: " MAY_22 "\r\nDate: " MAY_23, MAY_22 },
	{ MAY_22, "Last-Modified: " SOON "\r\nDate: " MAY_23, NULL },
	{ MAY_22, "Last-Modified: " MAY_23 "\r\nDate: " MAY_23, NULL },
	{ MAY_22, "X: y", "" },
	{ "W/\"1\"", "ETag: W/\"1\"", "W/\"1\"" },
	{ "W/\"1\"", "ETag: W/\"2\"", NULL },
};
#define IDENTITIES (int)(sizeof(identities) / sizeof(*identities))

static bool identify(struct server *s, int fd, const char *request)
{
	(void)request;
	sayf(fd, "HTTP/1.1 206 P\r\nContent-Range: bytes 100-199/10000\r\n%s\r\n\r\n",
	     identities[s->step].head);
	send_bytes(fd, 100, 200);
	return false;
}

/* Without a strong ETag: of two requests for one size, only the second one's object is another. */
START_TEST(known_by_the_best_there_is)
{
	const char *etag = identities[_i].etag;
	struct got got;

	start(identify);
	server.step = _i;
	fetch(&got, 100, 200, identities[_i].known);
	ck_assert_int_eq(got.fault, etag ? REMOTE_OK : REMOTE_CHANGED);
	ck_assert_int_eq(got.begins, etag ? 1 : 0);
	if (etag)
		ck_assert_str_eq(got.etag, etag);
	/* A weak one does not make a range conditional (RFC 9110 section 13.1.5). */
	ck_assert(!server_saw(&server, "If-Range"));
	stop();
}
END_TEST

static bool encode_head(struct server *s, int fd, const char *request)
{
	(void)s;
	sayf(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n");
	if (strncmp(request, "HEAD", 4))
		send_bytes(fd, 0, 10);
	return false;
}

START_TEST(an_encoded_size_is_no_size)
{
	struct got got;

	start(encode_head);
	head(&got, server.url);
	ck_assert_int_eq(got.fault, REMOTE_CHANGED);
	ck_assert_int_eq(got.size, -1);
	stop();
}
END_TEST

START_TEST(reader_may_stop)
{
	struct got got;

	start(good);
	got_init(&got);
	got.refuse_begin = -1;
	begin_fetch(&got, 0, SIZE, NULL);
	wait_end(&got);
	ck_assert_int_eq(got.fault, REMOTE_ABORTED);
	ck_assert_uint_eq(got.at, 0);
	got_init(&got);
	got.refuse_data = -1;
	begin_fetch(&got, 0, SIZE, NULL);
	wait_end(&got);
	ck_assert_int_eq(got.fault, REMOTE_ABORTED);
	stop();
}
END_TEST

static bool stall(struct server *s, int fd, const char *request)
{
	char byte;

	(void)request;
	if (s->step) {
		sayf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
		send_bytes(fd, 0, 100);
	}
	recv(fd, &byte, 1, 0);
	return false;
}

START_TEST(a_stall_is_cut)
{
	struct got got;
	double began = seconds();

	start(stall);
	server.step = _i;
	fetch(&got, 0, SIZE, NULL);
	ck_assert_int_eq(got.fault, REMOTE_TIMEOUT);
	ck_assert_uint_eq(got.at, _i ? 100 : 0);
	/* curl averages the speed over five seconds. */
	ck_assert_double_lt(seconds() - began, 10);
	stop();
}
END_TEST

START_TEST(cancel_ends_it)
{
	struct got got;
	uint64_t id;

	start(stall);
	server.step = 1;
	got_init(&got);
	id = begin_fetch(&got, 0, SIZE, NULL);
	sem_wait(&got.some);
	remote->cancel(remote->ctx, id + 1);
	remote->cancel(remote->ctx, id);
	remote->cancel(remote->ctx, id);
	wait_end(&got);
	ck_assert_int_eq(got.fault, REMOTE_ABORTED);
	remote->cancel(remote->ctx, id);
	for (int i = 0; i < 50; i++) {
		got_init(&got);
		id = begin_fetch(&got, 0, SIZE, NULL);
		remote->cancel(remote->ctx, id);
		wait_end(&got);
		ck_assert_int_eq(got.fault, REMOTE_ABORTED);
	}
	stop();
}
END_TEST

START_TEST(stop_ends_fetches_at_once)
{
	struct got got;
	double began;

	start(stall);
	server.step = 1;
	got_init(&got);
	begin_fetch(&got, 0, SIZE, NULL);
	sem_wait(&got.some);
	began = seconds();
	http_stop(http, 5000);
	ck_assert_double_lt(seconds() - began, 2);
	wait_end(&got);
	ck_assert_int_eq(got.fault, REMOTE_STOPPED);
	stop();
}
END_TEST

static void forbidden(const char *url)
{
	struct got got;

	head(&got, url);
	ck_assert_msg(got.fault == REMOTE_FORBIDDEN, "%s: %s, %s", url,
		      remote_fault_name(got.fault), got.detail);
}

START_TEST(public_gateways_name_no_private_media)
{
	static const char *const hosts[] = { "127.0.0.1",          "localhost",  "[::1]", "0.0.0.0",
					     "[::ffff:127.0.0.1]", "2130706433", "0x7f.1" };
	char url[128];

	server_start(&server, good);
	client_start("https://gateway.example");
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		snprintf(url, sizeof(url), "https://%s:%d/o.glb", hosts[i], server.port);
		forbidden(url);
	}
	forbidden("https://169.254.169.254/latest/meta-data");
	forbidden("https://10.1.2.3/o.glb");
	forbidden("https://[fd00:ec2::254]/");
	forbidden(server.url);
	forbidden("http://cdn.example/o.glb");
	forbidden("file:///etc/passwd");
	forbidden("https://user:word@cdn.example/");
	forbidden("");
	ck_assert_int_eq(server.connected, 0);
	stop();
}
END_TEST

/* Without TLS nothing is fetched by a name that only the network, or curl, knows to be local. */
START_TEST(local_gateways_name_local_media_only)
{
	char url[64];

	start(good);
	snprintf(url, sizeof(url), "http://0x7f.1:%d/o.glb", server.port);
	forbidden(url);
	forbidden("https://192.168.1.1/o.glb");
	forbidden("https://93.184.216.34/o.glb");
	forbidden("http://93.184.216.34/o.glb");
	ck_assert_int_eq(server.connected, 0);
	stop();
}
END_TEST

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, head_describes);
	tcase_add_loop_test(tc, head_falls_back_to_one_byte, 0, 4);
	tcase_add_test(tc, head_of_a_server_without_ranges);
	tcase_add_loop_test(tc, a_size_that_nobody_tells_is_found_out, 0, 4);
	tcase_add_test(tc, half_a_body_has_no_size);
	tcase_add_loop_test(tc, refusals_are_told, 0, 4);
	tcase_add_test(tc, fetches_ranges);
	tcase_add_test(tc, impossible_ranges);
	tcase_add_test(tc, an_ignored_range_starts_at_zero);
	tcase_add_loop_test(tc, no_lie_is_believed, 0, LIES);
	tcase_add_loop_test(tc, known_by_the_best_there_is, 0, IDENTITIES);
	tcase_add_test(tc, an_encoded_size_is_no_size);
	tcase_add_test(tc, reader_may_stop);
	tcase_add_loop_test(tc, a_stall_is_cut, 0, 2);
	tcase_add_test(tc, cancel_ends_it);
	tcase_add_test(tc, stop_ends_fetches_at_once);
	tcase_add_test(tc, public_gateways_name_no_private_media);
	tcase_add_test(tc, local_gateways_name_local_media_only);
}

int main(void)
{
	Suite *suite = suite_create("http media");
	TCase *tc = tcase_create("media");
	add_tests(tc);
	tcase_add_unchecked_fixture(tc, make_content, NULL);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
