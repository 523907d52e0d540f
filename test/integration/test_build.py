"""The build for strangers: what is missing is installed and nothing else is touched; `make install`
puts things where a package would."""
import os
import subprocess

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
NEED = os.path.join(ROOT, ".ci", "need")

FAKES = {
    # "there" and "held" are installed, "removed" was once; "there" provides "given".
    "dpkg-query": """
        case "$*" in *Provides*) printf 'ii other, given (= 1)\\nrc removed-too\\n'; exit 0 ;; esac
        eval package=\\$$#
        case $package in
        there) printf 'install ok installed' ;;
        held) printf 'hold ok installed' ;;
        removed) printf 'deinstall ok config-files' ;;
        *) exit 1 ;;
        esac""",
    "id": "echo 1000",
    "apt-get": 'echo "apt-get $*" >>"$CALLS"; exit 1',
    "sudo": 'echo "sudo $*" >>"$CALLS"',
}


class Machine:
    """Commands that answer as we say; what would change the machine is only noted."""

    def __init__(self, home, without=()):
        self.calls = os.path.join(home.directory("machine"), "calls")
        self.path = home.directory("bin")
        for name in ("sh", "printf", "mktemp", "rm"):
            os.symlink(os.path.join("/bin", name), os.path.join(self.path, name))
        for name, body in FAKES.items():
            if name not in without:
                file = os.path.join(self.path, name)
                with open(file, "w", encoding="ascii") as out:
                    out.write("#!/bin/sh\n" + body + "\n")
                os.chmod(file, 0o755)

    def need(self, *packages):
        """Status, all that was said, and the calls that would have changed something."""
        done = subprocess.run([NEED, "make test", *packages], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={"PATH": self.path, "CALLS": self.calls})
        calls = ""
        if os.path.exists(self.calls):
            with open(self.calls, encoding="ascii") as file:
                calls = file.read()
        return done.returncode, done.stdout, calls


def test_nothing_is_asked_of_apt_or_sudo_when_nothing_is_missing(home):
    assert Machine(home).need("there", "held") == (0, "", "")


def test_what_another_package_provides_is_there(home):
    machine = Machine(home)
    assert machine.need("other", "given") == (0, "", "")
    _status, said, _calls = machine.need("give", "removed-too")
    assert "installing give removed-too" in said


def test_only_what_is_missing_is_installed(home):
    status, said, calls = Machine(home).need("there", "missing", "held", "removed")
    assert status == 0
    assert calls.endswith("--as-root missing removed\n")
    assert "installing missing removed" in said


def test_without_root_and_sudo_the_command_to_type_is_told(home):
    status, said, calls = Machine(home, without=["sudo"]).need("missing", "there")
    assert status == 1
    assert "apt-get install --no-install-recommends missing\n" in said
    assert not calls


def test_where_there_is_no_dpkg_the_list_is_told_and_the_build_goes_on(home):
    status, said, calls = Machine(home, without=["dpkg-query"]).need("missing")
    assert (status, calls) == (0, "")
    assert "not Debian" in said and "missing" in said


@pytest.fixture
def clean_environment():
    """make's own variables of the run that started us must not reach the one that we start."""
    return {name: value for name, value in os.environ.items()
            if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "SANITIZE", "DESTDIR", "PREFIX")}


def test_make_install_fills_a_prefix_below_destdir(home, clean_environment):
    target = home.directory("target")
    subprocess.run(["make", "install", f"DESTDIR={target}", "PREFIX=/opt/router"], check=True,
                   cwd=ROOT, env=clean_environment, stdout=subprocess.DEVNULL)
    found = {os.path.relpath(os.path.join(folder, name), target)
             for folder, _, names in os.walk(target) for name in names}
    examples = {name for name in os.listdir(os.path.join(ROOT, "examples"))
                if name.endswith(".ini")}
    document = "opt/router/share/doc/router/"
    assert found >= {"opt/router/bin/router", document + "README.md", document + "COPYING",
                     "opt/router/bin/routerctl", "opt/router/share/man/man1/routerctl.1",
                     "opt/router/share/bash-completion/completions/routerctl",
                     "opt/router/share/man/man8/router.8",
                     "opt/router/share/man/man5/router.ini.5"}
    assert found >= {f"{document}examples/{name}" for name in examples}
    assert all(path.startswith("opt/router/") for path in found)
    version = subprocess.run([os.path.join(target, "opt/router/bin/router"), "-v"], check=True,
                             capture_output=True, text=True).stdout
    assert version.startswith("router ")
