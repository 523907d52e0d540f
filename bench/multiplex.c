/* The multiplexing floor: what it costs to carry the commands of many clients over one connection
 * when nothing else is done. One thread, one epoll set: what clients sent in a turn leaves in one
 * send, and each client gets its replies of one receive in one send. It finds where commands end
 * (arrays of bulk strings) and replies (bulk strings), for it must count them, and looks at nothing
 * else: no checks, no timeouts, no statistics. A client that sends half a command, or does not take
 * a reply at once, is closed. Nobody should use it, the benchmark measures against it.
 *
 * multiplex LISTEN_ADDRESS LISTEN_PORT SERVER_ADDRESS SERVER_PORT (IPv4) */
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

/* More than 64 KiB does not leave Redis at once. */
enum { GATHER = 64 * 1024, LEAST_ROOM = 16 * 1024, EVENTS = 1024, BACKLOG = 4096, TURNS = 1 << 16 };

struct client {
    int fd;
    bool gone;      /* closed; it is freed with its last reply */
    unsigned turns; /* of it that are in the queue */
};

/* What one receive brought from a client. */
struct turn {
    struct client *client;
    unsigned commands; /* not yet answered */
};

struct multiplex {
    int epoll;
    int listener;
    int server;
    char out[GATHER]; /* the commands of this turn of the loop */
    size_t out_len;
    char in[GATHER]; /* the replies */
    size_t in_len;
    struct turn queue[TURNS]; /* a ring, in the order sent */
    uint32_t head;
    uint32_t tail;
};

static void die(const char *what)
{
    fprintf(stderr, "multiplex: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* `*N\r\n` or `$N\r\n`: returns what follows, NULL if it is not all there. */
static const char *number_end(const char *at, const char *end, char type, size_t *n)
{
    if (at == end || *at++ != type)
        return NULL;
    for (*n = 0; at < end && *at >= '0' && *at <= '9'; at++)
        *n = *n * 10 + (size_t)(*at - '0');
    return end - at < 2 ? NULL : at + 2;
}

static const char *bulk_end(const char *at, const char *end)
{
    size_t n;
    at = number_end(at, end, '$', &n);
    return at && (size_t)(end - at) >= n + 2 ? at + n + 2 : NULL;
}

/* How many commands there are; 0 if the last one is not whole. */
static unsigned count_commands(const char *at, const char *end)
{
    unsigned count = 0;
    for (; at && at < end; count++) {
        size_t words;
        at = number_end(at, end, '*', &words);
        while (at && words--)
            at = bulk_end(at, end);
    }
    return at ? count : 0;
}

static void client_close(struct client *c)
{
    close(c->fd);
    c->gone = true;
    if (!c->turns)
        free(c);
}

static void on_accept(struct multiplex *m)
{
    int fd = accept4(m->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct client *c = malloc(sizeof(*c));
    if (!c)
        die("malloc");
    *c = (struct client){.fd = fd};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
}

/* Waits while the server takes no more: Redis always reads. */
static void flush(struct multiplex *m)
{
    for (size_t sent = 0; sent < m->out_len;) {
        ssize_t n = send(m->server, m->out + sent, m->out_len - sent, MSG_NOSIGNAL);
        if (n < 0)
            die("send to the server");
        sent += (size_t)n;
    }
    m->out_len = 0;
}

static void on_client(struct multiplex *m, struct client *c)
{
    if (GATHER - m->out_len < LEAST_ROOM)
        flush(m);
    char *at = m->out + m->out_len;
    ssize_t n = recv(c->fd, at, GATHER - m->out_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    unsigned commands = n > 0 ? count_commands(at, at + n) : 0;
    if (!commands || m->tail - m->head == TURNS) {
        client_close(c);
        return;
    }
    m->out_len += (size_t)n;
    m->queue[m->tail++ % TURNS] = (struct turn){.client = c, .commands = commands};
    c->turns++;
}

static void client_send(struct client *c, const char *replies, size_t len)
{
    if (!c->gone && send(c->fd, replies, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
        shutdown(c->fd, SHUT_RDWR); /* on_client() finds it */
}

/* The replies of a turn that are there; returns what follows them. */
static const char *answer(struct turn *t, const char *replies, const char *end)
{
    const char *at = replies;
    const char *next;
    while (t->commands && (next = bulk_end(at, end))) {
        at = next;
        t->commands--;
    }
    if (at > replies)
        client_send(t->client, replies, (size_t)(at - replies));
    return at;
}

static void on_server(struct multiplex *m)
{
    ssize_t n = recv(m->server, m->in + m->in_len, GATHER - m->in_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("the server has ended");
    m->in_len += (size_t)n;
    const char *end = m->in + m->in_len;
    const char *at = m->in;
    for (; m->head != m->tail; m->head++) {
        struct turn *t = &m->queue[m->head % TURNS];
        at = answer(t, at, end);
        if (t->commands)
            break;
        t->client->turns--;
        if (t->client->gone && !t->client->turns)
            free(t->client);
    }
    m->in_len = (size_t)(end - at);
    memmove(m->in, at, m->in_len);
    if (m->in_len == GATHER || (m->in_len && *m->in != '$')) {
        fprintf(stderr, "multiplex: this is no bulk string\n");
        exit(1);
    }
}

static struct sockaddr_in address(const char *host, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        fprintf(stderr, "multiplex: not an IPv4 address: %s\n", host);
        exit(1);
    }
    return a;
}

static void start(struct multiplex *m, struct sockaddr_in at, struct sockaddr_in server)
{
    m->epoll = epoll_create1(EPOLL_CLOEXEC);
    m->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    m->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (m->epoll < 0 || m->listener < 0 || m->server < 0)
        die("socket");
    int on = 1;
    setsockopt(m->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(m->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(m->server, (struct sockaddr *)&server, sizeof(server)))
        die("connect");
    if (bind(m->listener, (struct sockaddr *)&at, sizeof(at)) || listen(m->listener, BACKLOG))
        die("listen");
    struct epoll_event clients = {.events = EPOLLIN, .data.ptr = &m->listener};
    struct epoll_event replies = {.events = EPOLLIN, .data.ptr = &m->server};
    if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->listener, &clients) ||
        epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->server, &replies))
        die("epoll_ctl");
}

int main(int argc, char **argv)
{
    static struct multiplex m;
    if (argc != 5) {
        fprintf(stderr, "usage: multiplex LISTEN_ADDRESS LISTEN_PORT SERVER_ADDRESS SERVER_PORT\n");
        return 1;
    }
    start(&m, address(argv[1], argv[2]), address(argv[3], argv[4]));
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(m.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            void *who = events[i].data.ptr;
            if (who == &m.listener)
                on_accept(&m);
            else if (who == &m.server)
                on_server(&m);
            else
                on_client(&m, who);
        }
        flush(&m);
    }
}
