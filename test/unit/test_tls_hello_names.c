/* Promise: a server name is given as a host name in lower case; a ClientHello that could be read in
 * two ways, or whose lengths lie, is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>

#include "base/macros.h"
#include "hello_checks.h"

static void assert_named(const char *sent, const char *expected)
{
    struct bytes *b = named_hello(sent, strlen(sent), 50);
    assert_name(b, expected);
    free(b);
}

/* `count` labels of `size` letters, with dots between. */
static char *labels(size_t count, size_t size)
{
    static char out[512];
    memset(out, 'L', sizeof out);
    for (size_t i = 1; i < count; i++) {
        out[i * (size + 1) - 1] = '.';
    }
    out[count * (size + 1) - 1] = '\0';
    return out;
}

static void names_are_lower_case_without_the_final_dot(void **state)
{
    char expected[256];
    (void)state;
    assert_named("A", "a");
    assert_named("Relay.EXAMPLE.com.", "relay.example.com");
    assert_named("xn--bcher-kva.example", "xn--bcher-kva.example");
    assert_named("_wss._tcp.under_score.example", "_wss._tcp.under_score.example");
    assert_named("-odd-.0.example", "-odd-.0.example");
    assert_named("127.0.0.1", "127.0.0.1");
    char *longest = labels(127, 1); /* 253 */
    assert_int_equal(strlen(longest), TLS_NAME_MAX);
    for (size_t i = 0; i <= TLS_NAME_MAX; i++) {
        expected[i] = (char)tolower(longest[i]);
    }
    assert_named(longest, expected);
    memcpy(longest + TLS_NAME_MAX, ".", 2);
    assert_named(longest, expected);
    longest = labels(2, 63);
    for (size_t i = 0; i <= strlen(longest); i++) {
        expected[i] = (char)tolower(longest[i]);
    }
    assert_named(longest, expected);
}

static void assert_refused(const char *name, size_t len, const char *words)
{
    struct bytes *b = named_hello(name, len, 50);
    assert_bad(b, words);
    free(b);
}

static void names_that_are_no_host_names_are_refused(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char name[] = {'a', (char)c, 'b', '.', 'c'};
        if (!isalnum(c) && strchr("-_.", c) == NULL) {
            assert_refused(name, sizeof name, "no host name");
        }
    }
    assert_refused("a\0.example.com", 14, "no host name");
    assert_refused("example.com\0", 12, "no host name");
    assert_refused("b\xc3\xbc"
                   "cher.example",
                   14, "no host name");
    assert_refused("\xff\xfe.example", 10, "no host name");
    assert_refused("::1", 3, "no host name");
    assert_refused("*.example.com", 13, "no host name");
    assert_refused("a..b", 4, "label");
    assert_refused(".a", 2, "label");
    assert_refused("a.b..", 5, "label");
    assert_refused(".", 1, "label");
    assert_refused("", 0, "empty");
    assert_refused(labels(1, 64), 64, "label");
    char *name = labels(127, 1);
    memcpy(name + 253, "a", 2);
    assert_refused(name, 254, "253");
    memcpy(name + 253, ".a", 3);
    assert_refused(name, 255, "253");
    assert_refused(labels(6, 49), 299, "253");
    char *huge = calloc(1, 30000);
    memset(huge, 'a', 30000);
    assert_refused(huge, 30000, "253");
    free(huge);
}

/* A hello whose only extension is a server name with this content. */
static struct bytes *hello_with_list(const void *list, size_t len)
{
    struct bytes *b = bytes_new();
    size_t extensions;
    size_t message = begin_hello(b, &extensions);
    put_extension(b, EXT_SERVER_NAME, list, len);
    end_hello(b, message, extensions);
    struct bytes *records = into_records(b->data, b->len, 30);
    free(b);
    return records;
}

