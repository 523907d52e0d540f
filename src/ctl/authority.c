/* Who decides about primaries beside the servers themselves: Redis Sentinels (ctl/sentinel.c) and
 * Patroni, whose word on each server its second probe brings (ctl/probes.c). Group Replication's
 * majority speaks through the servers' own answers. */
#include <stdio.h>

#include "base/log.h"
#include "ctl/control.h"
#include "ctl/names.h"
#include "ctl/sentinel.h"

static bool has_sentinels(const struct backend_control *b)
{
    return b->config->sentinels.count > 0 && backend_has_roles(b->config);
}

static bool has_patroni(const struct backend_control *b)
{
    return b->config->patroni > 0 && backend_has_roles(b->config);
}

static void set_login(struct backend_control *b)
{
    b->sentinel_login = (struct probe_setup){
        .user = b->config->sentinel_user,
        .password = b->sentinel_secret.value,
        .master = b->config->sentinel_master,
    };
}

void authority_init(struct backend_control *b)
{
    live_secret_init(&b->sentinel_secret, b->config->sentinel_password_file,
                     b->config->sentinel_password);
    set_login(b);
}

void authority_release(struct backend_control *b)
{
    sentinels_free(b->sentinels);
    live_secret_release(&b->sentinel_secret);
}

static void on_change(void *context)
{
    struct backend_control *b = context;
    authority_refresh_secret(b); /* it may have been refused */
    backend_word_changed(b, true);
}

static void on_news(void *context, const char *text)
{
    struct backend_control *b = context;
    log_debug("backend=%s a Sentinel says: %s", b->config->name, text);
    backend_word_changed(b, true);
}

static const struct sentinels_events sentinels_events = {
    .on_change = on_change,
    .on_news = on_news,
};

void authority_start(struct backend_control *b)
{
    if (!has_sentinels(b)) {
        return;
    }
    struct sentinels_setup setup = {
        .loop = &b->control->loop,
        .config = b->config,
        .login = &b->sentinel_login,
        .tls = &b->word_tls,
        .ring = &b->control->events,
        .events = &sentinels_events,
        .context = b,
        .stamp = &b->control->stamp,
    };
    b->sentinels = sentinels_new(&setup);
    if (b->sentinels != NULL) {
        sentinels_start(b->sentinels);
    } else {
        log_error("backend=%s out of memory: its Sentinels are not asked", b->config->name);
    }
}

void authority_stop(struct backend_control *b)
{
    if (b->sentinels != NULL) {
        sentinels_stop(b->sentinels);
    }
}

void authority_adopt(struct backend_control *b, bool anew)
{
    live_secret_adopt(&b->sentinel_secret, b->config->sentinel_password_file,
                      b->config->sentinel_password);
    set_login(b);
    if (!anew && b->sentinels != NULL) {
        sentinels_adopt(b->sentinels, b->config);
    } else if (anew) {
        authority_stop(b);
        sentinels_free(b->sentinels);
        b->sentinels = NULL;
        authority_start(b);
    }
}

static const struct name_addresses *find_name(const void *context, const char *host)
{
    const struct control *c = context;
    return names_find(c->names, host);
}

void authority_take_names(struct backend_control *b)
{
    if (b->sentinels != NULL) {
        sentinels_take_names(b->sentinels, find_name, b->control);
    }
}

void authority_ask_now(struct backend_control *b)
{
    if (b->sentinels != NULL) {
        sentinels_now(b->sentinels);
    }
}

void authority_set_pace(struct backend_control *b, bool fast)
{
    if (b->sentinels != NULL) {
        sentinels_set_pace(b->sentinels, fast);
    }
}

void authority_refresh_secret(struct backend_control *b)
{
    char whose[96];
    snprintf(whose, sizeof whose, "backend=%s", b->config->name);
    if (live_secret_refresh(&b->sentinel_secret, whose)) {
        b->sentinel_login.password = b->sentinel_secret.value;
        authority_ask_now(b);
    }
}

/* Whether it may be read, as long as Patroni's word can be had; that on the primary is counted. */
void authority_add_word(const struct backend_control *b, const struct server_control *s,
                        struct observation *seen)
{
    if (has_patroni(b) && s->word.reach == REACH_ANSWERED) {
        seen->readable = s->word.readable;
    }
}

static struct authority patroni(const struct backend_control *b, unsigned *words)
{
    struct authority a = {.total = 1, .words = words, .name = "Patroni"};
    for (size_t i = 0; i < b->config->servers.count; i++) {
        const struct observation *word = &b->servers[i].word;
        bool heard = word->reach == REACH_ANSWERED;
        words[i] = heard && word->authority == WORD_YES;
        a.heard = a.heard > 0 || heard;
    }
    return a;
}

struct authority authority_count(const struct backend_control *b, unsigned *words)
{
    if (has_patroni(b)) {
        return patroni(b, words);
    }
    struct authority a = {.words = words, .name = "the Sentinels"};
    if (has_sentinels(b)) {
        a.total = (unsigned)b->config->sentinels.count;
    }
    if (b->sentinels != NULL) {
        a.total = (unsigned)sentinels_count(b->sentinels);
        sentinels_words(b->sentinels, words, &a.heard);
        a.promoting = sentinels_promoting(b->sentinels);
    }
    return a;
}
