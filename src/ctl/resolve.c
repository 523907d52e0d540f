/* Turns. At most RESOLVE_THREADS_MAX look-ups are under way. One that has lasted for SLOW_MS is
 * slow, and so is, from its start, one whose name took long the last time: of those at most
 * SLOW_MAX are begun. Of the others QUICK_MAX go on at a time, so that a hundred names do not fall
 * upon the name server at once. Names that nobody answers for so hold some places, and never the
 * last ones for long. */
#include "ctl/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/macros.h"
#include "net/loop.h"

#define QUICK_MAX   4
#define SLOW_MAX    8
#define SLOW_MS     1000
#define LOOK_MS     100
/* glibc keeps what is large on the heap; a module of nsswitch.conf(5) may be less thrifty. */
#define STACK_BYTES 262144

/* Where threads leave their answers. It outlives the resolver, as they may. The mutex is there
 * because a thread must not post to a loop that ends meanwhile, and nothing waits for it: who holds
 * it does nothing else. */
struct desk {
    atomic_uint references;
    pthread_mutex_t mutex;
    struct resolver *resolver; /* NULL = closed */
};

struct job {
    struct message message;
    struct list node;
    struct desk *desk; /* ref */
    bool patient;
    bool owner; /* asks who an address belongs to */
    uint64_t started_ms;
    struct resolve_answer answer;
};

struct resolver {
    struct loop *loop;
    const struct resolver_events *events;
    void *context;
    struct desk *desk; /* ref */
    struct list queue; /* of struct job, names before addresses */
    struct list flying;
    bool told;       /* that there are no threads */
    uv_timer_t look; /* while somebody waits for a turn: whether one has become slow */
};

static void desk_unref(struct desk *d, unsigned count)
{
    if (atomic_fetch_sub(&d->references, count) == count) {
        pthread_mutex_destroy(&d->mutex);
        free(d);
    }
}

static void job_free(struct job *j)
{
    desk_unref(j->desk, 1);
    free(j);
}

/* In the thread --------------------------------------------------------------------------- */

static void explain(struct resolve_answer *a, int status)
{
    snprintf(a->why, sizeof a->why, "%s",
             status == EAI_SYSTEM ? strerror(errno) : gai_strerror(status));
}

static int by_address(const void *left, const void *right)
{
    const struct address *a = left;
    const struct address *b = right;
    bool v4 = a->sa.any.sa_family == AF_INET;
    if (v4 != (b->sa.any.sa_family == AF_INET)) {
        return v4 ? -1 : 1;
    }
    return v4 ? memcmp(&a->sa.v4.sin_addr, &b->sa.v4.sin_addr, sizeof a->sa.v4.sin_addr)
              : memcmp(&a->sa.v6.sin6_addr, &b->sa.v6.sin6_addr, sizeof a->sa.v6.sin6_addr);
}

static void take_address(struct resolve_answer *a, const struct addrinfo *info)
{
    struct address address = {.len = info->ai_addrlen};
    bool fits = info->ai_addrlen <= sizeof address.sa;
    if (fits) {
        memcpy(&address.sa, info->ai_addr, info->ai_addrlen);
    }
    for (size_t i = 0; i < a->count && fits; i++) {
        fits = !address_equal(&a->addresses[i], &address);
    }
    if (!fits) {
        return;
    }
    if (a->count == RESOLVE_ADDRESSES_MAX) {
        a->left_out++;
    } else {
        a->addresses[a->count++] = address;
    }
}

static int look_up(struct resolve_answer *a, int family)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int status = getaddrinfo(a->name, NULL, &hints, &list);
    if (status != 0) {
        explain(a, status);
        return status;
    }
    for (const struct addrinfo *it = list; it != NULL; it = it->ai_next) {
        take_address(a, it);
    }
    freeaddrinfo(list);
    return 0;
}

static bool there_is_none(int status)
{
    return status == EAI_NONAME || status == EAI_NODATA || status == EAI_ADDRFAMILY;
}

/* One family after the other, because getaddrinfo() does not tell when it could find out about one
 * of them only: addresses that are not in the answer would seem to be gone. */
static void find_addresses(struct resolve_answer *a)
{
    int v4 = look_up(a, AF_INET);
    if (v4 != 0 && !there_is_none(v4)) {
        return;
    }
    int v6 = look_up(a, AF_INET6);
    a->found = a->count > 0;
    a->partial = v4 == 0 && v6 != 0 && !there_is_none(v6);
    if (a->found) {
        a->why[0] = '\0';
    }
    qsort(a->addresses, a->count, sizeof a->addresses[0], by_address);
}

static void find_owner(struct resolve_answer *a)
{
    int status = getnameinfo(&a->address.sa.any, a->address.len, a->owner, sizeof a->owner, NULL, 0,
                             NI_NAMEREQD);
    a->found = status == 0;
    if (status != 0) {
        a->owner[0] = '\0';
        explain(a, status);
    }
}

static void *run(void *argument)
{
    struct job *j = argument;
    struct desk *d = j->desk;
    if (j->owner) {
        find_owner(&j->answer);
    } else {
        find_addresses(&j->answer);
    }
    atomic_fetch_add(&d->references, 1); /* the job's own may be gone with the post */
    pthread_mutex_lock(&d->mutex);
    bool open = d->resolver != NULL;
    if (open) {
        mailbox_post(&d->resolver->loop->mailbox, &j->message);
    }
    pthread_mutex_unlock(&d->mutex);
    if (!open) {
        free(j);
    }
    desk_unref(d, open ? 1 : 2); /* and the job's */
    return NULL;
}

