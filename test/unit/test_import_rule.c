/* Promise: a condition is read as HAProxy reads it, whatever its acls are called, and a large one
 * is said to be not understood. */
#include <stdio.h>
#include <unistd.h>

#include "import_fixture.h"

static struct imported file;
static struct condition condition;

/* A rule with this condition in the last line, behind these lines. */
static void read_with(const char *acls, const char *words)
{
    struct text text = {0};
    text_add(&text, "frontend f\nbind :1\n%stcp-request connection reject %s\n", acls, words);
    import_any(&file, text.data);
    text_free(&text);
    struct proxy *p = proxies_find(&file.proxies, "f", false);
    size_t behind = 1;
    struct line *l = p->lines[p->count - 1];
    assert_true(line_says(l, 0, "reject"));
    condition_read(p, l, behind, &condition);
}

static void show_test(const struct test *t, struct text *out)
{
    text_add(out, "%s%s", t->negated ? "!" : "", t->fetch);
    text_add(out, t->argument[0] != '\0' ? "(%s)" : "%s", t->argument);
    text_add(out, t->converters[0] != '\0' ? ",%s" : "%s", t->converters);
    text_add(out, t->method[0] != '\0' ? " -m %s" : "%s", t->method);
    text_add(out, "%s", t->ignore_case ? " -i" : "");
    text_add(out, t->comparison[0] != '\0' ? " %s" : "%s", t->comparison);
    for (size_t i = 0; i < t->value_count; i++) {
        text_add(out, " %s", t->values[i].text);
    }
}

/* "a & b | c", "" where it holds always. To be freed. */
static char *shown(void)
{
    struct text out = {0};
    text_add(&out, "%s", condition.understood ? "" : "?");
    for (size_t i = 0; condition.understood && i < condition.count; i++) {
        text_add(&out, "%s", i > 0 ? " | " : "");
        for (size_t k = 0; k < condition.items[i].count; k++) {
            text_add(&out, "%s", k > 0 ? " & " : "");
            show_test(&condition.items[i].tests[k], &out);
        }
    }
    return out.data;
}

static const struct {
    const char *acls;
    const char *words;
    const char *shown;
} conditions[] = {
    {"", "", ""},
    {"", "if TRUE", ""},
    {"", "if { src 10.0.0.0/8 }", "src 10.0.0.0/8"},
    {"", "unless { src 10.0.0.0/8 }", "!src 10.0.0.0/8"},
    {"", "if !{ src 10.0.0.0/8 }", "!src 10.0.0.0/8"},
    {"", "if ! { src 10.0.0.0/8 }", "!src 10.0.0.0/8"},
    {"", "if !!{ src 10.0.0.0/8 }", "src 10.0.0.0/8"},
    {"", "if { src 1.2.3.4 ::1 } { dst_port 80 }", "src 1.2.3.4 ::1 & dst_port 80"},
    {"", "if { src 1.2.3.4 } or { dst_port 80 }", "src 1.2.3.4 | dst_port 80"},
    {"", "if { src 1.2.3.4 } || !{ dst_port 80 } LOCALHOST",
     "src 1.2.3.4 | !dst_port 80 & src 127.0.0.1/8 ::1"},
    {"", "unless { src 1.2.3.4 } || { dst_port 80 }", "!src 1.2.3.4 & !dst_port 80"},
    {"", "unless { src 1.2.3.4 } { dst_port 80 }", "!src 1.2.3.4 | !dst_port 80"},
    {"", "unless !{ src 1.2.3.4 }", "src 1.2.3.4"},
    {"", "if FALSE", "always_false"},
    {"", "unless TRUE", "!always_true"},
    {"", "if TRUE || { src 1.2.3.4 }", ""},
    {"", "if WAIT_END { src 1.2.3.4 }", "wait_end & src 1.2.3.4"},
    {"acl a src 1.2.3.4\nacl b dst_port 80\n", "if a b", "src 1.2.3.4 & dst_port 80"},
    {"acl a src 1.2.3.4\nacl b dst_port 80\nacl a src 5.6.7.8\n", "if a", "src 1.2.3.4 5.6.7.8"},
    {"acl a src 1.2.3.4\nacl a dst_port 80\nacl a src 5.6.7.8\n", "if a",
     "src 1.2.3.4 | dst_port 80 | src 5.6.7.8"},
    {"acl a src 1.2.3.4\nacl a dst_port 80\n", "if !a", "!src 1.2.3.4 & !dst_port 80"},
    {"acl a src 1.2.3.4\nacl a dst_port 80\n", "unless a", "!src 1.2.3.4 & !dst_port 80"},
    {"acl a src 1.2.3.4\nacl a dst_port 80\n", "if a { src_port 9 }",
     "src 1.2.3.4 & src_port 9 | dst_port 80 & src_port 9"},
    {"acl A src 1.2.3.4\nacl a src 5.6.7.8\n", "if A", "src 1.2.3.4"},
    {"acl LOCALHOST src 1.2.3.4\n", "if LOCALHOST", "src 1.2.3.4"},
    {"", "if none", "?"},
    {"", "if { src 1.2.3.4", "?"},
    {"", "if { nbsrv(b) ge 2 }", "nbsrv(b) ge 2"},
    {"", "if { nbsrv(b) 2: }", "nbsrv(b) 2:"},
    {"", "if { srv_is_up(b/s) }", "srv_is_up(b/s)"},
    {"", "if { req.ssl_sni,lower -m end -i .a .b }", "req.ssl_sni,lower -m end -i .a .b"},
    {"", "if { ssl_fc_sni_end -i .a }", "ssl_fc_sni -m end -i .a"},
    {"", "if { hdr_beg(host) -i -- -x }", "hdr(host) -m beg -i -x"},
    {"", "if { hdr_beg(host),lower -m end x }", "hdr(host),lower -m end x"},
    {"", "if { hdr_beg(host) -m end x }", "hdr(host) -m end x"},
    {"", "if { path_beg /a }", "path -m beg /a"},
    {"", "if { req.len gt 100 }", "req.len gt 100"},
    {"", "if { req_len lt 5 }", "req_len lt 5"},
    {"", "if { src gt }", "src gt"},
    {"", "if { src_conn_cur(t) gt 3 }", "src_conn_cur(t) gt 3"},
    {"", "if { sc_conn_rate(0,t) gt 3 }", "sc_conn_rate(0,t) gt 3"},
    {"", "if { src,map_ip(\"a,b(c\",0) -m int gt 3 }", "src,map_ip(a,b(c,0) -m int gt 3"},
    {"", "if { src -n -u 7 1.2.3.4 }", "src 1.2.3.4"},
    {"", "if { src -f /none }", "?"},
    {"", "if { src -x }", "?"},
    {"", "if { src -m }", "?"},
};

