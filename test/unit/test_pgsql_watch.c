#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "login_fixture.h"
#include "proto/pgsql_message.h"
#include "proto/pgsql_watch.h"
#include "proto/proto.h"

static const char tls_request[] = "\0\0\0\x08\x04\xd2\x16\x2f";
static const char gss_request[] = "\0\0\0\x08\x04\xd2\x16\x30";
static const char startup[] = "\0\0\0\x11\0\3\0\0user\0me\0\0";
static const char cancel[] = "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\7keys";
#define LEN(text) (sizeof(text) - 1)

/* R, S, K and Z, as after a login without a password. */
static const char welcome[] = "R\0\0\0\x08\0\0\0\0"
                              "S\0\0\0\x08"
                              "a\0b\0"
                              "K\0\0\0\x0c\0\0\0\7keys"
                              "Z\0\0\0\5I";

static void check_key(const struct login_fixture *f, const char *want, size_t len)
{
    const char *key;
    assert_int_equal(f->dialogue->key(f->state, &key), len);
    assert_memory_equal(key, want, len);
}

static void the_first_message_says_what_a_client_wants(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum login_step want;
    } cases[] = {
        {startup, 7, LOGIN_CLIENT},
        {startup, 8, LOGIN_SERVER},
        {tls_request, 8, LOGIN_SERVER},
        {gss_request, 8, LOGIN_SERVER},
        {cancel, 15, LOGIN_CLIENT},
        {cancel, 16, LOGIN_CANCEL},
        {"\x16", 1, LOGIN_SERVER},
        {"G", 1, LOGIN_BAD},
        {"\0\0\0\x07\0\3\0\0", 8, LOGIN_BAD},
        {"\0\0\x27\x15\0\3\0\0", 8, LOGIN_BAD},
        {"\0\0\x27\x14\0\3\0\2", 8, LOGIN_SERVER},
        {"\0\0\0\x12\0\2\0\0", 8, LOGIN_BAD},
        {"\0\0\0\x09\x04\xd2\x16\x2f", 8, LOGIN_BAD},
        {"\0\0\0\x0f\x04\xd2\x16\x2e", 8, LOGIN_BAD},
        {"\0\0\1\x0d\x04\xd2\x16\x2e", 8, LOGIN_BAD},
        {"\0\0\1\x0c\x04\xd2\x16\x2e", 8, LOGIN_CLIENT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct login_fixture *f = login_fixture_new(&pgsql_login);
        const char *why = "";
        char *copy = login_copy(cases[i].bytes, cases[i].len);
        assert_int_equal(pgsql_login.first(f->state, copy, cases[i].len, &why), cases[i].want);
        free(copy);
        login_fixture_free(f);
    }
}

static void a_request_to_cancel_is_kept_whole(void **state)
{
    (void)state;
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    const char *why;
    struct login_out out;
    pgsql_login.first(f->state, cancel, LEN(cancel), &why);
    check_key(f, "\0\0\0\7keys", 8);
    pgsql_login.request(f->state, &out);
    assert_int_equal(out.len, LEN(cancel));
    assert_memory_equal(out.data, cancel, LEN(cancel));
    login_fixture_free(f);
}

static void the_same_whatever_the_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < LEN(welcome); piece++) {
        struct login_fixture *f = login_fixture_new(&pgsql_login);
        for (size_t at = 0; at < LEN(startup); at += piece) {
            size_t left = LEN(startup) - at;
            login_client(f, startup + at, left < piece ? left : piece);
            assert_int_equal(f->passed_len > 0, at + piece >= 8);
        }
        assert_int_equal(f->passed_len, LEN(startup));
        for (size_t at = 0; at < LEN(welcome); at += piece) {
            size_t left = LEN(welcome) - at;
            /* ReadyForQuery is known by its head. */
            enum login_step want = left <= piece + 1 ? LOGIN_OVER : LOGIN_SERVER;
            assert_int_equal(login_server(f, welcome + at, left < piece ? left : piece), want);
        }
        check_key(f, "\0\0\0\7keys", 8);
        login_fixture_free(f);
    }
}

static void answers_about_encryption_are_waited_for(void **state)
{
    (void)state;
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    login_client(f, gss_request, LEN(gss_request));
    assert_int_equal(login_client(f, tls_request, LEN(tls_request)), LOGIN_SERVER);
    assert_int_equal(f->passed_len, 8);
    assert_int_equal(login_server(f, "N", 1), LOGIN_SERVER); /* the next one has gone on */
    assert_int_equal(f->passed_len, 16);
    assert_int_equal(login_server(f, "N", 1), LOGIN_CLIENT);
    assert_int_equal(login_client(f, startup, LEN(startup)), LOGIN_SERVER);
    assert_int_equal(f->passed_len, 16 + LEN(startup));
    assert_int_equal(login_server(f, welcome, LEN(welcome)), LOGIN_OVER);
    login_fixture_free(f);
}

