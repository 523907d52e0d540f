/* Promise: each question about a name is answered once, whole, in a stable order; names that nobody
 * answers for are not in the way of others, and not in the way of the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "ctl/resolve.h"
#include "net/loop.h"

/* The name server: these stand before the C library's. "dead*" is answered once the gate is open.
 */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool open_gate;
static unsigned asked;  /* ever */
static unsigned inside; /* now */
static unsigned inside_max;

struct record {
    const char *name;
    int v4_status;
    int v6_status;
    const char *addresses[4];
};

static const struct record zone[] = {
    {"one", 0, EAI_NODATA, {"10.0.0.1"}},
    {"three", 0, EAI_NONAME, {"10.0.0.9", "10.0.0.2", "10.0.0.100"}},
    {"dual", 0, 0, {"fd00::1", "10.0.0.1", "fd00::", "9.0.0.0"}},
    {"six", EAI_NODATA, 0, {"fd00::1"}},
    {"half", 0, EAI_AGAIN, {"10.0.0.1"}},
    {"twice", 0, EAI_NODATA, {"10.0.0.1", "10.0.0.1"}},
    {"nothing", EAI_NONAME, EAI_NONAME, {NULL}},
    {"failing", EAI_AGAIN, 0, {"fd00::1"}},
    {"failing-six", EAI_NODATA, EAI_FAIL, {NULL}},
    {"dead", EAI_AGAIN, EAI_AGAIN, {NULL}}, /* and all that begin so */
};

static struct addrinfo *entry(int family, const char *text, struct addrinfo *next)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in6 address;
    } *e = calloc(1, sizeof *e);
    char with_port[64];
    struct address a;
    snprintf(with_port, sizeof with_port, family == AF_INET6 ? "[%s]:1" : "%s:1", text);
    assert_int_equal(address_parse(&a, with_port), 0);
    a = address_with_port(&a, 0);
    memcpy(&e->address, &a.sa, a.len);
    e->info = (struct addrinfo){.ai_family = family,
                                .ai_addrlen = a.len,
                                .ai_addr = (struct sockaddr *)&e->address,
                                .ai_next = next};
    return &e->info;
}

static void enter(const char *name)
{
    pthread_mutex_lock(&mutex);
    asked++;
    inside++;
    inside_max = inside > inside_max ? inside : inside_max;
    while (strncmp(name, "dead", 4) == 0 && !open_gate) {
        pthread_cond_wait(&opened, &mutex);
    }
    inside--;
    pthread_mutex_unlock(&mutex);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    enter(name);
    assert(service == NULL);
    *out = NULL;
    if (strcmp(name, "crowd") == 0) {
        for (int i = 0; i < 200 && hints->ai_family == AF_INET; i++) {
            char text[32];
            snprintf(text, sizeof text, "10.0.0.%d", i);
            *out = entry(AF_INET, text, *out);
        }
        return *out != NULL ? 0 : EAI_NODATA;
    }
    for (size_t i = 0; i < ARRAY_LEN(zone); i++) {
        const struct record *r = &zone[i];
        bool dead = strncmp(name, "dead", 4) == 0;
        if (strcmp(r->name, dead ? "dead" : name) != 0) {
            continue;
        }
        for (size_t j = 0; j < ARRAY_LEN(r->addresses) && r->addresses[j] != NULL; j++) {
            int family = strchr(r->addresses[j], ':') != NULL ? AF_INET6 : AF_INET;
            *out = family == hints->ai_family ? entry(family, r->addresses[j], *out) : *out;
        }
        return hints->ai_family == AF_INET ? r->v4_status : r->v6_status;
    }
    return EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

int getnameinfo(const struct sockaddr *at, socklen_t len, char *host, socklen_t host_len,
                char *service, socklen_t service_len, int flags)
{
    const struct sockaddr_in *v4 = (const void *)at;
    (void)len;
    (void)service;
    (void)service_len;
    assert(flags == NI_NAMEREQD);
    enter("owner");
    if (ntohl(v4->sin_addr.s_addr) != 0x0a000001) {
        return EAI_NONAME;
    }
    snprintf(host, host_len, "redis-0.redis.example");
    return 0;
}

static void set_gate(bool open)
{
    pthread_mutex_lock(&mutex);
    open_gate = open;
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&mutex);
}

