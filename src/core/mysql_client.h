/* A client of MySQL with pool_mode: greeted by the router, judged by the server, served on a
 * connection that is lent to it (mysql_link.h). What such a session does beyond one without a pool:
 *
 *   GREET -> LOGIN (-> SHAKE -> LOGIN) -> SLOW -> [WAIT, CONNECT] -> PROVE -> ON
 *
 * GREET, LOGIN and SLOW are SESSION_OPENING, PROVE is SESSION_LOGIN, ON is SESSION_RELAY: bytes are
 * relayed as without a pool while both directions are watched, so that it is known when nothing is
 * under way. From WAIT and CONNECT on all is as with any session. The client's own token is of no
 * use to anybody, and is thrown away; so is the rest of its login when the server has said yes. */
#ifndef ROUTER_CORE_MYSQL_CLIENT_H
#define ROUTER_CORE_MYSQL_CLIENT_H

#include "base/list.h"
#include "core/session.h"
#include "model/login_guard.h"
#include "model/thread_table.h"
#include "proto/mysql_command.h"
#include "proto/mysql_handshake.h"
#include "proto/mysql_prove.h"

struct mysql_lease;
struct mysql_link;

#define MYSQL_SLOW_MS 100 /* how often those who are slowed are looked at */

enum mysql_step {
    MYSQL_STEP_GREET, /* waits for a server of which it is known how it greets */
    MYSQL_STEP_LOGIN, /* waits for the client's login, or its request for TLS */
    MYSQL_STEP_SLOW,  /* waits because others from its address failed, see model/login_guard.h */
    MYSQL_STEP_ROUTE, /* waits for a connection to a server */
    MYSQL_STEP_PROVE, /* waits for either side to go on with the proof */
    MYSQL_STEP_ON,    /* logged in */
};

/* A login under way: freed when the server has said yes. */
struct mysql_proof {
    struct mysql_request request; /* texts are in `payload` */
    struct mysql_prove prove;
    bool told;                /* something of the server's */
    struct mysql_inbox inbox; /* the client's packets */
    uint64_t began_us;        /* it had a connection, uv_hrtime() */
    size_t len;
    unsigned char payload[]; /* of the client's login, or its COM_CHANGE_USER */
};

struct mysql_client {
    struct session *session;
    struct list node;          /* in worker_backend.mysql_held, in GREET and while it waits */
    struct mysql_proof *proof; /* owned */
    uint64_t key;              /* mysql_caps_key() */
    uint32_t offered;          /* in its greeting */
    uint32_t offered_extended;
    uint64_t slow_until_ms;
    uint64_t
        turn_until_ms;  /* it waits for logins of its address to be over: refused then; 0 = no */
    uint64_t user_hash; /* for the guard */
    uint32_t capabilities;
    uint32_t pins;      /* enum mysql_pin; by mysql_client_pin() only */
    uint64_t pinned_ms; /* since when there is one */
    bool held;          /* it is counted among those that wait; by mysql_client_hold() only */
    struct thread_entry thread; /* by what id it knows its connection */
    uint16_t refusal_code;      /* what a refusal that is to come is called; 0 = by its reason */
    char refusal_state[6];
    uint8_t step;              /* enum mysql_step */
    uint8_t sequence;          /* of our next packet to it, until it is logged in */
    bool counted;              /* among the unfinished logins of its address */
    bool said;                 /* it was refused in the words of its server */
    bool anew;                 /* it is to log in on a connection of its own making */
    bool veiled;               /* it has not asked for SESSION_TRACK, and its connection has it */
    bool owes;                 /* it waits for an answer to a command, which a refusal is */
    struct mysql_lease *lease; /* owned: pool_mode = transaction */
    struct mysql_command command;
};

/* True: its login, or its COM_CHANGE_USER, was refused, because servers would count it against our
 * address. */
bool mysql_client_is_at_fault(struct session *s, const struct mysql_request *r);
/* After admission, in place of the login or the route of a session without a pool. */
void mysql_client_begin(struct session *s);
void mysql_client_free(struct session *s);
/* What the client's socket tells, but in WAIT, CONNECT, REFUSE and at the edge. */
void mysql_client_data(struct session *s, const char *data, size_t len);
void mysql_client_eof(struct session *s);
void mysql_client_leave(struct session *s); /* it ends */
/* The session lets go of its server (session_drop_server). */
void mysql_client_drop(struct session *s, struct server_link *link, bool reset);
void mysql_client_secured(struct session *s); /* TLS has begun: its login follows */
void mysql_client_late(struct session *s);    /* it, or the server, did not go on with the login */
/* A new topology: who waits for a greeting may have one now. */
void mysql_client_failed(struct session *s, enum login_failure how);
void mysql_client_greet_held(struct worker *w);
/* The words of a refusal as a whole packet. Returns the length; 0: nothing can be said. */
size_t mysql_client_refusal(const struct session *s, enum refusal why, const char *words, char *out,
                            size_t size);
/* Refused in the words of a server. `text` is borrowed. */
void mysql_client_deny(struct session *s, enum refusal why, const struct mysql_error *error);

/* mysql_slow.c. */
/* Its login is there: it is routed, at once or when it may be. */
void mysql_slow_begin(struct session *s);
void mysql_slow_over(struct session *s); /* it is logged in, or has failed */
void mysql_slow_on_tick(struct deadline *d);

/* mysql_proof.c. */
/* The connection is there: begins, or begins anew. */
void mysql_proof_begin(struct session *s, struct mysql_link *l);
void mysql_proof_client(struct session *s, const char *data, size_t len);
void mysql_proof_server(struct mysql_link *l, const char *data, size_t len);
/* Of the payload of its login. NULL: out of memory, the session has ended. */
struct mysql_proof *mysql_proof_new(struct session *s, const char *payload, size_t len);
/* Its connection is lost in the midst of it. */
void mysql_proof_lost(struct session *s);
void mysql_proof_free(struct mysql_client *c);
/* The client asks to be another one. `payload` is that of its COM_CHANGE_USER. */
void mysql_proof_again(struct session *s, const char *payload, size_t len);

/* mysql_relay.c: when it is logged in. */
void mysql_relay_begin(struct session *s);
/* It has a connection: what it has sent meanwhile goes there. */
void mysql_relay_go_on(struct session *s);
/* With pool_mode = transaction: all that was asked is answered. It may have no connection then. */
void mysql_relay_rest(struct session *s);
void mysql_relay_client(struct session *s, const char *data, size_t len);
void mysql_relay_server(struct mysql_link *l, const char *data, size_t len);
/* Nothing that was asked on its connection is unanswered. */
bool mysql_relay_is_at_rest(const struct session *s, const struct mysql_link *l);

#endif
