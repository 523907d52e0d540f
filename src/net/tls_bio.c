/* A BIO (BIO_meth_new(3)) without memory of its own: it reads from what the conn lends, and gathers
 * what is to be sent on the loop's desk, so that a flight of a handshake and the records of one
 * write leave by one send(2). Never waits for the socket: the conn queues. */
#include <openssl/bio.h>
#include <string.h>
#include <uv.h>

#include "base/macros.h"
#include "net/conn_send.h"
#include "net/tls_session.h"

static BIO_METHOD *method; /* for the life of the process */

static int on_read(BIO *bio, char *out, size_t size, size_t *len)
{
    const struct tls *t = BIO_get_data(bio);
    struct tls_desk *d = t->desk;
    struct tls_bytes *in = d->in;
    BIO_clear_retry_flags(bio);
    if (UNLIKELY(tls_is_harassed(t))) {
        return 0; /* this ends SSL_read(3), which would go on to the last message otherwise */
    }
    if (in == NULL || in->len == 0) {
        BIO_set_retry_read(bio);
        d->starved = true;
        return 0;
    }
    *len = size < in->len ? size : in->len;
    memcpy(out, in->data, *len);
    in->data += *len;
    in->len -= *len;
    return 1;
}

static int on_write(BIO *bio, const char *data, size_t len, size_t *written)
{
    struct tls_desk *d = ((struct tls *)BIO_get_data(bio))->desk;
    BIO_clear_retry_flags(bio);
    if (len > sizeof d->out - d->out_len && tls_bio_flush(d, true) != 0) {
        return 0;
    }
    if (UNLIKELY(len > sizeof d->out)) {
        d->status = UV_E2BIG; /* no record is as long */
        return 0;
    }
    memcpy(d->out + d->out_len, data, len);
    d->out_len += len;
    *written = len;
    return 1;
}

static long on_control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "conn");
    if (method != NULL) {
        BIO_meth_set_read_ex(method, on_read);
        BIO_meth_set_write_ex(method, on_write);
        BIO_meth_set_ctrl(method, on_control);
    }
}

BIO *tls_bio_new(struct tls *t)
{
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, make_method);
    BIO *bio = method != NULL ? BIO_new(method) : NULL;
    if (bio != NULL) {
        BIO_set_data(bio, t);
        BIO_set_init(bio, 1);
    }
    return bio;
}

struct tls *tls_of(const SSL *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}

int tls_bio_flush(struct tls_desk *d, bool more)
{
    size_t len = d->out_len;
    d->out_len = 0;
    if (len > 0 && d->status == 0) {
        d->status = conn_send(d->conn, d->out, len, more);
    }
    return d->status;
}
