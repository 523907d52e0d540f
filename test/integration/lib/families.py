"""The families of servers that know a primary, each in the same words: how a router is told of
them, who is the primary, what their operators and their own automatics do to them.

A Family is a thing of one test, around a cluster that is lent to it. `succeed()` is what happens
after a fault: an operator promotes the replica that has most, or the servers agree by themselves.
"""
import os

import psycopg2

from lib import mariadb, mysql, postgres
from lib.ini import FAST_PROBES, section, servers as server_lines
from lib.pg_writers import PostgresDialect
from lib.sql_writers import MySQLDialect
from lib.waiting import until

LONG = 60.0


class Family:
    name = None
    cluster = None           # the fixture that lends it; see clusters.start_needed()
    protocol = None
    keys = {}                # of the backend, beyond what all need
    prober = mariadb.PROBER  # an account with the privileges that the probe needs, and no others
    dialect = None           # of the writers
    loses_nothing = False    # whoever acknowledged a write, another server has it
    waits_for_none = False   # any other server may succeed at once; so nobody has to be held

    def __init__(self, lent):
        self.lent = lent

    @property
    def servers(self):
        return self.lent.servers

    def others(self, *these):
        return [server for server in self.servers if server not in these]

    def backend(self, name="b", **keys):
        """The section of router.ini."""
        account = {"probe_user": self.prober[0], "probe_password": self.prober[1]}
        return section(f"backend {name}", protocol=self.protocol,
                       server=server_lines(*self.servers),
                       **{**FAST_PROBES, **account, **self.keys, **keys})

    def primary(self):
        return self.lent.primary

    # Faults.

    def kill(self, server):
        server.kill()

    def pause(self, server):
        server.pause()

    def resume(self, server):
        server.resume()

    def succeed(self, old):
        """After a fault of the old primary: the new one, as soon as it takes writes."""
        raise NotImplementedError

    def switch(self, old):
        """Planned. Yields the new primary just before it becomes one, and goes on to the end."""
        raise NotImplementedError

    def come_back(self, old):
        """What was killed is started again, and thinks as far as it can that it is the primary."""
        old.start_again()

    def back(self, stats, old):
        """The router has seen that, by its words."""
        return told(stats, f"{old.name} claims to be the primary too, and gets nobody")

    def awake(self, stats, old):
        """After resume(): the router has heard what the old primary thinks of itself by now."""
        return self.back(stats, old)

    # Its own word.

    def writable(self, server):
        """Whether it takes writes."""
        raise NotImplementedError

    def readable(self, server):
        """Whether its data can be looked at."""
        return server.running()

    def set_read_only(self, server, on):
        """By hand, behind everybody's back."""
        server.set_read_only(on)

    # Readers.

    def port_of(self, client):
        """The port of the server that a client of the dialect is connected to, by its own word."""
        return client.ask(self.dialect.PORT)

    def port_met(self, address):
        client = self.dialect.connect(address, 10)
        try:
            return self.port_of(client)
        finally:
            client.close()

    def is_cut(self, client):
        try:
            self.port_of(client)
        except OSError:
            return True
        return False

    def stop_replication(self, server):
        """For good, without an error."""
        server.stop_replication()

    def start_replication(self, server):
        server.start_replication()

    def stopped_words(self, primary):
        return f"replication from {primary.text} is stopped"


def told(stats, text):
    return any(text in event["text"] for event in stats["events"])


def number(gtid):
    """How much a server has, of servers with a single history: the last number in its GTIDs."""
    return int(gtid.replace(":", "-").rsplit("-", 1)[1])


# --- asynchronous replication ---


class MariaDBReplication(Family):
    name = "mariadb"
    cluster = "mariadb"
    protocol = "mysql"
    dialect = MySQLDialect()

    def succeed(self, old):
        """As failover tools do: nobody is ahead of the one that is promoted."""
        replicas = self.others(old)
        for replica in replicas:
            replica.stop_replication("IO_THREAD")
        for replica in replicas:
            until(lambda r=replica: self._all_applied(r), f"{replica.name} to apply what it has")
        best = max(replicas, key=lambda r: number(r.gtid()))
        best.promote()
        for replica in self.others(old, best):
            replica.follow(best)
        return best

    @staticmethod
    def _all_applied(replica):
        return "read all relay log" in replica.replication()["Slave_SQL_Running_State"]

    def switch(self, old):
        old.demote()
        new, *rest = self.others(old)
        new.wait_caught_up(old)
        yield new
        new.promote()
        old.follow(new)
        for replica in rest:
            replica.follow(new)

    def writable(self, server):
        return not server.value("SELECT @@read_only")


class MySQLReplication(MariaDBReplication):
    name = "mysql"
    cluster = "mysql"
    dialect = MySQLDialect(returning=False)

    @staticmethod
    def _all_applied(replica):
        return "read all relay log" in replica.replication()["Replica_SQL_Running_State"]


