/* What a Sentinel is asked and what its answers mean, whole, in pieces, and cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/observation.h"
#include "proto/sentinel_probe.h"

static const struct probe_setup nobody = {.master = "mymaster"};
static const struct probe_setup with_password = {.master = "mymaster", .password = "s3cret"};
static const struct probe_setup with_user = {
    .master = "mymaster", .user = "router", .password = "s3cret"};

#define ADDRESS "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n"
#define MASTER                                                                                     \
    "*8\r\n$4\r\nname\r\n$8\r\nmymaster\r\n$5\r\nflags\r\n$6\r\nmaster\r\n"                        \
    "$19\r\nnum-other-sentinels\r\n$1\r\n2\r\n$6\r\nquorum\r\n$1\r\n2\r\n"
#define NO_SUCH_MASTER "-ERR No such master with that name\r\n"

struct talk {
    void *state;
    struct observation seen;
    enum probe_step step;
    const char *out;
    size_t out_len;
};

static struct talk talk_new(const struct probe_setup *account)
{
    struct talk t = {.state = calloc(1, sentinel_probe.state_size)};
    t.seen = (struct observation){.failures = 3, .asked = 5};
    t.step = sentinel_probe.start(t.state, account, true, &t.out, &t.out_len);
    assert_int_equal(t.step, PROBE_STEP_READ);
    return t;
}

static void talk_free(struct talk *t)
{
    sentinel_probe.release(t->state);
    free(t->state);
}

/* Feeds `len` bytes in pieces of `piece` until a step is final. */
static void feed_pieces(struct talk *t, const char *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && t->step == PROBE_STEP_READ; at += piece) {
        size_t now = len - at < piece ? len - at : piece;
        char *copy = malloc(now); /* a sanitizer sees who reads behind it */
        memcpy(copy, data + at, now);
        t->step = sentinel_probe.feed(t->state, copy, now, &t->seen, &t->out, &t->out_len);
        free(copy);
    }
}

static void feed(struct talk *t, const char *text)
{
    feed_pieces(t, text, strlen(text), SIZE_MAX / 2);
}

static struct observation answered(const char *text)
{
    struct talk t = talk_new(&nobody);
    feed(&t, text);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    assert_int_equal(t.seen.reach, REACH_ANSWERED);
    talk_free(&t);
    return t.seen;
}

