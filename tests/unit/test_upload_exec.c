/* upload=exec:COMMAND: what a command is given, what it may print, and that it ends. */
#include "run.h"
#include "upload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))
#define SHA         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static char dir[] = "/tmp/test_upload_exec.XXXXXX";
static struct upload *upload;
static bool is_local;

/* FILE in the test's own directory. */
static const char *at(const char *file)
{
	static char paths[4][128];
	static int next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir, file);
	return path;
}

static void put(const char *file, const char *text, mode_t mode)
{
	FILE *out = fopen(at(file), "w");
	fputs(text, out);
	fclose(out);
	chmod(at(file), mode);
}

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	setenv("D", dir, 1); /* for commands */
	put("image", "abc", 0600);
}

static void tear_down(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void make(const char *command, int64_t limit_ms)
{
	struct upload_conf conf = { .target = command, .command_ms = limit_ms, .local = is_local };
	char error[UPLOAD_ERROR_MAX];
	ck_assert_int_eq(upload_check(&conf, error), 0);
	ck_assert(!upload_signs(&conf));
	upload = upload_new(&conf, NULL, NULL);
	ck_assert_ptr_nonnull(upload);
	ck_assert_int_eq(upload_start(upload), 0);
}

struct result {
	sem_t done;
	atomic_int calls;
	int error;
	bool refused;
	char url[256], detail[1024], receipt[512];
	int64_t expires_ms;
};

static void on_published(void *arg, const struct published *result)
{
	struct result *got = arg;
	got->error = result->error;
	got->refused = result->refused;
	got->expires_ms = result->expires_ms;
	snprintf(got->url, sizeof(got->url), "%s", result->url ? result->url : "");
	snprintf(got->detail, sizeof(got->detail), "%s", result->detail);
	snprintf(got->receipt, sizeof(got->receipt), "%s", result->receipt ? result->receipt : "");
	got->calls++;
	sem_post(&got->done);
}

static int begin(struct result *got, const char *receipt)
{
	const struct publisher *publisher = upload_publisher(upload);
	struct publish_image image = { .path = at("image"),
				       .size = 3,
				       .sha256 = SHA,
				       .media_type = "image/png",
				       .extension = "png",
				       .receipt = receipt };
	memset(got, 0, sizeof(*got));
	sem_init(&got->done, 0, 0);
	return publisher->publish(publisher->ctx, &image, on_published, got);
}

static void publish(struct result *got, const char *receipt)
{
	ck_assert_int_eq(begin(got, receipt), 0);
	sem_wait(&got->done);
	ck_assert_int_eq(got->calls, 1);
	ck_assert_str_ne(got->detail, "");
}

static void run_once(const char *command, struct result *got)
{
	make(command, 0);
	publish(got, NULL);
	upload_free(upload);
}

START_TEST(a_command_is_given_all)
{
	struct result got;
	run_once("exec:[ \"$(cat)\" = abc ] && [ \"$(cat \"$1\")\" = abc ] && [ $# = 1 ] && echo "
		 "https://x.example/$PIXAL3DFS_NAME?$PIXAL3DFS_MEDIA_TYPE",
		 &got);
	ck_assert_msg(got.error == 0, "%s", got.detail);
	ck_assert_str_eq(got.url, "https://x.example/" SHA ".png?image/png");
	ck_assert_int_eq(got.expires_ms, 0);
}
END_TEST

START_TEST(a_program_gets_the_path)
{
	struct result got;
	char command[128];
	put("program", "#!/bin/sh\ncat \"$1\" >\"$1.copy\" && echo https://x.example/1\n", 0700);
	snprintf(command, sizeof(command), "exec:%s/program", dir);
	run_once(command, &got);
	ck_assert_msg(got.error == 0, "%s", got.detail);
	ck_assert_str_eq(got.url, "https://x.example/1");
	ck_assert_int_eq(access(at("image.copy"), F_OK), 0);
}
END_TEST

/* Standard files alone, no signal blocked or ignored, and a group of its own. */
START_TEST(a_command_inherits_nothing)
{
	struct result got;
	int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */
	ck_assert_int_ge(leak, 3);
	signal(SIGPIPE, SIG_IGN);
	run_once("exec:exec 2>$D/err; ls /proc/self/fd | tr '\\n' ' ' >$D/fds; "
		 "sed -n 's/^Sig[BI][lg][kn]://p' /proc/self/status >$D/signals; "
		 "ps -o pgid= -p $$ | tr -d ' ' >$D/group; echo $$ >$D/pid; "
		 "echo https://x.example/",
		 &got);
	char text[256] = "", other[256] = "";
	ck_assert_msg(got.error == 0, "%s", got.detail);
	FILE *in = fopen(at("fds"), "r");
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), in));
	fclose(in);
	ck_assert_str_eq(text, "0 1 2 3 "); /* 3: the directory that ls reads */
	unsigned long long blocked = 1, ignored = 1;
	in = fopen(at("signals"), "r");
	ck_assert_int_eq(fscanf(in, "%llx %llx", &blocked, &ignored), 2);
	fclose(in);
	ck_assert_uint_eq(blocked, 0);
	ck_assert_uint_eq(ignored & 0x7fffffff, 0); /* but libc's own */
	in = fopen(at("group"), "r");
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), in));
	fclose(in);
	in = fopen(at("pid"), "r");
	ck_assert_ptr_nonnull(fgets(other, sizeof(other), in));
	fclose(in);
	ck_assert_str_eq(text, other);
	close(leak);
}
END_TEST

