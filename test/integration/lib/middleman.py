#!/usr/bin/python3
"""Stands between an old process of the router and the new one that it starts, and hands on what
they say, until a word comes and it does what its rules say. Beside it are its rules, key=value:

  program   the router to start
  word      at which: "begin" (before all), "end" (of what is handed over), "ready", "over"
  act       "kill-old": the old one is killed, and the new one gets the word all the same
            "kill-new": the new one is killed, and we end
            "wait": makes the file PROGRAM.there, and waits for PROGRAM.go
            "lose": the word is not handed on"""
import os
import signal
import socket
import subprocess
import sys
import threading
import time

own = os.path.abspath(sys.argv[0])
rules = dict(line.strip().split("=", 1) for line in open(own + ".rules", encoding="ascii"))
old = socket.socket(fileno=3)
old.setblocking(True)
parent = os.getppid()
child = None


def act():
    if rules["act"] == "kill-old":
        os.kill(parent, signal.SIGKILL)
    elif rules["act"] == "kill-new":
        if child:
            child.kill()
            child.wait()
        os._exit(1)
    elif rules["act"] == "wait":
        with open(own + ".there", "w", encoding="ascii"):
            pass
        while not os.path.exists(own + ".go"):
            time.sleep(0.005)
    return rules["act"] != "lose"


def hand_on(from_, to):
    while True:
        try:
            text, fds, _, _ = socket.recv_fds(from_, 65536, 64)
        except OSError:
            text = b""
        if not text:
            break
        if text.decode() != rules["word"] or act():
            try:
                socket.send_fds(to, [text], fds)
            except OSError:
                break
        for fd in fds:
            os.close(fd)
    to.shutdown(socket.SHUT_WR)


if rules["word"] == "begin":
    act()
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
number = str(theirs.fileno())
child = subprocess.Popen([rules["program"], *sys.argv[1:]], pass_fds=[theirs.fileno()],
                         env=dict(os.environ, ROUTER_UPGRADE=number))
theirs.close()
threading.Thread(target=hand_on, args=(old, ours), daemon=True).start()
threading.Thread(target=hand_on, args=(ours, old), daemon=True).start()
os._exit(child.wait() & 0xff)
