/*
 * canmount - can a FUSE filesystem be mounted here?
 *
 * Usage:  canmount DIRECTORY
 * Status: 0 yes; 1 no, and the reason is on stderr. Mounts on DIRECTORY for a moment when it may;
 *         without the privilege it only looks for fusermount3, which has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int no(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	char data[128];
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: canmount DIRECTORY\n");
		return 2;
	}
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return no("/dev/fuse");
	if (geteuid() != 0)
		return access("/usr/bin/fusermount3", X_OK) ? no("/usr/bin/fusermount3") : 0;
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount("canmount", argv[1], "fuse", MS_NOSUID | MS_NODEV, data))
		return no("mounting a FUSE filesystem");
	umount2(argv[1], MNT_DETACH);
	return 0;
}
