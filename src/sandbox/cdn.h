/*
 * cdn - the second port: outputs, and pictures to submit
 *
 * Role:    GET and HEAD of /v1/{request_id}/output[-N].glb with ranges and validators, as an object
 *          store's public bucket does it; no key wanted.  /images/NAME.png for tests.
 * Threads: one per connection; handlers may block.
 */
#ifndef SANDBOX_CDN_H
#define SANDBOX_CDN_H

#include <microhttpd.h>

/* The library's callbacks for this port. */
enum MHD_Result cdn_handle(void *cls, struct MHD_Connection *c, const char *url, const char *method,
			   const char *version, const char *data, size_t *size, void **state);
void cdn_ended(void *cls, struct MHD_Connection *c, void **state,
	       enum MHD_RequestTerminationCode code);

#endif
