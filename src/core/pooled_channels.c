/* Subscriptions: which confirmations belong to which command, and how a client is subscribed again
 * on another server. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "core/pooled.h"
#include "core/session.h"
#include "proto/redis_channels.h"

static const struct {
    const char *word;
    enum redis_channel_kind kind;
    bool adds;
} confirmations[] = {
    {"subscribe", REDIS_CHANNEL, true},     {"psubscribe", REDIS_PATTERN, true},
    {"ssubscribe", REDIS_SHARD, true},      {"unsubscribe", REDIS_CHANNEL, false},
    {"punsubscribe", REDIS_PATTERN, false}, {"sunsubscribe", REDIS_SHARD, false},
};

static int which(const struct redis_reply *r)
{
    for (size_t i = 0; i < ARRAY_LEN(confirmations); i++) {
        if ((r->type == '*' || r->type == '>') && r->head_len == strlen(confirmations[i].word) &&
            memcmp(r->head, confirmations[i].word, r->head_len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool pooled_is_confirmation(const struct redis_reply *r)
{
    return which(r) >= 0;
}

size_t pooled_subscriptions(const struct pooled *p)
{
    size_t count = 0;
    for (int i = 0; i < REDIS_CHANNEL_KINDS && p->channels != NULL; i++) {
        count += redis_channels_count(p->channels, (enum redis_channel_kind)i);
    }
    return count;
}

void pooled_forget_channels(struct pooled *p)
{
    redis_channels_free(p->channels);
    p->channels = NULL;
}

/* The name that this confirmation is about: the next one of the command, which is still kept. */
static bool name_of(const struct pooled *p, uint32_t argument, const char **name, size_t *len)
{
    const char *at = p->bytes + p->head;
    const char *end = p->bytes + p->len;
    if (at == end || *at != '*') { /* an inline command: it is not looked into */
        return false;
    }
    for (uint32_t i = 0; i <= argument; i++) {
        at = memchr(at, '$', (size_t)(end - at));
        if (at == NULL) {
            return false;
        }
        *len = 0;
        while (++at < end && *at >= '0' && *at <= '9' && *len <= POOLED_KEPT_MAX) {
            *len = *len * 10 + (size_t)(*at - '0');
        }
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL || *len > (size_t)(end - at - 1)) {
            return false;
        }
        *name = ++at;
        at += *len;
    }
    return true;
}

/* Who subscribes to more than can be remembered stays where it is. */
static void note_change(struct pooled *p, int c, const char *name, size_t len)
{
    if (p->channels == NULL) {
        p->channels = redis_channels_new();
    }
    if (p->channels == NULL) {
        pooled_pin(p, PIN_STATE);
    } else if (!confirmations[c].adds) {
        redis_channels_remove(p->channels, confirmations[c].kind, name, len);
    } else if (redis_channels_add(p->channels, confirmations[c].kind, name, len) != 0) {
        pooled_pin(p, PIN_STATE);
    }
}

bool pooled_confirmed(struct pooled *p, struct flight *f, const struct redis_reply *r)
{
    int c = which(r);
    const char *name;
    size_t len;
    if (c < 0 || p->session == NULL) { /* an error answers all of it */
        return true;
    }
    if (f->asked == 0) { /* the first one */
        size_t has =
            p->channels != NULL ? redis_channels_count(p->channels, confirmations[c].kind) : 0;
        f->bare = f->replies == 0;
        f->replies = f->bare ? (uint32_t)(has > 0 ? has : 1) : f->replies;
        f->asked = f->replies;
    }
    uint32_t argument = f->asked - f->replies + 1;
    if (f->bare) {
        if (p->channels != NULL) {
            redis_channels_clear(p->channels, confirmations[c].kind);
        }
    } else if (name_of(p, argument, &name, &len)) {
        note_change(p, c, name, len);
    } else {
        pooled_pin(p, PIN_STATE);
    }
    return --f->replies == 0;
}

/* Again ------------------------------------------------------------------------------------- */

enum turn pooled_subscribe_again(struct pooled *p)
{
    int server = pooled_server(p, REDIS_WRITES, false);
    if (server < 0) {
        pooled_hold(p);
        return TURN_WAIT;
    }
    enum turn turn = pooled_acquire(p, (size_t)server, &p->identity, PIN_SUBSCRIBE);
    if (turn != TURN_GO) {
        return turn;
    }
    const struct rename_list *renames = &p->session->backend->probe_commands;
    size_t room = redis_channels_bound(p->channels, config_renamed, renames);
    char *text = malloc(room);
    struct flight *f = text != NULL ? link_fly(p->link, NULL) : NULL;
    if (f == NULL ||
        !link_send(p->link, text,
                   redis_channels_write(p->channels, config_renamed, renames, text, room))) {
        free(text);
        pooled_no_memory(p);
        return TURN_DONE;
    }
    free(text);
    f->kind = STEP_SUBSCRIBE;
    f->replies = (uint32_t)pooled_subscriptions(p);
    p->resubscribe = false;
    if (p->queued) {
        pooled_served(p);
    }
    return TURN_DONE;
}

bool pooled_subscribed_again(struct pooled *p, const struct redis_reply *r, struct flight *f)
{
    if (r->type == '-') { /* it may not any more, and must hear of that */
        pooled_end(p);
        return false;
    }
    return --f->replies == 0;
}
