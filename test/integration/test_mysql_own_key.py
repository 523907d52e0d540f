"""Promise: the router's RSA key, which takes long to be made, is there before a pooled client of
MySQL may need it, and made only where one may."""
import pytest

from lib.certificates import Authority
from lib.ini import frontend, section
from lib.process import free_port

LINE = "the RSA key for pooled clients of MySQL is there after"


class Place:
    def __init__(self, home):
        self.home, self.port, self.server = home, free_port(), free_port()
        self.authority = Authority(home.directory("ca"))
        self.leaf = self.authority.leaf(names=["db.test"])
        self.router = None

    def sections(self, server=None, front=None, **back):
        front = {"pool_mode": "session", **(front or {})}
        return (frontend("f", self.port, **front)
                + section("backend b", protocol="mysql", probe_user="p",
                          server=server or f"s 127.0.0.1:{self.server}", **back))

    def start(self, sections):
        self.router = self.home.router(sections, log_level="debug")
        return self.made()

    def made(self):
        return self.router.log.count(LINE)

    def secure(self):
        return {"tls": "yes", "tls_ca": self.authority.ca, "tls_server_name": "db.test"}


@pytest.fixture(name="place")
def one_place(home):
    return Place(home)


def test_it_is_made_at_the_start(place):
    """Before the router says that it serves."""
    assert place.start(place.sections(**place.secure())) == 1
    assert place.router.log.index(LINE) < place.router.log.index("at most")


def test_it_is_made_where_servers_are_at_a_socket(place):
    assert place.start(place.sections(server=f"s unix:{place.home.directory('s')}/sock")) == 1


def test_it_is_made_before_another_configuration_takes_effect(place):
    assert place.start(place.sections()) == 0
    place.router.reload(place.sections(**place.secure()))
    assert place.made() == 1
    log = place.router.log
    assert log.index(LINE) < log.index("reload")


@pytest.mark.parametrize("of", ["nobody", "opaque", "required"])
def test_it_is_not_made_where_nobody_is_shown_it(place, of):
    tls = {"tls": "required", "tls_cert": place.leaf.pem}
    sections = {"nobody": place.sections(),
                "opaque": place.sections(front={"pool_mode": "none"}),
                "required": place.sections(front=tls, **place.secure())}
    assert place.start(sections[of]) == 0
