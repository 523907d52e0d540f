/* Each Sentinel has a probe of its own (ctl/probe.h) and a standing subscription
 * (ctl/sentinel_watch.h). Its word stays in force when a probe fails, until it has failed
 * probe_fall times in a row. */
#include "ctl/sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/events.h"
#include "ctl/probe.h"
#include "ctl/sentinel_watch.h"
#include "model/config.h"
#include "net/loop.h"
#include "proto/sentinel_probe.h"

#define LABEL_MAX        (64 + ADDRESS_TEXT_MAX + 24)
#define NO_SERVER        (-1)
#define TOLD_MAX         10    /* events about one Sentinel at once, */
#define TOLD_REFILL_MS   30000 /* and one more each time this has passed */
#define CENSUS_SETTLE_MS 10000 /* Sentinels find each other in a few seconds */
/* A Sentinel sends the promotion with its next tick, 100 ms after it has told of it, and looks each
 * second whether the role has changed. What takes longer has gone wrong, and can wait until it
 * names whomever it has promoted then. */
#define INTENTION_MS     5000

struct sentinel {
    const struct sentinel_config *config; /* borrowed */
    struct probe *probe;                  /* owned; NULL = stopped, or memory */
    struct sentinel_watch *watch;         /* owned; the same */
    char label[LABEL_MAX];
    /* What it answered last. */
    uint64_t answered_ms;
    char names[PEER_TEXT_MAX]; /* "host:port"; empty = nobody, or nothing was answered */
    int server;                /* which server of the backend that is, or NO_SERVER */
    int promotes;              /* whom it told that it promotes, or NO_SERVER */
    uint64_t promotes_ms;      /* when it told so last */
    unsigned members;          /* how many Sentinels it knows; 0 = it does not say */
    uint64_t members_since_ms;
    /* How the last probe went. */
    unsigned failures;
    char why[WHY_MAX];
    /* What became an event. */
    char told[EVENT_TEXT_MAX];
    unsigned told_members;
    unsigned may_tell;
    uint64_t refilled_ms;
};

struct sentinels {
    struct sentinels_setup setup;
    size_t count;
    unsigned *promoting; /* owned; for sentinels_promoting() */
    struct sentinel items[];
};

/* What it says --------------------------------------------------------------------------- */

/* Its last word counts: probes have not failed too often since. Nor is it older than that takes,
 * which it may be when the router itself was stopped. */
static bool is_heard(const struct sentinels *s, const struct sentinel *one)
{
    const struct backend_config *b = s->setup.config;
    uint64_t age = loop_now_ms(s->setup.loop) - one->answered_ms;
    return one->names[0] != '\0' && one->failures < b->probe_fall &&
           age <= (b->probe_fall + 2) * (b->probe_interval + b->probe_timeout);
}

static int find_server(const struct sentinels *s, const char *text)
{
    const struct server_list *servers = &s->setup.config->servers;
    struct address address;
    if (address_parse(&address, text) != 0) {
        return NO_SERVER;
    }
    for (size_t i = 0; i < servers->count; i++) {
        if (address_equal(&address, &servers->items[i].address)) {
            return (int)i;
        }
    }
    return NO_SERVER;
}

static void note(struct sentinels *s, struct sentinel *one, const struct observation *o)
{
    one->failures = o->failures;
    memcpy(one->why, o->why, sizeof one->why);
    if (o->reach != REACH_ANSWERED) {
        return;
    }
    one->answered_ms = o->at_ms;
    if (one->names[0] != '\0' && strcmp(one->names, o->follows) != 0) {
        one->promotes = NO_SERVER; /* done, or overtaken */
    }
    memcpy(one->names, o->follows, sizeof one->names);
    one->server = find_server(s, o->follows);
    if (one->members != o->members) {
        one->members = o->members;
        one->members_since_ms = o->at_ms;
    }
}

/* Telling -------------------------------------------------------------------------------- */

/* A Sentinel that changes its mind with every answer does not fill the ring. */
static bool may_tell(const struct sentinels *s, struct sentinel *one)
{
    uint64_t now = loop_now_ms(s->setup.loop);
    uint64_t more = (now - one->refilled_ms) / TOLD_REFILL_MS;
    if (more > 0) {
        one->refilled_ms = now;
        one->may_tell = more < TOLD_MAX - one->may_tell ? one->may_tell + (unsigned)more : TOLD_MAX;
    }
    if (one->may_tell == 0) {
        return false;
    }
    one->may_tell--;
    return true;
}

