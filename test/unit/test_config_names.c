/* Promise: a server, a Sentinel and what is discovered may be named, whatever the name means now;
 * two lines about the same thing are told; the dump shows names as they were written. */
#include "config_fixture.h"

#include "base/macros.h"

#define BACKEND(lines)                                                                             \
    "[frontend f]\nbind = 127.0.0.1:7000\nbackend = b\n[backend b]\nprotocol = redis\n" lines

static void a_server_may_have_a_name_that_is_not_looked_up_yet(void **state)
{
    (void)state;
    struct config *c = load(BACKEND("server = a No.Such.Name.example:6379 weight=2\n"
                                    "server = b 10.0.0.1:6379\nserver = c localhost:6379\n"));
    const struct server_config *s = c->backends[0].servers.items;
    assert_string_equal(s[0].host, "no.such.name.example");
    assert_string_equal(s[0].address_text, "No.Such.Name.example:6379");
    assert_int_equal(s[0].port, 6379);
    assert_int_equal(s[0].weight, 2);
    assert_false(address_is_set(&s[0].address));
    assert_null(s[1].host);
    assert_true(address_is_set(&s[1].address));
    assert_string_equal(s[2].host, "localhost");
    char *text = dump(c);
    assert_has(text, "\nserver = a No.Such.Name.example:6379 weight=2 ");
    struct config *again = load(text);
    char *same = dump(again);
    assert_same(text, same);
    free(same);
    free(text);
    config_free(again);
    config_free(c);
}

static void what_is_discovered_needs_no_server(void **state)
{
    (void)state;
    struct config *c = load(BACKEND("discover = redis-headless:6379\nserver_max_connections = 7\n"
                                    "discover = spare:6379 weight=3 server_max_connections=9 "
                                    "backup\n"));
    const struct backend_config *b = &c->backends[0];
    assert_int_equal(b->servers.count, 0);
    assert_int_equal(c->server_count, 0);
    assert_int_equal(b->discovers.count, 2);
    assert_string_equal(b->discovers.items[0].host, "redis-headless");
    assert_int_equal(b->discovers.items[0].max_connections, 7);
    assert_int_equal(b->discovers.items[1].max_connections, 9);
    assert_int_equal(b->discovers.items[1].weight, 3);
    assert_true(b->discovers.items[1].backup);
    char *text = dump(c);
    assert_has(text, "\ndiscover = spare:6379 weight=3 server_max_connections=9 backup ");
    assert_has(text, ";   b, each that redis-headless:6379 finds: 7 (server_max_connections)");
    struct config *again = load(text);
    char *same = dump(again);
    assert_same(text, same);
    free(same);
    free(text);
    config_free(again);
    config_free(c);
}

static void lines_about_the_same_are_told(void **state)
{
    static const struct mistake cases[] = {
        {BACKEND("server = a x.example:1\nserver = b X.example:1\n"),
         "r.ini:7: server \"b\" has the address of server \"a\" in line 6\n"},
        {BACKEND("discover = x.example:1\ndiscover = X.example:1\n"),
         "r.ini:7: X.example:1 is discovered twice\n"},
        {BACKEND("discover = 10.0.0.1:1\n"), "r.ini:6: bad value \"10.0.0.1:1\" for \"discover\": "
                                             "expected a name that is looked up; an "
                                             "address is a \"server\"\n"},
        {BACKEND("discover = x.example\n"),
         "r.ini:6: bad value \"x.example\" for \"discover\": expected host:port, [host]:port or "
         "unix:/path\n"},
        {BACKEND("discover = x.example:1 weight=0\n"),
         "r.ini:6: bad value \"weight=0\" for \"discover\": expected a number from 1 to 256\n"},
        {BACKEND("discover = x.example:1 wight=1\n"),
         "r.ini:6: bad value \"wight=1\" for \"discover\", did you mean \"weight\"?\n"},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
    config_free(load(BACKEND("server = a x.example:1\nserver = b x.example:2\n"
                             "discover = x.example:1\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_may_have_a_name_that_is_not_looked_up_yet),
        cmocka_unit_test(what_is_discovered_needs_no_server),
        cmocka_unit_test(lines_about_the_same_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
