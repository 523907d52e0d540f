#include "core/admission.h"

#include "core/worker.h"

#define NS_PER_S 1000000000ULL

static bool is_denied(const struct access_list *rules, const struct address *from)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (!rules->items[i].allow && cidr_contains(&rules->items[i].range, from)) {
            return true;
        }
    }
    return false;
}

/* Who may connect to a unix socket is said by the permissions of its file. */
static bool may_connect(const struct access_list *rules, const struct address *from)
{
    bool allowlist = false;
    if (from->sa.any.sa_family == AF_UNIX) {
        return true;
    }
    for (size_t i = 0; i < rules->count; i++) {
        if (cidr_contains(&rules->items[i].range, from)) {
            return rules->items[i].allow;
        }
        allowlist = allowlist || rules->items[i].allow;
    }
    return !allowlist;
}

/* Generic cell rate algorithm (ITU-T I.371): the stored time is when an empty bucket would be full
 * again; a second's worth may come at once. */
static bool rate_admits(_Atomic uint64_t *full_at, unsigned per_second, uint64_t now_ns)
{
    uint64_t step = NS_PER_S / per_second;
    uint64_t seen = atomic_load_explicit(full_at, memory_order_relaxed);
    uint64_t next;
    do {
        next = (seen > now_ns ? seen : now_ns) + step;
        if (next > now_ns + NS_PER_S) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(full_at, &seen, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static enum admission_verdict enter_by_address(struct worker *w, const struct frontend_config *f,
                                               struct admission *a, uint64_t now_ns,
                                               const char **words)
{
    if (f->max_sessions_per_ip == 0 && f->session_rate_per_ip == 0) {
        return ADMITTED;
    }
    switch (client_table_enter(w->clients, f->index, &a->key, f->max_sessions_per_ip,
                               f->session_rate_per_ip, now_ns)) {
    case CLIENT_TOO_MANY:
        *words = "too many connections from this address";
        return ADMISSION_SESSIONS;
    case CLIENT_TOO_FAST:
        *words = "too many new connections a second from this address";
        return ADMISSION_RATE;
    case CLIENT_ADMITTED:
        break;
    }
    a->client = true;
    return ADMITTED;
}

enum admission_verdict admission_enter(struct worker *w, const struct frontend_config *f,
                                       const struct address *from, struct admission *a,
                                       const char **words)
{
    *a = (struct admission){.key = address_client_key(from)};
    struct shared_frontend *shared = w->shared->frontends[f->index];
    if (!may_connect(&f->access, from)) {
        return ADMISSION_DENIED;
    }
    if (atomic_load_explicit(&shared->disabled, memory_order_relaxed)) {
        *words = "this frontend is disabled by its operator";
        return ADMISSION_DISABLED;
    }
    *words = "too many connections";
    a->router = shared_claim(&w->shared->router->sessions, w->shared->max_sessions);
    if (!a->router) {
        return ADMISSION_SESSIONS;
    }
    shared_note_peak(&w->shared->router->sessions_peak, &w->shared->router->sessions);
    a->frontend = shared_claim(&shared->sessions, f->max_sessions);
    if (!a->frontend) {
        return ADMISSION_SESSIONS;
    }
    shared_note_peak(&shared->sessions_peak, &shared->sessions);
    uint64_t now_ns = uv_hrtime();
    enum admission_verdict verdict =
        f->accept_proxy ? ADMITTED : enter_by_address(w, f, a, now_ns, words);
    if (verdict != ADMITTED) {
        return verdict;
    }
    if (f->session_rate > 0 && !rate_admits(&shared->rate_tat_ns, f->session_rate, now_ns)) {
        *words = "too many new connections a second";
        return ADMISSION_RATE;
    }
    return ADMITTED;
}

enum frontend_metric admission_counter(enum admission_verdict verdict)
{
    return verdict == ADMISSION_RATE       ? FRONTEND_REFUSED_RATE
           : verdict == ADMISSION_DISABLED ? FRONTEND_REFUSED_DISABLED
                                           : FRONTEND_REFUSED_SESSIONS;
}

/* Who speaks for others was let in by the rules; those it speaks for may still be denied. */
enum admission_verdict admission_client(struct worker *w, const struct frontend_config *f,
                                        const struct address *from, bool named, struct admission *a,
                                        const char **words)
{
    a->key = address_client_key(from);
    if (named && is_denied(&f->access, from)) {
        return ADMISSION_DENIED;
    }
    return enter_by_address(w, f, a, uv_hrtime(), words);
}

void admission_enter_backend(struct worker *w, size_t backend, struct admission *a)
{
    struct shared_backend *shared = w->shared->backends[backend];
    a->backend = shared_claim(&shared->sessions, 0);
    a->backend_index = (uint32_t)backend;
    shared_note_peak(&shared->sessions_peak, &shared->sessions);
}

void admission_leave(struct worker *w, const struct frontend_config *f, struct admission *a)
{
    if (a->client) {
        client_table_leave(w->clients, f->index, &a->key);
    }
    if (a->frontend) {
        shared_release(&w->shared->frontends[f->index]->sessions);
    }
    if (a->router) {
        shared_release(&w->shared->router->sessions);
    }
    if (a->backend) {
        shared_release(&w->shared->backends[a->backend_index]->sessions);
    }
    a->client = a->frontend = a->router = a->backend = false;
}
