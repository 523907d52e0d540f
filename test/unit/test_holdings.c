/* What an old process holds is counted, told, and counted by the new one as its own, until it is
 * let go of; no server gets more than its cap from both. */
#include "ctl/holdings.h"
#include "model/route.h"
#include "stats_world.h"

#define ROOM(server) (atomic_load(&(server)->bound) - 1) /* of which nothing is not a number */

static struct shared_server *server(struct world *w, size_t id)
{
    return w->control.shared->servers[id];
}

static void what_is_held_is_told_once(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    struct holdings *h = holdings_new(c);
    atomic_store(&c->shared->router->sessions, 5);
    atomic_store(&c->shared->frontends[1]->sessions, 3);
    atomic_store(&c->shared->backends[1]->users, 3);
    atomic_store(&server(w, 2)->connections, 2);
    assert_true(holdings_look(h, c));
    holdings_print(h, c, &w->out);
    assert_says(w->out.data, "router 5\n");
    assert_says(w->out.data, "frontend hub 3\n");
    assert_says(w->out.data, "server hubs t0 10.0.0.1:1 3\n"); /* two, and who waits for one */
    assert_null(strstr(w->out.data, "frontend write"));
    assert_false(holdings_look(h, c));
    size_t told = w->out.len;
    holdings_print(h, c, &w->out);
    assert_int_equal(w->out.len, told);
    holdings_free(h);
}

static void a_server_gets_no_more_than_there_is_need_for(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    struct shared_server *s = server(w, 2);
    struct holdings *h = holdings_new(c);
    w->servers[2].max_connections = 4;
    atomic_store(&c->shared->backends[1]->users, 9);
    atomic_store(&s->connections, 4);
    holdings_look(h, c);
    assert_int_equal(ROOM(s), 4); /* the cap, however many wait */
    atomic_store(&c->shared->backends[1]->users, 3);
    atomic_store(&s->connections, 2);
    holdings_look(h, c);
    assert_int_equal(ROOM(s), 3);
    atomic_store(&c->shared->backends[1]->users, 9);
    holdings_look(h, c);
    assert_int_equal(ROOM(s), 3); /* what was given away is not taken back */
    atomic_store(&c->shared->backends[1]->users, 0);
    atomic_store(&s->connections, 0);
    holdings_look(h, c);
    assert_int_equal(ROOM(s), 0);
    holdings_free(h);
}

static void lines_count_as_our_own(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    struct holdings *h = holdings_new(c);
    atomic_store(&c->shared->router->sessions, 1);
    holdings_take(h, c, "router 7");
    assert_int_equal(atomic_load(&c->shared->router->sessions), 8);
    holdings_take(h, c, "router 9");
    assert_int_equal(atomic_load(&c->shared->router->sessions), 10);
    holdings_take(h, c, "frontend hub 4");
    assert_int_equal(atomic_load(&c->shared->frontends[1]->sessions), 4);
    holdings_take(h, c, "server redis r0 10.0.0.1:1 6");
    assert_int_equal(atomic_load(&server(w, 0)->connections), 6);
    holdings_take(h, c, "server hubs t0 10.0.0.1:1 2");
    assert_int_equal(atomic_load(&server(w, 2)->connections), 2);
    assert_int_equal(atomic_load(&server(w, 1)->connections), 0);
    holdings_free(h);
}

static void lines_of_what_is_not_here_change_nothing(void **state)
{
    struct world *w = *state;
    struct control *c = &w->control;
    struct holdings *h = holdings_new(c);
    static const char *const lines[] = {
        "",           "router",          "router x",
        "frontend",   "frontend q 5",    "frontend hub",
        "server",     "server hubs",     "server hubs t0 10.0.0.2:1 5",
        "tomorrow 5", "server x y z 99", "server hubs t0 10.0.0.1:1",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        holdings_take(h, c, lines[i]);
    }
    assert_int_equal(atomic_load(&c->shared->router->sessions), 0);
    assert_int_equal(atomic_load(&c->shared->frontends[1]->sessions), 0);
    assert_int_equal(atomic_load(&server(w, 2)->connections), 0);
    holdings_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_held_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_gets_no_more_than_there_is_need_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lines_count_as_our_own, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_of_what_is_not_here_change_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
