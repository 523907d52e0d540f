/* One configuration after another: positions that stay, what is gone, what comes back. */
#include "model/config_follow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define IDS_MAX 64

/* Who is used, by what a test says. */
struct use {
    bool frontends[IDS_MAX];
    bool backends[IDS_MAX];
    bool servers[IDS_MAX];
};

static struct use use;

static bool frontend_used(const void *context, size_t i)
{
    return ((const struct use *)context)->frontends[i];
}

static bool backend_used(const void *context, size_t i)
{
    return ((const struct use *)context)->backends[i];
}

static bool server_used(const void *context, size_t id)
{
    return ((const struct use *)context)->servers[id];
}

static const struct config_usage usage = {frontend_used, backend_used, server_used, &use};

static struct config *load(const char *text)
{
    struct config *c;
    struct text errors = {0};
    if (config_load_text("test.ini", text, strlen(text), &c, &errors) != 0) {
        fail_msg("%s", errors.data);
    }
    text_free(&errors);
    return c;
}

/* `text` follows `*running`, which it replaces. */
static void follow(struct config **running, const char *text)
{
    struct config *next = load(text);
    config_follow(next, *running, &usage);
    config_free(*running);
    *running = next;
}

static const struct server_config *server(const struct config *c, size_t backend, size_t i)
{
    assert_true(backend < c->backend_count);
    assert_true(i < c->backends[backend].servers.count);
    return &c->backends[backend].servers.items[i];
}

static void assert_server(const struct config *c, size_t backend, size_t i, const char *name,
                          size_t id, bool gone)
{
    const struct server_config *s = server(c, backend, i);
    assert_string_equal(s->name, name);
    assert_int_equal(s->id, id);
    assert_int_equal(s->gone, gone);
    assert_true(s->id < c->server_count);
}

#define F(name, port, backend)                                                                     \
    "[frontend " name "]\nbind = 127.0.0.1:" port "\nbackend = " backend "\n"
#define B(name, servers) "[backend " name "]\nprotocol = tcp\n" servers
#define S(name, port)    "server = " name " 10.0.0.1:" port "\n"

static int begin(void **state)
{
    (void)state;
    use = (struct use){0};
    return 0;
}

static void the_order_in_the_file_does_not_move_anything(void **state)
{
    (void)state;
    struct config *c =
        load(F("f", "1", "a") F("g", "2", "b") B("a", S("x", "1") S("y", "2")) B("b", S("z", "3")));
    follow(&c,
           B("b", S("z", "3")) B("a", S("y", "2") S("x", "1")) F("g", "2", "b") F("f", "1", "a"));
    assert_string_equal(c->frontends[0].name, "f");
    assert_string_equal(c->frontends[1].name, "g");
    assert_int_equal(c->frontends[0].backend, 0);
    assert_int_equal(c->frontends[1].backend, 1);
    assert_int_equal(c->backends[1].index, 1);
    assert_server(c, 0, 0, "x", 0, false);
    assert_server(c, 0, 1, "y", 1, false);
    assert_server(c, 1, 0, "z", 2, false);
    assert_int_equal(server(c, 0, 0)->rank, 1); /* but the file's order is known */
    assert_int_equal(server(c, 0, 1)->rank, 0);
    assert_int_equal(c->server_count, 3);
    config_free(c);
}

static void what_is_removed_stays_as_gone_while_it_is_used(void **state)
{
    (void)state;
    struct config *c =
        load(F("f", "1", "a") F("g", "2", "b") B("a", S("x", "1") S("y", "2")) B("b", S("z", "3")));
    use.servers[1] = use.servers[2] = use.backends[1] = use.frontends[1] = true;
    for (int i = 0; i < 3; i++) {
        follow(&c, F("f", "1", "a") B("a", S("x", "1")));
        assert_int_equal(c->frontend_count, 2);
        assert_true(c->frontends[1].gone && c->backends[1].gone);
        assert_string_equal(c->frontends[1].name, "g");
        assert_string_equal(c->backends[1].name, "b");
        assert_int_equal(c->frontends[1].backend, 1);
        assert_server(c, 0, 1, "y", 1, true);
        assert_string_equal(server(c, 1, 0)->name, "z");
    }
    config_free(c);
}

