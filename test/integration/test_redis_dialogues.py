"""Promise: what a client may do to its connection (transactions, watching, subscriptions, names,
protocols, replies switched off), in one pipeline or in several, is answered through a pool as on a
connection of its own."""
import contextlib

import pytest

from lib.pooling import MODES, Pooled, wait_still
from lib.redis_twins import IDS
from lib.resp import Resp, connect, encode
from lib.resp_frames import Frames
from lib.waiting import SLOW

pytestmark = pytest.mark.sanitize

ELSE = object()  # somebody else sets "ch", and publishes "news" on it
LONG = "x" * 20000


def said(text):
    """Commands in lines."""
    return [line.split() for line in text.strip().splitlines()]


# Each a list of pipelines.
DIALOGUES = {
    "RESET ends subscriptions": [said("PSUBSCRIBE a*\nPSUBSCRIBE c*\nRESET"),
                                 said("PUNSUBSCRIBE\nGET k"), said("SUBSCRIBE ch"), ELSE],
    "UNSUBSCRIBE counts its names": [said("SUBSCRIBE ch"), said("UNSUBSCRIBE a b\nPING x"),
                                     ELSE, said("UNSUBSCRIBE ch a ch\nGET k")],
    "a subscription behind an UNSUBSCRIBE": [said("PUNSUBSCRIBE\nPSUBSCRIBE ch* ch*"), ELSE,
                                             said("GET k"), said("PUNSUBSCRIBE\nGET k")],
    "RESP3: commands while it listens": [said("HELLO 3\nSUBSCRIBE ch"), ELSE, said("GET k"),
                                         ELSE, said("PUBLISH ch self"), said("MULTI\nGET k\nEXEC")],
    "arrays before a subscription": [
        said("RPUSH l message b c\nRPUSH m subscribe x\nRPUSH n " + LONG),
        said("LRANGE l 0 -1\nLRANGE m 0 -1\nLRANGE n 0 -1\nLRANGE n 0 -1\nSUBSCRIBE ch"), ELSE,
        said("UNSUBSCRIBE\nLRANGE l 0 -1\nLRANGE m 0 -1")],
    "SUBSCRIBE in a transaction": [said("MULTI\nSUBSCRIBE ch\nGET k\nEXEC"), ELSE,
                                   said("GET k\nUNSUBSCRIBE\nGET k"), said("QUIT")],
    "SUBSCRIBE of nothing in a transaction": [
        said("CLIENT SETNAME me\nMULTI\nSUBSCRIBE\nEXEC\nCLIENT GETNAME")],
    "HELLO in a transaction": [said("MULTI\nHELLO 3\nGET none\nEXEC\nGET none\nHELLO 2\nGET none")],
    "SELECT in a transaction": [said("SET k 0\nMULTI\nSELECT 3\nSET k 3\nEXEC"), said("GET k"),
                                said("SELECT 0\nGET k"), said("MULTI\nSELECT 3\nDISCARD\nGET k")],
    "RESET in a transaction": [said("SELECT 2\nMULTI\nSET k 2\nRESET\nGET k\nMULTI\nSET k 1\nEXEC"),
                               said("MULTI\nGET k\nRESET\nWATCH k\nMULTI\nGET k\nEXEC\nHELLO 3"),
                               said("RESET\nGET none")],
    "WATCH behind an EXEC": [said("MULTI\nEXEC\nWATCH ch"), ELSE,
                             said("MULTI\nGET ch\nEXEC\nMULTI\nGET ch\nEXEC")],
    "WATCH of two": [said("WATCH a\nWATCH ch"), ELSE, said("MULTI\nEXEC"),
                     said("WATCH ch\nUNWATCH"), ELSE, said("MULTI\nGET ch\nEXEC")],
    "nested, aborted, alone": [said("MULTI\nMULTI\nWATCH k\nGET k\nEXEC\nEXEC\nDISCARD"),
                               said("MULTI\nNOSUCH\nGET k\nEXEC\nMULTI x\nEXEC x\nGET k"),
                               said("MULTI\nEXEC x\nGET k\nMULTI\nDISCARD\nUNWATCH")],
    "empty commands in a transaction": [[["MULTI"], b"\r\n", b"SET k v\r\n", b"*0\r\n", b"*-1\r\n",
                                         ["GET", "k"], b"\r\n\r\n", ["EXEC"]]],
    "names": [said("CLIENT GETNAME\nCLIENT SETNAME me\nCLIENT GETNAME"),
              said("MULTI\nCLIENT SETNAME other\nDISCARD\nCLIENT GETNAME"),
              said("MULTI\nCLIENT SETNAME other\nEXEC\nCLIENT GETNAME"),
              [["MULTI"], ["CLIENT", "SETNAME", "a b"], ["EXEC"], ["CLIENT", "SETNAME", "a b"]],
              said("CLIENT GETNAME\nHELLO 3 SETNAME three\nCLIENT GETNAME\nRESET\nCLIENT GETNAME"),
              said("CLIENT SETNAME me\nCLIENT NOSUCH\nSELECT x\nCLIENT GETNAME\nSUBSCRIBE ch"),
              said("UNSUBSCRIBE\nCLIENT GETNAME")],
    "a name and replies switched off": [said("CLIENT SETNAME me\nCLIENT REPLY SKIP\nPING\nGET k"),
                                        said("CLIENT GETNAME\nCLIENT REPLY ON")],
    "the end of who is not looked at": [
        said("CLIENT REPLY ON\nSET k " + LONG), said("GET k\n" * 100 + "QUIT")],
    "tracking": [said("CLIENT TRACKING ON\nCLIENT TRACKINGINFO\nCLIENT TRACKING OFF\nGET k"),
                 said("HELLO 3\nCLIENT TRACKING ON\nGET ch"), ELSE, said("GET ch\nSET ch me"),
                 said("CLIENT TRACKING OFF\nSET ch me\nCLIENT GETREDIR")],
    "waiting, one behind the other": [said("BLPOP q 0.01\nBLPOP q r 0.01\nRPUSH q 1\nBLPOP q 1\n"
                                           "WAIT 0 10\nWAIT 1 10\nXREAD BLOCK 10 STREAMS x $")],
    "protocols": [said("HELLO 3\nHGETALL h\nHELLO 2\nHGETALL h\nHELLO\nHELLO 4\nHELLO x\nHELLO 3"),
                  said("HGETALL h\nDEBUG PROTOCOL push"), said("DEBUG PROTOCOL attrib\nPING")],
}


