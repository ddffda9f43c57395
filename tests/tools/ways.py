"""ways.py FILE TRUTH [PID] - reads FILE in every way that programs do, and compares with TRUTH.

With PID, the driver: it is stopped (SIGSTOP) once FILE is open and the kernel keeps no page of it,
and goes on at the end. What is read between never passed through the driver; where it must, this
hangs, and it is for the caller to end it and let PID go on. Without PID, `stat` and a read beyond the
end are compared as well.
"""

import mmap
import os
import random
import signal
import sys

PIECE = 1 << 20


def check(got, expected, way):
    if bytes(got) != expected:
        sys.exit(f"{way}: other bytes")


def pread(fd, truth):
    for at in range(0, len(truth) + 1, PIECE):
        check(os.pread(fd, PIECE, at), truth[at : at + PIECE], f"pread at {at}")


def pread_random(fd, truth):
    chance = random.Random(len(truth))
    for _ in range(200):
        at, size = chance.randrange(len(truth)), chance.randrange(1, 3 * 4096)
        check(os.pread(fd, size, at), truth[at : at + size], f"pread of {size} at {at}")


def beyond_the_end(fd, truth):
    for at in (len(truth), len(truth) + 1, len(truth) + 4096, 1 << 40):
        check(os.pread(fd, 4096, at), b"", f"pread at {at}")
    check(os.pread(fd, 4096, len(truth) - 5), truth[-5:], "pread over the end")


def sendfile(fd, truth):
    out = os.memfd_create("copy")
    at = 0
    while n := os.sendfile(out, fd, at, PIECE):
        at += n
    check(os.pread(out, len(truth) + 1, 0), truth, "sendfile")
    os.close(out)


def direct(fd, truth):
    buf = mmap.mmap(-1, PIECE)
    for at in range(0, len(truth), PIECE):
        n = os.preadv(fd, [buf], at)
        check(buf[:n], truth[at : at + PIECE], f"O_DIRECT at {at}")


def main():
    path, truth, *pid = sys.argv[1:]
    with open(truth, "rb") as file:
        truth = file.read()
    fd = os.open(path, os.O_RDONLY)
    fd_direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
    if not pid and os.fstat(fd).st_size != len(truth):
        sys.exit("stat: another size")
    pages = mmap.mmap(fd, len(truth), prot=mmap.PROT_READ)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    for p in pid:
        os.kill(int(p), signal.SIGSTOP)
    pread(fd, truth)
    pread_random(fd, truth)
    beyond_the_end(fd, truth)
    sendfile(fd, truth)
    direct(fd_direct, truth)
    check(pages, truth, "mmap")
    for p in pid:
        os.kill(int(p), signal.SIGCONT)


main()
