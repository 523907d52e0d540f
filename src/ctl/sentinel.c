/* Each Sentinel has a probe of its own (ctl/probe.h) and a standing subscription
 * (ctl/sentinel_watch.h). Its word stays in force when a probe fails, until it has failed
 * probe_fall times in a row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ctl/probe.h"
#include "ctl/sentinel_state.h"
#include "ctl/sentinel_watch.h"
#include "model/config.h"
#include "model/discovery.h"
#include "net/loop.h"
#include "proto/sentinel_probe.h"

/* A Sentinel sends the promotion with its next tick, 100 ms after it has told of it, and looks each
 * second whether the role has changed. What takes longer has gone wrong, and can wait until it
 * names whomever it has promoted then. */
#define INTENTION_MS 5000

/* What it says --------------------------------------------------------------------------- */

/* Its last word counts: probes have not failed too often since. Nor is it older than that takes,
 * which it may be when the router itself was stopped. */
bool sentinel_is_heard(const struct sentinels *s, const struct sentinel *one)
{
    const struct backend_config *b = s->setup.config;
    uint64_t age = loop_now_ms(s->setup.loop) - one->answered_ms;
    return one->names[0] != '\0' && one->failures < b->probe_fall &&
           age <= (b->probe_fall + 2) * (b->probe_interval + b->probe_timeout);
}

static int find_server(const struct sentinels *s, const char *text)
{
    const struct server_list *servers = &s->setup.config->servers;
    for (size_t i = 0; i < servers->count; i++) {
        if (server_is_at(&servers->items[i], text)) {
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

static void on_observation(void *context, size_t number, const struct observation *o)
{
    struct sentinels *s = context;
    struct sentinel *one = s->items[number];
    char named[PEER_TEXT_MAX];
    memcpy(named, one->names, sizeof named);
    bool was_heard = sentinel_is_heard(s, one);
    note(s, one, o);
    bool heard = sentinel_is_heard(s, one);
    sentinel_tell_word(s, one, heard);
    if (heard) {
        sentinel_tell_census(s, one);
    }
    if (heard != was_heard || (heard && strcmp(named, one->names) != 0)) {
        s->setup.events->on_change(s->setup.context);
    }
}

/* It is asked again at once; what the loss of the subscription says is enough of a doubt. */
static void on_lost(void *context, size_t number)
{
    const struct sentinels *s = context;
    log_debug("%s the probe's connection was lost", s->items[number]->label);
}

static void on_intention(void *context, size_t number, const char *address)
{
    struct sentinels *s = context;
    s->items[number]->promotes = find_server(s, address);
    s->items[number]->promotes_ms = loop_now_ms(s->setup.loop);
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

static void start(struct sentinels *s, size_t i)
{
    const struct backend_config *b = s->setup.config;
    struct sentinel *one = s->items[i];
    const struct conn_tcp tcp = {.keepalive_ms = b->tcp_keepalive,
                                 .user_timeout_ms = b->tcp_user_timeout};
    struct probe_target target = {
        .address = one->address,
        .dialogue = &sentinel_probe,
        .setup = s->setup.login,
        .tls = s->setup.tls,
        .keep = true,
        .timeout_ms = b->probe_timeout,
        .fast_interval_ms = b->probe_fast_interval,
        .tcp = tcp,
    };
    struct sentinel_watch_target watch = {
        .address = one->address,
        .setup = s->setup.login,
        .tls = s->setup.tls,
        .tcp = tcp,
        .timeout_ms = b->probe_timeout,
        .pause_ms = b->probe_interval,
        .label = one->label,
    };
    address_peer_name(&one->address, b->sentinels.items[one->line].host, target.peer);
    memcpy(watch.peer, target.peer, sizeof watch.peer);
    one->refilled_ms = loop_now_ms(s->setup.loop);
    one->probe = probe_new(s->setup.loop, &target, i, &probe_events, s, s->setup.stamp);
    one->watch = sentinel_watch_new(s->setup.loop, &watch, i, &watch_events, s);
    if (one->probe == NULL || one->watch == NULL) {
        log_error("%s out of memory: it is not asked, or not listened to", one->label);
    }
    if (one->probe != NULL) {
        probe_set_interval(one->probe, s->fast ? b->probe_fast_interval : b->probe_interval);
        probe_start(one->probe);
    }
    if (one->watch != NULL) {
        sentinel_watch_start(one->watch);
    }
}

static void stop(struct sentinel *one)
{
    if (one->probe != NULL) {
        probe_close(one->probe);
        one->probe = NULL;
    }
    if (one->watch != NULL) {
        sentinel_watch_close(one->watch);
        one->watch = NULL;
    }
}

static size_t free_place(struct sentinels *s)
{
    size_t i = 0;
    while (i < s->count && s->items[i] != NULL) {
        i++;
    }
    if (i == s->count) {
        s->items = xrealloc(s->items, (s->count + 1) * sizeof(struct sentinel *));
        s->count++;
    }
    return i;
}

void sentinel_add(struct sentinels *s, size_t line, const struct address *at, const char *text)
{
    struct sentinel *one = xcalloc(1, sizeof *one);
    size_t i = free_place(s);
    s->items[i] = one;
    one->line = line;
    one->address = *at;
    one->server = NO_SERVER;
    one->promotes = NO_SERVER;
    one->may_tell = SENTINEL_TOLD_MAX;
    snprintf(one->text, sizeof one->text, "%s", text);
    snprintf(one->label, sizeof one->label, "backend=%.60s sentinel=%s", s->setup.config->name,
             text);
    if (s->started) {
        start(s, i);
    }
}

void sentinel_remove(struct sentinels *s, size_t i)
{
    stop(s->items[i]);
    free(s->items[i]);
    s->items[i] = NULL;
}

struct sentinels *sentinels_new(const struct sentinels_setup *setup)
{
    const struct backend_config *b = setup->config;
    struct sentinels *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    *s = (struct sentinels){
        .setup = *setup,
        .fast = true,
        .lines = xcalloc(b->sentinels.count, sizeof *s->lines),
        .promoting = xcalloc(b->servers.count, sizeof *s->promoting),
    };
    for (size_t i = 0; i < b->sentinels.count; i++) {
        const struct sentinel_config *line = &b->sentinels.items[i];
        if (line->host == NULL) {
            sentinel_add(s, i, &line->address, line->text);
        }
    }
    return s;
}

void sentinels_start(struct sentinels *s)
{
    s->started = true;
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i] != NULL) {
            start(s, i);
        }
    }
}

void sentinels_stop(struct sentinels *s)
{
    s->started = false;
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i] != NULL) {
            stop(s->items[i]);
        }
    }
}

