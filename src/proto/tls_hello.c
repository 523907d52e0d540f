/* Two passes. The records' headers are walked as they come, each once, until the records hold the
 * whole message; then one reader goes through the message where it lies, across the records'
 * borders. A record of no content is refused (RFC 8446, section 5.1), so neither does more steps
 * than bytes. */
#include "proto/tls_hello.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define RECORD_HEAD    5
#define RECORD_MAX     16384 /* of content: RFC 8446, section 5.1 */
#define HANDSHAKE      22
#define CLIENT_HELLO   1
#define MESSAGE_HEAD   4
#define RANDOM_SIZE    32
#define SESSION_ID_MAX 32
#define SERVER_NAME    0 /* the extension's type: RFC 6066, section 1.1 */
#define HOST_NAME      0
#define LABEL_MAX      63

static enum tls_hello_step end(struct tls_hello *h, enum tls_hello_step step, const char *why)
{
    h->step = step;
    h->why = why;
    return step;
}

static enum tls_hello_step bad(struct tls_hello *h, const char *why)
{
    h->name[0] = '\0';
    return end(h, TLS_HELLO_BAD, why);
}

static size_t record_size(const char *head)
{
    return (size_t)(uint8_t)head[3] << 8 | (uint8_t)head[4];
}

/* The message ------------------------------------------------------------------------------- */

/* Goes through vectors (RFC 8446, section 3.4). Once something does not fit, nothing is left in it.
 */
struct reader {
    const char *at;   /* next byte */
    size_t in_record; /* bytes from there to the end of this record's content */
    size_t left;      /* bytes from there to the end of the innermost vector */
    bool broken;      /* a length was more than is left */
};

/* `data` is the first record's header; it and all that the message lies in were checked. */
static struct reader reader_make(const char *data, size_t message)
{
    return (struct reader){data + RECORD_HEAD, record_size(data), message, false};
}

static void next_record(struct reader *r)
{
    r->in_record = record_size(r->at);
    r->at += RECORD_HEAD;
}

static void break_off(struct reader *r)
{
    r->broken = true;
    r->left = 0;
}

static void skip(struct reader *r, size_t n)
{
    if (n > r->left) {
        break_off(r);
        return;
    }
    r->left -= n;
    while (n > 0) {
        if (r->in_record == 0) {
            next_record(r);
        }
        size_t step = n < r->in_record ? n : r->in_record;
        r->at += step;
        r->in_record -= step;
        n -= step;
    }
}

static unsigned take(struct reader *r)
{
    if (r->left == 0) {
        break_off(r);
        return 0;
    }
    if (r->in_record == 0) {
        next_record(r);
    }
    r->left--;
    r->in_record--;
    return (uint8_t)*r->at++;
}

static size_t take_number(struct reader *r, unsigned bytes)
{
    size_t n = 0;
    while (bytes-- > 0) {
        n = n << 8 | take(r);
    }
    return n;
}

/* Steps into a vector whose length has so many bytes; returns what is left behind it. */
static size_t enter(struct reader *r, unsigned bytes)
{
    size_t n = take_number(r, bytes);
    size_t behind = r->left - n;
    if (n > r->left) {
        break_off(r);
        return 0;
    }
    r->left = n;
    return behind;
}

static void leave(struct reader *r, size_t behind)
{
    skip(r, r->left);
    r->left = r->broken ? 0 : behind;
}

