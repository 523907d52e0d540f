/* Logins that nobody waits for: their clients have gone. They are brought to an end all the same,
 * because servers count those that break off against our address (max_connect_errors). */
#include <stdlib.h>

#include "base/macros.h"
#include "core/finisher.h"
#include "core/mysql_link.h"
#include "core/mysql_seen.h"
#include "proto/mysql_crypt.h"

#define GONE "router_client_has_gone"

static void send_or_close(struct mysql_link *l, const struct mysql_writer *w)
{
    if (w->full || (w->len > 0 && conn_write(&l->base.conn, (const char *)w->data, w->len) != 0)) {
        mysql_link_close(l);
    }
}

/* Somebody who does not exist is refused, whatever the server asks first. */
void mysql_abandoned_log_in(struct mysql_link *l)
{
    unsigned char packet[256];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    struct mysql_request nobody = {.charset = l->charset != 0 ? l->charset : MYSQL_CHARSET,
                                   .user = {GONE, sizeof GONE - 1}};
    uint32_t caps = mysql_caps_login(0) & l->capabilities;
    l->prove = calloc(1, sizeof *l->prove);
    if (l->prove == NULL) {
        mysql_link_close(l);
        return;
    }
    mysql_write_login(&w, l->sequence, caps, &nobody);
    mysql_prove_begin(l->prove, 0, (unsigned char)(l->sequence + 1), MYSQL_LEG_TLS, MYSQL_LEG_TLS,
                      NULL);
    send_or_close(l, &w);
}

static void answer_in_its_place(struct mysql_link *l, const void *payload, size_t len)
{
    size_t size = MYSQL_KEY_MAX;
    unsigned char *out = malloc(size);
    struct mysql_writer w = {.data = out, .size = size};
    if (out == NULL) {
        mysql_link_close(l);
        return;
    }
    unsigned char sequence = payload != NULL ? mysql_inbox_sequence(&l->inbox) : 0;
    enum mysql_prove_step step = mysql_prove_abandoned(l->prove, sequence, payload, len, &w);
    if (step == MYSQL_PROVE_SERVER || step == MYSQL_PROVE_CLIENT) {
        send_or_close(l, &w);
    } else {
        mysql_link_close(l);
    }
    free(out);
}

void mysql_abandoned_answer(struct mysql_link *l)
{
    answer_in_its_place(l, l->inbox.payload, l->inbox.length);
}

void mysql_abandoned_begin(struct mysql_link *l, const struct mysql_prove *prove)
{
    struct worker_server *ws = l->worker->servers[l->base.config->id];
    if (ws->mysql_abandoned >= FINISHERS_MAX || l->worker->stopping) {
        mysql_link_close(l);
        return;
    }
    ws->mysql_abandoned++;
    l->state = MYSQL_LINK_ABANDONED;
    mysql_link_seen(l);
    conn_resume(&l->base.conn, PAUSE_PEER_FULL | PAUSE_HOLD);
    mysql_link_arm(l, &l->worker->mysql_abandoned);
    if (prove == NULL) {
        return;
    }
    l->prove = malloc(sizeof *l->prove);
    if (l->prove == NULL) {
        mysql_link_close(l);
        return;
    }
    *l->prove = *prove;
    answer_in_its_place(l, NULL, 0);
}
