/* A client proves itself to a server through us: the packets of real plugins, the four cases of TLS
 * with the arithmetic done for real at both ends, and peers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "prove_fixture.h"

static struct prove_server_key server_key;

static int make_keys(void **state)
{
    (void)state;
    server_key_make(&server_key, 2048);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(server_key.pair);
    return 0;
}

static const enum mysql_leg legs[] = {MYSQL_LEG_OPEN, MYSQL_LEG_TLS, MYSQL_LEG_SOCKET};

#define LEG_PAIRS (ARRAY_LEN(legs) * ARRAY_LEN(legs))

static struct prove_play *play_of_pair(size_t pair)
{
    return play_new(legs[pair / ARRAY_LEN(legs)], legs[pair % ARRAY_LEN(legs)]);
}

/* The server's last word reaches the client, and is the last. */
static void assert_ends_well(struct prove_play *play)
{
    assert_int_equal(play->step, MYSQL_PROVE_SERVER);
    server_says(play, ok_packet, sizeof ok_packet);
    assert_int_equal(play->step, MYSQL_PROVE_OK);
    assert_sent(play->client, ok_packet, sizeof ok_packet);
    server_says(play, ok_packet, sizeof ok_packet);
    assert_int_equal(play->step, MYSQL_PROVE_BAD);
    play_free(play);
}

/* Passed on as it came ------------------------------------------------------------------------ */

/* A plugin that needs one proof, whatever the legs are. */
static void prove_once(const char *plugin, size_t proof_len)
{
    unsigned char proof[64];
    memset(proof, 0xab, sizeof proof);
    for (size_t i = 0; i < LEG_PAIRS; i++) {
        struct prove_play *play = play_of_pair(i);
        server_switches(play, plugin);
        assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
        assert_int_equal(play->client.len, 1 + strlen(plugin) + 1 + sizeof NONCE);
        assert_memory_equal(play->client.bytes + 1, plugin, strlen(plugin) + 1);
        assert_memory_equal(play->client.bytes + strlen(plugin) + 2, NONCE, sizeof NONCE);
        client_says(play, proof, proof_len);
        assert_sent(play->server, proof, proof_len);
        assert_ends_well(play);
    }
}

static void a_proof_passes_unchanged_between_all_legs(void **state)
{
    (void)state;
    prove_once(NATIVE, MYSQL_NATIVE_LEN);
    prove_once(NATIVE, 0); /* no password */
    prove_once(ED25519, 64);
    prove_once(SHA2, 1); /* no password */
}

static void the_fast_way_of_caching_sha2_needs_one_proof(void **state)
{
    (void)state;
    unsigned char proof[MYSQL_SHA2_LEN];
    mysql_crypt_sha2(proof, PASSWORD, (const unsigned char *)NONCE);
    for (size_t i = 0; i < LEG_PAIRS; i++) {
        struct prove_play *play = play_of_pair(i);
        server_switches(play, SHA2);
        client_says(play, proof, sizeof proof);
        assert_sent(play->server, proof, sizeof proof);
        server_says(play, "\001\003", 2);
        assert_sent(play->client, "\001\003", 2);
        assert_ends_well(play);
    }
}

/* The password itself ------------------------------------------------------------------------- */

static void between_open_legs_the_servers_key_is_shown_to_the_client(void **state)
{
    (void)state;
    struct prove_play *play = asked_for_the_password(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    client_says(play, "\002", 1);
    assert_int_equal(play->step, MYSQL_PROVE_SERVER);
    assert_sent(play->server, "\002", 1);
    server_says(play, server_key.packet, server_key.len);
    assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
    assert_sent(play->client, server_key.packet, server_key.len);
    client_encrypts(play, play->client.bytes, play->client.len);
    assert_string_equal(server_decrypts(server_key.pair, play->server.bytes, play->server.len),
                        PASSWORD);
    assert_ends_well(play);
}

static void between_secure_legs_the_password_passes_in_the_clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct prove_play *play = asked_for_the_password(legs[1 + i / 2], legs[1 + i % 2]);
        client_says(play, PASSWORD, sizeof PASSWORD);
        assert_sent(play->server, PASSWORD, sizeof PASSWORD);
        assert_ends_well(play);
    }
}

