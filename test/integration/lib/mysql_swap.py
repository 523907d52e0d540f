"""Sessions of pool_mode = transaction that are brought from one connection to another one."""
import contextlib

from lib.mysql_people import PLAIN
from lib.mysql_speaker import MODERN, Speaker


def thread(client):
    return client.value("SELECT CONNECTION_ID()")


@contextlib.contextmanager
def company(stage, capabilities=MODERN, speaker=Speaker):
    """A function that logs in one more client; all have gone at the end."""
    with contextlib.ExitStack() as stack:
        def come(**options):
            options = {"database": "test", "capabilities": capabilities, **options}
            return stack.enter_context(speaker(stage.address, *PLAIN, **options))
        yield come
    stage.wait_left()


def swap(come, *clients):
    """Two connections, and two clients on them: each is on the other one afterwards, and nothing
    keeps either. Returns a third client, which has none."""
    was = [thread(client) for client in clients]
    assert len(set(was)) == 2, was
    third = come()  # who logs in takes one
    third.query("BEGIN")
    taken = was.index(thread(third))
    clients[1 - taken].query("DO 1")
    there, away = clients[1 - taken], clients[taken]
    assert thread(away) == was[1 - taken]
    away.query("BEGIN")
    third.query("ROLLBACK")
    assert thread(there) == was[taken]
    away.query("ROLLBACK")
    return third
