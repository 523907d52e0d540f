/* A client of a frontend with pool_mode: the part of its session that speaks Redis. It keeps what
 * the client sent until it is answered, sends each command to the connection that it needs, and
 * gives the replies back in their order: what is in flight of a client is on one link at any time,
 * and before it goes on to another one, all of it is answered.
 *
 * It outlives its session until the replies to what it had in flight have been thrown away. */
#ifndef ROUTER_CORE_POOLED_H
#define ROUTER_CORE_POOLED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "core/pool.h"
#include "proto/redis_catalog.h"
#include "proto/redis_request.h"

struct redis_channels;
struct redo;
struct session;
struct slow_large;
struct worker;

#define POOLED_KEPT_MAX       (16 * 1024) /* a longer command is passed on as it comes */
#define POOLED_FLYING_MAX     256         /* on a shared link; who has more gets one of its own */
#define POOLED_OWN_FLYING_MAX 4096
#define POOLED_QUEUED_MAX     (64 * 1024) /* replies that it does not read: then its link waits */
#define POOLED_TRIES_MAX      3           /* then a command may be what kills its server */

/* Why a link is lent to it, from the first one that must be told to people on. */
enum pin {
    PIN_TRANSACTION = 1,
    PIN_WATCH = 2,
    PIN_BLOCKING = 4,
    PIN_WAIT = 8,
    PIN_SUBSCRIBE = 16,
    PIN_TRACKING = 32,
    PIN_STATE = 64,
    PIN_RAW = 128,
    PIN_LARGE = 256,
    PIN_PIPELINE = 512,
    PIN_LOGIN = 1024,
    PIN_SESSION = 2048, /* pool_mode = session */
};

struct pooled {
    struct session *session; /* NULL once that has ended */
    struct worker *worker;
    struct pool *pool;      /* counted in its `users`; NULL = none yet */
    struct pool_link *link; /* where its commands are in flight, or that is lent to it */
    struct list held;       /* in worker_backend.held, while it waits for a link */
    struct list touched;    /* in worker.touched: replies came for it in this turn */
    struct identity identity;
    struct identity proving;    /* what AUTH, HELLO or SELECT, that is in flight, will make it */
    struct credential *judging; /* that of `proving`, while its link is one that others share */
    struct redis_channels *channels; /* owned: what it is subscribed to; NULL = nothing */
    struct redo *redo;               /* owned: of its commands that came back; NULL = none */
    struct slow_large *larges;       /* owned: of its commands that are not kept, in their order */
    char *bytes;                     /* owned: commands from the first unanswered one on */
    uint32_t head;                   /* where that begins */
    uint32_t sent;                   /* up to there they are in flight */
    uint32_t len, room;
    struct redis_request request; /* the one at `sent` */
    const char *span;             /* replies of this turn, borrowed: one piece */
    size_t span_len;
    char *gathered; /* owned: pieces before it */
    size_t gathered_len, gathered_room;
    char *name;               /* owned: by CLIENT SETNAME; NULL = none */
    char *next_name;          /* owned: the same, from EXEC on */
    const char *nonsense;     /* what is wrong with what it sent; NULL = nothing */
    uint64_t pinned_ms;       /* since when its last pin */
    uint64_t wrote_ms;        /* when its last write was answered */
    uint64_t rest_until_ms;   /* its server could not: so long, or until another topology */
    uint64_t rest_generation; /* of this one */
    unsigned flying;
    uint32_t refuse_until; /* commands up to there waited too long */
    uint16_t pins;         /* enum pin */
    uint16_t seen_as;      /* what of it is counted, see core/pool_seen.h */
    uint8_t kind;          /* of the command at `sent`, once it is whole */
    uint8_t access;
    bool whole; /* it is, and those are known */
    bool secret;
    bool known;
    bool hog;        /* it had as much in flight as others may have to wait for */
    bool streaming;  /* the command at `sent` is passed on as it comes */
    bool multi_sent; /* between a MULTI and an EXEC that were sent */
    bool queued;     /* it waits, and its deadline runs */
    bool counted;    /* the same, and it has a place in the queue */
    bool split;      /* route = split */
    bool session_mode;
    bool stateful;     /* it has sent what may have left something behind on its link */
    bool holding;      /* what is in flight comes back, to be sent again */
    bool multi_lost;   /* with its server: what follows up to EXEC is not carried out */
    bool watch_lost;   /* the same, so that the next EXEC must fail */
    bool multi_void;   /* that MULTI was accepted, by the router */
    bool multi_bad;    /* its server has refused a part of it, and EXEC */
    bool resubscribe;  /* on another link, before anything else */
    bool ending;       /* after QUIT: closes when all is answered */
    uint8_t tries;     /* how often links were lost when its first command was to be answered */
    uint8_t tracking;  /* which of TRACKING, NO-EVICT, NO-TOUCH are on, a bit each */
    uint8_t cursor_at; /* which word of a SCAN or its kin is the cursor */
    bool resetting;    /* RESET is in flight: what comes next finds a new connection */
    uint16_t cursor_server; /* + 1: where its cursors are; 0 = none */
    uint16_t read_server;   /* + 1: the replica that it reads from */
};

