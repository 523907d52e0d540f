/* Promise: what HAProxy refuses is refused, and the same lines are named. HAProxy 2.6 itself is
 * asked; where 3.2 reads otherwise, which is what the importer goes by, nothing is asked. */
#include "haproxy_fixture.h"

#include "base/macros.h"
#include "import/import.h"

/* Whole files. Behind each come sections that make it one that HAProxy takes. */
#define REST                                                                                       \
    "\nfrontend zz\n bind 127.0.0.1:1\n mode tcp\n timeout client 1s\n default_backend zz\n"       \
    "backend zz\n timeout connect 1s\n timeout server 1s\n mode tcp\n server a 127.0.0.1:1\n"

static const char *const files[] = {
    "\n# x\n",
    "foo bar\n",
    "global x\n",
    "global\nglobal\n",
    "GLOBAL\n",
    "'glo'\"bal\" # x\n",
    "gl\\x6fbal\n",
    "global#x\n",
    "global\r\n log-tag a\r\n",
    "global\n log-tag \"a\r\n",
    "global\n log-tag a\rfoo bar\n",
    "defaults a b c\n",
    "defaults a\ndefaults from a\n",
    "defaults from x\n",
    "defaults from\n",
    "defaults a from\n",
    "defaults a from a\n",
    "defaults a\ndefaults a\n",
    "defaults a\ndefaults a\nbackend b from a\n",
    "defaults a/b\n",
    "defaults\nbackend b from x\n",
    "defaults a\nbackend b from a c\n",
    "defaults a\nbackend a\n",
    "backend b from a b\n",
    "backend\n",
    "frontend\n",
    "listen\n",
    "backend a/b\n",
    "backend a\nbackend a\n",
    "frontend a\nbackend a\n",
    "frontend a\nfrontend a\n",
    "listen a\nbackend a\n",
    "frontend a\nlisten a\n",
    "peers\n",
    "peers a b\n",
    "peers a\npeers a\n",
    "peers a/b\n",
    "resolvers\n",
    "resolvers a b\n",
    "resolvers a\nresolvers a\n",
    "resolvers a/\n",
    "userlist\n",
    "userlist a b\n",
    "userlist a\nuserlist a\n",
    "mailers\n",
    "mailers a b\n",
    "mailers a\nmailers a\n",
    "cache\n",
    "cache a b\n",
    "cache a\n total-max-size 4\ncache a\n total-max-size 4\n",
    "cache a/b\n total-max-size 4\n",
    "program\n",
    "program a b\n",
    "program a\n command x\nprogram a\n command x\n",
    "ring\n",
    "ring a b\n",
    "ring a\nring a\n",
    "log-forward\n",
    "log-forward a b\n",
    "log-forward a\nlog-forward a\n",
    "backend b\nlog-forward b\n",
    "log-forward b\nbackend b\n",
    "http-errors\n",
    "http-errors a b\n",
    "http-errors a\nhttp-errors a\n",
    "fcgi-app\n",
    "fcgi-app a b\n",
    "fcgi-app a\n docroot /x\nfcgi-app a\n docroot /x\n",
    "namespace_list a b\n",
    "no global\n",
    "no listen x\n",
    "no\n",
    "default\n",
    "no maxconn 3\n",
    "global\n no maxconn 10\n",
    "global\n no busy-polling\n no set-dumpable\n no strict-limits\n no log\n",
    "defaults\n no option redispatch\n default option redispatch\n no log\n no balance\n",
    "[a]\n",
    "  [a] # x\nglobal\n",
    "[]\n",
    "[a\n",
    "[a b]\n",
    "[a] x\n",
    "[a]\nfoo\n",
    ".if 0\n[]\n.endif\n",
    "\"\" foo\n",
    "global\n '' x\n",
    ".if 1\n",
    ".if 0\n",
    ".endif\n",
    ".else\n",
    ".elif 1\n",
    ".if 1\n.else\n.else\n.endif\n",
    ".if 1\n.else\n.elif 1\n.endif\n",
    ".if 0\nfoo\n.endif\n",
    ".if 1\nfoo\n.endif\n",
    ".if\nfoo\n.endif\n",
    ".if 0\n.else x\n.endif\n",
    ".if 0\n.endif x\n",
    ".foo\n",
    ".if 0\n.foo\n.endif\n",
    ".if 1\n.foo\n.endif\n",
    ".alert x\nfoo\n",
    ".alert \"x y\" z\nfoo\n",
    ".notice x\n",
    ".notice x y\nfoo\n",
    ".warning x\n",
    ".diag x y\n",
    ".notice\n",
    ".if 0\n.alert x\n.notice x y\n.endif\n",
    ".if foo\n.endif\n",
    ".if 1 2\n.endif\n",
    ".if (1\n.endif\n",
    ".if ( 1 )\n.endif\n",
    ".if !1\nfoo\n.endif\n",
    ".if ! ! 0\nfoo\n.endif\n",
    ".if 1 && 0\nfoo\n.endif\n",
    ".if 1 && 0 || 1\nfoo\n.endif\n",
    ".if 0 && 1 || 0\nfoo\n.endif\n",
    ".if 1||foo\n.endif\n",
    ".if 0&&foo\n.endif\n",
    ".if 1 &&\n.endif\n",
    ".if && 1\n.endif\n",
    ".if defined\nfoo\n.endif\n",
    ".if defined()\nfoo\n.endif\n",
    ".if defined(PLAIN)\nfoo\n.endif\n",
    ".if defined(EMPTY)\nfoo\n.endif\n",
    ".if defined(NONE)\nfoo\n.endif\n",
    ".if defined( PLAIN )\nfoo\n.endif\n",
    ".if defined(PLAIN\n.endif\n",
    ".if defined(PLAIN,x)\n.endif\n",
    ".if streq\n.endif\n",
    ".if streq()\n.endif\n",
    ".if streq(a)\n.endif\n",
    ".if streq(a,a)\nfoo\n.endif\n",
    ".if streq(a,b)\nfoo\n.endif\n",
    ".if streq(,)\nfoo\n.endif\n",
    ".if streq(\"$NONE\",)\nfoo\n.endif\n",
    ".if streq(a,b,c)\n.endif\n",
    ".if streq('a b',a\\ b)\nfoo\n.endif\n",
    ".if streq(\"$SPACED\",     y)\nfoo\n.endif\n",
    ".if strneq(a,b)\nfoo\n.endif\n",
    ".if feature(OPENSSL)\nfoo\n.endif\n",
    ".if feature(QUIC)\nfoo\n.endif\n",
    ".if feature(XYZ)\nfoo\n.endif\n",
    ".if version_atleast(2.4)\nfoo\n.endif\n",
    ".if version_atleast(9.4)\nfoo\n.endif\n",
    ".if version_before(2.4-dev19)\nfoo\n.endif\n",
    ".if version_atleast(x)\nfoo\n.endif\n",
    ".if version_atleast()\nfoo\n.endif\n",
    ".if version_before(9)\nfoo\n.endif\n",
    ".if openssl_version_atleast(1.1.1)\nfoo\n.endif\n",
    ".if openssl_version_before(3.0.0)\nfoo\n.endif\n",
    ".if ssllib_name_startswith(Open)\nfoo\n.endif\n",
    ".if ssllib_name_startswith(wolf)\nfoo\n.endif\n",
    ".if 0x10\nfoo\n.endif\n",
    ".if -1\nfoo\n.endif\n",
    ".if 1abc\n.endif\n",
    ".if \"1 && 1\"\nfoo\n.endif\n",
    ".if \"$NONE\"\nfoo\n.endif\n",
    ".if \"$NONE\" && 1\n.endif\n",
    ".if 1 # x\nfoo\n.endif\n",
    ".if 1\n.if 0\n.else\nfoo\n.endif\n.endif\n",
    ".if 0\n.if 1\nfoo\n.else\nfoo\n.endif\n.else\nfoo\n.endif\n",
    ".if 0\n.elif 1\nfoo\n.elif 1\nfoo\n.else\nfoo\n.endif\n",
    ".if 1\n.elif 1\nfoo\n.elif 1\nfoo\n.endif\n",
    ".if 0\n.if 0\n.elif 1\nfoo\n.endif\n.endif\n",
    ".if 0\n.elif foo\n.endif\n",
    ".if 1\n.elif foo\n.endif\n",
    ".if 0\n.if foo\n.endif\n.endif\n",
    ".if 0\nlog-tag \"a\n.endif\n",
    "global\n log-tag \"${NONE-}\"\n",
    "global\n log-tag \"${NONE}\" b c\n",
    "global\n log-tag a\\\n b\n",
    "global\n maxcon 3\nlisten a\n bind :1\n server \"x\n server b 127.0.0.1:1 chek\n"
    "backend a\n foo\n",
    "backend b\n option tcp-check\n tcp-check expect !string a\n tcp-check expect ! string a\n"
    " tcp-check expect min-recv 3 !!binary 41\n tcp-check expect !strong a\n",
    "backend b\n foo\n.alert x\n bar\n",
    "backend b\n.if 0\n foo\n.else\n bar\n.endif\n",
    "global\n setenv A 1\n.if defined(A)\n.alert x\n.endif\n",
    "global\n setenv A 1\n unsetenv A\n.if defined(A)\n.alert x\n.endif\n",
    "global\n resetenv PLAIN\n.if defined(EMPTY)\n.alert x\n.endif\n",
    "global\n resetenv PLAIN\n.if defined(PLAIN)\n.alert x\n.endif\n",
    "global\n presetenv PLAIN x\n.if streq(\"$PLAIN\",x)\n.alert x\n.endif\n",
    "global\n presetenv NONE x\n.if streq(\"$NONE\",x)\n.alert x\n.endif\n",
    "global\n setenv PLAIN x\n.if streq(\"$PLAIN\",x)\n.alert x\n.endif\n",
};

