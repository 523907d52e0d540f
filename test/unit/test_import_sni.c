/* Promise: a client that names a host gets the backend that HAProxy's rules give it. */
#include <stdio.h>
#include <unistd.h>

#include "import/sni.h"
#include "import_fixture.h"

static struct imported file;
static struct sni sni;

/* A frontend with these lines from line 3 on, and some backends. */
static void read_front(const char *lines)
{
    struct text text = {0};
    text_add(&text, "frontend f\nbind :1\n%sbackend a\nbackend b\nbackend c\n", lines);
    import(&file, text.data);
    text_free(&text);
    sni_read(proxies_find(&file.proxies, "f", false), &sni);
}

/* "host backend, ...": to be freed. */
static char *shown(void)
{
    struct text out = {0};
    text_add(&out, "%s", "");
    for (size_t i = 0; i < sni.count; i++) {
        text_add(&out, "%s%s %s", i > 0 ? ", " : "", sni.entries[i].host.text,
                 sni.entries[i].backend);
    }
    return out.data;
}

struct rules {
    const char *lines;
    const char *shown;
    enum verdict verdict; /* of line 3 */
};

static const struct rules all[] = {
    {"use_backend a if { req.ssl_sni -i x.y }\n", "x.y a", VERDICT_KEPT},
    {"use_backend a if { req_ssl_sni x.y z.y }\n", "x.y a, z.y a", VERDICT_KEPT},
    {"use_backend a if { ssl_fc_sni X.Y }\n", "x.y a", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni,lower -m str x.y }\n", "x.y a", VERDICT_KEPT},
    {"use_backend a if { req.ssl_hello_type 1 } { req.ssl_sni -i x.y }\n", "x.y a", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni x.y } || { req.ssl_sni z.y }\n", "x.y a, z.y a", VERDICT_KEPT},
    {"acl is req.ssl_sni x.y\nacl is req.ssl_sni -m end .z.y\nuse_backend a if is\n",
     "x.y a, *.z.y a", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni -m end .x.y }\n", "*.x.y a", VERDICT_KEPT},
    {"use_backend a if { ssl_fc_sni_end .x.y }\n", "*.x.y a", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni -m end x.y }\n", "x.y a, *.x.y a", VERDICT_DIFFERENCE},
    {"use_backend a if { req.ssl_sni -m reg ^x\\.y$ }\n", "x.y a", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni -m reg '^x.y$' }\n", "", VERDICT_LOST},
    {"use_backend a if { req.ssl_sni -m reg '^[^.]*\\.x\\.y$' }\n", "*.x.y a", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni -m reg '^(x|z)\\.y$' }\n", "", VERDICT_LOST},
    {"use_backend a if { req.ssl_sni -m beg x. }\n", "", VERDICT_LOST},
    {"use_backend a if { req.ssl_sni -m sub x }\n", "", VERDICT_LOST},
    {"use_backend a if !{ req.ssl_sni x.y }\n", "", VERDICT_LOST},
    {"use_backend a if { req.ssl_sni x.y } { src 10.0.0.0/8 }\n", "", VERDICT_LOST},
    {"use_backend a if { req.ssl_sni x/y }\n", "", VERDICT_LOST},
    {"use_backend a if { req.ssl_sni x.y } || { src 10.0.0.0/8 }\n", "", VERDICT_LOST},
    /* Somebody else's. */
    {"use_backend a if { nbsrv(b) ge 1 }\n", "", VERDICT_NONE},
    {"use_backend a\nuse_backend b if { req.ssl_sni x.y }\n", "", VERDICT_NONE},
    /* The first rule counts. */
    {"use_backend a if { req.ssl_sni x.y }\nuse_backend b if { req.ssl_sni x.y z.y }\n",
     "x.y a, z.y b", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni -m end .y }\nuse_backend b if { req.ssl_sni x.y z.w.y y }\n",
     "*.y a, y b", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni -m end .y }\nuse_backend b if { req.ssl_sni -m end .x.y }\n",
     "*.y a", VERDICT_KEPT},
    {"use_backend a if { req.ssl_sni x.y }\nuse_backend b if { req.ssl_sni -m end .y }\n",
     "x.y a, *.y b", VERDICT_KEPT},
    {"use_backend %[req.ssl_sni,lower,map(/none,a)]\n", "", VERDICT_LOST},
    {"use_backend %[req.ssl_sni]\n", "", VERDICT_LOST},
    {"use_backend bk_%[req.ssl_sni,lower,map(/none,a)]\n", "", VERDICT_LOST},
    {"use_backend %[src,map(/none,a)]\n", "", VERDICT_LOST},
    {"use_backend %[\n", "", VERDICT_LOST},
    {"use_backend %[req.ssl_sni)]\n", "", VERDICT_LOST},
};

