/* What servers tell of a session's state, and the commands that give it again, as text. */
#ifndef TEST_MYSQL_STATE_TALK_H
#define TEST_MYSQL_STATE_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "base/macros.h"
#include "proto/mysql_state.h"
#include "proto/mysql_statement.h"

#define DEPRECATE_EOF    (1U << 24)
#define QUERY_ATTRIBUTES (1U << 27)

/* What a server says in OK packets --------------------------------------------------------------
 */

struct info {
    unsigned char data[16384];
    struct mysql_writer w;
};

static inline void begin(struct info *i)
{
    i->w = (struct mysql_writer){.data = i->data, .size = sizeof i->data};
}

static inline void add_length(struct mysql_writer *w, size_t len)
{
    if (len < 0xfb) {
        mysql_write_int(w, len, 1);
    } else {
        mysql_write_int(w, 0xfc, 1);
        mysql_write_int(w, len, 2);
    }
}

static inline size_t length_size(size_t len)
{
    return len < 0xfb ? 1 : 3;
}

static inline void add_one(struct info *i, unsigned type, const char *text)
{
    size_t len = strlen(text);
    mysql_write_int(&i->w, type, 1);
    add_length(&i->w, length_size(len) + len);
    add_length(&i->w, len);
    mysql_write_bytes(&i->w, text, len);
}

static inline void add_bytes(struct info *i, const char *name, const void *value, size_t value_len)
{
    size_t name_len = strlen(name);
    mysql_write_int(&i->w, 0, 1);
    add_length(&i->w, length_size(name_len) + name_len + length_size(value_len) + value_len);
    add_length(&i->w, name_len);
    mysql_write_bytes(&i->w, name, name_len);
    add_length(&i->w, value_len);
    mysql_write_bytes(&i->w, value, value_len);
}

static inline void add_variable(struct info *i, const char *name, const char *value)
{
    add_bytes(i, name, value, strlen(value));
}

static inline void add_changed(struct info *i)
{
    mysql_write_bytes(&i->w,
                      "\2\1"
                      "1",
                      3);
}

static inline unsigned tell(struct mysql_state *s, struct info *i)
{
    assert_false(i->w.full);
    void *copy = malloc(i->w.len + 1);
    memcpy(copy, i->data, i->w.len);
    unsigned changes = mysql_state_apply(s, copy, i->w.len);
    free(copy);
    return changes;
}

/* SET name = value, as both servers tell it. */
static inline unsigned tell_set(struct mysql_state *s, const char *name, const char *value)
{
    struct info i;
    begin(&i);
    add_variable(&i, "statement_id", "437");
    add_variable(&i, name, value);
    add_changed(&i);
    return tell(s, &i);
}

/* The answer to mysql_state_track(). */
static inline void tell_tracked(struct mysql_state *s)
{
    static const char *const first[][2] = {
        {"session_track_schema", "ON"},
        {"session_track_state_change", "ON"},
        {"session_track_system_variables", "*"},
        {"session_track_transaction_info", "CHARACTERISTICS"},
        {"character_set_client", "utf8mb4"},
        {"collation_connection", "utf8mb4_general_ci"},
        {"last_insert_id", "0"},
        {"sql_mode", "STRICT_TRANS_TABLES"},
        {"time_zone", "SYSTEM"},
    };
    struct info i;
    begin(&i);
    for (size_t n = 0; n < ARRAY_LEN(first); n++) {
        add_variable(&i, first[n][0], first[n][1]);
    }
    add_changed(&i);
    add_one(&i, 4, "");
    tell(s, &i);
    assert_int_equal(s->why, 0);
    assert_int_equal(s->doubts, 0);
    assert_true(s->tracked);
}

static inline struct mysql_state tracked(const char *database)
{
    struct mysql_state s = {0};
    assert_true(mysql_state_begin(&s, database, strlen(database), 45));
    tell_tracked(&s);
    return s;
}

/* What is sent ---------------------------------------------------------------------------------
 */

struct sent {
    unsigned char data[MYSQL_STATE_COMMANDS_MAX];
    struct mysql_writer w;
    char text[MYSQL_STATE_COMMANDS_MAX + 64]; /* a line for each packet, its code first */
};

static inline void begin_sent(struct sent *x)
{
    x->w = (struct mysql_writer){.data = x->data, .size = sizeof x->data};
}

static inline size_t read_sent(struct sent *x, bool attributes)
{
    size_t at = 0;
    size_t out = 0;
    size_t count = 0;
    assert_false(x->w.full);
    for (; at < x->w.len; count++) {
        const unsigned char *p = x->data + at;
        size_t len = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16;
        assert_int_equal(p[3], 0);
        assert_true(len >= 1 && at + MYSQL_HEADER + len <= x->w.len);
        size_t skip = MYSQL_HEADER + 1;
        if (attributes && p[MYSQL_HEADER] == 3) {
            assert_memory_equal(p + skip, "\0\1", 2);
            skip += 2;
        }
        out += (size_t)snprintf(x->text + out, sizeof x->text - out, "%u %.*s\n", p[MYSQL_HEADER],
                                (int)(len + MYSQL_HEADER - skip), p + skip);
        at += MYSQL_HEADER + len;
    }
    x->text[out] = '\0';
    return count;
}

/* `expected`: the commands, or NULL: it cannot be done. */
static inline void check_restore(const struct mysql_state *from, const struct mysql_state *to,
                                 const char *expected)
{
    struct sent *x = malloc(sizeof *x);
    begin_sent(x);
    int count = mysql_state_restore(&x->w, from, to, 0);
    if (expected == NULL) {
        assert_int_equal(count, UV_EINVAL);
        assert_int_equal(x->w.len, 0);
    } else {
        assert_int_equal(read_sent(x, false), count);
        assert_string_equal(x->text, expected);
        assert_true(count <= MYSQL_STATE_COMMANDS);
    }
    free(x);
}

#endif
