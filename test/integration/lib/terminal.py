"""A program on a terminal of its own (a pty), and what stands on its screen."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

from lib.waiting import SLOW, until

SEQUENCE = re.compile(rb"\x1b\[(\??[0-9;]*)([A-Za-z])")


class Screen:
    """As much of a VT100 as top writes; anything else is an error, so that nothing slips by."""

    def __init__(self, rows, columns):
        self.rows = rows
        self.columns = columns
        self.lines = [""] * rows
        self.alternate = False
        self.cursor = True
        self.row = 0
        self.column = 0
        self.colours = set()

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines)

    def feed(self, data):
        """Returns what is left: a sequence that has not come whole."""
        at = 0
        while at < len(data):
            if data[at:at + 1] == b"\x1b":
                match = SEQUENCE.match(data, at)
                if match is None:
                    assert len(data) - at < 16, data[at:at + 40]
                    return data[at:]
                self._sequence(match.group(1).decode(), match.group(2).decode())
                at = match.end()
            else:
                end = data.find(b"\x1b", at)
                end = len(data) if end < 0 else end
                whole = data[at:end]
                try:
                    self._write(whole.decode())
                except UnicodeDecodeError as error:
                    assert end == len(data) and error.end == len(whole), whole
                    self._write(whole[:error.start].decode())
                    return whole[error.start:]
                at = end
        return b""

    def _sequence(self, numbers, letter):
        if letter == "H" and not numbers:
            self.row = self.column = 0
        elif letter == "K" and not numbers:
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif letter == "J" and numbers == "2":
            self.lines = [""] * self.rows
        elif letter == "m":
            self.colours.add(numbers)
        elif numbers == "?1049":
            self.alternate = letter == "h"
        elif numbers == "?25":
            self.cursor = letter == "h"
        else:
            assert numbers == "?7", (numbers, letter)

    def _write(self, text):
        for character in text:
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.row += 1
                if self.row == self.rows:  # scrolled: a full screen must not
                    assert not self.alternate, "the screen scrolled"
                    self.lines = self.lines[1:] + [""]
                    self.row -= 1
            else:
                assert character >= " ", repr(character)
                assert not self.alternate or self.column < self.columns, self.text()
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
                self.column += 1


class Terminal:
    """Runs argv with all three streams on it. What it wrote is in `raw`, too."""

    def __init__(self, argv, rows=24, columns=80, env=None):
        self.master, slave = pty.openpty()
        self._set_size(slave, rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave  # kept, so that it can be looked at when the program has ended
        self.screen = Screen(rows, columns)
        self.raw = b""
        self.rest = b""
        wrapper = ["setpriv", "--pdeathsig", "KILL", "setsid", "--ctty"]
        self.popen = subprocess.Popen(wrapper + argv, stdin=slave, stdout=slave, stderr=slave,
                                      env={"TERM": "xterm", "PATH": os.environ["PATH"],
                                           **(env or {})})

    @staticmethod
    def _set_size(fd, rows, columns):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.screen = self.screen.__class__(rows, columns)
        self.screen.alternate = True
        self._set_size(self.master, rows, columns)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def pump(self):
        """Takes what is there."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.raw += data
            self.rest = self.screen.feed(self.rest + data)

    def wait_text(self, words, timeout=10.0):
        def there():
            self.pump()
            return words in self.screen.text()

        try:
            until(there, f"{words!r} on the screen", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen.text()}") from None

    def signal(self, number):
        """To the program, which is the foreground group."""
        os.killpg(os.tcgetpgrp(self.master), number)

    def wait(self, timeout=10.0):
        """Its exit status."""
        def ended():
            self.pump()
            return self.popen.poll() is not None

        until(ended, "the program to end", timeout)
        self.pump()
        return self.popen.returncode

    def restored(self):
        """Whether the terminal is as it was."""
        return (not self.screen.alternate and self.screen.cursor
                and termios.tcgetattr(self.slave) == self.before)

    def close(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGKILL)
            self.popen.wait(10 * SLOW)
        os.close(self.master)
        os.close(self.slave)
