/* Every call of the owner is the last thing that a function here does, or is followed by a look at
 * `closing`: the owner may have closed the wire in it. */
#include "net/wire.h"

#include <uv.h>

#include "base/macros.h"
#include "net/loop.h"

#define PLAIN_BYTES 4096

static struct wire *wire_of(struct conn *c)
{
    return container_of(c, struct wire, conn);
}

/* What TLS wants to say: records, its handshake, an alert. */
static int flush(struct wire *w)
{
    size_t len;
    const char *cipher = tls_output(w->tls, &len);
    return len > 0 ? conn_write(&w->conn, cipher, len) : 0;
}

static void on_connected(struct conn *c)
{
    struct wire *w = wire_of(c);
    w->ops->on_connected(w);
}

static void take_plain(struct wire *w)
{
    char plain[PLAIN_BYTES];
    size_t len;
    while (!w->closing && (len = tls_read(w->tls, plain, sizeof plain)) > 0) {
        w->ops->on_data(w, plain, len);
    }
}

static void on_cipher(struct wire *w, const char *data, size_t len)
{
    int rc = tls_feed(w->tls, data, len);
    int sent = flush(w);
    if (rc == UV_EPROTO || sent != 0) {
        w->ops->on_gone(w, rc == UV_EPROTO ? rc : sent);
        return;
    }
    if (!w->secured && tls_is_ready(w->tls)) {
        w->secured = true;
        w->ops->on_secured(w);
    }
    take_plain(w);
    if (rc == UV_EOF && !w->closing) {
        w->ops->on_gone(w, UV_EOF);
    }
}

static void on_data(struct conn *c, const char *data, size_t len)
{
    struct wire *w = wire_of(c);
    if (w->tls != NULL) {
        on_cipher(w, data, len);
    } else {
        w->ops->on_data(w, data, len);
    }
}

static void on_eof(struct conn *c)
{
    struct wire *w = wire_of(c);
    w->ops->on_gone(w, UV_EOF);
}

static void on_drained(struct conn *c)
{
    (void)c; /* questions are small: nothing waits for room */
}

static void on_error(struct conn *c, int status)
{
    struct wire *w = wire_of(c);
    w->ops->on_gone(w, status);
}

static void on_closed(struct conn *c)
{
    struct wire *w = wire_of(c);
    tls_free(w->tls);
    w->tls = NULL;
    w->ops->on_closed(w);
}

static const struct conn_ops conn_ops = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

int wire_open(struct wire *w, struct loop *l, const struct wire_ops *ops, const struct address *to,
              const struct conn_tcp *tcp)
{
    loop_assert(l);
    *w = (struct wire){.ops = ops};
    return conn_connect(&w->conn, l, &conn_ops, to, tcp);
}

int wire_secure(struct wire *w, struct tls_context *context, const char *host, bool tolerant)
{
    w->tls = tls_new(context, host);
    if (w->tls == NULL) {
        return UV_ENOMEM;
    }
    if (tolerant) {
        tls_tolerate(w->tls);
    }
    return flush(w);
}

bool wire_is_trusted(const struct wire *w)
{
    return tls_is_trusted(w->tls);
}

int wire_write(struct wire *w, const char *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (w->tls == NULL) {
        return conn_write(&w->conn, data, len);
    }
    int rc = tls_write(w->tls, data, len);
    return rc == 0 ? flush(w) : rc;
}

void wire_finish(struct wire *w)
{
    conn_finish(&w->conn);
}

void wire_close(struct wire *w)
{
    w->closing = true;
    conn_close(&w->conn);
}

const char *wire_why(const struct wire *w)
{
    return w->tls != NULL ? tls_why(w->tls) : "";
}
