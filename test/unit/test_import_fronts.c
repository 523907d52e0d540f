/* Promise: what rules say of a frontend stands in its section of router.ini, in an order that means
 * the same. */
#include <stdio.h>
#include <string.h>

#include "import/import.h"
#include "import_fixture.h"

/* router.ini without its comments and empty lines; to be freed. */
static char *imported_text(const char *text)
{
    struct import *i;
    struct text errors = {0};
    int rc = import_read_bytes("h.cfg", text, strlen(text), &i, &errors);
    if (rc != 0) {
        print_error("%s", errors.data);
    }
    assert_int_equal(rc, 0);
    struct text out = {0};
    for (const char *at = import_text(i); *at != '\0';) {
        size_t len = strcspn(at, "\n");
        size_t shown = strcspn(at, ";\n");
        while (shown > 0 && at[shown - 1] == ' ') {
            shown--;
        }
        text_add(&out, shown > 0 ? "%.*s\n" : "%.*s", (int)shown, at);
        at += len + (at[len] == '\n');
    }
    import_free(i);
    text_free(&errors);
    return out.data;
}

static void assert_holds(const char *file, const char *expected)
{
    char *seen = imported_text(file);
    if (strstr(seen, expected) == NULL) {
        fail_msg("not there:\n%s\nin:\n%s", expected, seen);
    }
    free(seen);
}

#define DEFAULTS "defaults\nmode tcp\ntimeout connect 1s\n"
#define BACKENDS                                                                                   \
    "backend apple\nserver s 10.0.0.1:80\nbackend berry\nserver s 10.0.0.2:80\nbackend empty\n"

static void allow_and_deny_stay_in_order(void **state)
{
    (void)state;
    assert_holds(DEFAULTS "listen f\nbind :1\nserver s 10.0.0.1:80\n"
                          "tcp-request connection accept if { src 10.1.0.0/16 }\n"
                          "tcp-request connection reject if { src 10.0.0.0/8 }\n",
                 "allow = 10.1.0.0/16\ndeny = 10.0.0.0/8\nallow = 0.0.0.0/0\nallow = ::/0\n");
    assert_holds(DEFAULTS "listen f\nbind :1\nserver s 10.0.0.1:80\n"
                          "tcp-request connection reject if { src 10.1.0.0/16 }\n"
                          "tcp-request connection reject if !{ src 10.0.0.0/8 }\n",
                 "deny = 10.1.0.0/16\nallow = 10.0.0.0/8\n");
}

/* With PROXY headers allow is about who sends them: rules on connections are, others are not. */
static void allow_has_another_meaning_behind_proxy_headers(void **state)
{
    (void)state;
    assert_holds(DEFAULTS "listen f\nbind :1 accept-proxy\nserver s 10.0.0.1:80\n"
                          "tcp-request connection reject if !{ src 10.0.0.0/8 }\n",
                 "allow = 10.0.0.0/8\naccept_proxy = yes\n");
    assert_holds(DEFAULTS "listen f\nbind :1 accept-proxy\nserver s 10.0.0.1:80\n"
                          "tcp-request content reject if !{ src 10.0.0.0/8 }\n",
                 "allow = 0.0.0.0/0\nallow = ::/0\naccept_proxy = yes\n");
}

static void names_lead_to_their_backends(void **state)
{
    (void)state;
    assert_holds(DEFAULTS
                 "frontend f\nbind :1\ntcp-request inspect-delay 3s\n"
                 "use_backend berry if { req.ssl_sni -i x.y }\n"
                 "use_backend empty if { req.ssl_sni -i z.y }\ndefault_backend apple\n" BACKENDS,
                 "[frontend f]\nbind = 0.0.0.0:1\nbackend = apple\nsni = x.y berry\n"
                 "handshake_timeout = 3s\n");
}

static void somebody_serves_all_other_names(void **state)
{
    (void)state;
    assert_holds(DEFAULTS
                 "frontend f\nbind :1\nuse_backend berry if { req.ssl_sni -i x.y }\n" BACKENDS,
                 "backend = berry\nsni = x.y berry\n");
}

static void limits_stand_in_the_frontend(void **state)
{
    (void)state;
    assert_holds(DEFAULTS "listen f\nbind :1\nserver s 10.0.0.1:80\n"
                          "stick-table type ip size 1k store conn_cur,conn_rate(10s)\n"
                          "tcp-request connection track-sc0 src\n"
                          "tcp-request connection reject if { sc0_conn_cur gt 7 }\n"
                          "tcp-request connection reject if { sc0_conn_rate gt 30 }\n",
                 "max_sessions_per_ip = 7\nsession_rate_per_ip = 3\n");
}

static bool is_lost(const char *file)
{
    struct import *i;
    struct text errors = {0};
    assert_int_equal(import_read_bytes("h.cfg", file, strlen(file), &i, &errors), 0);
    bool lost = import_lost(i);
    import_free(i);
    text_free(&errors);
    return lost;
}

static void what_a_backend_refuses_is_lost(void **state)
{
    static const char front[] = DEFAULTS "frontend f\nbind :1\ndefault_backend apple\n";
    struct text file = {0};
    (void)state;
    text_add(&file, "%sbackend apple\nserver s 10.0.0.1:80\ntcp-request inspect-delay 1s\n", front);
    assert_false(is_lost(file.data));
    text_add(&file, "tcp-request content reject if { src 10.0.0.0/8 }\n");
    assert_true(is_lost(file.data));
    text_free(&file);
}

/* Empty while it is imported is not empty when it runs. */
static void a_password_of_the_environment_is_written(void **state)
{
    (void)state;
    unsetenv("ROUTER_TEST_PW");
    assert_holds(DEFAULTS "listen f\nbind :1\noption tcp-check\n"
                          "tcp-check send \"AUTH u ${ROUTER_TEST_PW}\\r\\n\"\n"
                          "tcp-check send info\\ replication\\r\\n\n"
                          "tcp-check expect string role:master\nserver s 10.0.0.1:6379 check\n",
                 "probe_user = u\nprobe_password = ${ROUTER_TEST_PW:-}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allow_and_deny_stay_in_order),
        cmocka_unit_test(allow_has_another_meaning_behind_proxy_headers),
        cmocka_unit_test(names_lead_to_their_backends),
        cmocka_unit_test(somebody_serves_all_other_names),
        cmocka_unit_test(limits_stand_in_the_frontend),
        cmocka_unit_test(what_a_backend_refuses_is_lost),
        cmocka_unit_test(a_password_of_the_environment_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
