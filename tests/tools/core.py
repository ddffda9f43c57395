"""Starts argv[2:] with the highest limit on cores, waits for its ready line on the descriptor named by @FD in its
arguments (without one: does not wait), aborts it, and prints whether it dumped core. argv[1]: where."""
import os
import resource
import signal
import subprocess
import sys

most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
reader, writer = os.pipe()
words = [word.replace("@FD", str(writer)) for word in sys.argv[2:]]
child = subprocess.Popen(words, pass_fds=[writer], cwd=sys.argv[1], stdin=subprocess.DEVNULL)
os.close(writer)
if words != sys.argv[2:]:
    assert os.read(reader, 1), "it is not ready"
os.kill(child.pid, signal.SIGABRT)
status = os.waitpid(child.pid, 0)[1]
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT, status
print("dumped" if os.WCOREDUMP(status) else "none")
