/* A client reads one request, gets its answer, and only then is the next one looked at: what it had
 * sent already waits in `rest` while reading is paused. Such pipelined requests are answered one in
 * each turn of the loop, so that probes and elections never stand behind them.
 *
 * Who gets a place is in admin_room.c. */
#include "ctl/admin.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ctl/admin_client.h"
#include "ctl/answer.h"
#include "ctl/control.h"

#define LINGER_MS    1000  /* for the last answer to arrive */
#define LINGER_BYTES 65536 /* thrown away meanwhile */
#define REST_MS      100   /* after running out of descriptors */
#define LOOK_MS      100   /* how often it is looked whether somebody has become slow */

static struct client *client_of(struct conn *c)
{
    return container_of(c, struct client, conn);
}

/* The end of a client ----------------------------------------------------------------------- */

static void release(struct admin *a)
{
    if (--a->handles == 0) {
        deadline_list_remove(&a->requests);
        deadline_list_remove(&a->lingers);
        deadline_list_remove(&a->rests);
        deadline_list_remove(&a->looks);
        authorizer_release(&a->authorizer);
        free(a);
    }
}

static void forget_rest(struct client *client)
{
    if (client->rest != NULL) {
        wipe(client->rest, client->rest_len); /* passwords may be in it */
    }
    free(client->rest);
    client->rest = NULL;
    list_remove(&client->pending);
}

/* Not in CLIENT_WRITE any more. */
static void was_read(struct client *client)
{
    client->admin->unsent -= client->unsent;
    client->unsent = 0;
}

/* No call may follow for this client but on_closed. */
static void leave(struct client *client)
{
    struct admin *a = client->admin;
    was_read(client);
    deadline_disarm(client->state == CLIENT_LINGER ? &a->lingers : &a->requests, &client->deadline);
    forget_rest(client);
    client->state = CLIENT_CLOSED;
    a->open--;
}

static void close_client(struct client *client)
{
    if (client->state != CLIENT_CLOSED) {
        leave(client);
        conn_close(&client->conn);
    }
}

static void on_closed(struct conn *c)
{
    struct client *client = client_of(c);
    struct admin *a = client->admin;
    list_remove(&client->node);
    http_request_forget(&client->request);
    free(client);
    release(a);
}

/* A close with unread bytes would be a reset, which may overtake the answer: so the sending side is
 * shut and the client gets a moment to read and to close (RFC 9112, section 9.6). */
static void linger(struct client *client)
{
    struct admin *a = client->admin;
    deadline_disarm(&a->requests, &client->deadline);
    deadline_arm(&a->lingers, &client->deadline);
    forget_rest(client);
    client->state = CLIENT_LINGER;
    conn_finish(&client->conn);
    conn_resume(&client->conn, PAUSE_PEER_FULL);
    if (client->conn.eof) {
        close_client(client);
    }
}

/* Requests and answers ---------------------------------------------------------------------- */

static void on_turn(uv_idle_t *turn);

static void answer_later(struct client *client)
{
    struct admin *a = client->admin;
    list_append(&a->pending, &client->pending);
    uv_idle_start(&a->turn, on_turn);
}

/* The answer has left. */
static void next_request(struct client *client)
{
    was_read(client);
    if (client->last) {
        linger(client);
        return;
    }
    client->state = CLIENT_READ;
    client->answered = true;
    deadline_arm(&client->admin->requests, &client->deadline);
}

/* The kernel did not take all of an answer. Those that stall together would hold answers without
 * bound, so the slowest of them go. */
static void wait_for_reader(struct client *client)
{
    struct admin *a = client->admin;
    client->state = CLIENT_WRITE;
    conn_pause(&client->conn, PAUSE_PEER_FULL);
    client->unsent = conn_queued(&client->conn);
    a->unsent += client->unsent;
    while (a->unsent > ADMIN_UNSENT_BYTES && a->unsent > client->unsent) {
        struct client *victim = admin_slowest(a, CLIENT_WRITE, 0);
        assert(victim != NULL); /* `client` is one of them */
        leave(victim);
        conn_reset(&victim->conn);
        if (victim == client) {
            return;
        }
    }
}

