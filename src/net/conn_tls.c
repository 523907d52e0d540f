/* A conn under TLS. While it shakes hands its owner hears nothing; then what the session makes of
 * received bytes is the owner's data. The tls lives until the close callback, because the owner may
 * close in any call: each is followed by a look at `open`. */
#include <uv.h>

#include "base/macros.h"
#include "net/conn.h"
#include "net/conn_send.h"
#include "net/loop.h"
#include "net/tls_session.h"

int conn_secure(struct conn *c, struct tls *t, const char *first, size_t len)
{
    loop_assert(c->loop);
    assert(c->tls == NULL);
    if (!c->open || c->finish_wanted || c->eof) {
        tls_free(t);
        return c->eof ? UV_EOF : UV_EPIPE;
    }
    c->tls = t;
    t->desk = &c->loop->tls;
    struct tls_bytes in = {first, len};
    int rc = tls_shake(t, c, &in);
    return rc == TLS_READY ? UV_EPROTO : rc; /* nobody can answer what was not said yet */
}

bool conn_is_secured(const struct conn *c)
{
    return c->secured;
}

const char *conn_why(const struct conn *c)
{
    const struct tls_desk *d = &c->loop->tls;
    return d->why_of == c ? d->why : "";
}

/* True when the handshake is over and the owner has not closed when it heard so. */
static bool shake_hands(struct conn *c, struct tls_bytes *in)
{
    int rc = tls_shake(c->tls, c, in);
    if (rc < 0) {
        c->ops->on_error(c, rc);
    } else if (rc == TLS_READY) {
        c->secured = true;
        c->ops->on_secured(c);
    }
    return rc == TLS_READY && c->open;
}

/* After a close_notify the peer has nothing more to say; what it sends all the same is not read. */
static void end_reading(struct conn *c)
{
    if (c->pauses == 0) {
        uv_read_stop((uv_stream_t *)&c->uv);
    }
    c->reading = false;
    c->eof = true;
    c->ops->on_eof(c);
}

void conn_tls_data(struct conn *c, const char *data, size_t len)
{
    struct tls_bytes in = {data, len};
    if (UNLIKELY(!c->secured) && !shake_hands(c, &in)) {
        return;
    }
    int rc;
    do {
        size_t plain;
        rc = tls_read(c->tls, c, &in, &plain);
        if (plain > 0) {
            c->ops->on_data(c, c->loop->tls.plain, plain);
        }
    } while (c->open && rc == TLS_FULL);
    if (LIKELY(rc == TLS_WAITS) || !c->open) {
        return;
    }
    if (rc == UV_EOF) {
        end_reading(c);
    } else {
        c->ops->on_error(c, rc);
    }
}

void conn_tls_eof(struct conn *c)
{
    if (!c->secured) {
        tls_explain(&c->loop->tls, c, "the connection was closed in the TLS handshake");
        c->ops->on_error(c, UV_EOF);
        return;
    }
    c->abrupt = true;
    c->eof = true;
    c->ops->on_eof(c);
}

int conn_tls_write(struct conn *c, const char *data, size_t len)
{
    return LIKELY(c->secured) ? tls_write(c->tls, c, data, len) : UV_EPROTO;
}

void conn_tls_finish(struct conn *c)
{
    if (c->secured) {
        tls_say_end(c->tls, c);
    }
}

void conn_tls_begin(struct conn *c)
{
    if (c->loop->tls.why_of == c) {
        c->loop->tls.why_of = NULL; /* of another one that was here before */
    }
}

void conn_tls_release(struct conn *c)
{
    tls_free(c->tls);
    c->tls = NULL;
}