static const struct {
	const char *command;
	int error;
	bool refused;
	const char *word; /* in the URL, or in the detail */
} commands[] = {
	{ "exec:echo http://127.0.0.1:1/x", EREMOTEIO, 1, "something else than an https:// URL" },
	{ "exec:printf https://x.example/no-newline", 0, 0, "https://x.example/no-newline" },
	{ "exec:printf 'https://x.example/crlf\\r\\nmore\\n'", 0, 0, "https://x.example/crlf" },
	{ "exec:echo '  https://x.example/blank  '", 0, 0, "https://x.example/blank" },
	{ "exec:cat >/dev/null", EREMOTEIO, 1, "printed nothing" },
	{ "exec:echo ''", EREMOTEIO, 1, "printed nothing" },
	{ "exec:echo http://x.example/plain", EREMOTEIO, 1, "something else than an https:// URL" },
	{ "exec:echo file:///etc/passwd", EREMOTEIO, 1, "something else than an https:// URL" },
	{ "exec:echo https://x.example/ soon", EREMOTEIO, 1, "seconds" },
	{ "exec:echo https://x.example/ -5", EREMOTEIO, 1, "seconds" },
	{ "exec:head -c 100000 /dev/zero | tr '\\0' a", EREMOTEIO, 1, "something else" },
	{ "exec:echo first >&2; echo 'no room' >&2; exit 1", EREMOTEIO, 0,
	  "status 1: first no room" },
	{ "exec:exit 75", EREMOTEIO, 0, "status 75" },
	{ "exec:exit 77", EREMOTEIO, 1, "status 77" },
	{ "exec:exit 78", EREMOTEIO, 1, "status 78" },
	{ "exec:/nowhere/at/all", EREMOTEIO, 1, "status 127" },
	{ "exec:kill -9 $$", EREMOTEIO, 0, "signal 9" },
	{ "exec:head -c 100000 /dev/zero | tr '\\0' e >&2; echo end >&2; exit 3", EREMOTEIO, 0,
	  "eeeend" },
	{ "exec:printf '\\033[31mred\\n' >&2; exit 3", EREMOTEIO, 0, "status 3: [31mred" },
};

START_TEST(what_a_command_comes_to)
{
	struct result got;
	make(commands[_i].command, 0);
	publish(&got, NULL);
	upload_free(upload);
	ck_assert_msg(got.error == commands[_i].error, "%s", got.detail);
	ck_assert_int_eq(got.refused, commands[_i].refused);
	if (got.error)
		ck_assert_msg(strstr(got.detail, commands[_i].word) != NULL, "%s", got.detail);
	else
		ck_assert_str_eq(got.url, commands[_i].word);
}
END_TEST

