/* One client's connection and everything it holds: the client's socket, the server's, a place in a
 * queue, a place against each cap. Lives and dies on one worker.
 *
 *   NEW -> OPENING -> WAIT <-> CONNECT -> LOGIN -> RELAY -> CLOSE
 *
 * and from each before RELAY -> REFUSE -> CLOSE. Behind NEW come PROXY, HELLO and SHAKE where the
 * frontend has an edge (core/edge.h). LOGIN is for protocols whose beginning matters
 * (struct login_dialogue), and goes back to WAIT while nothing has passed; of those, OPENING for
 * where the client speaks first, which then may also have come only to CANCEL what another one
 * does.
 *
 * With pool_mode it is POOLED (Redis, core/pooled.h), or goes the same way with a server's
 * connection that is lent to it (MySQL, core/mysql_client.h): from RELAY back to LOGIN to become
 * somebody else, or to PARKED and back while it has none.
 *
 * It is freed in the client socket's close callback. The server's connection and the place in the
 * queue are memory of their own: a session that ends lets go of them. */
#ifndef ROUTER_CORE_SESSION_H
#define ROUTER_CORE_SESSION_H

#include <stdatomic.h>
#include <stddef.h>

#include "core/admission.h"
#include "core/cancel.h"
#include "core/edge.h"
#include "core/finisher.h"
#include "core/session_log.h"
#include "core/worker.h"
#include "net/conn.h"
#include "router_proto.h"

#define SESSION_AHEAD_MAX  16384 /* read ahead of a client that has no server yet */
#define REFUSE_DISCARD_MAX 65536
#define REFUSE_MS          1000
/* Keepalive and user timeout matter to connections that last. Setting them after a second spares
 * those that do not five system calls, a twentieth of their cost. */
#define TUNE_MS            1000
/* Who waited, and takes longer to connect and log in, does not keep others waiting any more. */
#define SETTLE_MS          3000

enum session_state {
    SESSION_NEW,     /* waits for nothing: admitted, not yet routed */
    SESSION_PROXY,   /* waits for a PROXY header */
    SESSION_HELLO,   /* waits for a whole client hello */
    SESSION_SHAKE,   /* waits for its turn, or for the client to go on with the TLS handshake */
    SESSION_OPENING, /* waits for the client's first message */
    SESSION_WAIT,    /* waits for control to grant a server */
    SESSION_CONNECT, /* waits for the server to take the connect */
    SESSION_LOGIN,   /* waits for either side to go on with the login */
    SESSION_RELAY,   /* waits for bytes from either side */
    SESSION_POOLED,  /* the same, of commands and replies (core/pooled.h) */
    SESSION_PARKED,  /* waits for the client of a pool to say more, without a server */
    SESSION_CANCEL,  /* waits for servers to take a request to cancel */
    SESSION_REFUSE,  /* waits for the client to read why, at most REFUSE_MS */
    SESSION_CLOSE,   /* waits for the close callbacks */
};

/* Why a session ended, for the log. */
enum session_end {
    END_DONE,    /* both sides finished */
    END_CLIENT,  /* the client reset or failed */
    END_SERVER,  /* the server reset or failed */
    END_REFUSED, /* a cap, or what it said first is not what is expected */
    END_QUEUE_FULL,
    END_QUEUE_TIMEOUT,
    END_CONNECT,         /* no server took the connect */
    END_CONNECT_TIMEOUT, /* nor refused it */
    END_CONNECT_WANT,    /* descriptors, memory or ports that this machine has run out of */
    END_CLIENT_LATE,     /* with its handshake, or its login */
    END_SERVER_LATE,     /* it was paused in the login for too long */
    END_LEFT,            /* the client went while it waited */
    END_IDLE,
    END_FENCED,   /* its server lost the role */
    END_SHUTDOWN, /* drain_timeout was over */
    END_MEMORY,
    END_KILLED, /* by the operator */
};

/* What a session with pool_mode has beside what all have. */
enum session_pooling { POOLING_NONE, POOLING_REDIS, POOLING_MYSQL };

