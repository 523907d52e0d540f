/* Promise: a pool mode stands only where the router can keep it; options of pools that would have
 * no effect are refused; route = split is told what it needs; and the dump counts pooled
 * connections. */
#include "config_fixture.h"

#include "base/macros.h"
#include "model/config_internal.h"

#define NO_POOL "pool_mode = none in all of its frontends"
#define OTHER(protocol, lines)                                                                     \
    "[backend o]\nprotocol = " protocol "\nserver = one 127.0.0.1:7009\n" lines
#define TLS "tls = yes\ntls_cert = /etc/router/hub.pem\n"

static void pools_are_off_unless_they_are_asked_for(void **state)
{
    struct config *c = load(SHORTEST);
    (void)state;
    assert_int_equal(c->frontends[0].pool_mode, POOL_NONE);
    assert_int_equal(c->frontends[0].read_your_writes.ms, 1000);
    assert_false(c->frontends[0].read_your_writes.offset);
    assert_int_equal(c->backends[0].pool_size, 0);
    assert_int_equal(c->backends[0].pool_min_idle, 0);
    assert_int_equal(c->backends[0].pool_idle_timeout, 60000);
    assert_int_equal(c->backends[0].pool_max_age, 3600000);
    config_free(c);
}

static void every_value_is_read(void **state)
{
    struct config *c =
        load(FILE_WITH("pool_mode = session\n", "pool_size = 7\npool_min_idle = 3\n"
                                                "pool_idle_timeout = 2s\npool_max_age = 5m\n"));
    (void)state;
    assert_int_equal(c->frontends[0].pool_mode, POOL_SESSION);
    assert_int_equal(c->backends[0].pool_size, 7);
    assert_int_equal(c->backends[0].pool_min_idle, 3);
    assert_int_equal(c->backends[0].pool_idle_timeout, 2000);
    assert_int_equal(c->backends[0].pool_max_age, 300000);
    config_free(c);
    c = load(FILE_WITH("pool_mode = transaction\nroute = split\nfallback = none\n"
                       "read_your_writes = 250ms\n",
                       "max_lag = 10s\n"));
    assert_int_equal(c->frontends[0].pool_mode, POOL_TRANSACTION);
    assert_int_equal(c->frontends[0].route, ROUTE_SPLIT);
    assert_int_equal(config_way(&c->frontends[0], 0).route, ROUTE_SPLIT);
    assert_int_equal(c->frontends[0].read_your_writes.ms, 250);
    assert_int_equal(c->frontends[0].fallback, FALLBACK_NONE);
    config_free(c);
    c = load(FILE_WITH("pool_mode = transaction\nroute = split\nread_your_writes = offset\n", ""));
    assert_true(c->frontends[0].read_your_writes.offset);
    assert_int_equal(c->frontends[0].read_your_writes.ms, 0);
    config_free(c);
}

static void bad_values_come_with_what_is_expected(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("pool_mode = statement\n", ""),
         "r.ini:4: bad value \"statement\" for \"pool_mode\": expected none, session or "
         "transaction\n"},
        {FILE_WITH("pool_mode = transaction\nroute = split\nread_your_writes = always\n", ""),
         "r.ini:6: bad value \"always\" for \"read_your_writes\": expected a duration from 0s to "
         "1h (like 250ms, 5s), or offset\n"},
        {FILE_WITH("pool_mode = session\n", "pool_size = 0\n"),
         "r.ini:8: bad value \"0\" for \"pool_size\": expected a number from 1 to 10000000, or "
         "auto\n"},
        {FILE_WITH("pool_mode = session\n", "pool_size = 4\npool_min_idle = 5\n"),
         "r.ini:9: pool_min_idle = 5 is more than pool_size = 4 (line 8)\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    config_free(load(FILE_WITH("pool_mode = session\n", "pool_size = 4\npool_min_idle = 4\n")));
    config_free(load(FILE_WITH("pool_mode = session\n", "pool_min_idle = 5\n")));
}

