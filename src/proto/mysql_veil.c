#include "proto/mysql_veil.h"

#include <string.h>

#include "proto/mysql_reply.h"

#define EOF_LEN 5                  /* its header, warnings, status */
#define HEAD    (MYSQL_HEADER + 1) /* a packet's header and its first byte */

static size_t payload_of(const unsigned char *head)
{
    return head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
}

static bool may_tell(unsigned char first)
{
    return first == MYSQL_OK || first == MYSQL_EOF;
}

size_t mysql_veil_run(const struct mysql_veil *v, const char *data, size_t len, bool rows)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t at = 0;
    while (v->left == 0 && v->have == 0 && len - at > MYSQL_HEADER) {
        size_t size = MYSQL_HEADER + payload_of(p + at);
        unsigned char first = p[at + MYSQL_HEADER];
        bool tells = rows ? first >= MYSQL_EOF : may_tell(first);
        if (size == MYSQL_HEADER || tells || size > len - at) {
            break;
        }
        at += size;
    }
    return at;
}

static size_t pass_long(struct mysql_veil *v, char *data, size_t len, char **piece,
                        size_t *piece_len)
{
    size_t part = len < v->left ? len : v->left;
    v->left -= (uint32_t)part;
    *piece = data;
    *piece_len = part;
    return part;
}

/* Up to `size` bytes of a packet are there. */
static size_t fill(struct mysql_veil *v, const char *data, size_t len, size_t size)
{
    size_t want = size > v->have ? size - v->have : 0;
    size_t part = len < want ? len : want;
    memcpy(v->packet + v->have, data, part);
    v->have = (uint16_t)(v->have + part);
    return part;
}

/* How much of a packet is taken at first, its first byte being there. */
static size_t first_of(const struct mysql_veil *v, size_t size)
{
    if (size <= sizeof v->packet) {
        return size;
    }
    return may_tell(v->packet[MYSQL_HEADER]) ? sizeof v->packet : v->have;
}

size_t mysql_veil_take(struct mysql_veil *v, char *data, size_t len, char **piece,
                       size_t *piece_len)
{
    *piece = NULL;
    if (v->left > 0) {
        return pass_long(v, data, len, piece, piece_len);
    }
    v->drops = false;
    size_t used = fill(v, data, len, MYSQL_HEADER);
    if (v->have < MYSQL_HEADER) {
        return used;
    }
    size_t size = MYSQL_HEADER + payload_of(v->packet);
    used += fill(v, data + used, len - used, size < HEAD ? size : HEAD);
    if (v->have < size && v->have < HEAD) {
        return used;
    }
    size_t wanted = first_of(v, size);
    used += fill(v, data + used, len - used, wanted);
    if (v->have < wanted) {
        return used;
    }
    *piece = (char *)v->packet;
    *piece_len = v->have;
    v->left = (uint32_t)(size - v->have);
    v->have = 0;
    return used;
}

size_t mysql_veil_strip(char *packet, size_t len)
{
    unsigned char *payload = (unsigned char *)packet + MYSQL_HEADER;
    if (payload[0] == MYSQL_EOF && len == MYSQL_HEADER + EOF_LEN) {
        payload[4] &= (unsigned char)~(MYSQL_STATUS_STATE_CHANGED >> 8);
        return len;
    }
    struct mysql_cursor c = mysql_read(payload + 1, len - MYSQL_HEADER - 1);
    mysql_read_lenenc(&c);
    mysql_read_lenenc(&c);
    unsigned char *status = payload + (c.at - payload);
    bool told = (mysql_read_int(&c, 2) & MYSQL_STATUS_STATE_CHANGED) != 0;
    mysql_read_int(&c, 2); /* warnings */
    const unsigned char *end = c.at;
    struct mysql_text words = mysql_read_string(&c);
    if (!told || c.broken) {
        return len;
    }
    status[1] &= (unsigned char)~(MYSQL_STATUS_STATE_CHANGED >> 8);
    end = words.len > 0 ? c.at : end;
    size_t now = (size_t)(end - payload);
    packet[0] = (char)now;
    packet[1] = (char)(now >> 8);
    packet[2] = 0;
    return MYSQL_HEADER + now;
}
