#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/mysql_crypt.h"
#include "proto/mysql_packet.h"

static void packets_are_taken_from_any_split(void **state)
{
    (void)state;
    static const char stream[] = "\003\0\0\007abc\0\0\0\010\001\0\0\011z";
    for (size_t piece = 1; piece < sizeof stream; piece++) {
        struct mysql_inbox in = {0};
        char seen[16] = "";
        for (size_t at = 0; at < sizeof stream - 1; at += piece) {
            size_t len = sizeof stream - 1 - at < piece ? sizeof stream - 1 - at : piece;
            const char *data = stream + at;
            while (mysql_inbox_take(&in, 3, &data, &len) == MYSQL_INBOX_WHOLE) {
                strncat(seen, (const char *)in.payload, in.length);
                size_t end = strlen(seen);
                seen[end] = (char)('0' + mysql_inbox_sequence(&in));
            }
            assert_int_equal(len, 0);
        }
        assert_string_equal(seen, "abc78z9");
        assert_false(mysql_inbox_begun(&in));
        mysql_inbox_free(&in);
    }
}

static void a_length_above_the_bound_is_refused_at_its_header(void **state)
{
    (void)state;
    static const char *const heads[] = {"\004\0\0\0", "\377\377\377\0"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct mysql_inbox in = {0};
        const char *data = heads[i];
        size_t len = 4;
        size_t max = i == 0 ? 3 : SIZE_MAX;
        assert_int_equal(mysql_inbox_take(&in, max, &data, &len), MYSQL_INBOX_LONG);
        assert_null(in.payload);
        mysql_inbox_free(&in);
    }
}

static void a_cursor_never_reads_past_the_end(void **state)
{
    (void)state;
    struct mysql_cursor c = mysql_read("\001\002\003", 3);
    assert_int_equal(mysql_read_int(&c, 2), 0x0201);
    assert_int_equal(mysql_read_int(&c, 2), 0);
    assert_true(c.broken);
    assert_int_equal(mysql_read_int(&c, 1), 0); /* for good */
    c = mysql_read("abc", 3);
    assert_int_equal(mysql_read_nul(&c).len, 0); /* no NUL */
    assert_true(c.broken);
    c = mysql_read("\376\377\377\377\377\377\377\377\377x", 10);
    assert_int_equal(mysql_read_string(&c).len, 0);
    assert_true(c.broken);
    c = mysql_read("\373\002ok", 4);
    assert_null(mysql_read_string(&c).data);
    assert_memory_equal(mysql_read_string(&c).data, "ok", 2);
    assert_false(c.broken);
    assert_int_equal(mysql_left(&c), 0);
}

static void lengths_have_four_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        uint64_t value;
        bool good;
    } cases[] = {
        {"\372", 1, 250, true},
        {"\374\001\002", 3, 0x0201, true},
        {"\375\001\002\003", 4, 0x030201, true},
        {"\376\001\0\0\0\0\0\0\200", 9, 0x8000000000000001, true},
        {"\377", 1, 0, false},
        {"\373", 1, 0, false},
        {"\374\001", 2, 0, false},
        {"", 0, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mysql_cursor c = mysql_read(cases[i].bytes, cases[i].len);
        assert_true(mysql_read_lenenc(&c) == cases[i].value);
        assert_int_equal(!c.broken, cases[i].good);
    }
}

static void errors_are_read_with_and_without_sqlstate(void **state)
{
    (void)state;
    struct mysql_error e;
    assert_true(mysql_read_error(&e, "\377\025\004#28000Access", 15));
    assert_int_equal(e.code, 1045);
    assert_string_equal(e.state, "28000");
    assert_memory_equal(e.text.data, "Access", 6);
    assert_true(mysql_read_error(&e, "\377\020\004Too many", 11));
    assert_string_equal(e.state, "");
    assert_int_equal(e.text.len, 8);
    assert_true(mysql_read_error(&e, "\377\020\004", 3));
    assert_int_equal(e.text.len, 0);
    assert_false(mysql_read_error(&e, "\377\020", 2));
    assert_false(mysql_read_error(&e, "\000\020\004", 3));
}

