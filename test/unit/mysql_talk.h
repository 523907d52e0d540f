/* What servers and clients of MySQL say, put together packet by packet, for tests of where it
 * begins and ends. */
#ifndef TEST_MYSQL_TALK_H
#define TEST_MYSQL_TALK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mysql_packet.h"

#define TALK_MAX (256 * 1024)

struct talk {
    char data[TALK_MAX];
    size_t len;
    uint8_t sequence; /* of the next packet */
};

static inline void say_bytes(struct talk *t, const void *data, size_t len)
{
    assert_true(len <= sizeof t->data - t->len);
    memcpy(t->data + t->len, data, len);
    t->len += len;
}

static inline void say_head(struct talk *t, size_t len)
{
    const unsigned char head[] = {len & 0xff, len >> 8 & 0xff, len >> 16 & 0xff, t->sequence++};
    say_bytes(t, head, sizeof head);
}

static inline void say_packet(struct talk *t, const void *payload, size_t len)
{
    say_head(t, len);
    say_bytes(t, payload, len);
}

/* A packet of so many bytes, the first of which is `first`. */
static inline void say_long(struct talk *t, unsigned char first, size_t len)
{
    say_head(t, len);
    assert_true(len <= sizeof t->data - t->len);
    memset(t->data + t->len, 'x', len);
    t->data[t->len] = (char)first;
    t->len += len;
}

#define SAY(t, literal) say_packet(t, literal, sizeof(literal) - 1)

#endif
