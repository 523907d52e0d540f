"""A MySQL client on a bare socket: every packet of a login and of a reply as it came, with the
plugins that tests have accounts of."""
import functools
import hashlib
import ssl
import struct
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lib.mysql_wire import Wire
from lib.resp import connect
from lib.waiting import SLOW

LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB = 0x1, 0x2, 0x4, 0x8
COMPRESS, LOCAL_FILES, PROTOCOL_41, INTERACTIVE, SSL = 0x20, 0x80, 0x200, 0x400, 0x800
TRANSACTIONS, SECURE_CONNECTION = 0x2000, 0x8000
MULTI_STATEMENTS, MULTI_RESULTS, PS_MULTI_RESULTS = 0x10000, 0x20000, 0x40000
PLUGIN_AUTH, CONNECT_ATTRS, LENENC_DATA, EXPIRED = 0x80000, 0x100000, 0x200000, 0x400000
SESSION_TRACK, DEPRECATE_EOF = 0x800000, 0x1000000
USUAL = (LONG_PASSWORD | LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION
         | MULTI_RESULTS | PS_MULTI_RESULTS | PLUGIN_AUTH | LENENC_DATA | MULTI_STATEMENTS)
MODERN = USUAL | SESSION_TRACK | DEPRECATE_EOF
UTF8MB4 = 45
IN_TRANS, AUTOCOMMIT, MORE_RESULTS, CURSOR_EXISTS = 1, 2, 8, 0x40
LAST_ROW_SENT, STATE_CHANGED = 0x80, 0x4000
LONGEST = 0xffffff  # bytes of a packet's payload

(QUIT, INIT_DB, QUERY, FIELD_LIST, STATISTICS, DEBUG, PING, CHANGE_USER, PREPARE, EXECUTE,
 LONG_DATA, CLOSE, RESET_STATEMENT, SET_OPTION, FETCH, RESET_CONNECTION) = (
     1, 2, 3, 4, 9, 0xd, 0xe, 0x11, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1f)
SILENT = (QUIT, LONG_DATA, CLOSE)


class MySQLError(Exception):
    """An ERR packet."""

    def __init__(self, payload):
        self.code = struct.unpack("<H", payload[1:3])[0]
        self.state, self.words = "", payload[3:].decode("utf-8", "replace")
        if payload[3:4] == b"#":
            self.state, self.words = payload[4:9].decode(), payload[9:].decode("utf-8", "replace")
        super().__init__(f"{self.code} ({self.state}) {self.words}")

    @property
    def told(self):
        return self.code, self.state, self.words


def lenenc(number):
    if number < 251:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + struct.pack("<H", number)
    return b"\xfd" + struct.pack("<I", number)[:3]


def text_of(data):
    return lenenc(len(data)) + data


class Fields:
    """Reads a payload."""

    def __init__(self, payload):
        self.data, self.at = payload, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def integer(self, count):
        return int.from_bytes(self.take(count), "little")

    def lenenc(self):
        first = self.integer(1)
        return first if first < 251 else self.integer({0xfc: 2, 0xfd: 3, 0xfe: 8}[first])

    def text(self):
        """None is NULL."""
        if self.data[self.at] == 0xfb:
            self.at += 1
            return None
        return self.take(self.lenenc())

    def until_nul(self):
        end = self.data.index(b"\0", self.at)
        return self.take(end + 1 - self.at)[:-1]

    def rest(self):
        return self.take(len(self.data) - self.at)


class Greeting:
    def __init__(self, payload):
        if payload[0] == 0xff:
            raise MySQLError(payload)
        f = Fields(payload)
        assert f.integer(1) == 10
        self.version, self.thread, nonce = f.until_nul().decode(), f.integer(4), f.take(8)
        f.take(1)
        self.capabilities = f.integer(2)
        self.charset, self.status = f.integer(1), f.integer(2)
        self.capabilities |= f.integer(2) << 16
        length = f.integer(1)
        f.take(6)
        self.extended = f.integer(4)
        self.nonce = nonce + f.take(max(13, length - 8))[:-1]
        self.plugin = f.until_nul().decode()


