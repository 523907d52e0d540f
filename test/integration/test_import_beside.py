"""Promise: a router that runs from HAProxy's own file does for the same clients, with the same
servers, what HAProxy does beside it: before a failover and behind it."""
import os
import ssl

import pytest

from lib import families
from lib.beside import Beside
from lib.certificates import Authority
from lib.crowd import Crowd, addresses
from lib.mariadb import NOBODY, PROBER
from lib.postgres import PROBER as PG_PROBER
from lib.relays import HOST, Relays
from lib.resp import Resp
from lib.sentinel import MASTER
from lib.ws_hub import WsHub

CLIENTS = addresses(40)


def lines(servers, extra=""):
    return "".join(f"    server {s.name} {s.text} {extra}\n" for s in servers)


def probing(account):
    return {"ROUTER_PROBE_USER": account[0], "ROUTER_PROBE_PASSWORD": account[1]}


# --- Redis ---

ROLE = """    option tcp-check
    tcp-check connect
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    tcp-check send info\\ replication\\r\\n
    tcp-check expect string role:{}
    tcp-check send QUIT\\r\\n
    tcp-check expect string +OK
"""


def redis_port(address):
    with Resp(address, 5) as client:
        found = client.call("CONFIG", "GET", "port")
        return int(found[1]) if isinstance(found, list) else found


def redis_ports(address):
    """Whom clients meet, one after the other."""
    return {redis_port(address) for _ in range(6)}


@pytest.mark.sanitize
def test_redis_by_its_role(home):
    servers = home.redis_group("a", "b", "c")
    both = Beside(home, "listen write\n    bind 127.0.0.1:@write@\n" + ROLE.format("master")
                  + lines(servers) + "listen read\n    bind 127.0.0.1:@read@\n"
                  + "    balance roundrobin\n" + ROLE.format("slave") + lines(servers))
    a, b, c = servers
    both.see("write", redis_ports, {a.port}, "writers at the primary")
    both.see("read", redis_ports, {b.port, c.port}, "readers at the replicas")
    a.kill()
    b.promote()
    c.follow(b)
    both.see("write", redis_ports, {b.port}, "writers at the new primary")
    both.see("read", redis_ports, {c.port}, "readers at the replica that is left")


def test_redis_whom_sentinels_name(home, sentinels):
    watchers = lines(sentinels.sentinels)
    asked = "".join(f"""backend check_if_redis_is_master_{n}
    option tcp-check
    tcp-check connect
    tcp-check send PING\\r\\n
    tcp-check expect string +PONG
    tcp-check send SENTINEL\\ get-master-addr-by-name\\ {MASTER}\\r\\n
    tcp-check expect string {server.port}
    tcp-check send QUIT\\r\\n
{watchers}""" for n, server in enumerate(sentinels.servers))
    used = "".join(f"    use-server {s.name} if {{ srv_is_up({s.name}) }} "
                   f"{{ nbsrv(check_if_redis_is_master_{n}) ge 2 }}\n"
                   for n, s in enumerate(sentinels.servers))
    both = Beside(home, asked + "frontend ft_redis_master\n    bind 127.0.0.1:@write@\n"
                  "    use_backend bk_redis_master\nbackend bk_redis_master\n"
                  + ROLE.format("master") + used + lines(sentinels.servers))
    old = sentinels.primary
    both.see("write", redis_ports, {old.port}, "writers at the primary")
    sentinels.failover()
    new = sentinels.wait_failover(old)
    both.see("write", redis_ports, {new.port}, "writers at the new primary", 30)


# --- MySQL and PostgreSQL ---


def sql_failover(both, family, read=True):
    """The primary is killed; whoever succeeds it has the writers on both sides."""
    def met(address):
        return {family.port_met(address) for _ in range(6)}

    old = family.primary()
    both.see("write", met, {old.port}, "writers at the primary")
    if read:
        both.see("read", met, {s.port for s in family.others(old)}, "readers at the replicas")
    family.kill(old)
    new = family.succeed(old)
    both.see("write", met, {new.port}, "writers at the new primary", 30)
    if read:
        both.see("read", met, {s.port for s in family.others(old, new)},
                 "readers at the replica that is left", 30)


def test_patroni(home, patroni):
    family = families.Patroni(patroni)
    servers = lines(patroni.nodes, f"check port {patroni.rest_port}")
    both = Beside(home, "listen write\n    bind 127.0.0.1:@write@\n"
                  "    option httpchk OPTIONS /primary\n    http-check expect status 200\n"
                  + servers + "listen read\n    bind 127.0.0.1:@read@\n    balance roundrobin\n"
                  "    option httpchk OPTIONS /replica\n    http-check expect status 200\n"
                  + servers, env=probing(PG_PROBER))
    sql_failover(both, family)