class PostgreSQL(Family):
    name = "postgresql"
    cluster = "postgres"
    protocol = "pgsql"
    prober = postgres.PROBER
    dialect = PostgresDialect()

    def succeed(self, old):
        alive = self.others(old)
        best = max(alive, key=postgres.Postgres.received)
        best.promote()
        for server in self.others(old, best):
            server.follow(best)
        return best

    def switch(self, old):
        """A clean end of the primary waits until the standbys have all."""
        old.stop()
        new, *rest = self.others(old)
        yield new
        new.promote()
        for server in rest:
            server.follow(new)
        old.follow(new)

    def writable(self, server):
        return not server.connect_and("SELECT pg_is_in_recovery()")

    def set_read_only(self, server, on):
        server.sql(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        server.sql("SELECT pg_reload_conf()")

    def stop_replication(self, server):
        server.sql("SELECT pg_wal_replay_pause()")

    def start_replication(self, server):
        server.sql("SELECT pg_wal_replay_resume()")

    def stopped_words(self, primary):
        return "its replay is paused (pg_wal_replay_resume())"


# --- who agree among themselves ---


class Galera(Family):
    """All take writes; the router lets one."""
    name = "galera"
    cluster = "galera"
    protocol = "mysql"
    prober = mariadb.NOBODY
    dialect = MySQLDialect()
    loses_nothing = True
    waits_for_none = True

    def primary(self):
        return self.servers[0]

    def succeed(self, old):
        others = self.others(old)
        for node in others:
            until(lambda n=node: n.synced() and n.size() == len(others), "the others to go on", 20)
        return others[0]

    def switch(self, old):
        """There is nothing to be switched: the writer is shut down."""
        new = self.others(old)[0]
        yield new
        old.stop()

    def come_back(self, old):
        """Synced, and as good as any other; but it is not the writer any more."""
        super().come_back(old)
        self.lent.wait_synced()

    def back(self, stats, old):
        return "synced; another one takes the writes" in stats.server(old.name)["reason"]

    def writable(self, server):
        return server.synced() and not server.value("SELECT @@read_only")


class GroupReplication(Family):
    name = "group"
    cluster = "mysql_group"
    protocol = "mysql"
    prober = mysql.MEMBER
    dialect = MySQLDialect(returning=False)
    loses_nothing = True

    def primary(self):
        return self.lent.wait_primary()

    def succeed(self, old):
        others = self.others(old)
        return until(lambda: next((s for s in others if self.writable(s)), None),
                     "the group to have another primary", LONG)

    def switch(self, old):
        new = self.others(old)[0]
        yield new
        self.lent.switch(new)

    def back(self, stats, old):
        """It is writable, but in no group."""
        return "OFFLINE" in stats.server(old.name)["reason"]

    def awake(self, stats, old):
        """It knows that it was expelled, and turns everybody away."""
        return "offline" in stats.server(old.name)["reason"]

    def writable(self, server):
        return (server.itself() == ("ONLINE", "PRIMARY")
                and not server.value("SELECT @@super_read_only"))


class Patroni(Family):
    name = "patroni"
    cluster = "patroni"
    protocol = "pgsql"
    prober = postgres.PROBER
    dialect = PostgresDialect()

    @property
    def servers(self):
        return self.lent.nodes

    def backend(self, name="b", **keys):
        return super().backend(name, **{"patroni": self.lent.rest_port, **keys})

    def primary(self):
        return self.lent.wait_leader()

    def succeed(self, old):
        return self.lent.wait_leader(other_than=old)

    def switch(self, old):
        new = self.others(old)[0]
        yield new
        self.lent.switchover(new)

    def come_back(self, old):
        """Its PostgreSQL is started by hand, past Patroni, which would make a standby of it."""
        log = os.path.join(old.directory, "log")
        old.wardens.append(postgres.start_under_warden(
            [f"{postgres.BIN}/postgres", "-D", old.data_directory], old.directory, log))
        until(lambda: self.readable(old) and self.writable(old), f"{old.name} to claim", 20)

    @staticmethod
    def cascade(server, source):
        """The server follows the other one, past Patroni."""
        server.sql("ALTER SYSTEM SET primary_slot_name = ''")
        server.sql("ALTER SYSTEM SET primary_conninfo = 'host=%s port=%s user=postgres'"
                   % (source.host, source.port))
        server.sql("SELECT pg_reload_conf()")
        until(lambda: server.sql("SELECT status, sender_port FROM pg_stat_wal_receiver")
              == [("streaming", source.port)], f"{server.name} to follow {source.name}", 20)

    def awake(self, stats, old):
        """Patroni has made a replica of it."""
        server = stats.server(old.name)
        return server["role"] == "replica" and server["access"] == "open"

    def writable(self, server):
        return not server.sql("SELECT pg_is_in_recovery()")[0][0]

    def readable(self, server):
        try:
            return server.sql("SELECT 1") == [(1,)]
        except psycopg2.Error:
            return False

    def set_read_only(self, server, on):
        server.sql(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        server.sql("SELECT pg_reload_conf()")


ALL = [MariaDBReplication, MySQLReplication, Galera, GroupReplication, PostgreSQL, Patroni]
