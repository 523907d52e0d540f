/* Our RSA key: one in a process, and nothing that it did not encrypt. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/mysql_crypt.h"
#include "proto/mysql_key.h"

#define NONCE "abcdefghijklmnopqrst"

static void *ask(void *out)
{
    *(const struct mysql_key **)out = mysql_key_shared();
    return NULL;
}

static void all_threads_have_the_same_key(void **state)
{
    (void)state;
    pthread_t threads[4];
    const struct mysql_key *keys[4] = {NULL};
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &keys[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_non_null(keys[i]);
        assert_ptr_equal(keys[i], keys[0]);
    }
}

static void only_the_public_half_is_shown(void **state)
{
    (void)state;
    struct mysql_text pem = mysql_key_public(mysql_key_shared());
    static const char begin[] = "-----BEGIN PUBLIC KEY-----\n";
    static const char end[] = "-----END PUBLIC KEY-----\n";
    assert_true(pem.len > 400 && pem.len <= MYSQL_KEY_MAX);
    assert_memory_equal(pem.data, begin, sizeof begin - 1);
    assert_memory_equal(pem.data + pem.len - sizeof end + 1, end, sizeof end - 1);
    assert_null(memmem(pem.data, pem.len, "PRIVATE", 7));
}

static void what_a_client_encrypts_is_decrypted(void **state)
{
    (void)state;
    const struct mysql_key *key = mysql_key_shared();
    unsigned char block[MYSQL_RSA_MAX];
    unsigned char plain[256];
    size_t len =
        mysql_crypt_rsa(block, mysql_key_public(key), "s3cret", (const unsigned char *)NONCE);
    assert_int_equal(len, 256);
    assert_int_equal(mysql_key_decrypt(key, plain, sizeof plain, block, len), sizeof "s3cret");
    for (size_t i = 0; i < sizeof "s3cret"; i++) {
        plain[i] ^= (unsigned char)NONCE[i];
    }
    assert_string_equal((char *)plain, "s3cret");
}

static void what_was_not_encrypted_with_it_is_nothing(void **state)
{
    (void)state;
    const struct mysql_key *key = mysql_key_shared();
    unsigned char block[MYSQL_RSA_MAX];
    unsigned char plain[256];
    size_t len =
        mysql_crypt_rsa(block, mysql_key_public(key), "s3cret", (const unsigned char *)NONCE);
    assert_int_equal(mysql_key_decrypt(key, plain, 3, block, len), 0);
    assert_int_equal(mysql_key_decrypt(key, plain, sizeof plain, block, len - 1), 0);
    assert_int_equal(mysql_key_decrypt(key, plain, sizeof plain, block, len + 1), 0);
    assert_int_equal(mysql_key_decrypt(key, plain, sizeof plain, NULL, 0), 0);
    block[100] ^= 1;
    assert_int_equal(mysql_key_decrypt(key, plain, sizeof plain, block, len), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_have_the_same_key),
        cmocka_unit_test(only_the_public_half_is_shown),
        cmocka_unit_test(what_a_client_encrypts_is_decrypted),
        cmocka_unit_test(what_was_not_encrypted_with_it_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
