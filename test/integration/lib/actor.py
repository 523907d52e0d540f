"""A fake Redis that plays a part of replication: its role, lineage, link and moods are set by the
test. It takes writes as a real one would: not while it is a replica, unless it is `careless`."""
from lib.fake import FakeServer, read_command

NOBODY = "0" * 40
QUESTIONS = 3  # INFO server, persistence, replication: one probe
DENIAL = b"-NOPERM this user has no permissions to run the 'info' command\r\n"


class Actor:
    def __init__(self, home, name, role="slave", careless=False, cuts=False):
        self.name, self.role, self.careless = name, role, careless
        self.replid, self.replid2, self.second = "b" * 40, NOBODY, -1
        self.offset, self.link = 1000, "up"
        self.mood = "well"      # or "silent" or "denies": what INFO gets
        self.cuts = cuts        # ends each connection after the last of a probe's questions
        self.infos = 0
        self.writes = []        # the keys it has acknowledged
        self.fake = home.keep(FakeServer(self._serve, name))

    @property
    def text(self):
        return self.fake.text

    def promote(self, replid):
        """REPLICAOF NO ONE: a new history that begins where the old one is."""
        self.replid2, self.second = self.replid, self.offset + 1
        self.replid, self.role = replid, "master"

    def follow(self, other):
        self.replid, self.replid2, self.second = other.replid, other.replid2, other.second
        self.role = "slave"

    def _serve(self, server, sock):
        buffer = b""
        while True:
            args, buffer = read_command(sock, buffer)
            if args is None:
                return
            sock.sendall(self._answer([args[0].upper(), *args[1:]]))
            if self.cuts and self.infos % QUESTIONS == 0:
                return

    def _answer(self, args):
        if args[0] == "INFO":
            return self._info()
        if args[0] != "SET":
            return b"+OK\r\n"
        if self.role == "slave" and not self.careless:
            return b"-READONLY You can't write against a read only replica.\r\n"
        self.writes.append(args[1])
        return b"+OK\r\n"

    def _info(self):
        self.infos += 1
        if self.mood == "silent":
            return b""
        if self.mood == "denies":
            return DENIAL
        lines = ["# Server", "redis_version:7.0.15",
                 "run_id:" + self.name.encode().hex().ljust(40, "0"),
                 "# Persistence", "loading:0", "# Replication", f"role:{self.role}"]
        if self.role == "slave":
            lines += ["master_host:127.0.0.1", "master_port:1",
                      f"master_link_status:{self.link}", "master_last_io_seconds_ago:0",
                      "master_sync_in_progress:0", f"slave_read_repl_offset:{self.offset}",
                      f"slave_repl_offset:{self.offset}"]
        lines += ["connected_slaves:0", "master_failover_state:no-failover",
                  f"master_replid:{self.replid}", f"master_replid2:{self.replid2}",
                  f"master_repl_offset:{self.offset}", f"second_repl_offset:{self.second}"]
        text = "\r\n".join(lines).encode() + b"\r\n"
        return b"$%d\r\n%s\r\n" % (len(text), text)
