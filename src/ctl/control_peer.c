/* A client's bytes are collected until a command is whole; then it waits for its turn. While its
 * answer is made or leaves, nothing more of this client is run, and what it sends meanwhile is kept
 * up to a bound. A client that has shut its sending side still gets its answers; a command that
 * such a client did not end with a line end is not run, because it may have been cut. */
#include "ctl/control_peer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/command_line.h"
#include "ctl/control.h"
#include "ctl/control_socket.h"
#include "net/conn.h"

#define LINE_MS        10000  /* for a whole command to come */
#define PROMPT_MS      600000 /* the same of somebody who is prompted */
#define WRITE_MS       10000  /* for the kernel to take a piece of an answer */
#define LINGER_MS      1000   /* for the client to read the end and to close */
#define PIECE_BYTES    32768
#define EVICT_AFTER_MS 1000 /* who sent nothing for so long makes room for others */

enum peer_state {
    PEER_READ,   /* waits for a whole command, or in `pending` for its turn */
    PEER_RUN,    /* waits for the command to answer */
    PEER_WRITE,  /* waits for the kernel to take the answer */
    PEER_LINGER, /* waits for the client to see the end and to close */
    PEER_CLOSED, /* waits for the close callback */
};

struct peer {
    struct list node;
    struct list pending;
    struct control_sockets *sockets; /* borrowed */
    struct conn conn;
    struct command_asker asker;
    struct deadline deadline;
    struct deadline_list *timer; /* where `deadline` is armed; NULL = nowhere */
    enum peer_state state;
    bool answered;     /* at least once */
    uint64_t since_ms; /* PEER_READ: for how long it has been waited for a command */
    char *in;          /* owned: what it sent, of which in_at bytes were run; NULL = nothing */
    size_t in_at;
    size_t in_len;
    struct text out; /* the answer, of which out_at bytes were written */
    size_t out_at;
};

static struct peer *peer_of(struct conn *c)
{
    return container_of(c, struct peer, conn);
}

static void arm(struct peer *p, struct deadline_list *list) /* NULL: disarm */
{
    if (p->timer != NULL && p->timer != list) {
        deadline_disarm(p->timer, &p->deadline);
    }
    p->timer = list;
    if (list != NULL) {
        deadline_arm(list, &p->deadline);
    }
}

/* Turns ------------------------------------------------------------------------------------- */

static void on_turn(uv_idle_t *turn);

/* Called after everything that changes `pending` or `kept`. */
static void give_turns(struct control_sockets *s)
{
    if (!list_empty(&s->pending) && s->kept < CONTROL_KEPT_MAX && !s->closing) {
        uv_idle_start(&s->turn, on_turn);
    } else {
        uv_idle_stop(&s->turn);
    }
}

/* The end of a peer ------------------------------------------------------------------------- */

static void forget_out(struct peer *p)
{
    p->sockets->kept -= p->out.len;
    text_free(&p->out);
    p->out_at = 0;
}

static void forget_in(struct peer *p)
{
    free(p->in);
    p->in = NULL;
    p->in_at = 0;
    p->in_len = 0;
}

static void close_peer(struct peer *p)
{
    if (p->state == PEER_CLOSED) {
        return;
    }
    p->state = PEER_CLOSED;
    p->sockets->open--;
    arm(p, NULL);
    list_remove(&p->pending);
    command_forget(&p->asker);
    forget_out(p);
    forget_in(p);
    conn_close(&p->conn);
    give_turns(p->sockets);
}

static void on_closed(struct conn *c)
{
    struct peer *p = peer_of(c);
    list_remove(&p->node);
    free(p);
}

/* It has all its answers. */
static void finish(struct peer *p)
{
    forget_in(p);
    p->state = PEER_LINGER;
    arm(p, &p->sockets->lingers);
    conn_finish(&p->conn);
    conn_resume(&p->conn, PAUSE_PEER_FULL);
    if (p->conn.eof) {
        close_peer(p);
    }
}

/* Commands and answers ---------------------------------------------------------------------- */

static void look(struct peer *p);

