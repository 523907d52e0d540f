/* Two conns at the ends of one TCP connection on one loop, or one conn and an OpenSSL of the test's
 * own at the other end, which does what no client should. */
#ifndef TEST_TLS_STAGE_H
#define TEST_TLS_STAGE_H

#include "tls_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/macros.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/tls_context.h"
#include "net/tls_session.h"

#define ADDRESS  "10.0.0.1"
#define NAME     "db.example.com"
#define GOT_SIZE (6 * 1024 * 1024)
#define PATIENCE 60000000000ULL /* ns until a test gives up */

/* Turns the loop until `condition`. */
#define TURN_UNTIL(l, condition)                                                                   \
    for (uint64_t turn_end = uv_hrtime() + PATIENCE; !(condition);) {                              \
        assert_true(uv_hrtime() < turn_end);                                                       \
        uv_run(&(l)->uv, UV_RUN_NOWAIT);                                                           \
    }

/* One end ----------------------------------------------------------------------------------- */

struct end {
    struct conn conn;
    char *got; /* owned */
    size_t len;
    size_t calls;   /* of on_data */
    unsigned ready; /* calls of on_secured */
    unsigned eofs;
    unsigned drained;
    bool closed;
    int error;
    char why[TLS_WHY_MAX];
    enum conn_pause pause; /* what on_data does; 0 = nothing */
    bool close_in_data;
    bool close_when_ready;
    struct tls *upgrade; /* on_data gives it to conn_secure(), once */
    int upgraded;        /* what that said */
};

static inline void end_on_data(struct conn *c, const char *data, size_t len)
{
    struct end *e = container_of(c, struct end, conn);
    assert_true(c->open && !e->closed && e->error == 0 && e->eofs == 0);
    assert_true(c->tls == NULL || e->ready == 1);
    e->calls++;
    if (e->upgrade != NULL) {
        struct tls *t = e->upgrade;
        e->upgrade = NULL;
        e->upgraded = conn_secure(c, t, data, len);
        return;
    }
    assert_true(e->len + len <= GOT_SIZE);
    memcpy(e->got + e->len, data, len);
    e->len += len;
    if (e->pause != 0) {
        conn_pause(c, e->pause);
    }
    if (e->close_in_data) {
        conn_close(c);
    }
}

static inline void end_on_secured(struct conn *c)
{
    struct end *e = container_of(c, struct end, conn);
    assert_true(conn_is_secured(c) && e->len == 0);
    e->ready++;
    snprintf(e->why, sizeof e->why, "%s", conn_why(c));
    if (e->close_when_ready) {
        conn_close(c);
    }
}

static inline void end_on_eof(struct conn *c)
{
    assert_true(c->eof);
    container_of(c, struct end, conn)->eofs++;
}

static inline void end_on_drained(struct conn *c)
{
    container_of(c, struct end, conn)->drained++;
}

static inline void end_on_error(struct conn *c, int status)
{
    struct end *e = container_of(c, struct end, conn);
    assert_int_equal(e->error, 0);
    e->error = status;
    snprintf(e->why, sizeof e->why, "%s", conn_why(c));
    conn_close(c);
}

static inline void end_on_closed(struct conn *c)
{
    container_of(c, struct end, conn)->closed = true;
}

static const struct conn_ops end_ops = {
    .on_data = end_on_data,
    .on_eof = end_on_eof,
    .on_drained = end_on_drained,
    .on_error = end_on_error,
    .on_closed = end_on_closed,
    .on_secured = end_on_secured,
};

static inline void end_open(struct end *e, struct loop *l, int fd)
{
    *e = (struct end){.got = malloc(GOT_SIZE)};
    assert_non_null(e->got);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(conn_open(&e->conn, l, &end_ops, fd), 0);
    conn_start(&e->conn);
}

static inline void end_close(struct end *e, struct loop *l)
{
    conn_close(&e->conn);
    TURN_UNTIL(l, e->closed);
    free(e->got);
}

/* The stage --------------------------------------------------------------------------------- */

struct stage {
    struct loop *loop;
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_tickets tickets;
    struct tls_resume slot;
    struct end server;
    struct end client;
};

static inline struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);
    assert_non_null(l);
    assert_int_equal(loop_init(l, NULL), 0);
    return l;
}

static inline void loop_end(struct loop *l)
{
    loop_stop(l);
    loop_run(l);
    assert_int_equal(loop_release(l), 0);
    free(l);
}

