/* Promise: a PROXY header of either version is read as the specification says, to its last byte and
 * not further; what it does not allow is refused as soon as it shows. */
#include "proxy_fixture.h"

#include "base/macros.h"

/* Version 1 ------------------------------------------------------------------------------------ */

static void lines_are_read(void **state)
{
    static const struct {
        const char *line;
        const char *from;
        const char *to;
    } lines[] = {
        {"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324",
         "192.168.0.11:443"}, /* the specification's own */
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535",
         "255.255.255.255:65535"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 0 1\r\n", "1.2.3.4:0", "5.6.7.8:1"},
        {"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1", "[::1]:2"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"PROXY TCP6 ::ffff:1.2.3.4 ::ffff:506:708 9 10\r\n", "1.2.3.4:9", "5.6.7.8:10"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct proxy_header h = read_all(lines[i].line, strlen(lines[i].line));
        assert_client(&h, lines[i].from, lines[i].to);
    }
}

static void unknown_leaves_the_connections_own_addresses(void **state)
{
    static const char *const lines[] = {
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN \r\n",
        "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        "PROXY UNKNOWN what\rever it  says\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        assert_true(read_all(lines[i], strlen(lines[i])).local);
    }
    assert_true(read_all("PROXY UNKNOWN a\0b\r\n", 19).local);
    char longest[] = "PROXY UNKNOWN ......................................................."
                     "....................................\r\n";
    assert_int_equal(strlen(longest), 107);
    assert_true(read_all(longest, 107).local);
}

struct line {
    const char *text;
    const char *words;
};

static void assert_lines_bad(const struct line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(lines[i].text);
        assert_bad(lines[i].text, len, len, lines[i].words);
    }
}

