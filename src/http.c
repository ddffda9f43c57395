/*
 * http - the network thread and what all requests have in common
 *
 * A request is in the queue (any thread put it there), then active (the network thread took it),
 * then ended: unlinked, finish() called, freed. It is in one list or in none. Only the network
 * thread takes it out of one, so that a callback never meets a request that somebody frees.
 *
 * Rounds: take what is queued and what is to end; let curl work; end what is done; tick; wait.
 */
#include "http_internal.h"

#include "api.h"
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* curl 7.88 keeps every header line of an answer, however many come. */
#define HEADERS_MAX     (128 * 1024)
#define CONNECTIONS_MAX 32

struct http_conf http_conf_default(void)
{
	return (struct http_conf){ .connect_ms = 10000, .answer_ms = 60000, .stall_ms = 30000 };
}

static int64_t mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void free_headers(struct request *request)
{
	/* The key is among them. */
	for (struct curl_slist *line = request->headers; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(request->headers);
	request->headers = NULL;
}

/* Handles are dear to make. One whose transfer broke is not kept: after HTTP/2 connections that
 * died, such a handle was seen to refuse being set up for another kind of request. */
static void put_easy(struct request *request)
{
	struct http_spares *spares = &request->http->spares[request->kind->spares];

	if (request->kind->spares && request->whole && spares->count < HTTP_SPARES) {
		curl_easy_reset(request->easy);
		spares->easy[spares->count++] = request->easy;
	} else {
		curl_easy_cleanup(request->easy);
	}
}

static CURL *take_easy(const struct request *request)
{
	struct http_spares *spares = &request->http->spares[request->kind->spares];

	return spares->count ? spares->easy[--spares->count] : curl_easy_init();
}

static void free_request(struct request *request)
{
	if (request->easy)
		put_easy(request);
	free_headers(request);
	free(request->url);
	request->kind->free(request);
}

/* The http whose network thread this is. */
static _Thread_local struct http *mine;

/* The network thread itself need not be woken: it looks at everything again before it sleeps. */
static void wake_thread(struct http *http)
{
	if (mine == http)
		http->again = true;
	else
		curl_multi_wakeup(http->multi);
}

int http_enqueue(struct http *http, struct request *request, uint64_t *id)
{
	int r = 0;

	request->http = http;
	pthread_mutex_lock(&http->lock);
	if (http->stopping) {
		r = -ESHUTDOWN;
	} else {
		request->id = ++http->last_id;
		if (id)
			*id = request->id;
		TAILQ_INSERT_TAIL(&http->queue, request, entry);
	}
	pthread_mutex_unlock(&http->lock);
	if (r)
		free_request(request);
	else
		wake_thread(http);
	return r;
}

size_t http_decide(struct request *request, enum remote_fault fault, const char *why)
{
	if (!request->decided) {
		request->decided = true;
		request->verdict = fault;
		request->why = why;
	}
	return CURL_WRITEFUNC_ERROR;
}

void http_header(struct request *request, const char *line)
{
	struct curl_slist *list = curl_slist_append(request->headers, line);

	if (list)
		request->headers = list;
	else
		request->setup = CURLE_OUT_OF_MEMORY;
}

const char *http_answer_header(struct request *request, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(request->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

/* Callbacks of curl, on the network thread. */

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct request *request = arg;

	(void)data;
	request->header_bytes += size * count;
	if (request->header_bytes > HEADERS_MAX)
		return http_decide(request, REMOTE_TOO_BIG, "the answer's headers have no end");
	return size * count;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct request *request = arg;

	return request->kind->receive(request, data, size * count);
}

/* Once a request has gone out it must not go out again, whatever curl thinks of it. */
static int on_ready(void *arg, char *peer, char *own, int peer_port, int own_port)
{
	struct request *request = arg;

	(void)peer, (void)own, (void)peer_port, (void)own_port;
	if (request->kind->sending && request->sent) {
		http_decide(request, REMOTE_CUT, "the connection ended without an answer");
		return CURL_PREREQFUNC_ABORT;
	}
	if (request->kind->sending && request->kind->sending(request)) {
		http_decide(request, REMOTE_ABORTED, "stopped before anything was sent");
		return CURL_PREREQFUNC_ABORT;
	}
	request->sent = true;
	return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct request *request = arg;

	(void)purpose;
	if (!http_address_allowed(&address->addr, request->reach)) {
		request->out_of_reach = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Setting up. */

static void set_common(struct request *request)
{
	const struct http_conf *conf = &request->http->conf;

	HTTP_SET(request, CURLOPT_PRIVATE, request);
	HTTP_SET(request, CURLOPT_URL, request->url);
	HTTP_SET(request, CURLOPT_ERRORBUFFER, request->curl_words);
	HTTP_SET(request, CURLOPT_USERAGENT, "pixal3dfs/" VERSION);
	HTTP_SET(request, CURLOPT_HEADERFUNCTION, on_header);
	HTTP_SET(request, CURLOPT_HEADERDATA, request);
	HTTP_SET(request, CURLOPT_WRITEFUNCTION, on_data);
	HTTP_SET(request, CURLOPT_WRITEDATA, request);
	HTTP_SET(request, CURLOPT_PREREQFUNCTION, on_ready);
	HTTP_SET(request, CURLOPT_PREREQDATA, request);
	HTTP_SET(request, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	HTTP_SET(request, CURLOPT_OPENSOCKETDATA, request);
	HTTP_SET(request, CURLOPT_NOSIGNAL, 1L);
	/* Else a dead name server holds the thread for ten seconds, whatever the timeout. */
	HTTP_SET(request, CURLOPT_QUICK_EXIT, 1L);
	HTTP_SET(request, CURLOPT_CONNECTTIMEOUT_MS, (long)conf->connect_ms);
	HTTP_SET(request, CURLOPT_FOLLOWLOCATION, 0L);
	HTTP_SET(request, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	/* Through a proxy no address could be judged, and plain http would show it the key. */
	HTTP_SET(request, CURLOPT_PROXY, "");
	HTTP_SET(request, CURLOPT_PROTOCOLS_STR, request->http->local ? "http,https" : "https");
	if (conf->ca_file)
		HTTP_SET(request, CURLOPT_CAINFO, conf->ca_file);
}

static enum remote_fault set_up(struct request *request)
{
	enum remote_fault fault;

	request->easy = take_easy(request);
	if (!request->easy)
		return REMOTE_ABORTED;
	set_common(request);
	fault = request->kind->prepare(request);
	HTTP_SET(request, CURLOPT_HTTPHEADER, request->headers);
	if (fault == REMOTE_OK && request->setup != CURLE_OK)
		fault = REMOTE_ABORTED;
	return fault;
}

/* Counting. */

static void count(struct http *http, enum http_count which, uint64_t more)
{
	atomic_fetch_add_explicit(&http->counts[which], more, memory_order_relaxed);
}

static uint64_t counted(struct http *http, enum http_count which)
{
	return atomic_load_explicit(&http->counts[which], memory_order_relaxed);
}

void http_counts(struct http *http, struct http_counts *out)
{
	*out = (struct http_counts){
		.submissions = counted(http, HTTP_COUNT_SUBMISSIONS),
		.polls = counted(http, HTTP_COUNT_POLLS),
		.heads = counted(http, HTTP_COUNT_HEADS),
		.fetches = counted(http, HTTP_COUNT_FETCHES),
		.uploads = counted(http, HTTP_COUNT_UPLOADS),
		.bytes = counted(http, HTTP_COUNT_BYTES),
	};
}

/* Ending. */

/* The last of REQUEST, which is in no list any more. */
static void finish(struct request *request, enum remote_fault fault)
{
	long http_status = 0;

	if (request->easy)
		curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &http_status);
	if (fault == REMOTE_OK && http_status >= 300 && http_status < 400)
		fault = REMOTE_REDIRECT;
	request->kind->finish(request, fault, http_status, http_detail_of(request, fault));
	free_request(request);
}

static void finish_active(struct request *request, enum remote_fault fault)
{
	pthread_mutex_lock(&request->http->lock);
	TAILQ_REMOVE(&request->http->active, request, entry);
	pthread_mutex_unlock(&request->http->lock);
	finish(request, fault);
}

/* Begins the next transfer of a request that had one. */
static bool restart(struct request *request)
{
	request->header_bytes = 0;
	request->decided = false;
	request->why = NULL;
	request->curl_words[0] = '\0';
	return request->setup == CURLE_OK &&
	       curl_multi_add_handle(request->http->multi, request->easy) == CURLM_OK;
}

static void transfer_ended(struct request *request, CURLcode code)
{
	enum remote_fault fault = http_fault_of(request, code);
	long http_status = 0;
	curl_off_t bytes = 0;

	request->whole = code == CURLE_OK;
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &http_status);
	curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
	count(request->http, HTTP_COUNT_BYTES, (uint64_t)bytes);
	curl_multi_remove_handle(request->http->multi, request->easy);
	if (request->kind->again && request->kind->again(request, fault, http_status)) {
		if (restart(request))
			return;
		http_decide(request, REMOTE_ABORTED, NULL);
	}
	if (code != CURLE_OK && !request->decided && !request->curl_words[0])
		request->why = curl_easy_strerror(code);
	finish_active(request, http_fault_of(request, code));
}

static void start(struct request *request)
{
	struct http *http = request->http;
	enum remote_fault fault = set_up(request);

	if (fault == REMOTE_OK && curl_multi_add_handle(http->multi, request->easy) != CURLM_OK)
		fault = REMOTE_ABORTED;
	if (fault != REMOTE_OK)
		finish_active(request, fault);
	else
		count(http, request->kind->count, 1);
}

/* Rounds of the network thread. */

static void start_queued(struct http *http)
{
	struct request *request;

	for (;;) {
		pthread_mutex_lock(&http->lock);
		request = http->stopping ? NULL : TAILQ_FIRST(&http->queue);
		if (request) {
			TAILQ_REMOVE(&http->queue, request, entry);
			TAILQ_INSERT_TAIL(&http->active, request, entry);
		}
		pthread_mutex_unlock(&http->lock);
		if (!request)
			return;
		start(request);
	}
}

static void end_all(struct http *http, struct request_list *list, enum remote_fault fault)
{
	struct request *request;

	while ((request = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, request, entry);
		if (request->easy)
			curl_multi_remove_handle(http->multi, request->easy);
		if (fault == REMOTE_ABORTED)
			http_decide(request, fault, "cancelled");
		finish(request, fault);
	}
}

static void end_cancelled(struct http *http)
{
	struct request_list ended = TAILQ_HEAD_INITIALIZER(ended);
	struct request *request, *next;

	pthread_mutex_lock(&http->lock);
	request = http->any_cancelled ? TAILQ_FIRST(&http->active) : NULL;
	http->any_cancelled = false;
	for (; request; request = next) {
		next = TAILQ_NEXT(request, entry);
		if (!request->cancelled)
			continue;
		TAILQ_REMOVE(&http->active, request, entry);
		TAILQ_INSERT_TAIL(&ended, request, entry);
	}
	pthread_mutex_unlock(&http->lock);
	end_all(http, &ended, REMOTE_ABORTED);
}

/* While stopping: ends all but the submissions whose answer is still waited for. The milliseconds
 * that are left for these; -1: nothing is left to do. */
static int64_t end_stopped(struct http *http)
{
	struct request_list ended = TAILQ_HEAD_INITIALIZER(ended);
	struct request *request, *next;
	int64_t left;
	bool more;

	pthread_mutex_lock(&http->lock);
	left = http->stop_at_ms - mono_ms();
	for (request = TAILQ_FIRST(&http->active); request; request = next) {
		next = TAILQ_NEXT(request, entry);
		if (left > 0 && request->kind->patient && request->sent)
			continue;
		TAILQ_REMOVE(&http->active, request, entry);
		TAILQ_INSERT_TAIL(&ended, request, entry);
	}
	TAILQ_CONCAT(&ended, &http->queue, entry);
	more = !TAILQ_EMPTY(&http->active);
	pthread_mutex_unlock(&http->lock);
	end_all(http, &ended, REMOTE_STOPPED);
	return more ? left : -1;
}

static void end_done(struct http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		CURLcode code = message->data.result;
		struct request *request;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		transfer_ended(request, code);
	}
}

static bool is_stopping(struct http *http)
{
	bool stopping;

	pthread_mutex_lock(&http->lock);
	stopping = http->stopping;
	pthread_mutex_unlock(&http->lock);
	return stopping;
}

static int64_t call_tick(struct http *http)
{
	int64_t wait = http->tick(http->tick_arg);

	return wait > 0 ? wait : 0;
}

static void *network_thread(void *arg)
{
	struct http *http = arg;
	int64_t wait = 0;
	int running;

	mine = http;
	while (wait >= 0) {
		if (wait > 0)
			curl_multi_poll(http->multi, NULL, 0, wait > INT_MAX ? INT_MAX : (int)wait,
					NULL);
		http->again = false;
		start_queued(http);
		end_cancelled(http);
		curl_multi_perform(http->multi, &running);
		http_flush(http);
		end_done(http);
		wait = is_stopping(http) ? end_stopped(http) : call_tick(http);
		if (wait > 0 && http->again)
			wait = 0;
	}
	return NULL;
}

/* Entry points. */

static void mark_cancelled_locked(struct http *http, struct request_list *list, uint64_t id)
{
	struct request *request;

	for (request = TAILQ_FIRST(list); request; request = TAILQ_NEXT(request, entry)) {
		if (request->id == id) {
			request->cancelled = true;
			http->any_cancelled = true;
		}
	}
}

static void http_cancel(void *ctx, uint64_t id)
{
	struct http *http = ctx;

	pthread_mutex_lock(&http->lock);
	mark_cancelled_locked(http, &http->queue, id);
	mark_cancelled_locked(http, &http->active, id);
	pthread_mutex_unlock(&http->lock);
	wake_thread(http);
}

static void http_wake(void *ctx)
{
	wake_thread(ctx);
}

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool set_conf(struct http *http, const struct http_conf *conf)
{
	http->conf = *conf;
	http->conf.gateway = strdup(conf->gateway);
	http->conf.ca_file = conf->ca_file ? strdup(conf->ca_file) : NULL;
	if (!http->conf.gateway || (conf->ca_file && !http->conf.ca_file))
		return false;
	/* Only such a gateway may name plain http. */
	http->local = api_media_url_allowed(http->conf.gateway, "http://127.0.0.1/");
	return true;
}

struct http *http_new(const struct http_conf *conf)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	pthread_once(&once, init_curl);
	pthread_mutex_init(&http->lock, NULL);
	TAILQ_INIT(&http->queue);
	TAILQ_INIT(&http->active);
	http->multi = curl_multi_init();
	http->gathered = malloc(HTTP_GATHER);
	if (!set_conf(http, conf) || !http->multi || !http->gathered) {
		http_free(http);
		errno = ENOMEM;
		return NULL;
	}
	curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
	http->remote = (struct remote){ .ctx = http,
					.submit = http_submit,
					.status = http_status,
					.head = http_head,
					.fetch = http_fetch,
					.cancel = http_cancel,
					.upload = http_upload,
					.wake = http_wake };
	return http;
}

const struct remote *http_remote(struct http *http)
{
	return &http->remote;
}

int http_start(struct http *http, int64_t (*tick)(void *arg), void *arg)
{
	sigset_t all, before;
	int error;

	http->tick = tick;
	http->tick_arg = arg;
	/* SIGPIPE among them: curl leaves it alone, and a TLS write may raise it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&http->thread, NULL, network_thread, http);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	http->started = !error;
	return -error;
}

void http_stop(struct http *http, int64_t grace_ms)
{
	pthread_mutex_lock(&http->lock);
	http->stopping = true;
	http->stop_at_ms = mono_ms() + grace_ms;
	pthread_mutex_unlock(&http->lock);
	curl_multi_wakeup(http->multi);
	if (http->started)
		pthread_join(http->thread, NULL);
	else
		end_stopped(http);
	http->started = false;
}

static void free_spares(struct http_spares *spares)
{
	while (spares->count)
		curl_easy_cleanup(spares->easy[--spares->count]);
}

void http_free(struct http *http)
{
	if (!http)
		return;
	if (http->multi) {
		http_stop(http, 0);
		for (int kind = 0; kind < HTTP_SPARE_KINDS; kind++)
			free_spares(&http->spares[kind]);
		curl_multi_cleanup(http->multi);
	}
	pthread_mutex_destroy(&http->lock);
	free(http->gathered);
	free((char *)http->conf.gateway);
	free((char *)http->conf.ca_file);
	free(http);
}
