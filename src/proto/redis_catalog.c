/* Rows come from the built-in table and are then corrected by what servers say. What they say of a
 * command whose name says what it does to its connection (MULTI) is nothing new. */
#include "proto/redis_catalog.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/macros.h"
#include "proto/redis_catalog_internal.h"

struct redis_catalog {
    struct redis_table table;
    struct redis_reading reading;
    char asked[REDIS_NAME_MAX];
    size_t asked_len;
    bool asks;                           /* the reply is one to COMMAND INFO <asked> */
    bool learned;                        /* from this reply */
    uint64_t unknown[REDIS_UNKNOWN_MAX]; /* hashes of names that were asked for */
    size_t unknown_count;
};

static const struct redis_row built_in[] = {
#define COMMAND(command, does, is, looks)                                                          \
    {.name = (command), .kind = REDIS_##is, .access = REDIS_##does, .look = LOOK_##looks},
#include "proto/redis_commands.def"
#include "proto/redis_modules.def"
#undef COMMAND
};

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

/* Clients know it by `name`, or not at all: NULL. */
static bool add_renamed(struct redis_table *t, const struct redis_row *row, const char *name)
{
    uint16_t at = redis_table_add(t, row);
    if (at == REDIS_NO_ROW || !redis_table_name(t, REDIS_AT_BIRTH, row->name, at)) {
        return false;
    }
    return name == NULL || redis_table_name(t, REDIS_BY_CLIENTS, name, at);
}

/* All that clients know by other names come first: such a name may be that of another command. */
static bool add_all_renamed(struct redis_table *t,
                            const char *(*command)(const void *, const char *), const void *renames)
{
    bool done = true;
    for (size_t i = 0; done && i < ARRAY_LEN(built_in); i++) {
        const struct redis_row *row = &built_in[i];
        const char *other =
            strchr(row->name, '|') == NULL ? other_name(row->name, command, renames) : NULL;
        if (other != NULL) {
            size_t len = strlen(other);
            bool usable = len > 0 && len <= REDIS_NAME_MAX;
            done = add_renamed(t, row, usable ? redis_table_keep(t, other, len) : NULL);
        }
    }
    return done;
}

/* Subcommands come behind their container. */
static bool add_own(struct redis_table *t, const struct redis_row *row)
{
    size_t len = strlen(row->name);
    const char *bar = strchr(row->name, '|');
    if (bar != NULL) {
        uint16_t parent = redis_table_find_born(t, row->name, (size_t)(bar - row->name));
        assert(parent != REDIS_NO_ROW);
        t->rows[parent].container = true;
        uint16_t at = redis_table_add(t, row);
        return at != REDIS_NO_ROW && redis_table_name(t, parent, bar + 1, at);
    }
    if (redis_table_find_born(t, row->name, len) != REDIS_NO_ROW) {
        return true; /* it is renamed */
    }
    if (redis_table_find(t, REDIS_BY_CLIENTS, row->name, len) != REDIS_NO_ROW) {
        return add_renamed(t, row, NULL); /* its name is another one's */
    }
    uint16_t at = redis_table_add(t, row);
    return at != REDIS_NO_ROW && redis_table_name(t, REDIS_BY_CLIENTS, row->name, at);
}

struct redis_catalog *redis_catalog_new(const char *(*command)(const void *renames,
                                                               const char *command),
                                        const void *renames)
{
    struct redis_catalog *c = calloc(1, sizeof(*c));
    bool done = c != NULL && redis_table_init(&c->table);
    if (done && command != NULL) {
        done = add_all_renamed(&c->table, command, renames);
    }
    for (size_t i = 0; done && i < ARRAY_LEN(built_in); i++) {
        done = add_own(&c->table, &built_in[i]);
    }
    if (!done) {
        redis_catalog_free(c);
        c = NULL;
    }
    return c;
}

void redis_catalog_free(struct redis_catalog *c)
{
    if (c != NULL) {
        redis_table_free(&c->table);
        redis_reading_end(&c->reading);
        free(c);
    }
}

/* REDIS_NO_ROW: neither we nor the server know it, or its words are not all there. */
static uint16_t find(const struct redis_catalog *c, const struct redis_request *r, const char *data,
                     size_t len)
{
    const struct redis_word *w = r->words;
    if (UNLIKELY(r->is_odd || r->word_count == 0 || (size_t)w[0].at + w[0].len > len)) {
        return REDIS_NO_ROW;
    }
    uint16_t row = redis_table_find(&c->table, REDIS_BY_CLIENTS, data + w[0].at, w[0].len);
    if (row == REDIS_NO_ROW || !c->table.rows[row].container ||
        redis_catalog_argc(r, data, len) == 1) {
        return row;
    }
    bool there = r->word_count > 1 && (size_t)w[1].at + w[1].len <= len;
    return there ? redis_table_find(&c->table, row, data + w[1].at, w[1].len) : REDIS_NO_ROW;
}

struct redis_verdict redis_catalog_judge(const struct redis_catalog *c,
                                         const struct redis_request *r, const char *data,
                                         size_t len)
{
    uint16_t row = find(c, r, data, len);
    if (UNLIKELY(row == REDIS_NO_ROW)) {
        return (struct redis_verdict){
            .kind = REDIS_STATE, .access = REDIS_WRITES, .secret = true, .name = "?"};
    }
    return redis_catalog_look(&c->table.rows[row], r, data, len);
}

static bool belongs_to_name(const struct redis_row *row)
{
    return row->kind != REDIS_PLAIN && row->kind != REDIS_BLOCKS;
}

/* What the server says of a command that we have a row of. */
static void correct(struct redis_row *row, uint8_t flags)
{
    if (belongs_to_name(row)) {
        return;
    }
    if (flags & FLAG_BLOCKING) {
        row->kind = REDIS_BLOCKS;
    }
    if (row->look == LOOK_FIRM) {
        return;
    }
    if (flags & FLAG_WRITE) {
        row->access = REDIS_WRITES;
    } else if (flags & FLAG_READONLY) {
        row->access = REDIS_READS;
    } else if (flags & FLAG_REPLICATES) {
        row->access = REDIS_WRITES;
    }
}

static uint16_t add_learned(struct redis_table *t, const char *name)
{
    struct redis_row row = {.name = name, .kind = REDIS_PLAIN, .access = REDIS_WRITES};
    return redis_table_add(t, &row);
}

/* The container of a subcommand that is new. Ours that have no subcommands get none: with them the
 * second word would have to be known. */
static uint16_t find_container(const struct redis_table *t, const char *name, const char *bar)
{
    uint16_t row = redis_table_find_born(t, name, (size_t)(bar - name));
    bool may = row != REDIS_NO_ROW && (t->rows[row].container || row >= ARRAY_LEN(built_in));
    return may ? row : REDIS_NO_ROW;
}

static uint16_t learn_subcommand(struct redis_table *t, const struct redis_taught *taught,
                                 size_t bar)
{
    uint16_t parent = find_container(t, taught->name, taught->name + bar);
    const char *name = NULL;
    if (parent != REDIS_NO_ROW && bar + 1 < taught->len) {
        name = redis_table_keep(t, taught->name, taught->len);
    }
    uint16_t row = name != NULL ? add_learned(t, name) : REDIS_NO_ROW;
    if (row == REDIS_NO_ROW || !redis_table_name(t, parent, name + bar + 1, row)) {
        return REDIS_NO_ROW;
    }
    t->rows[parent].container = true;
    return row;
}

/* A command of which there was no row. What is about its connection and none of ours is not
 * learned: we do not know what it leaves behind. */
static uint16_t learn_new(struct redis_catalog *c, const struct redis_taught *taught)
{
    struct redis_table *t = &c->table;
    const char *bar = memchr(taught->name, '|', taught->len);
    if (taught->flags & FLAG_CONNECTION) {
        return REDIS_NO_ROW;
    }
    if (bar != NULL) {
        return learn_subcommand(t, taught, (size_t)(bar - taught->name));
    }
    const char *name = redis_table_keep(t, taught->name, taught->len);
    uint16_t row = name != NULL ? add_learned(t, name) : REDIS_NO_ROW;
    bool taken = redis_table_find(t, REDIS_BY_CLIENTS, taught->name, taught->len) != REDIS_NO_ROW;
    uint16_t parent = taken || c->asks ? REDIS_AT_BIRTH : REDIS_BY_CLIENTS;
    bool done = row != REDIS_NO_ROW && redis_table_name(t, parent, name, row);
    return done ? row : REDIS_NO_ROW;
}

static uint16_t learn(struct redis_catalog *c, const struct redis_taught *taught)
{
    if (taught->len == 0) {
        return REDIS_NO_ROW;
    }
    uint16_t row = redis_table_find_born(&c->table, taught->name, taught->len);
    if (row == REDIS_NO_ROW) {
        row = learn_new(c, taught);
    }
    if (row != REDIS_NO_ROW) {
        correct(&c->table.rows[row], taught->flags);
        c->learned = true;
    }
    return row;
}

/* What was asked for is this row. Who had the name is found by the one it was born with. */
static void learn_name(struct redis_catalog *c, uint16_t row)
{
    struct redis_table *t = &c->table;
    uint16_t before = redis_table_find(t, REDIS_BY_CLIENTS, c->asked, c->asked_len);
    if (before == row) {
        return;
    }
    const char *name = redis_table_keep(t, c->asked, c->asked_len);
    bool done = name != NULL;
    if (done && before != REDIS_NO_ROW && strchr(t->rows[before].name, '|') == NULL) {
        done = redis_table_name(t, REDIS_AT_BIRTH, t->rows[before].name, before);
    }
    c->learned = done && redis_table_name(t, REDIS_BY_CLIENTS, name, row);
}

static void learn_all(struct redis_catalog *c)
{
    const struct redis_reading *r = &c->reading;
    size_t commands = 0;
    for (size_t i = 0; i < r->count; i++) {
        commands += memchr(r->taught[i].name, '|', r->taught[i].len) == NULL;
    }
    if (c->asks && (commands != 1 || c->asked_len == 0)) {
        return;
    }
    for (size_t i = 0; i < r->count; i++) {
        uint16_t row = learn(c, &r->taught[i]);
        if (c->asks && i == 0 && row != REDIS_NO_ROW) {
            learn_name(c, row);
        }
    }
    if (!c->asks && c->learned) {
        c->unknown_count = 0;
    }
}

void redis_catalog_ask(struct redis_catalog *c, const char *name, size_t len)
{
    c->asks = true;
    c->asked_len = len <= sizeof(c->asked) ? len : 0;
    memcpy(c->asked, name, c->asked_len);
}

void redis_catalog_feed(struct redis_catalog *c, const char *data, size_t len)
{
    if (c->reading.state == LESSON_READING) {
        redis_reading_feed(&c->reading, data, len);
        if (c->reading.state == LESSON_WHOLE) {
            learn_all(c);
        }
    }
}

bool redis_catalog_end(struct redis_catalog *c)
{
    bool learned = c->learned;
    if (c->asks && c->reading.state != LESSON_READING) {
        redis_catalog_note_asked(c, c->asked, c->asked_len);
    }
    redis_reading_end(&c->reading);
    c->asks = false;
    c->learned = false;
    return learned;
}

/* Of a name, whatever the case of its letters. */
static uint64_t hash_name(const char *name, size_t len)
{
    char text[REDIS_NAME_MAX] = {0};
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)tolower((unsigned char)name[i]);
    }
    return hash_bytes(text, len);
}

bool redis_catalog_has_asked(const struct redis_catalog *c, const char *name, size_t len)
{
    if (len == 0 || !redis_is_name(name, len) || c->unknown_count == REDIS_UNKNOWN_MAX) {
        return true;
    }
    uint64_t hash = hash_name(name, len);
    size_t i = 0;
    while (i < c->unknown_count && c->unknown[i] != hash) {
        i++;
    }
    return i < c->unknown_count;
}

void redis_catalog_note_asked(struct redis_catalog *c, const char *name, size_t len)
{
    if (!redis_catalog_has_asked(c, name, len)) {
        c->unknown[c->unknown_count++] = hash_name(name, len);
    }
}
