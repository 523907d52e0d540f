"""The proxies side by side: how each is started with one worker thread before the one Redis, as an
opaque relay, with TLS towards the clients or, those who can, as a pool of connections; with nothing
switched on that the others do not do."""

import glob
import os
import re
import signal
import subprocess

from lab import BenchError, Lab, children, clear, free_port, secured

FRONT = {"direct": "127.0.0.1", "floor": "127.0.0.11", "haproxy": "127.0.0.12",
         "nginx": "127.0.0.13", "router": "127.0.0.14", "twemproxy": "127.0.0.15"}
BACK = {"direct": "127.0.0.1", "floor": "127.0.0.21", "haproxy": "127.0.0.22",
        "nginx": "127.0.0.23", "router": "127.0.0.24", "twemproxy": "127.0.0.25"}

HAPROXY = """
global
    nbthread 1
    maxconn 9000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind {address}:{port} {tls}
    server redis {back}:{redis_port}
"""

NGINX = """
load_module {module};
{user}
worker_processes 1;
daemon off;
master_process {master};
worker_rlimit_nofile {files};
pid {folder}/{label}.pid;
error_log {folder}/{label}-error.log error;
events {{
    worker_connections 18100;
}}
stream {{
    access_log off;
    server {{
        listen {address}:{port} backlog=4096{tls};
        proxy_pass {back}:{redis_port};
        proxy_timeout 1h;
    }}
}}
"""

ROUTER = """
[router]
{options}
[frontend bench]
bind = {address}:{port}
{tls}
{pool}
backend = redis
[backend redis]
protocol = redis
server = one {back}:{redis_port}
"""

TWEMPROXY = """
bench:
  listen: {address}:{port}
  redis: true
  hash: fnv1a_64
  distribution: modula
  preconnect: true
  auto_eject_hosts: false
  backlog: 4096
  servers:
   - {back}:{redis_port}:1
"""

# What stands where with TLS. The rest is each one's default: tickets with a key of the process,
# buffers, no session cache beyond it. The client chooses among the ciphers. nginx before 1.23.4
# has TLS 1.3 switched off.
TLS = {
    "floor": "{pem}",
    "haproxy": "ssl crt {pem} ssl-min-ver TLSv1.2",
    "nginx": """ ssl;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        ssl_protocols TLSv1.2 TLSv1.3""",
    "router": "tls = yes\ntls_cert = {pem}",
}


class Target:
    """Where to send the load, and which processes to look at. `direct` has none of its own."""

    def __init__(self, name, address, port, *, kind=(None, None), process=None, worker=0):
        self.name = name
        self.kind = kind
        self.address = address
        self.port = port
        self.process = process
        self.worker = worker

    def pids(self):
        if not self.process:
            return []
        return [self.process.pid, *children(self.process.pid)]


def nginx_module():
    found = glob.glob("/usr/lib*/nginx/modules/ngx_stream_module.so")
    if not found:
        raise BenchError("nginx has no stream module: apt-get install libnginx-mod-stream")
    return found[0]


def commands(lab: Lab, name, fill, wrapped):
    """The command line that starts proxy `name`; `wrapped`: it runs under an instrument."""
    label = fill["label"]
    if name == "floor":
        argv = [lab.program("multiplex" if fill["pool"] else "relay"), fill["address"],
                str(fill["port"]), fill["back"], str(fill["redis_port"])]
        return [*argv, fill["tls"]] if fill["tls"] else argv
    if name == "haproxy":
        return ["haproxy", "-db", "-f", lab.path(f"{label}.cfg", HAPROXY.format(**fill))]
    if name == "twemproxy":
        return ["nutcracker", "-c", lab.path(f"{label}.yml", TWEMPROXY.format(**fill)),
                "-p", f"{lab.folder}/{label}.pid", "-o", f"{lab.folder}/{label}.out",
                "-a", fill["address"], "-s", str(free_port(fill["address"]))]
    if name == "nginx":
        fill["module"] = nginx_module()
        fill["user"] = "user root;" if os.geteuid() == 0 else ""
        fill["master"] = "off" if wrapped else "on"
        return ["nginx", "-e", f"{lab.folder}/{label}-error.log", "-p", lab.folder,
                "-c", lab.path(f"{label}.conf", NGINX.format(**fill))]
    return [os.path.join(lab.build, "router"), "-c",
            lab.path(f"{label}.ini", ROUTER.format(**fill))]


def start(lab: Lab, name, certificate=None, pool=None, *, options="workers = 1\nadmin = off",
          wrap=()):
    """Starts proxy `name` and returns its target once it answers; with a `certificate` it
    terminates TLS, with a `pool` the router has this pool_mode and the floor is that of pools;
    `wrap` is put before the command, `options` are the router's."""
    if name == "direct":
        return Target(name, FRONT[name], lab.redis_port, kind=(certificate, pool))
    address = FRONT[name]
    label = "-".join(filter(None, (name, certificate, pool)))
    tls = TLS[name].format(pem=lab.certificate(certificate)) if certificate else ""
    fill = {"address": address, "port": free_port(address), "back": BACK[name],
            "redis_port": lab.redis_port, "folder": lab.folder, "options": options,
            "label": label, "tls": tls, "pool": f"pool_mode = {pool}" if pool else "",
            "files": os.sysconf("SC_OPEN_MAX")}
    argv = [*wrap, *commands(lab, name, fill, bool(wrap))]
    # nginx' master must end its worker: no SIGKILL for it.
    death = signal.SIGTERM if name == "nginx" else signal.SIGKILL
    process = lab.start(label, argv, cpus=lab.proxy_cpus, death=death)
    lab.wait_ready(process, address, fill["port"], secured if certificate else clear)
    worker = process.pid
    if name == "nginx" and not wrap:
        worker = children(process.pid)[0]
    return Target(name, address, fill["port"], kind=(certificate, pool), process=process,
                  worker=worker)


def stop(lab: Lab, target, **how):
    if target.process:
        lab.stop(target.process, **how)


def version(name):
    """Name and version, as the program says them."""
    argv = {"haproxy": ["haproxy", "-v"], "nginx": ["nginx", "-v"],
            "twemproxy": ["nutcracker", "-V"], "redis": ["redis-server", "--version"],
            "openssl": ["openssl", "version"], "sysbench": ["sysbench", "--version"]}[name]
    try:
        out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError as missing:
        raise BenchError(f"{argv[0]} is missing: apt-get install haproxy nginx "
                         "libnginx-mod-stream nutcracker redis-server openssl "
                         "sysbench") from missing
    words = out.stdout.decode("ascii", "replace").splitlines()[0].removeprefix("This is ")
    return re.split(r" - | sha=| \(Library", words)[0]
