#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/keyword_internal.h"
#include "import_lines.h"

static void refused(const char *text, const char *errors)
{
    struct lines lines;
    lines_read(&lines, text);
    assert_string_equal(lines.errors.data, errors);
    lines_free(&lines);
}

/* One line of a listen that has an address. */
static void taken(const char *line)
{
    char text[512];
    struct lines lines;
    snprintf(text, sizeof text, "listen l\n bind :1\n server s 10.0.0.1:1\n %s\n", line);
    lines_read(&lines, text);
    if (lines.source.error_count > 0) {
        fail_msg("%s: %s", line, lines.errors.data);
    }
    lines_free(&lines);
}

static void wrong(const char *line, const char *words)
{
    char text[512];
    char error[512];
    snprintf(text, sizeof text, "listen l\n bind :1\n server s 10.0.0.1:1\n %s\n", line);
    snprintf(error, sizeof error, "4: %s\n", words);
    refused(text, error);
}

/* Arguments ------------------------------------------------------------------------------------ */

static void test_words_among_others(void **state)
{
    (void)state;
    taken("mode log");
    taken("balance random(2)");
    taken("balance hdr(X-Id)");
    taken("hash-type consistent wt6 avalanche");
    taken("log stdout len 4096 format raw sample 1:10 local0 info err");
    taken("log global");
    wrong("mode tpc", "\"mode\" wants one of tcp,http,log,spop,haterm, not \"tpc\"");
    wrong("balance leastcon", "unknown balance \"leastcon\", did you mean \"leastconn\"?");
    wrong("balance random(0)", "\"balance random\" wants a number above 0");
    wrong("balance url_param", "a name is missing behind \"balance url_param\"");
    wrong("hash-type sdbm", "unknown hash-type \"sdbm\"");
    wrong("log 127.0.0.1 lokal0", "unknown facility \"lokal0\", did you mean \"local0\"?");
    wrong("log 127.0.0.1 local0 warn", "unknown level \"warn\"");
    wrong("log 127.0.0.1", "a facility is missing behind \"log\" (as local0)");
    wrong("retry-on conn-failure maybe", "unknown word of \"retry-on\" \"maybe\"");
}

static void test_checks(void **state)
{
    (void)state;
    taken("tcp-check expect min-recv 5 ! rstring x");
    taken("tcp-check expect !string x");
    taken("tcp-check set-var(check.x) str(a)");
    taken("tcp-check connect port 5 ssl sni x linger");
    taken("tcp-check send-binary 00ff");
    taken("http-check expect ! rstatus ^5");
    taken("option mysql-check user me post-41");
    wrong("tcp-check expect strin x", "unknown kind of answer \"strin\", did you mean \"string\"?");
    wrong("tcp-check expect string", "\"tcp-check expect string\" does not say what is expected");
    wrong("tcp-check expect comment x", "\"tcp-check expect\" does not say what is expected");
    wrong("tcp-check connect port", "something is missing behind \"port\"");
    wrong("tcp-check connect prot 5",
          "unknown word of a check's connect \"prot\", did you mean \"port\"?");
    wrong("tcp-check send-binary 00f",
          "\"tcp-check send-binary\" wants pairs of hexadecimal digits");
    wrong("option mysql-check me", "\"option mysql-check\" wants \"user\" and a name");
    wrong("option mysql-check user me post-42",
          "unknown word of \"option mysql-check\" \"post-42\", did you mean \"post-41\"?");
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {
        "bind *:2",         "bind :::2 v4v6",       "bind [::]:3",       "bind 10.0.0.1:4-6",
        "bind :7,:8",       "bind /run/x",          "bind unix@/run/y",  "bind abns@x",
        "bind fd@9",        "bind ipv6@:9",         "server a 10.0.0.2", "server a ::1",
        "server a [::1]:5", "server a 10.0.0.2:+5", "server a /run/z",   "server a db.example:5",
        "server a db",      "server a 10.0.0.2:",   "server a 0.0.0.0:0"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        taken(good[i]);
    }
    wrong("bind 10.0.0.1", "\"10.0.0.1\": its port is missing");
    wrong("bind :0", "\":0\": ports are 1 to 65535");
    wrong("bind :70000", "\":70000\": ports are 1 to 65535");
    wrong("bind :9-8", "\":9-8\": the first port is above the last one");
    wrong("bind :1,:x", "\":x\": a port is a number");
    wrong("bind 300.0.0.1:5", "\"300.0.0.1:5\": this is no address");
    wrong("server a 10.0.0.2:99999", "\"10.0.0.2:99999\": ports are 1 to 65535");
    wrong("server a 10.0.0.2:1-5", "\"10.0.0.2:1-5\": a port is a number");
    wrong("server a 10.0.0.256:1", "\"10.0.0.256:1\": this is no address");
}

