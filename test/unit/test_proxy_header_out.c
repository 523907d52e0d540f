/* Promise: the PROXY headers that we write are as the specification has them, and are read as they
 * were meant. */
#include "proxy_fixture.h"

static struct address make(const char *text)
{
    struct address a;
    assert_int_equal(address_parse(&a, text), 0);
    return a;
}

static void assert_built(enum proxy_version version, const char *from, const char *to,
                         const char *expected, size_t len)
{
    struct address source = make(from);
    struct address target = make(to);
    char *out = malloc(PROXY_HEADER_OUT_MAX);
    assert_int_equal(proxy_header_build(out, version, &source, &target), len);
    assert_memory_equal(out, expected, len);
    free(out);
}

static void assert_line(const char *from, const char *to, const char *line)
{
    assert_built(PROXY_V1, from, to, line, strlen(line));
}

static void headers_are_written_as_the_specification_has_them(void **state)
{
    static const char v6[] = SIGNATURE "\x21\x21\0\x24\x20\x01\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                                       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff\0\1";
    static const char mixed[] = SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4"
                                          "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2";
    (void)state;
    assert_line("192.168.0.1:56324", "192.168.0.11:443",
                "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
    assert_line("[2001:db8::1]:65535", "[::1]:1", "PROXY TCP6 2001:db8::1 ::1 65535 1\r\n");
    assert_line("1.2.3.4:1", "[::1]:2", "PROXY TCP6 ::ffff:102:304 ::1 1 2\r\n");
    assert_line("[::1]:2", "1.2.3.4:1", "PROXY TCP6 ::1 ::ffff:102:304 2 1\r\n");
    assert_line("[::1.2.3.4]:2", "[::5]:1", "PROXY TCP6 ::102:304 ::5 2 1\r\n");
    assert_line("[::ffff:1.2.3.4]:2", "[::ffff:0.0.0.0]:1", "PROXY TCP4 1.2.3.4 0.0.0.0 2 1\r\n");
    assert_line("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
    assert_built(PROXY_V2, "192.168.0.1:56324", "192.168.0.11:443", V4_HEADER, 28);
    assert_built(PROXY_V2, "192.168.0.1:56324", "[::ffff:192.168.0.11]:443", V4_HEADER, 28);
    assert_built(PROXY_V2, "[2001:db8::1]:65535", "[::1]:1", v6, sizeof v6 - 1);
    assert_built(PROXY_V2, "1.2.3.4:1", "[::1]:2", mixed, sizeof mixed - 1);
}

static void assert_ours(const struct address *from, const struct address *to)
{
    static const char local[] = SIGNATURE "\x20\0\0";
    char out[PROXY_HEADER_OUT_MAX];
    assert_int_equal(proxy_header_build(out, PROXY_V1, from, to), 15);
    assert_memory_equal(out, "PROXY UNKNOWN\r\n", 15);
    assert_true(read_all(out, 15).local);
    assert_int_equal(proxy_header_build(out, PROXY_V2, from, to), 16);
    assert_memory_equal(out, local, 16);
    assert_true(read_all(out, 16).local);
}

static void our_own_connections_and_unix_clients_have_no_addresses(void **state)
{
    struct address v4 = make("1.2.3.4:5");
    struct address path = make("unix:/run/router.sock");
    struct address client = {.len = sizeof(sa_family_t)};
    (void)state;
    client.sa.any.sa_family = AF_UNIX;
    assert_ours(NULL, NULL);
    assert_ours(NULL, &v4);
    assert_ours(&client, &path);
    assert_ours(&client, &v4);
    assert_ours(&v4, &path);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return *seed >> 24;
}

/* IPv4, mapped IPv4, or IPv6 with many zeros, as often as not. */
static struct address any_address(uint64_t *seed)
{
    struct address a = {.len = sizeof a.sa.v6};
    uint64_t kind = next_random(seed) % 3;
    uint8_t *bytes = a.sa.v6.sin6_addr.s6_addr;
    for (size_t i = 0; i < 16; i++) {
        bytes[i] = next_random(seed) % 2 == 0 ? 0 : (uint8_t)next_random(seed);
    }
    if (kind == 1) {
        memcpy(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    }
    a.sa.v6.sin6_family = AF_INET6;
    a.sa.v6.sin6_port = (in_port_t)next_random(seed);
    if (kind == 0) {
        in_port_t port = a.sa.v6.sin6_port;
        uint8_t v4[4];
        memcpy(v4, bytes + 12, 4);
        a = (struct address){.len = sizeof a.sa.v4};
        a.sa.v4.sin_family = AF_INET;
        a.sa.v4.sin_port = port;
        memcpy(&a.sa.v4.sin_addr, v4, 4);
    }
    return a;
}

/* Printed, because IPv4 is the same client mapped or not. */
static void assert_same(const struct address *a, const struct address *b)
{
    char one[ADDRESS_TEXT_MAX];
    char other[ADDRESS_TEXT_MAX];
    assert_string_equal(address_print(a, one), address_print(b, other));
    if (a->sa.any.sa_family == b->sa.any.sa_family) {
        assert_true(address_equal(a, b));
    }
}

static void what_is_written_is_read_as_it_was_meant(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct address from = any_address(&seed);
        struct address to = any_address(&seed);
        enum proxy_version version = i % 2 == 0 ? PROXY_V1 : PROXY_V2;
        char *out = malloc(PROXY_HEADER_OUT_MAX);
        struct proxy_header h;
        size_t used;
        const char *why;
        size_t len = proxy_header_build(out, version, &from, &to);
        assert_true(len <= PROXY_HEADER_OUT_MAX);
        assert_int_equal(parse(out, len, &used, &h, &why), PROXY_DONE);
        assert_int_equal(used, len);
        assert_false(h.local);
        assert_same(&h.from, &from);
        assert_same(&h.to, &to);
        assert_int_equal(h.from.sa.any.sa_family, h.to.sa.any.sa_family);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_written_as_the_specification_has_them),
        cmocka_unit_test(our_own_connections_and_unix_clients_have_no_addresses),
        cmocka_unit_test(what_is_written_is_read_as_it_was_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