static bool names_line(const struct text *said, const char *format, size_t number)
{
    char place[128];
    int len = snprintf(place, sizeof place, format, path, number);
    return memmem(said->data, said->len, place, (size_t)len) != NULL;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static void check_file(const char *text, size_t len)
{
    write_file(text, len);
    int rc;
    struct text said = haproxy_says(&rc);
    struct import *import = NULL;
    struct text errors = {0};
    int ours = import_read((const char *const[]){path}, 1, &import, &errors);
    text_add(&errors, "%s", "");
    bool same = (rc != 0) == (ours != 0);
    for (size_t i = 1; i <= count_lines(text) + 1; i++) {
        bool theirs = names_line(&said, "[%s:%zu]", i);
        same = same && (ours == 0 || theirs == names_line(&errors, "%s:%zu: ", i));
    }
    if (!same) {
        print_error("%s\nHAProxy: %d\n%s\nhere: %d\n%s\n", text, rc, said.data, ours, errors.data);
    }
    assert_true(same);
    import_free(import);
    text_free(&errors);
    text_free(&said);
}

static void mistakes_are_those_that_haproxy_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct text whole = {0};
        text_add(&whole, "%s%s", files[i], REST);
        check_file(whole.data, whole.len);
        text_free(&whole);
    }
}

