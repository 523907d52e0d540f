/* The relay floor: what a TCP relay costs when it does nothing else. One thread, one epoll set, one
 * receive buffer; for each event one recv and one send. No checks, no timeouts, no half-close, no
 * statistics: nobody should use it, the benchmark measures against it.
 *
 * relay LISTEN_ADDRESS LISTEN_PORT SERVER_ADDRESS SERVER_PORT [PEM] (IPv4)
 *
 * With a file of certificate and key it terminates TLS: OpenSSL on its own socket BIO. Its pairs
 * lie in memory that is there from the start, so that what it grows by with each session is
 * OpenSSL's. */
#include "secure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* 48 KiB: a send of more than the loopback's segment size (65,483) leaves a tiny packet behind, and
 * bulk costs 2.7 times as much. */
enum { BUFFER = 48 * 1024, EVENTS = 256, BACKLOG = 4096, PAIRS = 10000 };

struct pair;

/* One side of a pair. */
struct end {
    int fd;
    bool shaking; /* the handshake is not over */
    SSL *tls;     /* owned; NULL: clear */
    struct pair *pair;
    char *rest; /* owned: what this socket did not take; the other side is not read meanwhile */
    size_t rest_len; /* of it, still to send */
    size_t rest_at;
};

struct pair {
    struct end client;
    struct end server;
    struct pair *next; /* among the free, or the closed */
    bool closed;
};

struct relay {
    int epoll;
    int listener;
    struct sockaddr_in server;
    SSL_CTX *tls;        /* owned; NULL: clear */
    struct pair *unused; /* owned */
    struct pair *closed; /* owned; in this turn: later events of it may still name them */
    char buffer[BUFFER];
};

static void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct end *other(struct end *e)
{
    return e == &e->pair->client ? &e->pair->server : &e->pair->client;
}

static void pair_close(struct relay *r, struct pair *p)
{
    if (p->closed)
        return;
    p->closed = true;
    SSL_free(p->client.tls);
    close(p->client.fd);
    close(p->server.fd);
    p->next = r->closed;
    r->closed = p;
}

static void free_closed(struct relay *r)
{
    while (r->closed) {
        struct pair *p = r->closed;
        r->closed = p->next;
        free(p->client.rest);
        free(p->server.rest);
        p->next = r->unused;
        r->unused = p;
    }
}

static void watch(struct relay *r, int op, struct end *e, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = e};
    if (epoll_ctl(r->epoll, op, e->fd, &event))
        die("epoll_ctl");
}

