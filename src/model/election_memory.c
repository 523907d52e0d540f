#include "model/election_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

enum kind { TEXT, SIGNED, UNSIGNED, BOOL, PART };

struct field {
    const char *name;
    enum kind kind;
    size_t offset;
    size_t size; /* of a text, with its end */
};

#define FIELD(owner, kind, member)                                                                 \
    {                                                                                              \
#member, kind, offsetof(struct owner, member), sizeof(((struct owner *)0)->member)         \
    }

static const struct field whole[] = {
    FIELD(election_memory, TEXT, elected_identity),
    FIELD(election_memory, TEXT, elected.id),
    FIELD(election_memory, TEXT, elected.previous_id),
    FIELD(election_memory, SIGNED, elected.previous_end),
    FIELD(election_memory, SIGNED, elected.offset),
    FIELD(election_memory, UNSIGNED, elected_term),
    FIELD(election_memory, PART, elected_part),
    FIELD(election_memory, TEXT, elected_group),
    FIELD(election_memory, BOOL, stepped_down),
    FIELD(election_memory, TEXT, elected_why),
    FIELD(election_memory, UNSIGNED, contested_since_ms),
    FIELD(election_memory, UNSIGNED, started_ms),
};

static const struct field single[] = {
    FIELD(server_memory, BOOL, proven),
    FIELD(server_memory, TEXT, replica_identity),
    FIELD(server_memory, TEXT, unlinked_identity),
    FIELD(server_memory, TEXT, lost_id),
    FIELD(server_memory, TEXT, claimed_id),
    FIELD(server_memory, UNSIGNED, claimed_since),
    FIELD(server_memory, UNSIGNED, lost_since),
    FIELD(server_memory, BOOL, defeated),
    FIELD(server_memory, SIGNED, replica_position),
    FIELD(server_memory, UNSIGNED, replica_term),
    FIELD(server_memory, BOOL, outvoted),
    FIELD(server_memory, PART, census.part),
    FIELD(server_memory, TEXT, census.id),
    FIELD(server_memory, TEXT, census.name),
    FIELD(server_memory, TEXT, census.former),
    FIELD(server_memory, TEXT, census.inherited),
    FIELD(server_memory, TEXT, census.own.id),
    FIELD(server_memory, TEXT, census.own.previous_id),
    FIELD(server_memory, SIGNED, census.own.previous_end),
    FIELD(server_memory, SIGNED, census.own.offset),
    FIELD(server_memory, TEXT, census.own_identity),
    FIELD(server_memory, UNSIGNED, census.own_since),
    FIELD(server_memory, BOOL, census.subordinate),
    FIELD(server_memory, TEXT, census.followed),
    FIELD(server_memory, TEXT, census.followed_identity),
    FIELD(server_memory, SIGNED, census.followed_end),
    FIELD(server_memory, TEXT, census.followed_source),
};

_Static_assert(sizeof(enum part) == sizeof(int), "parts are kept as an int");

/* Each of them is told as it is in memory: a text, or an integer of its size. */
static void save_field(const struct field *f, const char *base, struct text *out)
{
    const char *at = base + f->offset;
    switch (f->kind) {
    case TEXT:
        if (*at != '\0') {
            text_add(out, "%s %.*s\n", f->name, (int)strcspn(at, "\r\n"), at);
        }
        break;
    case SIGNED:
        text_add(out, "%s %" PRId64 "\n", f->name, *(const int64_t *)at);
        break;
    case UNSIGNED:
        text_add(out, "%s %" PRIu64 "\n", f->name, *(const uint64_t *)at);
        break;
    case BOOL:
        text_add(out, "%s %d\n", f->name, *(const bool *)at);
        break;
    case PART:
        text_add(out, "%s %d\n", f->name, *(const int *)at);
        break;
    }
}

static void take_value(const struct field *f, char *base, const char *value)
{
    char *at = base + f->offset;
    switch (f->kind) {
    case TEXT:
        snprintf(at, f->size, "%s", value);
        break;
    case SIGNED:
        *(int64_t *)at = strtoll(value, NULL, 10);
        break;
    case UNSIGNED:
        *(uint64_t *)at = strtoull(value, NULL, 10);
        break;
    case BOOL:
        *(bool *)at = *value == '1';
        break;
    case PART: {
        long part = strtol(value, NULL, 10);
        *(int *)at = part >= PART_LINEAGE && part <= PART_GALERA ? (int)part : PART_LINEAGE;
        break;
    }
    }
}

/* The value of a line that begins with `name`; NULL if it does not. */
static const char *value_of(const char *line, const char *name)
{
    size_t len = strlen(name);
    return strncmp(line, name, len) == 0 && line[len] == ' ' ? line + len + 1 : NULL;
}

