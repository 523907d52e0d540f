/* One timer serves all names: it looks up what is due, and looks whether what runs is what should
 * run. Nothing is changed from within an answer or a probe's report, whose callers would be gone
 * then; they only say when the timer has to look. */
#include "ctl/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/text.h"
#include "ctl/apply.h"
#include "ctl/control.h"
#include "ctl/named.h"
#include "ctl/resolve.h"
#include "model/discovery.h"

#define DOUBT_MS      1000  /* between two look-ups of a name whose servers fail */
#define LABEL_WAIT_MS 2000  /* for what an address is called, before it is discovered */
#define PATIENT_MS    1000  /* a look-up that lasted so long is not expected to be quick */
#define MOVES_MS      1000  /* between two looks for another address of a server that is down */
#define LISTED_MAX    1000  /* bytes of addresses in a line of the log */
#define TOLD_MS       60000 /* between two events about a name that fails now and then */
#define AGAIN_MS      10000 /* what could not be put into effect is tried again */
#define NEVER         UINT64_MAX

struct name {
    char host[ADDRESS_NAME_MAX];
    struct name_addresses known;
    bool used;       /* by the running configuration */
    bool discovered; /* what its addresses are called matters */
    bool asking;
    bool answered; /* once, with whatever result */
    bool failing;
    bool told; /* that it fails */
    bool patient;
    char why[RESOLVE_WHY_MAX];
    uint64_t asked_ms;
    uint64_t due_ms;
    uint64_t good_ms;   /* NEVER: no good answer yet */
    uint64_t told_ms;   /* when it was told that it fails; 0 = never */
    uint64_t labels_ms; /* until then an address without a label waits; 0 = none does */
    uint64_t lookups;
    uint64_t failures;
};

struct names {
    struct control *control;
    struct resolver *resolver; /* owned; NULL = nobody has needed it yet */
    uv_timer_t timer;
    struct name **items; /* owned */
    size_t count;
    bool news;         /* an answer is not in effect yet */
    uint64_t look_ms;  /* when to look whether what runs is what should run; NEVER = not */
    uint64_t moved_ms; /* when that was done last */
};

static uint64_t now_of(const struct names *n)
{
    return loop_now_ms(&n->control->loop);
}

static struct name *find(const struct names *n, const char *host)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(n->items[i]->host, host) == 0) {
            return n->items[i];
        }
    }
    return NULL;
}

const struct name_addresses *names_find(const struct names *n, const char *host)
{
    const struct name *name = find(n, host);
    return name != NULL ? &name->known : NULL;
}

/* When to do what --------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void set_timer(struct names *n)
{
    uint64_t next = n->look_ms;
    for (size_t i = 0; i < n->count; i++) {
        const struct name *name = n->items[i];
        next = name->asking ? next : least(next, name->due_ms);
        next = name->labels_ms > 0 ? least(next, name->labels_ms) : next;
    }
    uint64_t now = now_of(n);
    if (next == NEVER) {
        uv_timer_stop(&n->timer);
    } else {
        uv_timer_start(&n->timer, on_timer, next > now ? next - now : 0, 0);
    }
}

static void look_at(struct names *n, uint64_t when)
{
    n->look_ms = least(n->look_ms, when);
    set_timer(n);
}

static void put_into_effect(struct names *n)
{
    char why[APPLY_WHY_MAX];
    n->look_ms = NEVER;
    n->moved_ms = now_of(n);
    n->news = false;
    if (named_apply(n->control, why) != 0) {
        log_warn("what names lead to now is not put into effect: %s", why);
        look_at(n, now_of(n) + AGAIN_MS);
    }
}

static void tell_news(struct names *n)
{
    n->news = true;
    look_at(n, now_of(n));
}

/* Answers ----------------------------------------------------------------------------------- */

static void ask(struct names *n, struct name *name)
{
    uint64_t now = now_of(n);
    name->asked_ms = now;
    name->due_ms = now + n->control->config->router.resolve_interval;
    name->asking = resolver_ask(n->resolver, name->host, name->patient) == 0;
}

/* Only what is discovered has a name of its own. */
static void settle_labels(struct names *n, struct name *name)
{
    for (size_t i = 0; i < name->known.count; i++) {
        struct name_address *a = &name->known.items[i];
        if (a->settled || a->asked) {
            continue;
        }
        a->asked = name->discovered && resolver_ask_owner(n->resolver, &a->address) == 0;
        a->settled = !a->asked;
        name->labels_ms = a->asked ? now_of(n) + LABEL_WAIT_MS : name->labels_ms;
    }
}

static bool has_unsettled(const struct name *name)
{
    bool found = false;
    for (size_t i = 0; i < name->known.count && !found; i++) {
        found = !name->known.items[i].settled;
    }
    return found;
}

/* Those that nobody has answered for have none. */
static void end_label_wait(struct names *n, struct name *name)
{
    name->labels_ms = 0;
    for (size_t i = 0; i < name->known.count; i++) {
        name->known.items[i].settled = true;
    }
    tell_news(n);
}

