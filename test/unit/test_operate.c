/* What a program may order of a router that it embeds (router.h): pause, resume, elect. Two servers
 * that play Redis as far as the probe asks, and give clients their name and then what they sent. */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/macros.h"
#include "base/text.h"
#include "model/config.h"
#include "redis_answers.h"
#include "router.h"

#define SERVERS     2
#define CONNECTIONS 64
#define WAIT_MS     20000
#define STILL_MS    300
#define RUN_B       "9999999999999999999999999999999999999999"

/* Its own history, which began before the other's writes ended. */
#define RIVAL                                                                                      \
    "# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"  \
    "master_replid:" ID_B "\r\nmaster_replid2:" ID_A "\r\nmaster_repl_offset:950\r\n"              \
    "second_repl_offset:901\r\n"

struct peer {
    int fd;
    int server;
    bool known; /* client or probe */
    bool probe;
    size_t len;
    char line[4096]; /* of a probe: what came of a command's word */
};

struct stage {
    pthread_t thread;
    atomic_bool ending;
    atomic_bool rivals; /* the second server claims too */
    int listeners[SERVERS];
    int ports[SERVERS];
    struct peer peers[CONNECTIONS];
    size_t count;
    /* the router */
    pthread_t runner;
    struct config *config;
    _Atomic(struct router *) router;
    int port;
};

/* The servers ------------------------------------------------------------------------------- */

static int listen_somewhere(int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* it left */
        }
        data += n;
        len -= (size_t)n;
    }
}

static void answer(struct stage *s, const struct peer *p, const char *section)
{
    char reply[1024];
    const char *text = PERSISTENCE;
    if (strcmp(section, "server") == 0) {
        text = p->server == 0 ? SERVER : "# Server\r\nredis_version:7.0.15\r\nrun_id:" RUN_B "\r\n";
    } else if (strcmp(section, "replication") == 0) {
        text = p->server == 0 ? MASTER : atomic_load(&s->rivals) ? RIVAL : REPLICA;
    } else if (strcmp(section, "persistence") != 0) {
        return;
    }
    int len = snprintf(reply, sizeof reply, "$%zu\r\n%s\r\n", strlen(text), text);
    send_all(p->fd, reply, (size_t)len);
}

static void hear_probe(struct stage *s, struct peer *p, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') {
            p->line[p->len] = '\0';
            p->len = 0;
            answer(s, p, p->line);
        } else if (data[i] != '\r' && p->len + 1 < sizeof p->line) {
            p->line[p->len++] = data[i];
        }
    }
}

static void drop_peer(struct stage *s, size_t at)
{
    close(s->peers[at].fd);
    s->peers[at] = s->peers[--s->count];
}

static void hear(struct stage *s, size_t at)
{
    static char data[65536];
    struct peer *p = &s->peers[at];
    ssize_t n = recv(p->fd, data, sizeof data, 0);
    if (n <= 0) {
        drop_peer(s, at);
        return;
    }
    if (!p->known) {
        p->known = true;
        p->probe = data[0] == '*';
        if (!p->probe) {
            send_all(p->fd, p->server == 0 ? "a" : "b", 1);
        }
    }
    if (p->probe) {
        hear_probe(s, p, data, (size_t)n);
    } else {
        send_all(p->fd, data, (size_t)n);
    }
}

static void *play(void *stage)
{
    struct stage *s = stage;
    while (!atomic_load(&s->ending)) {
        struct pollfd fds[SERVERS + CONNECTIONS];
        size_t count = s->count;
        for (size_t i = 0; i < SERVERS; i++) {
            fds[i] = (struct pollfd){.fd = s->listeners[i], .events = POLLIN};
        }
        for (size_t i = 0; i < count; i++) {
            fds[SERVERS + i] = (struct pollfd){.fd = s->peers[i].fd, .events = POLLIN};
        }
        poll(fds, SERVERS + count, 20);
        for (size_t i = count; i > 0; i--) {
            if (fds[SERVERS + i - 1].revents != 0) {
                hear(s, i - 1);
            }
        }
        for (int i = 0; i < SERVERS; i++) {
            if (fds[i].revents != 0 && s->count < CONNECTIONS) {
                int fd = accept(s->listeners[i], NULL, NULL);
                s->peers[s->count++] = (struct peer){.fd = fd, .server = i};
            }
        }
    }
    while (s->count > 0) {
        drop_peer(s, 0);
    }
    return NULL;
}

/* The router -------------------------------------------------------------------------------- */

static void *run(void *stage)
{
    struct stage *s = stage;
    char why[256];
    struct router *r;
    assert_int_equal(router_start(&r, s->config, why, sizeof why), 0);
    atomic_store(&s->router, r);
    assert_int_equal(router_run(r), 0);
    return NULL;
}

static int free_port(void)
{
    int port;
    close(listen_somewhere(&port));
    return port;
}

