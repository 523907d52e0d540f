"""Clients that go on while others misbehave: each knows every byte that it is to be answered, and
how long the longest of its rounds took."""
import threading
import time

from lib.resp3 import Resp3
from lib.waiting import SLOW, until


class Witness(threading.Thread):
    def __init__(self, owner, name):
        super().__init__(daemon=True)
        self.owner = owner
        self.name = name
        self.rounds = 0
        self.longest = 0.0
        self.error = None
        self.start()

    def run(self):
        try:
            with Resp3(self.owner.address) as client:
                while not self.owner.ending.wait(0.002):
                    began = time.monotonic()
                    self._round(client)
                    self.longest = max(self.longest, time.monotonic() - began)
                    self.rounds += 1
        except Exception as error:  # told by check()
            self.error = error

    def _round(self, client):
        commands, expected = self.owner.questions(self.name, self.rounds)
        answers = client.pipeline(commands)
        assert answers == expected, f"{self.name} asked {commands}: {answers} for {expected}"
        assert client.pushes == [], f"{self.name} was told {client.pushes}"


def of_any_redis(name, number):
    word = f"{name}:{number}:" + "x" * (number % 50)
    return ([("SET", name, word), ("GET", name), ("ECHO", word), ("STRLEN", name)],
            ["OK", word, word, len(word)])


def of_a_liar(name, _number):
    return [("GET", name), ("GET", f"{name} two")], [f"value of {name}", f"value of {name} two"]


class Witnesses:
    """A context: at its end each has gone on, and was answered rightly and in time."""

    def __init__(self, address, count=3, questions=of_any_redis, most_seconds=2.0, prefix="w"):
        self.address = address
        self.questions = questions
        self.most_seconds = most_seconds * SLOW
        self.ending = threading.Event()
        self.all = [Witness(self, f"{prefix}{n}") for n in range(count)]
        self.go_on()

    def go_on(self, rounds=2):
        """Until each has been answered so much more."""
        wanted = [(one, one.rounds + rounds) for one in self.all]
        until(lambda: all(one.error or one.rounds >= count for one, count in wanted),
              "the witnesses to go on", 15)
        self.check()

    def check(self):
        for one in self.all:
            if one.error:
                raise AssertionError(f"{one.name}: {one.error!r}") from one.error
            assert one.longest < self.most_seconds, f"{one.name} waited {one.longest:.2f} s"

    def close(self):
        self.ending.set()
        for one in self.all:
            one.join(30 * SLOW)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.go_on()
        finally:
            self.close()
