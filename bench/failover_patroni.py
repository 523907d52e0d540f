"""Three Patroni nodes at addresses of their own, since `patroni = PORT` is one port for all."""
import http.client
import json

from lib import patroni
from lib.postgres import give_away
from lib.process import free_port

HOSTS = {"a": "127.0.0.31", "b": "127.0.0.32", "c": "127.0.0.33"}


class Node(patroni.Node):
    def __init__(self, directory, name, etcd, rest_port):
        super().__init__(directory, name, etcd)
        self.host = HOSTS[name]
        self.rest_port = rest_port

    @property
    def address(self):
        return (self.host, self.port)

    @property
    def text(self):
        return f"{self.host}:{self.port}"

    def _config(self):
        config = super()._config()
        for section, port in (("restapi", self.rest_port), ("postgresql", self.port)):
            for key in ("listen", "connect_address"):
                config[section][key] = f"{self.host}:{port}"
        return config

    def rest(self, method, path, body=None, timeout=20.0):
        connection = http.client.HTTPConnection(self.host, self.rest_port, timeout=timeout)
        try:
            connection.request(method, path, body and json.dumps(body),
                               {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        return response.status, json.loads(text) if text.startswith(("{", "[")) else text


class Spread(patroni.Patroni):
    def __init__(self, home):
        directory = home.directory("patroni")
        give_away(directory)
        rest_port = free_port()
        self.etcd = home.keep(patroni.Etcd(home.directory("etcd")))
        self.nodes = [home.keep(Node(directory, name, self.etcd, rest_port)) for name in HOSTS]
        self.born = None
        self._birth()
