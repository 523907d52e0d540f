"""Runs a command and keeps what it leaves behind: a postmaster that Patroni started is nobody's
child, and PostgreSQL's backends outlive a killed postmaster for a moment.

    python3 warden.py COMMAND...

The warden lives as long as anything below it. SIGTERM, or the death of whoever started the warden,
kills all of it. The rest of this file looks at such families of processes."""
import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
STATE, PARENT = 0, 1
POLL_SECONDS = 0.002


def _stat(pid):
    """From the state on; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _wait_state(pid, states):
    while (stat := _stat(pid)) and stat[STATE] not in states:
        time.sleep(POLL_SECONDS)


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def alive(pid):
    stat = _stat(pid)
    return bool(stat) and stat[STATE] not in "ZX"


def stopped(pid):
    stat = _stat(pid)
    return bool(stat) and stat[STATE] == "T"


def name(pid):
    """As it calls itself."""
    try:
        with open(f"/proc/{pid}/comm", encoding="latin-1") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(pid):
    stats = ((int(name), _stat(name)) for name in os.listdir("/proc") if name.isdigit())
    return [child for child, stat in stats if stat and int(stat[PARENT]) == pid]


def freeze(pid):
    """SIGSTOP of it and of all below; from above, so that none is born unnoticed. All of them."""
    _signal(pid, signal.SIGSTOP)
    _wait_state(pid, "TZX")
    found = [pid]
    for child in children(pid):
        found += freeze(child)
    return found


def thaw(pid):
    """From below, so that nobody misses a child that is asleep."""
    for child in children(pid):
        thaw(child)
    _signal(pid, signal.SIGCONT)


def kill_family(pid):
    """What the loss of a machine does to it. The dead are reaped by their parent, not awaited."""
    family = freeze(pid)
    for member in family:
        _signal(member, signal.SIGKILL)
    for member in family:
        _wait_state(member, "ZX")


def _main(argv):
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    awaited = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    first = subprocess.Popen(
        argv, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited))
    status = 0
    while True:
        if signal.sigwait(awaited) == signal.SIGTERM:
            while left := children(os.getpid()):
                for child in left:
                    kill_family(child)
                _reap()
            return 0
        for pid, code in _reap():
            status = code if pid == first.pid else status
        if not children(os.getpid()):
            return status


def _reap():
    """(pid, status as a shell would say it) of those that ended."""
    ended = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        code = os.waitstatus_to_exitcode(status)
        ended.append((pid, code if code >= 0 else 128 - code))


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
