/* libFuzzer: whatever a client of MySQL's sends, in whatever pieces, it comes to the same commands,
 * and they are those that a reader finds who has all bytes before it.
 *
 * The first bytes choose the pieces and behind which command a file is asked for; the rest is what
 * the client sends. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mysql_command.h"
#include "proto/mysql_packet.h"

#define FRONT      3
#define EVENTS_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct account {
    struct {
        enum mysql_command_event event;
        size_t at;
        uint8_t asks;
        uint32_t length;
    } said[EVENTS_MAX];
    size_t count;
    size_t commands;
    bool whole;
};

static void note(struct account *a, enum mysql_command_event event, size_t at,
                 const struct mysql_command *c)
{
    bool begins = event == MYSQL_COMMAND_BEGIN;
    a->said[a->count].event = event;
    a->said[a->count].at = at;
    a->said[a->count].asks = begins ? mysql_command_asks(c) : 0;
    a->said[a->count++].length = begins ? c->length : 0;
}

/* Bytes in memory of their own, so that a sanitizer sees their ends. */
static enum mysql_command_event look(struct mysql_command *c, const uint8_t *data, size_t len,
                                     size_t *used)
{
    char *copy = malloc(len);
    memcpy(copy, data, len);
    enum mysql_command_event event = mysql_command_look(c, copy, len, used);
    free(copy);
    return event;
}

static void run(struct account *a, const uint8_t *front, const uint8_t *data, size_t size,
                size_t piece)
{
    struct mysql_command c = {0};
    size_t at = 0;
    *a = (struct account){0};
    for (size_t there = 0; there < size && a->count < EVENTS_MAX;) {
        enum mysql_command_event event = MYSQL_COMMAND_END;
        there = there + piece < size ? there + piece : size;
        while (event != MYSQL_COMMAND_MORE && event != MYSQL_COMMAND_PART && at < there &&
               a->count < EVENTS_MAX) {
            size_t used = 0;
            event = look(&c, data + at, there - at, &used);
            if (event == MYSQL_COMMAND_BAD) {
                note(a, event, 0, &c);
                return;
            }
            at += used;
            assert(at <= there && (event != MYSQL_COMMAND_MORE || at == there));
            assert(event != MYSQL_COMMAND_PART || (at < there && there - at <= 9));
            if (event == MYSQL_COMMAND_BEGIN || event == MYSQL_COMMAND_END) {
                assert(mysql_command_is_whole(&c));
                note(a, event, at, &c);
            }
            if (event == MYSQL_COMMAND_BEGIN) {
                mysql_command_enter(&c);
                assert(!mysql_command_is_whole(&c));
            }
            if (event == MYSQL_COMMAND_BEGIN && ++a->commands == front[2]) {
                mysql_command_file(&c);
            }
        }
    }
    a->whole = mysql_command_is_whole(&c);
}

static void assert_same(const struct account *a, const struct account *b)
{
    assert(a->count == b->count && a->whole == b->whole);
    for (size_t i = 0; i < a->count; i++) {
        assert(a->said[i].event == b->said[i].event && a->said[i].at == b->said[i].at);
        assert(a->said[i].asks == b->said[i].asks && a->said[i].length == b->said[i].length);
    }
}

/* Between commands and files lie packets that count up, and nothing else. */
static void check_packets(const struct account *a, const uint8_t *data)
{
    for (size_t i = 0; i + 1 < a->count; i++) {
        bool file = a->said[i + 1].event == MYSQL_COMMAND_END;
        size_t at = a->said[i].at;
        size_t last = 0;
        for (uint8_t sequence = 0; at < a->said[i + 1].at; sequence++) {
            assert(data[at + 3] == sequence || file);
            last = data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16;
            at += MYSQL_HEADER + last;
        }
        assert(a->said[i + 1].event == MYSQL_COMMAND_BAD || at == a->said[i + 1].at);
        assert(!file || last == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct account whole;
    static struct account parts;
    if (size <= FRONT || size > 20000) {
        return 0;
    }
    size_t piece = 1 + (data[0] | (size_t)data[1] << 8) % (size - FRONT);
    run(&whole, data, data + FRONT, size - FRONT, size);
    check_packets(&whole, data + FRONT);
    run(&parts, data, data + FRONT, size - FRONT, piece);
    assert_same(&whole, &parts);
    run(&parts, data, data + FRONT, size - FRONT, 1);
    assert_same(&whole, &parts);
    return 0;
}