static void lines_that_do_not_match_exactly_are_refused(void **state)
{
    static const struct line lines[] = {
        {"PROXY \r\n", "six words"},
        {"PROXY TCP4\r\n", "six words"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "six words"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "six words"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "six words"},
        {"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", "six words"},
        {"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "six words"},
        {"PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n", "six words"},
        {"PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n", "family"},
        {"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "family"},
        {"PROXY TCP 1.2.3.4 5.6.7.8 1 2\r\n", "family"},
        {"PROXY TCP46 1.2.3.4 5.6.7.8 1 2\r\n", "family"},
        {"PROXY unknown 1.2.3.4 5.6.7.8 1 2\r\n", "family"},
        {"PROXY UNKNOWNS 1.2.3.4 5.6.7.8 1 2\r\n", "family"},
        {"PROXY UNKNOWN\t\r\n", "six words"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "CRLF"},
        {"PROXY UNKNOWN\n", "CRLF"},
        {"PROXY \n", "CRLF"},
    };
    (void)state;
    assert_lines_bad(lines, ARRAY_LEN(lines));
    assert_bad("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n", 33, 33, "NUL");
    assert_bad("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\0\r\n", 33, 33, "NUL");
}

static void malformed_addresses_and_ports_are_refused(void **state)
{
    static const struct line lines[] = {
        {"PROXY TCP4 ::1 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP4 1.2.3.4 ::1 1 2\r\n", "address"},
        {"PROXY TCP4 ::ffff:1.2.3.4 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP6 1.2.3.4 ::1 1 2\r\n", "address"},
        {"PROXY TCP6 ::1 1.2.3.4 1 2\r\n", "address"},
        {"PROXY TCP4 ::1 ::2 1 2\r\n", "address"},
        {"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP4  5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP4 1.2.3.4.5 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP4 256.2.3.4 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP4 0x1.2.3.4 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP4 localhost 5.6.7.8 1 2\r\n", "address"},
        {"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", "address"},
        {"PROXY TCP6 [::1] ::1 1 2\r\n", "address"},
        {"PROXY TCP6 1::2::3 ::1 1 2\r\n", "address"},
        {"PROXY TCP6 12345::1 ::1 1 2\r\n", "address"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8  2\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 5: 2\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 5/ 2\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 02\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 4294967297\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 0x2\r\n", "port"},
        {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n", "port"},
    };
    (void)state;
    assert_lines_bad(lines, ARRAY_LEN(lines));
}

static void lines_of_more_than_107_bytes_are_refused(void **state)
{
    char line[300];
    (void)state;
    memset(line, '.', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_bad(line, sizeof line, 107, "107");
    memcpy(line + 106, "\r\n", 2); /* 108 */
    assert_bad(line, sizeof line, 107, "107");
}

static void what_begins_no_header_is_refused_at_once(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t needed;
    } others[] = {
        {"GET / HTTP/1.1", 14, 1},
        {"POST / HTTP/1.1", 15, 2},
        {"PROXY\tTCP4", 10, 6},
        {"PROXYTCP4", 9, 6},
        {"proxy TCP4", 10, 1},
        {"\26\3\1\2\0", 5, 1},
        {"\r\n\r\nGET", 7, 5},
        {"\0", 1, 1},
        {"\r\n\r\n\0\r\nQUIT\r", 12, 12},
        {" PROXY TCP4", 11, 1},
        {"\n", 1, 1},
        {"\r\rPROXY", 7, 2},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_bad(others[i].bytes, others[i].len, others[i].needed, "no PROXY header");
    }
}

/* Version 2 ------------------------------------------------------------------------------------ */

/* A header with `length` bytes of zeros behind its fixed part, of which the first are `block`. */
static size_t make_v2(char *out, unsigned command, unsigned family, unsigned length,
                      const void *block, size_t block_len)
{
    memset(out, 0, 16 + length);
    memcpy(out, SIGNATURE, 12);
    out[12] = (char)command;
    out[13] = (char)family;
    out[14] = (char)(length >> 8);
    out[15] = (char)length;
    memcpy(out + 16, block, block_len);
    return 16 + length;
}

static const char v4_block[] = "\300\250\0\1\300\250\0\13\334\4\1\273";
static const char v6_block[] = "\x20\x01\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff\0\1";

static void addresses_of_binary_headers_are_read(void **state)
{
    char data[300];
    (void)state;
    struct proxy_header h = read_all(V4_HEADER, 28);
    assert_client(&h, "192.168.0.1:56324", "192.168.0.11:443");
    assert_int_equal(h.from.len, sizeof h.from.sa.v4);
    h = read_all(data, make_v2(data, 0x21, 0x21, 36, v6_block, 36));
    assert_client(&h, "[2001:db8::1]:65535", "[::1]:1");
    assert_int_equal(h.to.len, sizeof h.to.sa.v6);
}

static void tlvs_are_skipped(void **state)
{
    /* PP2_TYPE_ALPN "h2", PP2_TYPE_NOOP, and one whose length lies */
    static const char tlvs[] = "\1\0\2h2\4\0\1\0\xee\xff\xff.";
    char data[300];
    char block[36 + sizeof tlvs - 1];
    (void)state;
    memcpy(block, v6_block, 36);
    memcpy(block + 36, tlvs, sizeof tlvs - 1);
    struct proxy_header h =
        read_all(data, make_v2(data, 0x21, 0x21, sizeof block, block, sizeof block));
    assert_client(&h, "[2001:db8::1]:65535", "[::1]:1");
    memcpy(block, v4_block, 12);
    memcpy(block + 12, tlvs, sizeof tlvs - 1);
    h = read_all(data,
                 make_v2(data, 0x21, 0x11, 12 + sizeof tlvs - 1, block, 12 + sizeof tlvs - 1));
    assert_client(&h, "192.168.0.1:56324", "192.168.0.11:443");
}

static void local_and_what_has_no_address_leave_the_connections_own(void **state)
{
    static const struct {
        unsigned command;
        unsigned family;
        unsigned length;
    } headers[] = {
        {0x20, 0x00, 0},   /* LOCAL */
        {0x20, 0x00, 200}, /* its block is to be discarded, */
        {0x20, 0x11, 12},  /* including the family, which is ignored */
        {0x20, 0x11, 0},   {0x20, 0x21, 3},   {0x20, 0x12, 12},
        {0x20, 0xff, 5},   {0x21, 0x00, 0},   /* UNSPEC */
        {0x21, 0x00, 50},  {0x21, 0x31, 216}, /* unix */
        {0x21, 0x31, 230},
    };
    char data[300];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        size_t len = make_v2(data, headers[i].command, headers[i].family, headers[i].length,
                             v4_block, headers[i].length < 12 ? headers[i].length : 12);
        assert_true(read_all(data, len).local);
    }
}

static void binary_headers_that_break_a_rule_are_refused(void **state)
{
    char data[300];
    (void)state;
    for (unsigned command = 0; command < 256; command++) {
        if (command != 0x20 && command != 0x21) {
            size_t len = make_v2(data, command, 0x11, 12, v4_block, 12);
            assert_bad(data, len, 13, command >> 4 == 2 ? "command" : "version");
        }
    }
    for (unsigned family = 0; family < 256; family++) {
        if (family != 0x00 && family != 0x11 && family != 0x21 && family != 0x31) {
            size_t len = make_v2(data, 0x21, family, 216, v4_block, 12);
            assert_bad(data, len, 14, "transport");
        }
    }
    for (unsigned length = 0; length < 216; length++) {
        if (length < 12) {
            assert_bad(data, make_v2(data, 0x21, 0x11, length, "", 0), 16, "too short");
        }
        if (length < 36) {
            assert_bad(data, make_v2(data, 0x21, 0x21, length, "", 0), 16, "too short");
        }
        assert_bad(data, make_v2(data, 0x21, 0x31, length, "", 0), 16, "too short");
    }
}

static void the_longest_header_fits_and_a_longer_one_does_not(void **state)
{
    char *data = malloc(70000);
    (void)state;
    size_t len = make_v2(data, 0x21, 0x11, PROXY_HEADER_MAX - 16, v4_block, 12);
    struct proxy_header h = read_all(data, len);
    assert_client(&h, "192.168.0.1:56324", "192.168.0.11:443");
    len = make_v2(data, 0x21, 0x11, PROXY_HEADER_MAX - 15, v4_block, 12);
    assert_bad(data, len, 16, "4096");
    make_v2(data, 0x20, 0, 65535, "", 0);
    assert_bad(data, 100, 16, "4096");
    free(data);
}

static void a_header_leaves_what_follows_it(void **state)
{
    static const char two[] = V4_HEADER V4_HEADER;
    static const char line[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nPROXY TCP4 \r\n\r\n";
    struct proxy_header h;
    size_t used;
    const char *why;
    (void)state;
    assert_int_equal(parse(two, sizeof two - 1, &used, &h, &why), PROXY_DONE);
    assert_int_equal(used, 28);
    assert_int_equal(parse(line, sizeof line - 1, &used, &h, &why), PROXY_DONE);
    assert_int_equal(used, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(unknown_leaves_the_connections_own_addresses),
        cmocka_unit_test(lines_that_do_not_match_exactly_are_refused),
        cmocka_unit_test(malformed_addresses_and_ports_are_refused),
        cmocka_unit_test(lines_of_more_than_107_bytes_are_refused),
        cmocka_unit_test(what_begins_no_header_is_refused_at_once),
        cmocka_unit_test(addresses_of_binary_headers_are_read),
        cmocka_unit_test(tlvs_are_skipped),
        cmocka_unit_test(local_and_what_has_no_address_leave_the_connections_own),
        cmocka_unit_test(binary_headers_that_break_a_rule_are_refused),
        cmocka_unit_test(the_longest_header_fits_and_a_longer_one_does_not),
        cmocka_unit_test(a_header_leaves_what_follows_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
