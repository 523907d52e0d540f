"""The dialect of PostgreSQL for lib/sql_writers.py."""
import psycopg2

from lib import postgres
from lib.sql_writers import Refused


class PostgresDialect:
    """Through libpq. options: those of a connection string."""

    PORT = "SELECT inet_server_port()"

    def __init__(self, user=postgres.WRITER[0], password=postgres.WRITER[1], **options):
        self.login = {"user": user, "password": password, **options}

    def connect(self, address, timeout):
        with _errors():
            connection = postgres.connect(address[1], address[0], timeout=timeout, **self.login)
        return _Client(connection)


class _Client:
    INSERT = ("INSERT INTO writes SELECT %s, 'v-' || %s || '@' || inet_server_port()"
              " RETURNING inet_server_port()")

    def __init__(self, connection):
        self.connection = connection

    def insert(self, key):
        with _errors(), self.connection.cursor() as cursor:
            cursor.execute(self.INSERT, (key, key))
            return cursor.fetchone()[0]

    def ask(self, query):
        """The first column of the first row."""
        with _errors(), self.connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]

    def close(self):
        self.connection.close()


class _errors:
    """Tells a lost connection from an answer. That of a login has no SQLSTATE in psycopg2."""

    def __enter__(self):
        return self

    def __exit__(self, _kind, error, _trace):
        if isinstance(error, psycopg2.Error):
            if error.pgcode or "FATAL:" in str(error):
                raise Refused(f"{error.pgcode}: {error}") from error
            raise ConnectionError(str(error)) from error
        return False