static void the_end_of_a_file_and_nul_are_judged_alike(void **state)
{
    (void)state;
    static const char nul[] = "global\n log-tag a\0b\nfoo\n";
    static const char nul_first[] = "global\n\0\nfoo\n";
    static const char nul_last[] = "global\n log-tag a\0";
    static const char cut[] = "global\n log-tag a";
    check_file(nul, sizeof nul - 1);
    check_file(nul_first, sizeof nul_first - 1);
    check_file(nul_last, sizeof nul_last - 1);
    check_file(cut, sizeof cut - 1);
}

/* `depth` of them, and a line that is wrong if the innermost one counts. */
static void check_nested(const char *open, const char *close, size_t depth)
{
    struct text t = {0};
    text_add(&t, ".if 1\n");
    for (size_t i = 1; i < depth; i++) {
        text_add(&t, "%s", open);
    }
    text_add(&t, ".alert x\n");
    for (size_t i = 0; i < depth; i++) {
        text_add(&t, "%s", close);
    }
    text_add(&t, "%s", REST);
    check_file(t.data, t.len);
    text_free(&t);
}

static void check_long(const char *open, const char *close, size_t count)
{
    struct text t = {0};
    text_add(&t, ".if ");
    for (size_t i = 0; i < count; i++) {
        text_add(&t, "%s", open);
    }
    text_add(&t, "1");
    for (size_t i = 0; i < count; i++) {
        text_add(&t, "%s", close);
    }
    text_add(&t, "\nfoo\n.endif\n%s", REST);
    check_file(t.data, t.len);
    text_free(&t);
}

static void mistakes_are_told_in_the_order_of_lines(void **state)
{
    (void)state;
    static const char text[] = "global\n foo\nbackend a\n server \"x\n bar\nbackend a\n quux\n";
    struct import *import;
    struct text errors = {0};
    assert_true(import_read_bytes("h.cfg", text, strlen(text), &import, &errors) != 0);
    const char *at = errors.data;
    static const char *const places[] = {
        "h.cfg:2: ", "h.cfg:4: ", "h.cfg:5: ", "h.cfg:6: ", "h.cfg:7: "};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        assert_memory_equal(at, places[i], strlen(places[i]));
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
    text_free(&errors);
}

static void depths_are_bounded_alike(void **state)
{
    (void)state;
    check_nested(".if 1\n", ".endif\n", 99);
    check_nested(".if 1\n", ".endif\n", 100);
    check_long("(", ")", 340);
    check_long("(", ")", 341);
    check_long("!", "", 5000);
    check_long("1&&", "", 1021);
    check_long("1&&", "", 1023);
    check_long("0||", "", 1021);
    check_long("0||", "", 1023);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_those_that_haproxy_names),
        cmocka_unit_test(the_end_of_a_file_and_nul_are_judged_alike),
        cmocka_unit_test(mistakes_are_told_in_the_order_of_lines),
        cmocka_unit_test(depths_are_bounded_alike),
    };
    return cmocka_run_group_tests(tests, haproxy_setup, haproxy_teardown);
}