static bool is_host_byte(unsigned c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* All of the innermost vector. Returns NULL or what is wrong. Letters, digits and hyphens, which is
 * all that RFC 6066 allows (others come as A-labels), and the underscore, which names of containers
 * and services have. */
static const char *read_host(struct reader *r, char name[TLS_NAME_MAX + 3])
{
    size_t len = 0;
    size_t label = 0;
    if (r->left > TLS_NAME_MAX + 1) { /* the final dot */
        return "a server name of more than 253 characters";
    }
    while (r->left > 0) {
        unsigned c = take(r);
        c += c >= 'A' && c <= 'Z' ? 'a' - 'A' : 0;
        if (c != '.' && !is_host_byte(c)) {
            return "a server name that is no host name";
        }
        label = c == '.' ? label : label + 1;
        if (label > LABEL_MAX || (c == '.' && label == 0)) {
            return "a server name with an empty or too long label";
        }
        label = c == '.' ? 0 : label;
        name[len++] = (char)c;
    }
    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    name[len] = '\0';
    if (len > TLS_NAME_MAX) {
        return "a server name of more than 253 characters";
    }
    return len > 0 ? NULL : "an empty server name";
}

/* ServerNameList (RFC 6066, section 3): one name of each type. Types other than host_name were
 * never defined, but would begin with a length too. */
static const char *read_names(struct reader *r, char name[TLS_NAME_MAX + 3])
{
    size_t behind_list = enter(r, 2);
    const char *why = r->left > 0 ? NULL : "a list of server names that is empty or does not fit";
    while (why == NULL && r->left > 0) {
        bool host = take(r) == HOST_NAME;
        size_t behind = enter(r, 2);
        if (r->broken) {
            why = "a server name longer than its list";
        } else if (host) {
            why = name[0] == '\0' ? read_host(r, name) : "two server names";
        }
        leave(r, behind);
    }
    if (why == NULL && behind_list > 0) {
        why = "bytes behind the list of server names";
    }
    leave(r, behind_list);
    return why;
}

static const char *read_extensions(struct reader *r, char name[TLS_NAME_MAX + 3])
{
    const char *why = NULL;
    size_t behind_all = enter(r, 2);
    bool named = false;
    if (r->broken || behind_all > 0) {
        return "a ClientHello whose extensions do not fill it";
    }
    while (why == NULL && r->left > 0) {
        bool is_name = take_number(r, 2) == SERVER_NAME;
        size_t behind = enter(r, 2);
        if (r->broken) {
            why = "a ClientHello with an extension that does not fit";
        } else if (is_name) {
            why = named ? "two server name extensions" : read_names(r, name);
            named = true;
        }
        leave(r, behind);
    }
    return why;
}

/* Skips a vector of `least` to `most` bytes, in items of `item` bytes. */
static void skip_vector(struct reader *r, unsigned bytes, size_t least, size_t most, size_t item)
{
    size_t behind = enter(r, bytes);
    if (r->left < least || r->left > most || r->left % item != 0) {
        break_off(r);
    }
    leave(r, behind);
}

static enum tls_hello_step read_message(struct tls_hello *h, const char *data)
{
    struct reader r = reader_make(data, h->message);
    skip(&r, MESSAGE_HEAD + 2 + RANDOM_SIZE); /* the version is for who answers */
    skip_vector(&r, 1, 0, SESSION_ID_MAX, 1);
    skip_vector(&r, 2, 2, UINT16_MAX, 2); /* cipher suites */
    skip_vector(&r, 1, 1, UINT8_MAX, 1);  /* compression methods */
    if (r.broken) {
        return bad(h, "a malformed ClientHello");
    }
    const char *why = r.left > 0 ? read_extensions(&r, h->name) : NULL; /* TLS 1.2 may have none */
    return why == NULL ? end(h, TLS_HELLO_DONE, NULL) : bad(h, why);
}

/* The records ------------------------------------------------------------------------------- */

/* Judges as much of the header at `h->record` as is there. */
static enum tls_hello_step check_record(struct tls_hello *h, const char *data, size_t len)
{
    const char *head = data + h->record;
    size_t have = len - h->record;
    bool mine = have < 1 || head[0] == HANDSHAKE;
    mine = mine && (have < 2 || head[1] == 3);
    mine = mine && (have < 3 || (head[2] >= 1 && head[2] <= 3));
    if (!mine && h->record == 0) {
        return end(h, TLS_HELLO_NONE, "not TLS");
    }
    if (!mine) {
        return bad(h, "a ClientHello with something else between its records");
    }
    if (have < RECORD_HEAD) {
        return TLS_HELLO_MORE;
    }
    if (record_size(head) == 0 || record_size(head) > RECORD_MAX) {
        return bad(h, "a TLS record that is empty or of more than 16 KiB");
    }
    return TLS_HELLO_MORE;
}

/* `content` bytes of the message are there. */
static enum tls_hello_step check_message(struct tls_hello *h, const char *data, size_t content)
{
    if (data[RECORD_HEAD] != CLIENT_HELLO) {
        return bad(h, "a TLS handshake that does not begin with a ClientHello");
    }
    if (h->message == 0 && content >= MESSAGE_HEAD) {
        struct reader r = reader_make(data, MESSAGE_HEAD);
        skip(&r, 1);
        h->message = MESSAGE_HEAD + take_number(&r, 3);
    }
    if (h->message > TLS_HELLO_MAX - RECORD_HEAD) {
        return bad(h, "a ClientHello of more than 64 KiB");
    }
    bool whole = h->message != 0 && content >= h->message;
    return whole ? read_message(h, data) : TLS_HELLO_MORE;
}

static void walk_records(struct tls_hello *h, const char *data, size_t len)
{
    bool whole = true; /* the record before this one */
    while (whole && check_record(h, data, len) == TLS_HELLO_MORE && len > h->record + RECORD_HEAD) {
        size_t size = record_size(data + h->record);
        size_t have = len - h->record - RECORD_HEAD;
        whole = have >= size;
        if (check_message(h, data, h->content + (whole ? size : have)) != TLS_HELLO_MORE) {
            return;
        }
        h->record += whole ? RECORD_HEAD + size : 0;
        h->content += whole ? size : 0;
    }
}

void tls_hello_init(struct tls_hello *h)
{
    *h = (struct tls_hello){.step = TLS_HELLO_MORE};
}

enum tls_hello_step tls_hello_look(struct tls_hello *h, const char *data, size_t len,
                                   const char **why)
{
    size_t seen = len < TLS_HELLO_MAX ? len : TLS_HELLO_MAX;
    if (h->step == TLS_HELLO_MORE && len > 0) {
        walk_records(h, data, seen);
    }
    if (h->step == TLS_HELLO_MORE && seen == TLS_HELLO_MAX) {
        bad(h, "a ClientHello of more than 64 KiB");
    }
    if (h->step == TLS_HELLO_NONE || h->step == TLS_HELLO_BAD) {
        *why = h->why;
    }
    return h->step;
}