static void assert_failed(const struct probe_setup *account, const char *answer, enum reach reach,
                          const char *why)
{
    struct talk t = talk_new(account);
    feed(&t, answer);
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_int_equal(t.seen.reach, reach);
    if (strstr(t.seen.why, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", t.seen.why, why);
    }
    assert_string_equal(t.seen.follows, "");
    assert_int_equal(t.seen.failures, 3);
    talk_free(&t);
}

static void assert_denied(const struct probe_setup *account, const char *answer, const char *why)
{
    assert_failed(account, answer, REACH_DENIED, why);
}

static void it_asks_for_the_address_and_for_how_many_there_are(void **state)
{
    (void)state;
    struct talk t = talk_new(&nobody);
    assert_string_equal(t.out, "*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n"
                               "$8\r\nmymaster\r\n"
                               "*3\r\n$8\r\nSENTINEL\r\n$6\r\nMASTER\r\n$8\r\nmymaster\r\n");
    assert_int_equal(t.out_len, strlen(t.out));
    talk_free(&t);
}

static void it_logs_in_once_on_a_new_connection(void **state)
{
    (void)state;
    static const char one[] = "*2\r\n$4\r\nAUTH\r\n$6\r\ns3cret\r\n";
    static const char two[] = "*3\r\n$4\r\nAUTH\r\n$6\r\nrouter\r\n$6\r\ns3cret\r\n";
    struct talk t = talk_new(&with_password);
    assert_memory_equal(t.out, one, strlen(one));
    feed(&t, "+OK\r\n" ADDRESS MASTER);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    t.step = sentinel_probe.start(t.state, &with_password, false, &t.out, &t.out_len);
    assert_null(strstr(t.out, "AUTH"));
    feed(&t, ADDRESS MASTER);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    talk_free(&t);

    t = talk_new(&with_user);
    assert_memory_equal(t.out, two, strlen(two));
    talk_free(&t);
}

static void a_rotated_password_counts_from_the_next_login_on(void **state)
{
    (void)state;
    struct probe_setup account = with_password;
    struct talk t = talk_new(&account);
    feed(&t, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    account.password = "n3w";
    t.step = sentinel_probe.start(t.state, &account, true, &t.out, &t.out_len);
    assert_non_null(strstr(t.out, "$3\r\nn3w\r\n"));
    feed(&t, "+OK\r\n" ADDRESS MASTER);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    talk_free(&t);
}

static void whom_it_names_is_written_as_an_address(void **state)
{
    (void)state;
    assert_string_equal(answered(ADDRESS MASTER).follows, "127.0.0.1:6379");
    assert_string_equal(answered("*2\r\n$3\r\n::1\r\n$1\r\n7\r\n" MASTER).follows, "[::1]:7");
    assert_string_equal(answered("*2\r\n$7\r\nredis-0\r\n$5\r\n65535\r\n" MASTER).follows,
                        "redis-0:65535");
    assert_string_equal(answered(ADDRESS MASTER).why, "");
    assert_int_equal(answered(ADDRESS MASTER).failures, 3);
    assert_int_equal(answered(ADDRESS MASTER).asked, 5);
}

static void a_name_that_it_does_not_know_is_an_answer(void **state)
{
    (void)state;
    struct observation o = answered("*-1\r\n" NO_SUCH_MASTER);
    assert_string_equal(o.follows, "");
    assert_string_equal(o.why, "knows no primary called \"mymaster\"");
}

static void it_says_how_many_sentinels_it_knows_of(void **state)
{
    (void)state;
    assert_int_equal(answered(ADDRESS MASTER).members, 3);
    /* Whoever may not ask that, or gets nonsense, goes without. */
    assert_int_equal(answered(ADDRESS "-NOPERM this user has no permissions\r\n").members, 0);
    assert_int_equal(answered(ADDRESS "*2\r\n$19\r\nnum-other-sentinels\r\n:2\r\n").members, 0);
    assert_int_equal(answered(ADDRESS "*0\r\n").members, 0);
    assert_int_equal(answered(ADDRESS "*1\r\n$19\r\nnum-other-sentinels\r\n").members, 0);
    assert_int_equal(answered(ADDRESS "*2\r\n$4\r\nname\r\n$19\r\nnum-other-sentinels\r\n").members,
                     0);
}

static void errors_are_put_into_words(void **state)
{
    (void)state;
    assert_denied(&nobody, "-NOAUTH Authentication required.\r\n", "sentinel_password");
    assert_denied(&nobody, "-NOPERM this user has no permissions to run the 'sentinel' command\r\n",
                  "ACL: +sentinel|get-master-addr-by-name");
    assert_denied(&nobody, "-DENIED Redis is running in protected mode because\r\n", "protected");
    assert_denied(&nobody, "-ERR max number of clients reached\r\n", "maxclients");
    assert_denied(&nobody,
                  "-ERR unknown command 'SENTINEL', with args beginning with: 'GET-MASTER-'\r\n",
                  "is no Sentinel");
    assert_denied(&nobody,
                  "-ERR unknown command `SENTINEL`, with args beginning with: `GET-MASTER-`\r\n",
                  "is no Sentinel");
    assert_denied(&nobody, "-LOADING Redis is loading the dataset in memory\r\n", "is no Sentinel");
    assert_denied(&nobody, "-ERR something \x1b new\r\n", "with: ERR something ? new");
    assert_denied(&with_user, "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                  "does not accept");
    assert_denied(&with_password, "-ERR invalid password\r\n", "does not accept");
    assert_denied(&with_password, "-ERR AUTH <password> called without any password configured\r\n",
                  "has no password");
    assert_denied(&with_user, "-ERR wrong number of arguments for 'auth' command\r\n",
                  "leave sentinel_user out");
    assert_failed(&nobody, "-IDONTKNOW I have not enough information to reply\r\n", REACH_SILENT,
                  "does not know yet");
}

static void the_password_is_never_told(void **state)
{
    (void)state;
    static const char *const echoes[] = {
        "-ERR unknown command 'AUTH', with args beginning with: 's3cret' \r\n",
        "-s3cret\r\n",
        "+OK\r\n-ERR no s3cret here\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(echoes); i++) {
        struct talk t = talk_new(&with_password);
        feed(&t, echoes[i]);
        assert_int_equal(t.step, PROBE_STEP_FAIL);
        assert_null(strstr(t.seen.why, "s3cret"));
        talk_free(&t);
    }
    /* Nor a piece of it, as far as it was repeated. */
    assert_denied(&with_password, "-ERR what is 's3cr\r\n", "answers AUTH with an error");
}

static void nonsense_is_recognised_at_its_first_bytes(void **state)
{
    (void)state;
    static const char *const nonsense[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "\x15\x03\x01",
        "$",
        ":1\r\n",
        "%1\r\n",
        ">2\r\n",
        "*-2\r\n",
        "*-1x",
        "*\r\n",
        "*1000\r\n",
        "*1000000000\r\n",
        "* 2\r\n",
        "\r\n",
        "*2\r\n%1\r\n",
        "*2\r\n$-7\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        assert_denied(&nobody, nonsense[i], "does not speak Redis");
        char later[128];
        snprintf(later, sizeof(later), ADDRESS "%s", nonsense[i]);
        assert_denied(&nobody, later, "does not speak Redis");
    }
}

static void what_is_no_address_names_nobody(void **state)
{
    (void)state;
    static const char *const lies[] = {
        "+OK\r\n",
        "*0\r\n",
        "*1\r\n$9\r\n127.0.0.1\r\n",
        "*3\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n$0\r\n\r\n",
        "*2\r\n$0\r\n\r\n$4\r\n6379\r\n",
        "*2\r\n$9\r\n127.0.0 1\r\n$4\r\n6379\r\n",
        "*2\r\n$9\r\n127.0.0\n1\r\n$4\r\n6379\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$11\r\n00000006379\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$0\r\n\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$2\r\n-1\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n",
        "*2\r\n$-1\r\n$4\r\n6379\r\n",
        "*2\r\n+127.0.0.1\r\n$4\r\n6379\r\n",
        "*2\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n$4\r\n6379\r\n",
        "*2\r\n$200\r\n"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaa"
        "\r\n$4\r\n6379\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        assert_denied(&nobody, lies[i], "does not answer as a Sentinel does");
    }
    assert_denied(&with_password, "*-1\r\n", "does not answer as a Sentinel does");
}

static void an_answer_without_end_is_given_up(void **state)
{
    (void)state;
    static const char *const begins[] = {"+", "*2\r\n$99999999\r\n", "*900\r\n$1\r\na\r\n+"};
    char junk[1000];
    memset(junk, 'x', sizeof(junk));
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        struct talk t = talk_new(&nobody);
        feed(&t, begins[i]);
        for (size_t fed = 0; t.step == PROBE_STEP_READ; fed += sizeof(junk)) {
            feed_pieces(&t, junk, sizeof(junk), sizeof(junk));
            assert_true(fed < 100 * 1000);
        }
        assert_non_null(strstr(t.seen.why, "more than 64 KB"));
        talk_free(&t);
    }
}

static void what_comes_unasked_cannot_pass_for_the_next_answer(void **state)
{
    (void)state;
    assert_denied(&nobody, ADDRESS MASTER ADDRESS, "more than it was asked");
    struct talk t = talk_new(&nobody);
    feed(&t, ADDRESS MASTER);
    t.step = PROBE_STEP_READ;
    feed(&t, ADDRESS);
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    talk_free(&t);
}

static void assert_any_split(const struct probe_setup *account, const char *text)
{
    size_t len = strlen(text);
    struct talk whole = talk_new(account);
    feed(&whole, text);
    assert_int_equal(whole.step, PROBE_STEP_DONE);
    for (size_t piece = 1; piece < len; piece++) {
        struct talk t = talk_new(account);
        feed_pieces(&t, text, len, piece);
        assert_int_equal(t.step, PROBE_STEP_DONE);
        assert_string_equal(t.seen.follows, whole.seen.follows);
        assert_string_equal(t.seen.why, whole.seen.why);
        assert_int_equal(t.seen.members, whole.seen.members);
        talk_free(&t);
    }
    for (size_t cut = 0; cut < len; cut++) {
        struct talk t = talk_new(account);
        feed_pieces(&t, text, cut, SIZE_MAX / 2);
        assert_int_equal(t.step, PROBE_STEP_READ);
        assert_int_equal(t.seen.reach, REACH_UNASKED);
        /* And there the connection is lost: the next one begins afresh. */
        t.step = sentinel_probe.start(t.state, account, true, &t.out, &t.out_len);
        feed(&t, text);
        assert_int_equal(t.step, PROBE_STEP_DONE);
        assert_string_equal(t.seen.follows, whole.seen.follows);
        talk_free(&t);
    }
    talk_free(&whole);
}

static void any_split_gives_the_same_observation(void **state)
{
    (void)state;
    assert_any_split(&with_user, "+OK\r\n" ADDRESS MASTER);
    assert_any_split(&nobody, "*-1\r\n" NO_SUCH_MASTER);
}

static void it_says_goodbye(void **state)
{
    (void)state;
    struct talk t = talk_new(&nobody);
    sentinel_probe.goodbye(t.state, &nobody, &t.out, &t.out_len);
    assert_int_equal(t.out_len, strlen("*1\r\n$4\r\nQUIT\r\n"));
    assert_memory_equal(t.out, "*1\r\n$4\r\nQUIT\r\n", t.out_len);
    talk_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_for_the_address_and_for_how_many_there_are),
        cmocka_unit_test(it_logs_in_once_on_a_new_connection),
        cmocka_unit_test(a_rotated_password_counts_from_the_next_login_on),
        cmocka_unit_test(whom_it_names_is_written_as_an_address),
        cmocka_unit_test(a_name_that_it_does_not_know_is_an_answer),
        cmocka_unit_test(it_says_how_many_sentinels_it_knows_of),
        cmocka_unit_test(errors_are_put_into_words),
        cmocka_unit_test(the_password_is_never_told),
        cmocka_unit_test(nonsense_is_recognised_at_its_first_bytes),
        cmocka_unit_test(what_is_no_address_names_nobody),
        cmocka_unit_test(an_answer_without_end_is_given_up),
        cmocka_unit_test(what_comes_unasked_cannot_pass_for_the_next_answer),
        cmocka_unit_test(any_split_gives_the_same_observation),
        cmocka_unit_test(it_says_goodbye),
    };
    return cmocka_run_group_tests_name("sentinel_probe", tests, NULL, NULL);
}