END = (b"the-end", b"'echo'")  # of them one is in the reply to ECHO, subscribed or not


def hear(client, frames, ends):
    """The replies up to that to an ECHO that is sent now, or to the end of the connection."""
    heard = []
    if not ends:
        client.sendall(encode("ECHO", "the-end"))
    while not heard or not any(end in heard[-1] for end in END):
        data = client.recv(262144)
        if not data:
            return heard + [b"the end"]
        heard += [IDS.sub(b":0\r\n", frame) for frame in frames.feed(data)]
    return heard


def talk(server, address, dialogue):
    """What is heard of each pipeline, and of what somebody else does."""
    server.ok("FLUSHALL")
    frames, heard = Frames(), []
    with connect(address, 5 * SLOW) as client:
        for pipeline in dialogue:
            if pipeline is ELSE:
                assert server.ok("SET", "ch", "theirs") == "OK"
                server.ok("PUBLISH", "ch", "news")
            else:
                client.sendall(b"".join(command if isinstance(command, bytes) else
                                        encode(*command) for command in pipeline))
            heard.append(hear(client, frames, pipeline is not ELSE and pipeline[-1] == ["QUIT"]))
    return heard


@pytest.fixture(name="place", scope="module", params=MODES)
def one_for_all(shared_home, request):
    server = shared_home.redis("a" + request.param)
    return Pooled(shared_home, server, mode=request.param)


@pytest.mark.parametrize("name", list(DIALOGUES))
def test_it_is_answered_as_without_a_pool(place, name):
    server = place.servers[0]
    direct = talk(server, server.address, DIALOGUES[name])
    for _ in range(2):  # what the first one left behind is not found by the second one
        assert talk(server, place.address, DIALOGUES[name]) == direct
        place.wait_left()
        wait_still(server)


def test_the_numbers_of_connections_are_their_own(place):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Resp(place.address, 5 * SLOW)) for _ in range(8)]
        numbers = [client.call("CLIENT", "ID") for client in clients]
        assert len(set(numbers)) == len(clients)
        for client in clients[:4]:
            client.pipeline([("MULTI",), ("GET", "k"), ("EXEC",), ("CLIENT", "NOSUCH"),
                             ("HELLO", "9"), ("BLPOP", "none", "0.01"), ("SUBSCRIBE", "ch")])
            assert client.call("UNSUBSCRIBE", "ch") == ["unsubscribe", "ch", 0]
        assert [client.call("CLIENT", "ID") for client in clients] == numbers


def test_nobody_has_the_name_of_another(place):
    """Nor on the connection that he had, which a transaction would tell of."""
    with Resp(place.address, 5 * SLOW) as named:
        for _ in range(3):
            assert named.pipeline([("CLIENT", "SETNAME", "secret"), ("MULTI",),
                                   ("CLIENT", "SETNAME", "secret2"), ("EXEC",)])[-1] == ["OK"]
    place.wait_left()
    wait_still(place.servers[0])
    with contextlib.ExitStack() as stack:
        for _ in range(6):
            client = stack.enter_context(Resp(place.address, 5 * SLOW))
            replies = client.pipeline([("CLIENT", "GETNAME"), ("MULTI",), ("CLIENT", "GETNAME"),
                                       ("EXEC",), ("WATCH", "k")])
            assert replies[0] is None and replies[3] == [None]


@pytest.mark.parametrize("last", [
    b"*2\r\n$3\r\nGET\r\n$100000\r\nabc", b"*100000\r\n$3\r\nDEL\r\n", b"GET ",
    encode("BLPOP", "q", "0"), encode("MULTI"), encode("SUBSCRIBE", "ch"), encode("MONITOR"),
    encode("WAIT", "1", "0"), encode("CLIENT", "REPLY", "OFF"), encode("WATCH", "k"),
], ids=["half a long one", "many words", "inline", "BLPOP", "MULTI", "SUBSCRIBE", "MONITOR", "WAIT",
        "REPLY OFF", "WATCH"])
@pytest.mark.parametrize("before", [b"", encode("SET", "k", "v") * 3, encode("SELECT", "5")],
                         ids=["at once", "after others", "elsewhere"])
def test_who_leaves_in_the_midst_leaves_nothing_behind(place, before, last):
    for _ in range(3):
        with connect(place.address, 5 * SLOW) as client:
            client.sendall(before + last)
    place.wait_left()
    wait_still(place.servers[0])
