/* Replies of a MySQL server, and an account of how they are read, for the tests of mysql_reply.c.
 */
#ifndef TEST_MYSQL_REPLIES_H
#define TEST_MYSQL_REPLIES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mysql_talk.h"
#include "proto/mysql_command.h"
#include "proto/mysql_reply.h"

#define OLD   0U                      /* EOFs */
#define NEW   MYSQL_CAP_DEPRECATE_EOF /* none */
#define TRACK MYSQL_CAP_SESSION_TRACK
#define FILES MYSQL_CAP_LOCAL_FILES

/* A line for each event. */
struct account {
    char text[4096];
    size_t len;
};

struct reader {
    const struct talk *talk;
    uint32_t capabilities;
    const uint8_t *codes; /* of the commands that are answered */
    size_t count;
    size_t begun;
    size_t at;
    struct mysql_reply r;
    struct account account;
};

static inline void note_end(struct account *a, size_t at, const struct mysql_reply *r)
{
    char error[16] = "";
    if (r->failed) {
        snprintf(error, sizeof error, " error %u", r->error);
    }
    a->len += (size_t)snprintf(a->text + a->len, sizeof a->text - a->len,
                               "%zu: %04x %u+%u w%u%s%s%s%s%.*s\n", at, r->status,
                               (unsigned)r->affected, (unsigned)r->insert_id, r->warnings, error,
                               r->has_rows ? " rows" : "", r->cut ? " cut" : "",
                               r->state_len > 0 ? " " : "", (int)r->state_len, r->state);
    assert_true(a->len < sizeof a->text);
}

static inline void note(struct account *a, const char *word)
{
    a->len += (size_t)snprintf(a->text + a->len, sizeof a->text - a->len, "%s\n", word);
    assert_true(a->len < sizeof a->text);
}

static inline void begin(struct reader *r)
{
    if (r->begun++ < r->count) {
        mysql_reply_begin(&r->r, r->capabilities, r->codes[r->begun - 1]);
    }
}

/* The next bytes, in memory of their own so that a sanitizer sees their ends. False: it is bad, or
 * there is nobody whom more would answer. */
static inline bool look(struct reader *r, size_t len)
{
    while (len > 0 && r->begun <= r->count) {
        char *copy = malloc(len);
        size_t used = SIZE_MAX;
        memcpy(copy, r->talk->data + r->at, len);
        enum mysql_reply_event event = mysql_reply_look(&r->r, copy, len, &used);
        free(copy);
        if (event == MYSQL_REPLY_BAD) {
            note(&r->account, "bad");
            return false;
        }
        assert_true(used <= len && (event != MYSQL_REPLY_MORE || used == len));
        r->at += used;
        len -= used;
        if (event == MYSQL_REPLY_FILE) {
            note(&r->account, "file");
        } else if (event == MYSQL_REPLY_END) {
            note_end(&r->account, r->at, &r->r);
            assert_true(mysql_reply_between(&r->r));
            begin(r);
        }
    }
    return len == 0;
}

static inline void finish(struct reader *r, const char *expected)
{
    if (r->begun <= r->count && strstr(r->account.text, "bad") == NULL) {
        note(&r->account, mysql_reply_between(&r->r) ? "more" : "part");
    }
    assert_string_equal(r->account.text, expected);
}

static inline struct reader *reader(const struct talk *t, uint32_t capabilities,
                                    const uint8_t *codes, size_t count)
{
    struct reader *r = calloc(1, sizeof *r);
    *r = (struct reader){.talk = t, .capabilities = capabilities, .codes = codes, .count = count};
    begin(r);
    return r;
}

/* Whole, in two pieces wherever it is cut, in pieces of some sizes. */
static inline void check(const struct talk *t, uint32_t capabilities, const uint8_t *codes,
                         size_t count, const char *expected)
{
    for (size_t cut = 0; cut<t->len; cut += t->len> 3000 ? 89 : 1) {
        struct reader *r = reader(t, capabilities, codes, count);
        (void)(look(r, cut) && look(r, t->len - cut));
        finish(r, expected);
        free(r);
    }
    for (size_t piece = 1; piece < 12; piece++) {
        struct reader *r = reader(t, capabilities, codes, count);
        while (r->at < t->len && look(r, piece < t->len - r->at ? piece : t->len - r->at)) {
        }
        finish(r, expected);
        free(r);
    }
}

/* Commands by their codes. */
#define CHECK(t, capabilities, expected, ...)                                                      \
    check(t, capabilities, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), \
          expected)

#define QUERY   MYSQL_COM_QUERY
#define EXECUTE MYSQL_COM_STMT_EXECUTE
#define PREPARE MYSQL_COM_STMT_PREPARE
#define FETCH   MYSQL_COM_STMT_FETCH
#define PING    MYSQL_COM_PING

static inline struct talk *talk(void)
{
    struct talk *t = calloc(1, sizeof *t);
    t->sequence = 1;
    return t;
}

/* What comes next answers another command. */
static inline void again(struct talk *t)
{
    t->sequence = 1;
}

static inline void anew(struct talk *t)
{
    t->len = 0;
    t->sequence = 1;
}

#define OK(t)     SAY(t, "\0\0\0\2\0\0\0")
#define EOF_OF(t) SAY(t, "\xfe\0\0\2\0")
#define ERR(t)    SAY(t, "\xff\x28\x04#42000no such thing")

static inline void define(struct talk *t, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        SAY(t, "\3def\0\0\0\1c\0\xc\x3f\0\1\0\0\0\3\x81\0\0\0\0");
    }
}

#endif