static void every_rule_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        read_front(all[i].lines);
        char *seen = shown();
        enum verdict verdict = line_at(&file, 3)->verdict;
        if (strcmp(seen, all[i].shown) != 0 || verdict != all[i].verdict) {
            print_error("%s", all[i].lines);
        }
        assert_string_equal(seen, all[i].shown);
        assert_int_equal(verdict, all[i].verdict);
        free(seen);
        import_end(&file);
    }
}

static char path[] = "/tmp/router-sni-XXXXXX";

static void write_map(const char *text)
{
    memcpy(path + sizeof path - 7, "XXXXXX", 7);
    FILE *f = fdopen(mkstemp(path), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

struct map {
    const char *file;
    const char *rule; /* %s is the file */
    const char *shown;
    const char *otherwise;
    enum verdict verdict;
};

static const struct map maps[] = {
    {"# names\nx.y a\nz.y\tb \n\nx.y c\n", "use_backend %%[req.ssl_sni,lower,map(%s,c)]\n",
     "x.y a, z.y b", "c", VERDICT_KEPT},
    {"x.y a\n", "use_backend %%[req.ssl_sni,map_str(%s)]\n", "x.y a", NULL, VERDICT_KEPT},
    {"x.y a\n", "use_backend %%[req.ssl_sni,map(%s)] if { req.ssl_sni -m found }\n", "x.y a", NULL,
     VERDICT_KEPT},
    {"x.y a\n", "use_backend %%[req.ssl_sni,map(%s)] if { src 10.0.0.0/8 }\n", "", NULL,
     VERDICT_LOST},
    {".x.y a\n", "use_backend %%[req.ssl_sni,map_end(%s)]\n", "*.x.y a", NULL, VERDICT_KEPT},
    {"^x\\.y$ a\n^[^.]+\\.y$ b\n", "use_backend %%[req.ssl_sni,map_reg(%s)]\n", "x.y a, *.y b",
     NULL, VERDICT_KEPT},
    {"^x(y|z)$ a\n", "use_backend %%[req.ssl_sni,map_reg(%s)]\n", "", NULL, VERDICT_LOST},
    {"x.y none\nz.y b\n", "use_backend %%[req.ssl_sni,map(%s)]\n", "z.y b", NULL,
     VERDICT_DIFFERENCE},
    {"x.y a\n", "use_backend %%[req.ssl_sni,map(%s,none)]\n", "x.y a", NULL, VERDICT_KEPT},
};

static void maps_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        struct text text = {0};
        write_map(maps[i].file);
        const char *at = strstr(maps[i].rule, "%s");
        text_add(&text, "use_backend %.*s%s%s", (int)(at - maps[i].rule) - 13, maps[i].rule + 13,
                 path, at + 2);
        read_front(text.data);
        char *seen = shown();
        assert_string_equal(seen, maps[i].shown);
        assert_string_equal(sni.otherwise != NULL ? sni.otherwise : "none",
                            maps[i].otherwise != NULL ? maps[i].otherwise : "none");
        assert_int_equal(line_at(&file, 3)->verdict, maps[i].verdict);
        free(seen);
        import_end(&file);
        text_free(&text);
        unlink(path);
    }
}

static void a_delay_is_for_who_says_a_name(void **state)
{
    (void)state;
    read_front("tcp-request inspect-delay 5s\nuse_backend a if { req.ssl_sni x.y }\n");
    assert_int_equal(sni.handshake_ms, 5000);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_KEPT);
    import_end(&file);
    read_front("tcp-request inspect-delay 5s\n");
    assert_int_equal(sni.handshake_ms, 0);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_NOT_NEEDED);
    import_end(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_is_read),
        cmocka_unit_test(maps_are_read),
        cmocka_unit_test(a_delay_is_for_who_says_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