static void on_owner(struct names *n, const struct resolve_answer *answer)
{
    for (size_t i = 0; i < n->count; i++) {
        struct name *name = n->items[i];
        for (size_t j = 0; j < name->known.count; j++) {
            struct name_address *a = &name->known.items[j];
            if (!a->settled && address_equal(&a->address, &answer->address)) {
                discovery_label(answer->owner, a->label);
                a->settled = true;
            }
        }
        if (name->labels_ms > 0 && !has_unsettled(name)) {
            end_label_wait(n, name); /* all at once, in their order */
        }
    }
}

/* Loudly, but once. */
static void tell_failure(struct names *n, struct name *name)
{
    uint64_t now = now_of(n);
    if (name->told_ms > 0 && now - name->told_ms < TOLD_MS) {
        return;
    }
    name->told_ms = now;
    name->told = true;
    if (name->known.count > 0) {
        events_add(&n->control->events, "", "name",
                   "%s cannot be resolved any more (%s): what it had stays in use", name->host,
                   name->why);
    } else {
        events_add(&n->control->events, "", "name", "%s cannot be resolved: %s", name->host,
                   name->why);
    }
}

static void note_failure(struct names *n, struct name *name, const char *why)
{
    bool news = !name->failing;
    name->failures++;
    name->failing = true;
    snprintf(name->why, sizeof name->why, "%s", why);
    if (news) {
        tell_failure(n, name);
        tell_news(n);
    }
    if (name->known.count == 0) {
        name->due_ms = least(name->due_ms, now_of(n) + DOUBT_MS); /* its server is down */
    }
}

static void tell_addresses(const struct name *name, size_t left_out)
{
    struct text list = {0};
    text_add(&list, "%s", "");
    for (size_t i = 0; i < name->known.count; i++) {
        const struct name_address *a = &name->known.items[i];
        char text[ADDRESS_TEXT_MAX];
        if (list.len < LISTED_MAX) {
            text_add(&list, " %s%s", address_print_host(&a->address, text),
                     a->missing > 0 ? " (missing)" : "");
        } else {
            text_add(&list, "%s", i + 1 == name->known.count ? " ..." : "");
        }
    }
    if (left_out > 0) {
        text_add(&list, "; %zu more are left out", left_out);
    }
    log_info("name=%s has%s", name->host, list.data);
    text_free(&list);
}

static void on_addresses(struct names *n, struct name *name, const struct resolve_answer *answer)
{
    uint64_t now = now_of(n);
    name->asking = false;
    name->answered = true;
    name->lookups++;
    name->patient = answer->took_ms >= PATIENT_MS;
    if (!answer->found) {
        note_failure(n, name, answer->why);
        return;
    }
    if (name->told) {
        events_add(&n->control->events, "", "name", "%s is resolved%s", name->host,
                   name->good_ms != NEVER ? " again" : "");
    }
    name->failing = false;
    name->told = false;
    name->good_ms = now;
    if (!discovery_merge(&name->known, answer->addresses, answer->count, answer->partial)) {
        return;
    }
    tell_addresses(name, answer->left_out);
    settle_labels(n, name);
    /* Of a server it is worth to know soon whether it has moved. */
    name->due_ms = name->discovered ? name->due_ms : least(name->due_ms, now + DOUBT_MS);
    tell_news(n);
}

static void on_answer(void *context, const struct resolve_answer *answer)
{
    struct names *n = context;
    struct name *name = find(n, answer->name);
    if (address_is_set(&answer->address)) {
        on_owner(n, answer);
    } else if (name != NULL) {
        on_addresses(n, name, answer);
    }
    set_timer(n);
}

static const struct resolver_events resolver_events = {.on_answer = on_answer};

static void on_timer(uv_timer_t *timer)
{
    struct names *n = container_of(timer, struct names, timer);
    uint64_t now = now_of(n);
    for (size_t i = 0; i < n->count; i++) {
        struct name *name = n->items[i];
        if (name->labels_ms > 0 && name->labels_ms <= now) {
            end_label_wait(n, name);
        }
        if (!name->asking && name->due_ms <= now) {
            ask(n, name);
        }
    }
    if (n->look_ms <= now) {
        put_into_effect(n);
    }
    set_timer(n);
}

/* Which names there are --------------------------------------------------------------------- */

static void use(struct names *n, const char *host, bool discovered)
{
    struct name *name = host != NULL ? find(n, host) : NULL;
    if (host == NULL) {
        return;
    }
    if (name == NULL) {
        name = xcalloc(1, sizeof *name);
        snprintf(name->host, sizeof name->host, "%s", host);
        name->good_ms = NEVER;
        n->items = xrealloc(n->items, (n->count + 1) * sizeof(struct name *));
        n->items[n->count++] = name;
    }
    name->used = true;
    name->discovered = name->discovered || discovered;
}

