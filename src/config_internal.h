/*
 * config_internal - between config's parts
 *
 * config.c       our own options: their table, values, defaults and help
 * config_line.c  argv, and the options that every mount takes
 */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config.h"
#include "guess.h"

void config_set_defaults(struct config *config);

/* Sets one of our own options; VALUE is NULL without "=". 0; -ENOENT: there is none of that name;
 * -EINVAL with ERROR. */
int config_set_option(struct config *config, const char *name, const char *value,
		      char error[CONFIG_ERROR_MAX]);
/* Considers the names of our own options. */
void config_guess_option(struct guess *guess);

/* The option `debug`, and -d. VALUE is nothing. 0. */
int config_set_debug(struct config *config, const char *value);

/* Frees what *FIELD was, and copies VALUE to it. 0 or -ENOMEM. */
int config_set_string(char **field, const char *value);

/* Gateway, mount point and directories, after the options. 0, or -EINVAL with ERROR. */
int config_set_places(struct config *config, const char *mountpoint, char error[CONFIG_ERROR_MAX]);

#endif
