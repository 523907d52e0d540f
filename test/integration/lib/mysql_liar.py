"""A fake MySQL primary that answers well, but where a test has plans for it. It knows who is logged
in on which connection, and says so in every answer."""
import os
import re
import struct
import threading

from lib.fake import FakeServer, reset
from lib.mysql_said import (AUTOCOMMIT, CHANGED, COM, IN_TRANS, NATIVE, SERVER, SESSION_TRACK,
                            Request, error, greeting, native_proof, ok, result, switch, variable)
from lib.mysql_wire import Wire, packet

END, RESET, SILENCE = "end", "reset", "silence"
WELL = "well"  # as if there were no plan
PROBER = ("prober", "of the probes")

VARIABLES = {"character_set_client": "utf8mb4", "collation_connection": "utf8mb4_general_ci",
             "sql_mode": "", "time_zone": "SYSTEM", "last_insert_id": "0"}
ASSIGNMENT = re.compile(r"(\w+)=('[^']*'|[^,]+)")
SETTINGS = [("server_id", 1), ("read_only", "OFF"), ("log_bin", "OFF"),
            ("log_slave_updates", "OFF")]


class Link(Wire):
    """A connection to it: who is logged in there, and what the session has."""

    def __init__(self, sock, number):
        super().__init__(sock)
        self.number = number
        self.user, self.nonce, self.capabilities = None, b"", 0
        self.let_in = False
        self.login = None  # lib.mysql_said.Request: as the last one came
        self.clean()

    def clean(self):
        """As a server cleans a session."""
        self.kept, self.status = "", AUTOCOMMIT
        self.variables = dict(VARIABLES)

    def set(self, text):
        """SET SESSION; what it tells of that if it was asked to."""
        told = []
        for name, value in ASSIGNMENT.findall(text):
            if value[0] == "'":
                self.variables[name] = value[1:-1]
            elif value[0] != "@" and name != "last_insert_id":
                self.variables[name] = value
            told.append(variable(name, self.variables[name]))
        return self.said(*told)

    def said(self, *told):
        """An OK."""
        return ok(self.status, told=told if self.capabilities & SESSION_TRACK else ())


