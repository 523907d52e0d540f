/* The control thread: asks the servers, elects, publishes topologies, fences, keeps the queues,
 * serves the admin address. Everything in these structs belongs to this thread. */
#ifndef ROUTER_CTL_CONTROL_H
#define ROUTER_CTL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/certificates.h"
#include "ctl/events.h"
#include "ctl/probes.h"
#include "ctl/recorder.h"
#include "ctl/sockets.h"
#include "ctl/tally.h"
#include "ctl/upgrade.h"
#include "model/catch_up.h"
#include "model/election.h"
#include "model/messages.h"
#include "model/topology.h"
#include "net/loop.h"

struct admin;
struct names;
struct control_sockets;
struct drill;
struct reporter;
struct sentinels;

#define LAG_SAMPLES 64

/* How the control thread sees a worker. */
struct control_worker {
    struct mailbox *mailbox; /* borrowed; the worker's */
    struct metrics metrics;  /* owned tables and slots; lent to the worker */
    uint64_t acked;          /* newest generation it has acted upon */
    bool stopped;
};

/* Where the primary was when: how old is what a replica has? (lag.c) */
struct lag_history {
    struct {
        uint64_t at_ms;
        int64_t offset;
    } samples[LAG_SAMPLES];
    size_t count; /* ever */
};

/* What has been published about a server and may not be forgotten (see fence.c). */
struct server_fence {
    bool exposed;       /* was published as a primary; nobody has vouched yet that nothing
                         * more goes to it */
    uint64_t fenced_at; /* generation that took it back; 0 = none yet */
};

/* What an operator has said about a server, as HAProxy's users say it. It stays until the operator
 * says otherwise: it outlives changes of the configuration, not the process.
 *
 * A server that is not ready gets no new sessions; those that live go on, and it is probed as ever.
 * Where there are roles its claim to be the primary does not count, so that taking the primary out
 * is a planned fence: writes wait, living sessions stand still, and another server that claims
 * succeeds it (election.h, `barred`). Until one does, they stand still for as long as a client may
 * wait (queue_timeout); then they are reset. */
enum admin_state {
    ADMIN_READY, /* the probes decide */
    ADMIN_DRAIN,
    ADMIN_MAINT, /* the same as drain, but for the word */
    ADMIN_STATE_COUNT,
};

/* "ready", "drain", "maint" */
extern const char *const admin_state_names[ADMIN_STATE_COUNT];

struct server_control {
    const struct server_config *config;
    struct observation told;  /* the newest, as the server told it */
    struct observation seen;  /* the same, as the election read it beside those of the others */
    struct observation word;  /* Patroni's newest on this server */
    struct greeting greeting; /* MySQL: the newest that a probe read */
    struct follower follower; /* what it has of the primary's writes */
    uint64_t link_lost;       /* stamp of the answer that told so; see fence.c */
    struct server_fence fence;
    enum role role; /* as published last */
    enum access access;
    enum admin_state admin;
    uint64_t admin_since_ms; /* when that was said, loop time */
    bool suspect;            /* a worker could not connect; no new sessions until the next probe */
    uint64_t suspected;      /* stamp when that was */
    bool up;                 /* by probe_rise and probe_fall */
    bool stale;              /* cannot be asked; keeps what it was */
    bool rival;              /* that it claims beside the primary was told */
    uint64_t rival_told_ms;
    uint64_t changed_ms;              /* when its published state last changed, loop time */
    char reason[ELECTION_REASON_MAX]; /* why it is in the published state, for people */
};

struct backend_control {
    struct control *control;
    const struct backend_config *config;
    struct server_control *servers;
    struct election_memory memory;
    struct verdict verdict;           /* the newest; with roles only */
    struct verdict told;              /* the newest that became an event */
    struct list waiters[ROUTE_COUNT]; /* struct waiter by its route, first come first */
    int64_t first_turn;               /* of those who wait, over all routes */
    int64_t last_turn;
    struct balance_state balance;
    struct lag_history lag;
    struct catch_up catch_up;
    struct probes probes;
    struct tls_context *probe_tls; /* borrowed: the current one; NULL = in the clear */
    struct tls_context *word_tls;  /* the same, for Sentinels and Patroni */
    struct sentinels *sentinels;   /* owned; NULL = none */
    struct live_secret sentinel_secret;
    char *pool_password; /* owned: probe_password as workers know it, where they pool */
    struct probe_setup sentinel_login;
    uint64_t asked_until_ms; /* rounds were asked that the fast pace would ask until then */
    uint64_t watch_until_ms; /* something changed: probing fast until then */
    bool fencing;            /* the fence's first step is out, not yet acknowledged by all */
    uint64_t fencing_since_ms;
    uint64_t paused_in; /* generation that paused a contested primary; 0 = it is not */
    uint64_t paused;    /* stamp when all had acknowledged that; see election_input */
    bool paused_by_hand;
    struct drill *drill; /* owned; NULL = none */
    unsigned drills;     /* how many there were */
    unsigned chosen; /* 1 + the server that the operator elects with the next election; 0 = none */
    bool first_round_over;
    uint64_t held_since_ms; /* writes wait since; 0 = they do not */
};

