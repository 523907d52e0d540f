/* Names are found in a balanced tree, of libc's: whatever names a client thinks of, none costs more
 * than a few comparisons. A list beside it keeps their order. */
#include "proto/redis_channels.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/macros.h"

struct channel {
    struct list in_order;
    const char *name; /* `copy`, but of a key to look for */
    size_t len;
    char copy[];
};

struct redis_channels {
    struct {
        void *tree; /* of struct channel, owned */
        struct list in_order;
        size_t count;
        size_t bytes; /* as RESP */
    } kinds[REDIS_CHANNEL_KINDS];
};

static const char *const commands[REDIS_CHANNEL_KINDS] = {
    [REDIS_CHANNEL] = "SUBSCRIBE", [REDIS_PATTERN] = "PSUBSCRIBE", [REDIS_SHARD] = "SSUBSCRIBE"};

static int compare(const void *one, const void *two)
{
    const struct channel *a = one;
    const struct channel *b = two;
    int order = memcmp(a->name, b->name, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static size_t digits(size_t n)
{
    return n < 10 ? 1 : 1 + digits(n / 10);
}

static size_t bulk_size(size_t len)
{
    return 1 + digits(len) + 2 + len + 2;
}

struct redis_channels *redis_channels_new(void)
{
    struct redis_channels *c = calloc(1, sizeof *c);
    for (size_t i = 0; c != NULL && i < REDIS_CHANNEL_KINDS; i++) {
        list_init(&c->kinds[i].in_order);
    }
    return c;
}

void redis_channels_free(struct redis_channels *c)
{
    for (size_t i = 0; c != NULL && i < REDIS_CHANNEL_KINDS; i++) {
        redis_channels_clear(c, (enum redis_channel_kind)i);
    }
    free(c);
}

void redis_channels_clear(struct redis_channels *c, enum redis_channel_kind kind)
{
    tdestroy(c->kinds[kind].tree, free);
    c->kinds[kind].tree = NULL;
    list_init(&c->kinds[kind].in_order);
    c->kinds[kind].count = 0;
    c->kinds[kind].bytes = 0;
}

/* The tree's own pointer to it. */
static struct channel **find(const struct redis_channels *c, enum redis_channel_kind kind,
                             const char *name, size_t len)
{
    struct channel key = {.name = name, .len = len};
    return tfind(&key, &c->kinds[kind].tree, compare);
}

static size_t all_bytes(const struct redis_channels *c)
{
    size_t sum = 0;
    for (size_t i = 0; i < REDIS_CHANNEL_KINDS; i++) {
        sum += c->kinds[i].bytes;
    }
    return sum;
}

int redis_channels_add(struct redis_channels *c, enum redis_channel_kind kind, const char *name,
                       size_t len)
{
    if (find(c, kind, name, len) != NULL) {
        return 0;
    }
    size_t room = REDIS_CHANNELS_BYTES_MAX - all_bytes(c);
    if (len > room || bulk_size(len) > room) {
        return -E2BIG;
    }
    struct channel *channel = malloc(sizeof *channel + len);
    if (channel == NULL) {
        return -ENOMEM;
    }
    *channel = (struct channel){.name = channel->copy, .len = len};
    memcpy(channel->copy, name, len);
    if (tsearch(channel, &c->kinds[kind].tree, compare) == NULL) {
        free(channel);
        return -ENOMEM;
    }
    list_append(&c->kinds[kind].in_order, &channel->in_order);
    c->kinds[kind].count++;
    c->kinds[kind].bytes += bulk_size(len);
    return 0;
}

void redis_channels_remove(struct redis_channels *c, enum redis_channel_kind kind, const char *name,
                           size_t len)
{
    struct channel **found = find(c, kind, name, len);
    if (found == NULL) {
        return;
    }
    struct channel *channel = *found;
    tdelete(channel, &c->kinds[kind].tree, compare);
    list_remove(&channel->in_order);
    c->kinds[kind].count--;
    c->kinds[kind].bytes -= bulk_size(channel->len);
    free(channel);
}

size_t redis_channels_count(const struct redis_channels *c, enum redis_channel_kind kind)
{
    return c->kinds[kind].count;
}

static const char *name_of(enum redis_channel_kind kind,
                           const char *(*command)(const void *renames, const char *command),
                           const void *renames)
{
    return command != NULL ? command(renames, commands[kind]) : commands[kind];
}

size_t redis_channels_bound(const struct redis_channels *c,
                            const char *(*command)(const void *renames, const char *command),
                            const void *renames)
{
    size_t sum = 0;
    for (size_t i = 0; i < REDIS_CHANNEL_KINDS; i++) {
        if (c->kinds[i].count > 0) {
            size_t name = strlen(name_of((enum redis_channel_kind)i, command, renames));
            sum += 1 + digits(c->kinds[i].count + 1) + 2 + bulk_size(name) + c->kinds[i].bytes;
        }
    }
    return sum;
}

static char *put_length(char *out, char type, size_t length)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%c%zu\r\n", type, length);
    memcpy(out, text, (size_t)len);
    return out + len;
}

static char *put_bulk(char *out, const char *text, size_t len)
{
    out = put_length(out, '$', len);
    memcpy(out, text, len);
    memcpy(out + len, "\r\n", 2);
    return out + len + 2;
}

size_t redis_channels_write(const struct redis_channels *c,
                            const char *(*command)(const void *renames, const char *command),
                            const void *renames, char *out, size_t size)
{
    assert(size >= redis_channels_bound(c, command, renames));
    char *p = out;
    for (size_t i = 0; i < REDIS_CHANNEL_KINDS; i++) {
        if (c->kinds[i].count > 0) {
            const char *name = name_of((enum redis_channel_kind)i, command, renames);
            p = put_length(p, '*', c->kinds[i].count + 1);
            p = put_bulk(p, name, strlen(name));
        }
        LIST_EACH(it, &c->kinds[i].in_order)
        {
            const struct channel *channel = container_of(it, struct channel, in_order);
            p = put_bulk(p, channel->name, channel->len);
        }
    }
    assert((size_t)(p - out) == redis_channels_bound(c, command, renames));
    return (size_t)(p - out);
}
