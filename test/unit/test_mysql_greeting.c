/* How a server greets, as its probe tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "mysql_fake.h"

/* For a router that greets in the server's place: who cannot log in has read the greeting too. */
static void the_greeting_is_told_of_a_login_that_fails(void **state)
{
    (void)state;
    struct talk t = talk_new(&router);
    fake_greet(&t, "9.7.0\x1b-\xe9", SERVER_CAPS, SHA2);
    fake_error(&t, 1045, "Access denied for user 'router'@'localhost'");
    assert_int_equal(t.step, PROBE_STEP_FAIL);
    assert_int_equal(t.seen.reach, REACH_DENIED);
    assert_string_equal(t.seen.greeting.version, "9.7.0?-?");
    assert_string_equal(t.seen.greeting.plugin, SHA2);
    assert_int_equal(t.seen.greeting.capabilities, SERVER_CAPS);
    assert_int_equal(t.seen.greeting.extended, 0);
    talk_free(&t);
}

static void what_is_too_long_of_a_greeting_is_cut(void **state)
{
    (void)state;
    char version[100] = "";
    memset(version, '8', sizeof version - 1);
    struct talk t = talk_new(&router);
    fake_greet(&t, version, SERVER_CAPS, NATIVE);
    assert_int_equal(t.step, PROBE_STEP_READ);
    assert_int_equal(strlen(t.seen.greeting.version), GREETING_VERSION_MAX - 1);
    assert_string_equal(t.seen.greeting.plugin, NATIVE);
    talk_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_is_told_of_a_login_that_fails),
        cmocka_unit_test(what_is_too_long_of_a_greeting_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