/* The end of a router in steps (drain.c): /readyz says 503 and everything else goes on
 * (shutdown_delay); no listener accepts any more, sessions finish, servers are probed and fenced as
 * ever (drain_timeout); what is left is closed and counted; the workers end, then the loop. */
struct drain {
    uv_timer_t timer;   /* the end of shutdown_delay; then looks whether the drain is over */
    uint64_t until_ms;  /* loop time */
    uint64_t leave_ms;  /* the same: when operators who are still here have to leave */
    bool doors_closed;  /* topologies say that nobody new comes in */
    bool timed_out;     /* drain_timeout is over, and sessions were left */
    bool for_successor; /* nobody has told us to end but the one that takes our place */
    bool asked;         /* ... and now somebody has */
};

/* What a configuration may use of this machine (capacity.h). */
struct control_size {
    unsigned max_sessions;
    unsigned refusing_max;
    bool cancels; /* a protocol in use has requests to cancel */
};

/* 0, or a UV_* code with one line in `why`. */
typedef int control_size_fn(const struct config *config, unsigned workers, size_t sockets,
                            struct control_size *out, char *why, size_t why_size);

struct control {
    struct loop loop;
    struct config *config;     /* the one in force */
    uv_mutex_t config_lock;    /* held while `config` is replaced, see operate() */
    struct config *own_config; /* owned (ref): the same; NULL = it is the first one, borrowed */
    const struct config *sent_config; /* the newest that the workers were told */
    const char *config_path;          /* borrowed: where to read it again; NULL = nowhere */
    const struct config_maker *maker; /* borrowed: who makes it again instead; NULL = nobody */
    const struct config *started;     /* borrowed: the one that the process was started with */
    struct list leaving;              /* struct leaving, see apply.c */
    unsigned leaving_count;
    bool reload_due;               /* a signal has asked for it */
    struct shared *shared;         /* owned */
    struct client_table *clients;  /* owned; NULL if no frontend limits by address */
    struct login_guard *guard;     /* owned */
    struct thread_table *threads;  /* owned */
    struct account_shares *shares; /* owned */
    struct cancel_table *cancels;  /* owned; NULL if no protocol has requests to cancel */
    struct sockets bound;
    unsigned refusing_max;
    unsigned char ticket_seed[TICKET_SEED_BYTES]; /* for workers that begin with tickets now */
    control_size_fn *size;
    struct control_worker *workers;
    unsigned worker_count;
    unsigned workers_stopped;
    const struct worker_inbox *tell;
    struct certificates *certificates; /* borrowed */
    uv_timer_t start_timer;            /* start_timeout */
    uv_timer_t files_timer; /* looks whether files with passwords or certificates have changed */
    struct drain drain;
    bool stopping;                     /* the workers were told to end */
    struct topology *published;        /* ref */
    struct backend_control **backends; /* owned, by index */
    struct events events;
    struct recorder recorder;
    struct tally tally;
    struct names *names;             /* owned */
    struct admin *admin;             /* owned; NULL if off */
    struct control_sockets *sockets; /* borrowed */
    struct list rounds;              /* struct round.node: questions to all workers */
    uint64_t stamp;                  /* counts questions and answers of probes */
    uint64_t started_ms;             /* loop time */
    struct reporter *reporter;       /* owned; NULL if no service manager listens */
    uint64_t started_unix;
    struct upgrade *upgrade;         /* owned; NULL = nobody is to take our place */
    struct predecessor *predecessor; /* owned; NULL = we have nobody's place to take */
    struct upgrade_command command;
    struct address admin_at;
    int pid_file;     /* borrowed; -1 = none */
    bool handed_over; /* another process accepts; what we have made on the disk is its own */
    bool draining;    /* it was told to end: /readyz says so */
    bool start_over;  /* start_timeout has passed */
};

struct control_setup {
    struct config *config;            /* borrowed */
    const char *config_path;          /* borrowed; NULL = nowhere */
    const struct config_maker *maker; /* borrowed; NULL = nobody */
    control_size_fn *size;            /* NULL: it will not be changed */
    struct control_size sized;        /* of the configuration */
    const struct worker_inbox *tell;
    struct certificates *certificates;
    struct control_sockets *sockets;
    struct address admin_at; /* where it is served, if it is */
    int pid_file;            /* borrowed; -1 = none */
    unsigned worker_count;
};

extern const struct control_inbox control_inbox;

/* Prepares; the first topology is made, with every server unknown. 0 or a UV_* code. */
int control_init(struct control *c, const struct control_setup *setup);
/* Begins to probe. The workers' mailboxes and metrics are filled in by then. */
void control_start(struct control *c);
/* Loop thread: stops the probes and ends the loop; no worker may run any more. */
void control_end(struct control *c);
/* Loop thread: ends the workers, whatever they do, and then the loop. */
void control_stop(struct control *c);
/* Loop thread: not ready any more; after shutdown_delay stop accepting, wait for the sessions' end,
 * stop the workers, end the loop (drain.c). */
