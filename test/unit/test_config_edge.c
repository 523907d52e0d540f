/* Promise: what a frontend wants of its clients before their session begins (TLS, names, PROXY
 * headers), and what servers see of it, is read strictly: each value, what it needs beside it, with
 * which protocols it is possible; and the dump says it all. */
#include "config_fixture.h"

#include <stdio.h>

#include "base/macros.h"
#include "model/config_internal.h"
#include "model/sni.h"

/* The frontend's lines begin with line FIRST; each of its backends "t", "h", "r", "m", "p" speaks
 * another protocol. */
#define FIRST 4
#define EDGE(backend, lines)                                                                       \
    "[frontend f]\nbind = 127.0.0.1:7000\nbackend = " backend "\n" lines                           \
    "[backend t]\nprotocol = tcp\nserver = one 127.0.0.1:7001\n"                                   \
    "[backend h]\nprotocol = http\nserver = one 127.0.0.1:7002\n"                                  \
    "[backend r]\nprotocol = redis\nserver = one 127.0.0.1:7003\n"                                 \
    "[backend m]\nprotocol = mysql\nserver = one 127.0.0.1:7004\nprobe_user = u\n"                 \
    "[backend p]\nprotocol = pgsql\nserver = one 127.0.0.1:7005\nprobe_user = u\n"
#define TLS "tls = yes\ntls_cert = /a.pem\n"

/* One backend, whose lines begin with line FIRST_OF_BACKEND. */
#define FIRST_OF_BACKEND 8
#define BACKEND(protocol, lines)                                                                   \
    "[frontend f]\nbind = 127.0.0.1:7000\nbackend = b\nroute = any\n"                              \
    "[backend b]\nprotocol = " protocol "\nserver = one 127.0.0.1:7001\n" lines

/* Values ------------------------------------------------------------------------------------ */

static void every_key_can_be_set(void **state)
{
    struct config *c =
        load(EDGE("h", "accept_proxy = yes\nallow = 10.0.0.5\ntls = yes\ntls_cert = /a.pem\n"
                       "tls_cert = /b.pem\ntls_key = /a.key\ntls_key = /b.key\n"
                       "tls_client_ca = /ca.pem\ntls_min_version = 1.3\ntls_alpn = h2\n"
                       "tls_alpn = http/1.1\nsni = Hub.Example.com t\nsni = *.example.com r\n"
                       "handshake_timeout = 100ms\nmax_handshakes = 7\n"));
    const struct frontend_config *f = &c->frontends[0];
    (void)state;
    assert_true(f->accept_proxy);
    assert_int_equal(f->tls, TLS_MODE_YES);
    assert_int_equal(f->tls_certs.count, 2);
    assert_string_equal(f->tls_certs.items[1], "/b.pem");
    assert_int_equal(f->tls_keys.count, 2);
    assert_string_equal(f->tls_keys.items[0], "/a.key");
    assert_string_equal(f->tls_client_ca, "/ca.pem");
    assert_int_equal(f->tls_min_version, TLS_VERSION_1_3);
    assert_int_equal(f->tls_alpn.count, 2);
    assert_string_equal(f->tls_alpn.items[0], "h2");
    assert_int_equal(f->sni.count, 2);
    assert_string_equal(f->sni.items[0].host, "hub.example.com");
    assert_int_equal(f->handshake_timeout, 100);
    assert_int_equal(f->max_handshakes, 7);
    config_free(c);
}

static void the_shortest_file_wants_nothing_of_clients(void **state)
{
    struct config *c = load(SHORTEST);
    const struct frontend_config *f = &c->frontends[0];
    const struct backend_config *b = &c->backends[0];
    (void)state;
    assert_false(f->accept_proxy);
    assert_int_equal(f->tls, TLS_MODE_NO);
    assert_int_equal(f->tls_certs.count + f->tls_keys.count + f->tls_alpn.count + f->sni.count, 0);
    assert_null(f->tls_client_ca);
    assert_int_equal(f->tls_min_version, TLS_VERSION_1_2);
    assert_int_equal(f->handshake_timeout, 10000);
    assert_int_equal(f->max_handshakes, 1000);
    assert_null(sni_find(&f->sni, "hub.example.com"));
    assert_false(b->tls);
    assert_int_equal(b->probe_tls, PROBE_TLS_NO);
    assert_int_equal(b->send_proxy, SEND_PROXY_NO);
    assert_null(b->tls_cert);
    assert_null(b->tls_key);
    config_free(c);
}