START_TEST(a_service_on_this_machine_fetches_from_loopback)
{
	struct result got;
	is_local = true;
	run_once("exec:echo http://127.0.0.1:1/x #", &got);
	ck_assert_str_eq(got.url, "http://127.0.0.1:1/x");
	run_once("exec:echo http://192.168.0.1/x #", &got);
	ck_assert_int_eq(got.error, EREMOTEIO);
}
END_TEST

static int64_t now_ms(void)
{
	return (int64_t)time(NULL) * 1000;
}

/* A URL that is good for long is not asked for again, unless the command is another one. */
START_TEST(a_receipt_is_good_for_a_while)
{
	static const struct {
		const char *life;
		bool asked_again;
	} lives[] = { { "", false }, { "604800", false }, { "3600", true } };
	char command[512];
	for (int i = 0; i < ROWS(lives); i++) {
		struct result first, second, other;
		snprintf(command, sizeof(command),
			 "exec:echo run >>%s/runs; echo https://x.example/$(wc -l <%s/runs) %s",
			 dir, dir, lives[i].life);
		unlink(at("runs"));
		make(command, 0);
		publish(&first, NULL);
		ck_assert_str_eq(first.url, "https://x.example/1");
		ck_assert_int_eq(first.expires_ms == 0, !lives[i].life[0]);
		if (lives[i].life[0]) {
			ck_assert_int_ge(first.expires_ms,
					 now_ms() - 10000 + 1000 * atoll(lives[i].life));
			ck_assert_int_le(first.expires_ms,
					 now_ms() + 1000 + 1000 * atoll(lives[i].life));
		}
		publish(&second, first.receipt);
		ck_assert_str_eq(second.url, lives[i].asked_again ? "https://x.example/2"
								  : "https://x.example/1");
		if (!lives[i].asked_again)
			ck_assert_int_eq(second.expires_ms, first.expires_ms);
		upload_free(upload);
		make("exec:echo https://other.example/", 0);
		publish(&other, first.receipt);
		ck_assert_str_eq(other.url, "https://other.example/");
		publish(&other, "not a receipt");
		ck_assert_str_eq(other.url, "https://other.example/");
		upload_free(upload);
	}
}
END_TEST

static bool is_alive(pid_t pid)
{
	char path[64], line[256] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *in = fopen(path, "r");
	bool alive = in && fgets(line, sizeof(line), in) && !strstr(line, ") Z ") &&
		     !strstr(line, ") X ");
	if (in)
		fclose(in);
	return alive;
}

/* Waits, within bounds, until the command has told its processes. */
static int read_pids(pid_t *pids, int count)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	int n = 0;
	for (int i = 0; i < 4000 && n < count; i++) {
		FILE *in = fopen(at("pids"), "r");
		for (n = 0; in && n < count && fscanf(in, "%d", &pids[n]) == 1; n++)
			;
		if (in)
			fclose(in);
		if (n < count)
			nanosleep(&pause, NULL);
	}
	return n;
}

