"""haproxy.cfg files and, beside each, the router.ini that one would have written by hand.

haproxy/NAME.cfg may be a directory NAME of files; haproxy/NAME.ini is what must come out. A line of
NAME.cfg that ends in `#= lost` or `#= difference` must be called that; all others are kept or not
needed. "# haproxy 3.1" in the first line: older ones do not know all words. /etc/haproxy and
/dev/log of the files are places of the test."""
import os
import re
import shutil
import subprocess

from lib.certificates import Authority
from lib.router import run
from lib.syslog import Syslog
from lib.waiting import SLOW

FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "haproxy")
ENVIRONMENT = {"ROUTER_PROBE_PASSWORD": "", "REDIS_PASSWORD": "redis-secret", "AUTH": "auth-secret",
               "SENTINELAUTH": "sentinel-secret", "PRIMARY_REGION": "ams", "SITE": "ams",
               "WEB_PORT": "8001", "WEB_HOST": "10.0.0.6"}
SECRET_VARIABLES = ("REDIS_PASSWORD", "AUTH", "SENTINELAUTH")
CERTIFICATES = ("redis", "hub", "many/a", "many/b")
MARK = re.compile(r"#= (lost|difference)$")
OPTION = re.compile(r"^([a-z_]+) = (.*?)(?:\s+;.*)?$")
SECRETS = ("admin_password", "probe_password", "sentinel_password")


def names():
    return sorted(entry[:-4] for entry in os.listdir(FILES) if entry.endswith(".ini"))


def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def haproxy(*args, cwd=None):
    """`haproxy -c`, with all that it says."""
    argv = ["setpriv", "--pdeathsig", "KILL", "haproxy", "-c", *args]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=20 * SLOW, check=False, cwd=cwd,
                          encoding="utf-8", errors="replace",
                          env={**os.environ, **ENVIRONMENT})


def haproxy_version():
    said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", said).groups()))


class Corpus:
    """The files, in a place of their own with all that they name."""

    def __init__(self, home):
        self.directory = home.directory("corpus")
        etc = os.path.join(self.directory, "etc")
        shutil.copytree(os.path.join(FILES, "etc"), etc)
        authority = Authority(etc)
        os.makedirs(os.path.join(etc, "certs", "many"))
        shutil.copy(authority.ca, os.path.join(etc, "certs", "ca.pem"))
        leaf = authority.leaf(names=["hub.example.com"])
        for name in CERTIFICATES:
            shutil.copy(leaf.pem, os.path.join(etc, "certs", name + ".pem"))
        self.syslog = home.keep(Syslog(os.path.join(self.directory, "log")))
        for folder, _, files in os.walk(FILES):
            for file in files:
                source = os.path.join(folder, file)
                target = os.path.join(self.directory, os.path.relpath(source, FILES))
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "w", encoding="utf-8") as out:
                    out.write(self.here(text(source)))

    def here(self, words):
        words = words.replace("/etc/haproxy/", f"{self.directory}/etc/")
        words = words.replace("/dev/log", self.syslog.path)
        return words.replace("log = syslog\n", f"log = {self.syslog.text}\n")

    def path(self, name):
        plain = os.path.join(self.directory, name)
        return plain if os.path.isdir(plain) else plain + ".cfg"

    def by_hand(self, name):
        return os.path.join(self.directory, name + ".ini")

    def files(self, name):
        path = self.path(name)
        if not os.path.isdir(path):
            return [path]
        return sorted(os.path.join(path, f) for f in os.listdir(path) if f.endswith(".cfg"))

    def needs(self, name):
        """The oldest HAProxy that knows all its words."""
        found = re.match(r"# haproxy (\d+)\.(\d+)\n", text(self.files(name)[0]))
        return tuple(map(int, found.groups())) if found else (0, 0)

    def marks(self, name):
        """{(file, line): "lost" or "difference"}"""
        found = {}
        for path in self.files(name):
            for number, line in enumerate(text(path).split("\n"), 1):
                mark = MARK.search(line)
                if mark:
                    found[path, number] = mark.group(1)
        return found

    def router(self, *args):
        return run(*args, env=ENVIRONMENT)

    def dump(self, *config):
        """{section: lines} in effect, without comments; of a router.ini, or ("-f", ...)."""
        done = self.router("--dump-config", *config)
        assert done.returncode == 0, done.stderr
        return sections(done.stdout)

    def secrets(self, path):
        """Those a dump does not show, as they are written."""
        return {title: sorted(line for line in lines if line.split(" = ")[0] in SECRETS)
                for title, lines in sections(text(path)).items()}


def sections(ini):
    found = {"[router]": []}
    title = "[router]"
    for line in ini.split("\n"):
        option = OPTION.match(line)
        if line.startswith("["):
            title = line.split("]")[0] + "]"
            found.setdefault(title, [])
        elif option:
            found[title].append(" = ".join(option.groups()))
    return found


def numbered(words):
    return "".join(f"{n:4} {line}\n" for n, line in enumerate(words.split("\n"), 1))