/* For the session ---------------------------------------------------------------------------- */

bool pooled_begin(struct session *s); /* false: out of memory, the session is ended */
void pooled_client_data(struct session *s, const char *data, size_t len);
void pooled_client_eof(struct session *s);
void pooled_client_drained(struct session *s);
/* It may have left while it is not read. True: it is still to be looked at. */
bool pooled_look(struct session *s);
void pooled_late(struct session *s); /* it waited for queue_timeout */
void pooled_leave(struct pooled *p); /* its session ends */
/* At the end of a turn: those that are gone. Until then whoever is in the midst of one may look. */
void pooled_bury_all(struct worker *w);

/* Between the files of a pooled client ------------------------------------------------------- */

/* pooled.c */
void pooled_advance(struct pooled *p);            /* sends what can be sent */
void pooled_unref(struct pooled *p);              /* it goes when nothing refers to it any more */
void pooled_forget(struct pooled *p, size_t len); /* the first bytes that it keeps are done with */
void pooled_end(struct pooled *p);                /* the session, as if its server had gone */
/* What was to be sent was not, or in part, so that nobody can go on with its link. */
void pooled_no_memory(struct pooled *p);
void pooled_finish(struct pooled *p); /* the same, once it has all that was said to it */
const char *pooled_command(const struct pooled *p); /* the first byte of the one at `sent` */

/* pooled_wait.c */
void pooled_hold(struct pooled *p); /* waits to be asked again */
void pooled_unhold(struct pooled *p);
void pooled_served(struct pooled *p); /* it waits no longer: p->queued */
void pooled_pin(struct pooled *p, enum pin why);

enum turn {
    TURN_GO,   /* p->link may be used */
    TURN_WAIT, /* for what is in flight, or for a link */
    TURN_DONE, /* the command was dealt with, or the session is over */
};

/* pooled_dispatch.c: the command at `sent` */
void pooled_judge(struct pooled *p, size_t server); /* what it is, as this server says */
enum turn pooled_dispatch(struct pooled *p);
enum turn pooled_send(struct pooled *p);   /* on p->link */
enum turn pooled_stream(struct pooled *p); /* a command that is too long to be kept */
/* Answers it without a server, when all before it is answered. */
enum turn pooled_answer_self(struct pooled *p, const char *text);

void pooled_begin_next(struct pooled *p, size_t len); /* so much of what is kept is on its way */

/* pooled_own.c: on a link of its own */
enum turn pooled_send_own(struct pooled *p);
enum turn pooled_go_raw(struct pooled *p); /* from now on all passes unseen */
enum turn pooled_acquire_and_send(struct pooled *p, size_t server, enum pin why);

/* pooled_self.c: commands that are answered here */
enum turn pooled_answer_reset(struct pooled *p);
enum turn pooled_answer_quit(struct pooled *p);
enum turn pooled_without_server(struct pooled *p); /* while there is none */
bool pooled_has_lost(const struct pooled *p);      /* a transaction, or what it watched */
bool pooled_is_void(struct pooled *p);             /* what that command belongs to */
enum turn pooled_answer_void(struct pooled *p);
enum turn pooled_refuse_late(struct pooled *p);