static bool take(const struct field *fields, size_t count, char *base, const char *line)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = value_of(line, fields[i].name);
        if (value != NULL) {
            take_value(&fields[i], base, value);
            return true;
        }
    }
    return false;
}

/* The book of histories ------------------------------------------------------------------------ */

/* Names of histories have no spaces; one that has none at all is a dash. */
static const char *name_or_dash(const char *name)
{
    return *name != '\0' ? name : "-";
}

static void save_edges(const struct lineage_book *b, struct text *out)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct lineage_edge *e = &b->edges[i];
        if (strpbrk(e->child, " \r\n") == NULL && strpbrk(e->parent, " \r\n") == NULL) {
            text_add(out, "edge %s %s %" PRId64 " %" PRIu64 " %d\n", name_or_dash(e->child),
                     name_or_dash(e->parent), e->end, e->seen, e->lost);
        }
    }
}

#define STRING(x)    #x
#define AS_STRING(x) STRING(x)
#define NAME_PLACES  127
_Static_assert(REPLID_MAX <= NAME_PLACES + 1, "a history's name fits into what is scanned");

static void take_name(char out[REPLID_MAX], const char *name)
{
    snprintf(out, REPLID_MAX, "%.*s", REPLID_MAX - 1, strcmp(name, "-") == 0 ? "" : name);
}

static bool take_edge(struct lineage_book *b, const char *value)
{
    char child[NAME_PLACES + 1];
    char parent[NAME_PLACES + 1];
    struct lineage_edge e = {0};
    int lost;
    if (b->count == LINEAGE_EDGES ||
        sscanf(value,
               "%" AS_STRING(NAME_PLACES) "s %" AS_STRING(NAME_PLACES) "s %" SCNd64 " %" SCNu64
                                                                       " %d",
               child, parent, &e.end, &e.seen, &lost) != 5 ||
        strlen(child) >= REPLID_MAX || strlen(parent) >= REPLID_MAX) {
        return false;
    }
    e.lost = lost == 1;
    take_name(e.child, child);
    take_name(e.parent, parent);
    b->edges[b->count++] = e;
    return true;
}

/* Transactions --------------------------------------------------------------------------------- */

static void save_gtids(const struct gtid_set *set, struct text *out)
{
    if (!set->known) {
        return;
    }
    text_add(out, "gtids 1\n");
    for (unsigned i = 0; i < set->count; i++) {
        const struct gtid_range *r = &set->ranges[i];
        text_add(out, "range ");
        for (size_t k = 0; k < sizeof r->source.bytes; k++) {
            text_add(out, "%02x", r->source.bytes[k]);
        }
        text_add(out, " %" PRIu64 " %" PRIu64 "\n", r->first, r->last);
    }
}

static bool take_range(struct gtid_set *set, const char *value)
{
    struct gtid_range r = {0};
    int used = 0;
    if (set->count == GTID_RANGES_MAX ||
        strspn(value, "0123456789abcdef") != 2 * sizeof r.source.bytes) {
        return false;
    }
    for (size_t k = 0; k < sizeof r.source.bytes; k++) {
        unsigned byte;
        if (sscanf(value + 2 * k, "%2x", &byte) != 1) {
            return false;
        }
        r.source.bytes[k] = (unsigned char)byte;
    }
    value += 2 * sizeof r.source.bytes;
    if (sscanf(value, " %" SCNu64 " %" SCNu64 "%n", &r.first, &r.last, &used) != 2) {
        return false;
    }
    set->ranges[set->count++] = r;
    return true;
}

/* The whole ------------------------------------------------------------------------------------ */

void election_memory_save(const struct election_memory *m, struct text *out)
{
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        save_field(&whole[i], (const char *)m, out);
    }
    save_gtids(&m->elected_gtids, out);
    save_edges(&m->histories, out);
}

void server_memory_save(const struct server_memory *m, struct text *out)
{
    for (size_t i = 0; i < ARRAY_LEN(single); i++) {
        save_field(&single[i], (const char *)m, out);
    }
}

bool election_memory_take(struct election_memory *m, const char *line)
{
    const char *value;
    if ((value = value_of(line, "edge")) != NULL) {
        return take_edge(&m->histories, value);
    }
    if (value_of(line, "gtids") != NULL) {
        m->elected_gtids.known = true;
        return true;
    }
    if ((value = value_of(line, "range")) != NULL) {
        return take_range(&m->elected_gtids, value);
    }
    return take(whole, ARRAY_LEN(whole), (char *)m, line);
}

bool server_memory_take(struct server_memory *m, const char *line)
{
    return take(single, ARRAY_LEN(single), (char *)m, line);
}