static void what_comes_back_is_the_same_again(void **state)
{
    (void)state;
    struct config *c = load(F("f", "1", "a") B("a", S("x", "1") S("y", "2")));
    use.servers[0] = true;
    follow(&c, F("f", "1", "a") B("a", S("y", "2")));
    assert_server(c, 0, 0, "x", 0, true);
    follow(&c, F("f", "1", "a") B("a", S("y", "2") S("x", "1")));
    assert_server(c, 0, 0, "x", 0, false);
    assert_server(c, 0, 1, "y", 1, false);
    assert_int_equal(c->backends[0].servers.count, 2);
    config_free(c);
}

static void who_comes_back_keeps_its_place_beside_who_is_new(void **state)
{
    (void)state;
    struct config *c =
        load(F("f", "1", "a") F("g", "2", "b") B("a", S("x", "1") S("y", "2")) B("b", S("z", "3")));
    follow(&c, F("f", "1", "a") B("a", S("x", "1")));
    follow(&c, F("new", "3", "n") F("g", "2", "b") F("f", "1", "a") B("n", S("m", "4"))
                   B("a", S("new", "5") S("x", "1") S("y", "2")) B("b", S("z", "3")));
    assert_int_equal(c->frontend_count, 3);
    assert_string_equal(c->frontends[1].name, "g");
    assert_string_equal(c->frontends[2].name, "new");
    assert_int_equal(c->backend_count, 3);
    assert_string_equal(c->backends[1].name, "b");
    assert_string_equal(c->backends[2].name, "n");
    assert_int_equal(c->backends[0].servers.count, 3);
    assert_server(c, 0, 0, "x", 0, false);
    assert_server(c, 0, 1, "y", 1, false);
    assert_string_equal(server(c, 0, 2)->name, "new");
    config_free(c);
}

static void another_address_is_another_server(void **state)
{
    (void)state;
    struct config *c = load(F("f", "1", "a") B("a", S("x", "1")));
    use.servers[0] = true;
    follow(&c, F("f", "1", "a") B("a", S("x", "9")));
    assert_server(c, 0, 0, "x", 0, true);
    assert_server(c, 0, 1, "x", 1, false);
    config_free(c);
}

static void another_protocol_is_another_backend(void **state)
{
    (void)state;
    struct config *c = load(F("f", "1", "a") B("a", S("x", "1")));
    use.backends[0] = true;
    follow(&c, F("f", "1", "a") "[backend a]\nprotocol = redis\n" S("x", "1"));
    assert_int_equal(c->backend_count, 2);
    assert_true(c->backends[0].gone);
    assert_int_equal(c->frontends[0].backend, 1);
    assert_server(c, 1, 0, "x", 1, false);
    config_free(c);
}

/* Not at once: somebody may still be on the way there. */
static void places_that_nobody_uses_any_more_are_given_away(void **state)
{
    (void)state;
    struct config *c = load(F("f", "1", "a") B("a", S("x", "1") S("y", "2")));
    follow(&c, F("f", "1", "a") B("a", S("x", "1") S("z", "3")));
    assert_server(c, 0, 1, "y", 1, true);
    assert_server(c, 0, 2, "z", 2, false);
    for (int i = 0; i < 50; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 F("f%d", "1", "b%d") "[backend b%d]\nprotocol = tcp\nserver = s%d 10.0.0.1:1\n", i,
                 i, i, i);
        follow(&c, text);
    }
    assert_true(c->frontend_count <= 3);
    assert_true(c->backend_count <= 3);
    assert_true(c->server_count <= 6);
    config_free(c);
}

