/* The reply to COMMAND as it comes: an array of commands, each an array whose first value is its
 * name, the third its flags, the seventh its categories and the tenth its subcommands, which are
 * arrays like it (Redis 7; those before have no subcommands, and Redis 5 no categories). All else
 * is counted and skipped. In RESP3 flags and categories are sets. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "proto/redis_catalog_internal.h"

#define VALUES_MAX     (1024 * 1024) /* of one aggregate */
#define LINE_BYTES_MAX (64 * 1024)
#define BULK_BYTES_MAX (1024 * 1024)

enum phase {
    PHASE_TYPE,
    PHASE_LINE,
    PHASE_LINE_END, /* its LF */
    PHASE_BULK,
    PHASE_BULK_CR,
    PHASE_BULK_LF,
};

enum role {
    ROLE_COMMANDS,
    ROLE_COMMAND,
    ROLE_WORDS, /* flags or categories */
};

#define COMMAND_FIELDS_MIN 6 /* those of Redis 2.8 */

enum field { FIELD_NAME = 0, FIELD_FLAGS = 2, FIELD_CATEGORIES = 6, FIELD_SUBCOMMANDS = 9 };

static const struct {
    const char *word;
    enum redis_flag flag;
} flag_words[] = {
    {"write", FLAG_WRITE},
    {"readonly", FLAG_READONLY},
    {"blocking", FLAG_BLOCKING},
    {"@blocking", FLAG_BLOCKING},
    {"may_replicate", FLAG_REPLICATES},
    {"@connection", FLAG_CONNECTION},
    {"@pubsub", FLAG_CONNECTION},
    {"@transaction", FLAG_CONNECTION},
};

static bool bad(struct redis_reading *r)
{
    r->state = LESSON_BAD;
    return false;
}

/* One more command, whose name is still to come. */
static uint32_t begin_command(struct redis_reading *r)
{
    if (r->count == REDIS_COMMANDS_MAX) {
        return REDIS_COMMANDS_MAX;
    }
    if (r->count == r->capacity) {
        size_t capacity = r->capacity > 0 ? r->capacity * 2 : 256;
        struct redis_taught *taught = realloc(r->taught, capacity * sizeof(*taught));
        if (taught == NULL) {
            bad(r);
            return REDIS_COMMANDS_MAX;
        }
        r->taught = taught;
        r->capacity = capacity;
    }
    r->taught[r->count] = (struct redis_taught){.len = 0};
    return (uint32_t)r->count++;
}

static struct redis_taught *command_of(struct redis_reading *r)
{
    uint32_t i = r->stack[r->depth - 1].command;
    return i < r->count ? &r->taught[i] : NULL;
}

static void take_name(struct redis_reading *r)
{
    struct redis_taught *t = command_of(r);
    if (t != NULL && redis_is_name(r->word, r->word_len)) {
        memcpy(t->name, r->word, r->word_len);
        t->len = (uint8_t)r->word_len;
    }
}

static void take_word(struct redis_reading *r)
{
    struct redis_taught *t = command_of(r);
    for (size_t i = 0; t != NULL && i < ARRAY_LEN(flag_words); i++) {
        size_t len = strlen(flag_words[i].word);
        if (r->word_len == len && memcmp(r->word, flag_words[i].word, len) == 0) {
            t->flags |= flag_words[i].flag;
        }
    }
}

/* A value is over, and with it all those that it was the last one of. */
static bool value_is_over(struct redis_reading *r)
{
    if (r->skip > 0 && --r->skip > 0) {
        return true;
    }
    while (r->depth > 0) {
        r->stack[r->depth - 1].field++;
        if (--r->stack[r->depth - 1].left > 0) {
            return true;
        }
        r->depth--;
    }
    r->state = LESSON_WHOLE;
    return false;
}

static bool open_aggregate(struct redis_reading *r, enum role role, uint64_t values,
                           uint32_t command)
{
    if (values == 0) {
        return value_is_over(r);
    }
    if (r->depth == REDIS_LESSON_DEPTH) {
        return bad(r);
    }
    r->stack[r->depth].role = (uint8_t)role;
    r->stack[r->depth].field = 0;
    r->stack[r->depth].left = (uint32_t)values;
    r->stack[r->depth].command = command;
    r->depth++;
    return true;
}

/* Values that say nothing to us, and all that is in them. */
static bool skip_aggregate(struct redis_reading *r, uint64_t values)
{
    r->skip += values + (r->skip == 0);
    return value_is_over(r);
}

/* A field of a command that has values of its own. */
static bool open_field(struct redis_reading *r, uint64_t values)
{
    bool is_command = r->depth == 2; /* and no subcommand */
    uint32_t command = r->stack[r->depth - 1].command;
    switch (r->stack[r->depth - 1].field) {
    case FIELD_NAME:
        return bad(r);
    case FIELD_FLAGS:
    case FIELD_CATEGORIES:
        return open_aggregate(r, ROLE_WORDS, values, command);
    case FIELD_SUBCOMMANDS:
        if (is_command) {
            return open_aggregate(r, ROLE_COMMANDS, values, command);
        }
        break;
    default:
        break;
    }
    return skip_aggregate(r, values);
}

