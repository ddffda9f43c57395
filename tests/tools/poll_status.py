"""poll_status FILE: waits for changes of FILE in four ways at once, and says what each heard.

For every change: a line "HOW TEXT". Ends when the text is COMPLETED for all of them.
HOW: poll (POLLPRI), epoll (edge), select (exceptional), many (a hundred more handles, all polled).
"""
import os
import select
import sys
import threading

path = sys.argv[1]
lock = threading.Lock()


def text_of(fd):
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, 4096).decode().strip()


def poller(fd):
    p = select.poll()
    p.register(fd, select.POLLPRI)
    return lambda: all(event & select.POLLPRI for _, event in p.poll())


def epoller(fd):
    p = select.epoll()
    p.register(fd, select.EPOLLPRI | select.EPOLLET)
    return lambda: p.poll()


def selector(fd):
    return lambda: select.select([], [], [fd])


def watch(how, wait):
    fd = os.open(path, os.O_RDONLY)
    # News until it was read for the first time.
    assert select.select([], [], [fd], 0)[2]
    waits = wait(fd)
    seen = []
    while not seen or seen[-1] != "COMPLETED":
        text = text_of(fd)
        if seen and text == seen[-1]:
            # Never without a change, but for one that is already over.
            waits()
            continue
        seen.append(text)
        # An ordinary file for all who read.
        assert select.select([fd], [fd], [], 0)[:2] == ([fd], [fd])
    assert select.select([], [], [fd], 0)[2] == []
    os.close(fd)
    with lock:
        print(how, *seen, flush=True)


threads = [threading.Thread(target=watch, args=a)
           for a in (("poll", poller), ("epoll", epoller), ("select", selector))]
threads += [threading.Thread(target=watch, args=("many", poller)) for _ in range(100)]
for thread in threads:
    thread.start()
print("watching", flush=True)
for thread in threads:
    thread.join()
