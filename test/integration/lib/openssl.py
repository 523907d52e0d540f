"""The openssl command as a client (s_client) and as a server (s_server)."""
import os
import subprocess

from lib.process import Process, free_port
from lib.waiting import until

HOST = "hub.test"


class Client:
    """`openssl s_client`, which is typed to. A line that begins with Q, R, k or K is a command:
    quit, renegotiate, new keys of ours, new keys of both sides (TLS 1.3)."""

    def __init__(self, directory, address, *options, host=HOST, ca=None):
        self.path = os.path.join(directory, "s_client.out")
        argv = ["setpriv", "--pdeathsig", "KILL", "openssl", "s_client", "-connect",
                f"{address[0]}:{address[1]}"]
        argv += ["-servername", host] if host else ["-noservername"]
        if ca:
            argv += ["-CAfile", ca, "-verify_return_error", "-verify_hostname", host]
        with open(self.path, "wb") as out:
            self.popen = subprocess.Popen([*argv, *options], stdin=subprocess.PIPE, stdout=out,
                                          stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def output(self):
        with open(self.path, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def says(self, words, timeout=10.0):
        """Until its output has these words."""
        try:
            until(lambda: words in self.output or not self.running(), words, timeout)
        finally:
            assert words in self.output, self.output

    def running(self):
        return self.popen.poll() is None

    def type(self, line):
        try:
            self.popen.stdin.write(line.encode() + b"\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            pass    # its output says why

    def update_keys(self, command):
        """k or K. What follows at once would be taken for a part of the command."""
        done = self.output.count("KEYUPDATE") + 1
        self.type(command)
        until(lambda: self.output.count("KEYUPDATE") == done, "KEYUPDATE", 10)

    def echoes(self, line):
        """What it was told comes in the middle of its own words: they leave when there are many."""
        self.type(line)
        self.says(f"{line}\n")

    def end(self, timeout=10.0):
        """Its exit status, when it has ended by itself."""
        until(lambda: not self.running(), "s_client to end", timeout)
        return self.popen.returncode

    def quit(self):
        self.type("Q")
        return self.end()

    def close(self):
        self.popen.kill()
        self.popen.wait()
        try:
            self.popen.stdin.close()
        except BrokenPipeError:
            pass


def client(home, address, *options, **keys):
    return home.keep(Client(home.directory("s_client"), address, *options, **keys))


class Server:
    """`openssl s_server -rev`, which answers each line with the line reversed; one client at a
    time. It shows the leaf alone: one that is signed by the root."""

    def __init__(self, directory, leaf, *options, name="s"):
        self.name = name
        self.port = free_port()
        self.process = Process(["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert",
                                leaf.cert, "-key", leaf.key, "-rev", *options],
                               os.path.join(directory, "s_server.log"))

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    @property
    def text(self):
        return f"127.0.0.1:{self.port}"

    @property
    def log(self):
        return self.process.log

    def wait_up(self):
        """It says so: a connect would be its one client."""
        until(lambda: "ACCEPT" in self.log, "s_server to listen", 10)
        return self

    def close(self):
        self.process.kill()


def server(home, leaf, *options, name="s"):
    return home.keep(Server(home.directory("s_server"), leaf, *options, name=name)).wait_up()
