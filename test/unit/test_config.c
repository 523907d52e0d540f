/* Promise: a good file means what it says. What is said of bad ones is in test_config_errors.c. */
#include "config_fixture.h"

#include <unistd.h>

#include "base/macros.h"
#include "model/config_internal.h"
#include "model/secret.h"
#include "proto/proto.h"

static const char shortest[] = SHORTEST;

static void the_shortest_file_has_all_defaults(void **state)
{
    struct config *c = load(shortest);
    const struct backend_config *b = &c->backends[0];
    (void)state;
    assert_int_equal(c->frontend_count, 1);
    assert_int_equal(c->backend_count, 1);
    assert_int_equal(c->server_count, 1);
    assert_int_equal(c->router.workers, 0);
    assert_string_equal(c->router.admin, "127.0.0.1:8404");
    assert_false(c->router.admin_written);
    assert_int_equal(c->router.log_level, LOG_LEVEL_INFO);
    assert_int_equal(c->router.drain_timeout, 30000);
    assert_int_equal(c->frontends[0].idle_timeout, 0);
    assert_ptr_equal(b->protocol, &proto_redis);
    assert_int_equal(b->balance, BALANCE_ROUND_ROBIN);
    assert_int_equal(b->queue_limit, 1024);
    assert_int_equal(b->queue_timeout, 10000);
    assert_int_equal(b->probe_interval, 1000);
    assert_int_equal(b->probe_fall, 2);
    assert_true(b->probe_keep);
    assert_null(b->probe_password);
    assert_int_equal(b->on_demotion.drain_ms, 0);
    assert_int_equal(b->max_lag.ms + b->max_lag.bytes, 0);
    assert_int_equal(b->servers.items[0].weight, 1);
    assert_int_equal(b->servers.items[0].max_connections, 0);
    config_free(c);
}

static void every_default_is_within_its_own_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        struct config_errors errors = {.path = "r.ini"};
        union {
            uint64_t number;
            void *pointer;
            char bytes[256];
        } member = {0};
        char value[64];
        struct parse p = {.errors = &errors, .option = o, .value = value};
        snprintf(value, sizeof(value), "%s", o->default_);
        if (value[0] == '\0') {
            continue;
        }
        assert_true(o->type->parse(&p, &member));
        if (o->type->release != NULL) {
            o->type->release(&member);
        }
    }
}