static void options_of_pools_need_one(void **state)
{
    static const char *const keys[] = {"pool_size", "pool_min_idle", "pool_idle_timeout",
                                       "pool_max_age"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char text[512];
        char expected[256];
        snprintf(expected, sizeof(expected), "r.ini:7: \"%s\" has no effect with " NO_POOL "\n",
                 keys[i]);
        snprintf(text, sizeof(text), FILE_WITH("", "%s = %s\n"), keys[i], i < 2 ? "1" : "1s");
        assert_errors(text, expected);
        /* One frontend of several does, not one of another backend. */
        snprintf(
            text, sizeof(text),
            FILE_WITH("[frontend g]\nbind = :1\nbackend = b\npool_mode = session\n", "%s = %s\n"),
            keys[i], i < 2 ? "1" : "1s");
        config_free(load(text));
    }
    assert_errors(FILE_WITH("", "pool_size = 1\n[frontend g]\nbind = :1\nbackend = o\n"
                                "pool_mode = session\n" OTHER("redis", "pool_size = 2\n")),
                  "r.ini:7: \"pool_size\" has no effect with " NO_POOL "\n");
    /* A name that leads there is as good as a frontend's own backend. */
    config_free(load(
        FILE_WITH(TLS "pool_mode = session\nsni = a.b o\n", OTHER("redis", "pool_size = 2\n"))));
}

/* Whoever mistyped something else is not told that what he wrote has no effect. */
static void one_mistake_is_one_message(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("pool_mode = sesion\n", "pool_size = 1\n"),
         "r.ini:4: bad value \"sesion\" for \"pool_mode\", did you mean \"session\"?\n"},
        {"[frontend f]\nbind = :1\nbackend = bb\npool_mode = session\n"
         "[backend b]\nprotocol = redis\nserver = a 10.0.0.1:1\npool_size = 1\n",
         "r.ini:3: there is no [backend bb]\n"},
        {FILE_WITH("pool_mode = transaction\nroute = spilt\nread_your_writes = 1s\n", ""),
         "r.ini:5: bad value \"spilt\" for \"route\", did you mean \"split\"?\n"},
        {FILE_WITH("pool_mode = tansaction\nroute = split\n", ""),
         "r.ini:4: bad value \"tansaction\" for \"pool_mode\", did you mean \"transaction\"?\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

static void a_split_route_needs_a_pool_and_roles(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("route = split\n", ""),
         "r.ini:4: route = split needs \"pool_mode = transaction\", and here it is none\n"},
        {FILE_WITH("pool_mode = session\nroute = split\n", ""),
         "r.ini:5: route = split needs \"pool_mode = transaction\", and here it is session\n"},
        {FILE_WITH("pool_mode = transaction\nroute = split\n", "probe = connect\n"),
         "r.ini:5: route = split needs roles, and with probe = connect nobody asks [backend b] for "
         "them: write \"probe = auto\" there, or \"route = any\" here\n"},
        {FILE_WITH("read_your_writes = 1s\n", ""),
         "r.ini:4: \"read_your_writes\" has no effect with route = primary\n"},
        {FILE_WITH("pool_mode = transaction\nroute = replica\nread_your_writes = 1s\n", ""),
         "r.ini:6: \"read_your_writes\" has no effect with route = replica\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    for (enum route route = ROUTE_AUTO; route < ROUTE_SPLIT; route++) {
        char text[256];
        snprintf(text, sizeof(text), FILE_WITH("pool_mode = transaction\nroute = %s\n", ""),
                 config_route_words[route]);
        config_free(load(text));
    }
}