static void use_all(struct names *n, const struct backend_config *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        const struct server_config *s = &b->servers.items[i];
        use(n, s->gone || s->discovered > 0 ? NULL : s->host, false);
    }
    for (size_t i = 0; i < b->discovers.count; i++) {
        use(n, b->discovers.items[i].host, true);
    }
    for (size_t i = 0; i < b->sentinels.count; i++) {
        use(n, b->sentinels.items[i].host, false);
    }
}

static void forget(struct names *n, size_t at)
{
    discovery_release(&n->items[at]->known);
    free(n->items[at]);
    memmove(&n->items[at], &n->items[at + 1], (n->count - at - 1) * sizeof(struct name *));
    n->count--;
}

static void collect(struct names *n)
{
    const struct config *c = n->control->config;
    for (size_t i = 0; i < n->count; i++) {
        n->items[i]->used = false;
        n->items[i]->discovered = false;
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        if (!c->backends[i].gone) {
            use_all(n, &c->backends[i]);
        }
    }
    for (size_t i = n->count; i-- > 0;) {
        if (!n->items[i]->used) {
            forget(n, i);
        }
    }
}

void names_follow(struct names *n)
{
    if (n == NULL) {
        return;
    }
    collect(n);
    if (n->resolver == NULL && n->count > 0) {
        n->resolver = resolver_new(&n->control->loop, &resolver_events, n);
    }
    /* A configuration that was just read may lack what is known; what is new is looked up. */
    look_at(n, n->count > 0 ? now_of(n) : NEVER);
}

void names_doubt(struct names *n, const char *host)
{
    struct name *name = n != NULL && host != NULL ? find(n, host) : NULL;
    if (name == NULL) {
        return;
    }
    uint64_t now = now_of(n);
    uint64_t soon = name->asked_ms + DOUBT_MS;
    name->due_ms = least(name->due_ms, soon > now ? soon : now);
    look_at(n, n->moved_ms + MOVES_MS > now ? n->moved_ms + MOVES_MS : now);
}

bool names_settled(const struct names *n)
{
    bool settled = !n->news;
    for (size_t i = 0; i < n->count && settled; i++) {
        settled = n->items[i]->answered && n->items[i]->labels_ms == 0;
    }
    return settled;
}

/* Beginning and end ------------------------------------------------------------------------- */

struct names *names_new(struct control *c)
{
    struct names *n = calloc(1, sizeof *n);
    if (n != NULL) {
        *n = (struct names){.control = c, .look_ms = NEVER};
        uv_timer_init(&c->loop.uv, &n->timer);
    }
    return n;
}

static void on_closed(uv_handle_t *handle)
{
    struct names *n = container_of((uv_timer_t *)handle, struct names, timer);
    while (n->count > 0) {
        forget(n, n->count - 1);
    }
    free(n->items);
    free(n);
}

void names_close(struct names *n)
{
    if (n == NULL) {
        return;
    }
    if (n->resolver != NULL) {
        resolver_close(n->resolver);
        n->resolver = NULL;
    }
    uv_close((uv_handle_t *)&n->timer, on_closed);
}

/* Telling ----------------------------------------------------------------------------------- */

size_t names_count(const struct names *n)
{
    return n->count;
}

void names_view(const struct names *n, size_t i, struct name_view *out)
{
    const struct name *name = n->items[i];
    *out = (struct name_view){
        .host = name->host,
        .addresses = name->known.count,
        .answered = name->answered,
        .failing = name->failing,
        .why = name->failing ? name->why : "",
        .asking = name->asking,
        .lookups = name->lookups,
        .failures = name->failures,
        .good_ms = name->good_ms == NEVER ? NEVER : now_of(n) - name->good_ms,
    };
}

bool names_look(const struct names *n, const char *host, struct name_view *out)
{
    for (size_t i = 0; i < n->count; i++) {
        if (strcmp(n->items[i]->host, host) == 0) {
            names_view(n, i, out);
            return true;
        }
    }
    return false;
}

static void tell_name(const struct names *n, size_t i, struct text *out)
{
    struct name_view v;
    names_view(n, i, &v);
    text_add(out, "  %s: %llu look-ups, %llu failed", v.host, (unsigned long long)v.lookups,
             (unsigned long long)v.failures);
    if (v.good_ms == NEVER) {
        text_add(out, ", never resolved");
    } else {
        text_add(out, ", resolved %llu ms ago", (unsigned long long)v.good_ms);
    }
    text_add(out, "%s%s%s\n", v.failing ? "; now: " : "", v.why, v.asking ? "; being asked" : "");
}

void names_tell(const struct names *n, struct text *out)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct name_addresses *known = &n->items[i]->known;
        tell_name(n, i, out);
        for (size_t j = 0; j < known->count; j++) {
            const struct name_address *a = &known->items[j];
            char text[ADDRESS_TEXT_MAX];
            text_add(out, "    %s%s%s%s\n", address_print_host(&a->address, text),
                     a->label[0] != '\0' ? " " : "", a->label,
                     a->missing > 0 ? ", missing in the last answer" : "");
        }
    }
}
