#include "proto/redis_info.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "model/observation.h"

#define REDIS_ID_MAX 40 /* CONFIG_RUN_ID_SIZE */

static const struct {
    enum redis_info_section section;
    const char *name;
} fields[REDIS_INFO_COUNT] = {
#define FIELD(section, name, text) [INFO_##name] = {INFO_##section, text},
    REDIS_INFO_FIELDS(FIELD)
#undef FIELD
};

static void read_line(struct redis_info *info, enum redis_info_section section, const char *line,
                      size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (colon == NULL) {
        return;
    }
    size_t name_len = (size_t)(colon - line);
    for (size_t i = 0; i < REDIS_INFO_COUNT; i++) {
        struct redis_info_value *v = &info->values[i];
        if (fields[i].section != section || v->seen || strlen(fields[i].name) != name_len ||
            memcmp(fields[i].name, line, name_len) != 0) {
            continue;
        }
        size_t value_len = len - name_len - 1;
        v->seen = true;
        if (value_len < sizeof(v->text)) {
            memcpy(v->text, colon + 1, value_len);
            v->text[value_len] = '\0';
        }
    }
}

void redis_info_read(struct redis_info *info, enum redis_info_section section, const char *text,
                     size_t len)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line_len = end != NULL ? (size_t)(end - text) : len;
        size_t bare = line_len > 0 && text[line_len - 1] == '\r' ? line_len - 1 : line_len;
        read_line(info, section, text, bare);
        line_len += end != NULL;
        text += line_len;
        len -= line_len;
    }
}

static bool is(const struct redis_info *info, enum redis_info_field field, const char *text)
{
    return info->values[field].seen && strcmp(info->values[field].text, text) == 0;
}

/* A decimal number within int64_t, nothing around it. */
static bool number(const struct redis_info *info, enum redis_info_field field, int64_t *out)
{
    const char *p = info->values[field].text;
    bool negative = *p == '-';
    p += negative;
    if (*p == '\0') {
        return false;
    }
    int64_t value = 0;
    for (; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *p - '0', &value)) {
            return false;
        }
    }
    /* Counted down, because there is one more negative number than there are positive ones. */
    if (!negative && value == INT64_MIN) {
        return false;
    }
    *out = negative ? value : -value;
    return true;
}

static bool offset(const struct redis_info *info, enum redis_info_field field, int64_t *out)
{
    return number(info, field, out) && *out >= 0;
}

static bool flag(const struct redis_info *info, enum redis_info_field field, bool *out)
{
    *out = is(info, field, "1");
    return *out || is(info, field, "0");
}

/* A run_id or replication id: up to 40 letters and digits. */
static bool id(const struct redis_info *info, enum redis_info_field field, char out[REPLID_MAX])
{
    const char *text = info->values[field].text;
    size_t len = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (len == 0 || len > REDIS_ID_MAX || text[len] != '\0') {
        return false;
    }
    memcpy(out, text, len + 1);
    return true;
}

static const char *read_lineage(const struct redis_info *info, struct lineage *l)
{
    if (!id(info, INFO_REPLID, l->id)) {
        return "answers INFO without a master_replid (Redis 4 and newer have one)";
    }
    if (!offset(info, INFO_REPL_OFFSET, &l->offset)) {
        return "answers INFO without a master_repl_offset";
    }
    l->previous_end = -1;
    if (!info->values[INFO_REPLID2].seen) {
        return NULL;
    }
    if (!id(info, INFO_REPLID2, l->previous_id) ||
        !number(info, INFO_SECOND_OFFSET, &l->previous_end) || l->previous_end < -1) {
        return "answers INFO with a broken master_replid2 or second_repl_offset";
    }
    if (l->previous_id[strspn(l->previous_id, "0")] == '\0' || l->previous_end == -1) {
        l->previous_id[0] = '\0';
        l->previous_end = -1;
    }
    return NULL;
}

/* "host:port"; empty if the host is too long to be kept. Bytes that do not print become '?'. */
static const char *read_follows(const struct redis_info *info, char out[PEER_TEXT_MAX])
{
    const char *host = info->values[INFO_MASTER_HOST].text;
    int64_t port;
    if (!info->values[INFO_MASTER_HOST].seen || !number(info, INFO_MASTER_PORT, &port) ||
        port < 0 || port > 65535) {
        return "answers INFO as a replica without its master's address";
    }
    if (*host == '\0') {
        return NULL;
    }
    bool v6 = strchr(host, ':') != NULL;
    snprintf(out, PEER_TEXT_MAX, v6 ? "[%s]:%d" : "%s:%d", host, (int)port);
    for (char *p = out; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~') {
            *p = '?';
        }
    }
    return NULL;
}

static void observe_primary(const struct redis_info *info, bool loading, struct observation *o)
{
    bool failover =
        info->values[INFO_FAILOVER_STATE].seen && !is(info, INFO_FAILOVER_STATE, "no-failover");
    o->claim = CLAIM_PRIMARY;
    o->usable = !loading && !failover;
    if (loading) {
        snprintf(o->why, sizeof(o->why), "loading its data set");
    } else if (failover) {
        snprintf(o->why, sizeof(o->why), "a failover is in progress");
    }
}

static const char *observe_replica(const struct redis_info *info, bool loading,
                                   struct observation *o)
{
    int64_t idle;
    int64_t applied;
    const char *wrong = read_follows(info, o->follows);
    if (wrong != NULL) {
        return wrong;
    }
    o->claim = CLAIM_REPLICA;
    o->link_up = is(info, INFO_LINK_STATUS, "up");
    if (!o->link_up && !is(info, INFO_LINK_STATUS, "down")) {
        return "answers INFO as a replica without a master_link_status";
    }
    if (!flag(info, INFO_SYNCING, &o->syncing) || !number(info, INFO_LAST_IO, &idle) ||
        !offset(info, INFO_REPLICA_OFFSET, &applied)) {
        return "answers INFO as a replica without the state of its link";
    }
    o->syncing = o->syncing || loading;
    o->link_idle_ms =
        idle < 0 || idle > INT64_MAX / 1000 ? UINT64_MAX : (uint64_t)idle * UINT64_C(1000);
    /* The two are the same on a replica that streams; one that never had a master counts from 1
     * in some versions. */
    if (applied < o->lineage.offset) {
        o->lineage.offset = applied;
    }
    if (loading) {
        snprintf(o->why, sizeof(o->why), "loading its data set");
    } else if (o->syncing) {
        snprintf(o->why, sizeof(o->why), "copying the data set of %s", o->follows);
    } else if (!o->link_up) {
        snprintf(o->why, sizeof(o->why), "its link to %s is down", o->follows);
    }
    return NULL;
}

const char *redis_info_observe(const struct redis_info *info, struct observation *o)
{
    bool primary = is(info, INFO_ROLE, "master");
    bool loading;
    /* First, because a Sentinel has no role either and this says it best. */
    if (!primary && !is(info, INFO_ROLE, "slave") && !is(info, INFO_ROLE, "replica")) {
        return "answers INFO without a role";
    }
    o->reach = REACH_ANSWERED;
    if (!id(info, INFO_RUN_ID, o->identity)) {
        return "answers INFO without a run_id";
    }
    if (!flag(info, INFO_LOADING, &loading)) {
        return "answers INFO without its loading state";
    }
    const char *wrong = read_lineage(info, &o->lineage);
    if (wrong != NULL) {
        return wrong;
    }
    loading = loading || is(info, INFO_ASYNC_LOADING, "1");
    if (!primary) {
        return observe_replica(info, loading, o);
    }
    observe_primary(info, loading, o);
    return NULL;
}
