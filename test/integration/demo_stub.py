"""Stands in for the router where the demo must notice a broken promise (test_demo.py). Called as
`demo_stub.py MODE -c FILE`; takes the ports from the environment as examples/demo.ini does.

  first-master   each connection goes to the first server in the list that says role:master
  last-master    the same from the list's other end (which happens to keep the demo's promises)
  fixed          each connection goes to the first server
  liar           says OK to every command and keeps nothing
"""
import os
import socket
import sys
import threading
import time


def ports():
    return [int(os.environ[f"REDIS_{n}"]) for n in range(3)]


def is_master(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as sock:
            sock.sendall(b"INFO replication\r\n")
            return b"role:master" in sock.recv(4096)
    except OSError:
        return False


def choose(mode):
    if mode == "fixed":
        return ports()[0]
    order = ports() if mode == "first-master" else ports()[::-1]
    for _ in range(500):
        for port in order:
            if is_master(port):
                return port
        time.sleep(0.01)
    raise OSError("no master")


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for sock in (source, target):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def lie(client):
    """The demo's clients send one whole command at a time."""
    with client:
        while client.recv(65536):
            client.sendall(b"+OK\r\n")


def serve(mode, client):
    try:
        if mode == "liar":
            lie(client)
            return
        server = socket.create_connection(("127.0.0.1", choose(mode)), 1)
    except OSError:
        client.close()
        return
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


def listen(mode, port):
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(mode, client), daemon=True).start()


def main():
    mode = sys.argv[1]
    for name in ("WRITE_PORT", "READ_PORT"):
        threading.Thread(target=listen, args=(mode, int(os.environ[name])), daemon=True).start()
    threading.Event().wait()


main()