static void a_password_told_on_a_secure_leg_is_encrypted_for_an_open_one(void **state)
{
    (void)state;
    for (size_t i = 1; i < ARRAY_LEN(legs); i++) {
        struct prove_play *play = asked_for_the_password(legs[i], MYSQL_LEG_OPEN);
        client_says(play, PASSWORD, sizeof PASSWORD);
        assert_int_equal(play->step, MYSQL_PROVE_SERVER);
        assert_int_equal(play->client.len, NOTHING_SENT);
        assert_sent(play->server, "\002", 1);
        server_says(play, server_key.packet, server_key.len);
        assert_int_equal(play->client.len, NOTHING_SENT);
        assert_string_equal(server_decrypts(server_key.pair, play->server.bytes, play->server.len),
                            PASSWORD);
        assert_null(memmem(&play->p, sizeof play->p, PASSWORD, strlen(PASSWORD)));
        assert_ends_well(play);
    }
}

static void a_client_on_an_open_leg_is_shown_our_key_where_the_servers_is_secure(void **state)
{
    (void)state;
    for (size_t i = 1; i < ARRAY_LEN(legs); i++) {
        struct prove_play *play = asked_for_the_password(MYSQL_LEG_OPEN, legs[i]);
        client_says(play, "\002", 1);
        assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
        assert_int_equal(play->server.len, NOTHING_SENT);
        struct mysql_text pem = mysql_key_public(mysql_key_shared());
        assert_int_equal(play->client.len, 1 + pem.len);
        assert_int_equal(play->client.bytes[0], 1);
        client_encrypts(play, play->client.bytes, play->client.len);
        assert_sent(play->server, PASSWORD, sizeof PASSWORD);
        assert_ends_well(play);
    }
}

/* Over a unix socket some clients tell the password, others ask for a key. */
static void a_client_on_a_socket_may_ask_for_a_key_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(legs); i++) {
        struct prove_play *play = asked_for_the_password(MYSQL_LEG_SOCKET, legs[i]);
        client_says(play, "\002", 1);
        if (legs[i] == MYSQL_LEG_OPEN) {
            assert_sent(play->server, "\002", 1);
            server_says(play, server_key.packet, server_key.len);
            assert_sent(play->client, server_key.packet, server_key.len);
            client_encrypts(play, server_key.packet, server_key.len);
            assert_string_equal(
                server_decrypts(server_key.pair, play->server.bytes, play->server.len), PASSWORD);
        } else {
            assert_int_equal(play->client.bytes[0], 1);
            client_encrypts(play, play->client.bytes, play->client.len);
            assert_sent(play->server, PASSWORD, sizeof PASSWORD);
        }
        assert_ends_well(play);
    }
}

/* Nothing of ours is read into it. */
static void what_follows_the_servers_key_passes_unchanged(void **state)
{
    (void)state;
    struct prove_play *play = asked_for_the_password(MYSQL_LEG_SOCKET, MYSQL_LEG_OPEN);
    client_says(play, "\002", 1);
    server_says(play, server_key.packet, server_key.len);
    client_says(play, PASSWORD, sizeof PASSWORD);
    assert_sent(play->server, PASSWORD, sizeof PASSWORD);
    assert_ends_well(play);
}

static void who_has_the_servers_key_need_not_ask_where_the_server_takes_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEG_PAIRS; i++) {
        enum mysql_leg client = legs[i / ARRAY_LEN(legs)];
        enum mysql_leg server = legs[i % ARRAY_LEN(legs)];
        struct prove_play *play = asked_for_the_password(client, server);
        client_encrypts(play, server_key.packet, server_key.len);
        bool tells = client == MYSQL_LEG_TLS && server == MYSQL_LEG_OPEN; /* nothing but itself */
        if (tells || (client == MYSQL_LEG_OPEN && server != MYSQL_LEG_OPEN)) {
            assert_bad(play, tells ? "neither tells" : "without asking");
            play_free(play);
            continue;
        }
        assert_int_equal(play->server.len, 256);
        assert_string_equal(server_decrypts(server_key.pair, play->server.bytes, 256), PASSWORD);
        assert_ends_well(play);
    }
}