static unsigned read_under_mutex(const unsigned *number)
{
    pthread_mutex_lock(&mutex);
    unsigned n = *number;
    pthread_mutex_unlock(&mutex);
    return n;
}

/* The stage ---------------------------------------------------------------------------------- */

struct stage {
    struct loop loop;
    struct resolver *resolver;
    unsigned answers;
    unsigned dead;
    struct resolve_answer last;
};

static void on_answer(void *context, const struct resolve_answer *a)
{
    struct stage *s = context;
    s->answers++;
    s->dead += strncmp(a->name, "dead", 4) == 0;
    s->last = *a;
}

static const struct resolver_events events = {.on_answer = on_answer};

static struct stage *begin(void)
{
    struct stage *s = calloc(1, sizeof *s);
    assert_int_equal(loop_init(&s->loop, s), 0);
    s->resolver = resolver_new(&s->loop, &events, s);
    assert_non_null(s->resolver);
    set_gate(false);
    pthread_mutex_lock(&mutex);
    asked = 0;
    inside_max = 0;
    pthread_mutex_unlock(&mutex);
    return s;
}

static void end(struct stage *s)
{
    resolver_close(s->resolver);
    loop_stop(&s->loop);
    loop_run(&s->loop);
    assert_int_equal(loop_release(&s->loop), 0);
    free(s);
}

static void turn_until(struct stage *s, unsigned answers)
{
    while (s->answers < answers) {
        uv_run(&s->loop.uv, UV_RUN_ONCE);
    }
}

static const struct resolve_answer *ask(struct stage *s, const char *name)
{
    unsigned before = s->answers;
    assert_int_equal(resolver_ask(s->resolver, name, false), 0);
    turn_until(s, before + 1);
    assert_string_equal(s->last.name, name);
    return &s->last;
}

static void assert_addresses(struct stage *s, const char *name, const char *expected)
{
    char text[256] = "";
    const struct resolve_answer *a = ask(s, name);
    for (size_t i = 0; i < a->count; i++) {
        char one[ADDRESS_TEXT_MAX];
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s", i > 0 ? " " : "",
                 address_print_host(&a->addresses[i], one));
    }
    assert_string_equal(text, expected);
    assert_true(a->found);
    assert_string_equal(a->why, "");
}

static void assert_failed(struct stage *s, const char *name, int status)
{
    const struct resolve_answer *a = ask(s, name);
    assert_false(a->found);
    assert_int_equal(a->count, 0);
    assert_string_equal(a->why, gai_strerror(status));
}

static void answers_are_whole_and_in_a_stable_order(void **state)
{
    (void)state;
    struct stage *s = begin();
    assert_addresses(s, "one", "10.0.0.1");
    assert_false(s->last.partial);
    assert_addresses(s, "three", "10.0.0.2 10.0.0.9 10.0.0.100");
    assert_addresses(s, "dual", "9.0.0.0 10.0.0.1 fd00:: fd00::1");
    assert_addresses(s, "six", "fd00::1");
    assert_addresses(s, "twice", "10.0.0.1");
    assert_addresses(s, "half", "10.0.0.1");
    assert_true(s->last.partial);
    assert_failed(s, "nothing", EAI_NONAME);
    assert_failed(s, "failing", EAI_AGAIN);
    assert_failed(s, "failing-six", EAI_FAIL);
    end(s);
}

static void a_crowd_is_cut_and_told(void **state)
{
    (void)state;
    struct stage *s = begin();
    const struct resolve_answer *a = ask(s, "crowd");
    assert_int_equal(a->count, RESOLVE_ADDRESSES_MAX);
    assert_int_equal(a->left_out, 200 - RESOLVE_ADDRESSES_MAX);
    end(s);
}