/* Takes the answer's memory. */
static void send_answer(struct client *client, struct text *answer)
{
    int rc = conn_write(&client->conn, answer->data, answer->len);
    text_free(answer);
    if (rc != 0) {
        close_client(client);
    } else if (conn_queued(&client->conn) == 0) {
        next_request(client);
    } else {
        wait_for_reader(client);
    }
}

static void refuse(struct client *client, int status)
{
    struct text answer = {0};
    client->last = true;
    answer_refusal(status, &answer);
    send_answer(client, &answer);
}

static void answer(struct client *client)
{
    struct admin *a = client->admin;
    const struct http_request *r = &client->request;
    struct text answer = {0};
    int refusal = 0;
    client->last = !r->keep_alive;
    if (!answer_is_open(a->control, r)) {
        refusal = authorizer_check(&a->authorizer, r, &client->from, client->trusted,
                                   loop_now_ms(&a->control->loop));
        client->trusted = client->trusted || refusal == 0;
    }
    answer_request(a->control, r, refusal, &answer);
    http_request_forget(&client->request);
    send_answer(client, &answer);
}

/* At most one request; returns the bytes used. */
static size_t take_request(struct client *client, const char *data, size_t len)
{
    size_t used;
    enum http_step step = http_request_feed(&client->request, data, len, &used);
    if (step == HTTP_STEP_BAD) {
        refuse(client, client->request.status);
    } else if (step == HTTP_STEP_DONE) {
        answer(client);
    }
    return used;
}

/* Keeps what was sent ahead; it is at most one receive buffer, as reading stops. */
static void keep_rest(struct client *client, const char *data, size_t len)
{
    client->rest = malloc(len);
    if (client->rest == NULL) {
        close_client(client);
        return;
    }
    memcpy(client->rest, data, len);
    client->rest_at = 0;
    client->rest_len = len;
    conn_pause(&client->conn, PAUSE_PEER_FULL);
    if (client->state == CLIENT_READ) {
        answer_later(client);
    }
}

static void take_rest(struct client *client)
{
    client->rest_at +=
        take_request(client, client->rest + client->rest_at, client->rest_len - client->rest_at);
    if (client->rest == NULL) { /* it was the last answer */
        return;
    }
    bool more = client->rest_at < client->rest_len;
    if (!more) {
        forget_rest(client);
    }
    if (client->state == CLIENT_READ && more) {
        answer_later(client);
    } else if (client->state == CLIENT_READ) {
        conn_resume(&client->conn, PAUSE_PEER_FULL);
    }
}

static void on_turn(uv_idle_t *turn)
{
    struct admin *a = container_of(turn, struct admin, turn);
    if (!list_empty(&a->pending)) {
        struct client *client = container_of(a->pending.next, struct client, pending);
        list_remove(&client->pending);
        take_rest(client);
        admin_watch(a);
    }
    if (list_empty(&a->pending)) {
        uv_idle_stop(&a->turn);
    }
}

/* Callbacks --------------------------------------------------------------------------------- */

static void on_data(struct conn *c, const char *data, size_t len)
{
    struct client *client = client_of(c);
    if (client->state == CLIENT_LINGER) {
        client->discarded += len;
        if (client->discarded > LINGER_BYTES) {
            close_client(client);
        }
    } else if (client->state == CLIENT_READ) {
        size_t used = take_request(client, data, len);
        bool goes_on = client->state == CLIENT_READ || client->state == CLIENT_WRITE;
        if (used < len && goes_on && !client->last) {
            keep_rest(client, data + used, len - used);
        }
    }
    admin_watch(client->admin);
}

static void on_eof(struct conn *c)
{
    close_client(client_of(c)); /* nothing is queued: else it would not be read */
    admin_watch(client_of(c)->admin);
}

static void on_drained(struct conn *c)
{
    struct client *client = client_of(c);
    if (client->state != CLIENT_WRITE) {
        return;
    }
    next_request(client);
    if (client->state == CLIENT_READ && client->rest != NULL) {
        answer_later(client);
    } else if (client->state == CLIENT_READ) {
        conn_resume(c, PAUSE_PEER_FULL);
    }
    admin_watch(client->admin);
}

static void on_error(struct conn *c, int status)
{
    (void)status;
    close_client(client_of(c));
    admin_watch(client_of(c)->admin);
}

static const struct conn_ops client_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

