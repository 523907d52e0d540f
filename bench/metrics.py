"""What /metrics costs with 200 servers: whoever asks (time, CPU), and the clients of a session that
goes on meanwhile. `make bench-metrics`; ROUTER_BUILD names the build directory."""

import http.client
import os
import socket
import statistics
import sys
import threading
import time

from lab import BenchError, Lab, free_port

SERVERS, PER_BACKEND = 200, 10
SCRAPES = 100
SECONDS = 5
HOST = "127.0.0.1"


def configuration(admin, port, echo):
    text = f"[router]\nadmin = {HOST}:{admin}\nmax_sessions = 1000\nlog_level = error\n"
    text += f"[frontend echo]\nbind = {HOST}:{port}\nbackend = echo\n"
    text += f"[backend echo]\nprotocol = tcp\nprobe = off\nserver = echo {HOST}:{echo}\n"
    for b in range(SERVERS // PER_BACKEND):
        text += f"[frontend f{b}]\nbind = {HOST}:{free_port(HOST)}\nbackend = b{b}\n"
        text += f"[backend b{b}]\nprotocol = tcp\nprobe = off\n"
        text += "".join(f"server = server-{s} 10.1.{b}.{s + 1}:6379\n" for s in range(PER_BACKEND))
    return text


def echo_server():
    listener = socket.create_server((HOST, 0))

    def serve():
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=answer, args=(sock,), daemon=True).start()

    def answer(sock):
        while data := sock.recv(4096):
            sock.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def cpu_ms(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e6


def wait_ready(process, admin):
    for _ in range(500):
        try:
            socket.create_connection((HOST, admin)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
        if process.popen.poll() is not None:
            break
    raise BenchError(f"the router did not start: {process.last_words()}")


def scrape(connection):
    connection.request("GET", "/metrics")
    return len(connection.getresponse().read())


def ping(port):
    """Latencies of SECONDS of a client's round trips, sorted, in us."""
    with socket.create_connection((HOST, port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        took, end = [], time.monotonic() + SECONDS
        while (began := time.monotonic()) < end:
            sock.sendall(b"x" * 64)
            sock.recv(4096)
            took.append((time.monotonic() - began) * 1e6)
    return sorted(took)


def scrape_on(admin, over):
    """Once every 100 ms, a hundred times as often as Prometheus would."""
    connection = http.client.HTTPConnection(HOST, admin)
    while not over.wait(0.1):
        scrape(connection)


def ping_meanwhile(port, admin):
    over = threading.Event()
    thread = threading.Thread(target=scrape_on, args=(admin, over))
    thread.start()
    try:
        return ping(port)
    finally:
        over.set()
        thread.join()


def tell(what, took):
    print(f"{what:<24} p50 {took[len(took) // 2]:6.0f} us   "
          f"p99 {took[len(took) * 99 // 100]:6.0f} us   of {len(took)}")


def main():
    build = os.path.abspath(os.environ.get("ROUTER_BUILD", "build"))
    with Lab(build) as lab:
        admin, port = free_port(HOST), free_port(HOST)
        path = lab.path("router.ini", configuration(admin, port, echo_server()))
        process = lab.start("router", [os.path.join(build, "router"), "-c", path],
                            os.sched_getaffinity(0))
        wait_ready(process, admin)
        connection = http.client.HTTPConnection(HOST, admin)
        size = scrape(connection)
        times, before = [], cpu_ms(process.pid)
        for _ in range(SCRAPES):
            began = time.monotonic()
            scrape(connection)
            times.append((time.monotonic() - began) * 1e3)
        cpu = (cpu_ms(process.pid) - before) / SCRAPES
        print(f"/metrics of {SERVERS} servers: {size / 1e6:.1f} MB, median "
              f"{statistics.median(times):.1f} ms, {cpu:.1f} ms of the router's CPU")
        tell("a client alone", ping(port))
        tell("with ten scrapes a second", ping_meanwhile(port, admin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