static void encryption_ends_the_watch(void **state)
{
    (void)state;
    static const char *const answers[] = {"S", "G", "E", "NN", "x"};
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct login_fixture *f = login_fixture_new(&pgsql_login);
        login_client(f, tls_request, LEN(tls_request));
        assert_int_equal(login_server(f, answers[i], strlen(answers[i])), LOGIN_OVER);
        check_key(f, "", 0);
        login_fixture_free(f);
    }
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    assert_int_equal(login_client(f, "\x16\x03\x01", 3), LOGIN_OVER);
    assert_int_equal(f->passed_len, 3);
    login_fixture_free(f);
}

static void a_cancel_may_follow_a_no_to_encryption(void **state)
{
    (void)state;
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    login_client(f, tls_request, LEN(tls_request));
    login_server(f, "N", 1);
    assert_int_equal(login_client(f, cancel, LEN(cancel)), LOGIN_CANCEL);
    check_key(f, "\0\0\0\7keys", 8);
    login_fixture_free(f);
}

static void errors_and_nonsense_end_the_watch(void **state)
{
    (void)state;
    static const char *const heads[] = {"E\0\0\0\x20", "R\0\0\0\3", "R\x7f\0\0\0"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct login_fixture *f = login_fixture_new(&pgsql_login);
        login_client(f, startup, LEN(startup));
        assert_int_equal(login_server(f, heads[i], 5), LOGIN_OVER);
        login_fixture_free(f);
    }
}

static void keys_of_all_lengths(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 300; len++) {
        char bytes[5 + 300] = "K";
        memset(bytes + 5, 'k', len);
        pgsql_put32(bytes + 1, (uint32_t)(4 + len));
        struct login_fixture *f = login_fixture_new(&pgsql_login);
        login_client(f, startup, LEN(startup));
        login_server(f, bytes, 5 + len);
        assert_int_equal(login_server(f, "Z\0\0\0\5I", 6), LOGIN_OVER);
        check_key(f, bytes + 5, len >= 8 && len <= 260 ? len : 0);
        login_fixture_free(f);
    }
}

/* Refusals ---------------------------------------------------------------------------------- */

static const char error[] = "E\0\0\0\x28SFATAL\0VFATAL\0C53300\0Mrouter: full\0";

static void a_refusal_comes_after_the_startup(void **state)
{
    (void)state;
    struct login_out out;
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_READ);
    assert_int_equal(out.len, 0);
    memcpy(f->kept, gss_request, 8);
    memcpy(f->kept + 8, tls_request, 5);
    f->kept_len = 13;
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_READ);
    assert_int_equal(out.len, 1);
    memcpy(f->kept + f->kept_len, tls_request + 5, 3);
    f->kept_len += 3;
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_READ);
    assert_int_equal(out.len, 1);
    assert_int_equal(out.data[0], 'N');
    for (size_t i = 0; i < LEN(startup); i++) {
        memcpy(f->kept + f->kept_len, startup + i, 1);
        f->kept_len++;
        enum refuse_step step = login_refuse(f, REFUSED_SESSIONS, "full", &out);
        assert_int_equal(step, i + 1 < LEN(startup) ? REFUSE_READ : REFUSE_SAID);
    }
    assert_int_equal(out.len, sizeof error);
    assert_memory_equal(out.data, error, sizeof error);
    login_fixture_free(f);
}

static void who_asks_twice_or_otherwise_is_closed(void **state)
{
    (void)state;
    struct login_out out;
    static const struct {
        const char *bytes;
        size_t len;
        size_t said;
    } cases[] = {{"\x16\x03", 2, 0}, {"GET", 3, 0}, {"\0\0\0\x12\0\2\0\0", 8, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct login_fixture *f = login_fixture_new(&pgsql_login);
        memcpy(f->kept, cases[i].bytes, cases[i].len);
        f->kept_len = cases[i].len;
        assert_int_equal(login_refuse(f, REFUSED_TIMEOUT, "late", &out), REFUSE_SAID);
        assert_int_equal(out.len, cases[i].said);
        login_fixture_free(f);
    }
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    memcpy(f->kept, tls_request, 8);
    memcpy(f->kept + 8, tls_request, 8);
    f->kept_len = 16;
    assert_int_equal(login_refuse(f, REFUSED_TIMEOUT, "late", &out), REFUSE_SAID);
    assert_int_equal(out.len, 1);
    login_fixture_free(f);
}

static void a_refused_request_to_cancel_is_one(void **state)
{
    (void)state;
    struct login_out out;
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    memcpy(f->kept, cancel, LEN(cancel));
    f->kept_len = LEN(cancel);
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_CANCEL);
    check_key(f, "\0\0\0\7keys", 8);
    login_fixture_free(f);
}

