/* Peers that lie while a proof is relayed, and clients that leave in the middle of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "prove_fixture.h"

#define PROOF "0123456789012345678901234567890"

static struct prove_server_key server_key;

static int make_keys(void **state)
{
    (void)state;
    server_key_make(&server_key, 1024);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(server_key.pair);
    return 0;
}

static void assert_no_secret(const struct prove_play *play)
{
    assert_int_equal(play->p.secret_len, 0);
    assert_null(memmem(&play->p, sizeof play->p, PASSWORD, strlen(PASSWORD)));
}

/* A password of the client's waits for the server's key. */
static struct prove_play *waits_for_the_key(void)
{
    struct prove_play *play = asked_for_the_password(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    client_says(play, PASSWORD, sizeof PASSWORD);
    assert_sent(play->server, "\002", 1);
    assert_int_equal(play->p.secret_len, sizeof PASSWORD);
    return play;
}

/* Numbers, lengths and turns ------------------------------------------------------------------ */

static void packets_with_wrong_numbers_are_refused(void **state)
{
    (void)state;
    for (unsigned wrong = 0; wrong < 256; wrong++) {
        struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
        if (wrong != FIRST_OF_SERVER) {
            play_numbered(play, FROM_SERVER, (unsigned char)wrong, ok_packet, sizeof ok_packet);
            assert_bad(play, "the server numbers");
        }
        server_switches(play, NATIVE);
        assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
        if (wrong != FIRST_OF_CLIENT + 1) {
            play_numbered(play, FROM_CLIENT, (unsigned char)wrong, PROOF, 20);
            assert_bad(play, "the client numbers");
        }
        play_free(play);
    }
}

static void nobody_may_speak_in_the_others_turn(void **state)
{
    (void)state;
    struct prove_play *play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    client_says(play, PROOF, 20);
    assert_bad(play, "the client speaks");
    play_free(play);

    play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    server_switches(play, DIALOG);
    server_says(play, ok_packet, sizeof ok_packet);
    assert_bad(play, "the server speaks");
    play_free(play);

    play = waits_for_the_key();
    client_says(play, PROOF, 20);
    assert_bad(play, "the client speaks");
    assert_no_secret(play);
    play_free(play);

    play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    server_switches(play, NATIVE);
    client_says(play, PROOF, 20);
    server_says(play, ok_packet, sizeof ok_packet);
    assert_int_equal(play->step, MYSQL_PROVE_OK);
    client_says(play, PROOF, 20);
    assert_bad(play, "the client speaks");
    play_free(play);
}

static void packets_are_bounded(void **state)
{
    (void)state;
    static char large[MYSQL_PROVE_PACKET_MAX + 1];
    memset(large, 'x', sizeof large);
    struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    server_switches(play, DIALOG);
    client_says(play, large, sizeof large - 1);
    assert_int_equal(play->server.len, sizeof large - 1);
    server_says(play, large, sizeof large - 1);
    assert_int_equal(play->client.len, sizeof large - 1);
    client_says(play, large, sizeof large);
    assert_bad(play, "the client sends too long");
    server_says(play, large, sizeof large);
    assert_bad(play, "the server sends too long");
    large[0] = (char)0xff;
    server_says(play, large, sizeof large);
    assert_bad(play, "the server sends too long");
    play_free(play);
}

static void a_server_that_asks_without_end_is_refused(void **state)
{
    (void)state;
    struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    for (int i = 0; i < MYSQL_PROVE_ROUNDS; i++) {
        server_switches(play, NATIVE);
        assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
        client_says(play, PROOF, 20);
    }
    server_switches(play, NATIVE);
    assert_bad(play, "never comes to the end");
    play_free(play);
}

/* Packets that do not belong there ------------------------------------------------------------ */

static void other_packets_of_the_server_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *plugin; /* NULL: before any was named */
        size_t len;
        const char *packet;
    } packets[] = {
        {NULL, 0, ""},
        {NULL, 1, "\001"},
        {NULL, 2, "\001\003"},
        {NULL, 5, "\012word"},
        {NULL, 1, "\003"},
        {SHA2, 0, ""},
        {SHA2, 1, "\001"},
        {SHA2, 2, "\001\005"},
        {SHA2, 3, "\001\004\004"},
        {SHA2, 2, "\003\003"},
        {SHA256, 2, "\001\004"},
        {SHA256, 2, "\001\003"},
        {NATIVE, 2, "\001\003"},
        {NATIVE, 5, "\012word"},
        {NATIVE, 0, ""},
        {SHA2, 12, "\001-----BEGIN P"},
    };
    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
        if (packets[i].plugin != NULL) {
            server_switches(play, packets[i].plugin);
            client_says(play, PROOF, 20);
        }
        server_says(play, packets[i].packet, packets[i].len);
        assert_bad(play, "the server");
        play_free(play);
    }
}

