"""Everything one test starts, ended in reverse order whatever happens."""
import os
import shutil
import tempfile

from lib.fake import FakeServer
from lib.haproxy import HAProxy
from lib.redis_server import Redis, link
from lib.router import Router
from lib.writers import Writers


class Home:
    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="router-test-")
        self.things = []
        os.chmod(self.path, 0o755)

    def keep(self, thing):
        """thing.close() is called at the end."""
        self.things.append(thing)
        return thing

    def directory(self, name):
        path = os.path.join(self.path, f"{len(self.things)}-{name}")
        os.makedirs(path)
        return path

    def file(self, name, text):
        path = os.path.join(self.path, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def redis(self, name="redis", start=True, **options):
        server = self.keep(Redis(self.directory(name), name, **options))
        return server.start() if start else server

    def redis_group(self, *names, replicas=True, **options):
        """Started side by side; the first is the primary of the others."""
        servers = [self.redis(name, start=False, **options) for name in names]
        for server in servers:
            server.start(wait=False)
        for server in servers:
            server.wait_up()
        if replicas:
            link(*servers)
        return servers

    def fake(self, handler, name="fake", **options):
        return self.keep(FakeServer(handler, name, **options))

    def router(self, sections, **options):
        return self.keep(Router(self.directory("router"), sections, **options))

    def haproxy(self, servers):
        return self.keep(HAProxy(self.directory("haproxy"), servers))

    def writers(self, address, **options):
        return self.keep(Writers(address, **options))

    def close(self):
        errors = []
        for thing in reversed(self.things):
            try:
                thing.close()
            except Exception as error:  # the rest must be ended too
                errors.append(error)
        shutil.rmtree(self.path, ignore_errors=True)
        if errors:
            raise errors[0]
