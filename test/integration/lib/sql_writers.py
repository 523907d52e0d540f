"""Writers of unique keys for servers that speak SQL; compare() of lib/writers.py judges them.

What differs between families is a dialect: connect(address, timeout) gives an object with close()
and insert(key) -> port of the server that took it, by its own word and stored with the row. Both
raise Refused for an answer that is an error and OSError for a lost connection. The servers' data()
gives {key: value} with the value stored_value(key, port)."""
import contextlib
import itertools
import time

import pymysql

from lib import mariadb
from lib.writers import Write, Writers


class Refused(Exception):
    """The server answered, with an error."""


def stored_value(key, port):
    return f"v-{key}@{port}"


class SqlWriters(Writers):
    """reconnect_every=1 takes a new connection for each write, None keeps one as long as it lasts.
    As the server names itself in the answer to each write, it is known for each."""

    def __init__(self, address, dialect, **options):
        self.dialect = dialect
        super().__init__(address, **options)

    def _run(self, number):
        keys = (f"{self.prefix}:{number}:{n}" for n in itertools.count())
        while not self.stop_event.is_set():
            try:
                self._session(self.dialect.connect(self.address, self.timeout), keys)
            except Refused as answer:
                self._refusal(answer)
            except OSError:
                with self.lock:
                    self.cut.append(time.monotonic())
                self.stop_event.wait(0.01)

    def _session(self, client, keys):
        try:
            for key in itertools.islice(keys, self.reconnect_every):
                self._write_one(client, key)
                if self.stop_event.wait(self.period):
                    return
        finally:
            client.close()

    def _write_one(self, client, key):
        """A key that was sent and not answered stays in `uncertain`."""
        sent = time.monotonic()
        self.uncertain.add(key)
        try:
            by = client.insert(key)
        except Refused:
            self.uncertain.discard(key)
            raise
        acked = time.monotonic()
        self.uncertain.discard(key)
        with self.lock:
            self.acknowledged.append(Write(key, stored_value(key, by), by, sent, acked))


LOST = (2003, 2006, 2013, 2014, 2055)  # the client library's own errors: the connection is gone


@contextlib.contextmanager
def _errors():
    """Tells a lost connection from an answer."""
    try:
        yield
    except pymysql.MySQLError as error:
        if error.args and error.args[0] in LOST:
            raise ConnectionError(str(error)) from error
        raise Refused(str(error)) from error


class MySQLDialect:
    """MySQL and MariaDB, through PyMySQL. `returning`: INSERT ... RETURNING, which MariaDB has;
    without it the insert and the question who took it are one transaction."""

    PORT = "SELECT @@port"

    def __init__(self, user=mariadb.WRITER[0], password=mariadb.WRITER[1], returning=True,
                 database="test", **options):
        self.login = {"user": user, "password": password, "database": database, **options}
        self.returning = returning

    def connect(self, address, timeout):
        with _errors():
            connection = pymysql.connect(host=address[0], port=address[1], connect_timeout=timeout,
                                         read_timeout=timeout, write_timeout=timeout,
                                         autocommit=True, **self.login)
        return _MySQLClient(connection, self.returning)


class _MySQLClient:
    INSERT = "INSERT INTO writes (name, value) VALUES (%s, CONCAT('v-', %s, '@', @@port))"
    PORT = "CAST(SUBSTRING_INDEX(value, '@', -1) AS UNSIGNED)"

    def __init__(self, connection, returning):
        self.connection = connection
        self.returning = returning

    def insert(self, key):
        with _errors(), self.connection.cursor() as cursor:
            if self.returning:
                cursor.execute(f"{self.INSERT} RETURNING {self.PORT}", (key, key))
                return cursor.fetchone()[0]
            self.connection.begin()
            cursor.execute(self.INSERT, (key, key))
            cursor.execute("SELECT @@port")
            by = cursor.fetchone()[0]
            self.connection.commit()
            return by

    def ask(self, query):
        """The first column of the first row."""
        with _errors(), self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]

    def close(self):
        self.connection.close()
