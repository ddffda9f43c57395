/*
 * service - what systemd is told
 *
 * Role:    one datagram to $NOTIFY_SOCKET: the protocol of sd_notify(3), which is meant to be
 *          spoken without a library.
 * Threads: any.
 */
#ifndef SERVICE_H
#define SERVICE_H

/* Tells the service manager lines of NAME=VALUE ("READY=1\nSTATUS=..."). Without one it is nothing.
 * Does not block. */
void service_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