static void a_place_whose_frontend_may_still_lead_there_is_kept(void **state)
{
    (void)state;
    struct config *c =
        load(F("f", "1", "a") F("g", "2", "b") B("a", S("x", "1")) B("b", S("y", "2")));
    use.frontends[1] = true; /* somebody is at its edge */
    follow(&c, F("f", "1", "a") B("a", S("x", "1")));
    follow(&c, F("f", "1", "a") F("h", "3", "n") B("a", S("x", "1")) B("n", S("q", "4")));
    assert_string_equal(c->backends[1].name, "b");
    assert_true(c->backends[1].gone);
    assert_int_equal(c->frontends[2].backend, 2);
    use.frontends[1] = false;
    follow(&c, F("f", "1", "a") F("k", "3", "m") B("a", S("x", "1")) B("m", S("q", "4")));
    assert_string_equal(c->frontends[1].name, "k");
    assert_string_equal(c->backends[1].name, "m");
    assert_int_equal(c->frontends[1].backend, 1);
    config_free(c);
}

static void names_lead_where_they_led(void **state)
{
    (void)state;
    struct config *c =
        load(F("f", "1", "a") "sni = h.example b\n" B("a", S("x", "1")) B("b", S("y", "2")));
    follow(&c, B("b", S("y", "2")) B("n", S("z", "3")) B("a", S("x", "1"))
                   F("f", "1", "a") "sni = h.example b\nsni = i.example n\n");
    assert_int_equal(c->frontends[0].backend, 0);
    assert_int_equal(c->frontends[0].sni.items[0].backend, 1);
    assert_int_equal(c->frontends[0].sni.items[1].backend, 2);
    assert_string_equal(c->backends[2].name, "n");
    config_free(c);
}

static void what_is_derived_can_be_edited_and_lives_by_itself(void **state)
{
    (void)state;
    struct config *first =
        load("[router]\nworkers = 3\n" F("f", "1", "a") B("a", S("x", "1") S("y", "2")));
    struct config *c = config_derive(first);
    struct address at;
    assert_int_equal(address_parse(&at, "10.0.0.7:7"), 0);
    c->backends[0].servers.items[0].weight = 7;
    config_set_address(&c->backends[0].servers.items[1], &at, "10.0.0.7:7");
    config_add_server(&c->backends[0], "z", &at, "10.0.0.7:7");
    config_follow(c, first, &usage);
    assert_int_equal(first->backends[0].servers.items[0].weight, 1);
    config_free(first);
    assert_int_equal(c->router.workers, 3);
    assert_int_equal(server(c, 0, 0)->weight, 7);
    assert_server(c, 0, 1, "y", 1, true);
    assert_string_equal(server(c, 0, 1)->address_text, "10.0.0.1:2");
    assert_server(c, 0, 2, "y", 2, false);
    assert_string_equal(server(c, 0, 2)->address_text, "10.0.0.7:7");
    assert_server(c, 0, 3, "z", 3, false);
    struct config *next = config_derive(c);
    config_remove_server(&next->backends[0], 3);
    config_follow(next, c, &usage);
    config_free(c);
    assert_server(next, 0, 3, "z", 3, true);
    config_free(next);
}

