"""A MySQL client on a bare socket, one step at a time: each step may be done wrong."""
from lib.mysql_said import (CLIENT, CONNECT_WITH_DB, DEPRECATE_EOF, NATIVE, Greeting, SaidNo,
                            native_proof, read_lenenc, response)
from lib.mysql_wire import AUTH_SWITCH, ERR, OK, Wire, packet
from lib.resp import connect


class MySQLClient(Wire):
    """After greet() and login() it asks."""

    def __init__(self, address, user="app", password="of app", capabilities=CLIENT, source=None,
                 timeout=20):
        super().__init__(connect(address, timeout, source=source))
        self.user, self.password, self.capabilities = user, password, capabilities
        self.greeting = None
        self.sequence = 1
        self.database = None

    @classmethod
    def to(cls, address, *args, database=None, **options):
        """One that is logged in."""
        client = cls(address, *args, **options)
        client.database = database
        try:
            return client.greet().log_in()
        except BaseException:
            client.close()
            raise

    def payload(self):
        """Of the next packet; an ERR is raised."""
        self.sequence, payload = self.read()
        if payload[:1] == bytes([ERR]):
            raise SaidNo(payload)
        return payload

    def greet(self):
        payload = self.payload()
        self.greeting = Greeting(payload)
        self.capabilities &= self.greeting.capabilities
        return self

    def proof(self, nonce):
        return native_proof(self.password, nonce)

    def say_login(self, **options):
        self.send(self.sequence + 1, self.login_payload(**options))

    def login_payload(self, **options):
        options.setdefault("proof", self.proof(self.greeting.nonce))
        if self.database and self.greeting.capabilities & CONNECT_WITH_DB:
            options.setdefault("database", self.database)
        return response(self.user, capabilities=self.capabilities, **options)

    def log_in(self, **options):
        self.say_login(**options)
        return self.finish()

    def asked(self):
        """The nonce of the server's AuthSwitchRequest, which must come."""
        payload = self.payload()
        assert payload[0] == AUTH_SWITCH, payload
        name, _, nonce = payload[1:].partition(b"\0")
        assert name.decode() == NATIVE, name
        return nonce[:20]

    def finish(self):
        """What the server asks until it lets us in."""
        while True:
            payload = self.payload()
            if payload[0] == OK:
                return self
            name, _, nonce = payload[1:].partition(b"\0")
            assert payload[0] == AUTH_SWITCH and name.decode() == NATIVE, payload
            self.send(self.sequence + 1, self.proof(nonce[:20]))

    # Commands.

    def command(self, code, text=b""):
        self.send(0, bytes([code]) + (text if isinstance(text, bytes) else text.encode()))

    def query(self, text):
        """Rows of texts; None if there is no result set."""
        self.command(3, text)
        return self.rows()

    def rows(self):
        payload = self.payload()
        if payload[0] == OK:
            return None
        definitions = payload[0] + (0 if self.capabilities & DEPRECATE_EOF else 1)
        for _ in range(definitions):
            self.payload()
        rows = []
        while True:
            payload = self.payload()
            if payload[0] == 0xfe and len(payload) < 9:
                return rows
            rows.append(self._row(payload))

    @staticmethod
    def _row(payload):
        at, values = 0, []
        while at < len(payload):
            size, at = read_lenenc(payload, at)
            values.append(None if size is None else payload[at:at + size].decode("latin-1"))
            at += size or 0
        return tuple(values)

    def who(self, word="x"):
        """(user, link, serial, what the session keeps, the word) as a MySQLLiar sees it."""
        row, = self.query(f"WHO {word}")
        return row

    def ping(self):
        self.command(14)
        assert self.payload()[0] == OK

    def quit(self):
        try:
            self.command(1)
        except OSError:
            pass
        self.close()

    def ended(self):
        """Nothing comes any more but the end."""
        assert not self.buffer
        try:
            return self.sock.recv(100) == b""
        except ConnectionError:
            return True


def query_packet(text):
    return packet(0, b"\x03" + text.encode())
