"""trap.py READY LOG ADDRESS... - takes connections to ports 80 and 443 of addresses where nobody should
knock, and writes "ADDRESS PORT" for each to LOG. READY is made when it listens."""
import select
import socket
import sys

listeners = []
for address in sys.argv[3:]:
    for port in (80, 443):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
        listeners.append(listener)
open(sys.argv[1], "w").close()
while True:
    for listener in select.select(listeners, [], [])[0]:
        sock, _ = listener.accept()
        with open(sys.argv[2], "a") as log:
            print(*sock.getsockname()[:2], file=log)
        sock.close()