#define HOST_WORDS                                                                                 \
    ": a host name has letters, digits, \"-\" and \"_\", at most 63 of them between two dots and " \
    "253 in all; no address, and \"*.\" at its beginning only\n"
#define SNI_WORDS ": expected HOST BACKEND; HOST is a name, or *. and a name\n"

static void bad_values_are_told(void **state)
{
    static const struct mistake cases[] = {
        {EDGE("t", "tls = on\n"),
         "r.ini:4: bad value \"on\" for \"tls\": expected no, yes or required\n"},
        {EDGE("t", "accept_proxy = v2\n"),
         "r.ini:4: bad value \"v2\" for \"accept_proxy\": expected yes or no\n"},
        {EDGE("t", TLS "tls_min_version = 1.1\n"),
         "r.ini:6: bad value \"1.1\" for \"tls_min_version\": expected 1.2 or 1.3\n"},
        {EDGE("t", TLS "tls_alpn = h2, http/1.1\n"),
         "r.ini:6: bad value \"h2, http/1.1\" for \"tls_alpn\": expected the name of a protocol, "
         "at "
         "most 255 bytes (like http/1.1)\n"},
        {EDGE("t", TLS "tls_alpn = h2\ntls_alpn = h2\n"),
         "r.ini:7: bad value \"h2\" for \"tls_alpn\": it is there twice\n"},
        {EDGE("t", TLS "handshake_timeout = 99ms\n"),
         "r.ini:6: bad value \"99ms\" for \"handshake_timeout\": expected a duration from 100ms to "
         "10m (like 250ms, 5s, 10m, 1h)\n"},
        {EDGE("t", TLS "max_handshakes = none\n"),
         "r.ini:6: bad value \"none\" for \"max_handshakes\": expected a number from 1 to "
         "1000000\n"},
        {EDGE("t", "sni = a.b\n"), "r.ini:4: bad value \"a.b\" for \"sni\"" SNI_WORDS},
        {EDGE("t", "sni = a.b t r\n"), "r.ini:4: bad value \"a.b\" for \"sni\"" SNI_WORDS},
        {EDGE("t", "sni = 10.0.0.1 t\n"), "r.ini:4: bad value \"10.0.0.1\" for \"sni\"" HOST_WORDS},
        {EDGE("t", "sni = a.*.b t\n"), "r.ini:4: bad value \"a.*.b\" for \"sni\"" HOST_WORDS},
        {EDGE("t", "sni = * t\n"), "r.ini:4: bad value \"*\" for \"sni\"" HOST_WORDS},
        {EDGE("t", "sni = a.b. t\n"), "r.ini:4: bad value \"a.b.\" for \"sni\"" HOST_WORDS},
        {BACKEND("tcp", "send_proxy = yes\n"),
         "r.ini:8: bad value \"yes\" for \"send_proxy\": expected no, v1 or v2\n"},
        {BACKEND("tcp", "tls = required\n"),
         "r.ini:8: bad value \"required\" for \"tls\": expected yes or no\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void a_protocol_name_of_alpn_has_255_bytes(void **state)
{
    char name[257];
    char text[1024];
    (void)state;
    memset(name, 'a', sizeof(name));
    name[255] = '\0';
    snprintf(text, sizeof(text), EDGE("t", TLS "tls_alpn = %s\n"), name);
    config_free(load(text));
    name[255] = 'a';
    name[256] = '\0';
    snprintf(text, sizeof(text), EDGE("t", TLS "tls_alpn = %s\n"), name);
    char *errors = errors_of(text);
    assert_non_null(strstr(errors, "expected the name of a protocol, at most 255 bytes"));
    free(errors);
}

static void a_name_below_a_wildcard_must_be_possible(void **state)
{
    char host[300];
    char text[1024];
    (void)state;
    memset(host, 'a', sizeof(host));
    for (size_t i = 1; i < sizeof(host); i += 2) {
        host[i] = '.';
    }
    host[251] = '\0';
    snprintf(text, sizeof(text), EDGE("t", "sni = *.%s t\n"), host);
    config_free(load(text));
    host[251] = '.';
    host[253] = '\0';
    snprintf(text, sizeof(text), EDGE("t", "sni = *.%s t\n"), host);
    char *errors = errors_of(text);
    assert_non_null(strstr(errors, "253 in all"));
    free(errors);
}

/* TLS --------------------------------------------------------------------------------------- */

static void tls_needs_certificates_and_a_key_for_each_or_none(void **state)
{
    static const struct mistake cases[] = {
        {EDGE("t", "tls = yes\n"), "r.ini:4: \"tls\" needs \"tls_cert\", for example: "
                                   "tls_cert = /etc/router/hub.pem\n"},
        {EDGE("t", TLS "tls_cert = /b.pem\ntls_key = /a.key\n"),
         "r.ini:7: there are 2 \"tls_cert\" and 1 \"tls_key\": write one key for each certificate, "
         "in the same order, or none\n"},
        {EDGE("t", TLS "tls_key = /a.key\ntls_key = /b.key\n"),
         "r.ini:7: there are 1 \"tls_cert\" and 2 \"tls_key\": write one key for each certificate, "
         "in the same order, or none\n"},
        /* One mistake is one message. */
        {EDGE("t", "tls = yes\ntls_cert = \"\"\n"),
         "r.ini:5: the value of \"tls_cert\" is empty\n"},
        {EDGE("t", "tls = ye\ntls_cert = /a.pem\nhandshake_timeout = 1s\n"),
         "r.ini:4: bad value \"ye\" for \"tls\", did you mean \"yes\"?\n"},
        {BACKEND("tcp", "tls = yes\ntls_key = /a.key\n"),
         "r.ini:9: \"tls_key\" needs \"tls_cert\"\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    config_free(load(EDGE("r", TLS)));
    config_free(load(EDGE("h", TLS "tls_cert = /b.pem\ntls_key = /a.key\ntls_key = /b.key\n")));
}

#define MYSQL_TLS                                                                                  \
    "\"tls\" with protocol = mysql of [backend m] needs \"pool_mode = session\" or "               \
    "\"transaction\": with none, TLS is between client and server, and passed on as it is\n"

static void tls_of_mysql_is_passed_on_as_it_is(void **state)
{
    static const struct mistake cases[] = {
        {EDGE("m", TLS), "r.ini:4: " MYSQL_TLS},
        {EDGE("m", "tls = required\ntls_cert = /a.pem\n"), "r.ini:4: " MYSQL_TLS},
        {EDGE("t", TLS "sni = a.b m\n"),
         "r.ini:6: \"sni\" is not possible with protocol = mysql of [backend m]: its clients do "
         "not begin with a TLS hello\n"},
        {BACKEND("mysql", "probe = connect\ntls = yes\n"),
         "r.ini:9: tls = yes with protocol = mysql needs a \"pool_mode\" in each frontend of the "
         "backend, and [frontend f] has pool_mode = none: there TLS is between client and server, "
         "and passed on as it is (probe_tls is for the probes)\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    config_free(load(EDGE("m", "accept_proxy = yes\nallow = 10.0.0.5\n")));
}

static void tls_of_pgsql_can_begin_and_end_inside_the_protocol(void **state)
{
    (void)state;
    struct config *c = load(EDGE("p", TLS "handshake_timeout = 1s\n"));
    assert_int_equal(c->frontends[0].tls, TLS_MODE_YES);
    config_free(c);
    c = load(EDGE("p", "tls = required\ntls_cert = /a.pem\ntls_alpn = postgresql\n"));
    assert_int_equal(c->frontends[0].tls, TLS_MODE_REQUIRED);
    config_free(c);
    c = load(BACKEND("pgsql", "probe_user = u\ntls = yes\ntls_server_name = x\n"));
    assert_true(c->backends[0].tls);
    assert_int_equal(c->backends[0].probe_tls, PROBE_TLS_YES);
    config_free(c);
    assert_errors(EDGE("p", "tls = required\n"),
                  "r.ini:4: \"tls\" needs \"tls_cert\", for example: "
                  "tls_cert = /etc/router/hub.pem\n");
    assert_errors(EDGE("r", "tls = required\ntls_cert = /a.pem\n"),
                  "r.ini:4: tls = required is for protocols that upgrade to TLS inside: with "
                  "protocol = redis of [backend r] write \"tls = yes\", which lets in no client "
                  "without TLS\n");
}

static void names_are_for_clients_that_begin_with_a_hello(void **state)
{
    static const struct mistake cases[] = {
        {EDGE("t", "sni = a.b p\nsni = c.d p\n"),
         "r.ini:4: \"sni\" is not possible with protocol = pgsql of [backend p]: its clients do "
         "not begin with a TLS hello\n"},
        {EDGE("t", TLS "sni = a.b p\n"),
         "r.ini:6: \"sni\" is not possible with protocol = pgsql of [backend p]: its clients do "
         "not begin with a TLS hello\n"},
        {EDGE("p", TLS "sni = a.b t\n"),
         "r.ini:6: \"sni\" is not possible with protocol = pgsql of [backend p]: its clients do "
         "not begin with a TLS hello\n"},
        {EDGE("m", "sni = a.b t\nsni = c.d m\n"),
         "r.ini:4: \"sni\" is not possible with protocol = mysql of [backend m]: its clients do "
         "not begin with a TLS hello\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

/* Names ------------------------------------------------------------------------------------- */

static void each_name_goes_to_its_backend_by_the_route_that_is_meant_there(void **state)
{
    struct config *c =
        load(EDGE("t", "sni = hub.example.com h\nsni = *.example.com r\nsni = *.org t\n"));
    const struct frontend_config *f = &c->frontends[0];
    (void)state;
    assert_int_equal(sni_find(&f->sni, "hub.example.com")->backend, 1);
    assert_int_equal(sni_find(&f->sni, "hub.example.com")->route, ROUTE_ANY);
    assert_int_equal(sni_find(&f->sni, "x.example.com")->backend, 2);
    assert_int_equal(sni_find(&f->sni, "x.example.com")->route, ROUTE_PRIMARY);
    assert_int_equal(sni_find(&f->sni, "x.org")->backend, 0);
    assert_int_equal(f->route, ROUTE_ANY);
    config_free(c);
    c = load(EDGE("r", "route = any\nsni = a.b r\nsni = c.d t\n"));
    assert_int_equal(sni_find(&c->frontends[0].sni, "a.b")->route, ROUTE_ANY);
    assert_int_equal(sni_find(&c->frontends[0].sni, "c.d")->route, ROUTE_ANY);
    config_free(c);
}

static void names_are_there_once_and_their_backends_exist(void **state)
{
    static const struct mistake cases[] = {
        {EDGE("t", "sni = a.b t\nsni = *.a.b t\nsni = A.B h\n"),
         "r.ini:6: a.b is there twice, first in line 4\n"},
        {EDGE("t", "sni = *.a.b t\nsni = *.a.b t\n"),
         "r.ini:5: *.a.b is there twice, first in line 4\n"},
        {"[frontend f]\nbind = :1\nbackend = hubs\nsni = a.b hub\nsni = c.d other\n"
         "[backend hubs]\nprotocol = tcp\nserver = one 10.0.0.1:1\n",
         "r.ini:4: there is no [backend hub], did you mean \"hubs\"?\n"
         "r.ini:5: there is no [backend other]\n"},
        {EDGE("x", "sni = a.b y\n"), "r.ini:3: there is no [backend x]\n"
                                     "r.ini:4: there is no [backend y]\n"},
        {EDGE("r", "route = replica\nsni = a.b t\n"),
         "r.ini:4: route = replica needs roles, and protocol = tcp of [backend t] has none: write "
         "\"route = any\"\n"},
        {"[frontend f]\nbind = :1\nbackend = t\nsni = a.b r\nsni = c.d r\n"
         "[backend t]\nprotocol = tcp\nserver = one 10.0.0.1:1\n"
         "[backend r]\nprotocol = redis\nserver = one 10.0.0.1:1\nprobe = connect\n",
         "r.ini:4: route = primary (that is what auto means here) needs roles, and with probe = "
         "connect nobody asks [backend r] for them: write \"probe = auto\" there, or \"route = "
         "any\" here\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void there_may_be_ten_thousand_names_and_no_more(void **state)
{
    struct text text = {0};
    (void)state;
    text_add(&text, "[backend t]\nprotocol = tcp\nserver = one 127.0.0.1:7001\n[frontend f]\n"
                    "bind = :1\nbackend = t\n");
    for (int i = 0; i < 10000; i++) {
        text_add(&text, "sni = host-%d.example.com t\n", i);
    }
    struct config *c = load(text.data);
    assert_int_equal(c->frontends[0].sni.count, 10000);
    config_free(c);
    text_add(&text, "sni = more.example.com t\n");
    assert_errors(text.data, "r.ini:10007: more than 10000 lines \"sni\" in one section\n");
    text_free(&text);
}

/* PROXY headers ----------------------------------------------------------------------------- */

static void who_may_speak_for_others_must_be_said(void **state)
{
    static const char words[] =
        "r.ini:4: with \"accept_proxy = yes\" whoever connects may say that he is somebody else: "
        "say with \"allow\" who may, for example: allow = 10.0.0.5\n";
    (void)state;
    assert_errors(EDGE("t", "accept_proxy = yes\n"), words);
    assert_errors(EDGE("t", "accept_proxy = yes\ndeny = 10.0.0.1\n"), words);
    assert_errors(EDGE("t", "accept_proxy = yes\nbind = unix:/run/x\n"), words);
    config_free(load(EDGE("t", "accept_proxy = yes\nallow = 10.0.0.5\n")));
    config_free(load("[frontend f]\nbind = unix:/run/x\nbackend = b\naccept_proxy = yes\n"
                     "[backend b]\nprotocol = tcp\nserver = one 127.0.0.1:7001\n"));
}

/* Probes ------------------------------------------------------------------------------------ */

static enum probe_tls probe_tls_of(const char *text)
{
    struct config *c = load(text);
    enum probe_tls tls = c->backends[0].probe_tls;
    config_free(c);
    return tls;
}

static void probes_speak_tls_where_sessions_do_unless_told(void **state)
{
    (void)state;
    assert_int_equal(probe_tls_of(BACKEND("redis", "tls = yes\n")), PROBE_TLS_YES);
    assert_int_equal(probe_tls_of(BACKEND("redis", "tls = yes\nprobe_tls = auto\n")),
                     PROBE_TLS_YES);
    assert_int_equal(probe_tls_of(BACKEND("redis", "tls = yes\nprobe_tls = no\n")), PROBE_TLS_NO);
    assert_int_equal(probe_tls_of(BACKEND("redis", "tls = no\nprobe_tls = yes\n")), PROBE_TLS_YES);
    assert_int_equal(probe_tls_of(BACKEND("redis", "tls = no\n")), PROBE_TLS_NO);
    assert_int_equal(probe_tls_of(BACKEND("http", "tls = yes\nhttp_check = GET /\n")),
                     PROBE_TLS_YES);
    /* A connect says nothing, TLS or not. */
    assert_int_equal(probe_tls_of(BACKEND("tcp", "tls = yes\n")), PROBE_TLS_NO);
    assert_int_equal(probe_tls_of(BACKEND("redis", "tls = yes\nprobe = connect\n")), PROBE_TLS_NO);
}

static void a_socket_file_has_no_address_that_a_certificate_could_carry(void **state)
{
#define ON_A_PATH(lines)                                                                           \
    "[frontend f]\nbind = 127.0.0.1:7000\nbackend = b\n"                                           \
    "[backend b]\nprotocol = tcp\nserver = one unix:/run/x\n" lines
    (void)state;
    assert_errors(ON_A_PATH("tls = yes\n"),
                  "r.ini:6: server \"one\" is a unix socket: its certificate needs a name to be "
                  "verified, tls_server_name\n");
    config_free(load(ON_A_PATH("tls = yes\ntls_server_name = x\n")));
    config_free(load(ON_A_PATH("tls = yes\ntls_verify = no\n")));
}

/* Effects ----------------------------------------------------------------------------------- */

static void an_option_without_an_effect_is_refused(void **state)
{
    static const char *const of_tls[] = {"tls_cert = /a.pem",     "tls_key = /a.key",
                                         "tls_client_ca = /a.ca", "tls_min_version = 1.3",
                                         "tls_alpn = h2",         "max_handshakes = 1"};
    char text[1024];
    char expected[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(of_tls); i++) {
        snprintf(text, sizeof(text), EDGE("t", "sni = a.b h\n%s\n"), of_tls[i]);
        snprintf(expected, sizeof(expected), "r.ini:5: \"%.*s\" has no effect with tls = no\n",
                 (int)strcspn(of_tls[i], " "), of_tls[i]);
        assert_errors(text, expected);
    }
    assert_errors(EDGE("t", "handshake_timeout = 1s\n"),
                  "r.ini:4: \"handshake_timeout\" has no effect with accept_proxy = no, tls = no "
                  "and no \"sni\"\n");
    config_free(load(EDGE("t", "handshake_timeout = 1s\nsni = a.b h\n")));
    config_free(load(EDGE("t", "handshake_timeout = 1s\n" TLS)));
    /* Clients may ask for TLS, and are told here that there is none. */
    config_free(load(EDGE("p", "handshake_timeout = 1s\n") "tls = yes\ntls_verify = no\n"));
    config_free(load(EDGE("t", "handshake_timeout = 1s\naccept_proxy = yes\nallow = ::1\n")));
    config_free(load(BACKEND("tcp", "tls = yes\ntls_cert = /a.pem\ntls_key = /a.key\n"
                                    "tls_server_name = x\nsend_proxy = v1\n")));
    config_free(load(BACKEND("redis", "probe_tls = yes\ntls_cert = /a.pem\nsend_proxy = v2\n")));
}

/* The dump ---------------------------------------------------------------------------------- */

static void the_dump_says_it_all_and_is_a_configuration_again(void **state)
{
    struct config *c =
        load("[backend b]\nprotocol = redis\nserver = one 127.0.0.1:7001\ntls = yes\n"
             "send_proxy = v2\ntls_cert = /c.pem\ntls_key = /c.key\n"
             "[frontend g]\nbind = 127.0.0.1:7009\nbackend = b\n" EDGE(
                 "h", "accept_proxy = yes\nallow = 10.0.0.5\ntls = yes\ntls_cert = /a.pem\n"
                      "tls_cert = /b.pem\ntls_key = /a.key\ntls_key = /b.key\n"
                      "tls_client_ca = /ca.pem\ntls_min_version = 1.3\ntls_alpn = h2\n"
                      "sni = Hub.Example.com t\nsni = *.example.com r\n"));
    char *first = dump(c);
    (void)state;
    config_free(c);
    assert_has(first, "\ntls = yes ");
    assert_has(first, "\ntls_cert = /a.pem ");
    assert_has(first, "\ntls_cert = /b.pem ");
    assert_has(first, "\ntls_key = /b.key ");
    assert_has(first, "\ntls_client_ca = /ca.pem ");
    assert_has(first, "\ntls_min_version = 1.3 ");
    assert_has(first, "\ntls_alpn = h2 ");
    assert_has(first, "\nsni = hub.example.com t ");
    assert_has(first, "\nsni = *.example.com r ");
    assert_has(first, "\naccept_proxy = yes ");
    assert_has(first, "\nhandshake_timeout = 10s ");
    assert_has(first, "\nmax_handshakes = 1000 ");
    assert_has(first,
               "\nprobe_tls = auto                             ; default, here it means yes");
    assert_has(first, "\nsend_proxy = v2 ");
    assert_has(first, "; default, no effect with accept_proxy = no, tls = no and no \"sni\"\n");
    c = load(first);
    char *second = dump(c);
    config_free(c);
    assert_same(first, second);
    free(first);
    free(second);
}

static void the_dump_counts_sessions_that_names_bring(void **state)
{
    struct config *c = load(EDGE("t", "max_sessions = 5\nsni = a.b h\n"));
    char *text = dump(c);
    (void)state;
    assert_has(text, ";   t/one: 5 (max_sessions)");
    assert_has(text, ";   h/one: 5 (max_sessions)");
    assert_has(text, ";   r/one: 0 (no frontend uses it)");
    free(text);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_can_be_set),
        cmocka_unit_test(the_shortest_file_wants_nothing_of_clients),
        cmocka_unit_test(bad_values_are_told),
        cmocka_unit_test(a_protocol_name_of_alpn_has_255_bytes),
        cmocka_unit_test(a_name_below_a_wildcard_must_be_possible),
        cmocka_unit_test(tls_needs_certificates_and_a_key_for_each_or_none),
        cmocka_unit_test(tls_of_mysql_is_passed_on_as_it_is),
        cmocka_unit_test(tls_of_pgsql_can_begin_and_end_inside_the_protocol),
        cmocka_unit_test(names_are_for_clients_that_begin_with_a_hello),
        cmocka_unit_test(each_name_goes_to_its_backend_by_the_route_that_is_meant_there),
        cmocka_unit_test(names_are_there_once_and_their_backends_exist),
        cmocka_unit_test(there_may_be_ten_thousand_names_and_no_more),
        cmocka_unit_test(who_may_speak_for_others_must_be_said),
        cmocka_unit_test(probes_speak_tls_where_sessions_do_unless_told),
        cmocka_unit_test(a_socket_file_has_no_address_that_a_certificate_could_carry),
        cmocka_unit_test(an_option_without_an_effect_is_refused),
        cmocka_unit_test(the_dump_says_it_all_and_is_a_configuration_again),
        cmocka_unit_test(the_dump_counts_sessions_that_names_bring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