static void an_address_has_an_owner_or_none(void **state)
{
    (void)state;
    struct stage *s = begin();
    struct address a;
    assert_int_equal(address_parse(&a, "10.0.0.1:1"), 0);
    a = address_with_port(&a, 0);
    assert_int_equal(resolver_ask_owner(s->resolver, &a), 0);
    turn_until(s, 1);
    assert_true(s->last.found);
    assert_true(address_equal(&s->last.address, &a));
    assert_string_equal(s->last.owner, "redis-0.redis.example");
    assert_int_equal(address_parse(&a, "10.0.0.2:1"), 0);
    assert_int_equal(resolver_ask_owner(s->resolver, &a), 0);
    turn_until(s, 2);
    assert_false(s->last.found);
    assert_string_equal(s->last.owner, "");
    assert_string_equal(s->last.why, gai_strerror(EAI_NONAME));
    end(s);
}

static void dead_names_are_not_in_the_way(void **state)
{
    (void)state;
    struct stage *s = begin();
    for (int i = 0; i < 30; i++) { /* known to be slow: they get some of the places */
        char name[32];
        snprintf(name, sizeof name, "dead-%d", i);
        assert_int_equal(resolver_ask(s->resolver, name, true), 0);
    }
    while (read_under_mutex(&asked) < 8) {
        uv_run(&s->loop.uv, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < 50; i++) {
        ask(s, "one");
    }
    assert_int_equal(s->dead, 0);
    assert_int_equal(resolver_busy(s->resolver), 30);
    /* Nobody knows yet that these are slow: it turns out, and others have their turn. */
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "dead-q%d", i);
        assert_int_equal(resolver_ask(s->resolver, name, false), 0);
    }
    ask(s, "one");
    assert_int_equal(s->dead, 0);
    set_gate(true);
    turn_until(s, 51 + 36);
    assert_int_equal(s->dead, 36);
    assert_int_equal(resolver_busy(s->resolver), 0);
    assert_in_range(read_under_mutex(&inside_max), 9, 16);
    end(s);
}

static void many_names_do_not_come_at_once(void **state)
{
    (void)state;
    struct stage *s = begin();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(resolver_ask(s->resolver, "three", false), 0);
    }
    turn_until(s, 100);
    assert_in_range(read_under_mutex(&inside_max), 1, 4);
    end(s);
}

/* The threads end after the resolver: a sanitizer sees what they touch. */
static void the_end_waits_for_nobody(void **state)
{
    (void)state;
    struct stage *s = begin();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(resolver_ask(s->resolver, "dead", true), 0);
    }
    while (read_under_mutex(&asked) < 8) {
        uv_run(&s->loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(resolver_ask(s->resolver, "one", false), 0); /* may be in the mailbox */
    end(s);
    set_gate(true);
    while (read_under_mutex(&inside) > 0) {
        uv_sleep(1);
    }
}

static void close_within(void *context, const struct resolve_answer *a)
{
    struct stage *s = context;
    (void)a;
    s->answers++;
    resolver_close(s->resolver);
    loop_stop(&s->loop);
}

static void an_answer_may_be_the_end(void **state)
{
    static const struct resolver_events closing = {.on_answer = close_within};
    (void)state;
    struct stage *s = calloc(1, sizeof *s);
    assert_int_equal(loop_init(&s->loop, s), 0);
    s->resolver = resolver_new(&s->loop, &closing, s);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(resolver_ask(s->resolver, "one", false), 0);
    }
    loop_run(&s->loop);
    assert_int_equal(s->answers, 1);
    assert_int_equal(loop_release(&s->loop), 0);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_whole_and_in_a_stable_order),
        cmocka_unit_test(a_crowd_is_cut_and_told),
        cmocka_unit_test(an_address_has_an_owner_or_none),
        cmocka_unit_test(dead_names_are_not_in_the_way),
        cmocka_unit_test(many_names_do_not_come_at_once),
        cmocka_unit_test(the_end_waits_for_nobody),
        cmocka_unit_test(an_answer_may_be_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
