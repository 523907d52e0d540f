/* Only a command's own packets, and those of a file, are gone through; where the next command
 * begins nothing is remembered of it but what the caller is told. */
#include "proto/mysql_command.h"

#include <assert.h>

#include "proto/mysql_packet.h"

#define BEGINNING        (MYSQL_HEADER + 1) /* a header and a code */
#define FLAGS_AT         (BEGINNING + 4) /* COM_STMT_EXECUTE: behind the number of the statement */
#define READ_ONLY_CURSOR 0x01            /* no server has others */

static uint32_t length_of(const unsigned char *head)
{
    return head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16;
}

/* A packet is to be seen, of which `left` bytes are still to come. */
static void open_packet(struct mysql_command *c, uint32_t length, uint32_t left)
{
    c->length = length;
    c->continues = length == MYSQL_FULL;
    c->left = left;
    c->inside = left > 0 || c->continues;
}

/* The header of a packet that continues a command, or belongs to a file. */
static enum mysql_command_event go_on(struct mysql_command *c, const unsigned char *head,
                                      size_t *at)
{
    uint32_t length = length_of(head);
    bool more = c->continues;
    if (head[3] != (uint8_t)(c->sequence + 1) && (more || !c->uncounted)) {
        return MYSQL_COMMAND_BAD;
    }
    c->sequence = head[3];
    c->uncounted = c->uncounted && more;
    *at += MYSQL_HEADER;
    open_packet(c, length, length);
    if (length > 0 || more) {
        return MYSQL_COMMAND_MORE;
    }
    c->file = false;
    return MYSQL_COMMAND_END;
}

/* One without a code is to servers one that nobody knows. */
static enum mysql_command_event begin(struct mysql_command *c, const unsigned char *p, size_t len)
{
    if (len >= MYSQL_HEADER && p[3] != 0) {
        return MYSQL_COMMAND_BAD;
    }
    uint32_t length = len >= MYSQL_HEADER ? length_of(p) : MYSQL_FULL;
    if (len < BEGINNING && length > 0) {
        return MYSQL_COMMAND_PART;
    }
    uint8_t code = length > 0 ? p[MYSQL_HEADER] : MYSQL_COM_SLEEP;
    bool has_flags = code == MYSQL_COM_STMT_EXECUTE && MYSQL_HEADER + length > FLAGS_AT;
    if (has_flags && len <= FLAGS_AT) {
        return MYSQL_COMMAND_PART;
    }
    c->length = length;
    c->continues = length == MYSQL_FULL;
    c->code = code;
    c->cursor = has_flags && (p[FLAGS_AT] & READ_ONLY_CURSOR) != 0;
    c->sequence = 0;
    return MYSQL_COMMAND_BEGIN;
}

/* Bytes of the packet that the stream is in. */
static size_t pass(struct mysql_command *c, size_t len)
{
    size_t n = c->left < len ? c->left : len;
    c->left -= (uint32_t)n;
    c->inside = c->left > 0 || c->continues;
    return n;
}

enum mysql_command_event mysql_command_look(struct mysql_command *c, const char *data, size_t len,
                                            size_t *used)
{
    const unsigned char *bytes = (const unsigned char *)data;
    enum mysql_command_event event = MYSQL_COMMAND_MORE;
    size_t at = 0;
    while (at < len && event == MYSQL_COMMAND_MORE) {
        if (c->left > 0) {
            at += pass(c, len - at);
        } else if (mysql_command_is_whole(c)) {
            event = begin(c, bytes + at, len - at);
        } else if (len - at < MYSQL_HEADER) {
            event = MYSQL_COMMAND_PART;
        } else {
            event = go_on(c, bytes + at, &at);
        }
    }
    *used = at;
    return event;
}

void mysql_command_enter(struct mysql_command *c)
{
    assert(mysql_command_is_whole(c));
    open_packet(c, c->length, MYSQL_HEADER + c->length);
}

void mysql_command_file(struct mysql_command *c)
{
    c->file = true;
    c->continues = c->continues && c->inside; /* not what was told of a command that waits */
    c->uncounted = true; /* it counts on from the server's request, which is not seen here */
}

bool mysql_command_is_whole(const struct mysql_command *c)
{
    return !c->inside && !c->file;
}

uint8_t mysql_command_asks(const struct mysql_command *c)
{
    bool at_once = c->code == MYSQL_COM_STMT_EXECUTE && !c->cursor;
    return at_once ? MYSQL_COM_EXECUTE_AT_ONCE : c->code;
}

bool mysql_command_is_answered(uint8_t code)
{
    switch (code) {
    case MYSQL_COM_QUIT:
    case MYSQL_COM_STMT_SEND_LONG_DATA:
    case MYSQL_COM_STMT_CLOSE:
        return false;
    default:
        return true;
    }
}