class Ok:
    def __init__(self, payload, tracks):
        f = Fields(payload[1:])
        self.affected, self.insert_id = f.lenenc(), f.lenenc()
        self.status, self.warnings = f.integer(2), f.integer(2)
        self.info, self.state = b"", b""
        if tracks and f.at < len(f.data):
            self.info = f.text()
            if self.status & STATE_CHANGED:
                self.state = f.text()
        elif not tracks:
            self.info = f.rest()


class Answer:
    """To one command. `packets` are all of its payloads; `results` have what a statement gave."""

    def __init__(self):
        self.packets, self.results, self.error = [], [], None

    def finish(self, result, payload, tracks):
        """What was read last was an OK. `packets` have it without what it says of the session's
        state: of that a router wants to know more than clients did."""
        result.ok = ok = Ok(payload, tracks)
        if tracks:
            self.packets[-1] = (payload[0], ok.affected, ok.insert_id, ok.status & ~STATE_CHANGED,
                                ok.warnings, ok.info)

    @property
    def rows(self):
        return self.results[-1].rows

    @property
    def ok(self):
        return self.results[-1].ok


class Result:
    def __init__(self):
        self.columns, self.rows, self.ok = [], None, None  # rows = None: there was no result set


def native(password, nonce):
    if not password:
        return b""
    once = hashlib.sha1(password).digest()
    mix = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mix))


def cached_sha2(password, nonce):
    if not password:
        return b"\0"
    once = hashlib.sha256(password).digest()
    mix = hashlib.sha256(hashlib.sha256(once).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(once, mix))


def ed25519(password, nonce):
    """Of passwords with 32 bytes: then they are what RFC 8032 calls a private key."""
    key = password if len(password) == 32 else hashlib.sha256(password).digest()  # a wrong one
    return Ed25519PrivateKey.from_private_bytes(key).sign(nonce)


def encrypted(pem, password, nonce):
    secret = bytes(c ^ nonce[n % len(nonce)] for n, c in enumerate(password + b"\0"))
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
    return serialization.load_pem_public_key(pem).encrypt(secret, oaep)