static void a_pool_needs_a_protocol_that_can_be_read(void **state)
{
    static const char *const protocols[] = {"tcp", "http", "pgsql"};
    static const char *const modes[] = {"session", "transaction"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(protocols) * ARRAY_LEN(modes); i++) {
        const char *protocol = protocols[i / 2];
        char text[512];
        char expected[256];
        snprintf(text, sizeof(text),
                 "[frontend f]\nbind = :1\nbackend = o\nroute = any\npool_mode = %s\n" OTHER(
                     "%s", "probe = connect\n"),
                 modes[i % 2], protocol);
        snprintf(expected, sizeof(expected),
                 "r.ini:5: pool_mode = %s needs protocol = redis or mysql, and [backend o] has "
                 "protocol = %s: write \"pool_mode = none\"\n",
                 modes[i % 2], protocol);
        assert_errors(text, expected);
    }
    assert_errors(
        FILE_WITH(TLS "pool_mode = session\nsni = a.b o\nsni = c.d o\n", OTHER("http", "")),
        "r.ini:6: pool_mode = session needs protocol = redis or mysql, and [backend o] has "
        "protocol = http: write \"pool_mode = none\"\n");
    /* A backend that the frontend does not lead to is none of its business. */
    config_free(load(FILE_WITH("pool_mode = session\n", OTHER("http", ""))));
}

