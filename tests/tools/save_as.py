"""save_as.py PROGRAM SOURCE DESTINATION - saves SOURCE's content as PROGRAM does.

The system calls of programs that a test machine seldom has, as they were traced. Ends with the
errno's text and status 1 where the program would show an error.
"""

import os
import sys


def write(path, content, flags, mode=0o666):
    fd = os.open(path, flags, mode)
    os.write(fd, content)
    return fd


def busybox(path, content):
    os.close(write(path, content, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))


def vscode(path, content):
    fd = write(path, content, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.fdatasync(fd)
    os.close(fd)


def micro(path, content):
    if os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY))  # may it be written?
    fd = write(path, content, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.close(os.dup(fd))
    os.close(fd)


def nvim(path, content):
    probe = os.path.join(os.path.dirname(path), "4913")
    backup = path + "~"
    old = os.stat(path) if os.path.exists(path) else None
    fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o100644)
    if old:
        os.fchown(fd, old.st_uid, old.st_gid)
    os.close(fd)
    os.unlink(probe)
    if old:
        os.rename(path, backup)
    os.close(write(path, content, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    if old:
        os.chmod(path, old.st_mode)
        os.unlink(backup)


def thunar(path, content):
    os.close(write(path, content, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.chmod(path, 0o640)
    os.utime(path, (1700000000, 1700000000))


def gedit(path, content):
    temporary = os.path.join(os.path.dirname(path), ".goutputstream-A1B2C3")
    fd = write(temporary, content, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    if os.path.exists(path):
        old = os.stat(path)
        os.fchown(fd, old.st_uid, old.st_gid)
        os.fchmod(fd, old.st_mode)
    os.fsync(fd)
    os.close(os.dup(fd))
    try:
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    os.close(fd)


def main():
    program, source, destination = sys.argv[1:]
    with open(source, "rb") as file:
        content = file.read()
    try:
        globals()[program](destination, content)
    except OSError as error:
        sys.exit(f"{program}: {destination}: {error.strerror}")


main()
