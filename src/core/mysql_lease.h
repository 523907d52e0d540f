/* pool_mode = transaction of MySQL: a client that is logged in gives its connection to others of
 * the same account between its transactions, when the server's own trackers prove that nothing of
 * it would be missed (proto/mysql_state.h), and what it says leaves nothing that they do not tell
 * (proto/mysql_statement.h). Else it keeps it: a pin.
 *
 *   pinned <-> soft (SESSION_RELAY, the connection is its own until somebody needs it)
 *               |
 *             parked (SESSION_PARKED, it has none) -> waiting, with a command -> pinned
 *
 * An account is who has proved himself to one server: a user, and the way in which both sides
 * speak. Only a client that logs in brings a connection of its account; no session ever uses one of
 * another account. As long as an account has sessions its last connection is not taken for anybody
 * else. */
#ifndef ROUTER_CORE_MYSQL_LEASE_H
#define ROUTER_CORE_MYSQL_LEASE_H

#include "core/mysql_client.h"
#include "core/mysql_link.h"
#include "core/mysql_seen.h"
#include "model/account_shares.h"
#include "proto/mysql_state.h"
#include "proto/mysql_statement.h"

/* Begins as clients know it, who may connect again then. */
#define MYSQL_LEASE_LOST "Connection was killed: the last one of this account was lost"

#define MYSQL_PREPARED_MAX 64 /* statements that are known; with more it keeps its connection */

/* The connection is another one than that of ... */
enum mysql_moved {
    MYSQL_MOVED_LAST = 1,     /* the statement before */
    MYSQL_MOVED_ROWS = 2,     /* the last one that had rows */
    MYSQL_MOVED_EVER = 4,     /* some statement of this session */
    MYSQL_MOVED_WARNINGS = 8, /* the last one that made a list of warnings */
};

struct mysql_user {
    struct list node;             /* in worker_server.mysql_users */
    struct list touched;          /* in worker.mysql_touched */
    struct account_share *shared; /* ref: the same of all workers */
    struct worker *worker;
    size_t server_id;
    size_t backend;
    size_t server; /* its index there */
    uint64_t key;
    uint64_t user_hash;  /* as login_guard_user() calls it */
    struct list soft;    /* mysql_link.at: the one that is unused for longest first */
    struct list parked;  /* mysql_lease.node */
    struct list waiting; /* the same, who came first first */
    unsigned links;      /* that are logged in as it */
    unsigned sessions;
    unsigned free;     /* connections that are idle, or soft */
    uint64_t shown_ms; /* others were told that the first who waits does so since then */
    size_t user_len;
    char user[]; /* with a NUL */
};

struct mysql_lease {
    struct session *session;
    struct mysql_user *account; /* counted in its `sessions`; NULL: not logged in */
    struct list node;           /* in account.parked or .waiting */
    uint64_t since_ms;          /* it is in .waiting */
    struct mysql_state state;
    struct mysql_statement statement; /* the one that is being sent */
    uint32_t kept;                    /* enum mysql_pin: until the session is reset */
    uint32_t prepared[MYSQL_PREPARED_MAX];
    uint8_t prepared_count;
    uint8_t skip;     /* bytes before the statement's text */
    bool scanning;    /* it is long: it is looked at while it passes */
    bool pings;       /* what the statement leaves open is asked at once: others wait */
    bool yields;      /* its next command is there, but others are due before */
    bool warned;      /* the last statement had warnings, or failed */
    uint8_t moved;    /* enum mysql_moved bits */
    uint32_t said;    /* enum mysql_says: by the last statement */
    uint16_t charset; /* of its login */
    char *collation;  /* owned: what its server called that; NULL: not known */
};

/* mysql_user.c: accounts. NULL: out of memory. */
struct mysql_user *mysql_user_get(struct worker *w, size_t server_id, uint64_t key,
                                  struct mysql_text user);
void mysql_user_maybe_free(struct mysql_user *a);
void mysql_lease_reconsider(struct worker *w); /* a new topology */
/* Whether this one is free may have changed. */
void mysql_user_seen(struct mysql_link *l);
/* It has no connection any more, and nobody can log in for its sessions. */
bool mysql_user_is_lost(const struct mysql_user *a);
/* Those that wait have what is free: as many as there are connections for. */
void mysql_user_serve(struct mysql_user *a);
void mysql_user_end_waiting(struct mysql_user *a); /* then those that wait are told */