static void what_was_not_encrypted_with_our_key_is_a_wrong_password(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 255, 256, 257, 5000};
    static char garbage[5000];
    char before[64] = "";
    memset(garbage, 7, sizeof garbage);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct prove_play *play = asked_for_the_password(MYSQL_LEG_OPEN, MYSQL_LEG_TLS);
        client_says(play, "\002", 1);
        client_says(play, garbage, lengths[i]);
        assert_int_equal(play->step, MYSQL_PROVE_SERVER);
        assert_true(play->server.len > 32 && play->server.len <= sizeof before);
        assert_int_equal(strlen((char *)play->server.bytes), play->server.len - 1);
        assert_string_not_equal((char *)play->server.bytes, before);
        memcpy(before, play->server.bytes, play->server.len);
        server_says(play, denied_packet, sizeof denied_packet - 1);
        assert_int_equal(play->step, MYSQL_PROVE_DENIED);
        play_free(play);
    }
}

/* sha256_password: who is asked tells at once; a unix socket is an open leg to its servers ----- */

static void sha256_is_asked_and_told_between_all_legs(void **state)
{
    (void)state;
    for (size_t i = 0; i < LEG_PAIRS; i++) {
        enum mysql_leg client = legs[i / ARRAY_LEN(legs)];
        bool clear = legs[i % ARRAY_LEN(legs)] == MYSQL_LEG_TLS;
        struct prove_play *play = play_of_pair(i);
        server_switches(play, SHA256);
        assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
        if (client != MYSQL_LEG_OPEN) {
            client_says(play, PASSWORD, sizeof PASSWORD);
        } else {
            client_says(play, "\001", 1);
        }
        if (!clear) {
            assert_sent(play->server, "\001", 1);
            server_says(play, server_key.packet, server_key.len);
        }
        if (client == MYSQL_LEG_OPEN) {
            client_encrypts(play, play->client.bytes, play->client.len);
        }
        const char *told = (const char *)play->server.bytes;
        told = clear ? told : server_decrypts(server_key.pair, play->server.bytes, 256);
        assert_int_equal(play->server.len, clear ? sizeof PASSWORD : 256);
        assert_string_equal(told, PASSWORD);
        assert_ends_well(play);
    }
}

static void no_password_is_told_as_it_came(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * LEG_PAIRS; i++) {
        struct prove_play *play = play_of_pair(i / 2);
        server_switches(play, SHA256);
        client_says(play, "", i % 2);
        assert_sent(play->server, "", i % 2);
        assert_ends_well(play);
    }
}

/* Other plugins ------------------------------------------------------------------------------- */

static void a_plugin_that_we_do_not_know_may_speak_in_rounds(void **state)
{
    (void)state;
    static const char *const words[] = {"\004Password: ", "\002Name: ", "\001more",
                                        "P0123456789abcdef", "\003?"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_TLS);
        server_switches(play, DIALOG);
        client_says(play, "first", 6);
        assert_sent(play->server, "first", 6);
        server_says(play, words[i], strlen(words[i]));
        assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
        assert_sent(play->client, words[i], strlen(words[i]));
        client_says(play, "", 0); /* parsec's client asks with nothing */
        assert_sent(play->server, "", 0);
        server_says(play, "", 0);
        assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
        server_says(play, words[i], strlen(words[i])); /* and once more */
        assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
        client_says(play, "last", 5);
        assert_ends_well(play);
    }
}

static void a_server_may_try_one_plugin_after_another(void **state)
{
    (void)state;
    struct prove_play *play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    server_switches(play, ED25519);
    client_says(play, NONCE NONCE NONCE NONCE, 64);
    server_switches(play, NATIVE);
    assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
    client_says(play, "01234567890123456789", 20);
    server_switches(play, SHA256);
    client_says(play, PASSWORD, sizeof PASSWORD);
    assert_sent(play->server, "\001", 1);
    server_says(play, server_key.packet, server_key.len);
    assert_ends_well(play);
}

static void another_factor_is_asked_for_by_its_plugin(void **state)
{
    (void)state;
    static const char next[] = "\002" SHA256 "\0" NONCE;
    struct prove_play *play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    server_switches(play, SHA2);
    client_says(play, "01234567890123456789012345678901", MYSQL_SHA2_LEN);
    server_says(play, next, sizeof next);
    assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
    assert_sent(play->client, next, sizeof next);
    client_says(play, PASSWORD, sizeof PASSWORD);
    assert_sent(play->server, "\001", 1);
    server_says(play, server_key.packet, server_key.len);
    assert_ends_well(play);
}