void sentinels_free(struct sentinels *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i]);
    }
    free(s->items);
    free(s->lines);
    free(s->promoting);
    free(s);
}

void sentinels_adopt(struct sentinels *s, const struct backend_config *config)
{
    s->setup.config = config;
    s->promoting = xrealloc(s->promoting, (config->servers.count + 1) * sizeof(*s->promoting));
    for (size_t i = 0; i < s->count; i++) {
        struct sentinel *one = s->items[i];
        if (one != NULL) {
            one->server = find_server(s, one->names);
            one->promotes = NO_SERVER;
        }
    }
}

void sentinels_now(struct sentinels *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i] != NULL && s->items[i]->probe != NULL) {
            probe_now(s->items[i]->probe);
        }
    }
}

void sentinels_set_pace(struct sentinels *s, bool fast)
{
    const struct backend_config *b = s->setup.config;
    s->fast = fast;
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i] != NULL && s->items[i]->probe != NULL) {
            probe_set_interval(s->items[i]->probe,
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
        const struct sentinel *one = s->items[i];
        if (one == NULL || !sentinel_is_heard(s, one)) {
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
        const struct sentinel *one = s->items[i];
        if (one != NULL && sentinel_is_heard(s, one) && one->promotes != NO_SERVER &&
            one->promotes != one->server && now - one->promotes_ms <= INTENTION_MS) {
            s->promoting[one->promotes]++;
        }
    }
    return s->promoting;
}

bool sentinels_asked(const struct sentinels *s)
{
    bool all = true;
    for (size_t i = 0; i < s->count && all; i++) {
        const struct sentinel *one = s->items[i];
        all = one == NULL || sentinel_is_heard(s, one) || one->why[0] != '\0';
    }
    return all;
}
