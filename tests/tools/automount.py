# automount.py DIRECTORY COMMAND... - what systemd's .automount does: at the first look into DIRECTORY, runs COMMAND,
# which mounts on it; the looker waits. Prints "armed", ends when COMMAND has ended, with its status; DIRECTORY stays
# as COMMAND leaves it, over the autofs mount.
import ctypes
import fcntl
import os
import struct
import subprocess
import sys

AUTOFS_IOC_READY, AUTOFS_IOC_FAIL, AUTOFS_IOC_CATATONIC = 0x9360, 0x9361, 0x9362
PACKET = 304  # struct autofs_v5_packet

directory, command = sys.argv[1], sys.argv[2:]
libc = ctypes.CDLL(None, use_errno=True)
os.setpgrp()  # the kernel lets this process group, COMMAND among it, pass without waiting
packets, kernel = os.pipe()
data = f"fd={kernel},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct"
if libc.mount(b"automount.py", directory.encode(), b"autofs", 0, data.encode()):
    sys.exit("77: autofs: " + os.strerror(ctypes.get_errno()))
os.close(kernel)
root = os.open(directory, os.O_RDONLY)
print("armed", flush=True)
token = struct.unpack_from("I", os.read(packets, PACKET), 8)[0]
try:
    status = subprocess.run(command, timeout=20).returncode
except subprocess.TimeoutExpired:
    status = 124
fcntl.ioctl(root, AUTOFS_IOC_FAIL if status else AUTOFS_IOC_READY, token)
fcntl.ioctl(root, AUTOFS_IOC_CATATONIC, 0)
sys.exit(status)