/* The pool's size bounds whatever an operator says, for as long as there is a pool. */
static void caps_follow_the_pool_of_mysql(void **state)
{
    (void)state;
    const char *pooled = F("f", "1", "a") "pool_mode = session\n[backend a]\nprotocol = mysql\n"
                                          "probe_user = u\npool_size = 5\n" S("x", "1");
    struct config *c = load(pooled);
    assert_int_equal(server(c, 0, 0)->max_connections, 5);
    struct config *next = config_derive(c);
    next->backends[0].servers.items[0].said_max_connections = 3;
    struct address at;
    assert_int_equal(address_parse(&at, "10.0.0.7:7"), 0);
    config_add_server(&next->backends[0], "z", &at, "10.0.0.7:7");
    config_follow(next, c, &usage);
    assert_int_equal(server(next, 0, 0)->max_connections, 3);
    assert_int_equal(server(next, 0, 1)->max_connections, 5);
    config_free(c);
    c = config_derive(next);
    c->backends[0].servers.items[0].said_max_connections = 0;
    config_follow(c, next, &usage);
    assert_int_equal(server(c, 0, 0)->max_connections, 5);
    config_free(next);
    follow(&c, F("f", "1", "a") "[backend a]\nprotocol = mysql\nprobe_user = u\n" S("x", "1"));
    assert_int_equal(server(c, 0, 0)->max_connections, 0);
    config_free(c);
}

/* Each generation holds the memory of those that it shares, and no more of them. */
static void a_thousand_changes_keep_no_more_than_is_used(void **state)
{
    (void)state;
    struct config *c = load(F("f", "1", "a") B("a", S("x", "1") S("y", "2")));
    use.servers[0] = use.servers[1] = true;
    for (int i = 0; i < 1000; i++) {
        if (i % 2 == 0) {
            follow(&c, F("f", "1", "a") B("a", S("z", "3")));
        } else {
            struct config *next = config_derive(c);
            config_follow(next, c, &usage);
            config_free(c);
            c = next;
        }
    }
    /* What the names belong to is the first one. The last one, and the one that it was derived
     * from, hold a reference for each. */
    assert_true(server(c, 0, 0)->owner == server(c, 0, 1)->owner);
    assert_int_equal(server(c, 0, 0)->owner->references, 4);
    config_free(c);
}

static void what_a_reload_cannot_change_is_named(void **state)
{
    (void)state;
    struct config *a = load("[router]\nworkers = 2\n" F("f", "1", "a") B("a", S("x", "1")));
    struct config *b = load("[router]\nworkers = 2\n" F("f", "1", "a") B("a", S("x", "2")));
    struct config *c = load("[router]\nworkers = 3\n" F("f", "1", "a")
                                B("a", S("x", "1")) "probe_interval = 3s\n");
    assert_null(config_changed_start(a, b));
    assert_string_equal(config_changed_start(a, c), "workers");
    assert_null(config_changed_probes(a, b, 0));
    assert_string_equal(config_changed_probes(a, c, 0), "probe_interval");
    config_free(a);
    config_free(b);
    config_free(c);
}

static void a_secret_that_changes_is_noticed(void **state)
{
    (void)state;
    static const char text[] =
        F("f", "1", "a") "[backend a]\nprotocol = redis\n" S("x", "1") "probe_password = %s\n";
    char one[256];
    char two[256];
    snprintf(one, sizeof one, text, "old");
    snprintf(two, sizeof two, text, "new");
    struct config *a = load(one);
    struct config *b = load(two);
    assert_null(config_changed_probes(a, a, 0));
    assert_string_equal(config_changed_probes(a, b, 0), "probe_password");
    config_free(a);
    config_free(b);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_order_in_the_file_does_not_move_anything),
        TEST(what_is_removed_stays_as_gone_while_it_is_used),
        TEST(what_comes_back_is_the_same_again),
        TEST(who_comes_back_keeps_its_place_beside_who_is_new),
        TEST(another_address_is_another_server),
        TEST(another_protocol_is_another_backend),
        TEST(places_that_nobody_uses_any_more_are_given_away),
        TEST(a_place_whose_frontend_may_still_lead_there_is_kept),
        TEST(names_lead_where_they_led),
        TEST(what_is_derived_can_be_edited_and_lives_by_itself),
        TEST(caps_follow_the_pool_of_mysql),
        TEST(a_thousand_changes_keep_no_more_than_is_used),
        TEST(what_a_reload_cannot_change_is_named),
        TEST(a_secret_that_changes_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
