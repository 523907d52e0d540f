/* A dialogue under test, and a server made up for it: packets, greetings and rows built by hand. */
#ifndef TEST_MYSQL_FAKE_H
#define TEST_MYSQL_FAKE_H

#include <stdlib.h>
#include <string.h>

#include "model/observation.h"
#include "proto/mysql.h"
#include "proto/mysql_packet.h"

#define FAKE_MAX    65536
#define SERVER_CAPS 0x00088a0dU /* what we use of them, and TLS */
#define NO_TLS      0x00000800U
#define NATIVE      "mysql_native_password"
#define SHA2        "caching_sha2_password"
#define NONCE       "abcdefghijklmnopqrst"
#define NEW_NONCE   "ABCDEFGHIJKLMNOPQRST" /* of a switch */

static const struct probe_setup router = {.user = "router", .password = "s3cret"};

struct talk {
    void *state;
    struct observation seen;
    enum probe_step step;
    const char *out;
    size_t out_len;
};

/* Before the greeting; the caller's part of the observation is not empty. */
static inline struct talk talk_new(const struct probe_setup *account)
{
    struct talk t = {.state = calloc(1, mysql_probe.state_size)};
    t.seen = (struct observation){.failures = 3, .asked = 5};
    t.step = mysql_probe.start(t.state, account, true, &t.out, &t.out_len);
    return t;
}

static inline void talk_free(struct talk *t)
{
    mysql_probe.release(t->state);
    free(t->state);
}

/* Each piece is memory of its own: a sanitizer sees who reads behind it. */
static inline void talk_feed(struct talk *t, const void *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && t->step == PROBE_STEP_READ; at += piece) {
        size_t now = len - at < piece ? len - at : piece;
        char *copy = malloc(now);
        memcpy(copy, (const char *)data + at, now);
        t->step = mysql_probe.feed(t->state, copy, now, &t->seen, &t->out, &t->out_len);
        free(copy);
    }
}

/* What the server says next; its sequence number is the one behind ours. */
struct fake {
    unsigned char bytes[FAKE_MAX];
    struct mysql_writer w;
    unsigned char sequence;
};

static inline void fake_begin(struct fake *f, unsigned char sequence)
{
    f->w = (struct mysql_writer){.data = f->bytes, .size = sizeof f->bytes};
    f->sequence = sequence;
}

static inline void fake_packet(struct fake *f, const void *payload, size_t len)
{
    mysql_begin(&f->w, f->sequence++);
    mysql_write_bytes(&f->w, payload, len);
    mysql_end(&f->w);
}

/* The sequence number that follows the one of what the probe just said. */
static inline unsigned char fake_next(const struct talk *t)
{
    return t->out_len > 3 ? (unsigned char)(t->out[3] + 1) : 0;
}

/* One packet as the answer to what the probe just said. */
static inline void fake_say(struct talk *t, const void *payload, size_t len)
{
    static struct fake f;
    fake_begin(&f, fake_next(t));
    fake_packet(&f, payload, len);
    talk_feed(t, f.bytes, f.w.len, SIZE_MAX / 2);
}

static inline void fake_error(struct talk *t, unsigned code, const char *text)
{
    char payload[512] = {(char)0xff, (char)code, (char)(code >> 8)};
    size_t len = strlen(text) < sizeof payload - 3 ? strlen(text) : sizeof payload - 3;
    memcpy(payload + 3, text, len);
    fake_say(t, payload, 3 + len);
}

static inline void fake_ok(struct talk *t)
{
    fake_say(t, "\0\0\0\002\0\0\0", 7);
}

static inline void fake_greet(struct talk *t, const char *version, uint32_t caps,
                              const char *plugin)
{
    unsigned char payload[256];
    struct mysql_writer w = {.data = payload, .size = sizeof payload};
    mysql_write_int(&w, MYSQL_V10, 1);
    mysql_write_nul(&w, version);
    mysql_write_int(&w, 77, 4);
    mysql_write_bytes(&w, NONCE, 8);
    mysql_write_int(&w, 0, 1);
    mysql_write_int(&w, caps & 0xffff, 2);
    mysql_write_int(&w, 0, 3);
    mysql_write_int(&w, caps >> 16, 2);
    mysql_write_int(&w, 21, 1);
    mysql_write_zeros(&w, 10);
    mysql_write_nul(&w, NONCE + 8);
    mysql_write_nul(&w, plugin);
    fake_say(t, payload, w.len);
}

static inline void fake_switch(struct talk *t, const char *plugin)
{
    unsigned char payload[128];
    struct mysql_writer w = {.data = payload, .size = sizeof payload};
    mysql_write_int(&w, MYSQL_EOF, 1);
    mysql_write_nul(&w, plugin);
    mysql_write_nul(&w, NEW_NONCE);
    fake_say(t, payload, w.len);
}

static inline void fake_string(struct mysql_writer *w, const char *text)
{
    if (text == NULL) {
        mysql_write_int(w, 0xfb, 1);
        return;
    }
    mysql_write_int(w, 0xfc, 1);
    mysql_write_int(w, strlen(text), 2);
    mysql_write_bytes(w, text, strlen(text));
}

static inline void fake_column(struct fake *f, const char *name)
{
    mysql_begin(&f->w, f->sequence++);
    const char *const strings[] = {"def", "", "", "", name, ""};
    for (size_t i = 0; i < 6; i++) {
        fake_string(&f->w, strings[i]);
    }
    mysql_write_bytes(&f->w, "\014\077\0\027\0\0\0\005\200\0\037\0\0", 13);
    mysql_end(&f->w);
}

/* Columns and, row by row, their values. */
static inline void fake_rows(struct talk *t, const char *const *columns, size_t column_count,
                             const char *const *values, size_t row_count)
{
    static struct fake f;
    unsigned char count = (unsigned char)column_count;
    fake_begin(&f, 1);
    fake_packet(&f, &count, 1);
    for (size_t i = 0; i < column_count; i++) {
        fake_column(&f, columns[i]);
    }
    fake_packet(&f, "\376\0\0\002\0", 5);
    for (size_t row = 0; row < row_count; row++) {
        mysql_begin(&f.w, f.sequence++);
        for (size_t i = 0; i < column_count; i++) {
            fake_string(&f.w, *values++);
        }
        mysql_end(&f.w);
    }
    fake_packet(&f, "\376\0\0\002\0", 5);
    talk_feed(t, f.bytes, f.w.len, SIZE_MAX / 2);
}

/* Whether it asks for what begins so. */
static inline bool asks(const struct talk *t, const char *sql)
{
    return t->step == PROBE_STEP_READ && t->out_len > 5 + strlen(sql) - 1 && t->out[4] == 3 &&
           memcmp(t->out + 5, sql, strlen(sql)) == 0;
}

/* Up to the first question. */
static inline struct talk talk_logged_in(const struct probe_setup *account, const char *version)
{
    struct talk t = talk_new(account);
    fake_greet(&t, version, SERVER_CAPS, NATIVE);
    fake_ok(&t);
    return t;
}

#endif
