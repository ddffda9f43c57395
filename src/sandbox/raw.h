/*
 * raw - answers that an HTTP library refuses to give
 *
 * Role:    bytes straight onto a connection's socket, so that an answer can be cut short,
 *          never end, or be no answer at all.  After any of these the handler must return
 *          MHD_NO: the library then closes the connection.
 * Threads: the connection's own.  May block on a slow peer; ends when the peer has gone or
 *          the daemon stops.
 */
#ifndef SANDBOX_RAW_H
#define SANDBOX_RAW_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The connection's socket; borrowed. */
int raw_socket(struct MHD_Connection *connection);

bool raw_peer_gone(int fd);

/* 0 or -errno. */
int raw_send(int fd, const void *data, size_t n);

/* Everything from here on is answered by a TCP reset. */
void raw_reset(int fd);

/* n bytes of `file` from offset; 0 or -errno. */
int raw_send_file(int fd, int file, uint64_t offset, uint64_t n);

/* The same bytes again and again until n are sent (0 = until the peer has gone). */
int raw_repeat(int fd, const void *data, size_t size, uint64_t n);

/* Bytes that the kernel has sent on this socket so far. */
uint64_t raw_bytes_sent(int fd);

#endif
