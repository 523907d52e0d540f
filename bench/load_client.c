/* A connection of the load: the handshake, the request, every byte of the reply, the end. */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void refuse_tls(const char *why)
{
    char words[256];
    ERR_error_string_n(ERR_peek_error(), words, sizeof(words));
    fprintf(stderr, "load: %s: %s\n", why, words);
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

static void client_connect(struct load *l, struct client *c)
{
    int on = 1;
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .ticket = c->ticket};
    if (c->fd < 0)
        die("socket");
    if (connect(c->fd, (struct sockaddr *)&l->to, sizeof(l->to)))
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->resumes = l->resume && c->ticket;
    if (l->tls)
        c->tls = secure_connect(l->tls, c->fd, c->resumes ? c->ticket : NULL, c);
    client_watch(l, c, EPOLL_CTL_ADD, EPOLLIN);
}

static void on_ticket(void *owner, SSL_SESSION *ticket)
{
    struct client *c = owner;
    SSL_SESSION_free(c->ticket);
    c->ticket = ticket;
}

static void client_send(struct load *l, struct client *c)
{
    while (c->sent < l->request_len) {
        size_t len = l->request_len - c->sent < WRITE ? l->request_len - c->sent : WRITE;
        const char *data = l->request + c->sent;
        ssize_t n = c->tls ? secure_send(c->tls, data, len)
                           : send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            die("send");
        if (n < 0)
            break;
        c->sent += (size_t)n;
    }
    bool all = c->sent == l->request_len;
    c->state = all ? CLIENT_HEARS : CLIENT_ASKS;
    client_watch(l, c, EPOLL_CTL_MOD, all ? EPOLLIN : EPOLLOUT);
}

void load_tickets(const struct load *l)
{
    secure_on_ticket(l->tls, on_ticket);
}

static void client_shake(struct load *l, struct client *c)
{
    uint32_t events = secure_handshake(c->tls);
    if (events == UINT32_MAX)
        refuse_tls("a handshake failed");
    client_watch(l, c, EPOLL_CTL_MOD, events ? events : EPOLLIN);
    if (events)
        return;
    secure_verify(c->tls, &l->asked_tls, c->resumes);
    l->full += !c->resumes;
    l->resumed += c->resumes;
    client_send(l, c);
}

void client_ask(struct load *l, struct client *c)
{
    l->asked += l->depth;
    c->asked_at = l->now;
    c->sent = 0;
    c->seen = 0;
    if (c->tls && !SSL_is_init_finished(c->tls)) {
        c->state = CLIENT_SHAKES;
        client_shake(l, c);
    } else {
        client_send(l, c);
    }
}

void client_start(struct load *l, struct client *c)
{
    client_connect(l, c);
    client_ask(l, c);
}

static void client_close(struct client *c)
{
    SSL_free(c->tls);
    c->tls = NULL;
    close(c->fd);
}

/* It counts, and asks again if more is wanted. */
static void client_done(struct load *l, struct client *c)
{
    long before = l->done;
    l->done += l->depth;
    l->now = wall_ns();
    if (before >= l->warmup)
        watch_took(&l->watch, l->now - c->asked_at);
    if (before < l->warmup && l->done >= l->warmup) {
        l->done_at_start = l->done;
        watch_start(&l->watch);
    }
    c->state = CLIENT_RESTS;
    if (l->asked >= l->warmup + l->wanted)
        return;
    if (l->mode == MODE_GET || l->mode == MODE_SET)
        client_ask(l, c);
    else
        client_start(l, l->mode == MODE_CYCLE ? c : &l->clients[l->asked]);
}

/* All replies of this client are there. */
static void client_served(struct load *l, struct client *c)
{
    if (l->mode == MODE_CYCLE && c->tls) {
        SSL_shutdown(c->tls);
        shutdown(c->fd, SHUT_WR);
        c->state = CLIENT_ENDS;
        return;
    }
    if (l->mode == MODE_CYCLE)
        client_close(c);
    client_done(l, c);
}

static void client_await_end(struct load *l, struct client *c)
{
    ssize_t n = recv(c->fd, l->buffer, BUFFER, MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
        die("recv until the end");
    if (n)
        return;
    client_close(c);
    client_done(l, c);
}

static void client_readable(struct load *l, struct client *c)
{
    ssize_t n = c->tls ? secure_recv(c->tls, l->buffer, BUFFER)
                       : recv(c->fd, l->buffer, BUFFER, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n < 0)
        die("recv");
    if (n == 0)
        refuse("a connection was closed on us");
    if ((size_t)n > l->reply_len - c->seen ||
        memcmp(l->buffer, l->reply + c->seen, (size_t)n) != 0) {
        fprintf(stderr, "load: unexpected reply: %.*s\n", (int)(n < 100 ? n : 100), l->buffer);
        exit(1);
    }
    c->seen += (size_t)n;
    if (c->seen == l->reply_len)
        client_served(l, c);
}

static void client_event(struct load *l, struct client *c)
{
    if (c->state == CLIENT_SHAKES)
        client_shake(l, c);
    else if (c->state == CLIENT_ASKS)
        client_send(l, c);
    else if (c->state == CLIENT_ENDS)
        client_await_end(l, c);
    else
        client_readable(l, c);
}

void serve(struct load *l)
{
    while (l->done < l->asked) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->epoll, events, EVENTS, SILENCE_MS);
        if (n == 0)
            refuse("no reply for 30 s");
        for (int i = 0; i < n; i++)
            client_event(l, events[i].data.ptr);
    }
}
