/* Promise: the server name of a ClientHello is found wherever the bytes and the records are cut;
 * what is not TLS is told at its first bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "base/macros.h"
#include "hello_checks.h"

/* Real ones ------------------------------------------------------------------------------------ */

/* What OpenSSL sends first: its record or records. */
static struct bytes *openssl_hello(int version, const char *name, bool alpn)
{
    struct bytes *b = bytes_new();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL *ssl = SSL_new(ctx);
    BIO *ours;
    BIO *theirs;
    assert_int_equal(BIO_new_bio_pair(&ours, 65536, &theirs, 65536), 1);
    SSL_set_bio(ssl, theirs, theirs);
    if (name != NULL) {
        assert_int_equal(SSL_set_tlsext_host_name(ssl, name), 1);
    }
    if (alpn) {
        SSL_set_alpn_protos(ssl, (const unsigned char *)"\2h2\10http/1.1", 12);
    }
    assert_int_equal(SSL_connect(ssl), -1);
    int len = BIO_read(ours, b->data, sizeof b->data);
    assert_true(len > 50);
    b->len = (size_t)len;
    BIO_free(ours);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return b;
}

static void names_of_openssls_hellos_are_found(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct bytes *named = openssl_hello(versions[i / 2], "Relay-7.Example.COM", i % 2 == 0);
        struct bytes *bare = openssl_hello(versions[i / 2], NULL, i % 2 == 0);
        assert_name(named, "relay-7.example.com");
        assert_name(bare, "");
        free(named);
        free(bare);
    }
}

static void names_are_found_wherever_records_end(void **state)
{
    (void)state;
    struct bytes *whole = openssl_hello(TLS1_3_VERSION, "hub.example.com", true);
    for (size_t size = 1; size < whole->len; size += 1 + size / 8) {
        struct bytes *cut = into_records(whole->data + 5, whole->len - 5, size);
        assert_name(cut, "hub.example.com");
        free(cut);
    }
    free(whole);
}

static void what_follows_a_hello_is_not_looked_at(void **state)
{
    struct tls_hello h;
    const char *why;
    (void)state;
    struct bytes *b = named_hello("a.example", 9, 20);
    size_t len = b->len;
    put_fill(b, 0xff, 100);
    for (size_t extra = 0; extra <= 100; extra++) {
        tls_hello_init(&h);
        assert_int_equal(look(&h, b->data, len + extra, &why), TLS_HELLO_DONE);
        assert_string_equal(h.name, "a.example");
    }
    free(b);
}

/* Made by hand --------------------------------------------------------------------------------- */

static void unknown_extensions_are_passed_over(void **state)
{
    static const unsigned greased[] = {0x0a0a, 0x1a1a, 0x5a5a, 0xaaaa, 0xfafa, 0xff01, EXT_ECH};
    (void)state;
    for (size_t place = 0; place <= ARRAY_LEN(greased); place++) {
        struct bytes *b = bytes_new();
        size_t extensions;
        size_t message = begin_hello(b, &extensions);
        for (size_t i = 0; i <= ARRAY_LEN(greased); i++) {
            if (i == place) {
                put_server_name(b, "outer.example", 13);
            }
            if (i < ARRAY_LEN(greased)) {
                put_extension(b, greased[i], "\0\0\20inner.example.org", i * 3);
            }
        }
        end_hello(b, message, extensions);
        struct bytes *records = into_records(b->data, b->len, 100);
        assert_name(records, "outer.example");
        free(records);
        free(b);
    }
}

static void a_hello_may_have_no_extensions_at_all(void **state)
{
    (void)state;
    struct bytes *b = bytes_new();
    size_t message = begin_hello(b, NULL);
    close_vector(b, message, 3);
    struct bytes *records = into_records(b->data, b->len, 64);
    assert_name(records, "");
    free(records);
    free(b);
}

/* A hello of `padding` bytes before the name. */
static struct bytes *padded_hello(size_t padding)
{
    struct bytes *b = bytes_new();
    size_t extensions;
    size_t message = begin_hello(b, &extensions);
    put_padding(b, padding);
    put_server_name(b, "far.example", 11);
    end_hello(b, message, extensions);
    return b;
}

static void hellos_of_several_records_are_read_to_their_end(void **state)
{
    static const size_t sizes[] = {1, 7, 1000, 16384};
    (void)state;
    struct bytes *b = padded_hello(20 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct bytes *records = into_records(b->data, b->len, sizes[i]);
        if (records->len <= TLS_HELLO_MAX) {
            assert_name(records, "far.example");
        } else {
            assert_bad(records, "more than 64 KiB");
        }
        free(records);
    }
    free(b);
}

/* Its padding makes it exactly so long, records and all. */
static struct bytes *hello_of(size_t len)
{
    struct bytes *none = padded_hello(0);
    struct bytes *b = padded_hello(len - none->len - 4 * 5);
    struct bytes *records = into_records(b->data, b->len, 16384);
    assert_int_equal(records->len, len);
    free(none);
    free(b);
    return records;
}

