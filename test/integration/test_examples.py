"""Promise: the accounts that the example of Sentinel names are enough for the probes."""
import os
import re

import pytest

from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.router import run
from lib.sentinel import Watched

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def rules(where):
    """The ACL rules that the example gives an account at the servers or at the Sentinels."""
    with open(os.path.join(ROOT, "examples", "redis-sentinel.ini"), encoding="utf-8") as file:
        comments = " ".join(line[1:].strip() for line in file if line.startswith(";"))
    found = re.search(rf"at the {where}\s+user router on >\.\.\. ((?:[\w@+*|-]+ ?)+)", comments)
    return [word for word in found.group(1).split() if word[0] in "+-" or word.endswith("channels")]


def allow(things, words):
    for thing in things:
        thing.ok("ACL", "SETUSER", "router", "reset")
        thing.ok("ACL", "SETUSER", "router", "on", ">pw", *words)


@pytest.fixture(scope="module")
def watched(shared_home):
    return Watched(shared_home, 2, 1)


def sections(watched):
    return frontend("f", free_port()) + redis_backend(
        *watched.servers, sentinel=[s.text for s in watched.sentinels], sentinel_master="mymaster",
        **{f"{whose}_{key}": value for whose in ("probe", "sentinel")
           for key, value in (("user", "router"), ("password", "pw"))})


def test_the_accounts_of_the_sentinel_example_are_enough(home, watched):
    allow(watched.servers, rules("servers"))
    allow(watched.sentinels, rules("Sentinels"))
    router = home.router(sections(watched))
    stats = router.wait_for(lambda s: s.backend()["sentinels"][0]["subscribed"]
                            and all(v["state"] == "up" for v in s.backend()["servers"]),
                            "everybody to be asked")
    said = stats.backend()["sentinels"][0]
    assert said["heard"] and said["why"] == ""
    assert {v["role"] for v in stats.backend()["servers"]} == {"primary", "replica"}


@pytest.mark.parametrize("where, missing, words", [
    ("servers", "+info", "does not let the probe's user run INFO (ACL: +info)"),
    ("Sentinels", "+sentinel|get-master-addr-by-name", "(ACL: +sentinel|get-master-addr-by-name)"),
])
def test_a_probe_says_which_of_them_is_missing(home, watched, where, missing, words):
    for place in ("servers", "Sentinels"):
        given = rules(place)
        assert place != where or missing in given
        allow(getattr(watched, place.lower()),
              [word for word in given if place != where or word != missing])
    done = run("--probe", "-c", home.file("r.ini", "[router]\nadmin = off\n" + sections(watched)))
    assert words in done.stdout, done.stdout
