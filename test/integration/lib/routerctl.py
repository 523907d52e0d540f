"""routerctl run to its end."""
import os
import re
import subprocess

from lib.router import BUILD, judge
from lib.waiting import SLOW

BINARY = os.path.join(BUILD, "routerctl")


def environment(**more):
    """Ours without what would change what it says."""
    kept = {name: value for name, value in os.environ.items()
            if name not in ("ROUTER_SOCKET", "NO_COLOR", "TERM")}
    return {**kept, **more}


def routerctl(*args, socket=None, timeout=20, env=None, stdin=subprocess.DEVNULL):
    """A CompletedProcess with text."""
    wrapper = ["setpriv", "--pdeathsig", "KILL", BINARY]
    done = subprocess.run(wrapper + (["-s", socket] if socket else []) + list(args), stdin=stdin,
                          capture_output=True, text=True, timeout=timeout * SLOW, check=False,
                          env=environment(**(env or {})))
    judge(done.returncode, done.stderr)
    return done


def rows(output):
    """The cells of a table, row by row, its titles first. No cell may have two spaces in it."""
    return [re.split(" {2,}", line.strip()) for line in output.splitlines() if line]