def script(home, name, query, expected, account):
    """What HAProxy starts for each check: its own address and port, then the server's."""
    path = home.file(name, f"""#!/bin/sh
test "$(mariadb -h "$3" -P "$4" -u {account[0]} -p'{account[1]}' -N -e "{query}")" = "{expected}"
""")
    os.chmod(path, 0o755)
    return path


def test_mysql_by_scripts_that_ask_for_read_only(home, mariadb):
    family = families.MariaDBReplication(mariadb)
    mariadb.primary.sql("INSERT INTO test.writes VALUES ('x', 'y')")  # who succeeds it has most
    for replica in mariadb.replicas:
        replica.wait_caught_up(mariadb.primary)
    text = ""
    for name, expected in (("write", "0"), ("read", "1")):
        check = script(home, f"check_{name}.sh", "SELECT @@global.read_only", expected, PROBER)
        text += (f"listen {name}\n    bind 127.0.0.1:@{name}@\n    balance roundrobin\n"
                 f"    option external-check\n    external-check path /usr/bin:/bin\n"
                 f"    external-check command {check}\n" + lines(family.servers, "inter 300ms"))
    sql_failover(Beside(home, text, env=probing(PROBER)), family)


def test_galera_with_one_writer(home, galera):
    family = families.Galera(galera)
    check = script(home, "check_galera.sh",
                   "SELECT variable_value FROM information_schema.global_status"
                   " WHERE variable_name = 'wsrep_local_state'", "4", NOBODY)
    both = Beside(home, "listen write\n    bind 127.0.0.1:@write@\n    option external-check\n"
                  f"    external-check path /usr/bin:/bin\n    external-check command {check}\n"
                  + lines(family.servers[:1], "inter 300ms")
                  + lines(family.servers[1:], "inter 300ms backup"), env=probing(NOBODY))
    sql_failover(both, family, read=False)


# --- hubs ---


def test_hubs_behind_tls_by_the_address_of_the_client(home):
    relays = Relays(home)
    hubs = relays.hubs("clear", "hub-0", "hub-1", "hub-2")
    both = Beside(home, f"""frontend wss
    bind 127.0.0.1:@wss@ ssl crt {relays.leaf.pem}
    default_backend hubs
backend hubs
    balance source
    hash-type consistent
    option httpchk GET /health
    http-check expect status 200
""" + lines(hubs))

    def homes(address):
        """{client: hub}"""
        crowd = Crowd(address, tls=relays.trusting, host=HOST)
        try:
            return crowd.visit(CLIENTS)
        finally:
            crowd.close()

    def used(address):
        try:
            return set(homes(address).values())
        except AssertionError as refused:
            return str(refused)

    names = {hub.name for hub in hubs}
    both.see("wss", used, names, "all hubs used")
    first = {side.name: homes(side.address("wss")) for side in both.sides}
    for side in both.sides:
        assert homes(side.address("wss")) == first[side.name], side.name
    gone = hubs[1]
    gone.process.kill()
    both.see("wss", used, names - {gone.name}, "the hubs that are left")
    for side in both.sides:
        now, before = homes(side.address("wss")), first[side.name]
        stayed = [client for client in CLIENTS if before[client] != gone.name]
        assert all(now[client] == before[client] for client in stayed), side.name


def test_hosts_by_their_names(home):
    authority = Authority(home.directory("ca"), "Hub CA")
    leaf = authority.leaf(names=["*.example.com", "*.chat.example.com"])
    hubs = {name: home.keep(WsHub(home.directory(name), name, tls=(leaf.cert, leaf.key)))
            for name in ("hubs", "chat", "cache")}
    both = Beside(home, """frontend tls
    bind 127.0.0.1:@tls@
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    acl is_cache req.ssl_sni -i cache.example.com
    use_backend cache if is_cache
    use_backend chat if { req.ssl_sni -m end -i .chat.example.com }
    default_backend hubs
""" + "".join(f"backend {name}\n    timeout queue 300ms\n{lines([hub])}"
               for name, hub in hubs.items()))
    trusting = ssl.create_default_context(cafile=authority.ca)

    def hub_of(host):
        def ask(address):
            crowd = Crowd(address, tls=trusting, host=host)
            try:
                return set(crowd.visit(CLIENTS[:1]).values())
            except AssertionError:
                return "nobody"
            finally:
                crowd.close()
        return ask

    hosts = {"cache.example.com": "cache", "a.chat.example.com": "chat",
             "CACHE.example.com": "cache", "www.example.com": "hubs"}
    for host, name in hosts.items():
        both.see("tls", hub_of(host), {name}, f"{host} at its hub")
    hubs["cache"].process.kill()
    both.see("tls", hub_of("cache.example.com"), "nobody", "a host without a hub")
    for host, name in hosts.items():
        if name != "cache":
            both.see("tls", hub_of(host), {name}, f"{host} at its hub still")
