/* Promise: each address of a name is one server, with a name of its own for as long as it lives; no
 * answer, no half of one, and no order of one takes servers away; what is missing goes when it is
 * missing twice, is down as well, or its name is somewhere else. */
#include "config_fixture.h"

#include "base/macros.h"
#include "model/discovery.h"

#define BACKEND(lines)                                                                             \
    "[frontend f]\nbind = 127.0.0.1:7000\nbackend = b\n[backend b]\nprotocol = redis\n" lines
#define NAMES_MAX 4
#define MAX       16

/* A configuration, what is known of its names, and the servers that run by the last plan. */
struct world {
    struct config *config;
    struct {
        const char *host;
        struct name_addresses known;
    } names[NAMES_MAX];
    struct server_config was[MAX];
    bool down[MAX];
    size_t was_count;
    const char *own;
};

static struct address host(const char *text)
{
    char with_port[ADDRESS_TEXT_MAX];
    struct address a;
    snprintf(with_port, sizeof with_port, strchr(text, ':') != NULL ? "[%s]:1" : "%s:1", text);
    assert_int_equal(address_parse(&a, with_port), 0);
    return address_with_port(&a, 0);
}

static struct world *world_new(const char *text)
{
    struct world *w = calloc(1, sizeof *w);
    w->config = load(text);
    return w;
}

static void world_free(struct world *w)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        discovery_release(&w->names[i].known);
    }
    for (size_t i = 0; i < w->was_count; i++) {
        free(w->was[i].name);
    }
    config_free(w->config);
    free(w);
}

static struct name_addresses *known_of(struct world *w, const char *name)
{
    size_t i = 0;
    while (w->names[i].host != NULL && strcmp(w->names[i].host, name) != 0) {
        i++;
    }
    assert_true(i < NAMES_MAX);
    w->names[i].host = name;
    return &w->names[i].known;
}

/* `addresses`: "10.0.0.1=label 10.0.0.2 10.0.0.3?", where "?" is one that is not settled. They come
 * sorted. */
