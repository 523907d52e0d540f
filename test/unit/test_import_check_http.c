/* Promise: what `option httpchk` asks is what router asks, and where that is Patroni or a script
 * beside a MySQL, router asks these in their own way. */
#include "import_fixture.h"

static struct imported file;
static struct check check;

/* A backend with these lines from line 3 on, and a server with this port and these words. */
static void understand(const char *lines, const char *server)
{
    struct text text = {0};
    text_add(&text, "backend b\nmode tcp\n%sserver s 10.0.0.1%s\n", lines, server);
    import(&file, text.data);
    text_free(&text);
    check_understand(back(&file, "b"), &check);
}

struct request {
    const char *lines;
    const char *request;
    const char *expect;   /* NULL: 2xx and 3xx */
    enum verdict verdict; /* of line 3 */
};

static const struct request requests[] = {
    {"option httpchk\n", "OPTIONS /", NULL, VERDICT_KEPT},
    {"option httpchk /health\n", "OPTIONS /health", NULL, VERDICT_KEPT},
    {"option httpchk HEAD /x?a=b\n", "HEAD /x?a=b", NULL, VERDICT_KEPT},
    {"option httpchk GET /x HTTP/1.1\n", "GET /x", NULL, VERDICT_KEPT},
    {"option httpchk GET /x HTTP/1.1\\r\\nHost:\\ www\n", "GET /x", NULL, VERDICT_DIFFERENCE},
    {"option httpchk GET /x HTTP/1.1\\r\\nAuthorization:\\ Basic\\ x\n", "GET /x", NULL,
     VERDICT_LOST},
    {"option httpchk OPTIONS * HTTP/1.1\n", "OPTIONS *", NULL, VERDICT_KEPT},
    {"option httpchk get x\n", NULL, NULL, VERDICT_LOST},
    {"http-check send meth GET uri /y ver HTTP/1.1\noption httpchk HEAD /x\n", "GET /y", NULL,
     VERDICT_KEPT},
    {"http-check send meth GET hdr Host www\noption httpchk /x\n", "GET /x", NULL,
     VERDICT_DIFFERENCE},
    {"http-check send hdr X-Key 1\noption httpchk /x\n", "OPTIONS /x", NULL, VERDICT_LOST},
    {"http-check send meth POST body abc\noption httpchk /x\n", "POST /x", NULL, VERDICT_LOST},
    {"http-check send uri-lf /%[str(z)]\noption httpchk\n", "OPTIONS /z", NULL, VERDICT_KEPT},
    {"http-check expect status 200\noption httpchk\n", "OPTIONS /", "200", VERDICT_KEPT},
    {"http-check expect status 200,204,300-310\noption httpchk\n", "OPTIONS /", "200,204,300-310",
     VERDICT_KEPT},
    {"http-check expect ! status 500-599\noption httpchk\n", "OPTIONS /", "100-499", VERDICT_KEPT},
    {"http-check expect ! rstatus ^5\noption httpchk\n", "OPTIONS /", "100-499", VERDICT_KEPT},
    {"http-check expect rstatus (2|3)[0-9][0-9]\noption httpchk\n", "OPTIONS /", NULL,
     VERDICT_KEPT},
    {"http-check expect rstatus ^2\nhttp-check expect ! status 204\noption httpchk\n", "OPTIONS /",
     "200-203,205-299", VERDICT_KEPT},
    {"http-check expect status 1000\noption httpchk\n", "OPTIONS /", NULL, VERDICT_LOST},
    {"http-check expect string OK\noption httpchk\n", "OPTIONS /", NULL, VERDICT_LOST},
    {"http-check expect hdr name x value y\noption httpchk\n", "OPTIONS /", NULL, VERDICT_LOST},
    {"http-check disable-on-404\noption httpchk\n", "OPTIONS /", NULL, VERDICT_DIFFERENCE},
    {"http-check send-state\noption httpchk\n", "OPTIONS /", NULL, VERDICT_DIFFERENCE},
    {"http-check comment hello\noption httpchk\n", "OPTIONS /", NULL, VERDICT_KEPT},
};