/* One line for each change; that the reason of a silence changes is none. */
static void tell_word(const struct sentinels *s, struct sentinel *one, bool heard)
{
    const char *address = one->config->text;
    char text[sizeof one->told];
    const char *because = "";
    if (heard && one->server != NO_SERVER) {
        snprintf(text, sizeof text, "%s names %s", address,
                 s->setup.config->servers.items[one->server].name);
    } else if (heard) {
        snprintf(text, sizeof text, "%s names %s, which is no server of this backend", address,
                 one->names);
    } else if (one->failures == 0) {
        snprintf(text, sizeof text, "%s %s", address, one->why);
    } else if (one->failures >= s->setup.config->probe_fall) {
        snprintf(text, sizeof text, "%s is not heard", address);
        because = one->why;
    } else {
        return; /* it may be heard again the next time */
    }
    if (strcmp(text, one->told) == 0 || !may_tell(s, one)) {
        return;
    }
    events_add(s->setup.ring, s->setup.config->name, "sentinel", "%s%s%s", text,
               because[0] != '\0' ? ": " : "", because);
    memcpy(one->told, text, sizeof one->told);
}

static bool is_miscounted(const struct sentinels *s, const struct sentinel *one)
{
    return one->members > 0 && one->members != s->count;
}

static void tell_census(const struct sentinels *s, struct sentinel *one)
{
    bool settled = loop_now_ms(s->setup.loop) - one->members_since_ms >= CENSUS_SETTLE_MS;
    if (!is_miscounted(s, one)) {
        one->told_members = 0;
    } else if (settled && one->told_members != one->members && may_tell(s, one)) {
        one->told_members = one->members;
        events_add(s->setup.ring, s->setup.config->name, "sentinel",
                   "%s knows of %u Sentinels of \"%s\", but %zu are configured: a majority is "
                   "counted of these",
                   one->config->text, one->members, s->setup.config->sentinel_master, s->count);
    }
}

static void on_observation(void *context, size_t number, const struct observation *o)
{
    struct sentinels *s = context;
    struct sentinel *one = &s->items[number];
    char named[PEER_TEXT_MAX];
    memcpy(named, one->names, sizeof named);
    bool was_heard = is_heard(s, one);
    note(s, one, o);
    bool heard = is_heard(s, one);
    tell_word(s, one, heard);
    if (heard) {
        tell_census(s, one);
    }
    if (heard != was_heard || (heard && strcmp(named, one->names) != 0)) {
        s->setup.events->on_change(s->setup.context);
    }
}

/* It is asked again at once; what the loss of the subscription says is enough of a doubt. */
static void on_lost(void *context, size_t number)
{
    const struct sentinels *s = context;
    log_debug("%s the probe's connection was lost", s->items[number].label);
}

static void on_intention(void *context, size_t number, const char *address)
{
    struct sentinels *s = context;
    s->items[number].promotes = find_server(s, address);
    s->items[number].promotes_ms = loop_now_ms(s->setup.loop);
}

static void on_news(void *context, size_t number, const char *text)
{
    const struct sentinels *s = context;
    (void)number;
    s->setup.events->on_news(s->setup.context, text);
}

static const struct probe_events probe_events = {
    .on_observation = on_observation,
    .on_lost = on_lost,
};

static const struct sentinel_watch_events watch_events = {
    .on_intention = on_intention,
    .on_news = on_news,
};

/* Beginning and end ------------------------------------------------------------------------- */

struct sentinels *sentinels_new(const struct sentinels_setup *setup)
{
    const struct backend_config *b = setup->config;
    size_t count = b->sentinels.count;
    struct sentinels *s = calloc(1, sizeof *s + count * sizeof s->items[0]);
    if (s == NULL) {
        return NULL;
    }
    s->promoting = calloc(b->servers.count, sizeof *s->promoting);
    if (s->promoting == NULL) {
        free(s);
        return NULL;
    }
    s->setup = *setup;
    s->count = count;
    for (size_t i = 0; i < count; i++) {
        struct sentinel *one = &s->items[i];
        one->config = &b->sentinels.items[i];
        one->server = NO_SERVER;
        one->promotes = NO_SERVER;
        one->may_tell = TOLD_MAX;
        snprintf(one->label, sizeof one->label, "backend=%.60s sentinel=%s", b->name,
                 one->config->text);
    }
    return s;
}

static void start(struct sentinels *s, size_t i)
{
    const struct backend_config *b = s->setup.config;
    struct sentinel *one = &s->items[i];
    const struct conn_tcp tcp = {.keepalive_ms = b->tcp_keepalive,
                                 .user_timeout_ms = b->tcp_user_timeout};
    struct probe_target target = {
        .address = one->config->address,
        .dialogue = &sentinel_probe,
        .setup = s->setup.login,
        .tls = s->setup.tls,
        .keep = true,
        .timeout_ms = b->probe_timeout,
        .fast_interval_ms = b->probe_fast_interval,
        .tcp = tcp,
    };
    struct sentinel_watch_target watch = {
        .address = one->config->address,
        .setup = s->setup.login,
        .tls = s->setup.tls,
        .tcp = tcp,
        .timeout_ms = b->probe_timeout,
        .pause_ms = b->probe_interval,
        .label = one->label,
    };
    if (!address_is_set(&one->config->address)) {
        snprintf(one->why, sizeof one->why, "its name is not resolved");
        return;
    }
    address_peer_name(&target.address, one->config->host, target.peer);
    memcpy(watch.peer, target.peer, sizeof watch.peer);
    one->probe = probe_new(s->setup.loop, &target, i, &probe_events, s, s->setup.stamp);
    one->watch = sentinel_watch_new(s->setup.loop, &watch, i, &watch_events, s);
    if (one->probe == NULL || one->watch == NULL) {
        log_error("%s out of memory: it is not asked, or not listened to", one->label);
    }
    if (one->probe != NULL) {
        probe_start(one->probe);
    }
    if (one->watch != NULL) {
        sentinel_watch_start(one->watch);
    }
}

