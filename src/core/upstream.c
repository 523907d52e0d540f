#include "core/upstream.h"

#include "core/session.h"
#include "net/proxy_header.h"
#include "net/tls.h"

static const struct server_config *config_of(const struct worker *w, size_t backend, size_t server)
{
    return &w->config->backends[backend].servers.items[server];
}

/* The client's addresses as its PROXY header had them, or as its socket has. A client that is gone
 * by now, or came over a unix socket, has none: the connection is then one of our own. */
static size_t build_header(enum send_proxy wanted, const struct session *s,
                           char out[PROXY_HEADER_OUT_MAX])
{
    enum proxy_version version = wanted == SEND_PROXY_V1 ? PROXY_V1 : PROXY_V2;
    struct origin socket;
    if (s != NULL && s->origin != NULL) {
        return proxy_header_build(out, version, &s->origin->from, &s->origin->to);
    }
    bool known =
        s != NULL && conn_peer(&s->client, &socket.from) && conn_own(&s->client, &socket.to);
    return proxy_header_build(out, version, known ? &socket.from : NULL, &socket.to);
}

int upstream_secure(struct worker *w, size_t backend, size_t server, struct conn *c)
{
    const struct server_config *config = config_of(w, backend, server);
    char host[ADDRESS_NAME_MAX];
    address_peer_name(&config->address, config->host, host);
    struct tls *tls = tls_connect(w->backends[backend]->tls, host, &w->servers[config->id]->resume);
    if (tls == NULL) {
        return UV_ENOMEM;
    }
    int rc = conn_secure(c, tls, NULL, 0);
    return rc == 0 ? UPSTREAM_PENDING : rc;
}

int upstream_begin(struct worker *w, size_t backend, size_t server, struct conn *c,
                   const struct session *s)
{
    const struct backend_config *b = &w->config->backends[backend];
    if (b->send_proxy != SEND_PROXY_NO) {
        char header[PROXY_HEADER_OUT_MAX];
        int rc = conn_write(c, header, build_header(b->send_proxy, s, header));
        if (rc != 0) {
            return rc;
        }
    }
    if (!b->tls || b->protocol->tls_greeted) {
        return UPSTREAM_READY;
    }
    const struct tls_upgrade *upgrade = b->protocol->upgrade;
    if (upgrade == NULL) {
        return upstream_secure(w, backend, server, c);
    }
    int rc = conn_write(c, upgrade->request, upgrade->request_len);
    return rc == 0 ? UPSTREAM_PENDING : rc;
}

/* One byte and not one more: what came in the clear behind it is not the server's. */
int upstream_data(struct worker *w, size_t backend, size_t server, struct conn *c, const char *data,
                  size_t len)
{
    const struct tls_upgrade *upgrade = w->config->backends[backend].protocol->upgrade;
    bool agreed = upgrade != NULL && c->tls == NULL && len == 1 && data[0] == upgrade->yes;
    return agreed ? upstream_secure(w, backend, server, c) : UV_EPROTONOSUPPORT;
}

void upstream_secured(struct worker *w, size_t backend, size_t server, const struct conn *c)
{
    struct server_counters *counters = w->metrics.servers[config_of(w, backend, server)->id];
    metric_add(&counters->at[SERVER_TLS_HANDSHAKES], 1);
    if (tls_is_resumed(c->tls)) {
        metric_add(&counters->at[SERVER_TLS_RESUMED], 1);
    }
}

bool upstream_is_our_want(int status)
{
    return status == UV_EMFILE || status == UV_ENFILE || status == UV_ENOBUFS ||
           status == UV_ENOMEM || status == UV_EADDRNOTAVAIL;
}