@functools.lru_cache
def trusting():
    """A context for TLS that asks for nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Speaker(Wire):
    """Logged in, or it raises a MySQLError. `nonces` has every one that it was shown, `rounds` what
    the server said before it let it in."""

    def __init__(self, address, user="root", password="", database=None, tls=None, charset=UTF8MB4,
                 capabilities=MODERN, extended=0, attributes=b"", login=True, timeout=20,
                 source=None):
        super().__init__(connect(address, timeout * SLOW, source))
        self.secure, self.nonces, self.rounds, self.sequence = False, [], [], 0
        self.user, self.password = user, password.encode()
        self.database, self.charset, self.attributes = database, charset, attributes
        self.context, self.extended = tls, extended
        try:
            self.sequence, payload = self.read()
            self.greeting = Greeting(payload)
            self._choose(capabilities)
            if login:
                self.log_in()
        except BaseException:
            self.close()
            raise

    def _read(self, count):
        """As a Wire's, for megabytes."""
        parts, missing = [self.buffer], count - len(self.buffer)
        while missing > 0:
            data = self.sock.recv(max(missing, 65536))
            if not data:
                raise ConnectionError(f"end of stream after {b''.join(parts)[-100:]!r}")
            parts.append(data)
            missing -= len(data)
        whole = b"".join(parts)
        self.buffer = whole[count:]
        return whole[:count]

    def _choose(self, wanted):
        if self.context:
            assert self.greeting.capabilities & SSL, "no TLS is offered"
            wanted |= SSL
        if self.database is not None:
            wanted |= CONNECT_WITH_DB
        if self.attributes:
            wanted |= CONNECT_ATTRS
        self.capabilities = wanted & (self.greeting.capabilities | LONG_PASSWORD)

    # The login.

    def answer(self, payload):
        """A packet within a dialogue."""
        self.sequence += 1
        self.send(self.sequence % 256, payload)

    def next(self):
        sequence, payload = self.read()
        assert sequence == (self.sequence + 1) % 256, (sequence, self.sequence, payload)
        self.sequence = sequence
        return payload

    def log_in(self):
        head = struct.pack("<IIB", self.capabilities, 1 << 24, self.charset & 0xff)
        head += b"\0" * 19 + struct.pack("<I", self.extended)
        if self.context:
            self.answer(head)
            self.sock = self.context.wrap_socket(self.sock, server_hostname="db.test")
            self.secure = True
        self.nonces.append(self.greeting.nonce)
        name = self.greeting.plugin
        token = b"" if name == "client_ed25519" else self.token(name, self.greeting.nonce)
        self.answer(head + self._account(token, name))
        self._prove(name, self.greeting.nonce)

    def _account(self, token, plugin):
        text = self.user.encode() + b"\0" + bytes([len(token)]) + token
        if self.capabilities & CONNECT_WITH_DB:
            text += self.database.encode() + b"\0"
        text += plugin.encode() + b"\0"
        return text + (text_of(self.attributes) if self.attributes else b"")

    def token(self, plugin, nonce):
        """What answers a plugin's question."""
        return {"mysql_native_password": native, "caching_sha2_password": cached_sha2,
                "client_ed25519": ed25519, "sha256_password": self._sha256,
                "mysql_clear_password": lambda password, _: password + b"\0"}[plugin](
                    self.password, nonce)

    def _sha256(self, password, _nonce):
        if not password:
            return b"\0"
        return password + b"\0" if self.secure else b"\1"

    def _prove(self, plugin, nonce):
        while True:
            payload = self.next()
            self.rounds.append(payload)
            if payload[0] == 0xff:
                raise MySQLError(payload)
            if payload[0] == 0:
                self.accepted = Ok(payload, self.capabilities & SESSION_TRACK)
                return
            if payload[0] == 0xfe:
                f = Fields(payload[1:])
                plugin, nonce = f.until_nul().decode(), f.rest()
                nonce = nonce[:20] if len(nonce) == 21 else nonce  # with a NUL behind it
                self.nonces.append(nonce)
                self.answer(self.token(plugin, nonce))
            else:
                self._more(payload, nonce)

    def _more(self, payload, nonce):
        """AuthMoreData of the two plugins that tell the password."""
        assert payload[0] == 1, payload
        if payload[1:] == b"\4":
            self.answer(self.password + b"\0" if self.secure else b"\2")
        elif payload[1:] != b"\3":
            self.answer(encrypted(payload[1:], self.password, nonce))

    def change_user(self, user, password="", database=""):
        """COM_CHANGE_USER, as libmysqlclient asks for it."""
        self.user, self.password = user, password.encode()
        self.sequence = 0
        name = self.greeting.plugin
        body = (b"\x11" + user.encode() + b"\0\0" + database.encode() + b"\0"
                + struct.pack("<H", self.charset) + name.encode() + b"\0")
        self.send(0, body + (b"\0" if self.capabilities & CONNECT_ATTRS else b""))
        self._prove(name, self.greeting.nonce)

    # Commands.

    def command(self, code, body=b""):
        """The Answer to one command."""
        self.say(code, body)
        return None if code in SILENT else self.listen(code)

    def say(self, code, body=b""):
        data, sequence = bytes([code]) + body, 0
        while True:
            part, data = data[:LONGEST], data[LONGEST:]
            self.send(sequence % 256, part)
            sequence += 1
            if len(part) < LONGEST:
                break
        self.sequence = sequence - 1

    def query(self, text):
        """Raises what the server said if it failed."""
        answer = self.ask(text)
        if answer.error:
            raise answer.error
        return answer

    def ask(self, text):
        return self.command(QUERY, text if isinstance(text, bytes) else text.encode())

    def rows(self, text):
        """Of texts; None is NULL."""
        return [tuple(None if v is None else v.decode("utf-8", "replace") for v in row)
                for row in self.query(text).rows]

    def value(self, text):
        return self.rows(text)[0][0]

    def prepare(self, text):
        """(id, parameters) or a MySQLError."""
        answer = self.command(PREPARE, text.encode())
        if answer.error:
            raise answer.error
        return struct.unpack("<IHH", answer.packets[0][1:9])[::2]

    def execute(self, statement, *texts, cursor=0):
        body = struct.pack("<IBI", statement, cursor, 1)
        if texts:
            body += b"\0" * ((len(texts) + 7) // 8) + b"\1" + b"\xfd\0" * len(texts)
            body += b"".join(text_of(t.encode()) for t in texts)
        return self.command(EXECUTE, body)

    def quit(self):
        """COM_QUIT, and until the other side has closed."""
        self.say(QUIT)
        try:
            while self.sock.recv(65536):
                pass
        except (ConnectionError, ssl.SSLError):
            pass
        self.close()

    # Replies.

    def whole(self):
        """A payload of any length."""
        payload = b""
        while True:
            part = self.next()
            payload += part
            if len(part) < LONGEST:
                return payload

    def listen(self, code=QUERY, file=b""):
        """The reply to a command that was said."""
        answer = Answer()
        more = True
        while more:
            result = Result()
            answer.results.append(result)
            self._result(answer, result, code, file)
            more = not answer.error and result.ok and result.ok.status & MORE_RESULTS
        return answer

    def _result(self, answer, result, code, file):
        first = self._packet(answer)
        if first[0] == 0xfb and code == QUERY:
            self._send_file(file)
            first = self._packet(answer)
        if first[0] == 0xff and not answer.error:
            answer.error = MySQLError(first)
        elif code == PREPARE and first[0] == 0:
            self._definitions(answer, first)
        elif code == STATISTICS:
            return
        elif code == FETCH:
            result.rows = []
            self._rows(answer, result, code, first)
        elif code == FIELD_LIST or first[0] == 0xfe and len(first) < 9:
            while not self._is_eof(first):
                first = self._packet(answer)
        elif first[0] == 0:
            answer.finish(result, first, self.capabilities & SESSION_TRACK)
        else:
            self._result_set(answer, result, code, first)

    def _packet(self, answer):
        payload = self.whole()
        answer.packets.append(payload)
        return payload

    @property
    def modern(self):
        return self.capabilities & DEPRECATE_EOF

    @staticmethod
    def _is_eof(payload):
        return payload[0] in (0xfe, 0xff) and len(payload) < 9

    def _definitions(self, answer, head):
        columns, parameters = struct.unpack("<HH", head[5:9])
        for count in (parameters, columns):
            for _ in range(count + (1 if count and not self.modern else 0)):
                self._packet(answer)

    def _result_set(self, answer, result, code, first):
        for _ in range(Fields(first).lenenc()):
            result.columns.append(self._packet(answer))
        result.rows = []
        if not self.modern:
            end = self._packet(answer)
            assert end[0] == 0xfe, end
            status = struct.unpack("<H", end[3:5])[0]
            if status & CURSOR_EXISTS:
                return
        self._rows(answer, result, code, self._packet(answer))

    def _rows(self, answer, result, code, payload):
        while payload[0] != 0xff and not (payload[0] == 0xfe and len(payload) < LONGEST):
            result.rows.append(self._row(payload, len(result.columns)) if code == QUERY
                               else payload)
            payload = self._packet(answer)
        if payload[0] == 0xff:
            answer.error = MySQLError(payload)
        elif self.modern:
            answer.finish(result, payload, self.capabilities & SESSION_TRACK)
        else:
            warnings, status = struct.unpack("<HH", payload[1:5])
            result.ok = Ok(b"\0\0\0" + struct.pack("<HH", status, warnings), False)

    @staticmethod
    def _row(payload, columns):
        f = Fields(payload)
        return tuple(f.text() for _ in range(columns))

    def _send_file(self, data):
        for at in range(0, len(data), LONGEST - 1):
            self.answer(data[at:at + LONGEST - 1])
        self.answer(b"")

    def closed_by_peer(self, timeout=5.0):
        """Whether nothing comes any more but the end."""
        self.sock.settimeout(timeout * SLOW)
        deadline = time.monotonic() + timeout * SLOW
        try:
            while time.monotonic() < deadline:
                if not self.sock.recv(65536):
                    return True
        except ConnectionError:
            return True
        except TimeoutError:
            pass
        return False
