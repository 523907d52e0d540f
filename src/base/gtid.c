/* One sorted array of ranges; each new range is put in its place and takes up those that it meets.
 * Numbers are at least 1, so that "first - 1" never wraps. */
#include "base/gtid.h"

#include <string.h>

#include "base/hash.h"

#define UUID_TEXT 36
#define TAG_MAX   32

struct cursor {
    const char *at;
    const char *end;
};

/* ---- reading ---- */

static void skip_space(struct cursor *c)
{
    while (c->at < c->end &&
           (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t')) {
        c->at++;
    }
}

static bool take(struct cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) {
        return false;
    }
    c->at++;
    skip_space(c);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_tag_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* A decimal number up to `max`. */
static bool take_number(struct cursor *c, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    if (c->at == c->end || !is_digit(*c->at)) {
        return false;
    }
    for (; c->at < c->end && is_digit(*c->at); c->at++) {
        uint64_t digit = (uint64_t)(*c->at - '0');
        if (n > (max - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

static int hex_value(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 8-4-4-4-12 hexadecimal digits into 16 bytes. */
static bool take_uuid(struct cursor *c, unsigned char *bytes)
{
    if (c->end - c->at < UUID_TEXT) {
        return false;
    }
    size_t digits = 0;
    memset(bytes, 0, 16);
    for (size_t i = 0; i < UUID_TEXT; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        int value = hex_value(c->at[i]);
        if (dash ? c->at[i] != '-' : value < 0) {
            return false;
        }
        if (!dash) {
            bytes[digits / 2] = (unsigned char)(bytes[digits / 2] << 4 | value);
            digits++;
        }
    }
    c->at += UUID_TEXT;
    return true;
}

/* A tag counts without regard to case; its hash goes behind the UUID. */
static bool take_tag(struct cursor *c, struct gtid_source *source)
{
    char tag[TAG_MAX] = {0};
    size_t len = 0;
    while (c->at < c->end && (is_tag_start(*c->at) || is_digit(*c->at))) {
        if (len == TAG_MAX) {
            return false;
        }
        char letter = *c->at++;
        tag[len++] = (char)(letter >= 'A' && letter <= 'Z' ? letter | 0x20 : letter);
    }
    uint64_t hash = hash_bytes(tag, len);
    memcpy(source->bytes + 16, &hash, sizeof(hash));
    return true;
}

/* ---- the set ---- */

static int compare_sources(const struct gtid_range *a, const struct gtid_range *b)
{
    return memcmp(&a->source, &b->source, sizeof(a->source));
}

/* `a` ends before `b` begins, and does not touch it. */
static bool lies_before(const struct gtid_range *a, const struct gtid_range *b)
{
    int order = compare_sources(a, b);
    return order < 0 || (order == 0 && a->last < b->first - 1);
}

static bool insert(struct gtid_set *set, struct gtid_range range)
{
    unsigned from = 0;
    while (from < set->count && lies_before(&set->ranges[from], &range)) {
        from++;
    }
    unsigned to = from;
    for (; to < set->count && !lies_before(&range, &set->ranges[to]); to++) {
        const struct gtid_range *met = &set->ranges[to];
        range.first = met->first < range.first ? met->first : range.first;
        range.last = met->last > range.last ? met->last : range.last;
    }
    if (to == from && set->count == GTID_RANGES_MAX) {
        return false;
    }
    memmove(&set->ranges[from + 1], &set->ranges[to], (set->count - to) * sizeof(range));
    set->ranges[from] = range;
    set->count = set->count - (to - from) + 1;
    return true;
}

/* "7" or "1-5" */
static bool take_interval(struct cursor *c, struct gtid_set *set, const struct gtid_source *source)
{
    struct gtid_range range = {.source = *source};
    if (!take_number(c, INT64_MAX, &range.first)) {
        return false;
    }
    range.last = range.first;
    if (take(c, '-') && !take_number(c, INT64_MAX, &range.last)) {
        return false;
    }
    return range.first > 0 && range.last >= range.first && insert(set, range);
}

/* "uuid:1-5:8:tag:1-3": a tag counts for what stands behind it. */
static bool take_uuid_set(struct cursor *c, struct gtid_set *set)
{
    struct gtid_source source = {{0}};
    bool complete = false; /* an interval stands behind the UUID, or behind the last tag */
    if (!take_uuid(c, source.bytes)) {
        return false;
    }
    while (take(c, ':')) {
        bool tag = c->at < c->end && is_tag_start(*c->at);
        if (tag ? !take_tag(c, &source) : !take_interval(c, set, &source)) {
            return false;
        }
        complete = !tag;
    }
    return complete;
}

/* "0-1-100": domain, server, number */
static bool take_mariadb(struct cursor *c, struct gtid_set *set)
{
    uint64_t domain;
    uint64_t server;
    struct gtid_range range = {.first = 1};
    if (!take_number(c, UINT32_MAX, &domain) || !take(c, '-') ||
        !take_number(c, UINT32_MAX, &server) || !take(c, '-') ||
        !take_number(c, UINT64_MAX, &range.last) || range.last == 0) {
        return false;
    }
    memcpy(range.source.bytes, &domain, sizeof(domain));
    memcpy(range.source.bytes + sizeof(domain), &server, sizeof(server));
    return insert(set, range);
}

static bool parse(struct gtid_set *set, const char *text, size_t len,
                  bool (*item)(struct cursor *c, struct gtid_set *set))
{
    struct cursor c = {.at = text, .end = text + len};
    *set = (struct gtid_set){.count = 0};
    skip_space(&c);
    bool good = true;
    if (c.at < c.end) {
        do {
            good = item(&c, set);
        } while (good && take(&c, ','));
    }
    skip_space(&c);
    set->known = good && c.at == c.end;
    if (!set->known) {
        set->count = 0;
    }
    return set->known;
}

bool gtid_parse_mysql(struct gtid_set *set, const char *text, size_t len)
{
    return parse(set, text, len, take_uuid_set);
}

bool gtid_parse_mariadb(struct gtid_set *set, const char *text, size_t len)
{
    return parse(set, text, len, take_mariadb);
}

/* ---- questions ---- */

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t length(const struct gtid_range *r)
{
    return r->last - r->first + 1; /* at most 2^64 - 1, because numbers begin with 1 */
}

static uint64_t overlap(const struct gtid_range *a, const struct gtid_range *b)
{
    uint64_t first = a->first > b->first ? a->first : b->first;
    uint64_t last = a->last < b->last ? a->last : b->last;
    return compare_sources(a, b) == 0 && first <= last ? last - first + 1 : 0;
}

uint64_t gtid_missing(const struct gtid_set *a, const struct gtid_set *b)
{
    uint64_t missing = 0;
    if (!a->known || !b->known) {
        return 0;
    }
    for (unsigned i = 0; i < a->count; i++) {
        uint64_t left = length(&a->ranges[i]);
        for (unsigned j = 0; j < b->count; j++) {
            left -= overlap(&a->ranges[i], &b->ranges[j]); /* those of `b` do not overlap */
        }
        missing = add(missing, left);
    }
    return missing;
}

bool gtid_contains(const struct gtid_set *a, const struct gtid_set *b)
{
    return a->known && b->known && gtid_missing(b, a) == 0;
}

uint64_t gtid_count(const struct gtid_set *set)
{
    uint64_t count = 0;
    for (unsigned i = 0; set->known && i < set->count; i++) {
        count = add(count, length(&set->ranges[i]));
    }
    return count;
}
