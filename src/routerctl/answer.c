#include "routerctl/answer.h"

#include <string.h>

#define PIECE_MAX 65536

/* "[3]: ": the severities of syslog (RFC 5424), of which errors are the first four. */
static size_t take_mark(struct answer *a, const char *line, size_t len)
{
    if (len < 4 || line[0] != '[' || line[1] < '0' || line[1] > '7' || line[2] != ']' ||
        line[3] != ':') {
        return 0;
    }
    a->refusal = line[1] <= '3';
    a->refused = a->refused || a->refusal;
    return len > 4 && line[4] == ' ' ? 5 : 4;
}

static void hand_on(struct answer *a, const char *words, size_t len)
{
    if (len > 0) {
        a->on_words(a->to, words, len, a->refusal);
        a->printed = true;
    }
}

static void on_empty_line(struct answer *a)
{
    if (!a->skipped) {
        a->skipped = true;
        return;
    }
    if (a->blank && a->printed) {
        hand_on(a, "\n", 1);
    }
    a->blank = true;
    a->within = false;
}

/* A line, or a piece of a long one. */
static void on_line(struct answer *a, const char *line, size_t len)
{
    if (!a->skipped) {
        return;
    }
    if (a->blank && a->printed) {
        hand_on(a, "\n", 1);
    }
    a->blank = false;
    if (!a->within) {
        a->refusal = false;
        a->within = true;
        size_t mark = take_mark(a, line, len);
        line += mark;
        len -= mark;
    }
    hand_on(a, line, len);
}

static void flush(struct answer *a, bool whole)
{
    bool empty = a->line.len == (whole ? 1 : 0) && !a->cut_line;
    if (empty && whole) {
        on_empty_line(a);
    } else if (!empty) {
        on_line(a, a->line.data, a->line.len);
    }
    a->cut_line = !whole;
    a->line.len = 0;
}

void answer_feed(struct answer *a, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t take = end != NULL ? (size_t)(end - bytes) + 1 : len;
        text_add_bytes(&a->line, bytes, take);
        if (end != NULL || a->line.len >= PIECE_MAX) {
            flush(a, end != NULL);
        }
        bytes += take;
        len -= take;
    }
}

bool answer_end(struct answer *a)
{
    bool whole = a->skipped && a->blank && a->line.len == 0;
    if (a->line.len > 0) {
        flush(a, false);
    }
    text_free(&a->line);
    return whole;
}