static void every_key_can_be_set(void **state)
{
    struct config *c = load("[router]\nworkers = 3\nadmin = [::1]:9\nadmin_open = yes\n"
                            "log_level = debug\nlog_sessions = errors\nmax_sessions = 500\n"
                            "start_timeout = 0\ndrain_timeout = 1d\n" FILE_WITH(
                                "route = any\nallow = ::1\nmax_sessions = 5\n"
                                "max_sessions_per_ip = 6\nsession_rate = 7\n"
                                "session_rate_per_ip = 8\nidle_timeout = 100ms\n",
                                "balance = ip_hash\nserver_max_connections = 9\nqueue_limit = 0\n"
                                "queue_timeout = 10m\nconnect_timeout = 3s\nconnect_retries = 0\n"
                                "on_demotion = drain  7s\non_conflict = refuse\n"
                                "conflict_timeout = 0s\nmax_lag = 64k\nprobe_keep = no\n"
                                "probe_interval = 2s\nprobe_fast_interval = 5ms\n"
                                "probe_timeout = 1min\nprobe_rise = 3\nprobe_fall = 4\n"
                                "probe_user = u\nprobe_password = p\nprobe_command = info=X\n"
                                "tcp_keepalive = 1s\ntcp_user_timeout = 2s\n"));
    const struct frontend_config *f = &c->frontends[0];
    const struct backend_config *b = &c->backends[0];
    (void)state;
    assert_int_equal(c->router.workers, 3);
    assert_string_equal(c->router.admin, "[::1]:9");
    assert_true(c->router.admin_written && c->router.admin_open);
    assert_int_equal(c->router.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->router.log_sessions, LOG_SESSIONS_ERRORS);
    assert_int_equal(c->router.max_sessions, 500);
    assert_int_equal(c->router.start_timeout, 0);
    assert_int_equal(c->router.drain_timeout, 86400000);
    assert_int_equal(f->max_sessions, 5);
    assert_int_equal(f->max_sessions_per_ip, 6);
    assert_int_equal(f->session_rate, 7);
    assert_int_equal(f->session_rate_per_ip, 8);
    assert_int_equal(f->idle_timeout, 100);
    assert_int_equal(b->balance, BALANCE_IP_HASH);
    assert_int_equal(b->server_max_connections, 9);
    assert_int_equal(b->queue_limit, 0);
    assert_int_equal(b->queue_timeout, 600000);
    assert_int_equal(b->connect_timeout, 3000);
    assert_int_equal(b->connect_retries, 0);
    assert_int_equal(b->on_demotion.drain_ms, 7000);
    assert_int_equal(b->on_conflict, CONFLICT_REFUSE);
    assert_int_equal(b->conflict_timeout, 0);
    assert_int_equal(b->max_lag.bytes, 65536);
    assert_int_equal(b->max_lag.ms, 0);
    assert_false(b->probe_keep);
    assert_int_equal(b->probe_interval, 2000);
    assert_int_equal(b->probe_fast_interval, 5);
    assert_int_equal(b->probe_timeout, 60000);
    assert_int_equal(b->probe_rise, 3);
    assert_int_equal(b->probe_fall, 4);
    assert_string_equal(b->probe_user, "u");
    assert_string_equal(b->probe_password, "p");
    assert_string_equal(b->probe_commands.items[0].name, "INFO");
    assert_string_equal(b->probe_commands.items[0].alias, "X");
    assert_int_equal(b->tcp_keepalive, 1000);
    assert_int_equal(b->tcp_user_timeout, 2000);
    config_free(c);
}

/* Routes ------------------------------------------------------------------------------------ */

static enum route route_of(const char *text)
{
    struct config *c = load(text);
    enum route route = c->frontends[0].route;
    config_free(c);
    return route;
}

static void auto_becomes_what_it_means_for_the_protocol(void **state)
{
    struct config *c = load(shortest);
    (void)state;
    assert_int_equal(c->frontends[0].route, ROUTE_PRIMARY);
    assert_true(c->frontends[0].route_auto);
    config_free(c);
    assert_int_equal(route_of("[frontend f]\nbind = :1\nbackend = b\nroute = auto\n"
                              "[backend b]\nprotocol = tcp\nserver = one 10.0.0.1:1\n"),
                     ROUTE_ANY);
}

static void master_and_slave_mean_primary_and_replica(void **state)
{
    (void)state;
    assert_int_equal(route_of(FILE_WITH("route = master\n", "")), ROUTE_PRIMARY);
    assert_int_equal(route_of(FILE_WITH("route = slave\nfallback = master\n", "")), ROUTE_REPLICA);
}

/* Lists ------------------------------------------------------------------------------------- */

static void allow_and_deny_keep_their_order(void **state)
{
    struct config *c =
        load(FILE_WITH("deny = 10.0.0.1\nallow = 10.0.0.0/8\ndeny = 0.0.0.0/0\n", ""));
    const struct access_list *list = &c->frontends[0].access;
    (void)state;
    assert_int_equal(list->count, 3);
    assert_false(list->items[0].allow);
    assert_true(list->items[1].allow);
    assert_false(list->items[2].allow);
    assert_int_equal(list->items[1].range.bits, 96 + 8);
    config_free(c);
}

static void servers_take_the_backends_cap_unless_they_have_their_own(void **state)
{
    struct config *c =
        load(FILE_WITH("", "server = two 10.0.0.2:1 server_max_connections=7 backup\n"
                           "server = three 10.0.0.3:1 server_max_connections=none\n"
                           "server_max_connections = 50\n"));
    const struct server_config *s = c->backends[0].servers.items;
    (void)state;
    assert_int_equal(s[0].max_connections, 50);
    assert_int_equal(s[1].max_connections, 7);
    assert_true(s[1].backup && !s[0].backup);
    assert_int_equal(s[2].max_connections, 0);
    config_free(c);
}