/* `small`: buffers of the kernel that are full soon. */
static inline void tcp_pair(int pair[2], bool small)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int size = 4096;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; small && i < 2; i++) {
        int fd = i == 0 ? listening : pair[0];
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    }
    assert_int_equal(bind(listening, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(connect(pair[0], (struct sockaddr *)&at, len), 0);
    pair[1] = accept(listening, NULL, NULL);
    assert_true(pair[1] >= 0);
    close(listening);
}

static inline void stage_open_with(struct stage *s, bool small)
{
    int fds[2];
    tcp_pair(fds, small);
    end_open(&s->client, s->loop, fds[0]);
    end_open(&s->server, s->loop, fds[1]);
}

static inline void stage_open(struct stage *s)
{
    stage_open_with(s, false);
}

static inline struct tls *stage_accept(struct stage *s)
{
    struct tls *t = tls_accept(s->server_context, &s->tickets);
    assert_non_null(t);
    return t;
}

static inline struct tls *stage_connect(struct stage *s)
{
    struct tls *t = tls_connect(s->client_context, ADDRESS, &s->slot);
    assert_non_null(t);
    return t;
}

/* Both begin to shake hands. */
static inline void stage_secure(struct stage *s)
{
    assert_int_equal(conn_secure(&s->server.conn, stage_accept(s), NULL, 0), 0);
    assert_int_equal(conn_secure(&s->client.conn, stage_connect(s), NULL, 0), 0);
}

static inline void stage_close(struct stage *s)
{
    end_close(&s->client, s->loop);
    end_close(&s->server, s->loop);
}

/* A connection on which both are ready. */
static inline void stage_ready(struct stage *s)
{
    stage_open(s);
    stage_secure(s);
    TURN_UNTIL(s->loop, s->server.ready == 1 && s->client.ready == 1);
}

static inline struct tls_context *server_context(const struct tls_server_setup *setup)
{
    char why[TLS_WHY_MAX] = "";
    struct tls_context *c;
    int rc = tls_server_context_new(&c, setup, why);
    assert_string_equal(why, "");
    assert_int_equal(rc, 0);
    return c;
}

/* With the certificate in `file` and nothing special. */
static inline struct tls_context *plain_server(const char *file)
{
    return server_context(&(struct tls_server_setup){
        .certs = &file,
        .keys = (const char *[]){NULL},
        .count = 1,
        .min_version = TLS1_2_VERSION,
    });
}

static inline struct tls_context *client_context(const struct tls_client_setup *setup)
{
    char why[TLS_WHY_MAX] = "";
    struct tls_context *c;
    int rc = tls_client_context_new(&c, setup, why);
    assert_string_equal(why, "");
    assert_int_equal(rc, 0);
    return c;
}

static inline struct tls_context *trusting_client(const char *ca)
{
    return client_context(&(struct tls_client_setup){.verify = true, .ca = ca});
}

/* Takes the contexts over. */
static inline struct stage *stage_new(struct tls_context *server, struct tls_context *client)
{
    static const unsigned char seed[TLS_SEED_BYTES] = "seed";
    struct stage *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->loop = loop_new();
    s->server_context = server;
    s->client_context = client;
    tls_tickets_init(&s->tickets, seed, tls_tickets_now());
    return s;
}

static inline void stage_free(struct stage *s)
{
    loop_end(s->loop);
    tls_context_unref(s->server_context);
    tls_context_unref(s->client_context);
    tls_tickets_release(&s->tickets);
    tls_resume_release(&s->slot);
    free(s);
}

static inline void only_version(struct tls_context *c, int version)
{
    assert_int_equal(SSL_CTX_set_max_proto_version(c->ctx[0], version), 1);
}

/* A peer of the test's own ------------------------------------------------------------------ */

struct peer {
    SSL_CTX *ctx; /* owned */
    SSL *ssl;     /* owned */
    BIO *in;      /* owned by ssl */
    BIO *out;     /* owned by ssl */
    int fd;
    size_t step; /* bytes sent at once */
};

/* Connected with `e`, whose conn it opens. */
static inline struct peer peer_new(struct end *e, struct loop *l, const SSL_METHOD *method,
                                   bool small)
{
    int fds[2];
    tcp_pair(fds, small);
    end_open(e, l, fds[1]);
    struct peer p = {.ctx = SSL_CTX_new(method), .fd = fds[0], .step = SIZE_MAX};
    assert_int_equal(fcntl(p.fd, F_SETFL, O_NONBLOCK), 0);
    return p;
}

/* After p->ctx is set up. */
static inline void peer_begin(struct peer *p)
{
    p->ssl = SSL_new(p->ctx);
    p->in = BIO_new(BIO_s_mem());
    p->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(p->in, -1);
    SSL_set_bio(p->ssl, p->in, p->out);
}

static inline void peer_free(struct peer *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->ctx);
    close(p->fd);
    ERR_clear_error();
}

/* Sends what it has to say, turning the loop after each step. False: the other side has closed. */
static inline bool peer_send(struct peer *p, struct loop *l)
{
    char *data;
    size_t len = (size_t)BIO_get_mem_data(p->out, &data);
    for (size_t at = 0; at < len;) {
        size_t n = p->step < len - at ? p->step : len - at;
        ssize_t sent = send(p->fd, data + at, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return false;
        }
        at += sent > 0 ? (size_t)sent : 0;
        uv_run(&l->uv, UV_RUN_NOWAIT);
    }
    (void)BIO_reset(p->out);
    return true;
}

/* Hears what has come. False: the other side has closed. */
static inline bool peer_hear(struct peer *p)
{
    char bytes[65536];
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    if (n > 0) {
        assert_int_equal(BIO_write(p->in, bytes, (int)n), n);
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

/* Until its handshake is over, or fails: then false. */
static inline bool peer_shake(struct peer *p, struct loop *l)
{
    for (uint64_t end = uv_hrtime() + PATIENCE;;) {
        assert_true(uv_hrtime() < end);
        ERR_clear_error();
        int rc = SSL_do_handshake(p->ssl);
        bool failed = rc != 1 && SSL_get_error(p->ssl, rc) != SSL_ERROR_WANT_READ;
        bool open = peer_send(p, l);
        uv_run(&l->uv, UV_RUN_NOWAIT);
        if (rc == 1 || failed || !open || !peer_hear(p)) {
            return rc == 1;
        }
    }
}

/* Plain text that comes until there are `len` bytes; fewer: the session ended. */
static inline size_t peer_read(struct peer *p, struct loop *l, char *out, size_t len)
{
    size_t got = 0;
    size_t n;
    for (uint64_t end = uv_hrtime() + PATIENCE; got < len;) {
        assert_true(uv_hrtime() < end);
        ERR_clear_error();
        if (SSL_read_ex(p->ssl, out + got, len - got, &n) == 1) {
            got += n;
        } else if (SSL_get_error(p->ssl, 0) != SSL_ERROR_WANT_READ || !peer_hear(p)) {
            break;
        }
        uv_run(&l->uv, UV_RUN_NOWAIT);
    }
    return got;
}

#endif
