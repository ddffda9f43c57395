/*
 * admin - the /sandbox/ part of the gateway port, for tests
 *
 *   GET  /sandbox/ledger                 all counters as JSON
 *   GET  /sandbox/count?what=NAME        one of them as text (posts, accepted, polls, ...,
 *                                        or the name of a fault)
 *   GET  /sandbox/received               the last 32 submit POSTs: headers, body
 *   POST /sandbox/control                fault.h has the vocabulary
 *   GET  /sandbox/wait?point=P[&count=N][&timeout=S]     200 and how many have reached it, or 408
 *   GET  /sandbox/wait?request=ID[&state=WORD][&timeout=S]  200 and the state, or 408; without a
 *                                        state: a terminal one
 *   POST /sandbox/release?point=P[&count=N]
 */
#ifndef SANDBOX_ADMIN_H
#define SANDBOX_ADMIN_H

#include <microhttpd.h>

/* `path` is what follows "/sandbox/". May block (wait). */
enum MHD_Result admin_handle(struct MHD_Connection *c, const char *path, const char *method,
			     const char *body, size_t size);

#endif
