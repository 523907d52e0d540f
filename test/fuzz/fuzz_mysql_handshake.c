/* libFuzzer: what begins a connection of MySQL's protocol, of a server or a client that sends
 * anything. What is read is written and read again, and is the same.
 *
 * The first byte chooses what it is, the next eight what was offered; the rest is the payload. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "proto/mysql_handshake.h"

#define HEAD 9

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(struct mysql_text a, struct mysql_text b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static void check_text(struct mysql_text text, size_t max, const uint8_t *data, size_t size)
{
    const uint8_t *at = (const uint8_t *)text.data;
    assert(text.data != NULL && text.len <= max);
    assert(text.len == 0 || (at >= data && at + text.len <= data + size));
}

static void check_request(const struct mysql_request *r, const uint8_t *data, size_t size)
{
    check_text(r->user, 255, data, size);
    check_text(r->token, size, data, size);
    check_text(r->database, 255, data, size);
    check_text(r->plugin, 255, data, size);
    check_text(r->attributes, 65536, data, size);
    assert(memchr(r->user.data, 0, r->user.len) == NULL);
    assert(memchr(r->database.data, 0, r->database.len) == NULL);
}

static void check_copy(const struct mysql_request *copy, const struct mysql_request *r)
{
    assert(is_same(copy->user, r->user) && is_same(copy->database, r->database));
    assert(is_same(copy->attributes, r->attributes) && copy->token.len == 0);
    assert(copy->plugin.len == strlen(MYSQL_NO_PLUGIN));
    assert(copy->charset == r->charset);
}

/* As we would pass it on. */
static void write_and_read(const struct mysql_request *r)
{
    size_t room = mysql_request_size(r);
    unsigned char *bytes = malloc(room);
    struct mysql_writer w = {.data = bytes, .size = room};
    uint64_t key = mysql_caps_key(r->capabilities, r->extended);
    struct mysql_request copy;
    mysql_write_change_user(&w, r);
    assert(!w.full);
    assert(mysql_read_change_user(&copy, mysql_caps_login(key), bytes + MYSQL_HEADER,
                                  w.len - MYSQL_HEADER));
    check_copy(&copy, r);
    if (r->charset <= 0xff) {
        struct mysql_request mine = *r;
        mine.extended = mysql_caps_login_extended(key);
        w.len = 0;
        mysql_write_login(&w, 1, mysql_caps_login(key), &mine);
        assert(!w.full);
        enum mysql_request_kind kind = mysql_read_login(&copy, UINT32_MAX, UINT32_MAX,
                                                        bytes + MYSQL_HEADER, w.len - MYSQL_HEADER);
        assert(kind == MYSQL_REQUEST_LOGIN);
        assert(mysql_caps_key(copy.capabilities, copy.extended) == key);
        check_copy(&copy, r);
    }
    free(bytes);
}

static void take_login(uint32_t offered, uint32_t extended, const uint8_t *data, size_t size)
{
    struct mysql_request r;
    enum mysql_request_kind kind = mysql_read_login(&r, offered, extended, data, size);
    assert((r.capabilities & ~(offered | MYSQL_CAP_LONG_PASSWORD)) == 0);
    assert((r.extended & ~extended) == 0);
    assert(kind != MYSQL_REQUEST_TLS || (size == 32 && (offered & MYSQL_CAP_SSL) != 0));
    if (kind == MYSQL_REQUEST_LOGIN) {
        assert((r.capabilities & MYSQL_CAP_PLUGIN_AUTH) != 0);
        check_request(&r, data, size);
        write_and_read(&r);
    }
}

static void take_change_user(uint32_t capabilities, const uint8_t *data, size_t size)
{
    struct mysql_request r;
    if (mysql_read_change_user(&r, capabilities, data, size)) {
        check_request(&r, data, size);
        write_and_read(&r);
    }
}

static void take_greeting(const uint8_t *data, size_t size)
{
    struct mysql_greeting g;
    if (!mysql_read_greeting(&g, data, size)) {
        return;
    }
    unsigned char bytes[256];
    struct mysql_writer w = {.data = bytes, .size = sizeof bytes};
    mysql_write_greeting(&w, &g);
    assert(!w.full);
    struct mysql_greeting copy;
    assert(mysql_read_greeting(&copy, bytes + MYSQL_HEADER, w.len - MYSQL_HEADER));
    assert(greeting_equal(&g.says, &copy.says) && g.thread == copy.thread);
    assert(g.status == copy.status && memcmp(g.nonce, copy.nonce, MYSQL_NONCE) == 0);
    for (const char *p = g.says.version; *p != '\0'; p++) {
        assert(*p >= ' ' && *p <= '~');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) {
        return 0;
    }
    uint32_t offered[2];
    memcpy(offered, data + 1, sizeof offered);
    size_t len = size - HEAD;
    uint8_t *copy = malloc(len > 0 ? len : 1); /* a sanitizer sees its ends */
    memcpy(copy, data + HEAD, len);
    switch (data[0] % 3) {
    case 0:
        take_login(offered[0], offered[1], copy, len);
        break;
    case 1:
        take_change_user(offered[0], copy, len);
        break;
    default:
        take_greeting(copy, len);
        break;
    }
    free(copy);
    return 0;
}
