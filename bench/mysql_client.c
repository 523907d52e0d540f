/* A connection of the MySQL load: greeting, TLS, login, query, end. */
#include "mysql_load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REPLY_PACKETS = 5, /* columns, the only one, EOF, the only row, EOF */
    OK = 0x00,
    MORE = 0x01,
    SWITCH = 0xfe,
    ERR = 0xff,
    FAST = 3
};

static const char QUIT[] = "\1\0\0\0\1";

static _Noreturn void refuse_error(const char *where, const char *packet, size_t len)
{
    size_t words = len > 9 && packet[3] == '#' ? 9 : 3; /* no SQLSTATE before the login */
    fprintf(stderr, "load: %s: %.*s\n", where, len > words ? (int)(len - words) : 0,
            packet + words);
    exit(1);
}

static void client_watch(const struct load *l, struct client *c, int op, uint32_t events)
{
    if (op == EPOLL_CTL_MOD && c->events == events)
        return;
    c->events = events;
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(l->epoll, op, c->fd, &event))
        die("epoll_ctl");
}

/* What we send is little, and the socket has room. */
static void client_send(struct client *c, const char *data, size_t len)
{
    ssize_t n = c->tls ? secure_send(c->tls, data, len) : send(c->fd, data, len, MSG_NOSIGNAL);
    if (n != (ssize_t)len)
        die("send");
}

static void client_say(struct client *c, const void *payload, size_t len)
{
    char packet[HEADER + LOGIN_MAX] = {(char)len, (char)(len >> 8), 0, (char)c->sequence++};
    memcpy(packet + HEADER, payload, len);
    client_send(c, packet, HEADER + len);
}

void client_start(struct load *l, struct client *c)
{
    int on = 1;
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (c->fd < 0)
        die("socket");
    l->asked++;
    c->asked_at = l->now;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(c->fd, (struct sockaddr *)&l->to, sizeof(l->to)) && errno != EINPROGRESS)
        die("connect");
    client_watch(l, c, EPOLL_CTL_ADD, EPOLLIN);
}

static void client_log_in(struct client *c)
{
    client_say(c, c->login, c->login_len);
    c->state = CLIENT_PROVES;
}

static void client_shake(struct load *l, struct client *c)
{
    uint32_t events = secure_handshake(c->tls);
    if (events == UINT32_MAX)
        refuse("a handshake failed");
    client_watch(l, c, EPOLL_CTL_MOD, events ? events : EPOLLIN);
    if (events)
        return;
    secure_verify(c->tls, &l->asked_tls, false);
    client_log_in(c);
}

static void client_greeted(struct load *l, struct client *c, const char *packet, size_t len)
{
    if (len && (uint8_t)packet[0] == ERR)
        refuse_error("instead of a greeting", packet, len);
    if (!greeting_parse(&c->greeting, packet, len, l->tls))
        refuse("a greeting that cannot be answered");
    c->login_len = login_make(c->login, &l->account, &c->greeting, l->tls);
    if (!c->login_len)
        refuse("a greeting with a plugin that is not ours");
    if (!l->tls) {
        client_log_in(c);
        return;
    }
    client_say(c, c->login, TLS_REQUEST);
    c->tls = secure_connect(l->tls, c->fd, NULL, c);
    c->state = CLIENT_SHAKES;
    client_shake(l, c);
}

static void client_ask(const struct load *l, struct client *c)
{
    c->state = CLIENT_HEARS;
    client_send(c, l->query, l->query_len);
}

/* AuthSwitchRequest: the plugin's name, a nonce, a zero. */
static void client_prove(struct load *l, struct client *c, const char *packet, size_t len)
{
    uint8_t proof[PROOF_MAX];
    size_t name_len = strnlen(packet, len);
    if (name_len + 1 + NONCE + 1 != len)
        refuse("a request for another proof that cannot be understood");
    size_t proof_len =
        proof_make(proof, &l->account, packet + 1, (const uint8_t *)packet + name_len + 1);
    if (!proof_len)
        refuse("another proof is asked for that is not ours");
    l->switched++;
    client_say(c, proof, proof_len);
}

static void client_judged(struct load *l, struct client *c, const char *packet, size_t len)
{
    uint8_t kind = len ? (uint8_t)packet[0] : ERR;
    if (kind == OK) {
        l->logins++;
        client_ask(l, c);
    } else if (kind == SWITCH) {
        client_prove(l, c, packet, len);
    } else if (kind == ERR) {
        refuse_error("the login", packet, len);
    } else if (kind != MORE || len != 2 || packet[1] != FAST) {
        refuse("the server wants more than a hash: its cache of accounts is cold");
    }
}

