#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/proto.h"

static void protocols_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(proto_find("redis"), &proto_redis);
    assert_ptr_equal(proto_find("tcp"), &proto_tcp);
    assert_null(proto_find("Redis"));
    assert_null(proto_find("redi"));
    assert_null(proto_find(""));
}

static void redis_has_roles_and_tcp_has_not(void **state)
{
    (void)state;
    assert_true(proto_redis.has_roles);
    assert_non_null(proto_redis.dialogue);
    assert_false(proto_tcp.has_roles);
    assert_null(proto_tcp.dialogue);
    assert_null(proto_tcp.doubts);
}

static void a_refusal_is_an_error_reply(void **state)
{
    (void)state;
    char out[64];
    static const char want[] = "-ERR router: no primary\r\n";
    size_t len = proto_redis.refuse(REFUSED_TIMEOUT, "no primary", out, sizeof(out));
    assert_int_equal(len, strlen(want));
    assert_memory_equal(out, want, len);
}

static void a_long_refusal_is_cut_but_still_a_whole_reply(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 40; size++) {
        char out[48];
        memset(out, '#', sizeof(out));
        size_t len = proto_redis.refuse(REFUSED_SESSIONS, "0123456789abcdef", out, size);
        assert_true(len <= size);
        assert_int_equal(out[size], '#');
        if (len > 0) {
            assert_memory_equal(out + len - 2, "\r\n", 2);
            assert_ptr_equal(memchr(out, '\r', len), out + len - 2);
        }
    }
}

static void tcp_just_closes(void **state)
{
    (void)state;
    char out[64];
    assert_int_equal(proto_tcp.refuse(REFUSED_TIMEOUT, "no server", out, sizeof(out)), 0);
}

static void errors_that_name_a_role_raise_doubts(void **state)
{
    (void)state;
    static const char *const doubts[] = {
        "-READONLY You can't write against a read only replica.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
        "-UNBLOCKED force unblock from blocking operation, instance state changed\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(doubts); i++) {
        assert_true(proto_redis.doubts(doubts[i], strlen(doubts[i])));
    }
}

static void other_replies_raise_none(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "+OK\r\n",
        "-ERR syntax error\r\n",
        "$9\r\n-READONLY \r\n",
        ":1\r\n",
        "-",
        "-READONL",
        "-READONLYX\r\n",
        "-LOADING",
        "*1\r\n-LOADING x\r\n",
        "-WRONGTYPE Operation\r\n",
        "READONLY ",
    };
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        assert_false(proto_redis.doubts(fine[i], strlen(fine[i])));
    }
    /* Only the bytes it was given. */
    assert_false(proto_redis.doubts("-READONLY You can't", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocols_are_found_by_name),
        cmocka_unit_test(redis_has_roles_and_tcp_has_not),
        cmocka_unit_test(a_refusal_is_an_error_reply),
        cmocka_unit_test(a_long_refusal_is_cut_but_still_a_whole_reply),
        cmocka_unit_test(tcp_just_closes),
        cmocka_unit_test(errors_that_name_a_role_raise_doubts),
        cmocka_unit_test(other_replies_raise_none),
    };
    return cmocka_run_group_tests_name("redis_proto", tests, NULL, NULL);
}