class MySQLLiar:
    """plans[stage] says what happens at a stage: a list of plans, one for each time, of which the
    last one stays. A plan is a list of steps: bytes, step(link), or one of the words above. Stages
    are "greeting", "login", "change", "proof" (the answer to a client's proof), "reset", "ping",
    and the text of a query; all but the first spare the prober. An event "garbage" is what no
    server may be sent."""

    def __init__(self, home, name="a", accounts=None, capabilities=SERVER, asks=False,
                 **said):
        self.name = name
        self.accounts = {PROBER[0]: PROBER[1], **(accounts or {})}
        self.capabilities, self.said = capabilities, said
        self.asks = asks  # for a proof whatever plugin the client named
        self.plans = {}
        self.events = []  # (what, number of the connection, user)
        self.serial = 0   # of answers
        self.numbers = 0
        self.lock = threading.Lock()
        self.links = {}  # socket -> Link
        self.fake = home.keep(FakeServer(self._serve, name))

    @property
    def text(self):
        return self.fake.text

    @property
    def address(self):
        return self.fake.address

    def count(self, what, user=None):
        with self.lock:
            return sum(1 for event in self.events if event[0] == what
                       and (event[2] == user if user else event[2] != PROBER[0]))

    def clients_links(self):
        """Open connections, but the prober's."""
        with self.fake.lock:
            sockets = list(self.fake.open)
        with self.lock:
            links = [self.links.get(sock) for sock in sockets]
        return [link for link in links if link and link.user != PROBER[0]]

    def _note(self, what, link):
        with self.lock:
            self.events.append((what, link.number, link.user))

    # The stages of a connection. False: it is over.

    def _serve(self, _server, sock):
        with self.lock:
            self.numbers += 1
            link = self.links[sock] = Link(sock, self.numbers)
        self._note("open", link)
        try:
            if self._begin(link):
                while self._command(link):
                    pass
        except ConnectionError:
            pass
        except (IndexError, struct.error):
            self._note("garbage", link)
        finally:
            self._note("end", link)
            with self.lock:
                del self.links[sock]

    def _begin(self, link):
        link.nonce = self._nonce()
        said = packet(0, greeting(link.nonce, link.number, capabilities=self.capabilities,
                                  **self.said))
        if not self._stage("greeting", link, lambda: link.sock.sendall(said)):
            return False
        sequence, payload = link.read()
        link.login = Request(payload)
        link.capabilities = link.login.capabilities & self.capabilities
        return self._admit("login", link, sequence)

    @staticmethod
    def _nonce():
        return bytes(33 + byte % 94 for byte in os.urandom(20))

    def _admit(self, stage, link, sequence):
        """A login, or a change of user. A plan for it is trusted to have let the client in."""
        link.user, link.let_in = link.login.user, stage in self.plans
        self._note(stage, link)
        link.clean()
        alive = self._stage(stage, link, lambda: self._judge(link, sequence))
        return alive and link.let_in

    def _judge(self, link, sequence):
        request, nonce, proof = link.login, link.nonce, link.login.proof
        if request.plugin != NATIVE or self.asks:
            nonce = self._nonce()
            link.send(sequence + 1, switch(nonce))
            sequence, proof = link.read()
        password = self.accounts.get(request.user)
        good = password is not None and proof == native_proof(password, nonce)
        self._note("in" if good else "out", link)
        link.let_in = good or "proof" in self.plans
        words = f"Access denied for user '{request.user}'"
        answer = ok() if good else error(1045, words, "28000")
        link.let_in &= self._stage("proof", link, lambda: link.send(sequence + 1, answer))

    def _command(self, link):
        sequence, payload = link.read()
        code, rest = payload[0] if payload else COM["sleep"], payload[1:]
        if sequence != 0:
            raise IndexError(f"a command with number {sequence}")
        if code == COM["quit"]:
            self._note("quit", link)
            return False
        if code == COM["change_user"]:
            link.login = Request(payload, link.capabilities)
            return self._admit("change", link, sequence)
        if code == COM["reset"]:
            self._note("reset", link)
            link.clean()
            return self._stage("reset", link, lambda: link.send(1, ok()))
        if code == COM["query"]:
            text = rest.decode("latin-1")
            return self._stage(text, link, lambda: link.sock.sendall(self.well(link, text)))
        if code in (COM["ping"], COM["init_db"]):
            return self._stage("ping", link, lambda: link.send(1, ok(link.status)))
        link.send(1, error(1047, "Unknown command", "08S01"))
        return True

    def well(self, link, text):
        """The answer to a query, as packets."""
        word, _, rest = text.partition(" ")
        if word == "WHO":
            with self.lock:
                self.serial += 1
                row = (link.user, link.number, self.serial, link.kept, rest)
            return self._rows(link, ("user", "link", "serial", "kept", "word"), [row])
        if word == "SHOW":
            rows = SETTINGS if "VARIABLES" in text else []
            return self._rows(link, ("Variable_name", "Value") if rows else CHANNEL_NAMES, rows)
        if word == "SELECT":
            return self._rows(link, ("started",), [(1_700_000_000 + self.fake.port,)])
        if word == "BEGIN":
            link.status |= IN_TRANS
        elif word == "COMMIT":
            link.status &= ~IN_TRANS
        elif word == "KEEP":
            link.kept = rest
            return packet(1, link.said(CHANGED))
        elif word == "SET":
            return packet(1, link.set(rest))
        return packet(1, ok(link.status))

    @staticmethod
    def _rows(link, names, rows):
        return result(names, rows, link.capabilities, link.status)

    def _stage(self, stage, link, well):
        """Follows the plan for it, if there is one."""
        plan = [WELL]
        if link.user != PROBER[0] and stage in self.plans:
            with self.lock:
                plans = self.plans[stage]
                plan = plans.pop(0) if len(plans) > 1 else plans[0]
        for step in plan:
            if not self._step(step, link, well):
                return False
        return True

    @staticmethod
    def _step(step, link, well):
        if step == END:
            return False
        if step == RESET:
            reset(link.sock)
            return False
        if step == SILENCE:
            while link.sock.recv(65536):
                pass
            return False
        if step == WELL:
            well()
        elif callable(step):
            step(link)
        else:
            link.sock.sendall(step)
        return True


CHANNEL_NAMES = (
    "Connection_name", "Master_Host", "Master_Port", "Master_Server_Id", "Slave_IO_Running",
    "Slave_SQL_Running", "Last_IO_Errno", "Last_IO_Error", "Last_SQL_Errno", "Last_SQL_Error",
    "Seconds_Behind_Master")
