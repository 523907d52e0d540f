"""Promise: a password is nowhere but in memory: not in the log, on a page, in a dump, in an error
or on a command line; and other processes of its user cannot look into the memory."""
import os

import pytest

from lib.fake import fake_redis, primary_answers
from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.redis_server import Redis
from lib.resp import Resp
from lib.router import run
from lib.sockets import local

SECRET = "s3cret-of-the-probe"
PAGES = ["/", "/stats.json", "/metrics", "/healthz", "/readyz", "/not/there"]
ENV = {"ROUTER_TEST_SECRET": SECRET}
NOBODY = 65534


def written(_home):
    return {"probe_password": SECRET}


def from_file(home):
    return {"probe_password_file": home.file("secret", SECRET + "\n")}


def from_environment(_home):
    return {"probe_password": "${ROUTER_TEST_SECRET}"}


SOURCES = pytest.mark.parametrize("source", [written, from_file, from_environment])


def silent(text, where):
    assert SECRET not in text, f"the password is in {where}:\n{text}"


def check_running(router):
    for page in PAGES:
        silent(router.http(page)[1], page)
    with open(f"/proc/{router.pid}/cmdline", encoding="utf-8") as file:
        silent(file.read(), "its command line")
    silent(router.log, "the log")


def check_commands(router):
    """The other things the binary does with the same file."""
    for args in (["-t"], ["--dump-config"], ["--probe"]):
        done = run(*args, "-c", router.path, env=ENV)
        silent(done.stdout + done.stderr, args[0])


def start(home, backend, port=None, **options):
    return home.router(frontend("f", port or free_port()) + backend, log_level="debug",
                       log_sessions="all", env=ENV, **options)


@SOURCES
def test_a_right_password_is_shown_nowhere(home, source):
    server, port = home.redis("a", requirepass=SECRET), free_port()
    router = start(home, redis_backend(server, **source(home)), port)
    router.wait_primary("a")
    with Resp(local(port), password=SECRET) as client:
        assert client.call("PING") == "PONG"
    server.ok("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # it logs in once more
    check_commands(router)
    router.wait_primary("a")
    check_running(router)
    router.stop()
    silent(router.log, "the log")


@SOURCES
def test_a_wrong_password_is_shown_nowhere(home, source):
    server = home.redis("a", requirepass="another")
    router = start(home, redis_backend(server, **source(home)), start_timeout="100ms")
    router.wait_for(lambda s: "password" in s.server("a")["reason"], "the reason")
    check_commands(router)
    check_running(router)


def unknown(command):
    """Real servers repeat what they do not understand."""
    return b"-ERR unknown command '%s', with args beginning with: '%s' \r\n" % (
        command.encode(), SECRET.encode())


ECHOES = {
    "AUTH is unknown": ("AUTH", unknown("AUTH")),
    "AUTH fails in its own words": ("AUTH", b"-ERR no such password: %s\r\n" % SECRET.encode()),
    "INFO repeats it": ("INFO", b"-ERR you said %s before\r\n" % SECRET.encode()),
    "INFO repeats a long one": ("INFO", b"-ERR %s %s\r\n" % (b"x" * 110, SECRET.encode())),
}


@pytest.mark.parametrize("echo", list(ECHOES))
def test_a_server_that_repeats_the_password_does_not_make_us_repeat_it(home, echo):
    command, reply = ECHOES[echo]

    def answers(server, args):
        return reply if args[0] == command else primary_answers(server, args)

    fake = home.fake(fake_redis(answers), "a")
    router = start(home, redis_backend(fake, **written(home)), start_timeout="100ms")
    router.wait_for(lambda s: s.server("a")["state"] == "down", "it to be refused")
    assert router.stats().server("a")["reason"]
    check_commands(router)
    check_running(router)


def test_a_real_server_that_has_renamed_auth_does_not_make_us_repeat_it(home):
    server = home.keep(Redis(home.directory("a"), "a", rename={"AUTH": "OPEN_a1b2"},
                             requirepass=SECRET)).start(wait=False)
    router = start(home, redis_backend(server, **written(home)), start_timeout="100ms")
    router.wait_for(lambda s: "unknown" in s.server("a")["reason"], "the reason")
    check_commands(router)
    check_running(router)


@pytest.mark.parametrize("bad", [
    "probe_password = {secret}\nprobe_password = {secret}\n",
    "probe_password = {secret}\nprobe_password_file = /not/there\n",
    "probe_password = ${{NOT_SET_ANYWHERE}}{secret}\n",
    "probe_pasword = {secret}\n",
    "[{secret}\n",
    "protocol = tcp\nprobe_password = {secret}\n",
    "probe_password = {secret}" + "x" * 5000 + "\n",
], ids=["twice", "two sources", "no variable", "misspelt", "no section", "for tcp", "too long"])
def test_an_error_in_the_configuration_does_not_quote_a_password(home, bad):
    """A section's title is the one thing here that is quoted: it is no value."""
    text = frontend("f", free_port()) + "[backend b]\nserver = a 127.0.0.1:1\n"
    text += "" if "protocol" in bad else "protocol = redis\n"
    path = home.file("r.ini", text + bad.format(secret=SECRET))
    done = run("-t", "-c", path)
    assert done.returncode == 1, done.stdout
    if not bad.startswith("["):
        silent(done.stdout + done.stderr, "the error")


def owner_of_memory(pid):
    """The kernel gives what tells the memory of a process that may not be dumped to root."""
    return os.stat(f"/proc/{pid}/environ").st_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start one as somebody else")
def test_a_process_that_knows_a_password_is_not_dumpable(home):
    """No core, no ptrace by its own user, who cannot read /proc/PID/mem or environ either."""
    server = home.redis("a", requirepass=SECRET)
    backend = redis_backend(server, probe_password=SECRET)
    path = home.file("r.ini", "[router]\nadmin = off\n" + frontend("f", free_port()) + backend)
    os.chown(path, NOBODY, NOBODY)
    router = start(home, backend, user=NOBODY)
    router.wait_primary("a")
    assert owner_of_memory(router.pid) == 0
    assert not can_read_as(NOBODY, f"/proc/{router.pid}/environ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start one as somebody else")
def test_a_process_that_knows_no_password_may_be_debugged(home):
    """So that the test above tells something."""
    router = start(home, redis_backend(home.redis("a")), user=NOBODY)
    router.wait_primary("a")
    assert owner_of_memory(router.pid) == NOBODY
    assert can_read_as(NOBODY, f"/proc/{router.pid}/environ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start one as somebody else")
def test_a_process_that_is_told_a_password_later_is_not_dumpable_from_then_on(home):
    backend = redis_backend(home.redis("a"))
    router = start(home, backend, user=NOBODY)
    router.wait_primary("a")
    assert owner_of_memory(router.pid) == NOBODY
    router.reload(frontend("f", free_port()) + backend, admin_user="ops", admin_password=SECRET)
    assert owner_of_memory(router.pid) == 0
    assert not can_read_as(NOBODY, f"/proc/{router.pid}/environ")


def can_read_as(user, path):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            with open(path, "rb") as file:
                file.read(1)
            status = 0
        except OSError:
            pass
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
