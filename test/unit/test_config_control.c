/* Promise: a control socket has the permissions and the level that are written, or those that are
 * safe; whatever else stands there is told. */
#include "config_fixture.h"

#include "base/macros.h"

#define CONTROL(value) "[router]\ncontrol = " value "\n" SHORTEST
#define ERROR(what)    "r.ini:2: bad value " what "\n"

static void a_socket_is_for_its_owner_alone_and_may_do_all(void **state)
{
    struct config *c = load(CONTROL("/run/router.sock"));
    (void)state;
    assert_int_equal(c->router.controls.count, 1);
    const struct control_config *control = &c->router.controls.items[0];
    assert_string_equal(control->path, "/run/router.sock");
    assert_int_equal(control->address.sa.any.sa_family, AF_UNIX);
    assert_string_equal(control->address.sa.path.sun_path, "/run/router.sock");
    assert_int_equal(control->mode, 0600);
    assert_int_equal(control->level, CONTROL_ADMIN);
    config_free(c);
}

static void several_sockets_have_modes_and_levels(void **state)
{
    struct config *c = load(CONTROL("/a mode=660 level=operator\ncontrol = /b level=user mode=0666"
                                    "\ncontrol = /c level=admin"));
    (void)state;
    const struct control_config *items = c->router.controls.items;
    assert_int_equal(c->router.controls.count, 3);
    assert_int_equal(items[0].mode, 0660);
    assert_int_equal(items[0].level, CONTROL_OPERATOR);
    assert_int_equal(items[1].mode, 0666);
    assert_int_equal(items[1].level, CONTROL_USER);
    assert_int_equal(items[2].level, CONTROL_ADMIN);
    char *text = dump(c);
    assert_non_null(strstr(text, "\ncontrol = /a mode=660 level=operator"));
    assert_non_null(strstr(text, "\ncontrol = /b mode=666 level=user"));
    assert_non_null(strstr(text, "\ncontrol = /c  "));
    free(text);
    config_free(c);
}

static void there_is_none_unless_it_is_written(void **state)
{
    struct config *c = load(SHORTEST);
    (void)state;
    assert_int_equal(c->router.controls.count, 0);
    config_free(c);
}

#define LONG "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void what_is_wrong_is_told(void **state)
{
    static const struct mistake cases[] = {
        {CONTROL("run/s"),
         ERROR("\"run/s\" for \"control\": the path of a unix socket begins with a slash")},
        {CONTROL(LONG LONG), ERROR("\"" LONG LONG "\" for \"control\": the path of a unix socket "
                                   "has at most 107 bytes")},
        {CONTROL("/s mode=8"),
         ERROR("\"mode=8\" for \"control\": expected permissions in octal, from 600 to 777")},
        {CONTROL("/s mode=066"),
         ERROR("\"mode=066\" for \"control\": expected permissions in octal, from 600 to 777")},
        {CONTROL("/s mode=4755"),
         ERROR("\"mode=4755\" for \"control\": expected permissions in octal, from 600 to 777")},
        {CONTROL("/s mode="),
         ERROR("\"mode=\" for \"control\": expected permissions in octal, from 600 to 777")},
        {CONTROL("/s level=admn"),
         ERROR("\"level=admn\" for \"control\": a level is user, operator "
               "or admin, did you mean \"admin\"?")},
        {CONTROL("/s\ncontrol = /s"), "r.ini:3: bad value \"/s\" for \"control\": this control "
                                      "socket is there already\n"},
        {CONTROL("/s user=root"), ERROR("\"user=root\" for \"control\": expected PATH [mode=600] "
                                        "[level=user|operator|admin]; PATH begins with a slash")},
    };
    (void)state;
    check(cases, ARRAY_LEN(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_is_for_its_owner_alone_and_may_do_all),
        cmocka_unit_test(several_sockets_have_modes_and_levels),
        cmocka_unit_test(there_is_none_unless_it_is_written),
        cmocka_unit_test(what_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