static void servers_are_numbered_over_all_backends(void **state)
{
    struct config *c = load("[backend a]\nprotocol = tcp\nserver = x 10.0.0.1:1\n"
                            "server = y 10.0.0.2:1 weight=256\n"
                            "[backend b]\nprotocol = tcp\nserver = x 10.0.0.1:1\n"
                            "[frontend f]\nbind = :1\nbackend = b\n");
    (void)state;
    assert_int_equal(c->server_count, 3);
    assert_int_equal(c->backends[0].servers.items[1].id, 1);
    assert_int_equal(c->backends[0].servers.items[1].weight, 256);
    assert_int_equal(c->backends[1].servers.items[0].id, 2);
    assert_int_equal(c->frontends[0].backend, 1);
    assert_int_equal(c->backends[1].index, 1);
    config_free(c);
}

/* Text -------------------------------------------------------------------------------------- */

static void check_password(const char *written, const char *meant)
{
    char file[CONFIG_LINE_MAX + 512];
    snprintf(file, sizeof(file), "%sprobe_password = %s\n", shortest, written);
    struct config *c = load(file);
    assert_string_equal(c->backends[0].probe_password, meant);
    config_free(c);
}

static void comments_begin_behind_white_space_only(void **state)
{
    (void)state;
    check_password("a#b;c", "a#b;c");
    check_password("a #b", "a");
    check_password("a\t; b", "a");
    check_password("a   ", "a");
    check_password("\"a #b ;c\"", "a #b ;c");
    check_password("\"a\" # b", "a");
    check_password("\"  a  \"", "  a  ");
}

static void quotes_and_backslashes_can_be_written(void **state)
{
    (void)state;
    check_password("\"a\\\"b\"", "a\"b");
    check_password("\"a\\\\\"", "a\\");
    check_password("\"a\\b\"", "a\\b");
    check_password("a\\b\"c\"", "a\\b\"c\"");
    check_password("a=b", "a=b");
    check_password("k: v", "k: v");
}

static void a_value_may_be_as_long_as_a_line(void **state)
{
    static char value[CONFIG_LINE_MAX - sizeof("probe_password = ") + 2];
    (void)state;
    memset(value, 'x', sizeof(value) - 1);
    check_password(value, value);
}

static void indentation_line_ends_and_a_byte_order_mark_mean_nothing(void **state)
{
    struct config *c = load("\xef\xbb\xbf; a comment\r\n# another\r\n \t[frontend f]  # here\r\n"
                            "bind=:1\r\n    backend   =   b\r\n\r\n"
                            "\t[ backend\tb ]\r\n  ; indented\n  protocol=tcp\n"
                            "      server = one 10.0.0.1:1\n        server = two 10.0.0.2:1");
    (void)state;
    assert_int_equal(c->backends[0].servers.count, 2);
    assert_string_equal(c->backends[0].name, "b");
    config_free(c);
}

static void names_may_be_63_bytes_long(void **state)
{
    char name[CONFIG_NAME_MAX + 1];
    char file[512];
    memset(name, 'n', CONFIG_NAME_MAX);
    name[CONFIG_NAME_MAX] = '\0';
    snprintf(file, sizeof(file),
             "[frontend f]\nbind = :1\nbackend = %s\n[backend %s]\nprotocol = tcp\n"
             "server = %s 10.0.0.1:1\n",
             name, name, name);
    struct config *c = load(file);
    (void)state;
    assert_string_equal(c->backends[0].name, name);
    config_free(c);
}

/* The environment --------------------------------------------------------------------------- */