static void client_close(struct client *c)
{
    client_send(c, QUIT, HEADER + 1);
    if (c->tls)
        SSL_shutdown(c->tls);
    SSL_free(c->tls);
    c->tls = NULL;
    close(c->fd);
}

/* It counts, and asks again if more is wanted. */
static void client_done(struct load *l, struct client *c)
{
    l->now = wall_ns();
    if (l->done++ >= l->warmup)
        watch_took(&l->watch, l->now - c->asked_at);
    if (l->done == l->warmup) {
        l->done_at_start = l->done;
        watch_start(&l->watch);
    }
    c->state = CLIENT_RESTS;
    bool more = l->asked < l->warmup + l->wanted;
    if (l->mode == MODE_CYCLE || !more)
        client_close(c);
    if (more && l->mode == MODE_CYCLE) {
        client_start(l, c);
    } else if (more) {
        l->asked++;
        c->asked_at = l->now;
        client_ask(l, c);
    }
}

/* The first reply: one row of one column, with nothing left to tell, and nothing behind it. */
static void learn_reply(struct load *l, const char *reply, size_t len)
{
    static const char end[] = "\5\0\0\5\xfe\0\0\2\0";
    if (reply[HEADER] != 1 || memcmp(reply + len - HEADER - 5, end, HEADER + 5) != 0)
        refuse("a reply that is not one row of one column");
    memcpy(l->reply, reply, len);
    l->reply_len = len;
}

static size_t packet_len(const char *at)
{
    return (size_t)(uint8_t)at[0] | (size_t)(uint8_t)at[1] << 8 | (size_t)(uint8_t)at[2] << 16;
}

/* The bytes of the first `count` packets, 0 if they are not all there. */
static size_t packets_len(const struct client *c, int count)
{
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        if (c->heard_len < len + HEADER)
            return 0;
        len += HEADER + packet_len(c->heard + len);
    }
    return len <= c->heard_len ? len : 0;
}

static void client_hear_reply(struct load *l, struct client *c)
{
    size_t len = packets_len(c, 1);
    if (len > HEADER && (uint8_t)c->heard[HEADER] == ERR)
        refuse_error("the query", c->heard + HEADER, len - HEADER);
    len = packets_len(c, REPLY_PACKETS);
    if (!len)
        return;
    if (!l->reply_len)
        learn_reply(l, c->heard, len);
    if (len != c->heard_len || len != l->reply_len || memcmp(c->heard, l->reply, len) != 0)
        refuse("a reply is not what the first one was");
    c->heard_len = 0;
    client_done(l, c);
}

static void client_hear_login(struct load *l, struct client *c)
{
    size_t len;
    while ((c->state == CLIENT_GREETS || c->state == CLIENT_PROVES) && (len = packets_len(c, 1))) {
        char packet[HEARD_MAX];
        memcpy(packet, c->heard, len);
        c->heard_len -= len;
        memmove(c->heard, c->heard + len, c->heard_len);
        if ((uint8_t)packet[3] != c->sequence++)
            refuse("a packet has a wrong sequence number");
        if (c->state == CLIENT_GREETS)
            client_greeted(l, c, packet + HEADER, len - HEADER);
        else
            client_judged(l, c, packet + HEADER, len - HEADER);
    }
    if (c->heard_len)
        refuse("the server says more than it was asked");
}

static void client_readable(struct load *l, struct client *c)
{
    char *to = c->heard + c->heard_len;
    size_t room = HEARD_MAX - c->heard_len;
    ssize_t n = c->tls ? secure_recv(c->tls, to, room) : recv(c->fd, to, room, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        die("recv");
    if (n == 0)
        refuse(room ? "a connection was closed on us" : "a packet is too long");
    c->heard_len += (size_t)n;
    if (c->state == CLIENT_HEARS)
        client_hear_reply(l, c);
    else if (c->state != CLIENT_RESTS)
        client_hear_login(l, c);
    else
        refuse("the server says something that nobody asked for");
}

void serve(struct load *l)
{
    while (l->done < l->asked) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->epoll, events, EVENTS, SILENCE_MS);
        if (n == 0)
            refuse("no reply for 30 s");
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (c->state == CLIENT_SHAKES)
                client_shake(l, c);
            else
                client_readable(l, c);
        }
    }
}