static void every_request_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        const struct request *r = &requests[i];
        understand(r->lines, ":80 check");
        if (line_at(&file, 3)->verdict != r->verdict) {
            print_error("%s", r->lines);
        }
        assert_int_equal(check.kind, r->request != NULL ? CHECK_HTTP : CHECK_UNKNOWN);
        assert_int_equal(line_at(&file, 3)->verdict, r->verdict);
        assert_word(&check.request, r->request != NULL ? r->request : "");
        if (r->expect == NULL) {
            assert_null(check.expect);
        } else {
            assert_string_equal(check.expect, r->expect);
        }
        import_end(&file);
    }
}

static void one_request_is_all(void **state)
{
    (void)state;
    understand("option httpchk\nhttp-check connect port 81 ssl\nhttp-check send uri /a\n"
               "http-check expect status 200\nhttp-check connect port 82\n"
               "http-check send uri /b\nhttp-check expect status 404\n",
               ":80 check");
    assert_word(&check.request, "OPTIONS /a");
    assert_string_equal(check.expect, "200");
    assert_int_equal(check.port, 81);
    assert_true(check.tls);
    for (size_t line = 7; line < 10; line++) {
        assert_int_equal(line_at(&file, line)->verdict, VERDICT_LOST);
    }
    import_end(&file);
}

struct idiom {
    const char *lines;
    const char *server;
    enum check_kind kind;
    enum check_wants wants;
    const char *max_lag;
};

#define PATRONI(path) "option httpchk GET " path "\nhttp-check expect status 200\n"

