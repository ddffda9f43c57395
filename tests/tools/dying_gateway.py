"""A gateway that dies: dying_gateway.py READY [CERTIFICATE KEY]

It takes jobs and answers polls, over HTTP/1.1 with connections that are kept, and counts every POST
body that arrived whole. Asked to, it ends the connection of the next submission or poll at one point
of the exchange. READY gets GATEWAY=URL and CONTROL=URL; at CONTROL:

  /die?at=submit|poll&point=POINT&how=fin|rst    the next one dies there (kept connections die before)
  /end                                           jobs of images called "stay" have FAILED; others do
                                                 so at their first poll
  /counts    {"posts": whole bodies, "bodies": {image: whole bodies}, "answered": polls,
              "fired": {"AT.POINT.HOW": n}, "kept": most polls on one connection}

Points: before-accept (a connection is pending, the listener closes), accepted (nothing was read),
tls-hello and tls-half (of the handshake), head-half, head, body-half, body (all was read); then of the
answer: continue (a 100 and nothing more), status-half, fields-half, fields, answer-half.
"""
import http.server
import json
import os
import select
import socket
import ssl
import struct
import sys
import threading
from urllib.parse import parse_qs, urlparse

lock = threading.Lock()
death = {}  # at, point, how: what comes next
counts = {"posts": 0, "bodies": {}, "answered": 0, "fired": {}, "kept": 0}
jobs = []  # image URLs; the index is the request id's number
stay = True
idle = set()


class Died(Exception):
    pass


def listen(port=0):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener


def strikes(point, at=None):
    """The way to die at this point, once; None: live on. Before its head a request may be any."""
    with lock:
        if death.get("point") != point or at not in (None, death["at"]):
            return None
        name = "{at}.{point}.{how}".format(**death)
        counts["fired"][name] = counts["fired"].get(name, 0) + 1
        how = death["how"]
        death.clear()
        return how


def hang_up(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has gone by itself
        pass


def abort(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def die(sock, how):
    if how == "fin":
        sock.shutdown(socket.SHUT_WR)  # of the TCP connection: TLS does not say goodbye
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLRDHUP)
        poll.poll(5000)
        sock.close()
    else:
        abort(sock)
    raise Died


def point(sock, name, at=None):
    how = strikes(name, at)
    if how:
        die(sock, how)


def shake_hands(sock, context):
    half = strikes("tls-half")
    if not half:
        return context.wrap_socket(sock, server_side=True)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(sock.recv(16384))
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    flight = outgoing.read()
    sock.sendall(flight[: len(flight) // 2])
    die(sock, half)


def read(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise Died
        data += more
    return data


def read_request(sock):
    with lock:
        idle.add(sock)
    try:
        head = read(sock, 1)
    finally:
        with lock:
            idle.discard(sock)
    head += read(sock, 19)
    at = "submit" if head.startswith(b"POST") else "poll"
    point(sock, "head-half", at)
    while not head.endswith(b"\r\n\r\n"):
        head += read(sock, 1)
    point(sock, "head", at)
    fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
    size = int(fields.get("content-length", "0"))
    body = read(sock, size // 2)
    point(sock, "body-half", at)
    body += read(sock, size - size // 2)
    return at, head.split()[1].decode(), body


def take_job(body):
    image = json.loads(body)["image_url"]
    with lock:
        counts["posts"] += 1
        counts["bodies"][image] = counts["bodies"].get(image, 0) + 1
        jobs.append(image)
        return {"request_id": "job_%d" % (len(jobs) - 1), "status": "QUEUED"}


def tell_status(path):
    name = path.rsplit("/", 1)[1]
    going = stay and "stay" in jobs[int(name.split("_")[1])]
    return {"request_id": name, "status": "PROCESSING" if going else "FAILED", "output": None}


def answer(sock, at, told):
    body = json.dumps(told).encode()
    status = b"HTTP/1.1 202 Accepted\r\n" if at == "submit" else b"HTTP/1.1 200 OK\r\n"
    fields = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    whole = status + fields + body
    cuts = {
        "continue": b"HTTP/1.1 100 Continue\r\n\r\n",
        "status-half": whole[:11],
        "fields-half": whole[: len(status) + 20],
        "fields": status + fields,
        "answer-half": whole[: -len(body) // 2],
    }
    for name, part in cuts.items():
        how = strikes(name, at)
        if how:
            sock.sendall(part)
            die(sock, how)
    sock.sendall(whole)


def converse(sock, context):
    served = 0
    how = strikes("accepted")
    if how or death.get("point") in ("tls-hello", "tls-half"):
        sock.recv(1, socket.MSG_PEEK)
    if how:
        die(sock, how)
    if context:
        point(sock, "tls-hello")
        sock = shake_hands(sock, context)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        at, path, body = read_request(sock)
        told = take_job(body) if at == "submit" else tell_status(path)
        point(sock, "body", at)
        answer(sock, at, told)
        if at == "poll":
            served += 1
            with lock:
                counts["answered"] += 1
                counts["kept"] = max(counts["kept"], served)
                if death.get("at") == "poll":  # a kept connection dies before
                    return hang_up(sock)


def connection(sock, context):
    try:
        converse(sock, context)
    except (Died, OSError):
        pass


def accept_forever(listener, context):
    while True:
        select.select([listener], [], [])
        if strikes("before-accept"):
            pending, listener = listener, listen(listener.getsockname()[1])
            pending.close()
            continue
        sock, _ = listener.accept()
        threading.Thread(target=connection, args=(sock, context), daemon=True).start()


class Control(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global stay
        url = urlparse(self.path)
        with lock:
            if url.path == "/die":
                death.update((k, v[0]) for k, v in parse_qs(url.query).items())
                for sock in idle if death["at"] == "poll" else ():
                    hang_up(sock)
            elif url.path == "/end":
                stay = False
            text = json.dumps(counts).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def main():
    context = None
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
    listener = listen()
    control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
    threading.Thread(target=control.serve_forever, daemon=True).start()
    origin = "https://localhost" if context else "http://127.0.0.1"
    with open(sys.argv[1] + ".new", "w") as ready:
        print("GATEWAY=%s:%d" % (origin, listener.getsockname()[1]), file=ready)
        print("CONTROL=http://127.0.0.1:%d" % control.server_port, file=ready)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    accept_forever(listener, context)


main()