/* As to accounts that are let in for whose connection it is: it is ours. */
static void who_is_let_in_without_a_question_is_refused(void **state)
{
    (void)state;
    struct prove_play *play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_SOCKET);
    server_says(play, ok_packet, sizeof ok_packet);
    assert_bad(play, "without asking for a proof");
    play_free(play);
}

static void what_is_too_short_is_no_ok(void **state)
{
    (void)state;
    for (size_t len = 1; len <= sizeof ok_packet; len++) {
        struct prove_play *play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_SOCKET);
        server_switches(play, NATIVE);
        client_says(play, PROOF, 20);
        server_says(play, ok_packet, len);
        assert_int_equal(play->step, len < sizeof ok_packet ? MYSQL_PROVE_BAD : MYSQL_PROVE_OK);
        play_free(play);
    }
}

static void switches_that_lack_something_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *packet;
        const char *words;
    } packets[] = {
        {1, "\376", "before MySQL 4.1"},
        {5, "\376name", "names no plugin"},
        {1 + sizeof SHA2, "\376" SHA2, "nonce is too short"},
        {1 + sizeof SHA2 + 19, "\376" SHA2 "\0" NONCE, "nonce is too short"},
        {1 + sizeof SHA256 + 19, "\376" SHA256 "\0" NONCE, "nonce is too short"},
        {2, "\002n", "names no plugin"},
    };
    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
        server_says(play, packets[i].packet, packets[i].len);
        assert_bad(play, packets[i].words);
        play_free(play);
    }
    struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    server_says(play, "\376" SHA2 "\0" NONCE, 1 + sizeof SHA2 + 20);
    assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
    play_free(play);
}

