/* Promise: no option is accepted and ignored; what excludes each other is told; no message and no
 * dump shows a password; the dump is a configuration again and says where each value came from. */
#include "config_fixture.h"
#include "model/secret.h"

#include <stdio.h>
#include <unistd.h>

#include "base/macros.h"
#include "model/config_internal.h"

#define TCP_WITH(frontend, backend)                                                                \
    "[frontend f]\nbind = 127.0.0.1:7000\nbackend = b\n" frontend                                  \
    "[backend b]\nprotocol = tcp\nserver = one 127.0.0.1:7001\n" backend

/* Effects ----------------------------------------------------------------------------------- */

/* `line` is the last line of a file that begins with `file`. */
static void assert_no_effect(const char *file, const char *line, const char *with)
{
    char text[512];
    char expected[256];
    unsigned lines = 1;
    for (const char *p = file; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    snprintf(text, sizeof(text), "%s%s\n", file, line);
    snprintf(expected, sizeof(expected), "r.ini:%u: \"%.*s\" has no effect with %s\n", lines,
             (int)strcspn(line, " "), line, with);
    assert_errors(text, expected);
}

static void options_without_an_effect_are_refused(void **state)
{
    static const char *const of_roles[] = {
        "on_demotion = close", "on_conflict = keep", "conflict_timeout = 2s", "max_lag = none",
        "probe_keep = yes",    "probe_password = x", "probe_command = INFO=X"};
    static const char *const of_probes[] = {"probe_interval = 1s", "probe_fast_interval = 50ms",
                                            "probe_timeout = 500ms", "probe_rise = 1",
                                            "probe_fall = 2"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(of_roles); i++) {
        assert_no_effect(TCP_WITH("", ""), of_roles[i], "protocol = tcp");
        assert_no_effect(FILE_WITH("route = any\n", "probe = connect\n"), of_roles[i],
                         "probe = connect");
        assert_no_effect(FILE_WITH("route = any\n", "probe = off\n"), of_roles[i], "probe = off");
    }
    for (size_t i = 0; i < ARRAY_LEN(of_probes); i++) {
        char text[256];
        assert_no_effect(TCP_WITH("", "probe = off\n"), of_probes[i], "probe = off");
        snprintf(text, sizeof(text), TCP_WITH("", "probe = connect\n%s\n"), of_probes[i]);
        config_free(load(text));
    }
    assert_errors(FILE_WITH("fallback = none\n", ""),
                  "r.ini:4: \"fallback\" has no effect with route = primary\n");
    assert_errors(TCP_WITH("fallback = none\n", ""),
                  "r.ini:4: \"fallback\" has no effect with route = any\n");
    config_free(load(FILE_WITH("route = replica\nfallback = none\n", "")));
}

static void a_route_by_role_needs_somebody_who_asks_for_roles(void **state)
{
    (void)state;
    assert_errors(
        TCP_WITH("route = primary\n", ""),
        "r.ini:4: route = primary needs roles, and protocol = tcp of [backend b] has none: "
        "write \"route = any\"\n");
    assert_errors(FILE_WITH("route = slave\n", "probe = off\n"),
                  "r.ini:4: route = replica needs roles, and with probe = off nobody asks "
                  "[backend b] for them: write \"probe = auto\" there, or \"route = any\" here\n");
    assert_errors(FILE_WITH("", "probe = connect\n"),
                  "r.ini:1: route = primary (that is what auto means here) needs roles, and with "
                  "probe = connect nobody asks [backend b] for them: write \"probe = auto\" there, "
                  "or \"route = any\" here\n");
    config_free(load(FILE_WITH("route = any\n", "probe = off\n")));
}

static void an_open_admin_address_must_be_meant(void **state)
{
    static const char *const open[] = {"0.0.0.0:8404", ":8404", "[::]:8404", "10.0.0.1:8404"};
    static const char *const closed[] = {"127.0.0.2:8404", "[::1]:8404", "unix:/run/admin.sock"};
    char text[512];
    char expected[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        snprintf(text, sizeof(text), "[router]\nadmin = %s\n%s", open[i], SHORTEST);
        snprintf(expected, sizeof(expected),
                 "r.ini:2: admin = %s is open to other machines and asks for no password: set "
                 "\"admin_user\" and \"admin_password\", or write \"admin_open = yes\" if that is "
                 "meant, or a loopback address\n",
                 open[i]);
        assert_errors(text, expected);
        snprintf(text, sizeof(text), "[router]\nadmin = %s\nadmin_open = yes\n%s", open[i],
                 SHORTEST);
        config_free(load(text));
        snprintf(text, sizeof(text), "[router]\nadmin = %s\nadmin_user = a\nadmin_password = b\n%s",
                 open[i], SHORTEST);
        config_free(load(text));
        /* A variable of the environment that is empty is no password. */
        snprintf(text, sizeof(text), "[router]\nadmin = %s\nadmin_password = ${NONE:-}\n%s",
                 open[i], SHORTEST);
        assert_errors(text, expected);
    }
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
        snprintf(text, sizeof(text), "[router]\nadmin = %s\n%s", closed[i], SHORTEST);
        config_free(load(text));
    }
    assert_errors("[router]\nadmin = localhost:1\n" SHORTEST,
                  "r.ini:2: bad value \"localhost:1\" for \"admin\": an address to listen on is "
                  "numeric, write 127.0.0.1 or [::1]\n");
}

