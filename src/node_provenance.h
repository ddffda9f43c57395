/*
 * node_provenance - output.json: where a job's outputs come from, for whoever has them without the
 * mount
 *
 * Pure; no state.
 */
#ifndef NODE_PROVENANCE_H
#define NODE_PROVENANCE_H

#include "node.h"

/* Renders it; wants JOB_TEXT_PARAMS. */
void node_render_provenance(const struct node_input *in, FILE *out);
/* Bytes that it will write. */
size_t node_size_provenance(const struct job *job);

#endif
