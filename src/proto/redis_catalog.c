/* One open hash for everything that has a name: commands by the name that clients use, renamed ones
 * by the name they were born with, subcommands by their container. Rows are never taken out, so
 * that a verdict's name lives as long as the catalog. */
#include "proto/redis_catalog.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "proto/redis_catalog_internal.h"

#define SLOTS_FIRST 2048 /* a power of two; twice the rows that we bring along */

/* Whose names a slot is of, where it is no container. */
#define BY_CLIENTS 0xffff
#define AT_BIRTH   0xfffe /* only those that clients know by another name */
#define NOBODY     0xffff /* no row */

struct slot {
    const char *key; /* NULL: free. A constant, or the catalog's */
    uint32_t hash;
    uint16_t parent; /* a container's row, or one of the above */
    uint16_t row;
    uint8_t len;
};

struct command {
    struct redis_row row;
    bool container; /* its second word says what it is */
};

/* A name that was learned. */
struct name {
    struct name *next; /* owned */
    char text[];
};

struct redis_catalog {
    struct slot *slots; /* owned */
    size_t slot_count;
    size_t used;
    struct command *commands; /* owned */
    size_t count;
    size_t capacity;
    struct name *names; /* owned */
    size_t name_count;
    struct redis_reading reading;
    char asked[REDIS_NAME_MAX];
    size_t asked_len;
    bool asks;
    bool learned;
    uint64_t unknown[REDIS_UNKNOWN_MAX];
    size_t unknown_count;
};