static void test_an_address_from_the_environment_may_be_anything(void **state)
{
    (void)state;
    unsetenv("IMPORT_HOST");
    taken("server a \"${IMPORT_HOST}:5\"");
    taken("server a \"10.0.0.5:${IMPORT_HOST}\"");
    taken("bind \":${IMPORT_HOST}\"");
}

/* Rules ---------------------------------------------------------------------------------------- */

static void test_rules_have_actions(void **state)
{
    (void)state;
    taken("tcp-request connection reject if { src 10.0.0.0/8 }");
    taken("tcp-request content track-sc1 src table l");
    taken("http-request set-var(txn.x) src");
    taken("http-request lua.mine");
    wrong("tcp-request connection rejekt",
          "\"tcp-request connection\" does not know \"rejekt\", did you mean \"reject\"?");
    wrong("tcp-request connection set-header x y",
          "\"tcp-request connection\" does not know \"set-header\"");
}

static void test_acls_look_at_something(void **state)
{
    (void)state;
    static const char *const known[] = {
        "src",          "req.ssl_sni,lower", "hdr_beg(host)", "acl(a)",          "nbsrv(b)",
        "sc1_conn_cur", "src_conn_rate(t)",  "ssl_fc_sni",    "sc_conn_rate(0)", "lua.mine",
        "urlp_val(x)",  "str(a,b)"};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char line[128];
        snprintf(line, sizeof line, "acl a %s x", known[i]);
        taken(line);
    }
    wrong("acl a scr 10.0.0.1", "HAProxy does not know \"scr\" to look at");
    wrong("acl a sc3_conn_cur 1", "HAProxy does not know \"sc3_conn_cur\" to look at");
    wrong("acl a src( 1", "\"src(\": its ) is missing");
    wrong("acl a$ src 1", "\"a$\" is no name of an acl");
}

static void test_conditions_name_acls_that_are_there(void **state)
{
    (void)state;
    taken("use_backend l if TRUE or !FALSE || METH_GET");
    taken("use_backend l if ! { src 10.0.0.1 } !{ dst_port 5 }");
    taken("http-request set-header if if if TRUE");
    wrong("use_backend l if nope", "there is no acl \"nope\"");
    wrong("use_backend l if { scr 1 }", "HAProxy does not know \"scr\" to look at");
    wrong("use_backend l if { src 1", "a } is missing");
    wrong("use_backend l if { }", "there is nothing in { }");
    refused(
        "backend b\nfrontend f\n bind :1\n use_backend b if inside\n acl inside src 10.0.0.0/8\n"
        " use_backend b if insde\n",
        "4: the acl \"inside\" is used before its line, 5\n"
        "6: there is no acl \"insde\", did you mean \"inside\"?\n");
    refused("defaults d\n acl inside src 10.0.0.0/8\n tcp-request content accept if inside\n"
            "defaults e from d\n"
            "listen l from e\n bind :1\n tcp-request content accept if inside\n",
            "");
}

/* Names ---------------------------------------------------------------------------------------- */

static void test_backends_must_be_there(void **state)
{
    (void)state;
    refused("frontend f\n bind :1\n use_backend redsi if TRUE\n use_backend %[src] if TRUE\n"
            " default_backend b\nlisten redis\n bind :2\n",
            "3: there is no backend \"redsi\", did you mean \"redis\"?\n"
            "5: there is no backend \"b\"\n");
    refused("defaults\n default_backend b\nfrontend f\n bind :1\nfrontend g\n bind :2\n"
            "listen h\n bind :3\n default_backend h\n",
            "2: there is no backend \"b\"\n");
    refused("defaults\n default_backend b\nbackend c\n", "");
}

static void test_servers_have_names_of_their_own(void **state)
{
    (void)state;
    struct lines lines;
    lines_read(&lines, "backend a\n server s 10.0.0.1:1\n server t 10.0.0.2:1\n"
                       " server s 10.0.0.3:1\nbackend b\n server s 10.0.0.1:1\n");
    assert_int_equal(lines.source.error_count, 1);
    assert_non_null(strstr(lines.errors.data, "4: \"a\" has a server \"s\" already, at "));
    lines_free(&lines);
    refused("backend a\n server s 10.0.0.1:1\n use-server t if TRUE\n use-server s if TRUE\n",
            "3: \"a\" has no server \"t\"\n");
    refused("backend a\n server-template s 3 10.0.0.1:1\n use-server s2 if TRUE\n", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_among_others),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_an_address_from_the_environment_may_be_anything),
        cmocka_unit_test(test_rules_have_actions),
        cmocka_unit_test(test_acls_look_at_something),
        cmocka_unit_test(test_conditions_name_acls_that_are_there),
        cmocka_unit_test(test_backends_must_be_there),
        cmocka_unit_test(test_servers_have_names_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