static void the_longest_hello_fits_and_a_longer_one_does_not(void **state)
{
    struct tls_hello h;
    size_t seen;
    const char *why = NULL;
    (void)state;
    struct bytes *b = hello_of(TLS_HELLO_MAX);
    assert_int_equal(look_in_pieces(&h, b->data, b->len, 1000, &seen, &why), TLS_HELLO_DONE);
    assert_string_equal(h.name, "far.example");
    free(b);
    b = hello_of(TLS_HELLO_MAX + 1);
    assert_bad(b, "more than 64 KiB");
    free(b);
    b = bytes_new();
    put(b, "\26\3\1\100\0\1\377\377\377", 9); /* announced: refused before a byte of it comes */
    assert_bad(b, "more than 64 KiB");
    free(b);
}

/* Nothing that was walked over is looked at again before the hello is whole. */
static void records_are_walked_once(void **state)
{
    struct tls_hello h;
    size_t seen;
    const char *why;
    (void)state;
    struct bytes *b = named_hello("a.example", 9, 10);
    assert_int_equal(look_in_pieces(&h, b->data, 4 * 15, 15, &seen, &why), TLS_HELLO_MORE);
    memset(b->data + 15, 0xff, 30);
    assert_int_equal(look(&h, b->data, 5 * 15, &why), TLS_HELLO_MORE);
    assert_int_equal(h.record, 5 * 15);
    assert_int_equal(h.content, 5 * 10);
    free(b);
}

/* Not TLS -------------------------------------------------------------------------------------- */

static void what_is_not_tls_is_told_at_its_first_bytes(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t needed;
    } others[] = {
        {"GET / HTTP/1.1\r\n", 16, 1},
        {"SSH-2.0-x", 9, 1},
        {"PROXY TCP4 ", 11, 1},
        {"\0", 1, 1},
        {"\200\56\1\3\1\0\25", 7, 1}, /* SSLv2 */
        {"\27\3\3\0\5hello", 10, 1},  /* application data */
        {"\25\3\1\0\2\1\0", 7, 1},    /* an alert */
        {"\26\2\0\0\5", 5, 2},        /* SSL 2 never had records */
        {"\26GET", 4, 2},
        {"\26\3\0\0\5", 5, 3}, /* SSL 3 */
        {"\26\3\4\0\5", 5, 3},
        {"*1\r\n$4\r\nPING\r\n", 14, 1}, /* Redis */
        {"\0\0\0\10\4\322\26\57", 8, 1}, /* PostgreSQL asks for TLS */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct tls_hello h;
        size_t seen;
        const char *why = NULL;
        enum tls_hello_step step =
            look_in_pieces(&h, others[i].bytes, others[i].len, 1, &seen, &why);
        assert_int_equal(step, TLS_HELLO_NONE);
        assert_int_equal(seen, others[i].needed);
        assert_string_equal(why, "not TLS");
        char name[256];
        assert_int_equal(find(others[i].bytes, others[i].len, name, &why), TLS_HELLO_NONE);
    }
}

static void nothing_is_not_yet_an_answer(void **state)
{
    struct tls_hello h;
    const char *why = NULL;
    (void)state;
    tls_hello_init(&h);
    assert_int_equal(tls_hello_look(&h, NULL, 0, &why), TLS_HELLO_MORE);
    assert_null(why);
}

static void records_that_cannot_hold_a_hello_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        size_t needed;
        const char *words;
    } records[] = {
        {"\26\3\1\0\0", 5, 5, "empty"},
        {"\26\3\1\100\1", 5, 5, "16 KiB"},
        {"\26\3\1\377\377", 5, 5, "16 KiB"},
        {"\26\3\3\0\1\2", 6, 6, "does not begin"}, /* a ServerHello */
        {"\26\3\3\0\1\1\25", 7, 7, "between its records"},
        {"\26\3\3\0\1\1\26\4", 8, 8, "between its records"},
        {"\26\3\3\0\1\1\26\3\4", 9, 9, "between its records"},
        {"\26\3\3\0\1\1\26\3\3\0\0", 11, 11, "empty"},
        {"\26\3\3\0\1\1GET /", 11, 7, "between its records"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        struct tls_hello h;
        size_t seen;
        const char *why = NULL;
        enum tls_hello_step step =
            look_in_pieces(&h, records[i].bytes, records[i].len, 1, &seen, &why);
        assert_int_equal(step, TLS_HELLO_BAD);
        assert_int_equal(seen, records[i].needed);
        assert_non_null(strstr(why, records[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_openssls_hellos_are_found),
        cmocka_unit_test(names_are_found_wherever_records_end),
        cmocka_unit_test(what_follows_a_hello_is_not_looked_at),
        cmocka_unit_test(unknown_extensions_are_passed_over),
        cmocka_unit_test(a_hello_may_have_no_extensions_at_all),
        cmocka_unit_test(hellos_of_several_records_are_read_to_their_end),
        cmocka_unit_test(the_longest_hello_fits_and_a_longer_one_does_not),
        cmocka_unit_test(records_are_walked_once),
        cmocka_unit_test(what_is_not_tls_is_told_at_its_first_bytes),
        cmocka_unit_test(nothing_is_not_yet_an_answer),
        cmocka_unit_test(records_that_cannot_hold_a_hello_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
