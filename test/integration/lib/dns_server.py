"""A name server on a loopback address of its own, and routers that ask it and nobody else.

getaddrinfo(3) goes by files in /etc, so such a router runs in a mount namespace of its own where
these are other ones. That takes root: tests skip, in words, without."""
import os
import random
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from lib.process import Process
from lib.router import Router, run
from lib.waiting import until

A, PTR, AAAA = 1, 12, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
FILES = ("resolv.conf", "hosts", "nsswitch.conf")


class Name:
    """What a name means; tests change it at will."""

    def __init__(self, addresses=(), rcode=NOERROR, silent=False, rotate=False):
        self.addresses = list(addresses)
        self.rcode = rcode  # for every question
        self.silent = silent  # nobody answers
        self.rotate = rotate  # in another order each time
        self.questions = 0


class DnsServer:
    """`names` maps "redis.test" to a Name; `owners` an address to the name that PTR tells.
    What is in neither is NXDOMAIN."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(100):
            self.address = f"127.53.{random.randrange(256)}.{random.randrange(1, 255)}"
            try:
                self.sock.bind((self.address, 53))
                break
            except PermissionError:
                self.sock.close()
                pytest.skip("only root may be a name server, at port 53")
            except OSError:
                continue
        else:
            raise AssertionError("no free address for a name server")
        self.names = {}
        self.owners = {}
        self.silent_owners = False
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def set(self, name, *addresses, **how):
        """The name has these addresses from now on. Returns its Name."""
        with self.lock:
            asked = self.names[name].questions if name in self.names else 0
            self.names[name] = Name(addresses, **how)
            self.names[name].questions = asked
            return self.names[name]

    def forget(self, name):
        with self.lock:
            del self.names[name]

    def questions(self, name):
        with self.lock:
            return self.names[name].questions

    def wait_asked(self, name, times=1, timeout=10.0):
        """Until it was asked so many times more for addresses of IPv4."""
        before = self.questions(name)
        until(lambda: self.questions(name) >= before + times, f"questions for {name}", timeout)

    def close(self):
        # The thread waits in recvfrom(): a datagram of no use ends it.
        self.stopping = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", (self.address, 53))
        self.thread.join(10)
        self.sock.close()

    stopping = False

    def _serve(self):
        while not self.stopping:
            question, peer = self.sock.recvfrom(2048)
            answer = self._answer(question) if len(question) > 12 else None
            if answer:
                self.sock.sendto(answer, peer)

    def _answer(self, question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("ascii").lower())
            at += 1 + question[at]
        kind = struct.unpack_from("!H", question, at + 1)[0]
        asked = question[12:at + 5]
        with self.lock:
            rcode, records = self._look_up(".".join(labels), kind)
        if rcode is None:
            return None
        head = question[:2] + struct.pack("!HHHHH", 0x8580 | rcode, 1, len(records), 0, 0)
        body = b"".join(struct.pack("!HHHIH", 0xc00c, kind, 1, 0, len(data)) + data
                        for data in records)
        return head + asked + body

    def _look_up(self, name, kind):
        """(rcode, the records' data); rcode None: silence."""
        if kind == PTR and name.endswith(".in-addr.arpa"):
            if self.silent_owners:
                return None, []
            owner = self.owners.get(".".join(reversed(name.split(".")[:4])))
            return (NOERROR, [_name(owner)]) if owner else (NXDOMAIN, [])
        known = self.names.get(name)
        if known is None:
            return NXDOMAIN, []
        known.questions += kind == A
        if known.silent:
            return None, []
        family = {A: socket.AF_INET, AAAA: socket.AF_INET6}.get(kind)
        records = [socket.inet_pton(family, address) for address in known.addresses
                   if family and (":" in address) == (family == socket.AF_INET6)]
        if known.rotate:
            random.shuffle(records)
        return known.rcode, records


def _name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


class Etc:
    """The files by which names are looked up. `argv(...)` is a command that sees them in /etc."""

    def __init__(self, directory, server, options="timeout:2 attempts:1"):
        if os.geteuid() != 0:
            pytest.skip("only root can give a process other files in /etc")
        self.directory = directory
        texts = {"resolv.conf": f"nameserver {server.address}\noptions {options}\n",
                 "hosts": "127.0.0.1 localhost\n", "nsswitch.conf": "hosts: files dns\n"}
        for name in FILES:
            with open(os.path.join(directory, name), "w", encoding="ascii") as file:
                file.write(texts[name])
            os.chmod(os.path.join(directory, name), 0o644)
        done = subprocess.run(self.argv(["true"]), capture_output=True, text=True, timeout=30,
                              check=False)
        if done.returncode != 0:
            pytest.skip(f"no files of our own in /etc: {done.stderr.strip()}")

    def argv(self, argv):
        mounts = " && ".join(f'mount --bind "{self.directory}/{name}" "$(readlink -f /etc/{name})"'
                             for name in FILES)
        return ["unshare", "-m", "--propagation", "private", "sh", "-c",
                f'{mounts} && exec "$@"', "sh", *argv]


class Names:
    """A name server and the home of routers that ask it. kept by the home that it is given."""

    def __init__(self, home, **etc):
        self.home = home
        self.dns = home.keep(DnsServer())
        directory = home.directory("etc")
        self.etc = Etc(directory, self.dns, **etc)

    def router(self, sections, **options):
        options.setdefault("resolve_interval", "200ms")
        return self.home.keep(Router(self.home.directory("router"), sections, wrap=self.etc.argv,
                                     **options))

    def run(self, *args, **options):
        return run(*args, wrap=self.etc.argv, **options)