/* Writes on; at the end of the answer the next command is looked for. */
static void push(struct peer *p)
{
    while (p->out_at < p->out.len) {
        size_t left = p->out.len - p->out_at;
        size_t piece = left < PIECE_BYTES ? left : PIECE_BYTES;
        if (conn_write(&p->conn, p->out.data + p->out_at, piece) != 0) {
            close_peer(p);
            return;
        }
        p->out_at += piece;
        if (conn_queued(&p->conn) > 0) {
            arm(p, &p->sockets->writes);
            return;
        }
    }
    forget_out(p);
    p->answered = true;
    p->state = PEER_READ;
    look(p);
    give_turns(p->sockets);
}

/* p->out is whole. */
static void answer(struct peer *p)
{
    if (p->asker.quit) {
        text_free(&p->out);
        finish(p);
        return;
    }
    text_add(&p->out, "%s", p->asker.prompt ? "\n> " : "\n");
    p->sockets->kept += p->out.len;
    p->state = PEER_WRITE;
    push(p);
}

static void on_answer(struct command_asker *asker, struct text *text)
{
    struct peer *p = container_of(asker, struct peer, asker);
    assert(p->state == PEER_RUN);
    p->out = *text;
    *text = (struct text){0};
    answer(p);
}

static void refuse_long_line(struct peer *p)
{
    command_error(&p->asker, &p->out, "The command is too long, at most %d bytes may be",
                  CONTROL_LINE_MAX);
    forget_in(p);
    p->asker.prompt = false; /* it ends with this */
    conn_pause(&p->conn, PAUSE_PEER_FULL);
    answer(p);
}

/* The time runs from the first wish for it, however slowly it comes. */
static void wait_for_command(struct peer *p)
{
    struct deadline_list *timer = p->asker.prompt ? &p->sockets->prompts : &p->sockets->lines;
    if (p->timer != timer) {
        p->since_ms = loop_now_ms(p->conn.loop);
        arm(p, timer);
    }
    conn_resume(&p->conn, PAUSE_PEER_FULL);
}

/* What is to be done with what it sent so far? */
static void look(struct peer *p)
{
    size_t at = 0;
    struct control_sockets *s = p->sockets;
    if (p->in_at == p->in_len) {
        forget_in(p);
    }
    size_t left = p->in_len - p->in_at;
    bool whole = left > 0 && command_line_end(p->in + p->in_at, left, &at);
    if ((whole ? at : left) >= CONTROL_LINE_MAX) {
        refuse_long_line(p);
    } else if (whole) {
        arm(p, NULL);
        list_append(&s->pending, &p->pending);
        give_turns(s);
    } else if (p->conn.eof || (p->answered && !p->asker.prompt && p->in == NULL)) {
        finish(p);
    } else {
        wait_for_command(p);
    }
}

static bool is_blank(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r')) {
        i++;
    }
    return i == len;
}

/* The whole command that it sent first. Where somebody has had an answer, a command without words
 * is what follows a last ";", or the Enter of somebody who wants to see the prompt; at the
 * beginning it is a wish for help. */
static void run(struct peer *p)
{
    size_t len = 0;
    char *text = p->in + p->in_at;
    bool whole = command_line_end(text, p->in_len - p->in_at, &len);
    assert(whole && p->state == PEER_READ);
    (void)whole;
    bool enter = text[len] == '\n';
    p->in_at += len + 1;
    if (p->answered && is_blank(text, len)) {
        if (p->asker.prompt && enter) {
            answer(p);
        } else {
            look(p);
        }
        return;
    }
    p->state = PEER_RUN;
    command_run(&p->asker, text, len, &p->out);
    if (p->asker.ticket == NULL) {
        answer(p);
    }
}

static void on_turn(uv_idle_t *turn)
{
    struct control_sockets *s = container_of(turn, struct control_sockets, turn);
    struct peer *p = container_of(s->pending.next, struct peer, pending);
    list_remove(&p->pending);
    run(p);
    give_turns(s);
}

/* Callbacks --------------------------------------------------------------------------------- */

/* At most one receive buffer is kept beyond CONTROL_LINE_MAX, as reading stops then. */
static bool keep(struct peer *p, const char *data, size_t len)
{
    size_t left = p->in_len - p->in_at;
    char *grown = malloc(left + len);
    if (grown == NULL) {
        return false;
    }
    if (left > 0) {
        memcpy(grown, p->in + p->in_at, left);
    }
    memcpy(grown + left, data, len);
    forget_in(p);
    p->in = grown;
    p->in_len = left + len;
    if (p->in_len >= CONTROL_LINE_MAX) {
        conn_pause(&p->conn, PAUSE_PEER_FULL);
    }
    return true;
}