static int begin(void **state)
{
    char ini[1024];
    struct text errors = {0};
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (int i = 0; i < SERVERS; i++) {
        s->listeners[i] = listen_somewhere(&s->ports[i]);
    }
    s->port = free_port();
    int len =
        snprintf(ini, sizeof ini,
                 "[router]\nworkers = 1\nadmin = off\ndrain_timeout = 1s\nlog_level = error\n"
                 "[frontend f]\nbind = 127.0.0.1:%d\nbackend = b\nroute = primary\n"
                 "[backend b]\nprotocol = redis\nserver = a 127.0.0.1:%d\nserver = b 127.0.0.1:%d\n"
                 "probe_interval = 50ms\nprobe_fast_interval = 20ms\nqueue_timeout = 1m\n"
                 "conflict_timeout = 10m\n",
                 s->port, s->ports[0], s->ports[1]);
    int rc = config_load_text("test.ini", ini, (size_t)len, &s->config, &errors);
    assert_int_equal(rc, 0);
    text_free(&errors);
    assert_int_equal(pthread_create(&s->thread, NULL, play, s), 0);
    assert_int_equal(pthread_create(&s->runner, NULL, run, s), 0);
    for (int i = 0; i < WAIT_MS && atomic_load(&s->router) == NULL; i++) {
        usleep(1000);
    }
    assert_non_null(atomic_load(&s->router));
    *state = s;
    return 0;
}

static int end(void **state)
{
    struct stage *s = *state;
    router_drain(s->router);
    pthread_join(s->runner, NULL);
    router_free(s->router);
    config_free(s->config);
    atomic_store(&s->ending, true);
    pthread_join(s->thread, NULL);
    close(s->listeners[0]);
    close(s->listeners[1]);
    free(s);
    return 0;
}

/* Clients ----------------------------------------------------------------------------------- */

static int client(const struct stage *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)s->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static bool readable(int fd, int ms)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ms) > 0;
}

static void expect(int fd, const char *want)
{
    char got[64] = "";
    size_t len = strlen(want);
    for (size_t at = 0; at < len;) {
        assert_true(readable(fd, WAIT_MS));
        ssize_t n = recv(fd, got + at, len - at, 0);
        assert_true(n > 0);
        at += (size_t)n;
    }
    assert_memory_equal(got, want, len);
}

static void say(int fd, const char *words)
{
    send_all(fd, words, strlen(words));
}

/* A client that is connected to the server of this name. */
static int client_of(const struct stage *s, const char *name)
{
    int fd = client(s);
    say(fd, "x");
    expect(fd, name);
    expect(fd, "x");
    return fd;
}

/* Says something now and then until it is not answered any more; "y" is still under way then. */
static void await_stillness(int fd)
{
    char answer;
    say(fd, "y");
    for (int i = 0; readable(fd, STILL_MS); i++) {
        assert_true(i < WAIT_MS);
        assert_int_equal(recv(fd, &answer, 1, 0), 1);
        usleep(1000);
        say(fd, "y");
    }
}

/* Both ways: the client's counting numbers go out, and come back. */
struct flood {
    int fd;
    uint32_t numbers;
};

static void *send_numbers(void *flood)
{
    const struct flood *f = flood;
    for (uint32_t i = 0; i < f->numbers; i++) {
        send_all(f->fd, (const char *)&i, sizeof i);
    }
    return NULL;
}

/* The tests --------------------------------------------------------------------------------- */

static void test_a_pause_holds_the_new_and_the_living_until_it_is_over(void **state)
{
    struct stage *s = *state;
    int living = client_of(s, "a");
    assert_int_equal(router_pause(s->router, "b"), 0);
    await_stillness(living);
    int fresh = client(s);
    say(fresh, "z");
    assert_false(readable(fresh, STILL_MS));
    assert_false(readable(living, 0));
    assert_int_equal(router_resume(s->router, "b"), 0);
    expect(living, "y");
    expect(fresh, "az");
    close(living);
    close(fresh);
}

static void test_a_paused_session_loses_no_byte(void **state)
{
    struct stage *s = *state;
    struct flood flood = {client_of(s, "a"), 1000000};
    pthread_t sender;
    pthread_create(&sender, NULL, send_numbers, &flood);
    uint32_t got = 0;
    char bytes[4096];
    size_t have = 0;
    unsigned pauses = 0;
    while (got < flood.numbers) {
        if (got / 200000 > pauses) { /* four times, somewhere */
            assert_int_equal(router_pause(s->router, "b"), 0);
            pauses++;
        }
        if (!readable(flood.fd, STILL_MS)) {
            assert_int_equal(router_resume(s->router, "b"), 0);
            assert_true(readable(flood.fd, WAIT_MS));
        }
        ssize_t n = recv(flood.fd, bytes + have, sizeof bytes - have, 0);
        assert_true(n > 0);
        have += (size_t)n;
        size_t at = 0;
        for (; at + sizeof got <= have; at += sizeof got, got++) {
            assert_memory_equal(bytes + at, &got, sizeof got);
        }
        memmove(bytes, bytes + at, have - at);
        have -= at;
    }
    assert_int_equal(pauses, 4);
    pthread_join(sender, NULL);
    close(flood.fd);
    router_resume(s->router, "b");
}

