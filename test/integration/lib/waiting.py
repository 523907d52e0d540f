"""Wait for a condition, with a deadline. The only place of the tests that sleeps."""
import os
import time

# Sanitizer builds are slower: deadlines and bounds are multiplied by this.
SLOW = 5.0 if os.environ.get("ROUTER_SANITIZE") else 1.0
POLL_SECONDS = 0.005


def until(condition, what, timeout=5.0, poll=POLL_SECONDS):
    """The first true value of condition(); fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout * SLOW:.1f} s in vain: {what}; last: {value!r}")
        time.sleep(poll)


def holds(condition, what, seconds):
    """Fails as soon as condition() is not true within the next `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer true: {what}"
        time.sleep(POLL_SECONDS)


class Clock:
    """For what is measured over a while: until(lambda: clock.passed(1.0), ...)."""

    def __init__(self):
        self.began = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.began

    def passed(self, seconds):
        return self.seconds() > seconds
