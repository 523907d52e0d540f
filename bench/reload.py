"""What a reload costs with thousands of living sessions: does one end, and for how long does a
worker do nothing else? The worker's own CPU time by the kernel's account (schedstat) is an upper
bound of how long it stood still, which no other load on the machine can spoil."""
import os
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

SESSIONS = 5000
ROUNDS = 100
BINARY = os.path.join(os.environ.get("ROUTER_BUILD", "build"), "router")


def echo_server():
    """Its port; one thread, ended with the process."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)

    def run():
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                    continue
                try:
                    data = key.fileobj.recv(4096)
                except ConnectionResetError: # at the end
                    data = b""
                if data:
                    key.fileobj.sendall(data)
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()

    threading.Thread(target=run, daemon=True).start()
    return listener.getsockname()[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def write(path, port, admin, servers, i):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(f"[router]\nworkers = 1\nadmin = 127.0.0.1:{admin}\n"
                   f"[frontend f]\nbind = 127.0.0.1:{port}\nbackend = b\n"
                   f"max_sessions = {2 * SESSIONS + i}\n"
                   "[backend b]\nprotocol = tcp\nprobe = off\n"
                   + "".join(f"server = s{n} 127.0.0.1:{server}\n"
                             for n, server in enumerate(servers[:1 + i % len(servers)])))
    os.rename(path + ".new", path)


def threads(pid):
    """CPU nanoseconds of each thread."""
    out = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            out[task] = int(file.read().split()[0])
    return out


def taken(log, count):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with open(log, encoding="utf-8") as file:
            if file.read().count("is in force") >= count:
                return
        time.sleep(0.001)
    raise SystemExit("a reload was not taken")


def settle(process):
    """The worker has done what a reload brought: nobody uses CPU any more."""
    before = threads(process.pid)
    while True:
        time.sleep(0.03)
        now = threads(process.pid)
        if sum(now.values()) - sum(before.values()) < 300_000:
            return now
        before = now


def measure(folder):
    servers = [echo_server(), echo_server(), echo_server()]
    port, admin = free_port(), free_port()
    path, log = os.path.join(folder, "router.ini"), os.path.join(folder, "log")
    write(path, port, admin, servers, 0)
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen([BINARY, "-c", path], stderr=out)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.02)
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(SESSIONS)]
        for client in clients:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        costs, control = [], []
        time.sleep(2)  # a second after its beginning each session's keepalive is set
        before = settle(process)
        for i in range(1, ROUNDS + 1):
            write(path, port, admin, servers, i)
            process.send_signal(signal.SIGHUP)
            taken(log, i)
            after = settle(process)
            main = str(process.pid)
            costs.append(max(after[t] - before.get(t, 0) for t in after if t != main) / 1e6)
            control.append((after[main] - before[main]) / 1e6)
            before = after
        lost = 0
        for client in clients:
            client.sendall(b"y")
            lost += client.recv(1) != b"y"
        return costs, control, lost
    finally:
        process.terminate()
        process.wait(60)


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="router-bench-") as folder:
        costs, control, lost = measure(folder)
    print(f"{ROUNDS} reloads with {SESSIONS} sessions on one worker: {lost} lost")
    print(f"CPU of the worker, ms a reload:  median {statistics.median(costs):.2f}, "
          f"most {max(costs):.2f}  (target: 5)")
    print(f"CPU of the control thread, ms:   median {statistics.median(control):.2f}, "
          f"most {max(control):.2f}")
    return 0 if lost == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
