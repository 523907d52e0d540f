"""A router that pools, before Redis servers."""
from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.waiting import until

TRANSACTION, SESSION = "transaction", "session"
MODES = (TRANSACTION, SESSION)


class Pooled:
    """keys: the backend's; `of_frontend`, `of_router`: theirs."""

    def __init__(self, home, *servers, mode=TRANSACTION, of_frontend=None, of_router=None, **keys):
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.servers, self.mode = servers, mode
        self.sections = frontend("f", self.port, pool_mode=mode, **(of_frontend or {}))
        if mode == "none":  # which is told nothing of pools
            keys = {key: value for key, value in keys.items() if not key.startswith("pool_")}
        self.sections += redis_backend(*servers, **keys)
        self.router = home.router(self.sections, **(of_router or {}))
        self.router.wait_primary(servers[0].name)

    def wait_left(self):
        """Until no client is there any more."""
        self.router.wait_for(lambda s: s.frontend("f")["sessions"] == 0, "all clients to be gone")


def connections(server, admin="name=admin"):
    """CLIENT LIST of a server, without the test's own connection: a dictionary for each."""
    server.ok("CLIENT", "SETNAME", "admin")
    lines = server.ok("CLIENT", "LIST").splitlines()
    return [dict(pair.split("=", 1) for pair in line.split()) for line in lines
            if admin not in line.split()]


def wait_still(server):
    """Until nobody waits at the server, watches, or listens: whoever did has left."""
    last = []

    def still():
        last[:] = [c for c in connections(server) if c["flags"] != "N" or
                   c["sub"] != "0" or c["psub"] != "0"]
        return not last

    try:
        until(still, f"{server.name}'s connections to be like new")
    except AssertionError as error:
        raise AssertionError(f"{error}: {last[:2]}") from None