static void answer_as(struct world *w, const char *name, const char *addresses, bool partial)
{
    struct address list[MAX];
    char text[512];
    size_t count = 0;
    struct name_addresses *known = known_of(w, name);
    snprintf(text, sizeof text, "%s", addresses);
    for (char *rest = NULL, *word = strtok_r(text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        word[strcspn(word, "=?")] = '\0';
        list[count++] = host(word);
    }
    discovery_merge(known, list, count, partial);
    snprintf(text, sizeof text, "%s", addresses);
    for (char *rest = NULL, *word = strtok_r(text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        char *label = strchr(word, '=');
        bool settled = strchr(word, '?') == NULL;
        word[strcspn(word, "=?")] = '\0';
        struct address at = host(word);
        for (size_t i = 0; i < known->count; i++) {
            struct name_address *a = &known->items[i];
            if (address_equal(&a->address, &at)) {
                discovery_label(label != NULL ? label + 1 : "", a->label);
                a->settled = settled;
            }
        }
    }
}

static void answer(struct world *w, const char *name, const char *addresses)
{
    answer_as(w, name, addresses, false);
}

static const struct name_addresses *find(const void *context, const char *name)
{
    const struct world *w = context;
    for (size_t i = 0; i < NAMES_MAX && w->names[i].host != NULL; i++) {
        if (strcmp(w->names[i].host, name) == 0) {
            return &w->names[i].known;
        }
    }
    return NULL;
}

static bool is_own(const void *context, const struct address *at)
{
    const struct world *w = context;
    char text[ADDRESS_TEXT_MAX];
    return w->own != NULL && strcmp(address_print(at, text), w->own) == 0;
}

/* Runs what was planned. */
static void run(struct world *w, const struct server_plan *plan)
{
    struct server_config fresh[MAX] = {0};
    const struct backend_config *lines = &w->config->backends[0];
    assert_true(plan->count <= MAX);
    for (size_t i = 0; i < plan->count; i++) {
        const struct planned_server *p = &plan->items[i];
        const struct server_config *line = &lines->servers.items[p->discovered > 0 ? 0 : p->line];
        const struct discover_config *d =
            p->discovered > 0 ? &lines->discovers.items[p->discovered - 1] : NULL;
        fresh[i] = (struct server_config){
            .name = strdup(p->name),
            .address = p->address,
            .host = d != NULL ? d->host : line->host,
            .port = d != NULL ? d->port : line->port,
            .discovered = p->discovered,
        };
    }
    for (size_t i = 0; i < w->was_count; i++) {
        free(w->was[i].name);
    }
    memcpy(w->was, fresh, sizeof fresh);
    memset(w->down, 0, sizeof w->down);
    w->was_count = plan->count;
}

/* "name=address ...", in the order of the plan. */
static void assert_plan(struct world *w, const char *expected)
{
    struct server_plan plan;
    struct text got = {0};
    const struct discovery_input in = {
        .lines = &w->config->backends[0],
        .was = w->was,
        .down = w->down,
        .was_count = w->was_count,
        .find = find,
        .is_own = is_own,
        .context = w,
    };
    discovery_plan(&in, &plan);
    text_add(&got, "%s", "");
    for (size_t i = 0; i < plan.count; i++) {
        const struct planned_server *p = &plan.items[i];
        char at[ADDRESS_TEXT_MAX];
        bool set = address_is_set(&p->address);
        text_add(&got, "%s%s=%s", i > 0 ? " " : "", p->name,
                 set        ? address_print(&p->address, at)
                 : p->taken ? "taken"
                            : "-");
    }
    assert_string_equal(got.data, expected);
    text_free(&got);
    run(w, &plan);
    server_plan_release(&plan);
}

static void set_down(struct world *w, const char *name)
{
    for (size_t i = 0; i < w->was_count; i++) {
        w->down[i] = w->down[i] || strcmp(w->was[i].name, name) == 0;
    }
}

/* What is discovered ------------------------------------------------------------------------ */

static void each_address_is_a_server(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("discover = r:1\n"));
    assert_plan(w, "");
    answer(w, "r", "10.0.0.1=redis-0.redis.svc 10.0.0.2=redis-1.redis.svc 10.0.0.3");
    assert_plan(w, "redis-0=10.0.0.1:1 redis-1=10.0.0.2:1 10.0.0.3=10.0.0.3:1");
    answer(w, "r", "10.0.0.0=redis-9 10.0.0.1=redis-0 10.0.0.2=redis-1 10.0.0.3=late");
    /* Who was there stays as it is, also one whose label comes late. */
    assert_plan(w, "redis-0=10.0.0.1:1 redis-1=10.0.0.2:1 10.0.0.3=10.0.0.3:1 redis-9=10.0.0.0:1");
    world_free(w);
}

static void an_address_waits_for_its_label(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("discover = r:1\n"));
    answer(w, "r", "10.0.0.1? 10.0.0.2=b");
    assert_plan(w, "b=10.0.0.2:1");
    answer(w, "r", "10.0.0.1=a 10.0.0.2=b");
    assert_plan(w, "b=10.0.0.2:1 a=10.0.0.1:1");
    world_free(w);
}

static void what_is_missing_goes_at_the_second_time(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("discover = r:1\n"));
    answer(w, "r", "10.0.0.1=a 10.0.0.2=b 10.0.0.3=c");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 c=10.0.0.3:1");
    answer(w, "r", "10.0.0.1=a 10.0.0.3=c");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 c=10.0.0.3:1");
    answer(w, "r", "10.0.0.1=a 10.0.0.2=b 10.0.0.3=c"); /* it was a slip */
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 c=10.0.0.3:1");
    answer(w, "r", "10.0.0.1=a 10.0.0.3=c");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 c=10.0.0.3:1");
    answer(w, "r", "10.0.0.1=a 10.0.0.3=c");
    assert_plan(w, "a=10.0.0.1:1 c=10.0.0.3:1");
    world_free(w);
}

static void what_is_missing_and_down_goes_at_once(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("discover = r:1\n"));
    answer(w, "r", "10.0.0.1=a 10.0.0.2=b 10.0.0.3=c");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 c=10.0.0.3:1");
    set_down(w, "c");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 c=10.0.0.3:1"); /* it is there */
    answer(w, "r", "10.0.0.1=a 10.0.0.2=b");
    set_down(w, "c");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1"); /* and does not come back */
    world_free(w);
}

static void a_server_that_moves_keeps_its_name(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("discover = r:1\n"));
    answer(w, "r", "10.0.0.1=redis-0 10.0.0.2=redis-1");
    assert_plan(w, "redis-0=10.0.0.1:1 redis-1=10.0.0.2:1");
    answer(w, "r", "10.0.0.2=redis-1 10.0.0.7=redis-0");
    assert_plan(w, "redis-1=10.0.0.2:1 redis-0=10.0.0.7:1");
    world_free(w);
}

