/* A pause that meets MySQL sessions in their login: who has heard nothing yet begins again when it
 * is over; who is in the midst of it is told before the server loses its patience, and counts it
 * against us. The test is the server, by hand. */
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

#include "base/text.h"
#include "model/config.h"
#include "router.h"

#define WAIT_MS  15000
#define STILL_MS 300

static const char greeting[] = "\x48\0\0\0\x0a"
                               "9.7.0\0\1\2\3\4abcdefgh\0\x00\x8a\x21\2\0\x08\0\x15"
                               "\0\0\0\0\0\0\0\0\0\0ABCDEFGHIJKL\0mysql_native_password";
static const char login[] = "\x24\0\0\1\x00\x82\x08\x00\0\0\0\1\x21"
                            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                            "me\0\0";
static const char switched[] = "\x1b\0\0\2\xfe"
                               "mysql_native_password\0none";
static const char accepted[] = "\7\0\0\2\0\0\0\2\0\0\0";
#define SEND(fd, text) send_all(fd, text, sizeof(text) - 1)

struct stage {
    pthread_t runner;
    struct config *config;
    _Atomic(struct router *) router;
    int listener;
    int port;
};

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

static int begin(void **state)
{
    char ini[512];
    int server_port;
    struct text errors = {0};
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->listener = listen_somewhere(&server_port);
    close(listen_somewhere(&s->port));
    int len = snprintf(ini, sizeof ini,
                       "[router]\nworkers = 1\nadmin = off\ndrain_timeout = 1s\n"
                       "[frontend f]\nbind = 127.0.0.1:%d\nbackend = b\nroute = any\n"
                       "idle_timeout = 4s\n"
                       "[backend b]\nprotocol = mysql\nprobe = off\nqueue_timeout = 1m\n"
                       "server = s 127.0.0.1:%d\n",
                       s->port, server_port);
    assert_int_equal(config_load_text("test.ini", ini, (size_t)len, &s->config, &errors), 0);
    text_free(&errors);
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
    close(s->listener);
    free(s);
    return 0;
}

static bool readable(int fd, int ms)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, ms) > 0;
}

static void send_all(int fd, const char *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
}

/* The next packet, whole; its payload ends in NUL. Returns its sequence id, or -1 at the end. */
static int receive(int fd, char payload[512])
{
    unsigned char head[4] = {0};
    size_t len = sizeof head;
    memset(payload, 0, 512);
    for (size_t at = 0; at < len;) {
        assert_true(readable(fd, WAIT_MS));
        ssize_t n = at < sizeof head ? recv(fd, head + at, sizeof head - at, 0)
                                     : recv(fd, payload + at - sizeof head, len - at, 0);
        if (n <= 0) {
            return -1;
        }
        at += (size_t)n;
        len = sizeof head + head[0];
    }
    return head[3];
}

static int client(const struct stage *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)s->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static int accept_one(const struct stage *s)
{
    assert_true(readable(s->listener, WAIT_MS));
    return accept(s->listener, NULL, NULL);
}

struct pair {
    int client;
    int server;
};

static struct pair connected(const struct stage *s)
{
    int fd = client(s);
    return (struct pair){fd, accept_one(s)};
}

static void greet(const struct pair *p)
{
    char payload[512];
    SEND(p->server, greeting);
    assert_int_equal(receive(p->client, payload), 0);
    assert_int_equal(payload[0], 10);
}

static void send_login(const struct pair *p)
{
    char payload[512];
    SEND(p->client, login);
    assert_int_equal(receive(p->server, payload), 1);
    assert_string_equal(payload + 32, "me");
}

static struct pair logged_in(const struct stage *s)
{
    char payload[512];
    struct pair p = connected(s);
    greet(&p);
    send_login(&p);
    SEND(p.server, accepted);
    assert_int_equal(receive(p.client, payload), 2);
    return p;
}

static void close_pair(const struct pair *p)
{
    close(p->client);
    close(p->server);
}

/* A session that is through its login tells when all stand still. */
static void pause_all(const struct stage *s, const struct pair *p)
{
    char byte;
    assert_int_equal(router_pause(s->router, "b"), 0);
    send_all(p->client, "x", 1);
    for (int i = 0; readable(p->server, STILL_MS); i++) {
        assert_true(i < WAIT_MS);
        assert_int_equal(recv(p->server, &byte, 1, 0), 1);
        send_all(p->client, "x", 1);
    }
}

/* What the server hears of a login that was left to the router. */
static void expect_finish(int server, int sequence)
{
    char payload[512];
    assert_int_equal(receive(server, payload), sequence);
    SEND(server, "\7\0\0\4\0\0\0\2\0\0\0");
    assert_int_equal(receive(server, payload), 0);
    assert_int_equal(payload[0], 1); /* COM_QUIT */
    assert_int_equal(receive(server, payload), -1);
}

static void test_who_has_heard_nothing_begins_again_when_the_pause_is_over(void **state)
{
    struct stage *s = *state;
    struct pair living = logged_in(s);
    struct pair first = connected(s);
    pause_all(s, &living);
    SEND(first.server, greeting);
    expect_finish(first.server, 1);
    assert_false(readable(first.client, STILL_MS));
    assert_false(readable(s->listener, 0));
    assert_int_equal(router_resume(s->router, "b"), 0);
    struct pair second = {first.client, accept_one(s)};
    greet(&second);
    send_login(&second);
    close(first.server);
    close_pair(&second);
    close_pair(&living);
}

static void test_who_is_in_its_login_goes_on_when_the_pause_is_over(void **state)
{
    struct stage *s = *state;
    struct pair living = logged_in(s);
    struct pair held = connected(s);
    char payload[512];
    greet(&held);
    pause_all(s, &living);
    SEND(held.client, login);
    assert_false(readable(held.server, STILL_MS));
    assert_int_equal(router_resume(s->router, "b"), 0);
    assert_int_equal(receive(held.server, payload), 1);
    assert_string_equal(payload + 32, "me");
    SEND(held.server, accepted);
    assert_int_equal(receive(held.client, payload), 2);
    close_pair(&held);
    close_pair(&living);
}

static void test_a_long_pause_ends_a_login_before_the_server_loses_patience(void **state)
{
    struct stage *s = *state;
    struct pair living = logged_in(s);
    struct pair held = connected(s);
    char payload[512];
    greet(&held);
    send_login(&held);
    pause_all(s, &living);
    SEND(held.server, switched);
    assert_int_equal(receive(held.client, payload), 2);
    assert_string_equal(payload + 3,
                        "#HY000router: the server was paused for too long in its login");
    expect_finish(held.server, 3);
    /* Nor is who stands still idle. */
    assert_int_equal(router_resume(s->router, "b"), 0);
    char byte;
    assert_true(readable(living.server, WAIT_MS));
    assert_int_equal(recv(living.server, &byte, 1, 0), 1);
    close_pair(&held);
    close_pair(&living);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(test_who_has_heard_nothing_begins_again_when_the_pause_is_over),
        ON_STAGE(test_who_is_in_its_login_goes_on_when_the_pause_is_over),
        ON_STAGE(test_a_long_pause_ends_a_login_before_the_server_loses_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
