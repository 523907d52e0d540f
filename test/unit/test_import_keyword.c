#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/keyword_internal.h"
#include "import_lines.h"

/* The table ------------------------------------------------------------------------------------ */

static void check_reason(const char *name, enum verdict verdict, const char *words)
{
    if (verdict == VERDICT_NONE) {
        assert_null(words);
        return;
    }
    if (words == NULL || strlen(words) < 8 || strlen(words) > 90 || strchr(words, '\n') != NULL) {
        fail_msg("%s: no reason of a line: %s", name, words != NULL ? words : "NULL");
    }
    assert_int_not_equal(verdict, VERDICT_KEPT); /* who keeps it, says so */
}

static void check_shape(const char *name, const char *shape)
{
    for (const char *at = shape; *at != '\0'; at++) {
        if (*at == '(') {
            at = strchr(at, ')');
            assert_non_null(at);
        } else if (strchr("wntsxocNTW?*", *at) == NULL) {
            fail_msg("%s: no shape: %s", name, shape);
        } else if ((*at == '*' || *at == 'c') && at[1] != '\0') {
            fail_msg("%s: what is behind %c says nothing: %s", name, *at, shape);
        }
    }
}

static void test_every_keyword_says_what_becomes_of_it(void **state)
{
    (void)state;
    const unsigned places = (IN_NAMESPACES << 1) - 1;
    assert_true(keyword_count > 500);
    for (size_t i = 0; i < keyword_count; i++) {
        const struct keyword *k = &keyword_table[i];
        assert_true((k->places & places) != 0);
        check_reason(k->name, k->verdict, k->words);
        check_shape(k->name, k->shape);
    }
}

static void test_a_keyword_is_there_once_for_each_section(void **state)
{
    (void)state;
    const unsigned places = (IN_NAMESPACES << 1) - 1;
    for (size_t i = 0; i < keyword_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct keyword *a = &keyword_table[i];
            const struct keyword *b = &keyword_table[j];
            if ((a->places & b->places & places) != 0 && strcmp(a->name, b->name) == 0) {
                fail_msg("%s is there twice", a->name);
            }
        }
    }
}

static void test_every_parameter_says_what_becomes_of_it(void **state)
{
    (void)state;
    assert_true(parameter_count > 100);
    for (size_t i = 0; i < parameter_count; i++) {
        const struct parameter_row *row = &parameter_table[i];
        assert_true(row->where != 0);
        check_reason(row->name, row->verdict, row->words);
        check_shape(row->name, row->shape);
        for (size_t j = 0; j < i; j++) {
            if ((row->where & parameter_table[j].where & 7) != 0 &&
                strcmp(row->name, parameter_table[j].name) == 0) {
                fail_msg("%s is there twice", row->name);
            }
        }
    }
}

/* Errors --------------------------------------------------------------------------------------- */

static void refused(const char *text, const char *errors)
{
    struct lines lines;
    lines_read(&lines, text);
    assert_string_equal(lines.errors.data, errors);
    lines_free(&lines);
}

static void test_words_that_nobody_knows_are_refused(void **state)
{
    (void)state;
    refused("global\n nbtread 4\n qqqqqq\n",
            "2: unknown keyword \"nbtread\" in a section global, did you mean \"nbthread\"?\n"
            "3: unknown keyword \"qqqqqq\" in a section global\n");
    refused("defaults\n timeout conect 5s\n option tcplo\n option\n",
            "2: unknown keyword \"timeout conect\" in a section defaults, did you mean "
            "\"timeout connect\"?\n"
            "3: unknown keyword \"option tcplo\" in a section defaults, did you mean "
            "\"option tcplog\"?\n"
            "4: \"option\" wants one more word\n");
    refused("backend b\n server s 10.0.0.1:1 chek\n",
            "2: \"server\" does not know \"chek\", did you mean \"check\"?\n");
    refused("listen l\n bind :1 acept-proxy\n",
            "2: \"bind\" does not know \"acept-proxy\", did you mean \"accept-proxy\"?\n");
}

static void test_words_where_they_may_not_stand_are_refused(void **state)
{
    (void)state;
    refused("global\n balance first\ndefaults\n chroot /\nfrontend b\n server s :1\n",
            "2: \"balance\" may not stand in a section global\n"
            "4: \"chroot\" may not stand in a section defaults\n"
            "6: \"server\" may not stand in a section frontend\n");
    refused("backend b\n default-server id 5\n", "2: \"id\" may not stand in \"default-server\"\n");
    refused("backend b\n no option tcp-check\n",
            "2: \"no\" may not stand before \"option tcp-check\"\n");
}

