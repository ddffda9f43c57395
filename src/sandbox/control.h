/*
 * control - a JSON object that changes how the sandbox behaves (vocabulary: fault.h)
 *
 * Role:    checked as a whole, then applied.
 * Threads: any; concurrent controls are applied one after the other.
 */
#ifndef SANDBOX_CONTROL_H
#define SANDBOX_CONTROL_H

#include <jansson.h>
#include <stdbool.h>

enum { CONTROL_WHY = 256 };

/* False, with the reason, when nothing was changed. */
bool control_apply(const json_t *control, char why[CONTROL_WHY]);

/* The same from a file. */
bool control_load(const char *path, char why[CONTROL_WHY]);

#endif
