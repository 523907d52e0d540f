"""A Redis, and a router before it that pools: its clients by pool_mode = transaction at `port` (the
backend b), by session at `lending` (the backend own)."""
import json

from lib.ini import frontend, redis_backend
from lib.process import free_port
from lib.resp import Resp
from lib.runtime import control_of
from lib.waiting import until

ACL = ["default on nopass ~* &* +@all", "app on >apple ~* &* +@all"]

class PooledWorld:
    def __init__(self, home, **keys):
        control, self.run = control_of(home)
        self.redis = home.redis(acl=ACL)
        self.port, self.lending = free_port(), free_port()
        self.router = home.router(
            frontend("f", self.port, pool_mode="transaction") +
            frontend("l", self.lending, pool_mode="session", backend="own") +
            redis_backend(self.redis) + redis_backend(self.redis, name="own", pool_size=200),
            **control, **keys)
        self.open = []

    def client(self, *commands, port=None, **login):
        client = Resp(("127.0.0.1", port or self.port), **login)
        self.open.append(client)
        for command in commands:
            client.call(*command)
        return client

    def close(self):
        for client in self.open:
            client.close()
        self.open = []

    def pool(self, backend="b"):
        """As it is told there, by what it says is the connection's address."""
        one, = json.loads(self.run(f"show pool json {backend}"))
        one["by_address"] = {c["address"]: c for c in one["connections"]}
        return one

    def settled(self, backend="b"):
        """Once nobody is there, and nothing is under way: then nothing is left of anybody, and what
        is counted is there."""
        told = until(lambda: (p := self.pool(backend))["pool"]["clients"] == 0 and
                     p["pool"]["opening"] == 0 and
                     all(c["state"] == "ready" and c["use"] != "lent"
                         for c in p["connections"]) and p, "calm", 10)
        assert told["pool"]["held"] == 0 and not any(told["pool"]["pins"].values()), told
        for use in ("shared", "lent", "idle"):
            assert sum(c["use"] == use for c in told["connections"]) == told["pool"][use], told
        assert told["servers"][0]["used"] == len(told["connections"]), told
        return told

    def clients_of_redis(self):
        """What the server itself says of each connection."""
        lines = self.redis.call("CLIENT", "LIST").splitlines()
        return {c["addr"]: c for c in (dict(f.partition("=")[::2] for f in line.split(" "))
                                       for line in lines)}

    def end(self):
        """Everybody goes, and nothing is left of them."""
        self.close()
        self.settled()
        self.settled("own")


# Keeps the server busy for so many microseconds, and answers with so many bytes.
BUSY = """local t = redis.call('TIME') local from = t[1] * 1000000 + t[2]
repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] - from > tonumber(ARGV[1])
return string.rep('x', tonumber(ARGV[2]))"""
