"""A folder with Debian unstable and packages that this machine's own Debian does not have."""
import os
import tempfile

from lib.clusters import NotInstallable
from lib.process import Process

PROJECT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
UNAVAILABLE = 75  # of .ci/sid
MAKE_SECONDS = 300.0

_refused = {}  # name: why it cannot be had, asked once in a session

# $1 is the root, $2 what shall be /srv in it, $3 what shall be its /etc/hosts; the rest is the
# command. The mounts are in a namespace that ends with the command, whose pid is the one we start.
INSIDE = """mount --bind "$2" "$1/srv" && mount --bind "$3" "$1/etc/hosts" && root=$1 && shift 3 &&
exec chroot "$root" "$@" """


def root(name, *packages):
    """The folder build/sid/<name>, made if need be, which takes half a minute."""
    if name in _refused:
        raise NotInstallable(_refused[name])
    folder = os.path.join(PROJECT, "build", "sid", name)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="router-sid-") as words:
        maker = Process([os.path.join(PROJECT, ".ci", "sid"), folder, *packages], words.name)
        try:
            status = maker.wait(MAKE_SECONDS)
        finally:
            maker.kill()
        said = maker.log.strip()
    if status == UNAVAILABLE:
        _refused[name] = said
        raise NotInstallable(said)
    assert status == 0, said
    return folder


def command(folder, srv, hosts, argv):
    """The argv that runs argv in the folder, where `srv` is /srv and `hosts` /etc/hosts."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", INSIDE, "sh",
            folder, srv, hosts, *argv]
