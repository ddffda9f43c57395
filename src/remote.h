/*
 * remote - the one seam to the network
 *
 * Role:    what the driver asks of the service and its CDN, as a small vtable. `http` implements it
 * over libcurl, tests implement it with scripts.
 *
 * The contract:
 *  - Every operation may be called from any thread, never blocks, and never calls back before it
 * has returned. It copies what it needs of its arguments. It gives 0, or -errno when nothing was
 * begun and no callback will come.
 *  - After 0, `done` comes exactly once, on the network thread, with no lock held. Other callbacks
 * of the same request come before it, on the same thread. Pointers given to a callback are valid
 * during it.
 *  - Callbacks may begin further operations. They may commit to the local disk; they must not wait
 * for anything else.
 *  - At shutdown what is under way is ended with REMOTE_STOPPED.
 */
#ifndef REMOTE_H
#define REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum remote_fault {
	REMOTE_OK,        /* a whole HTTP answer came (of any status) */
	REMOTE_DNS,       /* the name was not resolved */
	REMOTE_CONNECT,   /* refused, unreachable */
	REMOTE_TLS,       /* handshake or certificate */
	REMOTE_TIMEOUT,   /* no connection, or no progress, for too long */
	REMOTE_CUT,       /* the connection ended before the answer was whole */
	REMOTE_TOO_BIG,   /* the answer passed its limit */
	REMOTE_FORBIDDEN, /* a URL that may not be fetched: scheme, host or address */
	REMOTE_REDIRECT,  /* the answer points elsewhere; not followed */
	REMOTE_NO_KEY,    /* there is no key to send */
	REMOTE_ABORTED,   /* a callback or cancel() said stop */
	REMOTE_STOPPED,   /* the driver ends */
	REMOTE_CHANGED,   /* fetch: the object is not the one that was asked for (ETag, size,
			     Content-Range); head too: it is sent encoded */
};

/* Answer to submit, status and upload. */
struct remote_reply {
	enum remote_fault fault;
	bool sent; /* did a byte of the request leave? false proves that the service saw nothing */
	long http_status;       /* 0: none came */
	int64_t retry_after_ms; /* -1: none */
	int64_t size;           /* upload's HEAD: of the object; -1: unknown */
	const char *body;       /* as far as it came; terminated by a NUL that is not counted */
	size_t body_len;
	const char *detail; /* one line in words, never NULL: "could not resolve host
			       gateway.example" */
};

/* What is known of an object before its bytes. */
struct remote_object {
	enum remote_fault fault;
	long http_status;
	int64_t size;  /* whole object, bytes; -1: unknown */
	int64_t start; /* fetch: offset of the first byte that follows */
	bool ranges;   /* the server serves ranges */
	/* What tells the object from another one, the best that came: a strong ETag with its
	 * quotes, a weak one with its W/, a Last-Modified that is no moment of the answer itself;
	 * NULL: none. Compare it with remote_same_object() only. */
	const char *etag;
	const char *media_type; /* NULL: none */
	int64_t mtime_s;        /* Last-Modified, Unix time; -1: none */
	const char *detail;     /* as above */
};

struct remote_submit {
	const char *body; /* JSON text */
	size_t len;
	const char *callback_url;  /* where the service shall call back; NULL: nowhere */
	const char *callback_mode; /* with it: "terminal" or "sync" */
	/* Connected, and not a byte of the request was sent: commit the intent. Not 0: nothing is
	 * sent and done() says REMOTE_ABORTED. Comes at most once. */
	int (*sending)(void *arg);
	void (*done)(void *arg, const struct remote_reply *reply);
	void *arg;
};

struct remote_fetch {
	const char *url;
	uint64_t start;   /* first byte wanted */
	uint64_t end;     /* one past the last; the whole object's size at most */
	uint64_t size;    /* whole object's size: another one is REMOTE_CHANGED */
	const char *etag; /* as remote_object has it; of another object: REMOTE_CHANGED */
	/* The answer is good; bytes follow from OBJECT->start, which is 0 when the server ignored
	 * the range. Not 0: stop. */
	int (*begin)(void *arg, const struct remote_object *object);
	/* LEN bytes at OFFSET. Not 0: stop. */
	int (*data)(void *arg, uint64_t offset, const void *data, size_t len);
	/* fault REMOTE_OK with http_status 200 or 206: every byte of [start, end) was given; with
	 * another one: the server's refusal, begin() was not called. */
	void (*done)(void *arg, const struct remote_object *result);
	void *arg;
};

struct remote_upload {
	const char *url;     /* https, or http on loopback: wherever that leads */
	const char *headers; /* lines, each with a "\n" */
	const char *path;    /* PUT of this file, of SIZE bytes, which are read as they are sent;
				NULL: HEAD, is it there? */
	uint64_t size;
	void (*done)(void *arg, const struct remote_reply *reply);
	void *arg;
};

struct remote {
	void *ctx;

	/* POST, exactly once on the wire: never repeated, redirected or sent on a used connection.
	 */
	int (*submit)(void *ctx, const struct remote_submit *submit);

	/* GET of URL, on the gateway's origin, with the key. */
	int (*status)(void *ctx, const char *url,
		      void (*done)(void *arg, const struct remote_reply *reply), void *arg);

	/* Size and identity of a media object, without the key: HEAD, or a one-byte range where
	 * HEAD is refused. */
	int (*head)(void *ctx, const char *url,
		    void (*done)(void *arg, const struct remote_object *object), void *arg);

	/* GET of a range, without the key. *ID names it for cancel. */
	int (*fetch)(void *ctx, const struct remote_fetch *fetch, uint64_t *id);

	/* Ends a fetch soon: done() follows with REMOTE_ABORTED unless it came already. An unknown
	 * ID is nothing. */
	void (*cancel)(void *ctx, uint64_t id);

	/* HEAD or PUT of an object of the user's own, without the key. May be sent more than once.
	 */
	int (*upload)(void *ctx, const struct remote_upload *upload);

	/* The network thread calls the engine's tick soon. */
	void (*wake)(void *ctx);
};

/* May A and B, as remote_object.etag has them, be of one object? Where they are not of a kind, or
 * one is not known, yes. Proxies make strong ETags weak: what is in the quotes counts. */
bool remote_same_object(const char *a, const char *b);

/* The only place where a remote error becomes an errno (DESIGN section 3): positive, for a fault or
 * an HTTP status (FAULT is REMOTE_OK); 0 for a 2xx. */
int remote_errno(enum remote_fault fault, long http_status);

/* "dns", "timeout"...: for logs. */
const char *remote_fault_name(enum remote_fault fault);

#endif
