/* The command line, as the program and as mount(8)'s helper. */
#include "config.h"
#include "run.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))
#define WORDS       10

static char error[CONFIG_ERROR_MAX];

static int parse(struct config *config, const char *const *words)
{
	char *argv[WORDS + 1] = { 0 };
	int argc = 0;
	for (; argc < WORDS && words[argc]; argc++)
		argv[argc] = (char *)words[argc];
	error[0] = '\0';
	return config_parse(config, argc, argv, error);
}

static const struct {
	const char *words[WORDS];
	const char *says; /* NULL: it is right */
} lines[] = {
	{ { "pixal3dfs", "sandbox", "/mnt" }, NULL },
	{ { "pixal3dfs", "pixal3d", "/mnt" }, NULL },
	{ { "pixal3dfs", "https://gateway.example:8443/pixal3d/v1", "mnt" }, NULL },
	{ { "pixal3dfs", "http://127.0.0.1:8080", "/mnt", "-f", "-o", "poll=0.1,0.5,log=info" },
	  NULL },
	{ { "pixal3dfs", "sandbox", "/mnt", "-olog=debug", "-oallow_other,noexec" }, NULL },
	{ { "mount.pixal3dfs", "sandbox", "/mnt", "-s", "-o", "rw,colour=blue" }, NULL },
	{ { "/sbin/mount.pixal3dfs", "sandbox", "/mnt", "-n", "-v", "-o",
	    "rw,noexec,nosuid,nodev,_netdev,nofail,user,x-systemd.automount,comment=hello,relatime" },
	  NULL },
	{ { "mount.pixal3dfs", "sandbox", "/mnt", "-t", "pixal3dfs", "-N", "/proc/1/ns/mnt" },
	  NULL },
	{ { "mount.fuse.pixal3dfs", "sandbox", "/mnt", "-o",
	    "defaults,noatime,nodiratime,lazytime,users,user=anna,group,noauto,X-mount.mkdir,"
	    "x-systemd.requires=network-online.target,default_permissions,silent" },
	  NULL },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o",
	    "webhook_url=https://studio.example/p3d,webhook_listen=127.0.0.1:8090" },
	  NULL },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o",
	    "webhook_mode=sync,webhook_url=http://127.0.0.1:8090,webhook_listen=[::1]:8090" },
	  NULL },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o", "webhook_url=https://studio.example/p3d" },
	  "need both" },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o", "webhook_listen=127.0.0.1:8090" }, "need both" },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o", "webhook_mode=sync" }, "need both" },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o",
	    "webhook_url=http://127.0.0.1:8090,webhook_listen=127.0.0.1:8090" },
	  "https:// URLs only" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o",
	    "webhook_url=http://studio.example,webhook_listen=127.0.0.1:8090" },
	  "https:// URLs only" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "webhook_listen=localhost:8090" }, "ADDR:PORT" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "webhook_listen=127.0.0.1" }, "ADDR:PORT" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "webhook_listen=127.0.0.1:0" }, "ADDR:PORT" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "webhook_listen=127.0.0.1:65536" }, "ADDR:PORT" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "webhook_listen=::1:8090" }, "ADDR:PORT" },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o", "upload=exec:/bin/publish" }, NULL },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o",
	    "upload=s3://studio/in,s3_region=auto,s3_endpoint=https://store.example" },
	  NULL },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o",
	    "upload=s3://studio,s3_endpoint=http://127.0.0.1:9000" },
	  NULL },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o",
	    "upload=s3://studio,s3_endpoint=http://127.0.0.1:9000" },
	  "s3_public=" },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o", "upload=ftp://studio" }, "exec:COMMAND" },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o", "s3_region=eu-west-1" }, "s3://BUCKET alone" },
	{ { "pixal3dfs", "pixal3d", "/mnt", "-o", "upload=exec:x,s3_credentials=/x" },
	  "s3://BUCKET alone" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "webhook_mode=often" }, "terminal|sync" },
	{ { "pixal3dfs" }, "usage" },
	{ { "pixal3dfs", "sandbox" }, "usage" },
	{ { "pixal3dfs", "sandbox", "/mnt", "extra" }, "usage" },
	{ { "pixal3dfs", "http://gateway.example", "/mnt" }, "http" },
	{ { "pixal3dfs", "ftp://127.0.0.1", "/mnt" }, "http" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o" }, "-o needs a value" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-x" }, "unknown option -x" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "colour=blue" }, "unknown option colour" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "budgt=3" }, "did you mean budget?" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "nofial" }, "did you mean nofail?" },
	{ { "pixal3dfs", "sandbox", "/mnt", "--budget=3" }, "unknown option --budget=3" },
	{ { "mount.pixal3dfs", "sandbox", "/mnt", "-o", "rw,remount" }, "umount DIR && mount DIR" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "auto_unmount" }, "auto_unmount is not there" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "poll" }, "option poll" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "poll=0" }, "option poll=0" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "poll=5:1" }, "option poll=5:1" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "poll=nan" }, "option poll=nan" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "submit=maybe" }, "queue|sync" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "submit_wait=-1" }, "submit_wait=-1" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "passthrough=yes" }, "auto|off" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "passthrough=off" }, NULL },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "max_inflight=0" }, "max_inflight=0" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "umask=999" }, "umask=999" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "log=loud" }, "error|warn|info|debug" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "budget=1/week" }, "USD[/day|/month]" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "prices=3000:1" }, "prices=3000:1" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "retry_errors=-1" }, "retry_errors=-1" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "ro=1" }, "ro=1" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "ready_fd=x" }, "ready_fd=x" },
	{ { "pixal3dfs", "sandbox", "/mnt", "-o", "key_file=" }, "key_file" },
};