void control_drain(struct control *c);
/* After the loop has ended. */
void control_release(struct control *c);

/* Whether clients are served in principle: /readyz. */
bool control_ready(const struct control *c);

/* backend.c: what the probes bring, and what follows from it -------------------------------- */
int backend_init(struct backend_control *b, struct control *c, const struct backend_config *config);
void backend_release(struct backend_control *b);
bool backend_has_roles(const struct backend_config *b); /* protocol with roles and probe = auto */
void backend_start(struct backend_control *b);
void backend_stop(struct backend_control *b);
/* Another configuration of the same backend is in force. `anew`: all are asked with new
 * connections. */
void backend_adopt(struct backend_control *b, const struct backend_config *config, bool anew);
/* The certificates have another context, maybe. */
void backend_take_tls(struct backend_control *b);
/* What is gone and used no more is not asked any more. */
void backend_forget_gone(struct backend_control *b);
void backend_doubt(struct backend_control *b, size_t server); /* or MESSAGE_WHOLE_BACKEND */
/* A server may have counted a broken handshake: its next probe logs in anew. */
void backend_counted(struct backend_control *b, size_t server);
void backend_acknowledged(struct backend_control *b); /* a worker has acted upon a topology */
bool backend_ready(const struct backend_control *b);

/* A probe's observation of a server; `context` is the backend_control. */
void backend_observe(void *context, size_t server, const struct observation *o);
bool backend_everybody_was_asked(const struct backend_control *b); /* and has answered, or failed */

/* Decides anew and publishes. */
void backend_decide(struct backend_control *b);
/* What a replica has is not known any more: another process may answer there by now. */
void backend_forget_follower(struct backend_control *b, size_t server);
/* A Sentinel's or Patroni's word has changed; `news`: something happens, all are asked. */
void backend_word_changed(struct backend_control *b, bool news);

/* elect.c: the election, from what the probes have brought; what it read is `seen` of each server.
 */
void backend_elect(struct backend_control *b, struct verdict *out);
/* What would be decided now if this server were gone. Nothing is changed. */
void backend_rehearse(struct backend_control *b, size_t lost, struct verdict *out);

/* authority.c: who decides about primaries beside the servers ------------------------------- */
void authority_init(struct backend_control *b);
void authority_release(struct backend_control *b);
void authority_start(struct backend_control *b);
void authority_stop(struct backend_control *b);
/* Another configuration: the Sentinels are the same, or asked anew. */
void authority_adopt(struct backend_control *b, bool anew);
/* What is known of the Sentinels' names has changed, maybe. */
void authority_take_names(struct backend_control *b);
void authority_ask_now(struct backend_control *b);
void authority_set_pace(struct backend_control *b, bool fast);
void authority_refresh_secret(struct backend_control *b);
/* Patroni's word on whether a server may be read, into what is seen of it. */
void authority_add_word(const struct backend_control *b, const struct server_control *s,
                        struct observation *seen);
/* For the election; `words` has a place for each server. */
struct authority authority_count(const struct backend_control *b, unsigned *words);

/* fence.c: from verdicts to topologies, in two steps ---------------------------------------- */
/* Publishes if anything changed since the last time, and lets waiters in. */
void fence_publish(struct control *c);
uint64_t fence_acked_by_all(const struct control *c);

/* changes.c: for the flight recorder --------------------------------------------------------- */
void changes_verdict(struct backend_control *b,
                     const struct verdict *v);  /* before it is b->verdict */
void changes_fenced(struct backend_control *b); /* no worker writes to the old primary any more */
void changes_published(struct backend_control *b); /* the workers are told about the primary */
void changes_written(struct backend_control *b);   /* a client's bytes went to it */
struct record_counts changes_counts(const struct backend_control *b);

/* drain.c ------------------------------------------------------------------------------------ */
void drain_init(struct control *c);
/* All workers have ended: says how many sessions of which frontend drain_timeout has closed. */
void drain_tell(struct control *c);
void drain_end(struct control *c); /* closes the timer */
/* Another process is to serve new clients: nobody is accepted any more; */
void drain_for_successor(struct control *c);
void drain_until_done(struct control *c); /* and this one ends with its last session, */
void drain_undo(struct control *c);       /* or the other one has failed. */

/* lag.c */
/* Samples closer than gap_ms are thinned out, so that the memory reaches back far enough. */
void lag_record(struct lag_history *h, uint64_t now_ms, int64_t primary_offset, uint64_t gap_ms);
/* For how long the primary has had something that the replica has not; 0 = nothing. */
uint64_t lag_ms(const struct lag_history *h, uint64_t now_ms, int64_t replica_offset);
/* By how many bytes; -1 = unknown. */
int64_t lag_bytes(const struct lag_history *h, int64_t replica_offset);

/* waiting.c */
void waiting_add(struct backend_control *b, struct waiter *w);
void waiting_cancel(struct backend_control *b, struct waiter *w);
void waiting_serve(struct backend_control *b);

/* Workers close pooled connections of this backend that nobody uses. */
void control_spare(struct control *c, size_t backend);

#endif
