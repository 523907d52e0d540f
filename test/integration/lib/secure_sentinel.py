"""Redis servers and Sentinels that speak nothing but TLS, with everybody, and want certificates."""
import functools
import os
import ssl

from lib.certificates import Authority, write
from lib.resp import Resp, connect
from lib.sentinel import Sentinel, Watchable, Watched
from lib.tls_place import content

PATIENCE_MS = 20000  # no Sentinel fails over by itself: a test says when


class SecureResp(Resp):
    """The sockets of TLS are used as others are."""

    def __init__(self, address, context, timeout):
        super().__init__(address, timeout)
        self.sock = context.wrap_socket(self.sock)


class Trust:
    """The servers' certificates are signed by one authority, the Sentinels' by another."""

    def __init__(self, directory):
        self.servers, self.sentinels = (
            Authority(self._folder(directory, name), name) for name in ("servers", "sentinels"))
        self.both = write(os.path.join(directory, "both.pem"),
                          content(self.servers.ca) + content(self.sentinels.ca))
        self.client = self.servers.leaf(names=["router.test"], client=True)
        self.context = ssl.create_default_context(cafile=self.both)
        self.context.check_hostname = False
        self.context.load_cert_chain(self.client.cert, self.client.key)

    @staticmethod
    def _folder(directory, name):
        path = os.path.join(directory, name)
        os.mkdir(path)
        return path

    def lines(self, authority, port):
        """Of a redis.conf; what comes last counts."""
        leaf = authority.leaf(ips=["127.0.0.1"])
        return "\n".join([
            "port 0", f"tls-port {port}", "tls-replication yes", "tls-auth-clients yes",
            f"tls-ca-cert-file {self.both}", f"tls-cert-file {leaf.cert}",
            f"tls-key-file {leaf.key}", f"tls-client-cert-file {self.client.cert}",
            f"tls-client-key-file {self.client.key}", ""])


class SecureServer(Watchable):
    def __init__(self, trust, directory, name):
        super().__init__(directory, name)
        self.trust = trust

    def _write_config(self):
        path = super()._write_config()
        with open(path, "a", encoding="ascii") as file:
            file.write(self.trust.lines(self.trust.servers, self.port))
        return path

    def connect(self, timeout=5.0):
        return SecureResp(self.address, self.trust.context, timeout)


class SecureSentinel(Sentinel):
    def __init__(self, trust, directory, name):
        super().__init__(directory, name)
        self.trust = trust

    def learn(self, servers, sentinels, **settings):
        super().learn(servers, sentinels, **settings)
        with open(self.path, "a", encoding="ascii") as file:
            file.write(self.trust.lines(self.trust.sentinels, self.port))

    def connect(self, timeout=5.0):
        return SecureResp(self.address, self.trust.context, timeout)

    def cut(self, kind):
        """The connections of others: normal ones, or pubsub."""
        self.ok("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


class SecureWatched(Watched):
    """r2 follows r1; s1 to s3 watch them."""

    def __init__(self, home):
        self.trust = Trust(home.directory("trust"))
        self.server_kind = functools.partial(SecureServer, self.trust)
        self.sentinel_kind = functools.partial(SecureSentinel, self.trust)
        super().__init__(home, servers=2)

    def _watch(self, **settings):
        super()._watch(**{"down_after": PATIENCE_MS, **settings})