START_TEST(lines_are_right_or_told_why_not)
{
	struct config config;
	int r = parse(&config, lines[_i].words);
	if (lines[_i].says) {
		ck_assert_int_lt(r, 0);
		ck_assert_msg(strstr(error, lines[_i].says) != NULL, "%s", error);
	} else {
		ck_assert_msg(r == 0, "%s", error);
	}
	config_release(&config);
}
END_TEST

START_TEST(values_arrive)
{
	static const char *const words[WORDS] = {
		"pixal3dfs",
		"http://127.0.0.1:9/v2/",
		"/mnt/p3d",
		"-f",
		"-o",
		"poll=0.25,1.5,submit=sync,submit_wait=2,max_inflight=9,umask=077,state_dir=/s,ro,ready_fd=7"
	};
	struct config config;
	ck_assert_msg(parse(&config, words) == 0, "%s", error);
	ck_assert_int_eq(config.action, CONFIG_MOUNT);
	ck_assert_str_eq(config.gateway, "http://127.0.0.1:9");
	ck_assert_str_eq(config.mountpoint, "/mnt/p3d");
	ck_assert_int_eq(config.engine.sched.poll_min_ms, 250);
	ck_assert_int_eq(config.engine.sched.poll_max_ms, 1500);
	ck_assert(config.engine.submit_sync && config.engine.read_only && config.foreground);
	ck_assert_int_eq(config.submit_wait_ms, 2000);
	ck_assert_uint_eq(config.engine.max_submissions, 9);
	ck_assert_uint_eq(config.umask, 077);
	ck_assert_int_eq(config.ready_fd, 7);
	ck_assert_str_eq(config.state_dir, "/s");
	ck_assert_str_eq(config.cache_dir, "/s/cache");
	config_release(&config);
}
END_TEST

START_TEST(money_arrives)
{
	static const char *const words[WORDS] = {
		"pixal3dfs", "sandbox", "/mnt", "-o",
		"budget=12.50/day,prices=1024:0.25:4096:1,retry_errors=3"
	};
	static const char *const none[WORDS] = { "pixal3dfs", "sandbox", "/mnt" };
	struct config config;
	ck_assert_msg(parse(&config, words) == 0, "%s", error);
	ck_assert(config.engine.budget.set);
	ck_assert_int_eq(config.engine.budget.micros, 12500000);
	ck_assert_int_eq(config.engine.budget.period, PRICE_DAY);
	ck_assert_int_eq(price_of(&config.engine.prices, 1024), 250000);
	ck_assert_int_eq(price_of(&config.engine.prices, 2048), 420000);
	ck_assert_int_eq(price_of(&config.engine.prices, 4096), 1000000);
	ck_assert_uint_eq(config.engine.retry_errors, 3);
	config_release(&config);
	ck_assert_msg(parse(&config, none) == 0, "%s", error);
	ck_assert(!config.engine.budget.set);
	ck_assert_int_eq(price_of(&config.engine.prices, 1024), 300000);
	ck_assert_uint_eq(config.engine.retry_errors, 0);
	config_release(&config);
}
END_TEST

START_TEST(f_is_fake_for_mount_and_foreground_for_the_program)
{
	static const char *const helper[WORDS] = { "/sbin/mount.pixal3dfs", "sandbox", "/mnt",
						   "-f" };
	static const char *const program[WORDS] = { "pixal3dfs", "sandbox", "/mnt", "-f" };
	struct config config;
	ck_assert_int_eq(parse(&config, helper), 0);
	ck_assert_int_eq(config.action, CONFIG_NOTHING);
	config_release(&config);
	ck_assert_int_eq(parse(&config, program), 0);
	ck_assert_int_eq(config.action, CONFIG_MOUNT);
	config_release(&config);
}
END_TEST