static void two_servers_never_share_a_name(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("server = a 10.0.0.9:1\nserver = 10.0.0.3 10.0.0.8:1\n"
                                        "discover = r:1\ndiscover = r:2\n"));
    answer(w, "r", "10.0.0.1=a 10.0.0.2=x 10.0.0.3=x");
    assert_plan(w, "a=10.0.0.9:1 10.0.0.3=10.0.0.8:1 10.0.0.1=10.0.0.1:1 x=10.0.0.2:1 "
                   "10.0.0.3-1=10.0.0.3:1 10.0.0.1-2=10.0.0.1:2 10.0.0.2=10.0.0.2:2 "
                   "10.0.0.3-2=10.0.0.3:2");
    world_free(w);
}

static void what_a_line_has_is_not_discovered_again(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("server = a 10.0.0.1:1\nserver = b n:1\ndiscover = r:1\n"
                                        "discover = s:1\n"));
    answer(w, "n", "10.0.0.2");
    answer(w, "r", "10.0.0.1=x 10.0.0.2=y 10.0.0.3=z");
    answer(w, "s", "10.0.0.3=z 10.0.0.4=u");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 z=10.0.0.3:1 u=10.0.0.4:1");
    world_free(w);
}

static void this_router_itself_is_no_server(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("server = a n:1\ndiscover = r:1\n"));
    w->own = "10.0.0.1:1";
    answer(w, "n", "10.0.0.1");
    answer(w, "r", "10.0.0.1=x 10.0.0.2=y");
    assert_plan(w, "a=taken y=10.0.0.2:1");
    world_free(w);
}

static void one_family_is_discovered(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("discover = r:1\n"));
    answer(w, "r", "10.0.0.1=a fd00::1=a");
    assert_plan(w, "a=10.0.0.1:1");
    answer(w, "r", "fd00::1=a");
    assert_plan(w, "a=10.0.0.1:1");
    answer(w, "r", "fd00::1=a fd00::2");
    assert_plan(w, "a=[fd00::1]:1 fd00--2=[fd00::2]:1");
    answer(w, "r", "10.0.0.1=a fd00::1=a fd00::2"); /* these are in use */
    assert_plan(w, "a=[fd00::1]:1 fd00--2=[fd00::2]:1");
    world_free(w);
}

static void half_an_answer_takes_nothing_of_the_other_half(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("server = s r:1\n"));
    answer(w, "r", "10.0.0.1 fd00::1");
    for (int i = 0; i < 5; i++) {
        answer_as(w, "r", "10.0.0.1", true);
        assert_int_equal(known_of(w, "r")->count, 2);
        assert_int_equal(known_of(w, "r")->items[1].missing, 0);
    }
    answer_as(w, "r", "10.0.0.2", true);
    answer_as(w, "r", "10.0.0.2", true);
    assert_int_equal(known_of(w, "r")->count, 2);
    world_free(w);
}

static void what_is_not_known_stays(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("discover = r:1\nserver = s n:1\n"));
    answer(w, "r", "10.0.0.1=a 10.0.0.2=b");
    answer(w, "n", "10.0.0.9");
    assert_plan(w, "s=10.0.0.9:1 a=10.0.0.1:1 b=10.0.0.2:1");
    discovery_release(known_of(w, "r")); /* as if it was never asked, after a reload */
    discovery_release(known_of(w, "n"));
    assert_plan(w, "s=10.0.0.9:1 a=10.0.0.1:1 b=10.0.0.2:1");
    world_free(w);
}

static void an_answer_is_news_or_not(void **state)
{
    struct name_addresses known = {0};
    struct address list[] = {host("10.0.0.1"), host("10.0.0.2")};
    (void)state;
    assert_true(discovery_merge(&known, list, 2, false));
    assert_false(discovery_merge(&known, list, 2, false));
    assert_false(discovery_merge(&known, list, 2, true));
    assert_true(discovery_merge(&known, list, 1, false));
    assert_true(discovery_merge(&known, list, 2, false));
    assert_false(discovery_merge(&known, list, 2, false));
    discovery_release(&known);
}

/* Servers with a name ----------------------------------------------------------------------- */

static void a_server_keeps_its_address_while_it_is_there(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("server = s n:6379 weight=3\n"));
    assert_plan(w, "s=-");
    answer(w, "n", "10.0.0.5");
    assert_plan(w, "s=10.0.0.5:6379");
    answer(w, "n", "10.0.0.1 10.0.0.5 10.0.0.9");
    assert_plan(w, "s=10.0.0.5:6379");
    answer(w, "n", "10.0.0.1 10.0.0.9");
    assert_plan(w, "s=10.0.0.5:6379");
    answer(w, "n", "10.0.0.1 10.0.0.9");
    assert_plan(w, "s=10.0.0.9:6379");
    world_free(w);
}