static void on_request_expired(struct deadline *d)
{
    struct client *client = container_of(d, struct client, deadline);
    if (client->state == CLIENT_WRITE) {
        leave(client);
        conn_reset(&client->conn);
    } else if (http_request_begun(&client->request)) {
        refuse(client, 408);
    } else {
        close_client(client);
    }
    admin_watch(client->admin);
}

static void on_linger_expired(struct deadline *d)
{
    struct client *client = container_of(d, struct client, deadline);
    close_client(client);
    admin_watch(client->admin);
}

static void on_rested(struct deadline *d)
{
    admin_watch(container_of(d, struct admin, rest));
}

static void on_look(struct deadline *d)
{
    admin_watch(container_of(d, struct admin, look));
}

static void on_accept(struct listener *l, int fd, const struct address *from)
{
    struct admin *a = container_of(l, struct admin, listener);
    struct client *client = a->closing ? NULL : calloc(1, sizeof(*client));
    if (client == NULL) {
        close(fd);
        return;
    }
    if (a->open >= ADMIN_CONNECTIONS) {
        close_client(
            admin_who_makes_room(a)); /* there is one, else the listener were not watched */
    }
    client->admin = a;
    client->from = *from;
    list_append(&a->clients, &client->node);
    list_init(&client->pending);
    deadline_init(&client->deadline);
    http_request_init(&client->request);
    a->handles++;
    a->open++;
    if (conn_open(&client->conn, &a->control->loop, &client_ops, fd) != 0) {
        leave(client); /* the conn closes itself */
        return;
    }
    deadline_arm(&a->requests, &client->deadline);
    conn_start(&client->conn);
    admin_watch(a);
}

static void on_exhausted(struct listener *l, int status)
{
    struct admin *a = container_of(l, struct admin, listener);
    static struct log_gate gate;
    log_limited(&gate, 1, LOG_LEVEL_WARN, "the admin address cannot accept: %s",
                uv_strerror(status));
    a->watching = false;
    deadline_arm(&a->rests, &a->rest);
}

static void on_listener_closed(struct listener *l)
{
    release(container_of(l, struct admin, listener));
}

static void on_turn_closed(uv_handle_t *handle)
{
    release(container_of((uv_idle_t *)handle, struct admin, turn));
}

/* Beginning and end ------------------------------------------------------------------------- */

struct admin *admin_new(struct control *c, int fd)
{
    struct admin *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        close(fd);
        return NULL;
    }
    a->control = c;
    a->listener.on_accept = on_accept;
    a->listener.on_exhausted = on_exhausted;
    a->listener.on_closed = on_listener_closed;
    if (listener_start(&a->listener, &c->loop, fd) != 0) {
        free(a);
        return NULL;
    }
    a->watching = true;
    uv_idle_init(&c->loop.uv, &a->turn);
    a->handles = 2;
    list_init(&a->pending);
    list_init(&a->clients);
    deadline_list_init(&a->requests, &c->loop, ADMIN_REQUEST_MS, on_request_expired);
    deadline_list_init(&a->lingers, &c->loop, LINGER_MS, on_linger_expired);
    deadline_list_init(&a->rests, &c->loop, REST_MS, on_rested);
    deadline_list_init(&a->looks, &c->loop, LOOK_MS, on_look);
    deadline_init(&a->rest);
    deadline_init(&a->look);
    admin_adopt(a);
    return a;
}

void admin_adopt(struct admin *a)
{
    authorizer_set(&a->authorizer, &a->control->config->router);
}

void admin_leave(struct admin *a)
{
    listener_leave(&a->listener);
}

unsigned admin_clients(const struct admin *a)
{
    return a->open;
}

int admin_fd(const struct admin *a)
{
    return a->listener.fd;
}

void admin_look_at_files(struct admin *a)
{
    authorizer_look(&a->authorizer);
}

void admin_close(struct admin *a)
{
    if (a->closing) {
        return;
    }
    a->closing = true;
    deadline_disarm(&a->rests, &a->rest);
    deadline_disarm(&a->looks, &a->look);
    LIST_EACH(it, &a->clients)
    {
        close_client(container_of(it, struct client, node));
    }
    listener_close(&a->listener);
    uv_close((uv_handle_t *)&a->turn, on_turn_closed);
}
