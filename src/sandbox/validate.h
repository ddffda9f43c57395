/*
 * validate - the request parameters as the documentation lists them
 *
 * Role:    types, enumerations and unknown names.  Where the documentation gives no range
 *          there is none.  Pure.
 */
#ifndef SANDBOX_VALIDATE_H
#define SANDBOX_VALIDATE_H

#include <jansson.h>
#include <stdbool.h>

enum { VALIDATE_WHY = 256 };

/* True when the body is a valid request; else `why` says what is wrong. */
bool validate_params(const json_t *body, char why[VALIDATE_WHY]);

/* A new object: the body with every documented default filled in.  NULL without memory. */
json_t *validate_complete(const json_t *body);

#endif
