/*
 * config_line - the command line, as the program and as mount(8)'s helper
 */
#include "config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Options of every mount */

enum meaning {
	PASSED,  /* on to the mount itself */
	NOTHING, /* to us: said to mount(8), fstab's readers or systemd, or always so */
	REFUSED,
};

#define NO_REMOUNT "unmount and mount again: umount DIR && mount DIR"
#define NO_AUTO    "it would not hold; the next mount on the same directory takes a dead one away"

/* A name with "=" stands for all its values. */
static const struct generic {
	const char *name;
	enum meaning meaning;
	const char *why;
} generics[] = {
	{ "allow_other", PASSED, NULL },
	{ "allow_root", PASSED, NULL },
	{ "rw", PASSED, NULL },
	{ "exec", PASSED, NULL },
	{ "noexec", PASSED, NULL },
	{ "suid", PASSED, NULL },
	{ "nosuid", PASSED, NULL },
	{ "dev", PASSED, NULL },
	{ "nodev", PASSED, NULL },
	{ "noatime", PASSED, NULL },
	{ "sync", PASSED, NULL },
	{ "async", PASSED, NULL },
	{ "dirsync", PASSED, NULL },
	{ "context=", PASSED, NULL },
	{ "fscontext=", PASSED, NULL },
	{ "defcontext=", PASSED, NULL },
	{ "rootcontext=", PASSED, NULL },
	{ "default_permissions", NOTHING, NULL },
	{ "defaults", NOTHING, NULL },
	{ "auto", NOTHING, NULL },
	{ "noauto", NOTHING, NULL },
	{ "nofail", NOTHING, NULL },
	{ "_netdev", NOTHING, NULL },
	{ "user", NOTHING, NULL },
	{ "user=", NOTHING, NULL },
	{ "nouser", NOTHING, NULL },
	{ "users", NOTHING, NULL },
	{ "nousers", NOTHING, NULL },
	{ "owner", NOTHING, NULL },
	{ "noowner", NOTHING, NULL },
	{ "group", NOTHING, NULL },
	{ "nogroup", NOTHING, NULL },
	{ "atime", NOTHING, NULL },
	{ "relatime", NOTHING, NULL },
	{ "norelatime", NOTHING, NULL },
	{ "strictatime", NOTHING, NULL },
	{ "nostrictatime", NOTHING, NULL },
	{ "diratime", NOTHING, NULL },
	{ "nodiratime", NOTHING, NULL },
	{ "lazytime", NOTHING, NULL },
	{ "nolazytime", NOTHING, NULL },
	{ "iversion", NOTHING, NULL },
	{ "noiversion", NOTHING, NULL },
	{ "mand", NOTHING, NULL },
	{ "nomand", NOTHING, NULL },
	{ "silent", NOTHING, NULL },
	{ "loud", NOTHING, NULL },
	{ "comment=", NOTHING, NULL },
	{ "remount", REFUSED, NO_REMOUNT },
	{ "auto_unmount", REFUSED, NO_AUTO },
};
#define GENERICS (sizeof(generics) / sizeof(generics[0]))

static const struct generic *find_generic(const char *option)
{
	for (size_t i = 0; i < GENERICS; i++) {
		size_t len = strlen(generics[i].name);
		if (strncmp(generics[i].name, option, len) == 0 &&
		    (generics[i].name[len - 1] == '=' || !option[len]))
			return &generics[i];
	}
	return NULL;
}

static int take_generic(struct config *config, const struct generic *generic, const char *option,
			char error[CONFIG_ERROR_MAX])
{
	if (generic->meaning == NOTHING)
		return 0;
	if (generic->meaning == REFUSED) {
		snprintf(error, CONFIG_ERROR_MAX, "option %s is not there: %s", option,
			 generic->why);
		return -EINVAL;
	}
	char *arg = NULL;
	int r = asprintf(&arg, "-o%s", option) < 0 || fuse_opt_add_arg(&config->fuse, arg) ? -ENOMEM
											   : 0;
	free(arg);
	return r;
}

/* Lists of options */

static int refuse_unknown(const char *name, char error[CONFIG_ERROR_MAX])
{
	struct guess guess = guess_start(name);
	config_guess_option(&guess);
	for (size_t i = 0; i < GENERICS; i++)
		guess_consider(&guess, generics[i].name);
	snprintf(error, CONFIG_ERROR_MAX, "unknown option %s%s%s%s (pixal3dfs --help lists them)",
		 name, guess.best ? "; did you mean " : "", guess.best ? guess.best : "",
		 guess.best ? "?" : "");
	return -EINVAL;
}

static int take_option(struct config *config, char *text, bool sloppy, char error[CONFIG_ERROR_MAX])
{
	if (strncmp(text, "x-", 2) == 0 || strncmp(text, "X-", 2) == 0)
		return 0;
	if (strcmp(text, "help") == 0) {
		config->action = CONFIG_HELP;
		return 0;
	}
	const struct generic *generic = find_generic(text);
	if (generic)
		return take_generic(config, generic, text, error);
	char *value = strchr(text, '=');
	if (value)
		*value++ = '\0';
	int r = config_set_option(config, text, value, error);
	if (r != -ENOENT)
		return r;
	return sloppy ? 0 : refuse_unknown(text, error);
}

