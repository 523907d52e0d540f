/* libFuzzer: whatever a server says of a session's state, the commands that give it again are whole
 * packets with nothing in them but plain assignments; and a server that tells of them what they set
 * makes the one state of the other. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "proto/mysql_command.h"
#include "proto/mysql_state.h"

#define SET     "SET "
#define SESSION "SESSION "
#define NAMES   "NAMES '"
#define COLLATE "' COLLATE '"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a server tells just after mysql_state_track(). */
static const char first[] = "\0\x21\x1esession_track_system_variables\x01*"
                            "\0\x1c\x14"
                            "character_set_client\x06"
                            "latin1"
                            "\0\x27\x14"
                            "collation_connection\x11"
                            "latin1_swedish_ci"
                            "\0\x0a\x08sql_mode\0"
                            "\0\x11\x09time_zone\x06SYSTEM"
                            "\2\1"
                            "1";

/* One name and one value, as a server tells them. */
static void tell(struct mysql_state *s, const char *name, size_t name_len, const char *value,
                 size_t value_len)
{
    static unsigned char data[4096];
    struct mysql_writer w = {.data = data, .size = sizeof data};
    size_t body = 1 + name_len + (value_len < 0xfb ? 1 : 3) + value_len;
    mysql_write_int(&w, 0xfc00, 2); /* a variable, its length in two bytes */
    mysql_write_int(&w, body, 2);
    mysql_write_int(&w, name_len, 1);
    mysql_write_bytes(&w, name, name_len);
    if (value_len < 0xfb) {
        mysql_write_int(&w, value_len, 1);
    } else {
        mysql_write_int(&w, 0xfc, 1);
        mysql_write_int(&w, value_len, 2);
    }
    mysql_write_bytes(&w, value, value_len);
    assert(!w.full && name_len < 0xfb);
    mysql_state_apply(s, data, w.len);
}

/* name=value, as far as the comma or the end: returns where. */
static const char *carry_out(struct mysql_state *s, const char *p, const char *end)
{
    const char *name = p;
    while (p < end && (isalnum((unsigned char)*p) || *p == '_')) {
        p++;
    }
    size_t name_len = (size_t)(p - name);
    assert(name_len > 0 && p < end && *p == '=');
    const char *value = ++p;
    if (*p == '\'') {
        p = memchr(p + 1, '\'', (size_t)(end - p - 1));
        assert(p != NULL && memchr(value, '\\', (size_t)(p - value)) == NULL);
        tell(s, name, name_len, value + 1, (size_t)(p - value - 1));
        return p + 1;
    }
    while (p < end && *p != ',') {
        assert(isalnum((unsigned char)*p) || strchr(".-_@", *p) != NULL);
        p++;
    }
    bool null = p - value == 4 && memcmp(value, "NULL", 4) == 0;
    tell(s, name, name_len, value, null ? 0 : (size_t)(p - value));
    return p;
}

/* Results are in one of two collations. */
static void look(struct mysql_state *s, bool swedish)
{
    static struct mysql_reply r;
    r.charset = swedish ? 8 : 48;
    mysql_state_looked(s, &r);
}

/* SET NAMES with the collation that only results have: the others are set behind it. A server is
 * asked for it then. */
static const char *carry_out_names(struct mysql_state *s, const char *p, const char *end)
{
    const char *collation = memmem(p, (size_t)(end - p), COLLATE, sizeof COLLATE - 1);
    assert(collation != NULL);
    const char *last = memchr(collation + sizeof COLLATE - 1, '\'', (size_t)(end - collation));
    assert(last != NULL);
    tell(s, "character_set_results", 21, p, (size_t)(collation - p));
    look(s, memmem(collation, (size_t)(last - collation), "swedish", 7) != NULL);
    return last + 1;
}

static bool begins(const char *p, const char *end, const char *with)
{
    return (size_t)(end - p) >= strlen(with) && memcmp(p, with, strlen(with)) == 0;
}

static void carry_out_all(struct mysql_state *s, const unsigned char *data, size_t len, int count)
{
    for (size_t at = 0; at < len; count--) {
        const char *p = (const char *)data + at + MYSQL_HEADER;
        size_t payload = data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16;
        at += MYSQL_HEADER + payload;
        assert(payload > 1 && at <= len && p[-1] == 0);
        if (*p == MYSQL_COM_INIT_DB) {
            unsigned char told[MYSQL_STATE_DATABASE + 16];
            struct mysql_writer w = {.data = told, .size = sizeof told};
            mysql_write_int(&w, 0xfc01, 2);
            mysql_write_int(&w, payload + 2, 2);
            mysql_write_int(&w, 0xfc, 1);
            mysql_write_int(&w, payload - 1, 2);
            mysql_write_bytes(&w, p + 1, payload - 1);
            assert(!w.full);
            mysql_state_apply(s, told, w.len);
            continue;
        }
        assert(*p == MYSQL_COM_QUERY && payload > sizeof SET);
        assert(memcmp(p + 1, SET, sizeof SET - 1) == 0);
        const char *end = p + payload;
        for (p += sizeof SET; p < end; p++) {
            p += begins(p, end, SESSION) ? sizeof SESSION - 1 : 0;
            p = begins(p, end, NAMES) ? carry_out_names(s, p + sizeof NAMES - 1, end)
                                      : carry_out(s, p, end);
            assert(p == end || *p == ',');
        }
    }
    assert(count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char commands[MYSQL_STATE_COMMANDS_MAX];
    struct mysql_state from = {0};
    struct mysql_state to = {0};
    struct mysql_state copy = {0};
    uint8_t *info = malloc(size + 1);
    memcpy(info, data, size);
    assert(mysql_state_begin(&from, "", 0, 8) && mysql_state_begin(&to, "a", 1, 8));
    mysql_state_apply(&from, first, sizeof first - 1);
    mysql_state_apply(&to, first, sizeof first - 1);
    assert(from.why == 0 && from.doubts == 0 && from.tracked && from.count == 5);
    mysql_state_apply(&to, info, size);
    free(info);
    look(&to, size % 2 == 0);
    assert(to.used <= MYSQL_STATE_BYTES && to.count <= MYSQL_STATE_VARIABLES);
    assert(mysql_state_copy(&copy, &to) && copy.hash == to.hash);
    struct mysql_writer w = {.data = commands, .size = sizeof commands};
    int count = mysql_state_restore(&w, &from, &to, 0);
    assert((count == UV_EINVAL) == (to.why != 0 || to.doubts != 0));
    if (count >= 0) {
        assert(!w.full && count <= MYSQL_STATE_COMMANDS);
        carry_out_all(&from, commands, w.len, count);
        assert(mysql_state_same(&from, &to) || !to.tracked);
    }
    mysql_state_reset(&to, 0);
    mysql_state_free(&from);
    mysql_state_free(&to);
    mysql_state_free(&copy);
    return 0;
}