static void a_login_under_way_is_refused_between_messages(void **state)
{
    (void)state;
    struct login_out out;
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    login_client(f, tls_request, LEN(tls_request));
    memcpy(f->kept, startup, LEN(startup));
    f->kept_len = LEN(startup);
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_SAID);
    assert_int_equal(out.len, 1 + sizeof error);
    assert_int_equal(out.data[0], 'N'); /* in the server's place */
    login_fixture_free(f);
    f = login_fixture_new(&pgsql_login);
    login_client(f, startup, LEN(startup));
    login_server(f, welcome, 9);
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_SAID);
    assert_int_equal(out.len, sizeof error);
    login_server(f, "R", 1);
    assert_int_equal(login_refuse(f, REFUSED_SESSIONS, "full", &out), REFUSE_CUT);
    login_fixture_free(f);
}

static void long_words_are_cut(void **state)
{
    (void)state;
    struct login_out out;
    char words[1000];
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    struct login_fixture *f = login_fixture_new(&pgsql_login);
    memcpy(f->kept, startup, LEN(startup));
    f->kept_len = LEN(startup);
    assert_int_equal(login_refuse(f, REFUSED_CONNECT, words, &out), REFUSE_SAID);
    assert_int_equal(pgsql_get32(out.data + 1), out.len - 1);
    assert_memory_equal(out.data + out.len - 3, "x\0\0", 3);
    login_fixture_free(f);
}

/* Errors in passing ------------------------------------------------------------------------- */

static void role_errors_are_known_by_their_state(void **state)
{
    (void)state;
    static const char *const states[] = {"25006", "57P01", "57P02", "57P03"};
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        char bytes[] = "E\0\0\0\x28SFATAL\0VFATAL\0C53300\0Mrouter: full\0";
        memcpy(bytes + 20, states[i], 5);
        assert_true(proto_pgsql.doubts(bytes, sizeof bytes));
        assert_false(proto_pgsql.doubts(bytes, 22));
    }
    assert_false(proto_pgsql.doubts(error, sizeof error));
    assert_false(proto_pgsql.doubts("E", 1));
    assert_false(proto_pgsql.doubts("E\0\0\0\x20", 5));
    assert_false(proto_pgsql.doubts("E\0\0\0\x20\0C57P01", 12));
    assert_false(proto_pgsql.doubts("D\0\0\0\x20SERROR\0C57P01\0", 19));
}

/* ParseComplete, BindComplete, NoData, and those with a length of their own. */
static void role_errors_are_known_behind_the_answers_of_extended_queries(void **state)
{
    (void)state;
    static const char role_error[] = "E\0\0\0\x1fSERROR\0VERROR\0C25006\0Mno\0\0";
    static const struct {
        const char *bytes;
        size_t len;
        bool seen;
    } before[] = {
        {"1\0\0\0\4", 5, true},
        {"1\0\0\0\4"
         "2\0\0\0\4",
         10, true},
        {"1\0\0\0\4"
         "2\0\0\0\4"
         "n\0\0\0\4",
         15, true},
        {"2\0\0\0\4"
         "T\0\0\0\x06\0\0",
         12, true},
        {"1\0\0\0\4"
         "t\0\0\0\x06\0\0"
         "n\0\0\0\4"
         "2\0\0\0\4",
         22, true},
        {"1\0\0\0\4"
         "D\0\0\0\4",
         10, false},
        {"1\0\0\0\3", 5, false},
        {"1\xff\xff\xff\xff", 5, false},
        {"1\0\1\0\0", 5, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        char bytes[128];
        size_t len = before[i].len + LEN(role_error);
        memcpy(bytes, before[i].bytes, before[i].len);
        memcpy(bytes + before[i].len, role_error, LEN(role_error));
        assert_int_equal(proto_pgsql.doubts(bytes, len), before[i].seen);
        for (size_t n = 1; n < before[i].len; n++) {
            assert_false(proto_pgsql.doubts(bytes, n));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_message_says_what_a_client_wants),
        cmocka_unit_test(a_request_to_cancel_is_kept_whole),
        cmocka_unit_test(the_same_whatever_the_pieces),
        cmocka_unit_test(answers_about_encryption_are_waited_for),
        cmocka_unit_test(encryption_ends_the_watch),
        cmocka_unit_test(a_cancel_may_follow_a_no_to_encryption),
        cmocka_unit_test(errors_and_nonsense_end_the_watch),
        cmocka_unit_test(keys_of_all_lengths),
        cmocka_unit_test(a_refusal_comes_after_the_startup),
        cmocka_unit_test(who_asks_twice_or_otherwise_is_closed),
        cmocka_unit_test(a_refused_request_to_cancel_is_one),
        cmocka_unit_test(a_login_under_way_is_refused_between_messages),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(role_errors_are_known_by_their_state),
        cmocka_unit_test(role_errors_are_known_behind_the_answers_of_extended_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
