#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/observation.h"
#include "proto/redis.h"
#include "redis_answers.h"

static const char *under_own_name(const void *renames, const char *command)
{
    (void)renames;
    return command;
}

static const char *under_x_name(const void *renames, const char *command)
{
    (void)renames;
    return strcmp(command, "INFO") == 0 ? "XINFO" : strcmp(command, "AUTH") == 0 ? "XAUTH" : "";
}

static const struct probe_setup nobody = {.command = under_own_name};
static const struct probe_setup with_password = {
    .password = "s3cret",
    .command = under_own_name,
};
static const struct probe_setup with_user = {
    .user = "router",
    .password = "s3cret",
    .command = under_own_name,
};

struct talk {
    void *state;
    struct observation seen;
    enum probe_step step;
    const char *out;
    size_t out_len;
};

static struct talk talk_new(const struct probe_setup *account)
{
    struct talk t = {.state = calloc(1, redis_probe.state_size)};
    t.seen = (struct observation){.failures = 3, .asked = 5};
    t.step = redis_probe.start(t.state, account, true, &t.out, &t.out_len);
    assert_int_equal(t.step, PROBE_STEP_READ);
    return t;
}

static void talk_free(struct talk *t)
{
    redis_probe.release(t->state);
    free(t->state);
}

static void again(struct talk *t, const struct probe_setup *account)
{
    t->step = redis_probe.start(t->state, account, false, &t->out, &t->out_len);
    assert_int_equal(t->step, PROBE_STEP_READ);
}

/* Feeds `len` bytes in pieces of `piece` until a step is final. */
static void feed_pieces(struct talk *t, const char *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && t->step == PROBE_STEP_READ; at += piece) {
        size_t now = len - at < piece ? len - at : piece;
        char *copy = malloc(now); /* a sanitizer sees who reads behind it */
        memcpy(copy, data + at, now);
        t->step = redis_probe.feed(t->state, copy, now, &t->seen, &t->out, &t->out_len);
        free(copy);
    }
}

static void feed(struct talk *t, const char *text)
{
    feed_pieces(t, text, strlen(text), SIZE_MAX / 2);
}

/* The three replies of an INFO dialogue. */
static char *answers(const char *before, const char *server, const char *persistence,
                     const char *replication)
{
    char *text = NULL;
    int len =
        asprintf(&text, "%s$%zu\r\n%s\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", before, strlen(server),
                 server, strlen(persistence), persistence, strlen(replication), replication);
    assert_true(len > 0);
    return text;
}

static void assert_denied(const struct probe_setup *account, const char *answer, const char *why)
{
    struct talk t = talk_new(account);
    feed(&t, answer);
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_int_equal(t.seen.reach, REACH_DENIED);
    assert_non_null(strstr(t.seen.why, why));
    assert_int_equal(t.seen.failures, 3);
    talk_free(&t);
}

static void it_asks_three_sections_with_the_offset_last(void **state)
{
    (void)state;
    struct talk t = talk_new(&nobody);
    assert_string_equal(t.out, "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"
                               "*2\r\n$4\r\nINFO\r\n$11\r\npersistence\r\n"
                               "*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n");
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
    char *text = answers("+OK\r\n", SERVER, PERSISTENCE, MASTER);
    feed(&t, text);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    again(&t, &with_password);
    assert_null(strstr(t.out, "AUTH"));
    feed(&t, text + strlen("+OK\r\n"));
    assert_int_equal(t.step, PROBE_STEP_DONE);
    free(text);
    talk_free(&t);

    t = talk_new(&with_user);
    assert_memory_equal(t.out, two, strlen(two));
    talk_free(&t);
}

static void renamed_commands_are_asked_under_their_names(void **state)
{
    (void)state;
    const struct probe_setup renamed = {.password = "s3cret", .command = under_x_name};
    struct talk t = talk_new(&renamed);
    assert_non_null(strstr(t.out, "*2\r\n$5\r\nXAUTH\r\n$6\r\ns3cret\r\n"));
    assert_non_null(strstr(t.out, "*2\r\n$5\r\nXINFO\r\n$6\r\nserver\r\n"));
    assert_null(strstr(t.out, "\nINFO"));
    redis_probe.goodbye(t.state, &renamed, &t.out, &t.out_len);
    assert_int_equal(t.out_len, 0); /* renamed to nothing */
    talk_free(&t);
}