/* mysql_lease.c */
/* It gets an answer to its command, and ends. */
void mysql_lease_tell(struct session *s, enum refusal why, const char *words);
/* Its command is there, and maybe a connection. */
void mysql_lease_find(struct session *s);
bool mysql_lease_new(struct session *s);      /* false: out of memory */
void mysql_lease_end(struct mysql_client *c); /* the session ends, and waits for nothing more */
void mysql_lease_free(struct mysql_client *c);
/* It leaves its connection. */
void mysql_lease_left(struct mysql_lease *lease, struct mysql_link *l);
/* It has logged in on its connection, as `request` says. False: out of memory. */
bool mysql_lease_begin(struct session *s, struct mysql_link *l,
                       const struct mysql_request *request);
/* Its next command is there. True: others are due before it, and are served when it settles. */
bool mysql_lease_gives_way(struct mysql_lease *lease, const struct mysql_link *l);
/* All that was asked is answered: the connection may go to who waits. */
void mysql_lease_settle(struct session *s, struct mysql_link *l);
void mysql_lease_parked_data(struct session *s); /* a parked client has sent something */
void mysql_lease_late(struct session *s);        /* it has waited for too long */
/* A connection that its session has left goes to one of its account that waits. False: nobody. */
bool mysql_lease_pass_on(struct mysql_link *l);
/* May be lent to somebody else, or closed: its account can do without. */
bool mysql_lease_spares(const struct mysql_link *l);
bool mysql_lease_is_wanted(const struct mysql_link *l); /* its account has sessions */
/* One that is free goes on, to who is next. */
void mysql_lease_loosen(struct mysql_user *a);
/* One whose session does nothing at the moment, for who logs in. NULL: there is none. */
struct mysql_link *mysql_lease_take_soft(struct worker *w, size_t server_id, uint64_t key);
/* Clients of other workers wait: one whose session does nothing goes to where it is due. */
void mysql_lease_spare(struct worker *w, size_t server_id);
/* It is not its account's any more: closed, or about to be somebody else's. */
void mysql_lease_unbind(struct mysql_link *l);
/* The same, unless it will be: somebody logs in there, as `user`. */
void mysql_lease_log_in(struct mysql_link *l, struct mysql_text user);
/* The connection is lost while its session does nothing. True: that one goes on without. */
bool mysql_lease_survives(struct mysql_link *l);
/* Its session goes on there: not for others now. */
void mysql_lease_harden(struct mysql_link *l);

/* mysql_says.c: what a session says, and what the server says of it. */
enum mysql_verdict {
    MYSQL_PASS, /* it goes to the server */
    MYSQL_WAIT, /* more of it, or that others are answered */
    MYSQL_SKIP, /* it was answered here */
    MYSQL_GONE, /* it was taken, the session may have ended */
};
enum mysql_verdict mysql_says_judge(struct session *s, struct mysql_link *l, const char *data,
                                    size_t len);
/* More of a command that is being sent. False: the session has ended. */
bool mysql_says_more(struct session *s, const char *data, size_t len);
/* A reply to a command of the client's is whole. */
void mysql_says_answered(struct session *s, struct mysql_link *l);
uint32_t mysql_says_pins(const struct mysql_lease *lease, const struct mysql_link *l);

/* mysql_ours.c: what the router itself asks. False: out of memory, or it cannot be sent. */
enum mysql_ours {
    MYSQL_CLIENTS,
    MYSQL_OURS_SET,   /* to be in a session's state */
    MYSQL_OURS_USE,   /* to be in its database, which may be gone: its command has to wait */
    MYSQL_OURS_TRACK, /* to have the trackers on, and to know the state that a login gives */
    MYSQL_OURS_ASK,   /* to know what they left open */
    MYSQL_OURS_LOOK,  /* to know the collation of results */
    MYSQL_OURS_RESET,
};
bool mysql_ours_track(struct mysql_link *l, const char *collation);
bool mysql_ours_ask(struct mysql_link *l);
/* The same, where MySQL may have news behind rows: any OK tells them. It is no statement. */
bool mysql_ours_ping(struct mysql_link *l);
bool mysql_ours_reset(struct mysql_link *l); /* and the trackers on again */
/* From the state that it is in to the session's. */
bool mysql_ours_restore(struct mysql_link *l, const struct mysql_state *to);
/* A reply to one of them is whole. False: it was not what it should be. */
bool mysql_ours_answered(struct mysql_link *l, enum mysql_ours kind);

#endif