static void lists_that_can_be_read_in_two_ways_are_refused(void **state)
{
    static const struct {
        const char *list;
        size_t len;
        const char *words; /* NULL: its name is "a" */
    } lists[] = {
        {"\0\4\0\0\1a", 6, NULL},
        {"\0\11\7\0\2xy\0\0\1a", 11, NULL}, /* a type nobody defined yet */
        {"\0\11\0\0\1a\7\0\2xy", 11, NULL},
        {"\0\10\0\0\1a\0\0\1b", 10, "two server names"},
        {"\0\10\0\0\1a\0\0\1a", 10, "two server names"},
        {"", 0, "does not fit"},
        {"\0", 1, "does not fit"},
        {"\0\0", 2, "empty"},
        {"\0\5\0\0\1a", 6, "does not fit"},
        {"\0\3\0\0\1a", 6, "longer than its list"},
        {"\0\4\0\0\2a", 6, "longer than its list"},
        {"\0\4\0\0\0a", 6, "empty server name"},
        {"\0\1\0", 3, "longer than its list"},
        {"\0\2\0\0", 4, "longer than its list"},
        {"\0\4\0\0\1ab", 7, "bytes behind"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct bytes *b = hello_with_list(lists[i].list, lists[i].len);
        if (lists[i].words == NULL) {
            assert_name(b, "a");
        } else {
            assert_bad(b, lists[i].words);
        }
        free(b);
    }
}

static void two_server_name_extensions_are_refused(void **state)
{
    (void)state;
    for (size_t same = 0; same < 2; same++) {
        struct bytes *b = bytes_new();
        size_t extensions;
        size_t message = begin_hello(b, &extensions);
        put_server_name(b, "a.example", 9);
        put_extension(b, EXT_ALPN, "\0\3\2h2", 5);
        put_server_name(b, same ? "a.example" : "b.example", 9);
        end_hello(b, message, extensions);
        struct bytes *records = into_records(b->data, b->len, 16384);
        assert_bad(records, "two server name extensions");
        free(records);
        free(b);
    }
}

/* Lengths -------------------------------------------------------------------------------------- */

/* The message ends early, with its own length right and all inner ones as they were. Only before
 * its extensions is it a hello. */
static void a_hello_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    struct bytes *whole = bytes_new();
    size_t extensions;
    size_t message = begin_hello(whole, &extensions);
    put_server_name(whole, "a.example", 9);
    put_extension(whole, EXT_ALPN, "\0\3\2h2", 5);
    end_hello(whole, message, extensions);
    for (size_t len = 4; len < whole->len; len++) {
        struct bytes *b = bytes_new();
        put(b, whole->data, len);
        close_vector(b, 4, 3);
        struct bytes *records = into_records(b->data, b->len, 16384);
        if (len == extensions - 2) {
            assert_name(records, "");
        } else {
            assert_bad(records, "ClientHello");
        }
        free(records);
        free(b);
    }
    free(whole);
}

/* Where lengths lie in begin_hello() and one server name extension. */
static void wrong_lengths_are_refused(void **state)
{
    static const size_t lengths[] = {
        3,                               /* the message */
        4 + 34,                          /* session id */
        4 + 34 + 34,                     /* cipher suites */
        4 + 34 + 34 + 7,                 /* compression methods */
        4 + 34 + 34 + 7 + 3,             /* extensions */
        4 + 34 + 34 + 7 + 3 + 4,         /* server name */
        4 + 34 + 34 + 7 + 3 + 4 + 2,     /* list */
        4 + 34 + 34 + 7 + 3 + 4 + 2 + 3, /* name */
    };
    (void)state;
    struct bytes *right = bytes_new();
    size_t extensions;
    size_t message = begin_hello(right, &extensions);
    put_server_name(right, "a.example", 9);
    end_hello(right, message, extensions);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        for (int wrong = -3; wrong <= 3; wrong++) {
            struct bytes *b = into_records(right->data, right->len, 16384);
            b->data[5 + lengths[i]] = (unsigned char)(b->data[5 + lengths[i]] + wrong);
            if (wrong == 0) {
                assert_name(b, "a.example");
            } else if (i == 0 && wrong > 0) { /* more is awaited */
                char name[256];
                const char *why;
                assert_int_equal(find(b->data, b->len, name, &why), TLS_HELLO_MORE);
            } else {
                assert_bad(b, "");
            }
            free(b);
        }
    }
    free(right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_lower_case_without_the_final_dot),
        cmocka_unit_test(names_that_are_no_host_names_are_refused),
        cmocka_unit_test(lists_that_can_be_read_in_two_ways_are_refused),
        cmocka_unit_test(two_server_name_extensions_are_refused),
        cmocka_unit_test(a_hello_cut_short_anywhere_is_refused),
        cmocka_unit_test(wrong_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