/* Returns how much was taken, negative when the socket is dead. */
static ssize_t send_some(const struct end *e, const char *data, size_t len)
{
    ssize_t n = e->tls ? secure_send(e->tls, data, len)
                       : send(e->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
        return 0;
    return n;
}

static struct pair *pair_take(struct relay *r)
{
    struct pair *p = r->unused;
    if (p)
        r->unused = p->next;
    else
        p = malloc(sizeof(*p));
    if (!p)
        die("malloc");
    *p = (struct pair){.closed = false};
    return p;
}

static void on_accept(struct relay *r)
{
    int fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int up = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (up < 0)
        die("socket");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(up, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(up, (struct sockaddr *)&r->server, sizeof(r->server)) && errno != EINPROGRESS)
        die("connect");
    struct pair *p = pair_take(r);
    p->client = (struct end){.fd = fd, .pair = p};
    p->server = (struct end){.fd = up, .pair = p};
    if (r->tls)
        p->client.tls = secure_accept(r->tls, fd);
    p->client.shaking = r->tls;
    watch(r, EPOLL_CTL_ADD, &p->client, EPOLLIN);
    watch(r, EPOLL_CTL_ADD, &p->server, EPOLLIN);
}

static void on_readable(struct relay *r, struct end *e);

static void on_writable(struct relay *r, struct end *e)
{
    ssize_t n = send_some(e, e->rest + e->rest_at, e->rest_len);
    if (n < 0) {
        pair_close(r, e->pair);
        return;
    }
    e->rest_at += (size_t)n;
    e->rest_len -= (size_t)n;
    if (e->rest_len)
        return;
    free(e->rest);
    e->rest = NULL;
    struct end *from = other(e);
    watch(r, EPOLL_CTL_MOD, from, from->rest ? EPOLLIN | EPOLLOUT : EPOLLIN);
    watch(r, EPOLL_CTL_MOD, e, from->rest ? 0 : EPOLLIN);
    if (from->tls && SSL_has_pending(from->tls))
        on_readable(r, from);
}

static void on_handshake(struct relay *r, struct end *e)
{
    uint32_t events = secure_handshake(e->tls);
    if (events == UINT32_MAX) {
        pair_close(r, e->pair);
        return;
    }
    e->shaking = events;
    watch(r, EPOLL_CTL_MOD, e, events ? events : EPOLLIN);
    if (!events && SSL_has_pending(e->tls))
        on_readable(r, e);
}

/* Whether there is more in OpenSSL, which epoll would not tell. */
static bool relay_once(struct relay *r, struct end *e)
{
    ssize_t n = e->tls ? secure_recv(e->tls, r->buffer, BUFFER)
                       : recv(e->fd, r->buffer, BUFFER, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return false;
    struct end *to = other(e);
    ssize_t sent = n > 0 ? send_some(to, r->buffer, (size_t)n) : -1;
    if (sent < 0) {
        pair_close(r, e->pair);
        return false;
    }
    if (sent == n)
        return e->tls && SSL_has_pending(e->tls);
    to->rest_len = (size_t)(n - sent);
    to->rest_at = 0;
    to->rest = malloc(to->rest_len);
    if (!to->rest)
        die("malloc");
    memcpy(to->rest, r->buffer + sent, to->rest_len);
    watch(r, EPOLL_CTL_MOD, e, e->rest ? EPOLLOUT : 0);
    watch(r, EPOLL_CTL_MOD, to, EPOLLIN | EPOLLOUT);
    return false;
}

static void on_readable(struct relay *r, struct end *e)
{
    while (relay_once(r, e))
        continue;
}

static void on_event(struct relay *r, const struct epoll_event *event)
{
    struct end *e = event->data.ptr;
    if (!e) {
        on_accept(r);
        return;
    }
    if (!e->pair->closed && e->shaking) {
        on_handshake(r, e);
        return;
    }
    if (e->rest && !e->pair->closed && (event->events & EPOLLOUT))
        on_writable(r, e);
    if (!e->pair->closed && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        on_readable(r, e);
}

static struct sockaddr_in address(const char *host, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        fprintf(stderr, "relay: not an IPv4 address: %s\n", host);
        exit(1);
    }
    return a;
}

static void relay_listen(struct relay *r, struct sockaddr_in at)
{
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (r->epoll < 0 || r->listener < 0)
        die("socket");
    int on = 1;
    setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(r->listener, (struct sockaddr *)&at, sizeof(at)) || listen(r->listener, BACKLOG))
        die("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->listener, &event))
        die("epoll_ctl");
}

/* They are touched now: calloc() would give pages that only count when they are used. */
static void make_pairs(struct relay *r)
{
    struct pair *pairs = malloc(PAIRS * sizeof(*pairs));
    if (!pairs)
        die("malloc");
    for (int i = 0; i < PAIRS; i++) {
        pairs[i] = (struct pair){.next = r->unused};
        r->unused = &pairs[i];
    }
}

int main(int argc, char **argv)
{
    static struct relay r;
    if (argc != 5 && argc != 6) {
        fprintf(stderr,
                "usage: relay LISTEN_ADDRESS LISTEN_PORT SERVER_ADDRESS SERVER_PORT [PEM]\n");
        return 1;
    }
    if (argc == 6) {
        r.tls = secure_server(argv[5]);
        make_pairs(&r);
    }
    r.server = address(argv[3], argv[4]);
    relay_listen(&r, address(argv[1], argv[2]));
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(r.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            on_event(&r, &events[i]);
        free_closed(&r);
    }
}
