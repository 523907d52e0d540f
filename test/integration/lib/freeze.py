"""Stops one thread of a child process while the others go on."""
import ctypes
import os

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


def _ptrace(request, thread):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, thread, None, None) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of thread {thread}")


def threads(process):
    """Its threads but the first, in the order in which they were started."""
    return sorted(int(t) for t in os.listdir(f"/proc/{process.pid}/task") if int(t) != process.pid)


class Frozen:
    """A context: the thread stands still in it. Enter and leave on the same thread of ours."""

    def __init__(self, thread):
        self.thread = thread

    def __enter__(self):
        _ptrace(PTRACE_SEIZE, self.thread)
        _ptrace(PTRACE_INTERRUPT, self.thread)
        os.waitpid(self.thread, WALL)
        return self

    def __exit__(self, *_):
        _ptrace(PTRACE_DETACH, self.thread)
