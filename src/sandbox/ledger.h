/*
 * ledger - what was received and what was charged
 *
 * Role:    counters, the wallet, and an append-only file of JSON lines from which a later
 *          run knows all requests again.  Each append is one write, so that a kill leaves
 *          whole events behind.
 * Threads: any; one lock, a leaf.
 *
 * Money is in cents.  Lines have an "event": post (a submit POST's body was received whole),
 * accept, charge, refund, balance (set by control), advance (by control), webhook.
 */
#ifndef SANDBOX_LEDGER_H
#define SANDBOX_LEDGER_H

#include <jansson.h>
#include <stdint.h>

enum counter {
	C_POSTS,        /* fully received bodies at the submit path, refused ones too */
	C_POLLS,        /* GETs of a status */
	C_CDN_REQUESTS, /* GETs on the CDN */
	C_CDN_BYTES,    /* body bytes sent by the CDN */
	C_HEADS,        /* HEADs on the CDN */
	C_KEYS_AT_CDN,  /* requests to the CDN that carried the key's header */
	C_WEBHOOKS,     /* callbacks that were answered with 2xx */
	C_COUNT
};

struct totals {
	int64_t count[C_COUNT];
	int64_t balance, charged, refunded;
};

/* Read the file's events, giving each that is not the ledger's own to `replay`, then open it
 * for appending.  0 or -errno.  NULL path: nothing is kept. */
int ledger_open(const char *path, int64_t balance, void (*replay)(const json_t *event));
void ledger_close(void);

void ledger_count(enum counter c, int64_t n);

/* Append the events (stolen references; NULLs are skipped) in one write. */
void ledger_append(json_t *first, json_t *second);

/* A POST was received: counted and on file before it is looked at. */
void ledger_post(void);

/* Take the price from the wallet and append `accept` (stolen) with the charge: 0, or -EDQUOT
 * with nothing taken. */
int ledger_charge(const char *id, int64_t cents, json_t *accept);
void ledger_refund(const char *id, int64_t cents);
void ledger_set_balance(int64_t cents);

void ledger_totals(struct totals *out);

#endif