static const struct idiom idioms[] = {
    {PATRONI("/primary"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_PRIMARY, NULL},
    {PATRONI("/master"), ":6432 check port 8010", CHECK_PATRONI, CHECK_WANTS_PRIMARY, NULL},
    {PATRONI("/leader"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_PRIMARY, NULL},
    {PATRONI("/read-write"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_PRIMARY, NULL},
    {"option httpchk\n", ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_PRIMARY, NULL},
    {"option httpchk OPTIONS /master\nhttp-check expect status 503\n", ":5432 check port 8008",
     CHECK_PATRONI, CHECK_WANTS_REPLICA, NULL},
    {PATRONI("/replica"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_REPLICA, NULL},
    {PATRONI("/replica?lag=1MB"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_REPLICA,
     "1mb"},
    {PATRONI("/replica?replication_state=streaming&lag=16777216"), ":5432 check port 8008",
     CHECK_PATRONI, CHECK_WANTS_REPLICA, "16777216b"},
    {PATRONI("/sync"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_REPLICA, NULL},
    {PATRONI("/async?lag=2TB"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_REPLICA,
     "2048gb"},
    {PATRONI("/read-only?lag=10kB"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_ANY,
     "10kb"},
    {PATRONI("/health"), ":5432 check port 8008", CHECK_PATRONI, CHECK_WANTS_ANY, NULL},
    {PATRONI("/health"), ":8080 check port 8081", CHECK_HTTP, CHECK_WANTS_ANY, NULL},
    {PATRONI("/primary"), ":8080 check", CHECK_HTTP, CHECK_WANTS_ANY, NULL},
    {"option httpchk GET /role\nhttp-check expect string leader\n", ":5433 check port 5500",
     CHECK_PGSQL_LOGIN, CHECK_WANTS_PRIMARY, NULL},
    {"option httpchk\n", ":5432 check port 23267", CHECK_PGSQL_LOGIN, CHECK_WANTS_PRIMARY, NULL},
    {"option httpchk\n", ":3306 check port 9200", CHECK_CLUSTERCHECK, CHECK_WANTS_ANY, NULL},
    {"option httpchk HEAD /\nhttp-check expect status 200\n", ":3306 check port 9199",
     CHECK_CLUSTERCHECK, CHECK_WANTS_ANY, NULL},
    {"option httpchk\nhttp-check expect string synced\n", ":3307 check port 9200",
     CHECK_CLUSTERCHECK, CHECK_WANTS_ANY, NULL},
    {"option httpchk\n", ":7000 check port 9200", CHECK_CLUSTERCHECK, CHECK_WANTS_ANY, NULL},
    {"option httpchk\n", ":9200 check", CHECK_HTTP, CHECK_WANTS_ANY, NULL},
    {"option httpchk GET /master\n", ":3306 check port 9200", CHECK_MYSQL_ROLE, CHECK_WANTS_PRIMARY,
     NULL},
    {"option httpchk GET /slave\n", ":3306 check port 9201", CHECK_MYSQL_ROLE, CHECK_WANTS_REPLICA,
     NULL},
    {"option httpchk GET /master\n", ":6379 check port 8000", CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY,
     NULL},
    {"mode http\noption httpchk GET /primary\n", ":80 check port 8008", CHECK_HTTP, CHECK_WANTS_ANY,
     NULL},
};

static void every_idiom_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(idioms); i++) {
        const struct idiom *idiom = &idioms[i];
        understand(idiom->lines, idiom->server);
        if (check.kind != idiom->kind || check.wants != idiom->wants) {
            print_error("%s%s\n", idiom->lines, idiom->server);
        }
        assert_int_equal(check.kind, idiom->kind);
        assert_int_equal(check.wants, idiom->wants);
        if (idiom->max_lag == NULL) {
            assert_null(check.max_lag);
        } else {
            assert_string_equal(check.max_lag, idiom->max_lag);
        }
        assert_true(line_at(&file, 3)->verdict >= VERDICT_KEPT || check.kind == CHECK_HTTP);
        import_end(&file);
    }
}

static void what_patroni_cannot_be_asked_here_is_said(void **state)
{
    (void)state;
    understand("option httpchk GET /sync\n", ":5432 check port 8008");
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_DIFFERENCE);
    import_end(&file);
    understand("option httpchk GET /replica?tag_x=y\n", ":5432 check port 8008");
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_DIFFERENCE);
    assert_true(remarked(line_at(&file, 3), "only lag"));
    import_end(&file);
}

static void the_last_check_counts(void **state)
{
    (void)state;
    import(&file, "defaults\noption httpchk GET /a\nhttp-check expect status 201\n"
                  "backend b\noption tcp-check\nserver s 10.0.0.1:80 check\n"
                  "backend c\nserver s 10.0.0.1:80 check\n");
    check_understand(back(&file, "b"), &check);
    assert_int_equal(check.kind, CHECK_CONNECT);
    assert_int_equal(line_at(&file, 2)->verdict, VERDICT_NOT_NEEDED);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_NOT_NEEDED);
    check_understand(back(&file, "c"), &check);
    assert_word(&check.request, "GET /a");
    assert_string_equal(check.expect, "201");
    assert_int_equal(line_at(&file, 2)->verdict, VERDICT_KEPT);
    import_end(&file);
}

/* Each of these was tried with HAProxy 2.6. */
static void own_rules_take_the_place_of_the_inherited_request(void **state)
{
    static const char defaults[] =
        "defaults\noption httpchk GET /a\nhttp-check expect status 404\n";
    static const struct {
        const char *own;
        const char *request;
        const char *expect;
        enum verdict option;
        enum verdict rule;
    } cases[] = {
        {"", "GET /a", "404", VERDICT_KEPT, VERDICT_KEPT},
        {"option httpchk GET /b\n", "GET /b", NULL, VERDICT_NOT_NEEDED, VERDICT_NOT_NEEDED},
        {"http-check send meth HEAD\n", "HEAD /", NULL, VERDICT_KEPT, VERDICT_NOT_NEEDED},
        {"http-check expect status 200\n", "GET /a", "200", VERDICT_DIFFERENCE, VERDICT_NOT_NEEDED},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct text text = {0};
        text_add(&text, "%sbackend b\n%sserver s 10.0.0.1:80 check\n", defaults, cases[i].own);
        import(&file, text.data);
        text_free(&text);
        check_understand(back(&file, "b"), &check);
        assert_word(&check.request, cases[i].request);
        assert_string_equal(check.expect != NULL ? check.expect : "",
                            cases[i].expect != NULL ? cases[i].expect : "");
        assert_int_equal(line_at(&file, 2)->verdict, cases[i].option);
        assert_int_equal(line_at(&file, 3)->verdict, cases[i].rule);
        import_end(&file);
    }
}

static void a_header_with_a_key_is_secret(void **state)
{
    (void)state;
    understand("option httpchk\nhttp-check send hdr Authorization Basic\\ x\n", ":80 check");
    assert_true(line_at(&file, 4)->words[4].secret);
    import_end(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_is_understood),
        cmocka_unit_test(one_request_is_all),
        cmocka_unit_test(every_idiom_is_understood),
        cmocka_unit_test(what_patroni_cannot_be_asked_here_is_said),
        cmocka_unit_test(the_last_check_counts),
        cmocka_unit_test(own_rules_take_the_place_of_the_inherited_request),
        cmocka_unit_test(a_header_with_a_key_is_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