void sentinels_start(struct sentinels *s)
{
    for (size_t i = 0; i < s->count; i++) {
        s->items[i].refilled_ms = loop_now_ms(s->setup.loop);
        start(s, i);
    }
}

void sentinels_stop(struct sentinels *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct sentinel *one = &s->items[i];
        if (one->probe != NULL) {
            probe_close(one->probe);
            one->probe = NULL;
        }
        if (one->watch != NULL) {
            sentinel_watch_close(one->watch);
            one->watch = NULL;
        }
    }
}

void sentinels_free(struct sentinels *s)
{
    if (s == NULL) {
        return;
    }
    free(s->promoting);
    free(s);
}

void sentinels_adopt(struct sentinels *s, const struct backend_config *config)
{
    s->setup.config = config;
    for (size_t i = 0; i < s->count; i++) {
        s->items[i].config = &config->sentinels.items[i];
    }
}

void sentinels_now(struct sentinels *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i].probe != NULL) {
            probe_now(s->items[i].probe);
        }
    }
}

void sentinels_set_pace(struct sentinels *s, bool fast)
{
    const struct backend_config *b = s->setup.config;
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i].probe != NULL) {
            probe_set_interval(s->items[i].probe,
                               fast ? b->probe_fast_interval : b->probe_interval);
        }
    }
}

/* Reading ----------------------------------------------------------------------------------- */

void sentinels_words(const struct sentinels *s, unsigned *words, unsigned *heard)
{
    memset(words, 0, s->setup.config->servers.count * sizeof *words);
    *heard = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct sentinel *one = &s->items[i];
        if (!is_heard(s, one)) {
            continue;
        }
        ++*heard;
        if (one->server != NO_SERVER) {
            words[one->server]++;
        }
    }
}

const unsigned *sentinels_promoting(struct sentinels *s)
{
    uint64_t now = loop_now_ms(s->setup.loop);
    memset(s->promoting, 0, s->setup.config->servers.count * sizeof *s->promoting);
    for (size_t i = 0; i < s->count; i++) {
        const struct sentinel *one = &s->items[i];
        if (is_heard(s, one) && one->promotes != NO_SERVER && one->promotes != one->server &&
            now - one->promotes_ms <= INTENTION_MS) {
            s->promoting[one->promotes]++;
        }
    }
    return s->promoting;
}

bool sentinels_asked(const struct sentinels *s)
{
    bool all = true;
    for (size_t i = 0; i < s->count; i++) {
        all = all && (is_heard(s, &s->items[i]) || s->items[i].why[0] != '\0');
    }
    return all;
}

size_t sentinels_count(const struct sentinels *s)
{
    return s->count;
}

static void explain(const struct sentinels *s, const struct sentinel *one,
                    struct sentinel_view *view)
{
    const char *news = one->watch != NULL ? sentinel_watch_why(one->watch) : "";
    if (!view->heard) {
        snprintf(view->why, sizeof view->why, "%s",
                 one->why[0] != '\0' ? one->why : "was not asked yet");
    } else if (one->server == NO_SERVER) {
        snprintf(view->why, sizeof view->why, "names what is no server of this backend");
    } else if (is_miscounted(s, one)) {
        snprintf(view->why, sizeof view->why, "knows of %u Sentinels, but %zu are configured",
                 one->members, s->count);
    } else if (!view->subscribed && news[0] != '\0') {
        snprintf(view->why, sizeof view->why, "tells no news: %.140s", news);
    }
}

void sentinels_view(const struct sentinels *s, size_t i, struct sentinel_view *out)
{
    const struct sentinel *one = &s->items[i];
    *out = (struct sentinel_view){
        .address = one->config->text,
        .heard = is_heard(s, one),
        .subscribed = one->watch != NULL && sentinel_watch_is_subscribed(one->watch),
    };
    if (out->heard && one->server != NO_SERVER) {
        snprintf(out->names, sizeof out->names, "%s",
                 s->setup.config->servers.items[one->server].name);
    } else if (out->heard) {
        memcpy(out->names, one->names, sizeof out->names);
    }
    explain(s, one, out);
}