static void a_writer_stops_where_its_room_ends(void **state)
{
    (void)state;
    unsigned char room[8];
    struct mysql_writer w = {.data = room, .size = sizeof room};
    mysql_begin(&w, 5);
    mysql_write_nul(&w, "abc");
    mysql_end(&w);
    assert_false(w.full);
    assert_memory_equal(room, "\004\0\0\005abc", 8);
    mysql_write_int(&w, 1, 1);
    assert_true(w.full);
    assert_int_equal(w.len, 8);
}

/* Computed with another implementation of the digests. */
static void passwords_are_proven_as_the_plugins_say(void **state)
{
    (void)state;
    static const unsigned char nonce[MYSQL_NONCE] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                     11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    static const unsigned char native[] = {0xf6, 0x6f, 0xdd, 0x3f, 0xf8, 0x55, 0xd9,
                                           0x34, 0x9a, 0x0d, 0xdb, 0x50, 0xc4, 0xa1,
                                           0xa5, 0x35, 0xfb, 0x41, 0x24, 0x65};
    static const unsigned char sha2[] = {0x3f, 0x3a, 0x9a, 0x77, 0x86, 0xfd, 0x9b, 0xe9,
                                         0xa0, 0x06, 0xee, 0xd6, 0x86, 0xb4, 0xe6, 0xb7,
                                         0x64, 0x84, 0xfd, 0xc0, 0x6d, 0xc1, 0x56, 0x85,
                                         0xdf, 0x5f, 0x87, 0x93, 0x57, 0x4b, 0x84, 0xfc};
    unsigned char out[MYSQL_SHA2_LEN];
    assert_true(mysql_crypt_native(out, "s3cret", nonce));
    assert_memory_equal(out, native, sizeof native);
    assert_true(mysql_crypt_sha2(out, "s3cret", nonce));
    assert_memory_equal(out, sha2, sizeof sha2);
}

static void what_is_no_rsa_key_encrypts_nothing(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "",
        "no key",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n",
        /* An Ed25519 key. */
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n",
    };
    static const unsigned char nonce[MYSQL_NONCE] = {1};
    unsigned char out[MYSQL_RSA_MAX];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct mysql_text pem = {keys[i], strlen(keys[i])};
        assert_int_equal(mysql_crypt_rsa(out, pem, "s3cret", nonce), 0);
    }
}

/* A server's key may say that it is encrypted: libcrypto would ask whoever sits at our terminal. */
static void a_key_with_a_passphrase_asks_nobody(void **state)
{
    (void)state;
    static const char key[] = "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n"
                              "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nMIIB\n"
                              "-----END PUBLIC KEY-----\n";
    char shown[64];
    int terminal = -1;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    assert_true(pid >= 0);
    if (pid == 0) {
        static const unsigned char nonce[MYSQL_NONCE] = {1};
        unsigned char out[MYSQL_RSA_MAX];
        struct mysql_text pem = {key, sizeof key - 1};
        _exit(mysql_crypt_rsa(out, pem, "s3cret", nonce) == 0 ? 0 : 1);
    }
    ssize_t got = read(terminal, shown, sizeof shown); /* its end, or what it asks */
    close(terminal);
    kill(pid, SIGKILL);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(got <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_taken_from_any_split),
        cmocka_unit_test(a_length_above_the_bound_is_refused_at_its_header),
        cmocka_unit_test(a_cursor_never_reads_past_the_end),
        cmocka_unit_test(lengths_have_four_sizes),
        cmocka_unit_test(errors_are_read_with_and_without_sqlstate),
        cmocka_unit_test(a_writer_stops_where_its_room_ends),
        cmocka_unit_test(passwords_are_proven_as_the_plugins_say),
        cmocka_unit_test(what_is_no_rsa_key_encrypts_nothing),
        cmocka_unit_test(a_key_with_a_passphrase_asks_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