/* No signal is handled there: libuv wants to, in whatever thread. */
static int start_thread(struct job *j)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return rc;
    }
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attr, run, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

/* Turns ------------------------------------------------------------------------------------ */

static void give_turns(struct resolver *r);

static void on_look(uv_timer_t *timer)
{
    give_turns(container_of(timer, struct resolver, look));
}

static void on_done(struct message *m, void *receiver)
{
    struct job *j = container_of(m, struct job, message);
    const struct desk *d = j->desk;
    struct resolver *r = d->resolver; /* this thread alone changes it */
    (void)receiver;
    if (r != NULL) {
        list_remove(&j->node);
        j->answer.took_ms = loop_now_ms(r->loop) - j->started_ms;
        r->events->on_answer(r->context, &j->answer);
    }
    if (d->resolver != NULL) {
        give_turns(d->resolver);
    }
    job_free(j);
}

struct flight {
    unsigned all;
    unsigned slow;
};

static struct flight count_flying(const struct resolver *r)
{
    struct flight f = {0};
    uint64_t now = loop_now_ms(r->loop);
    LIST_EACH(it, &r->flying)
    {
        const struct job *j = container_of(it, struct job, node);
        f.all++;
        f.slow += j->patient || now - j->started_ms >= SLOW_MS;
    }
    return f;
}

static bool may_start(const struct job *j, const struct flight *f)
{
    if (f->all >= RESOLVE_THREADS_MAX) {
        return false;
    }
    return j->patient ? f->slow < SLOW_MAX : f->all - f->slow < QUICK_MAX;
}

/* False: there is no thread to be had, now. */
static bool start(struct resolver *r, struct job *j)
{
    uv_update_time(&r->loop->uv);
    j->started_ms = loop_now_ms(r->loop);
    list_remove(&j->node);
    list_append(&r->flying, &j->node);
    if (start_thread(j) == 0) {
        r->told = false;
        return true;
    }
    list_remove(&j->node);
    list_prepend(&r->queue, &j->node);
    if (!r->told) {
        log_error("no thread can be started to look up names; it is tried again");
    }
    r->told = true;
    return false;
}

static void give_turns(struct resolver *r)
{
    struct flight f = count_flying(r);
    bool threads = true;
    for (struct list *it = r->queue.next, *next; it != &r->queue && threads; it = next) {
        struct job *j = container_of(it, struct job, node);
        next = it->next;
        if (may_start(j, &f)) {
            threads = start(r, j);
            f.all++;
            f.slow += j->patient;
        }
    }
    if (list_empty(&r->queue)) {
        uv_timer_stop(&r->look);
    } else if (!uv_is_active((uv_handle_t *)&r->look)) {
        uv_timer_start(&r->look, on_look, LOOK_MS, LOOK_MS);
    }
}

/* From outside ------------------------------------------------------------------------------ */

struct resolver *resolver_new(struct loop *l, const struct resolver_events *events, void *context)
{
    struct resolver *r = calloc(1, sizeof *r);
    struct desk *d = calloc(1, sizeof *d);
    if (r == NULL || d == NULL || pthread_mutex_init(&d->mutex, NULL) != 0) {
        free(d);
        free(r);
        return NULL;
    }
    *r = (struct resolver){.loop = l, .events = events, .context = context, .desk = d};
    atomic_init(&d->references, 1);
    d->resolver = r;
    list_init(&r->queue);
    list_init(&r->flying);
    uv_timer_init(&l->uv, &r->look);
    return r;
}

static struct job *job_new(struct resolver *r)
{
    struct job *j = calloc(1, sizeof *j);
    if (j != NULL) {
        j->message.run = on_done;
        j->desk = r->desk;
        atomic_fetch_add(&j->desk->references, 1);
    }
    return j;
}

int resolver_ask(struct resolver *r, const char *name, bool patient)
{
    loop_assert(r->loop);
    struct job *j = job_new(r);
    if (j == NULL) {
        return UV_ENOMEM;
    }
    snprintf(j->answer.name, sizeof j->answer.name, "%s", name);
    j->patient = patient;
    struct list *it = r->queue.next;
    while (it != &r->queue && !container_of(it, struct job, node)->owner) {
        it = it->next;
    }
    list_append(it, &j->node); /* before it */
    give_turns(r);
    return 0;
}

int resolver_ask_owner(struct resolver *r, const struct address *address)
{
    loop_assert(r->loop);
    struct job *j = job_new(r);
    if (j == NULL) {
        return UV_ENOMEM;
    }
    j->answer.address = *address;
    j->owner = true;
    list_append(&r->queue, &j->node);
    give_turns(r);
    return 0;
}

size_t resolver_busy(const struct resolver *r)
{
    size_t n = 0;
    LIST_EACH(it, &r->queue)
    {
        n++;
    }
    return n + count_flying(r).all;
}

static void on_closed(uv_handle_t *handle)
{
    struct resolver *r = container_of((uv_timer_t *)handle, struct resolver, look);
    desk_unref(r->desk, 1);
    free(r);
}

void resolver_close(struct resolver *r)
{
    loop_assert(r->loop);
    LIST_EACH(it, &r->queue)
    {
        job_free(container_of(it, struct job, node));
    }
    LIST_EACH(it, &r->flying)
    {
        list_remove(it); /* their threads' from now on, or the mailbox's */
    }
    pthread_mutex_lock(&r->desk->mutex);
    r->desk->resolver = NULL;
    pthread_mutex_unlock(&r->desk->mutex);
    uv_close((uv_handle_t *)&r->look, on_closed);
}