static void every_condition_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
        read_with(conditions[i].acls, conditions[i].words);
        char *seen = shown();
        if (strcmp(seen, conditions[i].shown) != 0) {
            print_error("%s%s\n", conditions[i].acls, conditions[i].words);
        }
        assert_string_equal(seen, conditions[i].shown);
        free(seen);
        import_end(&file);
    }
}

/* Ten acls of ten tests each, and all of them: more than anybody can mean. */
static void too_many_combinations_are_not_understood(void **state)
{
    struct text acls = {0};
    (void)state;
    for (int a = 0; a < 10; a++) {
        for (int i = 0; i < 10; i++) {
            text_add(&acls, "acl a%d fc_pp_unique_id %d\nacl a%d dst_port %d\n", a, i, a, i);
        }
    }
    read_with(acls.data, "if a0 a1 a2 a3 a4 a5 a6 a7 a8 a9");
    assert_false(condition.understood);
    import_end(&file);
    read_with(acls.data, "if a0");
    assert_true(condition.understood);
    assert_int_equal(condition.count, 20);
    import_end(&file);
    text_free(&acls);
}

static char path[] = "/tmp/router-rule-XXXXXX";

static void write_file(const char *text, size_t times)
{
    memcpy(path + sizeof path - 7, "XXXXXX", 7);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    assert_non_null(f);
    for (size_t i = 0; i < times; i++) {
        fputs(text, f);
    }
    assert_int_equal(fclose(f), 0);
}

static void values_come_from_files(void **state)
{
    struct text words = {0};
    (void)state;
    write_file("# a comment\n10.0.0.0/8 \r\n\n\t192.168.0.1\n #7\n", 1);
    text_add(&words, "if { src -f %s 1.2.3.4 }", path);
    read_with("", words.data);
    char *seen = shown();
    assert_string_equal(seen, "src 10.0.0.0/8 192.168.0.1 #7 1.2.3.4");
    free(seen);
    import_end(&file);
    unlink(path);
    text_free(&words);
}

static void a_large_file_is_not_understood(void **state)
{
    static const struct {
        const char *text;
        size_t times;
        bool understood;
    } cases[] = {{"1.2.3.4\n", 10000, true},
                 {"1.2.3.4\n", 10001, false},
                 {"#.......................................................................\n",
                  16000, false}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text words = {0};
        write_file(cases[i].text, cases[i].times);
        text_add(&words, "if { src -f %s }", path);
        read_with("", words.data);
        assert_int_equal(condition.understood, cases[i].understood);
        import_end(&file);
        unlink(path);
        text_free(&words);
    }
}

static void acls_are_claimed_with_their_rule(void **state)
{
    (void)state;
    read_with("acl a src 1.2.3.4\nacl a src 1.2.3.5\nacl b src 1.2.3.6\nacl c src 1.2.3.7\n",
              "if a !c");
    struct proxy *p = proxies_find(&file.proxies, "f", false);
    condition_claim(p, &condition, VERDICT_KEPT);
    conditions_settle(p);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_KEPT);
    assert_int_equal(line_at(&file, 4)->verdict, VERDICT_KEPT);
    assert_int_equal(line_at(&file, 5)->verdict, VERDICT_NOT_NEEDED);
    assert_int_equal(line_at(&file, 6)->verdict, VERDICT_KEPT);
    assert_true(remarked(line_at(&file, 5), "no rule uses it"));
    import_end(&file);
    /* A rule that is lost says so itself. */
    read_with("acl a src 1.2.3.4\n", "if a");
    condition_claim(proxies_find(&file.proxies, "f", false), &condition, VERDICT_LOST);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_NOT_NEEDED);
    import_end(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_condition_is_read),
        cmocka_unit_test(too_many_combinations_are_not_understood),
        cmocka_unit_test(values_come_from_files),
        cmocka_unit_test(a_large_file_is_not_understood),
        cmocka_unit_test(acls_are_claimed_with_their_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