static void the_admin_password_needs_all_its_parts(void **state)
{
    (void)state;
    assert_errors("[router]\nadmin_user = ops\n" SHORTEST,
                  "r.ini:2: \"admin_user\" needs \"admin_password\" or \"admin_password_file\"\n");
    assert_errors("[router]\nadmin_user = ops\nadmin_password = ${NONE:-}\n" SHORTEST,
                  "r.ini:2: \"admin_user\" needs \"admin_password\" or \"admin_password_file\"\n");
    assert_errors("[router]\nadmin_password = x\n" SHORTEST,
                  "r.ini:2: \"admin_password\" needs \"admin_user\"\n");
    assert_errors("[router]\nadmin_user = a:b\nadmin_password = x\n" SHORTEST,
                  "r.ini:2: \"admin_user\" has a colon in it\n");
    assert_errors("[router]\nmetrics_open = yes\n" SHORTEST,
                  "r.ini:2: \"metrics_open\" has no effect with no \"admin_password\"\n");
    assert_errors("[router]\nadmin = off\nadmin_user = a\n" SHORTEST,
                  "r.ini:3: \"admin_user\" needs \"admin_password\" or \"admin_password_file\"\n"
                  "r.ini:3: \"admin_user\" has no effect with admin = off\n");
}

/* Passwords --------------------------------------------------------------------------------- */

static void a_password_is_given_once_and_can_be_read(void **state)
{
    (void)state;
    assert_errors(
        FILE_WITH("", "probe_password = x\nprobe_password_file = /dev/null\n"),
        "r.ini:8: \"probe_password_file\" and \"probe_password\" (line 7) are both set\n");
    assert_errors(FILE_WITH("", "probe_user = x\n"),
                  "r.ini:7: \"probe_user\" needs \"probe_password\" or \"probe_password_file\"\n");
    assert_errors(FILE_WITH("", "probe_password_file = /not/there\n"),
                  "r.ini:7: cannot read the password from /not/there: No such file or directory\n");
    assert_errors(FILE_WITH("", "probe_password_file = /\n"),
                  "r.ini:7: cannot read the password from /: it is a directory\n");
    assert_errors(FILE_WITH("", "probe_password_file = /dev/zero\n"),
                  "r.ini:7: cannot read the password from /dev/zero: it is no file\n");
}