/* The connection to a server. Its own block of memory, so that a failed connect can close while the
 * next one begins, and so that a refused session does not pay for it. */
struct server_link {
    struct conn conn;
    struct session *session;            /* NULL once dropped */
    struct finisher *finisher;          /* owned: who has it then, if anybody */
    const struct server_config *config; /* borrowed, as long as the config */
    size_t index;                       /* in its backend */
    bool failed;                        /* the connect: nobody is at the other end */
    struct list node;                   /* in worker.servers[id].links */
    struct deadline tune;               /* in worker.tune, see TUNE_MS */
    struct deadline settle;             /* in worker.settle, while its session is settling */
    struct server_counters *counters;   /* borrowed: the worker's */
    const atomic_bool *write_awaited;   /* borrowed: the backend's, of all workers */
};

/* What a session spent its time on. A wait or a connect lasts less than the 71 minutes that fit
 * into 32 bits of microseconds (queue_timeout, connect_timeout); of several the sum stops there. */
struct session_times {
    uint64_t began_us;        /* it was accepted; as uv_hrtime() counts */
    uint32_t phase_us;        /* when its present wait or connect began, the low bits */
    uint32_t queue_us;        /* it stood in the backend's queue, all together */
    uint32_t connect_us;      /* it connected, until the server was ready for its client's bytes */
    uint32_t queued_after_ms; /* since it began, until it joined the queue first, at least 1; 0 = it
                               * never did */
};

struct session {
    struct conn client;
    struct server_link *server; /* owned until dropped; NULL while there is none */
    struct worker *worker;      /* borrowed */
    const struct frontend_config *frontend;
    const struct backend_config *backend;
    struct list node; /* in worker.sessions */
    struct deadline deadline;
    struct deadline_list *timer; /* where `deadline` is armed; NULL = nowhere */
    struct waiter *waiter;       /* lent to control */
    struct login *login;         /* owned: until it is over, or a refusal is said */
    struct cancel_entry *cancel; /* owned: in worker.cancels, while it has a server */
    union {
        struct pooled *pooled; /* POOLING_REDIS: owned by itself; leaves when the session ends */
        struct mysql_client *mysql; /* POOLING_MYSQL: owned */
    };
    struct edge *edge;         /* owned: while it is at the client's edge */
    struct origin *origin;     /* owned: of a PROXY header, for send_proxy; NULL = the socket's */
    struct session_note *note; /* owned: for its line in the log; NULL = it has none */
    char *ahead;               /* owned: what the client sent and nobody took yet */
    struct admission admission;
    struct session_times times;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint32_t number; /* of the worker's sessions, from 1 on; see session_id() */
    uint32_t ahead_len;
    uint32_t discarded;
    uint16_t tried[ROUTE_TRIED_MAX];
    uint8_t tried_count;
    uint8_t attempts;
    uint8_t route;   /* enum route: by session_side(), the frontend's or of its rule for the name */
    uint8_t pooling; /* enum session_pooling */
    bool settling;   /* has waited for its server, and is not logged in there yet */
    bool connected;  /* a server was ready for it, be it lost since */
    bool admitted;   /* it is counted among the frontend's and the backend's sessions */
    uint8_t state;   /* enum session_state, changed by session_set() only */
    uint8_t end;     /* enum session_end, set with SESSION_REFUSE or SESSION_CLOSE */
    uint8_t ended_in; /* enum session_state before that */
    uint8_t cause;    /* enum session_end: what a refusal that is to come is for; END_DONE = what it
                       * says */
};

/* The beginning of a session whose protocol has a login_dialogue. */
struct login {
    uint8_t step;    /* enum login_step: what the dialogue said last */
    uint8_t refusal; /* in SESSION_REFUSE: enum refusal, and the words */
    char words[128];
    max_align_t state[]; /* the dialogue's */
};

/* A split route is for a pool, which asks for the side that each command needs; whoever has no such
 * choice, be it before there is a pool, goes where it may write. */