START_TEST(no_option_is_passed_over)
{
	static char program[] = "pixal3dfs", source[] = "sandbox", directory[] = "/mnt";
	static char flag[] = "-o", other[] = "rw", budget[] = "budget=1";
	char *argv[2 * 100 + 4] = { program, source, directory };

	for (int argc = 3; argc < 2 * 100; argc += 2) {
		struct config config;

		argv[argc] = flag;
		argv[argc + 1] = budget;
		if (config_parse(&config, argc + 2, argv, error) == 0)
			ck_assert(config.engine.budget.set);
		else
			ck_assert_ptr_nonnull(strstr(error, "separate options by commas"));
		config_release(&config);
		argv[argc + 1] = other;
	}
}
END_TEST

START_TEST(help_is_an_option_too)
{
	static const char *const words[WORDS] = { "mount.pixal3dfs", "sandbox", "/mnt", "-o",
						  "rw,help" };
	static const char *const alone[WORDS] = { "pixal3dfs", "-o", "help" };
	struct config config;
	ck_assert_int_eq(parse(&config, words), 0);
	ck_assert_int_eq(config.action, CONFIG_HELP);
	config_release(&config);
	ck_assert_int_eq(parse(&config, alone), 0);
	ck_assert_int_eq(config.action, CONFIG_HELP);
	config_release(&config);
}
END_TEST

/* What libfuse gets is what decides about the mount's flags. */
START_TEST(options_of_the_mount_itself_go_on)
{
	static const char *const words[WORDS] = {
		"mount.pixal3dfs",
		"sandbox",
		"/mnt",
		"-N",
		"/proc/1/ns/mnt",
		"-v",
		"-o",
		"noexec,nofail,context=system_u:object_r:mnt_t:s0,ro,_netdev"
	};
	static const char *const passed[] = { "-onoexec", "-ocontext=system_u:object_r:mnt_t:s0",
					      "-oro" };
	struct config config;
	ck_assert_msg(parse(&config, words) == 0, "%s", error);
	ck_assert_int_eq(config.fuse.argc, 1 + ROWS(passed));
	for (int i = 0; i < ROWS(passed); i++)
		ck_assert_str_eq(config.fuse.argv[1 + i], passed[i]);
	ck_assert_str_eq(config.namespace, "/proc/1/ns/mnt");
	ck_assert(config.verbose && config.engine.read_only);
	config_release(&config);
}
END_TEST

START_TEST(gateways_have_books_of_their_own)
{
	static const char *const one[WORDS] = { "pixal3dfs", "https://a.example:444", "/mnt" };
	static const char *const other[WORDS] = { "pixal3dfs", "sandbox", "/mnt" };
	struct config a, b;
	ck_assert_int_eq(parse(&a, one), 0);
	ck_assert_int_eq(parse(&b, other), 0);
	ck_assert_ptr_nonnull(strstr(a.state_dir, "/pixal3dfs/a.example:444"));
	ck_assert_ptr_nonnull(strstr(a.cache_dir, "/pixal3dfs/a.example:444"));
	ck_assert_ptr_nonnull(strstr(b.state_dir, "/pixal3dfs/sandbox"));
	config_release(&a);
	config_release(&b);
}
END_TEST

START_TEST(help_names_every_option_once)
{
	static const char *const names[] = { "key_file=", "state_dir=", "poll=",
					     "submit=",   "ro  ",       "allow_other" };
	char *text = config_help();
	ck_assert_ptr_nonnull(text);
	for (int i = 0; i < ROWS(names); i++)
		ck_assert_msg(strstr(text, names[i]) != NULL, "%s", names[i]);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");
	tcase_add_loop_test(tcase, lines_are_right_or_told_why_not, 0, ROWS(lines));
	tcase_add_test(tcase, values_arrive);
	tcase_add_test(tcase, money_arrives);
	tcase_add_test(tcase, f_is_fake_for_mount_and_foreground_for_the_program);
	tcase_add_test(tcase, no_option_is_passed_over);
	tcase_add_test(tcase, help_is_an_option_too);
	tcase_add_test(tcase, options_of_the_mount_itself_go_on);
	tcase_add_test(tcase, gateways_have_books_of_their_own);
	tcase_add_test(tcase, help_names_every_option_once);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