static void check_file_error(const char *content, size_t len, const char *why)
{
    char path[] = "/tmp/router-test-XXXXXX";
    char text[512];
    char expected[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    close(fd);
    snprintf(text, sizeof(text), FILE_WITH("", "probe_password_file = %s\n"), path);
    snprintf(expected, sizeof(expected), "r.ini:7: cannot read the password from %s: %s\n", path,
             why);
    char *errors = errors_of(text);
    unlink(path);
    assert_string_equal(errors, expected);
    free(errors);
}

static void a_password_file_holds_a_password(void **state)
{
    static char large[SECRET_BYTES_MAX + 1];
    (void)state;
    memset(large, 'x', sizeof(large));
    check_file_error("", 0, "it is empty");
    check_file_error("\n", 1, "it is empty");
    check_file_error("a\0b", 3, "it has a NUL byte");
    check_file_error(large, sizeof(large), "it has more than 4096 bytes");
}

static void no_message_shows_a_password(void **state)
{
    static const char *const lines[] = {
        "probe_password = hunter2\nprobe_password = hunter2",
        "probe_password hunter2",
        "probe_password = ${hunter2",
        "probe_password = hunter2${",
        "probe_password = hunter2${}",
        "probe_password = ${hunter2 x}",
        "probe_password = hunter2 ${NOT_THERE}",
        "probe_password = \"hunter2",
        "probe_password = \"hunter2\" hunter2",
        "probe_pasword = hunter2",
        "probe_passw = hunter2",
        "password = hunter2",
        "hunter2",
        "  hunter2 = ",
        "probe_password = hunter2\nprobe = off",
        "probe_password = hunter2\nprobe_password_file = /not/there",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char text[512];
        snprintf(text, sizeof(text), FILE_WITH("", "%s\n"), lines[i]);
        char *errors = errors_of(text);
        if (strstr(lines[i], "hunter2 = ") == NULL) { /* here it stands where a key does */
            assert_null(strstr(errors, "hunter2"));
        }
        free(errors);
    }
}

static void the_environment_is_asked_exactly(void **state)
{
    (void)state;
    unsetenv("ROUTER_NONE");
    assert_errors(FILE_WITH("", "balance = ${ROUTER_NONE}\n"),
                  "r.ini:7: the environment has no variable ROUTER_NONE (${ROUTER_NONE:-default} "
                  "would do without)\n");
    assert_errors(FILE_WITH("", "balance = ${ROUTER_NONE\n"), "r.ini:7: \"${\" has no \"}\"\n");
    assert_errors(FILE_WITH("", "balance = ${1X}\n"),
                  "r.ini:7: \"${\" must be followed by the name of a variable\n");
    assert_errors(FILE_WITH("", "balance = ${ROUTER_NONE-first}\n"),
                  "r.ini:7: write ${ROUTER_NONE} or ${ROUTER_NONE:-default}\n");
    assert_errors(FILE_WITH("", "balance = ${A:-${B}}\n"),
                  "r.ini:7: a \"${\" cannot stand inside another\n");
    assert_errors(FILE_WITH("", "balance = ${ROUTER_NONE:-}\n"),
                  "r.ini:7: the value of \"balance\" is empty\n");
}

/* The dump ---------------------------------------------------------------------------------- */

static void assert_line(const char *text, const char *line)
{
    char whole[256];
    snprintf(whole, sizeof(whole), "\n%s\n", line);
    if (strstr(text, whole) == NULL) {
        print_error("no line \"%s\" in:\n%s", line, text);
    }
    assert_non_null(strstr(text, whole));
}

static void the_dump_says_where_each_value_came_from(void **state)
{
    setenv("ROUTER_SECRET", "hunter2", 1);
    struct config *c = load(FILE_WITH(
        "deny = 10.0.0.1\nallow = 10.0.0.0/8\n",
        "server = two 10.0.0.2:1 backup weight=3 server_max_connections=none\n"
        "probe_password = ${ROUTER_SECRET}\nprobe_user = \"a #b \\\" \"\nmax_lag = 10min\n"));
    char *text = dump(c);
    (void)state;
    assert_null(strstr(text, "hunter2"));
    assert_line(text, "workers = auto                               ; default");
    assert_line(text, "bind = 127.0.0.1:7000                        ; r.ini:2");
    assert_line(text, "deny = 10.0.0.1/32                           ; r.ini:4\n"
                      "allow = 10.0.0.0/8                           ; r.ini:5");
    assert_line(text, "route = auto                                 ; default, here it means "
                      "primary");
    assert_line(text, "; fallback = primary                         ; default, no effect with "
                      "route = primary");
    assert_line(text, "server = two 10.0.0.2:1 weight=3 server_max_connections=none backup ; "
                      "r.ini:9");
    assert_line(text, "; probe_password = (set)                     ; r.ini:10 (environment)");
    assert_line(text, "probe_user = \"a #b \\\" \"                      ; r.ini:11");
    assert_line(text, "max_lag = 10min                              ; r.ini:12");
    assert_line(text, "queue_limit = 1024                           ; default");
    free(text);
    config_free(c);
}

static void the_dump_is_a_configuration_that_says_the_same(void **state)
{
    struct config *c = load("[router]\nadmin = off\nworkers = 2\n" TCP_WITH(
        "bind = [::1]:7000\nbind = unix:/run/x.sock\nallow = ::1\ndeny = 10.0.0.0/8\n"
        "idle_timeout = 90s\n",
        "server = two 10.0.0.2:1 backup weight=3 server_max_connections=5\n"
        "queue_timeout = 1500ms\nbalance = random\nprobe = connect\n"));
    char *first = dump(c);
    config_free(c);
    c = load(first);
    char *second = dump(c);
    config_free(c);
    (void)state;
    assert_true(strlen(first) > 1000);
    assert_same(first, second);
    free(first);
    free(second);
}

static void check_connections(const char *frontend, const char *backend, const char *line)
{
    char text[512];
    snprintf(text, sizeof(text), TCP_WITH("%s", "%s"), frontend, backend);
    struct config *c = load(text);
    char *shown = dump(c);
    assert_line(shown, line);
    free(shown);
    config_free(c);
}

static void the_dump_counts_the_connections_of_each_server(void **state)
{
    (void)state;
    check_connections("", "",
                      ";   b/one: no limit but the router's own (max_sessions = auto), and 1 "
                      "for the probe");
    check_connections("", "probe = off\nserver_max_connections = 9\n",
                      ";   b/one: 9 (server_max_connections)");
    check_connections("max_sessions = 5\n", "probe = off\nserver_max_connections = 9\n",
                      ";   b/one: 5 (max_sessions)");
    check_connections("max_sessions = 5\n[frontend g]\nbind = :1\nbackend = b\nmax_sessions = 6\n",
                      "probe = off\n", ";   b/one: 11 (max_sessions)");
    check_connections("max_sessions = 5\n[frontend g]\nbind = :1\nbackend = b\n"
                      "[router]\nmax_sessions = 7\n",
                      "probe = off\n", ";   b/one: 7 (max_sessions)");
    check_connections("max_sessions = 5\n[router]\nmax_sessions = 3\n", "probe = off\n",
                      ";   b/one: 3 (max_sessions)");
    check_connections("[backend c]\nprotocol = tcp\nserver = x 10.0.0.1:1\n", "",
                      ";   c/x: 0 (no frontend uses it), and 1 for the probe");
}

static void the_manual_has_every_option(void **state)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    config_manual(out);
    fclose(out);
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        char item[128];
        snprintf(item, sizeof(item), ".It Ic %s No = ", config_options[i].key);
        assert_non_null(strstr(text, item));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_without_an_effect_are_refused),
        cmocka_unit_test(a_route_by_role_needs_somebody_who_asks_for_roles),
        cmocka_unit_test(an_open_admin_address_must_be_meant),
        cmocka_unit_test(the_admin_password_needs_all_its_parts),
        cmocka_unit_test(a_password_is_given_once_and_can_be_read),
        cmocka_unit_test(a_password_file_holds_a_password),
        cmocka_unit_test(no_message_shows_a_password),
        cmocka_unit_test(the_environment_is_asked_exactly),
        cmocka_unit_test(the_dump_says_where_each_value_came_from),
        cmocka_unit_test(the_dump_is_a_configuration_that_says_the_same),
        cmocka_unit_test(the_dump_counts_the_connections_of_each_server),
        cmocka_unit_test(the_manual_has_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
