/* What the relay knows of Redis: how to refuse a client, and which replies say that a server's role
 * changed. */
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "proto/proto.h"
#include "proto/redis.h"

static size_t redis_refuse(enum refusal why, const char *words, char *out, size_t size)
{
    (void)why; /* the words say it */
    if (size < 2) {
        return 0;
    }
    int need = snprintf(out, size, "-ERR router: %s", words);
    if (need < 0) {
        return 0;
    }
    size_t len = (size_t)need < size - 2 ? (size_t)need : size - 2;
    memcpy(out + len, "\r\n", 2);
    return len + 2;
}

/* UNBLOCKED is what a blocked client gets when its server becomes a replica. */
static bool names_role(const char *data, size_t len)
{
    static const char *const errors[] = {"-READONLY ", "-LOADING ", "-MASTERDOWN ", "-UNBLOCKED "};
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        size_t need = strlen(errors[i]);
        if (len >= need && memcmp(data, errors[i], need) == 0) {
            return true;
        }
    }
    return false;
}

static bool redis_doubts(const char *data, size_t len)
{
    return UNLIKELY(data[0] == '-') && names_role(data, len);
}

const struct proto proto_redis = {
    .name = "redis",
    .has_roles = true,
    .dialogue = &redis_probe,
    .refuse = redis_refuse,
    .doubts = redis_doubts,
};