static const struct redis_row built_in[] = {
#define COMMAND(command, does, is, looks)                                                          \
    {.name = (command), .kind = REDIS_##is, .access = REDIS_##does, .look = LOOK_##looks},
#include "proto/redis_commands.def"
#undef COMMAND
};

/* A name in small letters. */
struct folded {
    char text[REDIS_NAME_MAX];
    size_t len;
    uint32_t hash;
};

static char small(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether it can be the name of a command that we know. */
static bool fold(struct folded *f, const char *text, size_t len)
{
    if (len == 0 || len > REDIS_NAME_MAX) {
        return false;
    }
    uint32_t hash = 0x811c9dc5U;
    for (size_t i = 0; i < len; i++) {
        f->text[i] = small(text[i]);
        hash = (hash ^ (unsigned char)f->text[i]) * 0x01000193U;
    }
    f->len = len;
    f->hash = hash;
    return true;
}

static uint32_t place(uint32_t hash, uint16_t parent)
{
    hash ^= parent * 0x9e3779b1U;
    return hash ^ (hash >> 15);
}

static bool is_key(const struct slot *s, uint16_t parent, const struct folded *f)
{
    return s->hash == f->hash && s->parent == parent && s->len == f->len &&
           memcmp(s->key, f->text, f->len) == 0;
}

/* The slot that has the name, or the free one where it belongs. */
static struct slot *find_slot(const struct redis_catalog *c, uint16_t parent,
                              const struct folded *f)
{
    size_t mask = c->slot_count - 1;
    size_t i = place(f->hash, parent) & mask;
    while (c->slots[i].key != NULL && !is_key(&c->slots[i], parent, f)) {
        i = (i + 1) & mask;
    }
    return &c->slots[i];
}

static uint16_t find(const struct redis_catalog *c, uint16_t parent, const struct folded *f)
{
    const struct slot *s = find_slot(c, parent, f);
    return s->key != NULL ? s->row : NOBODY;
}

static bool grow_slots(struct redis_catalog *c)
{
    size_t count = c->slot_count > 0 ? c->slot_count * 2 : SLOTS_FIRST;
    struct slot *old = c->slots;
    struct slot *slots = calloc(count, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    for (size_t k = 0; k < c->slot_count; k++) {
        size_t i = place(old[k].hash, old[k].parent) & (count - 1);
        while (old[k].key != NULL && slots[i].key != NULL) {
            i = (i + 1) & (count - 1);
        }
        if (old[k].key != NULL) {
            slots[i] = old[k];
        }
    }
    free(old);
    c->slots = slots;
    c->slot_count = count;
    return true;
}

/* `key` is folded already. What has the name loses it. */
static bool put(struct redis_catalog *c, uint16_t parent, const char *key, size_t len, uint16_t row)
{
    struct folded f;
    if (!fold(&f, key, len) || (c->used * 2 >= c->slot_count && !grow_slots(c))) {
        return false;
    }
    struct slot *s = find_slot(c, parent, &f);
    c->used += s->key == NULL;
    *s = (struct slot){
        .key = key, .hash = f.hash, .parent = parent, .row = row, .len = (uint8_t)len};
    return true;
}

/* A copy that lives as long as the catalog, in small letters. NULL: it is full, or no memory. */
static const char *keep(struct redis_catalog *c, const char *text, size_t len)
{
    struct name *n = c->name_count < REDIS_COMMANDS_MAX ? malloc(sizeof(*n) + len + 1) : NULL;
    if (n == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        n->text[i] = small(text[i]);
    }
    n->text[len] = '\0';
    n->next = c->names;
    c->names = n;
    c->name_count++;
    return n->text;
}

/* NOBODY: no memory. */
static uint16_t add_row(struct redis_catalog *c, const struct redis_row *row)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity > 0 ? c->capacity * 2 : ARRAY_LEN(built_in);
        struct command *commands = realloc(c->commands, capacity * sizeof(*commands));
        if (commands == NULL) {
            return NOBODY;
        }
        c->commands = commands;
        c->capacity = capacity;
    }
    c->commands[c->count] = (struct command){.row = *row};
    return (uint16_t)c->count++;
}

/* Whom a name is of: of a subcommand, its container, and what is left of the name. */
static uint16_t find_birth(const struct redis_catalog *c, const char *name, size_t len)
{
    struct folded f;
    if (!fold(&f, name, len)) {
        return NOBODY;
    }
    uint16_t row = find(c, AT_BIRTH, &f);
    if (row == NOBODY) {
        row = find(c, BY_CLIENTS, &f);
    }
    bool same = row != NOBODY && strlen(c->commands[row].row.name) == len &&
                memcmp(c->commands[row].row.name, f.text, len) == 0;
    return same ? row : NOBODY;
}

/* A row that is a subcommand. False: it has no container, or no memory. */
static bool add_subcommand(struct redis_catalog *c, const struct redis_row *row, const char *bar)
{
    uint16_t parent = find_birth(c, row->name, (size_t)(bar - row->name));
    uint16_t at = parent != NOBODY ? add_row(c, row) : NOBODY;
    if (at == NOBODY) {
        return false;
    }
    c->commands[parent].container = true;
    return put(c, parent, bar + 1, strlen(bar + 1), at);
}

/* The name by which clients know it, if it is another one: "" is none at all. */
static const char *other_name(const char *name, const char *(*command)(const void *, const char *),
                              const void *renames)
{
    char large[REDIS_NAME_MAX + 1] = "";
    for (size_t i = 0; name[i] != '\0'; i++) {
        large[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
    }
    const char *other = command(renames, large);
    return strcasecmp(other, name) != 0 ? other : NULL;
}

/* Known to clients by a name that is not its own, or by none. */
static bool add_renamed(struct redis_catalog *c, const struct redis_row *row, const char *other)
{
    size_t len = strlen(other);
    uint16_t at = add_row(c, row);
    if (at == NOBODY || !put(c, AT_BIRTH, row->name, strlen(row->name), at)) {
        return false;
    }
    const char *key = len > 0 && len <= REDIS_NAME_MAX ? keep(c, other, len) : NULL;
    return key != NULL ? put(c, BY_CLIENTS, key, len, at) : true;
}

/* Under its own name, unless that was given to another one. */
static bool add_named(struct redis_catalog *c, const struct redis_row *row)
{
    struct folded f;
    if (fold(&f, row->name, strlen(row->name)) && find(c, BY_CLIENTS, &f) != NOBODY) {
        return add_renamed(c, row, "");
    }
    uint16_t at = add_row(c, row);
    return at != NOBODY && put(c, BY_CLIENTS, row->name, f.len, at);
}

static bool fill(struct redis_catalog *c, const char *(*command)(const void *, const char *),
                 const void *renames)
{
    bool done = grow_slots(c);
    for (size_t i = 0; done && command != NULL && i < ARRAY_LEN(built_in); i++) {
        const struct redis_row *row = &built_in[i];
        const char *other =
            strchr(row->name, '|') == NULL ? other_name(row->name, command, renames) : NULL;
        done = other == NULL || add_renamed(c, row, other);
    }
    for (size_t i = 0; done && i < ARRAY_LEN(built_in); i++) {
        const struct redis_row *row = &built_in[i];
        const char *bar = strchr(row->name, '|');
        if (bar != NULL) {
            done = add_subcommand(c, row, bar);
        } else if (find_birth(c, row->name, strlen(row->name)) == NOBODY) {
            done = add_named(c, row);
        }
    }
    return done;
}

struct redis_catalog *redis_catalog_new(const char *(*command)(const void *renames,
                                                               const char *command),
                                        const void *renames)
{
    struct redis_catalog *c = calloc(1, sizeof(*c));
    if (c != NULL && !fill(c, command, renames)) {
        redis_catalog_free(c);
        c = NULL;
    }
    return c;
}

void redis_catalog_free(struct redis_catalog *c)
{
    if (c == NULL) {
        return;
    }
    while (c->names != NULL) {
        struct name *n = c->names;
        c->names = n->next;
        free(n);
    }
    free(c->commands);
    free(c->slots);
    free(c);
}

/* NULL: its bytes are not all there. */
static const char *word(const struct redis_request *r, unsigned i, const char *data, size_t len)
{
    bool there = i < r->word_count && (size_t)r->words[i].at + r->words[i].len <= len;
    return there ? data + r->words[i].at : NULL;
}

/* NULL: neither we nor the server know it. */
static const struct redis_row *find_command(const struct redis_catalog *c,
                                            const struct redis_request *r, const char *data,
                                            size_t len)
{
    struct folded f;
    const char *first = word(r, 0, data, len);
    if (r->is_odd || first == NULL || !fold(&f, first, r->words[0].len)) {
        return NULL;
    }
    uint16_t at = find(c, BY_CLIENTS, &f);
    if (at == NOBODY || !c->commands[at].container || r->argc == 1) {
        return at != NOBODY ? &c->commands[at].row : NULL;
    }
    const char *second = word(r, 1, data, len);
    if (second == NULL || !fold(&f, second, r->words[1].len)) {
        return NULL;
    }
    at = find(c, at, &f);
    return at != NOBODY ? &c->commands[at].row : NULL;
}

void redis_catalog_ask(struct redis_catalog *c, const char *name, size_t len)
{
    (void)c;
    (void)name;
    (void)len;
}

void redis_catalog_feed(struct redis_catalog *c, const char *data, size_t len)
{
    (void)c;
    (void)data;
    (void)len;
}

bool redis_catalog_end(struct redis_catalog *c)
{
    (void)c;
    return false;
}

bool redis_catalog_has_asked(const struct redis_catalog *c, const char *name, size_t len)
{
    (void)c;
    (void)name;
    (void)len;
    return true;
}

void redis_catalog_note_asked(struct redis_catalog *c, const char *name, size_t len)
{
    (void)c;
    (void)name;
    (void)len;
}

struct redis_verdict redis_catalog_judge(const struct redis_catalog *c,
                                         const struct redis_request *r, const char *data,
                                         size_t len)
{
    const struct redis_row *row = find_command(c, r, data, len);
    if (UNLIKELY(row == NULL)) {
        return (struct redis_verdict){
            .kind = REDIS_STATE, .access = REDIS_WRITES, .secret = true, .name = "?"};
    }
    return redis_catalog_look(row, r, data, len);
}