static void test_twice_paused_is_paused_and_once_resumed_is_resumed(void **state)
{
    struct stage *s = *state;
    int living = client_of(s, "a");
    assert_int_equal(router_resume(s->router, "b"), 0);
    assert_int_equal(router_pause(s->router, "b"), 0);
    assert_int_equal(router_pause(s->router, "b"), 0);
    await_stillness(living);
    assert_int_equal(router_resume(s->router, "b"), 0);
    expect(living, "y");
    assert_int_equal(router_resume(s->router, "b"), 0);
    say(living, "again");
    expect(living, "again");
    close(living);
}

static void test_who_leaves_a_pause_is_gone(void **state)
{
    struct stage *s = *state;
    int living = client_of(s, "a");
    assert_int_equal(router_pause(s->router, "b"), 0);
    await_stillness(living);
    int waiting[8];
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = client(s);
        say(waiting[i], "z");
    }
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        close(waiting[i]);
    }
    close(living);
    assert_int_equal(router_resume(s->router, "b"), 0);
    close(client_of(s, "a"));
}

static void test_unknown_names_are_an_error(void **state)
{
    struct stage *s = *state;
    assert_int_equal(router_pause(s->router, "nobody"), UV_ENOENT);
    assert_int_equal(router_resume(s->router, ""), UV_ENOENT);
    assert_int_equal(router_elect(s->router, "nobody", "a"), UV_ENOENT);
    assert_int_equal(router_elect(s->router, "b", "nobody"), UV_ENOENT);
    close(client_of(s, "a"));
}

static void test_who_does_not_claim_is_not_elected(void **state)
{
    struct stage *s = *state;
    int living = client_of(s, "a");
    assert_int_equal(router_elect(s->router, "b", "b"), 0);
    assert_int_equal(router_elect(s->router, "b", "a"), 0);
    /* An order that shows when it was carried out, behind those two. */
    assert_int_equal(router_pause(s->router, "b"), 0);
    await_stillness(living);
    assert_int_equal(router_resume(s->router, "b"), 0);
    expect(living, "y");
    close(client_of(s, "a"));
    close(living);
}

static void test_an_election_by_hand_ends_a_contest_at_once(void **state)
{
    struct stage *s = *state;
    int living = client_of(s, "a");
    atomic_store(&s->rivals, true);
    await_stillness(living);
    int fresh = client(s);
    say(fresh, "z");
    assert_false(readable(fresh, STILL_MS));
    assert_int_equal(router_elect(s->router, "b", "b"), 0);
    expect(fresh, "bz");
    char byte;
    assert_true(readable(living, WAIT_MS));
    assert_int_equal(recv(living, &byte, 1, 0), -1); /* reset: "y" was not answered */
    close(client_of(s, "b"));
    close(fresh);
    close(living);
}

static void test_the_incumbent_may_be_elected_too(void **state)
{
    struct stage *s = *state;
    int living = client_of(s, "a");
    atomic_store(&s->rivals, true);
    await_stillness(living);
    assert_int_equal(router_elect(s->router, "b", "a"), 0);
    expect(living, "y");
    close(client_of(s, "a"));
    close(living);
}

static void test_a_drain_ends_a_paused_router(void **state)
{
    struct stage *s = *state;
    int living = client_of(s, "a");
    assert_int_equal(router_pause(s->router, "b"), 0);
    await_stillness(living);
    int waiting = client(s);
    say(waiting, "z");
    assert_false(readable(waiting, STILL_MS));
    router_drain(s->router);
    char text[256];
    assert_true(readable(waiting, WAIT_MS));
    assert_true(recv(waiting, text, sizeof text, 0) > 5);
    assert_memory_equal(text, "-ERR ", 5);
    close(waiting);
    close(living);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(test_a_pause_holds_the_new_and_the_living_until_it_is_over),
        ON_STAGE(test_a_paused_session_loses_no_byte),
        ON_STAGE(test_twice_paused_is_paused_and_once_resumed_is_resumed),
        ON_STAGE(test_who_leaves_a_pause_is_gone),
        ON_STAGE(test_unknown_names_are_an_error),
        ON_STAGE(test_who_does_not_claim_is_not_elected),
        ON_STAGE(test_an_election_by_hand_ends_a_contest_at_once),
        ON_STAGE(test_the_incumbent_may_be_elected_too),
        ON_STAGE(test_a_drain_ends_a_paused_router),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
