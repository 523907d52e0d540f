/* What a client has subscribed to, so that it can be done again on another server. */
#ifndef ROUTER_PROTO_REDIS_CHANNELS_H
#define ROUTER_PROTO_REDIS_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>

enum redis_channel_kind { REDIS_CHANNEL, REDIS_PATTERN, REDIS_SHARD, REDIS_CHANNEL_KINDS };

/* Names, all together, each with its length as RESP writes it: what is kept and what is written
 * have the same bound. */
#define REDIS_CHANNELS_BYTES_MAX ((size_t)1024 * 1024)

struct redis_channels;

struct redis_channels *redis_channels_new(void);    /* NULL: out of memory */
void redis_channels_free(struct redis_channels *c); /* NULL is fine */
/* 0 (also when it is there already), -ENOMEM, or -E2BIG beyond the bound. */
int redis_channels_add(struct redis_channels *c, enum redis_channel_kind kind, const char *name,
                       size_t len);
void redis_channels_remove(struct redis_channels *c, enum redis_channel_kind kind, const char *name,
                           size_t len); /* which need not be there */
void redis_channels_clear(struct redis_channels *c, enum redis_channel_kind kind);
size_t redis_channels_count(const struct redis_channels *c, enum redis_channel_kind kind);
/* How many bytes redis_channels_write() writes: 0 if there are none. */
size_t redis_channels_bound(const struct redis_channels *c,
                            const char *(*command)(const void *renames, const char *command),
                            const void *renames);
/* SUBSCRIBE, PSUBSCRIBE and SSUBSCRIBE, each with all names of its kind in the order in which they
 * came, as RESP; returns the length. How many confirmations will come is the sum of the counts.
 * `command` as in redis_catalog.h. */
size_t redis_channels_write(const struct redis_channels *c,
                            const char *(*command)(const void *renames, const char *command),
                            const void *renames, char *out, size_t size);

#endif