static void a_server_that_fails_tries_the_next_address(void **state)
{
    static const char *const turns[] = {"s=10.0.0.2:1", "s=10.0.0.3:1", "s=[fd00::1]:1",
                                        "s=10.0.0.1:1", "s=10.0.0.2:1"};
    (void)state;
    struct world *w = world_new(BACKEND("server = s n:1\n"));
    answer(w, "n", "10.0.0.1");
    assert_plan(w, "s=10.0.0.1:1");
    set_down(w, "s");
    assert_plan(w, "s=10.0.0.1:1"); /* there is no other */
    answer(w, "n", "10.0.0.1 10.0.0.2 10.0.0.3 fd00::1");
    for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
        set_down(w, "s");
        assert_plan(w, turns[i]);
        assert_plan(w, turns[i]);
    }
    answer(w, "n", "10.0.0.3");
    set_down(w, "s");
    assert_plan(w, "s=10.0.0.3:1"); /* missing and down */
    world_free(w);
}

static void two_servers_never_share_an_address(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("server = a n:1\nserver = b m:1\nserver = c 10.0.0.3:1\n"));
    answer(w, "n", "10.0.0.1");
    answer(w, "m", "10.0.0.1");
    assert_plan(w, "a=10.0.0.1:1 b=taken c=10.0.0.3:1");
    answer(w, "m", "10.0.0.1 10.0.0.2");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 c=10.0.0.3:1");
    answer(w, "n", "10.0.0.2"); /* they change places */
    answer(w, "m", "10.0.0.1");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1 c=10.0.0.3:1");
    answer(w, "n", "10.0.0.2");
    answer(w, "m", "10.0.0.1");
    assert_plan(w, "a=10.0.0.2:1 b=10.0.0.1:1 c=10.0.0.3:1");
    answer(w, "n", "10.0.0.3");
    answer(w, "n", "10.0.0.3");
    assert_plan(w, "a=10.0.0.2:1 b=10.0.0.1:1 c=10.0.0.3:1"); /* nothing better is known */
    world_free(w);
}

static void nobody_takes_an_address_that_is_in_use(void **state)
{
    (void)state;
    struct world *w = world_new(BACKEND("server = a n:1\nserver = b m:1\n"));
    answer(w, "m", "10.0.0.1");
    assert_plan(w, "a=- b=10.0.0.1:1");
    answer(w, "n", "10.0.0.1");
    assert_plan(w, "a=taken b=10.0.0.1:1");
    set_down(w, "b");
    assert_plan(w, "a=taken b=10.0.0.1:1");
    answer(w, "m", "10.0.0.1 10.0.0.2");
    set_down(w, "b");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1");
    assert_plan(w, "a=10.0.0.1:1 b=10.0.0.2:1");
    world_free(w);
}

static void a_label_is_what_a_server_may_be_called(void **state)
{
    static const char *const cases[][2] = {
        {"redis-0.redis.svc.cluster.local", "redis-0"},
        {"Redis_0", "Redis_0"},
        {"", ""},
        {".x", ""},
        {"a b.c", ""},
        {"a\"b.c", ""},
        {"a\n.c", ""},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x", ""}, /* 64 */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[DISCOVERY_LABEL_MAX];
        discovery_label(cases[i][0], out);
        assert_string_equal(out, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_address_is_a_server),
        cmocka_unit_test(an_address_waits_for_its_label),
        cmocka_unit_test(what_is_missing_goes_at_the_second_time),
        cmocka_unit_test(what_is_missing_and_down_goes_at_once),
        cmocka_unit_test(a_server_that_moves_keeps_its_name),
        cmocka_unit_test(two_servers_never_share_a_name),
        cmocka_unit_test(what_a_line_has_is_not_discovered_again),
        cmocka_unit_test(this_router_itself_is_no_server),
        cmocka_unit_test(one_family_is_discovered),
        cmocka_unit_test(half_an_answer_takes_nothing_of_the_other_half),
        cmocka_unit_test(what_is_not_known_stays),
        cmocka_unit_test(an_answer_is_news_or_not),
        cmocka_unit_test(a_server_keeps_its_address_while_it_is_there),
        cmocka_unit_test(a_server_that_fails_tries_the_next_address),
        cmocka_unit_test(two_servers_never_share_an_address),
        cmocka_unit_test(nobody_takes_an_address_that_is_in_use),
        cmocka_unit_test(a_label_is_what_a_server_may_be_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
