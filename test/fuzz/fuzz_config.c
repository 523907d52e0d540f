/* libFuzzer: whatever a file holds, loading it ends with a whole configuration or with messages. A
 * configuration that loads keeps its promises, and its dump loads again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/config.h"
#include "model/sni.h"
#include "router_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool promise)
{
    if (!promise) {
        abort();
    }
}

static void check_edge(const struct config *c, const struct frontend_config *f)
{
    need(f->tls == TLS_MODE_NO || f->tls_certs.count > 0);
    need(f->tls_keys.count == 0 || f->tls_keys.count == f->tls_certs.count);
    need(f->handshake_timeout >= 100 && f->max_handshakes > 0);
    for (size_t i = 0; i < f->sni.count; i++) {
        const struct sni_rule *rule = &f->sni.items[i];
        char name[SNI_HOST_MAX + 3];
        snprintf(name, sizeof(name), "%s%s", rule->wildcard ? "x." : "", rule->host);
        need(sni_host_valid(rule->host) && rule->backend < c->backend_count);
        need(rule->route > ROUTE_AUTO && rule->route < ROUTE_COUNT);
        const struct sni_rule *found = sni_find(&f->sni, name);
        /* Another one may be about exactly this name. */
        need(found != NULL && (found == rule || (rule->wildcard && !found->wildcard)));
    }
}

static void check_routes(const struct config *c)
{
    need(c->frontend_count > 0);
    for (size_t i = 0; i < c->frontend_count; i++) {
        const struct frontend_config *f = &c->frontends[i];
        need(f->index == i && f->binds.count > 0 && f->backend < c->backend_count);
        need(f->route > ROUTE_AUTO && f->route < ROUTE_COUNT);
        check_edge(c, f);
    }
}

static void check_probes(const struct backend_config *b)
{
    need(b->probe_port <= 65535 && b->patroni <= 65535);
    need(b->sentinels.count == 0 || b->sentinel_master != NULL);
    need(b->http_check.method == NULL ||
         (b->http_check.method[0] != '\0' && b->http_check.target[0] != '\0'));
    need(b->http_expect.count > 0 && b->http_expect.count <= HTTP_EXPECT_MAX);
    for (unsigned i = 0; i < b->http_expect.count; i++) {
        need(b->http_expect.ranges[i].first >= 100 && b->http_expect.ranges[i].last <= 599);
        need(b->http_expect.ranges[i].first <= b->http_expect.ranges[i].last);
    }
}

static void check_servers(const struct config *c)
{
    size_t id = 0;
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct backend_config *b = &c->backends[i];
        need(b->index == i && b->protocol != NULL && b->servers.count > 0);
        check_probes(b);
        need(b->probe_tls != PROBE_TLS_AUTO && (b->tls_key == NULL || b->tls_cert != NULL));
        need(b->queue_timeout > 0 && b->connect_timeout > 0 && b->probe_timeout > 0);
        for (size_t j = 0; j < b->servers.count; j++) {
            const struct server_config *s = &b->servers.items[j];
            need(s->id == id++ && s->weight >= 1 && s->weight <= 256);
            need(s->name[0] != '\0' && s->address.len > 0);
        }
    }
    need(id == c->server_count);
}

/* A dump without its passwords lacks what users need, and may hold "${" from a variable. */
static bool can_be_fed_back(const struct config *c, const char *text)
{
    for (size_t i = 0; i < c->backend_count; i++) {
        if (c->backends[i].probe_user != NULL || c->backends[i].sentinel_user != NULL) {
            return false;
        }
    }
    return strstr(text, "${") == NULL;
}

static void check_dump(const struct config *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_dump(c, out);
    fclose(out);
    if (can_be_fed_back(c, text)) {
        struct text errors = {0};
        struct config *again;
        int rc = config_load_text("dump", text, len, &again, &errors);
        need(rc == 0);
        need(again->server_count == c->server_count);
        config_free(again);
        text_free(&errors);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c;
    struct text errors = {0};
    /* Of exactly this size: an over-read is seen. */
    char *copy = malloc(size > 0 ? size : 1);
    need(copy != NULL);
    memcpy(copy, data, size);
    int rc = config_load_text("fuzz.ini", copy, size, &c, &errors);
    free(copy);
    need((rc == 0) == (errors.len == 0) && (rc == 0) == (c != NULL));
    if (rc == 0) {
        check_routes(c);
        check_servers(c);
        check_dump(c);
    }
    config_free(c);
    text_free(&errors);
    return 0;
}
