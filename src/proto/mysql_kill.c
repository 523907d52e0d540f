#include "proto/mysql_kill.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/mysql_command.h"

#define ID_DIGITS 10

/* What is left of the statement. */
struct words {
    const char *at;
    const char *end;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool skip_space(struct words *w)
{
    const char *from = w->at;
    while (w->at < w->end && is_space(*w->at)) {
        w->at++;
    }
    return w->at > from;
}

/* And the space behind it, which must be there. */
static bool skip_word(struct words *w, const char *word)
{
    size_t len = strlen(word);
    struct words next = {w->at + len, w->end};
    if ((size_t)(w->end - w->at) <= len || strncasecmp(w->at, word, len) != 0 ||
        !skip_space(&next)) {
        return false;
    }
    *w = next;
    return true;
}

static bool read_id(struct words *w, struct mysql_kill *k)
{
    uint64_t id = 0;
    const char *from = w->at;
    while (w->at < w->end && *w->at >= '0' && *w->at <= '9' && w->at - from < ID_DIGITS) {
        id = id * 10 + (uint64_t)(*w->at++ - '0');
    }
    k->id = (uint32_t)id;
    k->len = (size_t)(w->at - from);
    return k->len > 0 && id <= UINT32_MAX;
}

static bool read_text(struct mysql_kill *k, const char *text, size_t len)
{
    struct words w = {text, text + len};
    skip_space(&w);
    if (!skip_word(&w, "KILL")) {
        return false;
    }
    if (!skip_word(&w, "HARD")) {
        skip_word(&w, "SOFT");
    }
    if (!skip_word(&w, "CONNECTION")) {
        skip_word(&w, "QUERY");
    }
    k->at = (size_t)(w.at - text);
    if (!read_id(&w, k)) {
        return false;
    }
    skip_space(&w);
    if (w.at < w.end && *w.at == ';') {
        w.at++;
    }
    skip_space(&w);
    return w.at == w.end;
}

/* No attributes, in one set. */
static const char no_attributes[2] = {0, 1};

bool mysql_kill_read(struct mysql_kill *k, uint32_t capabilities, const void *payload, size_t len)
{
    const char *bytes = payload;
    size_t skip = 1;
    *k = (struct mysql_kill){0};
    if (len == 5 && bytes[0] == MYSQL_COM_PROCESS_KILL) {
        struct mysql_cursor c = mysql_read(bytes + 1, 4);
        *k = (struct mysql_kill){.id = (uint32_t)mysql_read_int(&c, 4), .at = 1, .len = 4};
        return true;
    }
    if (len < skip || len > MYSQL_KILL_MAX || bytes[0] != MYSQL_COM_QUERY) {
        return false;
    }
    if ((capabilities & MYSQL_CAP_QUERY_ATTRIBUTES) != 0) {
        skip += sizeof no_attributes;
        if (len < skip || memcmp(bytes + 1, no_attributes, sizeof no_attributes) != 0) {
            return false;
        }
    }
    k->text = true;
    bool good = read_text(k, bytes + skip, len - skip);
    k->at += skip;
    return good;
}

void mysql_kill_write(struct mysql_writer *w, const struct mysql_kill *k, const void *payload,
                      size_t len, uint32_t id)
{
    const char *bytes = payload;
    char digits[ID_DIGITS + 1];
    mysql_begin(w, 0);
    mysql_write_bytes(w, bytes, k->at);
    if (k->text) {
        mysql_write_bytes(w, digits, (size_t)snprintf(digits, sizeof digits, "%u", (unsigned)id));
    } else {
        mysql_write_int(w, id, 4);
    }
    mysql_write_bytes(w, bytes + k->at + k->len, len - k->at - k->len);
    mysql_end(w);
}