static bool all_end(const pid_t *pids, int count)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	for (int i = 0; i < 4000; i++) {
		int alive = 0;
		for (int j = 0; j < count; j++)
			alive += is_alive(pids[j]);
		if (!alive)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* Itself, a child in the background that holds all its files, and what they wait for. */
#define STUCK                                                                                      \
	"exec:cd $D; (echo $(sh -c 'echo $PPID') >>pids; exec sleep 1000) & "                      \
	"(exec sleep 1000) & echo $! >>pids; echo $$ >>pids; wait"

START_TEST(a_command_that_takes_too_long_is_killed)
{
	struct result got;
	pid_t pids[3];
	make(STUCK, 3000);
	publish(&got, NULL);
	ck_assert_int_eq(got.error, ETIMEDOUT);
	ck_assert(!got.refused);
	ck_assert_msg(strstr(got.detail, "killed after 3 s") != NULL, "%s", got.detail);
	ck_assert_int_eq(read_pids(pids, 3), 3);
	ck_assert(all_end(pids, 3));
	upload_free(upload);
}
END_TEST

START_TEST(the_end_of_the_mount_kills_all)
{
	struct result got[UPLOAD_COMMANDS + 3], late;
	pid_t pids[3 * UPLOAD_COMMANDS];
	make(STUCK, 0);
	for (int i = 0; i < ROWS(got); i++)
		ck_assert_int_eq(begin(&got[i], NULL), 0);
	ck_assert_int_eq(read_pids(pids, ROWS(pids)), ROWS(pids));
	upload_stop(upload);
	for (int i = 0; i < ROWS(got); i++) {
		ck_assert_int_eq(got[i].calls, 1);
		ck_assert_int_eq(got[i].error, ESHUTDOWN);
		ck_assert(!got[i].refused);
	}
	ck_assert(all_end(pids, ROWS(pids)));
	/* no more than so many have run */
	pid_t more[3 * UPLOAD_COMMANDS + 1];
	FILE *in = fopen(at("pids"), "r");
	int n = 0;
	while (n < ROWS(more) && fscanf(in, "%d", &more[n]) == 1)
		n++;
	fclose(in);
	ck_assert_int_eq(n, ROWS(pids));
	ck_assert_int_eq(begin(&late, NULL), -ESHUTDOWN);
	upload_free(upload);
}
END_TEST

/* The driver is killed: a process like it, which waits for its command. */
START_TEST(the_death_of_the_driver_kills_all)
{
	pid_t pids[3], driver;
	int status;
	driver = fork();
	if (driver == 0) {
		struct result got;
		make(STUCK, 0);
		publish(&got, NULL);
		_exit(1);
	}
	ck_assert_int_eq(read_pids(pids, 3), 3);
	kill(driver, SIGKILL);
	ck_assert_int_eq(waitpid(driver, &status, 0), driver);
	ck_assert(WIFSIGNALED(status));
	ck_assert(all_end(pids, 3));
}
END_TEST

/* What it leaves behind in the background does not keep the answer, nor stay. */
START_TEST(what_is_left_behind_ends_with_the_command)
{
	struct result got;
	pid_t pid;
	run_once("exec:sleep 1000 & echo $! >$D/pids; echo https://x.example/", &got);
	ck_assert_int_eq(got.error, 0);
	ck_assert_int_eq(read_pids(&pid, 1), 1);
	ck_assert(all_end(&pid, 1));
}
END_TEST

START_TEST(an_image_that_is_gone_is_no_secret)
{
	struct result got;
	unlink(at("image"));
	make("exec:echo https://x.example/", 0);
	publish(&got, NULL);
	ck_assert_int_eq(got.error, ENOENT);
	ck_assert_msg(strstr(got.detail, "was not started") != NULL, "%s", got.detail);
	upload_free(upload);
}
END_TEST

START_TEST(many_at_once)
{
	static struct result got[40];
	make("exec:cat >/dev/null; echo https://x.example/$PIXAL3DFS_NAME", 0);
	for (int i = 0; i < ROWS(got); i++)
		ck_assert_int_eq(begin(&got[i], NULL), 0);
	for (int i = 0; i < ROWS(got); i++) {
		sem_wait(&got[i].done);
		ck_assert_str_eq(got[i].url, "https://x.example/" SHA ".png");
	}
	upload_free(upload);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("upload_exec");
	TCase *tcase = tcase_create("upload_exec");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_command_is_given_all);
	tcase_add_test(tcase, a_program_gets_the_path);
	tcase_add_test(tcase, a_command_inherits_nothing);
	tcase_add_loop_test(tcase, what_a_command_comes_to, 0, ROWS(commands));
	tcase_add_test(tcase, a_service_on_this_machine_fetches_from_loopback);
	tcase_add_test(tcase, a_receipt_is_good_for_a_while);
	tcase_add_test(tcase, a_command_that_takes_too_long_is_killed);
	tcase_add_test(tcase, the_end_of_the_mount_kills_all);
	tcase_add_test(tcase, the_death_of_the_driver_kills_all);
	tcase_add_test(tcase, what_is_left_behind_ends_with_the_command);
	tcase_add_test(tcase, an_image_that_is_gone_is_no_secret);
	tcase_add_test(tcase, many_at_once);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