static bool on_aggregate(struct redis_reading *r, uint64_t values)
{
    if (r->skip > 0) {
        return skip_aggregate(r, values);
    }
    if (r->depth == 0) {
        return open_aggregate(r, ROLE_COMMANDS, values, 0);
    }
    if (r->stack[r->depth - 1].role == ROLE_COMMANDS && values >= COMMAND_FIELDS_MIN) {
        uint32_t command = begin_command(r);
        return r->state == LESSON_READING && open_aggregate(r, ROLE_COMMAND, values, command);
    }
    return r->stack[r->depth - 1].role == ROLE_COMMAND ? open_field(r, values) : bad(r);
}

/* A string, a number or a null that is over. */
static bool on_scalar(struct redis_reading *r, bool string, bool null)
{
    if (r->skip > 0) {
        return value_is_over(r);
    }
    if (r->depth == 0) {
        return bad(r);
    }
    uint32_t field = r->stack[r->depth - 1].field;
    switch ((enum role)r->stack[r->depth - 1].role) {
    case ROLE_COMMANDS:
        return null ? value_is_over(r) : bad(r); /* a name that the server does not know */
    case ROLE_WORDS:
        if (!string) {
            return bad(r);
        }
        take_word(r);
        return value_is_over(r);
    case ROLE_COMMAND:
        break;
    }
    if (field == FIELD_NAME && string) {
        take_name(r);
        return value_is_over(r);
    }
    return field == FIELD_NAME || field == FIELD_FLAGS ? bad(r) : value_is_over(r);
}

/* Null is -1. */
static bool read_length(const struct redis_reading *r, int64_t max, int64_t *length)
{
    *length = 0;
    if (r->word_len == 2 && memcmp(r->word, "-1", 2) == 0) {
        *length = -1;
        return true;
    }
    for (size_t i = 0; i < r->word_len; i++) {
        if (r->word[i] < '0' || r->word[i] > '9') {
            return false;
        }
        *length = *length * 10 + (r->word[i] - '0');
        if (*length > max) {
            return false;
        }
    }
    return r->word_len > 0 && r->word_len < REDIS_NAME_MAX;
}

/* A line is whole: a value, or the length of one. */
static bool on_line(struct redis_reading *r)
{
    int64_t length;
    r->phase = PHASE_TYPE;
    switch (r->type) {
    case '+':
        return on_scalar(r, true, false);
    case ':':
    case ',':
    case '#':
    case '(':
        return on_scalar(r, false, false);
    case '_':
        return on_scalar(r, false, true);
    case '$':
    case '=':
        if (!read_length(r, BULK_BYTES_MAX, &length)) {
            return bad(r);
        }
        if (length < 0) {
            return on_scalar(r, false, true);
        }
        r->bulk_left = (uint64_t)length;
        r->word_len = 0;
        r->phase = PHASE_BULK;
        return true;
    case '*':
    case '~':
    case '%':
        if (!read_length(r, VALUES_MAX, &length)) {
            return bad(r);
        }
        if (length < 0) {
            return on_scalar(r, false, true);
        }
        return on_aggregate(r, (uint64_t)length * (r->type == '%' ? 2 : 1));
    default:
        return bad(r); /* an error, or what no reply to COMMAND has in it */
    }
}

static void keep(struct redis_reading *r, const char *data, size_t len)
{
    size_t room = r->word_len < sizeof(r->word) ? sizeof(r->word) - r->word_len : 0;
    memcpy(r->word + sizeof(r->word) - room, data, len < room ? len : room);
    r->word_len += len;
}

/* Bytes of a bulk string; how many were taken. */
static size_t take_bulk(struct redis_reading *r, const char *data, size_t len)
{
    size_t take = len < r->bulk_left ? len : (size_t)r->bulk_left;
    keep(r, data, take);
    r->bulk_left -= take;
    if (r->bulk_left == 0) {
        r->phase = PHASE_BULK_CR;
    }
    return take;
}

/* False: it is over, one way or the other. */
static bool take_byte(struct redis_reading *r, char c)
{
    switch ((enum phase)r->phase) {
    case PHASE_TYPE:
        r->type = c;
        r->word_len = 0;
        r->phase = PHASE_LINE;
        return true;
    case PHASE_LINE:
        if (c == '\r') {
            r->phase = PHASE_LINE_END;
            return true;
        }
        keep(r, &c, 1);
        return c != '\n' && r->word_len <= LINE_BYTES_MAX ? true : bad(r);
    case PHASE_LINE_END:
        return c == '\n' ? on_line(r) : bad(r);
    case PHASE_BULK_CR:
        r->phase = PHASE_BULK_LF;
        return c == '\r' ? true : bad(r);
    case PHASE_BULK_LF:
        r->phase = PHASE_TYPE;
        return c == '\n' ? on_scalar(r, true, false) : bad(r);
    case PHASE_BULK:
        break;
    }
    return true;
}

void redis_reading_feed(struct redis_reading *r, const char *data, size_t len)
{
    bool goes_on = r->state == LESSON_READING;
    for (size_t i = 0; goes_on && i < len;) {
        if (r->phase == PHASE_BULK) {
            i += take_bulk(r, data + i, len - i);
        } else {
            goes_on = take_byte(r, data[i++]);
        }
    }
}

void redis_reading_end(struct redis_reading *r)
{
    free(r->taught);
    *r = (struct redis_reading){.taught = NULL};
}