static void it_says_goodbye(void **state)
{
    (void)state;
    struct talk t = talk_new(&nobody);
    redis_probe.goodbye(t.state, &nobody, &t.out, &t.out_len);
    assert_int_equal(t.out_len, strlen("*1\r\n$4\r\nQUIT\r\n"));
    assert_memory_equal(t.out, "*1\r\n$4\r\nQUIT\r\n", t.out_len);
    redis_probe.goodbye(t.state, &nobody, &t.out, &t.out_len);
    talk_free(&t);
}

static void a_whole_answer_makes_an_observation(void **state)
{
    (void)state;
    struct talk t = talk_new(&nobody);
    char *text = answers("", SERVER, PERSISTENCE, MASTER);
    feed(&t, text);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    assert_int_equal(t.seen.reach, REACH_ANSWERED);
    assert_int_equal(t.seen.claim, CLAIM_PRIMARY);
    assert_true(t.seen.usable);
    assert_string_equal(t.seen.identity, ID_R);
    assert_int_equal(t.seen.lineage.offset, 1234);
    assert_int_equal(t.seen.failures, 3);
    assert_int_equal(t.seen.asked, 5);
    free(text);
    talk_free(&t);
}

static void an_answer_without_what_must_be_there_is_denied(void **state)
{
    (void)state;
    char *text = answers("", SERVER, PERSISTENCE, "# Replication\r\n");
    assert_denied(&nobody, text, "answers INFO without a role");
    free(text);
}

static void errors_are_put_into_words(void **state)
{
    (void)state;
    assert_denied(&nobody, "-NOAUTH Authentication required.\r\n", "asks for a password");
    assert_denied(&nobody, "-NOPERM this user has no permissions to run the 'info' command\r\n",
                  "ACL: +info");
    assert_denied(&nobody, "-DENIED Redis is running in protected mode because\r\n", "protected");
    assert_denied(&nobody, "-ERR max number of clients reached\r\n", "maxclients");
    assert_denied(&nobody, "-ERR unknown command 'INFO', with args beginning with: 'server' \r\n",
                  "INFO is unknown there: probe_command = INFO=");
    assert_denied(&nobody, "-ERR something \x1b new\r\n", "answers INFO with: ERR something ? new");
    assert_denied(&with_user, "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                  "does not accept");
    assert_denied(&with_password, "-ERR invalid password\r\n", "does not accept");
    assert_denied(&with_password, "-ERR max number of clients reached\r\n", "maxclients");
    assert_denied(&with_password, "-ERR AUTH <password> called without any password configured\r\n",
                  "has no password");
    assert_denied(&with_user, "-ERR wrong number of arguments for 'auth' command\r\n",
                  "leave probe_user out");
}

static void the_password_is_never_told(void **state)
{
    (void)state;
    static const char *const echoes[] = {
        "-ERR unknown command 'AUTH', with args beginning with: 's3cret' \r\n",
        "-s3cret\r\n",
        "-ERR no user s3cret\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(echoes); i++) {
        struct talk t = talk_new(&with_password);
        feed(&t, echoes[i]);
        assert_int_equal(t.step, PROBE_STEP_FAIL);
        assert_null(strstr(t.seen.why, "s3cret"));
        assert_non_null(strstr(t.seen.why, "AUTH"));
        talk_free(&t);
    }
    /* Nor a piece of it, as far as Redis repeated it. */
    assert_denied(&with_password, "-ERR what is 's3cr\r\n", "answers AUTH with an error");
    /* Nor later, in whatever error. */
    assert_denied(&with_password, "+OK\r\n-ERR no s3cret here\r\n", "answers INFO with an error");
}

static void a_server_too_busy_to_say_is_silent_and_not_denied(void **state)
{
    (void)state;
    static const char *const busy[] = {
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-BUSY Redis is busy running a script. You can only call SCRIPT KILL\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
        struct talk t = talk_new(&nobody);
        feed(&t, busy[i]);
        assert_int_equal(t.step, PROBE_STEP_FAIL);
        assert_int_equal(t.seen.reach, REACH_SILENT);
        talk_free(&t);
    }
}

static void nonsense_is_recognised_at_its_first_bytes(void **state)
{
    (void)state;
    static const char *const nonsense[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "\x15\x03\x01",
        "*",
        "*3\r\n",
        "*1000000000\r\n",
        ":1\r\n",
        "%1\r\n",
        "~1\r\n",
        ">2\r\n",
        "=15\r\n",
        "_\r\n",
        "$-1\r\n",
        "$-2147483648\r\n",
        "$\r\n",
        "$1x\r\n",
        "$5\rx",
        "$999999",
        "$100000\r\n",
        "$99999999999999999999\r\n",
        "$ 5\r\n",
        "\r\n",

    };
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        assert_denied(&nobody, nonsense[i], "does not speak Redis");
        char later[64];
        snprintf(later, sizeof(later), "$2\r\nab\r\n%s", nonsense[i]);
        assert_denied(&nobody, later, "does not speak Redis");
    }
    assert_denied(&nobody, "+OK\r\n", "does not answer INFO as Redis does");
    assert_denied(&with_password, "$2\r\nOK\r\n", "does not answer AUTH as Redis does");
}

