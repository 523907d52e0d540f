"""A Debian with nothing in it, made anew and thrown away: what a package does to a machine."""
import os
import shutil
import subprocess

from lib.process import Process


def mirror():
    """Where this machine's own Debian comes from: (codename, URL), or None."""
    release = {}
    with open("/etc/os-release", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.strip().partition("=")
            release[key] = value.strip('"')
    codename = release.get("VERSION_CODENAME", "")
    found = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
        capture_output=True, text=True, check=False).stdout.split("\n")
    urls = [line.split()[0] for line in found if line.split()[1:] == [codename]]
    return (codename, urls[0]) if urls else None


class Chroot:
    """`packages` are installed with what they need. `why` is said instead where it cannot be."""

    def __init__(self, folder, packages):
        self.root = folder
        self.why = None
        source = mirror()
        if os.geteuid() != 0:
            self.why = "only root can make a clean Debian and enter it"
        elif source is None:
            self.why = "this machine has no apt source for its own Debian"
        else:
            self._make(source, packages)

    def _make(self, source, packages):
        maker = Process(["mmdebstrap", "--quiet", "--variant=essential",
                         "--include=" + ",".join(packages), "--dpkgopt=force-unsafe-io",
                         source[0], self.root, source[1]], self.root + ".log")
        try:
            if maker.wait(240) != 0:
                self.why = "no clean Debian can be made: " + maker.log[-400:]
        finally:
            maker.kill()

    def run(self, *argv, check=True):
        """Standard output and error together; with /proc, and with nothing left running."""
        inside = 'mount -t proc proc "$1/proc" && exec chroot "$@"'
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
             "sh", "-c", inside, "sh", self.root, *argv], check=check, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                 "DEBIAN_FRONTEND": "noninteractive"}).stdout

    def files(self):
        """All paths but the package system's own."""
        own = ("var/lib/dpkg", "var/log", "var/cache", "run", "proc", "dev")
        found = set()
        for folder, folders, names in os.walk(self.root):
            at = os.path.relpath(folder, self.root)
            folders[:] = [name for name in folders
                          if os.path.normpath(os.path.join(at, name)) not in own]
            found |= {os.path.normpath(os.path.join(at, name)) for name in folders + names}
        return found

    def path(self, name):
        return os.path.join(self.root, name)

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)