static void test_arguments_that_are_missing_or_wrong_are_refused(void **state)
{
    (void)state;
    refused(
        "defaults\n timeout server 5x\n timeout server\n timeout server 1 2\n clitcpka-idle x\n",
        "2: \"timeout server\" wants a time (as 500ms, 30s, 5m), not \"5x\"\n"
        "3: a time (as 500ms, 30s, 5m) is missing behind \"timeout server\"\n"
        "4: \"2\" is too much behind \"timeout server\"\n"
        "5: \"clitcpka-idle\" wants a time (as 500ms, 30s, 5m), not \"x\"\n");
    refused("backend b\n server s 10.0.0.1:1 inter\n server t\n server s 10.0.0.1:1 on-marked-down "
            "explode\n",
            "2: a time above 0 (as 500ms, 30s, 5m) is missing behind \"inter\"\n"
            "3: a word is missing behind \"server\"\n"
            "4: \"on-marked-down\" wants one of shutdown-sessions, not \"explode\"\n");
    refused("frontend f\n use_backend b whenever\n",
            "2: \"use_backend\" wants \"if\" or \"unless\", not \"whenever\"\n");
}

/* Verdicts ------------------------------------------------------------------------------------- */

static void becomes(const char *text, size_t number, enum verdict verdict, const char *words)
{
    struct lines lines;
    lines_read(&lines, text);
    assert_string_equal(lines.errors.data, "");
    const struct line *l = lines_at(&lines, number);
    assert_non_null(l);
    assert_int_equal(l->verdict, verdict);
    if (words == NULL) {
        assert_null(l->remarks);
    } else {
        assert_non_null(l->remarks);
        assert_string_equal(l->remarks->words, words);
    }
    lines_free(&lines);
}

static void test_a_line_becomes_what_its_keyword_says(void **state)
{
    (void)state;
    becomes("global\n nbthread 4\n", 2, VERDICT_NOT_NEEDED,
            "router has one thread for each CPU that it may use");
    becomes("global\n lua-load x.lua\n", 2, VERDICT_LOST, "router runs no Lua");
    becomes("global\n user nobody\n", 2, VERDICT_NONE, NULL);
}

static void test_http_counts_only_in_mode_http(void **state)
{
    (void)state;
    const char *ignored = "HAProxy ignores it in mode tcp";
    const char *lost = "router does not look into HTTP";
    becomes("backend b\n cookie X insert\n", 2, VERDICT_NOT_NEEDED, ignored);
    becomes("backend b\n cookie X insert\n mode http\n", 2, VERDICT_LOST, lost);
    becomes("defaults\n mode http\nbackend b\n cookie X insert\n", 4, VERDICT_LOST, lost);
    becomes("defaults\n mode http\nbackend b\n mode tcp\n cookie X insert\n", 5, VERDICT_NOT_NEEDED,
            ignored);
    becomes("defaults\n mode http\n cookie X insert\nbackend b\n mode tcp\n", 3, VERDICT_NOT_NEEDED,
            ignored);
    becomes("defaults\n cookie X insert\nbackend b\n mode http\n", 2, VERDICT_LOST, lost);
    becomes("defaults a\n mode http\ndefaults b from a\n cookie X insert\nbackend c from b\n", 4,
            VERDICT_LOST, lost);
}

static void test_ciphers_count_only_with_tls(void **state)
{
    (void)state;
    becomes("global\n ssl-default-bind-ciphers ALL\nlisten l\n bind :1\n", 2, VERDICT_NOT_NEEDED,
            "nothing here uses TLS");
    becomes("global\n ssl-default-bind-ciphers ALL\nlisten l\n bind :1 ssl crt x\n", 2,
            VERDICT_DIFFERENCE, "router offers what OpenSSL offers by default");
}

static void test_what_haproxy_ignores_is_not_needed(void **state)
{
    (void)state;
    becomes("frontend f\n bind :1\n balance first\n", 3, VERDICT_NOT_NEEDED,
            "HAProxy ignores it in a section frontend");
    becomes("backend b\n no option transparent\n", 2, VERDICT_NOT_NEEDED,
            "it takes something back");
}

static void test_passwords_are_secret(void **state)
{
    (void)state;
    struct lines lines;
    lines_read(&lines, "frontend f\n stats auth me:secret\n");
    assert_true(line_argument(lines_at(&lines, 2), 0)->secret);
    lines_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_keyword_says_what_becomes_of_it),
        cmocka_unit_test(test_a_keyword_is_there_once_for_each_section),
        cmocka_unit_test(test_every_parameter_says_what_becomes_of_it),
        cmocka_unit_test(test_words_that_nobody_knows_are_refused),
        cmocka_unit_test(test_words_where_they_may_not_stand_are_refused),
        cmocka_unit_test(test_arguments_that_are_missing_or_wrong_are_refused),
        cmocka_unit_test(test_a_line_becomes_what_its_keyword_says),
        cmocka_unit_test(test_http_counts_only_in_mode_http),
        cmocka_unit_test(test_ciphers_count_only_with_tls),
        cmocka_unit_test(test_what_haproxy_ignores_is_not_needed),
        cmocka_unit_test(test_passwords_are_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