static void an_answer_without_end_is_given_up(void **state)
{
    (void)state;
    struct talk t = talk_new(&nobody);
    char junk[1000];
    memset(junk, 'x', sizeof(junk));
    feed(&t, "+");
    size_t fed = 0;
    for (; t.step == PROBE_STEP_READ; fed += sizeof(junk)) {
        feed_pieces(&t, junk, sizeof(junk), sizeof(junk));
        assert_true(fed < 300 * 1000);
    }
    assert_non_null(strstr(t.seen.why, "more than 256 KB"));
    talk_free(&t);
}

static void what_comes_unasked_cannot_pass_for_the_next_answer(void **state)
{
    (void)state;
    struct talk t = talk_new(&nobody);
    char *text = answers("", SERVER, PERSISTENCE, MASTER);
    char *twice = NULL;
    assert_true(asprintf(&twice, "%s%s", text, text) > 0);
    feed(&t, twice);
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_non_null(strstr(t.seen.why, "more than it was asked"));
    talk_free(&t);

    /* The same, after the answer was complete. */
    t = talk_new(&nobody);
    feed(&t, text);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    t.step = PROBE_STEP_READ;
    feed(&t, text);
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    talk_free(&t);
    free(text);
    free(twice);
}

static void any_split_gives_the_same_observation(void **state)
{
    (void)state;
    char *text = answers("+OK\r\n", SERVER, PERSISTENCE, REPLICA);
    size_t len = strlen(text);
    struct talk whole = talk_new(&with_user);
    feed(&whole, text);
    assert_int_equal(whole.step, PROBE_STEP_DONE);
    for (size_t piece = 1; piece < len; piece++) {
        struct talk t = talk_new(&with_user);
        feed_pieces(&t, text, len, piece);
        assert_int_equal(t.step, PROBE_STEP_DONE);
        assert_true(same_observation(&t.seen, &whole.seen));
        talk_free(&t);
    }
    for (size_t cut = 0; cut < len; cut++) {
        struct talk t = talk_new(&with_user);
        feed_pieces(&t, text, cut, SIZE_MAX / 2);
        assert_int_equal(t.step, PROBE_STEP_READ);
        feed_pieces(&t, text + cut, len - cut, SIZE_MAX / 2);
        assert_int_equal(t.step, PROBE_STEP_DONE);
        talk_free(&t);
    }
    free(text);
    talk_free(&whole);
}

static void a_new_connection_starts_afresh(void **state)
{
    (void)state;
    struct talk t = talk_new(&with_password);
    char *text = answers("+OK\r\n", SERVER, PERSISTENCE, MASTER);
    feed_pieces(&t, text, 40, 40); /* and there the connection was cut */
    t.step = redis_probe.start(t.state, &with_password, true, &t.out, &t.out_len);
    assert_non_null(strstr(t.out, "AUTH"));
    feed(&t, text);
    assert_int_equal(t.step, PROBE_STEP_DONE);
    free(text);
    talk_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_three_sections_with_the_offset_last),
        cmocka_unit_test(it_logs_in_once_on_a_new_connection),
        cmocka_unit_test(renamed_commands_are_asked_under_their_names),
        cmocka_unit_test(it_says_goodbye),
        cmocka_unit_test(a_whole_answer_makes_an_observation),
        cmocka_unit_test(an_answer_without_what_must_be_there_is_denied),
        cmocka_unit_test(errors_are_put_into_words),
        cmocka_unit_test(the_password_is_never_told),
        cmocka_unit_test(a_server_too_busy_to_say_is_silent_and_not_denied),
        cmocka_unit_test(nonsense_is_recognised_at_its_first_bytes),
        cmocka_unit_test(an_answer_without_end_is_given_up),
        cmocka_unit_test(what_comes_unasked_cannot_pass_for_the_next_answer),
        cmocka_unit_test(any_split_gives_the_same_observation),
        cmocka_unit_test(a_new_connection_starts_afresh),
    };
    return cmocka_run_group_tests_name("redis_probe", tests, NULL, NULL);
}