static void a_pooled_connection_is_not_one_clients(void **state)
{
    static const struct mistake cases[] = {
        {FILE_WITH("pool_mode = session\n", "send_proxy = v2\n"),
         "r.ini:4: pool_mode = session is not possible with \"send_proxy\" of [backend b]: a "
         "pooled connection is not one client's\n"},
        {FILE_WITH("pool_mode = transaction\n", "send_proxy = v1\n"),
         "r.ini:4: pool_mode = transaction is not possible with \"send_proxy\" of [backend b]: a "
         "pooled connection is not one client's\n"},
        /* TLS that passes through cannot be read. */
        {FILE_WITH("pool_mode = session\nsni = a.b b\n", ""),
         "r.ini:4: pool_mode = session needs \"tls = yes\" where there is \"sni\": the router must "
         "be able to read what clients say\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    config_free(load(FILE_WITH("", "send_proxy = v2\n")));
    config_free(load(FILE_WITH("pool_mode = session\naccept_proxy = yes\nallow = 10.0.0.1\n", "")));
}

#define ASKED "probe_user = router\n"
#define MYSQL(frontend, backend)                                                                   \
    "[frontend f]\nbind = :1\nbackend = m\n" frontend                                              \
    "[backend m]\nprotocol = mysql\nserver = one 127.0.0.1:7009\n" backend

/* Its clients are greeted with what the probe has read. */
static void a_pool_of_mysql_needs_its_probe(void **state)
{
    static const struct mistake cases[] = {
        {MYSQL("pool_mode = session\nroute = any\n", "probe = connect\n"),
         "r.ini:4: pool_mode = session needs \"probe = auto\" of [backend m]: the router greets "
         "clients with what the probe has read\n"},
        {MYSQL("pool_mode = transaction\nroute = any\n", "probe = off\n"),
         "r.ini:4: pool_mode = transaction needs \"probe = auto\" of [backend m]: the router "
         "greets clients with what the probe has read\n"},
        {MYSQL("pool_mode = session\nroute = any\n", "http_check = GET /\n"),
         "r.ini:4: pool_mode = session needs \"probe = auto\" without \"http_check\" of [backend "
         "m]: the router greets clients with what the probe has read\n"},
        {MYSQL("pool_mode = session\nroute = any\n", "probe = of\n" ASKED),
         "r.ini:9: bad value \"of\" for \"probe\", did you mean \"off\"?\n"},
        {MYSQL("pool_mode = transaction\nroute = split\n", ASKED),
         "r.ini:5: route = split needs protocol = redis, and [backend m] has protocol = mysql: "
         "only of Redis' commands does the router know which ones read\n"},
        {MYSQL("pool_mode = session\n", "send_proxy = v2\n" ASKED),
         "r.ini:4: pool_mode = session is not possible with \"send_proxy\" of [backend m]: a "
         "pooled connection is not one client's\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    config_free(load(MYSQL("pool_mode = session\n", ASKED)));
    config_free(load(MYSQL("pool_mode = transaction\nroute = replica\n", ASKED)));
    config_free(load(MYSQL("route = any\n", "probe = connect\n")));
}

/* Without a pool the router does not read what MySQL's clients say: their TLS is the server's. */
static void tls_of_mysql_needs_a_pool(void **state)
{
    static const struct mistake cases[] = {
        {MYSQL("pool_mode = session\n[frontend g]\nbind = :2\nbackend = m\n", "tls = yes\n" ASKED),
         "r.ini:11: tls = yes with protocol = mysql needs a \"pool_mode\" in each frontend of the "
         "backend, and [frontend g] has pool_mode = none: there TLS is between client and server, "
         "and passed on as it is (probe_tls is for the probes)\n"},
        {MYSQL("pool_mode = session\ntls = required\n", ASKED),
         "r.ini:5: \"tls\" needs \"tls_cert\", for example: tls_cert = /etc/router/hub.pem\n"},
        {MYSQL("pool_mode = sesion\n" TLS, "tls = yes\n" ASKED),
         "r.ini:4: bad value \"sesion\" for \"pool_mode\", did you mean \"session\"?\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    config_free(load(MYSQL("pool_mode = session\n" TLS, ASKED)));
    config_free(load(MYSQL("pool_mode = session\n", "tls = yes\n" ASKED)));
    struct config *c = load(MYSQL("pool_mode = transaction\ntls = required\n"
                                  "tls_cert = /etc/router/hub.pem\n",
                                  "tls = yes\n" ASKED));
    assert_int_equal(c->backends[0].probe_tls, PROBE_TLS_YES);
    config_free(c);
}

/* What is lent is all that there is, and so the size of the pool is the cap of the server. */
static void the_size_of_a_pool_of_mysql_caps_each_server(void **state)
{
    static const struct {
        const char *mode;
        const char *backend;
        unsigned caps[2];
        const char *most; /* of the first one */
    } cases[] = {
        {"session", "", {0, 7}, "no limit (pool_size = auto, server_max_connections = none)"},
        {"session", "server_max_connections = 20\n", {20, 7}, "20 (server_max_connections)"},
        {"session", "pool_size = 5\n", {5, 5}, "5 (pool_size)"},
        {"transaction", "pool_size = 9\n", {9, 7}, "9 (pool_size)"},
        {"transaction",
         "pool_size = 9\nserver_max_connections = 8\n",
         {8, 7},
         "8 (server_max_connections)"},
        {"session",
         "pool_size = auto\nserver_max_connections = 8\n",
         {8, 7},
         "8 (server_max_connections)"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[512];
        char line[256];
        snprintf(text, sizeof(text),
                 MYSQL("pool_mode = %s\n",
                       "server = two 127.0.0.1:7010 server_max_connections=7\n" ASKED "%s"),
                 cases[i].mode, cases[i].backend);
        struct config *c = load(text);
        char *first = dump(c);
        const struct server_config *s = c->backends[0].servers.items;
        assert_int_equal(s[0].max_connections, cases[i].caps[0]);
        assert_int_equal(s[1].max_connections, cases[i].caps[1]);
        snprintf(line, sizeof(line), "\n;   m/one: %s, and 1 for the probe\n", cases[i].most);
        assert_has(first, line);
        assert_has(first, "\nserver = one 127.0.0.1:7009   ");
        assert_has(first, "\nserver = two 127.0.0.1:7010 server_max_connections=7 ");
        config_free(c);
        c = load(first);
        char *second = dump(c);
        assert_same(first, second);
        config_free(c);
        free(first);
        free(second);
    }
    /* Redis' links that one client has for itself come on top of its pool. */
    struct config *c = load(FILE_WITH("pool_mode = session\n", "pool_size = 5\n"));
    assert_int_equal(c->backends[0].servers.items[0].max_connections, 0);
    config_free(c);
}

static void the_dump_is_a_configuration_that_says_the_same(void **state)
{
    struct config *c = load(FILE_WITH("pool_mode = transaction\nroute = split\n"
                                      "read_your_writes = offset\n",
                                      "pool_size = 9\npool_idle_timeout = 90s\n"));
    char *first = dump(c);
    config_free(c);
    c = load(first);
    char *second = dump(c);
    config_free(c);
    (void)state;
    assert_has(first, "\nroute = split    ");
    assert_has(first, "\npool_mode = transaction    ");
    assert_has(first, "\nread_your_writes = offset    ");
    assert_has(first, "\npool_size = 9    ");
    assert_has(first, "\npool_idle_timeout = 90s    ");
    assert_same(first, second);
    free(first);
    free(second);
    c = load(SHORTEST);
    first = dump(c);
    assert_has(first, "\npool_mode = none    ");
    assert_has(first, "\n; read_your_writes = 1s ");
    assert_has(first, "\n; pool_size = auto ");
    free(first);
    config_free(c);
}

static void check_connections(const char *frontend, const char *backend, const char *words)
{
    char text[512];
    char line[256];
    snprintf(text, sizeof(text), FILE_WITH("%s", "probe = off\n%s"), frontend, backend);
    snprintf(line, sizeof(line), "\n;   b/one: %s\n", words);
    struct config *c = load(text);
    char *shown = dump(c);
    assert_has(shown, line);
    free(shown);
    config_free(c);
}

#define ANY                "route = any\n"
#define AND_ONE_OF_NO_POOL "[frontend g]\nbind = :1\nbackend = b\nroute = any\n"

static void the_dump_counts_connections_lent_for_a_stay(void **state)
{
    (void)state;
    check_connections(ANY "pool_mode = session\n", "pool_size = 9\n", "9 (pool_size)");
    check_connections(ANY "pool_mode = session\nmax_sessions = 5\n", "",
                      "no limit (pool_size = auto, server_max_connections = none)");
    check_connections(ANY "pool_mode = session\n", "server_max_connections = 8\n",
                      "8 (server_max_connections)");
    check_connections(ANY "pool_mode = session\n", "server_max_connections = 8\npool_size = 9\n",
                      "8 (server_max_connections)");
    check_connections(ANY "pool_mode = session\n", "server_max_connections = 10\npool_size = 9\n",
                      "9 (pool_size)");
    check_connections(ANY "pool_mode = session\n" AND_ONE_OF_NO_POOL "max_sessions = 5\n",
                      "pool_size = 9\n", "14 (max_sessions and pool_size)");
    check_connections(ANY "pool_mode = session\n" AND_ONE_OF_NO_POOL, "pool_size = 9\n",
                      "no limit but the router's own (max_sessions = auto)");
}

static void the_dump_counts_connections_that_are_shared(void **state)
{
    (void)state;
    check_connections(ANY "pool_mode = transaction\nmax_sessions = 5\n", "",
                      "no limit (pool_mode = transaction, server_max_connections = none), of them "
                      "shared 2 for each worker and identity (pool_size = auto)");
    check_connections(ANY "pool_mode = transaction\n", "pool_size = 9\n",
                      "no limit (pool_mode = transaction, server_max_connections = none), of them "
                      "shared 9 (pool_size), or 1 for each worker and identity");
    check_connections(ANY "pool_mode = transaction\n",
                      "pool_size = 9\n"
                      "server_max_connections = 20\n",
                      "20 (server_max_connections), of them shared 9 (pool_size), or 1 for each "
                      "worker and identity");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_are_off_unless_they_are_asked_for),
        cmocka_unit_test(every_value_is_read),
        cmocka_unit_test(bad_values_come_with_what_is_expected),
        cmocka_unit_test(options_of_pools_need_one),
        cmocka_unit_test(one_mistake_is_one_message),
        cmocka_unit_test(a_split_route_needs_a_pool_and_roles),
        cmocka_unit_test(a_pool_needs_a_protocol_that_can_be_read),
        cmocka_unit_test(a_pooled_connection_is_not_one_clients),
        cmocka_unit_test(a_pool_of_mysql_needs_its_probe),
        cmocka_unit_test(tls_of_mysql_needs_a_pool),
        cmocka_unit_test(the_size_of_a_pool_of_mysql_caps_each_server),
        cmocka_unit_test(the_dump_is_a_configuration_that_says_the_same),
        cmocka_unit_test(the_dump_counts_connections_lent_for_a_stay),
        cmocka_unit_test(the_dump_counts_connections_that_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
