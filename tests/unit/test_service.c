/* What is said to the service manager, over a socket of our own. */
#include "run.h"
#include "service.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket named NAME, "@..." in the abstract namespace, as systemd makes it. */
static int manager(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = (socklen_t)(sizeof(address.sun_family) + strlen(name));
	strcpy(address.sun_path, name);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	else
		unlink(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void said(int fd, const char *expected)
{
	char text[2048];
	ssize_t len = recv(fd, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	ck_assert_str_eq(text, expected);
}

START_TEST(lines_arrive)
{
	char name[100];
	for (int abstract = 0; abstract < 2; abstract++) {
		snprintf(name, sizeof(name), "%s%s/notify.%d", abstract ? "@" : "",
			 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
		int fd = manager(name);
		service_notify("READY=1\nSTATUS=%s on %s", "sandbox", "/mnt");
		said(fd, "READY=1\nSTATUS=sandbox on /mnt");
		service_notify("STOPPING=1");
		said(fd, "STOPPING=1");
		close(fd);
		if (!abstract)
			unlink(name);
	}
}
END_TEST

/* Nobody listens, too long, no socket at all: nothing breaks, nothing is sent. */
START_TEST(without_a_manager_it_is_nothing)
{
	char name[100], longer[2000];
	snprintf(name, sizeof(name), "@pixal3dfs-test.%d", (int)getpid());
	int fd = manager(name);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	service_notify("STATUS=%s", longer);
	ck_assert_int_lt(recv(fd, longer, sizeof(longer), 0), 0);
	close(fd);
	service_notify("READY=1");
	setenv("NOTIFY_SOCKET", longer, 1);
	service_notify("READY=1");
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	service_notify("READY=1");
	unsetenv("NOTIFY_SOCKET");
	service_notify("READY=1");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service");
	TCase *tcase = tcase_create("service");
	tcase_add_test(tcase, lines_arrive);
	tcase_add_test(tcase, without_a_manager_it_is_nothing);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
