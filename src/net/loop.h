/* One event loop and what all its connections share: the receive buffer, the tick, the deadline
 * lists, the mailbox. A loop belongs to the thread that runs it; only mailbox_post() may be called
 * from others. */
#ifndef ROUTER_NET_LOOP_H
#define ROUTER_NET_LOOP_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "net/mailbox.h"
#include "net/tls_desk.h"

/* Less than 64 KiB: a loopback segment takes 65,483 bytes, and the 53 that are left over of a full
 * buffer cost a packet of their own, which doubled the CPU time of bulk transfers (bench: bulk). */
#define LOOP_RECEIVE_BYTES 49152
#define LOOP_TICK_MS       50

struct loop {
    uv_loop_t uv;
    uv_thread_t thread;
    struct mailbox mailbox;
    uv_timer_t tick;            /* runs while a deadline is armed */
    struct list deadline_lists; /* of struct deadline_list */
    unsigned armed;             /* deadlines waiting */
    uv_prepare_t before;        /* run on_turn: before the loop sleeps, */
    uv_check_t after;           /* and when it has done what it woke up for */
    void (*on_turn)(struct loop *l);
    bool receiving; /* the receive buffer is lent to a read */
    char receive[LOOP_RECEIVE_BYTES];
    struct tls_desk tls;
};

/* Mailbox messages are run with `receiver`. 0 or a UV_* code. */
int loop_init(struct loop *l, void *receiver);
/* Runs until loop_stop() was called and every handle is closed. */
void loop_run(struct loop *l);
/* Closes what the loop itself holds; the owner must have closed its connections, or does so soon.
 * Loop thread only. Nothing may be posted from then on. */
void loop_stop(struct loop *l);
/* After loop_run(): 0, or UV_EBUSY if a handle leaked. */
int loop_release(struct loop *l);

/* From now on `on_turn` is called at the end of every turn, for what was gathered in it. */
void loop_at_turn(struct loop *l, void (*on_turn)(struct loop *l));

/* For net/deadline.c: the tick runs while anything is armed. */
void loop_deadline_armed(struct loop *l);
void loop_deadline_disarmed(struct loop *l);

static inline uint64_t loop_now_ms(const struct loop *l)
{
    return uv_now(&l->uv);
}

/* The caller must be on the loop's thread (or before it runs). */
#define loop_assert(l) assert(loop_is_mine(l))
static inline bool loop_is_mine(const struct loop *l)
{
    return pthread_equal(l->thread, pthread_self()) != 0;
}

#endif