/* The comma of `poll=5,10` is part of the value: no option is a number. */
static char *next_option(char **rest)
{
	char *option = *rest, *comma = strchr(option, ',');
	if (comma && strncmp(option, "poll=", 5) == 0 &&
	    (comma[1] == '.' || (comma[1] >= '0' && comma[1] <= '9')))
		comma = strchr(comma + 1, ',');
	*rest = comma ? comma + 1 : NULL;
	if (comma)
		*comma = '\0';
	return option;
}

static int take_options(struct config *config, const char *list, bool sloppy,
			char error[CONFIG_ERROR_MAX])
{
	char *copy = strdup(list), *rest = copy;
	int r = copy ? 0 : -ENOMEM;
	while (r == 0 && rest) {
		char *option = next_option(&rest);
		if (*option)
			r = take_option(config, option, sloppy, error);
	}
	free(copy);
	return r;
}

/* argv */

#define LISTS_MAX 64

struct words {
	bool helper;
	bool sloppy;
	const char *word[2];
	int count;
	const char *lists[LISTS_MAX];
	int list_count;
};

static bool called_as_helper(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	return strncmp(slash ? slash + 1 : argv0, "mount.", 6) == 0;
}

/* -f is "fake" for mount(8) and "foreground" for the program. */
static int take_flag(struct config *config, struct words *words, int flag,
		     char error[CONFIG_ERROR_MAX])
{
	switch (flag) {
	case 'f':
		if (words->helper)
			config->action = CONFIG_NOTHING;
		config->foreground = true;
		return 0;
	case 'd': return config_set_debug(config, NULL);
	case 'h': config->action = CONFIG_HELP; return 0;
	case 'V': config->action = CONFIG_VERSION; return 0;
	case 's': words->sloppy = true; return 0;
	case 'v': config->verbose = true; return 0;
	case 'n': return 0;
	default:
		snprintf(error, CONFIG_ERROR_MAX,
			 "unknown option -%c (pixal3dfs --help lists them)", flag);
		return -EINVAL;
	}
}

static int take_value(struct config *config, struct words *words, int flag, const char *value,
		      char error[CONFIG_ERROR_MAX])
{
	if (!value) {
		snprintf(error, CONFIG_ERROR_MAX, "-%c needs a value", flag);
		return -EINVAL;
	}
	if (flag == 'N')
		return config_set_string(&config->namespace, value);
	if (flag != 'o')
		return 0;
	/* One that was passed over in silence might be a budget. */
	if (words->list_count == LISTS_MAX) {
		snprintf(error, CONFIG_ERROR_MAX, "more than %d -o: separate options by commas",
			 LISTS_MAX);
		return -EINVAL;
	}
	words->lists[words->list_count++] = value;
	return 0;
}

static int take_argument(struct config *config, struct words *words, char ***argv,
			 char error[CONFIG_ERROR_MAX])
{
	const char *arg = **argv;
	if (strcmp(arg, "--help") == 0)
		return take_flag(config, words, 'h', error);
	if (strcmp(arg, "--version") == 0)
		return take_flag(config, words, 'V', error);
	if (strncmp(arg, "--", 2) == 0)
		return refuse_unknown(arg, error);
	if (arg[0] != '-' || !arg[1]) {
		if (words->count < 2)
			words->word[words->count] = arg;
		words->count++;
		return 0;
	}
	for (const char *flag = arg + 1; *flag; flag++) {
		if (strchr("otN", *flag))
			return take_value(config, words, *flag, flag[1] ? flag + 1 : *++*argv,
					  error);
		int r = take_flag(config, words, *flag, error);
		if (r)
			return r;
	}
	return 0;
}

static int take_lists(struct config *config, const struct words *words,
		      char error[CONFIG_ERROR_MAX])
{
	int r = 0;
	for (int i = 0; i < words->list_count && r == 0; i++)
		r = take_options(config, words->lists[i], words->sloppy, error);
	return r;
}

int config_parse(struct config *config, int argc, char **argv, char error[CONFIG_ERROR_MAX])
{
	struct words words = { .helper = argc > 0 && called_as_helper(argv[0]) };
	config_set_defaults(config);
	if (fuse_opt_add_arg(&config->fuse, "pixal3dfs"))
		return -ENOMEM;
	for (char **arg = argv + 1; *arg; arg++) {
		int r = take_argument(config, &words, &arg, error);
		if (r)
			return r;
	}
	int r = take_lists(config, &words, error);
	if (r || config->action == CONFIG_HELP || config->action == CONFIG_VERSION)
		return r;
	if (words.count != 2) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "usage: pixal3dfs SOURCE MOUNTPOINT [-f] [-o OPTION,...]\n"
			 "SOURCE is pixal3d, sandbox or a gateway's URL; --help says more");
		return -EINVAL;
	}
	r = config_set_string(&config->source, words.word[0]);
	return r ? r : config_set_places(config, words.word[1], error);
}
