/*
 * options - the command line
 */
#ifndef SANDBOX_OPTIONS_H
#define SANDBOX_OPTIONS_H

#include <stdint.h>

/* Fills `config` and the settings; the balance in cents. Exits on --help, --version (0) and
 * on errors (2). Call before threads start. */
int64_t options_parse(int argc, char **argv);

#endif