static void variables_are_replaced_once_and_their_values_are_text(void **state)
{
    (void)state;
    setenv("ROUTER_A", "x", 1);
    setenv("ROUTER_B", "a #b ;c \"d\" ${ROUTER_A}", 1);
    setenv("ROUTER_EMPTY", "", 1);
    unsetenv("ROUTER_NONE");
    check_password("${ROUTER_A}", "x");
    check_password("1${ROUTER_A}2${ROUTER_A}3", "1x2x3");
    check_password("${ROUTER_B}", "a #b ;c \"d\" ${ROUTER_A}");
    check_password("\"${ROUTER_B}\"", "a #b ;c \"d\" ${ROUTER_A}");
    check_password("${ROUTER_NONE:-default}", "default");
    check_password("${ROUTER_EMPTY:-default}", "default");
    check_password("${ROUTER_A:-default}", "x");
    check_password("a$b $ROUTER_A$", "a$b $ROUTER_A$");
}

static void an_optional_text_may_be_empty(void **state)
{
    struct config *c =
        load(FILE_WITH("", "probe_password = ${ROUTER_NONE:-}\nprobe_user = \"\"\n"));
    (void)state;
    assert_null(c->backends[0].probe_password);
    assert_null(c->backends[0].probe_user);
    config_free(c);
    /* Empty is not used, so it need not have an effect. */
    config_free(load("[frontend f]\nbind = :1\nbackend = b\n[backend b]\nprotocol = tcp\n"
                     "server = one 10.0.0.1:1\nprobe_password = ${ROUTER_NONE:-}\n"));
}

/* Passwords in files ------------------------------------------------------------------------ */

static void check_password_file(const char *content, const char *meant)
{
    char path[] = "/tmp/router-test-XXXXXX";
    char file[512];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
    snprintf(file, sizeof(file), "%sprobe_password_file = %s\n", shortest, path);
    struct config *c = load(file);
    unlink(path);
    assert_string_equal(c->backends[0].probe_password, meant);
    assert_string_equal(c->backends[0].probe_password_file, path);
    config_free(c);
}

static void a_line_end_at_its_end_is_no_part_of_the_password(void **state)
{
    static char largest[SECRET_BYTES_MAX + 1];
    (void)state;
    memset(largest, 'x', SECRET_BYTES_MAX);
    check_password_file("hunter2", "hunter2");
    check_password_file("hunter2\n", "hunter2");
    check_password_file("hunter2\r\n", "hunter2");
    check_password_file(" hunter 2 \n\n", " hunter 2 \n");
    check_password_file("${HOME} # x\n", "${HOME} # x");
    check_password_file(largest, largest);
}

static void the_admin_address_can_be_off(void **state)
{
    struct config *c = load("[router]\nadmin = off\n" SHORTEST);
    (void)state;
    assert_null(c->router.admin);
    config_free(c);
    c = load("[router]\nadmin = none\n" SHORTEST);
    assert_null(c->router.admin);
    config_free(c);
    c = load("[router]\nadmin = :8404\nadmin_open = yes\n" SHORTEST);
    assert_string_equal(c->router.admin, ":8404");
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shortest_file_has_all_defaults),
        cmocka_unit_test(every_default_is_within_its_own_range),
        cmocka_unit_test(every_key_can_be_set),
        cmocka_unit_test(auto_becomes_what_it_means_for_the_protocol),
        cmocka_unit_test(master_and_slave_mean_primary_and_replica),
        cmocka_unit_test(allow_and_deny_keep_their_order),
        cmocka_unit_test(servers_take_the_backends_cap_unless_they_have_their_own),
        cmocka_unit_test(servers_are_numbered_over_all_backends),
        cmocka_unit_test(comments_begin_behind_white_space_only),
        cmocka_unit_test(quotes_and_backslashes_can_be_written),
        cmocka_unit_test(a_value_may_be_as_long_as_a_line),
        cmocka_unit_test(indentation_line_ends_and_a_byte_order_mark_mean_nothing),
        cmocka_unit_test(names_may_be_63_bytes_long),
        cmocka_unit_test(variables_are_replaced_once_and_their_values_are_text),
        cmocka_unit_test(an_optional_text_may_be_empty),
        cmocka_unit_test(a_line_end_at_its_end_is_no_part_of_the_password),
        cmocka_unit_test(the_admin_address_can_be_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