static void a_key_that_cannot_encrypt_the_password_is_refused(void **state)
{
    (void)state;
    struct prove_play *play = waits_for_the_key();
    server_says(play, "\001-----BEGIN PUBLIC KEY-----\n", 28);
    assert_bad(play, "a key that the password cannot be encrypted with");
    assert_no_secret(play);
    play_free(play);

    char longer[100];
    memset(longer, 'p', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    play = asked_for_the_password(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    client_says(play, longer, sizeof longer);
    server_says(play, server_key.packet, server_key.len); /* of 1024 bits: 86 bytes */
    assert_bad(play, "a key that the password cannot be encrypted with");
    assert_int_equal(play->p.secret[0], 0);
    play_free(play);
}

static void a_password_that_is_kept_is_bounded(void **state)
{
    (void)state;
    char longest[MYSQL_PROVE_SECRET_MAX + 1];
    memset(longest, 'p', sizeof longest);
    longest[sizeof longest - 1] = 0;
    struct prove_play *play = asked_for_the_password(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    client_says(play, longest, sizeof longest);
    assert_bad(play, "password is too long");
    play_free(play);
    play = asked_for_the_password(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
    client_says(play, longest + 1, sizeof longest - 1);
    assert_sent(play->server, "\002", 1);
    play_free(play);
}

static void without_a_key_of_ours_the_client_is_told_why(void **state)
{
    (void)state;
    struct prove_play *play = asked_for_the_password(MYSQL_LEG_OPEN, MYSQL_LEG_TLS);
    play->p.key = NULL;
    client_says(play, "\002", 1);
    assert_bad(play, "needs TLS");
    play_free(play);
}

/* Told in the clear where anyone listens: as the server judges it, or not at all. */
static void a_password_that_is_told_on_an_open_leg_gets_no_help(void **state)
{
    (void)state;
    struct prove_play *play = asked_for_the_password(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    client_says(play, PASSWORD, sizeof PASSWORD);
    assert_sent(play->server, PASSWORD, sizeof PASSWORD);
    assert_no_secret(play);
    play_free(play);
    play = asked_for_the_password(MYSQL_LEG_OPEN, MYSQL_LEG_TLS);
    client_says(play, PASSWORD, sizeof PASSWORD);
    assert_bad(play, "needs TLS");
    play_free(play);
}

/* Errors, and what becomes of a password that waits ------------------------------------------- */

static void an_error_of_the_server_ends_it_at_any_time(void **state)
{
    (void)state;
    size_t len = sizeof denied_packet - 1;
    for (int stage = 0; stage < 4; stage++) {
        struct prove_play *play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
        if (stage == 1) {
            server_switches(play, NATIVE); /* the client's turn */
        } else if (stage > 1) {
            play_free(play);
            play = waits_for_the_key();
        }
        unsigned char number = stage == 3 ? 0 : play->server.sequence;
        play_numbered(play, FROM_SERVER, number, denied_packet, len);
        assert_int_equal(play->step, MYSQL_PROVE_DENIED);
        assert_sent(play->client, denied_packet, len);
        assert_no_secret(play);
        play_numbered(play, FROM_SERVER, number, denied_packet, len);
        assert_bad(play, "the server");
        play_free(play);
    }
}

static void a_password_that_is_not_asked_for_any_more_is_wiped(void **state)
{
    (void)state;
    struct prove_play *play = waits_for_the_key();
    server_switches(play, NATIVE);
    assert_int_equal(play->step, MYSQL_PROVE_CLIENT);
    assert_no_secret(play);
    play_free(play);
    play = waits_for_the_key();
    server_says(play, ok_packet, sizeof ok_packet);
    assert_int_equal(play->step, MYSQL_PROVE_OK);
    assert_no_secret(play);
    play_free(play);
    play = waits_for_the_key();
    server_says(play, "\003?", 2);
    assert_bad(play, "the server");
    assert_no_secret(play);
    play_free(play);
    play = waits_for_the_key();
    mysql_prove_forget(&play->p);
    assert_no_secret(play);
    client_says(play, PROOF, 20);
    assert_bad(play, "the client speaks");
    play_free(play);
}

/* A client that has gone ----------------------------------------------------------------------- */

static void abandon(struct prove_play *play)
{
    struct mysql_writer s = {.data = play->server.bytes, .size = sizeof play->server.bytes};
    play->step = mysql_prove_abandoned(&play->p, 0, NULL, 0, &s);
    side_take(&play->server, &s);
    assert_int_equal(play->step, MYSQL_PROVE_SERVER);
    assert_no_secret(play);
}

static void abandoned_server_says(struct prove_play *play, const void *data, size_t len)
{
    play_numbered(play, FROM_SERVER_ABANDONED, play->server.sequence++, data, len);
    assert_no_secret(play);
}

static void assert_abandoned_in_peace(struct prove_play *play)
{
    abandoned_server_says(play, denied_packet, sizeof denied_packet - 1);
    assert_int_equal(play->step, MYSQL_PROVE_DENIED);
    assert_int_equal(play->server.len, NOTHING_SENT);
    play_free(play);
}

/* The lengths that servers take for an answer (others are broken handshakes to them). */
static void who_owes_a_proof_when_it_leaves_is_answered_for(void **state)
{
    (void)state;
    static const struct {
        const char *plugin;
        size_t len;
    } answers[] = {{NATIVE, 20}, {SHA2, 1}, {SHA256, 64}, {ED25519, 64}, {DIALOG, 64}};
    for (size_t i = 0; i < 2 * ARRAY_LEN(answers); i++) {
        struct prove_play *play = play_new(MYSQL_LEG_TLS, MYSQL_LEG_OPEN);
        if (i % 2 == 0) { /* before it is asked, or after */
            abandon(play);
            assert_int_equal(play->server.len, NOTHING_SENT);
            char payload[128] = {(char)0xfe};
            size_t len = strlen(answers[i / 2].plugin) + 1;
            memcpy(payload + 1, answers[i / 2].plugin, len);
            memcpy(payload + 1 + len, NONCE, sizeof NONCE);
            abandoned_server_says(play, payload, 1 + len + sizeof NONCE);
        } else {
            server_switches(play, answers[i / 2].plugin);
            abandon(play);
        }
        assert_int_equal(play->server.len, answers[i / 2].len);
        assert_int_equal(play->server.bytes[play->server.len - 1],
                         answers[i / 2].len == 20 ? 'x' : 0);
        assert_abandoned_in_peace(play);
    }
}

static void who_leaves_before_the_password_is_told_has_told_a_wrong_one(void **state)
{
    (void)state;
    struct prove_play *play = asked_for_the_password(MYSQL_LEG_TLS, MYSQL_LEG_TLS);
    abandon(play);
    assert_int_equal(play->server.len, 64);
    assert_int_equal(strlen((char *)play->server.bytes), 63);
    assert_abandoned_in_peace(play);

    play = asked_for_the_password(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    client_says(play, "\002", 1);
    abandon(play);
    assert_int_equal(play->server.len, NOTHING_SENT); /* the server owes its key */
    abandoned_server_says(play, server_key.packet, server_key.len);
    assert_int_equal(play->server.len, 64);
    assert_abandoned_in_peace(play);

    play = asked_for_the_password(MYSQL_LEG_OPEN, MYSQL_LEG_TLS);
    client_says(play, "\002", 1); /* it is shown our key */
    abandon(play);
    assert_int_equal(play->server.len, 64);
    assert_abandoned_in_peace(play);
}

static void the_password_of_who_left_is_not_told(void **state)
{
    (void)state;
    struct prove_play *play = waits_for_the_key();
    abandon(play);
    assert_int_equal(play->server.len, NOTHING_SENT);
    abandoned_server_says(play, server_key.packet, server_key.len);
    assert_int_equal(play->server.len, 64);
    assert_null(server_decrypts(server_key.pair, play->server.bytes, play->server.len));
    assert_abandoned_in_peace(play);
}

static void who_was_refused_can_be_abandoned(void **state)
{
    (void)state;
    struct prove_play *play = asked_for_the_password(MYSQL_LEG_OPEN, MYSQL_LEG_TLS);
    play_numbered(play, FROM_CLIENT, 0, "\002", 1);
    assert_bad(play, "the client numbers");
    abandon(play);
    assert_int_equal(play->server.len, 64);
    assert_abandoned_in_peace(play);
}

static void an_abandoned_login_ends_whatever_the_server_does(void **state)
{
    (void)state;
    struct prove_play *play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    server_switches(play, SHA2);
    abandon(play);
    abandoned_server_says(play, ok_packet, sizeof ok_packet); /* needs no password */
    assert_int_equal(play->step, MYSQL_PROVE_OK);
    play_free(play);

    play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    server_switches(play, DIALOG);
    abandon(play);
    int rounds = 0;
    do {
        abandoned_server_says(play, "\004again", 6);
        rounds++;
    } while (play->step == MYSQL_PROVE_SERVER);
    assert_int_equal(play->step, MYSQL_PROVE_BAD);
    assert_int_equal(rounds, MYSQL_PROVE_ROUNDS);
    play_free(play);

    play = play_new(MYSQL_LEG_OPEN, MYSQL_LEG_OPEN);
    abandon(play);
    abandoned_server_says(play, "\012greeting", 9);
    assert_int_equal(play->step, MYSQL_PROVE_BAD);
    play_free(play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_with_wrong_numbers_are_refused),
        cmocka_unit_test(nobody_may_speak_in_the_others_turn),
        cmocka_unit_test(packets_are_bounded),
        cmocka_unit_test(a_server_that_asks_without_end_is_refused),
        cmocka_unit_test(other_packets_of_the_server_are_refused),
        cmocka_unit_test(who_is_let_in_without_a_question_is_refused),
        cmocka_unit_test(what_is_too_short_is_no_ok),
        cmocka_unit_test(switches_that_lack_something_are_refused),
        cmocka_unit_test(a_key_that_cannot_encrypt_the_password_is_refused),
        cmocka_unit_test(a_password_that_is_kept_is_bounded),
        cmocka_unit_test(without_a_key_of_ours_the_client_is_told_why),
        cmocka_unit_test(a_password_that_is_told_on_an_open_leg_gets_no_help),
        cmocka_unit_test(an_error_of_the_server_ends_it_at_any_time),
        cmocka_unit_test(a_password_that_is_not_asked_for_any_more_is_wiped),
        cmocka_unit_test(who_owes_a_proof_when_it_leaves_is_answered_for),
        cmocka_unit_test(who_leaves_before_the_password_is_told_has_told_a_wrong_one),
        cmocka_unit_test(the_password_of_who_left_is_not_told),
        cmocka_unit_test(who_was_refused_can_be_abandoned),
        cmocka_unit_test(an_abandoned_login_ends_whatever_the_server_does),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
