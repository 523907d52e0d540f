/* Names are folded, hashed and compared eight bytes at a time: this is done for every command. */
#include "proto/redis_table.h"

#include <ctype.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"

#define SLOTS_FIRST 2048 /* a power of two */
#define ROWS_FIRST  640
#define EIGHT       sizeof(uint64_t)

/* A key that is free has len 0. */
struct redis_slot {
    uint64_t hash; /* parent and all */
    const char *key;
    uint16_t parent;
    uint16_t row;
    uint8_t len;
};

struct redis_name {
    struct redis_name *next; /* owned */
    char text[];
};

/* A name in small letters, with zeros behind it. */
struct folded {
    uint64_t text[REDIS_NAME_MAX / EIGHT];
    size_t len;
    uint64_t hash;
};

/* Eight letters at once: a byte from 'A' to 'Z' has its top bit set in one of the sums and not in
 * the other; moved by two, that bit is the difference between large and small. */
static uint64_t small(uint64_t eight)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t low = eight & (ones * 0x7f);
    uint64_t from_a = low + ones * (0x80 - 'A');
    uint64_t behind_z = low + ones * (0x80 - 'Z' - 1);
    uint64_t large = (from_a ^ behind_z) & ~eight & (ones * 0x80);
    return eight | large >> 2;
}

static uint64_t load_four(const char *text)
{
    uint32_t four;
    memcpy(&four, text, sizeof(four));
    return le32toh(four);
}

/* At most eight bytes, the first one lowest, zeros for what is missing. Where two loads overlap
 * they say the same. */
static uint64_t load(const char *text, size_t len)
{
    if (len >= EIGHT) {
        return load_four(text) | load_four(text + 4) << 32;
    }
    if (len >= 4) {
        return load_four(text) | load_four(text + len - 4) << (8 * (len - 4));
    }
    const unsigned char *bytes = (const unsigned char *)text;
    return bytes[0] | (uint64_t)bytes[len / 2] << (8 * (len / 2)) |
           (uint64_t)bytes[len - 1] << (8 * (len - 1));
}

/* False: no name that we would keep. */
static bool fold(struct folded *f, uint16_t parent, const char *text, size_t len)
{
    if (UNLIKELY(len == 0 || len > REDIS_NAME_MAX)) {
        return false;
    }
    uint64_t hash = parent;
    for (size_t at = 0; at < len; at += EIGHT) {
        uint64_t eight = small(load(text + at, len - at));
        f->text[at / EIGHT] = htole64(eight);
        hash = (hash ^ eight) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 32;
    }
    f->len = len;
    f->hash = hash;
    return true;
}

/* The slot that has the name, or the free one where it belongs. */
static struct redis_slot *find_slot(const struct redis_table *t, uint16_t parent,
                                    const struct folded *f)
{
    size_t mask = t->slot_count - 1;
    for (size_t i = f->hash & mask;; i = (i + 1) & mask) {
        struct redis_slot *s = &t->slots[i];
        bool same = s->hash == f->hash && s->parent == parent && s->len == f->len;
        if (s->len == 0 || (same && memcmp(s->key, f->text, f->len) == 0)) {
            return s;
        }
    }
}

static bool grow_slots(struct redis_table *t)
{
    size_t count = t->slot_count > 0 ? t->slot_count * 2 : SLOTS_FIRST;
    struct redis_slot *slots = calloc(count, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    for (size_t k = 0; k < t->slot_count; k++) {
        size_t i = t->slots[k].hash & (count - 1);
        while (t->slots[k].len > 0 && slots[i].len > 0) {
            i = (i + 1) & (count - 1);
        }
        if (t->slots[k].len > 0) {
            slots[i] = t->slots[k];
        }
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = count;
    return true;
}

bool redis_table_init(struct redis_table *t)
{
    *t = (struct redis_table){.slots = NULL};
    return grow_slots(t);
}

void redis_table_free(struct redis_table *t)
{
    while (t->names != NULL) {
        struct redis_name *n = t->names;
        t->names = n->next;
        free(n);
    }
    free(t->rows);
    free(t->slots);
    *t = (struct redis_table){.slots = NULL};
}

bool redis_is_name(const char *text, size_t len)
{
    bool is_name = len <= REDIS_NAME_MAX;
    for (size_t i = 0; is_name && i < len; i++) {
        is_name = text[i] > ' ' && text[i] <= '~';
    }
    return is_name;
}

uint16_t redis_table_find(const struct redis_table *t, uint16_t parent, const char *name,
                          size_t len)
{
    struct folded f;
    if (!fold(&f, parent, name, len)) {
        return REDIS_NO_ROW;
    }
    const struct redis_slot *s = find_slot(t, parent, &f);
    return s->len > 0 ? s->row : REDIS_NO_ROW;
}

uint16_t redis_table_find_born(const struct redis_table *t, const char *name, size_t len)
{
    const char *bar = memchr(name, '|', len);
    if (bar != NULL) {
        uint16_t parent = redis_table_find_born(t, name, (size_t)(bar - name));
        size_t rest = len - (size_t)(bar + 1 - name);
        return parent != REDIS_NO_ROW ? redis_table_find(t, parent, bar + 1, rest) : parent;
    }
    uint16_t row = redis_table_find(t, REDIS_AT_BIRTH, name, len);
    if (row != REDIS_NO_ROW) {
        return row;
    }
    row = redis_table_find(t, REDIS_BY_CLIENTS, name, len);
    bool born = row != REDIS_NO_ROW && strlen(t->rows[row].name) == len &&
                strncasecmp(t->rows[row].name, name, len) == 0;
    return born ? row : REDIS_NO_ROW;
}

const char *redis_table_keep(struct redis_table *t, const char *name, size_t len)
{
    struct redis_name *n = NULL;
    if (t->name_count < REDIS_COMMANDS_MAX) {
        n = malloc(sizeof(*n) + len + 1);
    }
    if (n == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        n->text[i] = (char)tolower((unsigned char)name[i]);
    }
    n->text[len] = '\0';
    n->next = t->names;
    t->names = n;
    t->name_count++;
    return n->text;
}

uint16_t redis_table_add(struct redis_table *t, const struct redis_row *row)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity > 0 ? t->capacity * 2 : ROWS_FIRST;
        struct redis_row *rows = realloc(t->rows, capacity * sizeof(*rows));
        if (rows == NULL) {
            return REDIS_NO_ROW;
        }
        t->rows = rows;
        t->capacity = capacity;
    }
    t->rows[t->count] = *row;
    return (uint16_t)t->count++;
}

bool redis_table_name(struct redis_table *t, uint16_t parent, const char *name, uint16_t row)
{
    struct folded f;
    if (!fold(&f, parent, name, strlen(name)) || (t->used * 2 >= t->slot_count && !grow_slots(t))) {
        return false;
    }
    struct redis_slot *s = find_slot(t, parent, &f);
    t->used += s->len == 0;
    *s = (struct redis_slot){
        .hash = f.hash, .key = name, .parent = parent, .row = row, .len = (uint8_t)f.len};
    return true;
}