/* pooled_links.c: where it goes */
/* Where a scan goes: on, where it began; -1 = nowhere now. */
int pooled_scan_server(struct pooled *p, bool begins);
int pooled_server(struct pooled *p, enum redis_access access, bool cursor); /* -1 = none now */
/* A shared link to this server, or the one that is lent to it. */
enum turn pooled_share(struct pooled *p, size_t server, const struct identity *as);
/* One of its own. */
enum turn pooled_acquire(struct pooled *p, size_t server, const struct identity *as, enum pin why);
/* Whether it is known what the server's commands are; else a link is opened, that asks. */
enum turn pooled_learn(struct pooled *p, size_t server);

/* pooled_login.c: AUTH, HELLO, SELECT */
enum turn pooled_login(struct pooled *p, size_t server);
void pooled_judging_over(struct pooled *p); /* p->judging, whatever the answer */
/* The server has answered it. */
void pooled_judged(struct pooled *p, const struct flight *f, const struct redis_reply *r);
void pooled_become(struct pooled *p, const struct identity *id); /* that it has proved to be */
/* RESET: as a new connection. */
void pooled_reset(struct pooled *p);

/* pooled_output.c */
/* Bytes for the client; `borrowed`: they stay until pooled_write_all(). */
void pooled_pass(struct pooled *p, const char *data, size_t len, bool borrowed);
void pooled_say(struct pooled *p, const char *text); /* a reply of the router's own */
void pooled_touch(struct pooled *p);                 /* pooled_write_all() is to see it */
void pooled_write_all(struct worker *w); /* what was passed leaves, and what waited goes on */

/* pooled_answer.c */
/* The whole reply, or its end, to what was in flight. */
void pooled_reply(struct pooled *p, const struct flight *f, const struct redis_reply *r,
                  const char *data, size_t len, bool borrowed);
void pooled_settle(struct pooled *p); /* gives its link back where it may */

/* pooled_name.c */
void pooled_say_name(struct pooled *p);
bool pooled_unname(struct pooled *p);
/* The link is its own from now on, and nobody will look at what is asked there. */
bool pooled_name_link(struct pooled *p);
/* CLIENT SETNAME or HELLO was accepted, or queued until EXEC. */
void pooled_named(struct pooled *p, const struct flight *f);
void pooled_named_at_exec(struct pooled *p, const struct flight *f, const struct redis_reply *r);
void pooled_forget_name(struct pooled *p);

/* pooled_channels.c */
bool pooled_is_confirmation(const struct redis_reply *r);
/* One of the replies to SUBSCRIBE and its kin. True: it was the last one. */
bool pooled_confirmed(struct pooled *p, struct flight *f, const struct redis_reply *r);
enum turn pooled_subscribe_again(struct pooled *p); /* on a link of its own */
bool pooled_subscribed_again(struct pooled *p, const struct redis_reply *r, struct flight *f);
size_t pooled_subscriptions(const struct pooled *p);
void pooled_forget_channels(struct pooled *p);

/* pooled_redo.c */
/* Its link is gone. `next`: this one was to be answered next; `torn`: it was being answered. */
void pooled_lost(struct pooled *p, const struct flight *f, bool next, bool torn);
/* The server cannot now, or p->holding: true if the reply was taken, and the client sees none. */
bool pooled_refused(struct pooled *p, const struct flight *f, const struct redis_reply *r,
                    const char *text, size_t len);
void pooled_say_unknown(struct pooled *p); /* whether it was carried out */
void pooled_restart(struct pooled *p);     /* all that came back is unsent again */
/* The command at `sent` is one of them. TURN_GO: it is to be sent. */
enum turn pooled_redo(struct pooled *p);
bool pooled_must_rest(struct pooled *p); /* it was refused a moment ago */
void pooled_redo_sent(struct pooled *p);
void pooled_redo_free(struct pooled *p);

#endif