static void numbers_begin_again_behind_255(void **state)
{
    (void)state;
    struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    mysql_prove_begin(&play->p, 255, 255, MYSQL_LEG_OPEN, MYSQL_LEG_OPEN, NULL);
    play->client.sequence = 255;
    play->server.sequence = 255;
    server_switches(play, NATIVE);
    client_says(play, "01234567890123456789", 20);
    assert_int_equal(play->server.sequence, 1);
    assert_ends_well(play);
}
/* Not passed on ------------------------------------------------------------------------------- */

/* The server, which still waits for an answer, gets one that is not held against our address. */
static void assert_answered_for(struct prove_play *play)
{
    struct mysql_writer s = {.data = play->server.bytes, .size = sizeof play->server.bytes};
    assert_int_equal(mysql_prove_abandoned(&play->p, 0, NULL, 0, &s), MYSQL_PROVE_SERVER);
    side_take(&play->server, &s);
    assert_true(play->server.len != NOTHING_SENT);
    play_free(play);
}

/* It may be one that lacks its NUL, or has one too many. */
static void what_may_be_a_password_is_not_passed_on_in_the_clear(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {{PASSWORD, sizeof PASSWORD - 1}, {"s3\0cret", 8}, {"\001", 1}, {"\002\002", 2}};
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        enum mysql_leg client = i % 2 > 0 ? MYSQL_LEG_SOCKET : MYSQL_LEG_TLS;
        struct prove_play *play = asked_for_the_password(client, MYSQL_LEG_OPEN);
        client_says(play, cases[i / 2].bytes, cases[i / 2].len);
        assert_bad(play, "neither tells its password nor asks");
        assert_answered_for(play);
    }
}

/* MariaDB calls other lengths a broken handshake, and counts it against our address. */
static void a_proof_of_a_length_that_no_plugin_makes_is_not_passed_on(void **state)
{
    (void)state;
    static const struct {
        const char *plugin;
        size_t len;
        bool good;
    } cases[] = {
        {NATIVE, 0, true},    {NATIVE, 1, false},  {NATIVE, 19, false},   {NATIVE, 20, true},
        {NATIVE, 21, false},  {NATIVE, 64, false}, {NATIVE, 3000, false}, {ED25519, 0, false},
        {ED25519, 63, false}, {ED25519, 64, true}, {ED25519, 65, false},  {SHA2, 5, true},
        {DIALOG, 5, true},    {SHA2, 3000, true},
    };
    static char proof[3000];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
        server_switches(play, cases[i].plugin);
        client_says(play, proof, cases[i].len);
        if (cases[i].good) {
            assert_sent(play->server, proof, cases[i].len);
            play_free(play);
        } else {
            assert_bad(play, "not as long as");
            assert_answered_for(play);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_passes_unchanged_between_all_legs),
        cmocka_unit_test(the_fast_way_of_caching_sha2_needs_one_proof),
        cmocka_unit_test(between_open_legs_the_servers_key_is_shown_to_the_client),
        cmocka_unit_test(between_secure_legs_the_password_passes_in_the_clear),
        cmocka_unit_test(a_password_told_on_a_secure_leg_is_encrypted_for_an_open_one),
        cmocka_unit_test(a_client_on_an_open_leg_is_shown_our_key_where_the_servers_is_secure),
        cmocka_unit_test(a_client_on_a_socket_may_ask_for_a_key_too),
        cmocka_unit_test(what_follows_the_servers_key_passes_unchanged),
        cmocka_unit_test(who_has_the_servers_key_need_not_ask_where_the_server_takes_it),
        cmocka_unit_test(what_was_not_encrypted_with_our_key_is_a_wrong_password),
        cmocka_unit_test(sha256_is_asked_and_told_between_all_legs),
        cmocka_unit_test(no_password_is_told_as_it_came),
        cmocka_unit_test(a_plugin_that_we_do_not_know_may_speak_in_rounds),
        cmocka_unit_test(a_server_may_try_one_plugin_after_another),
        cmocka_unit_test(another_factor_is_asked_for_by_its_plugin),
        cmocka_unit_test(numbers_begin_again_behind_255),
        cmocka_unit_test(what_may_be_a_password_is_not_passed_on_in_the_clear),
        cmocka_unit_test(a_proof_of_a_length_that_no_plugin_makes_is_not_passed_on),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