static void on_data(struct conn *c, const char *data, size_t len)
{
    struct peer *p = peer_of(c);
    if (p->state == PEER_LINGER) {
        return; /* LINGER_MS bounds it */
    }
    if (!keep(p, data, len)) {
        close_peer(p);
        return;
    }
    if (p->state == PEER_READ && list_empty(&p->pending)) {
        look(p);
    }
}

static void on_eof(struct conn *c)
{
    struct peer *p = peer_of(c);
    if (p->state == PEER_LINGER || (p->state == PEER_READ && list_empty(&p->pending))) {
        close_peer(p);
    }
}

static void on_drained(struct conn *c)
{
    struct peer *p = peer_of(c);
    if (p->state == PEER_WRITE) {
        push(p);
    }
}

static void on_error(struct conn *c, int status)
{
    (void)status;
    close_peer(peer_of(c));
}

static const struct conn_ops peer_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_drained = on_drained,
    .on_error = on_error,
    .on_closed = on_closed,
};

static void on_expired(struct deadline *d)
{
    close_peer(container_of(d, struct peer, deadline));
}

/* Beginning and end ----- */

/* Who waits longest for somebody to type, those that are prompted last; NULL if nobody waits. */
static struct peer *find_idle(struct control_sockets *s)
{
    struct peer *found = NULL;
    LIST_EACH(it, &s->peers)
    {
        struct peer *p = container_of(it, struct peer, node);
        bool idle = p->state == PEER_READ && list_empty(&p->pending) &&
                    loop_now_ms(&s->control->loop) - p->since_ms >= EVICT_AFTER_MS;
        bool better = found == NULL || (found->asker.prompt && !p->asker.prompt) ||
                      (found->asker.prompt == p->asker.prompt && p->since_ms < found->since_ms);
        found = idle && better ? p : found;
    }
    return found;
}

static void refuse(int fd)
{
    static const char words[] = "Too many connections, try again later.\n\n";
    /* What does not fit into a new socket's buffer has nobody who reads. */
    (void)!send(fd, words, sizeof(words) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

static struct peer *new_peer(struct socket_place *place, int fd)
{
    struct control_sockets *s = place->sockets;
    struct ucred who = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    socklen_t len = sizeof(who);
    struct peer *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        close(fd);
        return NULL;
    }
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len); /* unix(7) */
    p->sockets = s;
    p->asker = (struct command_asker){
        .control = s->control,
        .level = place->level,
        .uid = who.uid,
        .pid = who.pid,
        .on_answer = on_answer,
    };
    list_init(&p->pending);
    list_append(&s->peers, &p->node);
    deadline_init(&p->deadline);
    s->open++;
    return p;
}

void control_peer_accept(struct socket_place *place, int fd)
{
    struct control_sockets *s = place->sockets;
    if (s->open >= CONTROL_CONNECTIONS) {
        struct peer *idle = find_idle(s);
        if (idle != NULL) {
            close_peer(idle);
        }
    }
    if (s->closing || s->open >= CONTROL_CONNECTIONS) {
        refuse(fd);
        return;
    }
    struct peer *p = new_peer(place, fd);
    if (p == NULL) {
        return;
    }
    if (conn_open(&p->conn, &s->control->loop, &peer_ops, fd) != 0) {
        close_peer(p);
        return;
    }
    wait_for_command(p);
    conn_start(&p->conn);
}

void control_peers_init(struct control_sockets *s)
{
    struct loop *loop = &s->control->loop;
    uv_idle_init(&loop->uv, &s->turn);
    deadline_list_init(&s->lines, loop, LINE_MS, on_expired);
    deadline_list_init(&s->prompts, loop, PROMPT_MS, on_expired);
    deadline_list_init(&s->writes, loop, WRITE_MS, on_expired);
    deadline_list_init(&s->lingers, loop, LINGER_MS, on_expired);
}

void control_peers_close(struct control_sockets *s)
{
    LIST_EACH(it, &s->peers)
    {
        close_peer(container_of(it, struct peer, node));
    }
    uv_close((uv_handle_t *)&s->turn, NULL);
}
