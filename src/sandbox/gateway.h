/*
 * gateway - the documented API: submit and status
 *
 * Role:    routes of the gateway port.  /sandbox/... goes to admin.
 * Threads: one per connection; handlers may block.
 */
#ifndef SANDBOX_GATEWAY_H
#define SANDBOX_GATEWAY_H

#include <microhttpd.h>

#define KEY_HEADER "Ocp-Apim-Subscription-Key"

/* The library's callbacks for this port. */
enum MHD_Result gateway_handle(void *cls, struct MHD_Connection *c, const char *url,
			       const char *method, const char *version, const char *data,
			       size_t *size, void **state);
void gateway_ended(void *cls, struct MHD_Connection *c, void **state,
		   enum MHD_RequestTerminationCode code);

#endif
