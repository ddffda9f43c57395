/*
 * webhook - callbacks to the URL that a request was submitted with
 *
 * Role:    one thread waits for what is due; each callback is sent by a thread of its own, so
 *          that a slow receiver holds up nobody.  Plain http to loopback only: an https URL
 *          is accepted, but never called.
 * Threads: any may wake.
 */
#ifndef SANDBOX_WEBHOOK_H
#define SANDBOX_WEBHOOK_H

#include <stdbool.h>

/* What may stand in X-Webhook-URL: https, or http to loopback when the command line allows it. */
bool webhook_url_is_good(const char *url);

/* 0 or -errno. */
int webhook_start(void);

/* Something may be due earlier than it was. */
void webhook_wake(void);

/* Ends the thread and waits for the callbacks that are being sent. */
void webhook_stop(void);

#endif
