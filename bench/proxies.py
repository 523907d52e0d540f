"""The proxies side by side: how each is started with one worker thread, as an opaque relay before
the one Redis, with nothing switched on that the others do not do."""

import glob
import os
import re
import signal
import subprocess

from lab import BenchError, Lab, children, free_port

FRONT = {"direct": "127.0.0.1", "floor": "127.0.0.11", "haproxy": "127.0.0.12",
         "nginx": "127.0.0.13", "router": "127.0.0.14"}
BACK = {"direct": "127.0.0.1", "floor": "127.0.0.21", "haproxy": "127.0.0.22",
        "nginx": "127.0.0.23", "router": "127.0.0.24"}

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
    bind {address}:{port}
    server redis {back}:{redis_port}
"""

NGINX = """
load_module {module};
{user}
worker_processes 1;
daemon off;
master_process {master};
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log error;
events {{
    worker_connections 18100;
}}
stream {{
    access_log off;
    server {{
        listen {address}:{port} backlog=4096;
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
backend = redis
[backend redis]
protocol = redis
server = one {back}:{redis_port}
"""


class Target:
    """Where to send the load, and which processes to look at. `direct` has none of its own."""

    def __init__(self, name, address, port, process=None, worker=0):
        self.name = name
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
    if name == "floor":
        return [lab.program("relay"), fill["address"], str(fill["port"]), fill["back"],
                str(fill["redis_port"])]
    if name == "haproxy":
        return ["haproxy", "-db", "-f", lab.path("haproxy.cfg", HAPROXY.format(**fill))]
    if name == "nginx":
        fill["module"] = nginx_module()
        fill["user"] = "user root;" if os.geteuid() == 0 else ""
        fill["master"] = "off" if wrapped else "on"
        return ["nginx", "-e", f"{lab.folder}/nginx-error.log", "-p", lab.folder,
                "-c", lab.path("nginx.conf", NGINX.format(**fill))]
    return [os.path.join(lab.build, "router"), "-c",
            lab.path("router.ini", ROUTER.format(**fill))]


def start(lab: Lab, name, options="workers = 1\nadmin = off", wrap=()):
    """Starts proxy `name` and returns its target once it answers; `wrap` is put before the command,
    `options` are the router's."""
    if name == "direct":
        return Target(name, FRONT[name], lab.redis_port)
    address = FRONT[name]
    fill = {"address": address, "port": free_port(address), "back": BACK[name],
            "redis_port": lab.redis_port, "folder": lab.folder, "options": options,
            "files": os.sysconf("SC_OPEN_MAX")}
    argv = [*wrap, *commands(lab, name, fill, bool(wrap))]
    # nginx' master must end its worker: no SIGKILL for it.
    death = signal.SIGTERM if name == "nginx" else signal.SIGKILL
    process = lab.start(name, argv, cpus=lab.proxy_cpus, death=death)
    lab.wait_ready(process, address, fill["port"])
    worker = process.pid
    if name == "nginx" and not wrap:
        worker = children(process.pid)[0]
    return Target(name, address, fill["port"], process, worker)


def stop(lab: Lab, target, **how):
    if target.process:
        lab.stop(target.process, **how)


def version(name):
    """Name and version, as the program says them."""
    argv = {"haproxy": ["haproxy", "-v"], "nginx": ["nginx", "-v"],
            "redis": ["redis-server", "--version"]}[name]
    try:
        out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError as missing:
        raise BenchError(f"{argv[0]} is missing: apt-get install haproxy nginx "
                         "libnginx-mod-stream redis-server") from missing
    return re.split(r" - | sha=", out.stdout.decode("ascii", "replace").splitlines()[0])[0]