static inline uint8_t session_side(enum route route)
{
    return (uint8_t)(route == ROUTE_SPLIT ? ROUTE_PRIMARY : route);
}

/* How a session is known outside, over all workers: "show sess", "shutdown session". */
static inline uint64_t session_id(const struct session *s)
{
    return (uint64_t)s->worker->index << 32 | s->number;
}

/* Takes over an accepted socket: admits or refuses it, and routes it. */
void session_accept(struct worker *w, const struct frontend_config *f, int fd,
                    const struct address *from);
/* Ends it now, whatever it does: by reset where somebody could take a clean end for success. */
void session_kill(struct session *s, enum session_end why);
void session_on_tune(struct deadline *d);   /* server_link.tune */
void session_on_settle(struct deadline *d); /* server_link.settle */
/* The router stops: who waits is told, who is being refused may finish, all others are reset. */
void session_shut_down(struct session *s);
/* Between the files of a session ------------------------------------------------------------ */

void session_set(struct session *s, enum session_state next);
void session_arm(struct session *s, struct deadline_list *list); /* NULL: disarm */
/* Since it was accepted. */
uint64_t session_age_us(const struct session *s);
void session_close(struct session *s, enum session_end why);
/* The one that serves it from now on. */
void session_use_backend(struct session *s, size_t backend);
/* The edge is over, or there is none: routes it, or refuses it. */
void session_admit(struct session *s, enum admission_verdict verdict, const char *words);
/* Picks a server and connects, or joins the queue. */
void session_route(struct session *s);
/* What it asks of the topology. */
void session_fill_request(const struct session *s, struct route_request *r);
/* Takes the server's connection away, closed or reset, and gives its place back; or leaves both to
 * a finisher, where a login must not break off. */
void session_drop_server(struct session *s, bool reset);

/* connect.c: connects to a server whose place is claimed already. */
void session_connect(struct session *s, size_t server);
void session_connect_failed(struct session *s, int status);

/* waiting.c */
void session_wait(struct session *s);
void session_stop_waiting(struct session *s);
/* It has its link to the server that was granted. */
void session_begin_settling(struct session *s);
/* The connection to `server` is up and logged in, as far as can be seen, or given up: the next who
 * waits may come to it. */
void session_settled(struct session *s, size_t server);
void session_on_queue_expired(struct deadline *d);
void session_on_look(struct deadline *d); /* worker.look_again */
void waiting_client_data(struct session *s, const char *data, size_t len);
void waiting_client_eof(struct session *s);
/* What the client sent and nobody took: adds to it (false: out of memory, the session has ended),
 * or its first bytes are done with. */
bool session_keep(struct session *s, const char *data, size_t len);
void session_taken(struct session *s, size_t len);

/* refuse.c */
void session_refuse(struct session *s, enum refusal why, const char *words);
/* Ends with what has been said; what is on its way to the client arrives. */
void session_farewell(struct session *s, enum session_end why);
void refuse_client_data(struct session *s, const char *data, size_t len);
void refuse_maybe_done(struct session *s); /* FIN came, or what was queued has left */

/* login.c */
bool login_new(struct session *s); /* false: out of memory */
void login_free(struct session *s);
void login_open(struct session *s);  /* the client is to speak first */
void login_begin(struct session *s); /* the server is connected */
void login_client_data(struct session *s, const char *data, size_t len);
void login_client_eof(struct session *s);
void login_held(struct session *s);     /* it is to stand still (PAUSE_HOLD), or not any more */
void login_on_late(struct deadline *d); /* the client takes longer than it may */

/* reconsider.c: a new topology is in force: stay, pause, begin again, drain or be reset. */
void session_reconsider(struct session *s);

/* relay.c */
extern const struct conn_ops relay_server_ops;
void relay_begin(struct session *s); /* the server is connected, a login over */
void relay_client_data(struct session *s, const char *data, size_t len);
void relay_client_eof(struct session *s);
void relay_client_drained(struct session *s);

#endif
