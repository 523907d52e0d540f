"""A real nginx: with TLS before the hubs (http), or before the router (stream)."""
import glob
import os

from lib.process import Process, free_port
from lib.resp import connect
from lib.sockets import local
from lib.waiting import until

CONFIG = """daemon off;
master_process off;
load_module {module};
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ssl_certificate {cert};
    ssl_certificate_key {key};
{http}}}
stream {{
    ssl_certificate {cert};
    ssl_certificate_key {key};
    proxy_ssl_trusted_certificate {ca};
    proxy_ssl_verify on;
    proxy_ssl_server_name on;
    proxy_timeout 1h;
{stream}}}
"""

# One server before one hub. The hub says as X-Client what it is told in X-Forwarded-For.
BEFORE_A_HUB = """    server {{
        listen 127.0.0.1:{port} ssl{accepts};
        location / {{
            proxy_pass http://{to};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For ${client};
            proxy_read_timeout 1h;
        }}
    }}
"""
UPGRADES = "    map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n"

BEFORE_THE_ROUTER = """    server {{
        listen 127.0.0.1:{port} ssl;
        proxy_pass {to};
        proxy_protocol on;
        {ssl}
    }}
"""


class Nginx:
    """`leaf` is what it shows (lib.certificates.Leaf), `ca` a file with whom it trusts."""

    def __init__(self, directory, leaf, ca, http="", stream="", ports=()):
        found = glob.glob("/usr/lib*/nginx/modules/ngx_stream_module.so")
        assert found, "libnginx-mod-stream is missing"
        self.ports = ports
        path = os.path.join(directory, "nginx.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(CONFIG.format(module=found[0], directory=directory, cert=leaf.cert,
                                     key=leaf.key, ca=ca, http=http, stream=stream))
        self.process = Process(["nginx", "-e", os.path.join(directory, "error.log"), "-p",
                                directory, "-c", path], os.path.join(directory, "stderr"))

    def wait_up(self):
        until(self._listens, "nginx to listen", 10)
        return self

    def _listens(self):
        assert self.process.running(), self.process.log
        try:
            for port in self.ports:
                connect(local(port)).close()
        except OSError:
            return False
        return True

    def close(self):
        self.process.kill()


class Fronted:
    """A hub as the router sees it: nginx with TLS before it, under the hub's name."""

    def __init__(self, hub):
        self.name = hub.name
        self.port = free_port()
        self.text = f"127.0.0.1:{self.port}"


def before_hubs(home, relays, hubs, proxy_protocol=False):
    """One nginx, a server of it for each hub. With `proxy_protocol` it believes what that says."""
    fronted = [Fronted(hub) for hub in hubs]
    blocks = [BEFORE_A_HUB.format(port=front.port, to=hub.text,
                                  accepts=" proxy_protocol" if proxy_protocol else "",
                                  client="proxy_protocol_addr" if proxy_protocol
                                  else "remote_addr") for hub, front in zip(hubs, fronted)]
    home.keep(Nginx(home.directory("nginx"), relays.leaf, relays.authority.ca,
                    http=UPGRADES + "".join(blocks),
                    ports=[front.port for front in fronted])).wait_up()
    return fronted


def before_router(home, relays, address, host=None):
    """Its address: TLS ends here, the client's address goes on in a PROXY header. With `host` it
    speaks TLS to the router as well, which must show a certificate for that name."""
    port = free_port()
    ssl = f"proxy_ssl on; proxy_ssl_name {host};" if host else ""
    home.keep(Nginx(home.directory("nginx"), relays.leaf, relays.authority.ca,
                    stream=BEFORE_THE_ROUTER.format(port=port, to=f"{address[0]}:{address[1]}",
                                                    ssl=ssl), ports=[port])).wait_up()
    return local(port)
