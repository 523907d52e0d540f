/* Promise: a script that asks Redis for its role is understood however it is spelled, and its
 * password is found, kept as it was written, and never shown. */
#include "import_fixture.h"

static struct imported file;
static struct check check;

/* A backend with this script in lines 3 and following, and a server. */
static void understand_with(const char *script, const char *server)
{
    struct text text = {0};
    text_add(&text, "backend b\noption tcp-check\n%sserver s 10.0.0.1:6379 %s\n", script, server);
    import(&file, text.data);
    text_free(&text);
    check_understand(back(&file, "b"), &check);
}

static void understand(const char *script)
{
    understand_with(script, "check");
}

static void assert_shown(size_t line, const char *expected)
{
    struct text shown = {0};
    line_show(line_at(&file, line), &shown);
    assert_string_equal(shown.data, expected);
    text_free(&shown);
}

struct spelling {
    const char *script;
    enum check_kind kind;
    enum check_wants wants;
    const char *user;
    const char *password;
};

#define INFO   "tcp-check send info\\ replication\\r\\n\n"
#define MASTER "tcp-check expect string role:master\n"

static const struct spelling spellings[] = {
    {INFO MASTER, CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "", ""},
    {INFO "tcp-check expect string role:slave\n", CHECK_REDIS_ROLE, CHECK_WANTS_REPLICA, "", ""},
    {INFO "tcp-check expect ! string role:master\n", CHECK_REDIS_ROLE, CHECK_WANTS_REPLICA, "", ""},
    {INFO "tcp-check expect !string role:slave\n", CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "", ""},
    {INFO "tcp-check expect min-recv 100 string role:master comment x on-error no\n",
     CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "", ""},
    {INFO "tcp-check expect rstring role:(master|active-replica)\n", CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", ""},
    {INFO "tcp-check expect string role:active-replica\n", CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY,
     "", ""},
    {INFO "tcp-check expect string role:replica\n", CHECK_REDIS_ROLE, CHECK_WANTS_REPLICA, "", ""},
    {INFO "tcp-check expect rstring role:(master|slave)\n", CHECK_REDIS_ROLE, CHECK_WANTS_ANY, "",
     ""},
    {INFO "tcp-check expect rstring ^role:master$\n", CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "",
     ""},
    {INFO "tcp-check expect rstring connected_slaves:[1-9]\n", CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", ""},
    {INFO "tcp-check expect string master_link_status:up\n", CHECK_REDIS_ROLE, CHECK_WANTS_REPLICA,
     "", ""},
    {INFO "tcp-check expect binary 726f6c653a6d6173746572\n", CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY,
     "", ""},
    {INFO "tcp-check expect rbinary 726F6C653A(6D6173746572|786F)\n", CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", ""},
    {"tcp-check connect\ntcp-check send PING\\r\\n\ntcp-check expect string +PONG\n"
     "tcp-check comment the\\ role\ntcp-check send INFO\\ REPLICATION\\r\\n\n" MASTER
     "tcp-check send QUIT\\r\\n\ntcp-check expect string +OK\n",
     CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "", ""},
    {"tcp-check send info\\r\\n\n" MASTER, CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "", ""},
    {"tcp-check send role\\r\\n\ntcp-check expect string master\n", CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", ""},
    {"tcp-check send \"*1\\r\\n\\$4\\r\\nROLE\\r\\n\"\ntcp-check expect string slave\n",
     CHECK_REDIS_ROLE, CHECK_WANTS_REPLICA, "", ""},
    {"tcp-check send HELLO\\ 3\\ AUTH\\ bob\\ pw\\r\\n\ntcp-check expect string master\n",
     CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "bob", "pw"},
    {"tcp-check send HELLO\\ 3\\ AUTH\\ default\\ pw\\r\\n\ntcp-check expect string server\n" INFO
         MASTER,
     CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "", "pw"},
    {"tcp-check send AUTH\\ pw\\r\\n\ntcp-check expect string +OK\n" INFO MASTER, CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", "pw"},
    /* Nobody waits for the answer to AUTH. */
    {"tcp-check send AUTH\\ pw\\r\\n\n" INFO MASTER, CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "",
     "pw"},
    {"tcp-check send 'AUTH pw'\ntcp-check send \\r\\n\n" INFO MASTER, CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", "pw"},
    {"tcp-check send \"AUTH bob pw\\r\\n\"\n" INFO MASTER, CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY,
     "bob", "pw"},
    {"tcp-check send \"auth \\\"p w\\\\x21\\\"\\r\\n\"\n" INFO MASTER, CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", "p w!"},
    {"tcp-check send \"*2\\r\\n\\$4\\r\\nAUTH\\r\\n\\$6\\r\\npw\\ pw2\\r\\n\"\n" INFO MASTER,
     CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "", "pw pw2"},
    {"tcp-check send-binary 415554482070770d0a\n" INFO MASTER, CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", "pw"},
    {"tcp-check send-lf AUTH\\ 100%%\\r\\n\n" INFO MASTER, CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY,
     "", "100%"},
    {"tcp-check set-var(check.pw) str(secret)\n"
     "tcp-check send-lf AUTH\\ %[var(check.pw)]\\r\\n\n" INFO MASTER,
     CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY, "", "secret"},
    {"tcp-check send SET\\ k\\ 1\\r\\n\ntcp-check expect string +OK\n", CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, "", ""},
    {"tcp-check send PING\\r\\n\ntcp-check expect string +PONG\n", CHECK_REDIS_PING,
     CHECK_WANTS_ANY, "", ""},
    {"tcp-check send PING\ntcp-check expect rstring PONG|NOAUTH\n", CHECK_REDIS_PING,
     CHECK_WANTS_ANY, "", ""},
    {"tcp-check send-binary 50494e470d0a\ntcp-check expect binary 2b504F4e47\n", CHECK_REDIS_PING,
     CHECK_WANTS_ANY, "", ""},
    {"tcp-check send AUTH\\ pw\\r\\n\ntcp-check expect string +OK\n", CHECK_REDIS_PING,
     CHECK_WANTS_ANY, "", "pw"},
    {"tcp-check send QUIT\\r\\n\n", CHECK_CONNECT, CHECK_WANTS_ANY, "", ""},
    {"tcp-check expect string +OK\\ POP3\\ ready\n", CHECK_UNKNOWN, CHECK_WANTS_ANY, "", ""},
    {INFO MASTER "tcp-check send info\\r\\n\ntcp-check expect string role:slave\n", CHECK_UNKNOWN,
     CHECK_WANTS_ANY, "", ""},
};

static void every_spelling_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        const struct spelling *s = &spellings[i];
        understand(s->script);
        if (check.kind != s->kind || check.wants != s->wants) {
            print_error("%s", s->script);
        }
        assert_int_equal(check.kind, s->kind);
        assert_int_equal(check.wants, s->wants);
        if (s->kind != CHECK_UNKNOWN) {
            assert_word(&check.user, s->user);
            assert_word(&check.password, s->password);
        }
        import_end(&file);
    }
}

static void each_line_is_marked(void **state)
{
    (void)state;
    understand("tcp-check send AUTH\\ pw\\r\\n\n" INFO MASTER
               "tcp-check expect string connected_slaves:2\n");
    assert_int_equal(line_at(&file, 2)->verdict, VERDICT_KEPT);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_KEPT);
    assert_int_equal(line_at(&file, 5)->verdict, VERDICT_KEPT);
    assert_int_equal(line_at(&file, 6)->verdict, VERDICT_DIFFERENCE);
    assert_true(remarked(line_at(&file, 6), "not asked"));
    import_end(&file);
    understand(INFO "tcp-check expect rstring ^role:slave\n");
    assert_int_equal(line_at(&file, 4)->verdict, VERDICT_DIFFERENCE);
    assert_true(remarked(line_at(&file, 4), "HAProxy never finds it"));
    import_end(&file);
    understand("tcp-check expect string 220\\ smtp\n");
    assert_int_equal(line_at(&file, 2)->verdict, VERDICT_LOST);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_LOST);
    import_end(&file);
}

static void a_password_is_never_shown(void **state)
{
    (void)state;
    understand("tcp-check send AUTH\\ bob\\ pw\\r\\n\n" INFO MASTER);
    assert_true(check.password.secret);
    assert_shown(3, "tcp-check send ***");
    assert_shown(4, "tcp-check send \"info replication\\r\\n\"");
    import_end(&file);
    understand("tcp-check send \"*2\\r\\n\\$4\\r\\nAUTH\\r\\n\"\n"
               "tcp-check send \"\\$2\\r\\npw\\r\\n\"\n" INFO MASTER);
    assert_word(&check.password, "pw");
    assert_shown(4, "tcp-check send ***");
    assert_shown(5, "tcp-check send \"info replication\\r\\n\"");
    import_end(&file);
    understand("tcp-check set-var(check.pw) str(secret)\n"
               "tcp-check send-lf AUTH\\ %[var(check.pw)]\\r\\n\n" INFO MASTER);
    assert_shown(3, "tcp-check set-var(check.pw) ***");
    import_end(&file);
}

static void assert_from_environment(void)
{
    assert_int_equal(check.kind, CHECK_REDIS_ROLE);
    assert_int_equal(check.password.reference_count, 1);
    assert_string_equal(check.password.references[0].name, "ROUTER_TEST_PW");
    assert_int_equal(check.password.references[0].at, 0);
    assert_int_equal(check.password.references[0].len, check.password.len);
    assert_true(check.password.secret);
    assert_true(line_at(&file, 3)->words[2].secret);
}

/* Set or not: the password is what router's own environment says then. */
static void a_password_of_the_environment_stays_there(void **state)
{
    static const char *const values[] = {NULL, "pw", "p w\"x"};
    static const char *const scripts[] = {
        "tcp-check send \"AUTH ${ROUTER_TEST_PW}\\r\\n\"\n" INFO MASTER,
        "tcp-check send AUTH\\ \"${ROUTER_TEST_PW}\"\\r\\n\n" INFO MASTER,
        "tcp-check send \"AUTH \\\"${ROUTER_TEST_PW}\\\"\\r\\n\"\n" INFO MASTER,
        "tcp-check send \"*2\\r\\n\\$4\\r\\nAUTH\\r\\n\\$2\\r\\n${ROUTER_TEST_PW}\\r\\n\"\n" INFO
            MASTER,
        "tcp-check send-lf \"AUTH %[env(ROUTER_TEST_PW)]\\r\\n\"\n" INFO MASTER,
    };
    (void)state;
    for (size_t v = 0; v < ARRAY_LEN(values); v++) {
        for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
            unsetenv("ROUTER_TEST_PW");
            if (values[v] != NULL) {
                setenv("ROUTER_TEST_PW", values[v], 1);
            }
            understand(scripts[i]);
            assert_word(&check.password, values[v] != NULL ? values[v] : "");
            assert_from_environment();
            import_end(&file);
        }
    }
    unsetenv("ROUTER_TEST_PW");
}

static void sentinels_are_told_from_redis(void **state)
{
    (void)state;
    understand("tcp-check send AUTH\\ pw\\r\\n\ntcp-check expect string +OK\n"
               "tcp-check send PING\\r\\n\ntcp-check expect string +PONG\n"
               "tcp-check send SENTINEL\\ get-master-addr-by-name\\ mymaster\\r\\n\n"
               "tcp-check expect string 10.0.0.7\ntcp-check send QUIT\\r\\n\n"
               "tcp-check expect string +OK\n");
    assert_int_equal(check.kind, CHECK_SENTINEL);
    assert_word(&check.master, "mymaster");
    assert_word(&check.expected, "10.0.0.7");
    assert_word(&check.password, "pw");
    assert_int_equal(line_at(&file, 7)->verdict, VERDICT_KEPT);
    import_end(&file);
    understand("tcp-check send SENTINEL\\ master\\ \"${NAME-m}\"\\r\\n\n"
               "tcp-check expect string \"*2\\r\\n\\$8\\r\\n10.0.0.7\\r\\n\"\n");
    assert_int_equal(check.kind, CHECK_SENTINEL);
    assert_int_equal(check.master.reference_count, 1);
    assert_word(&check.expected, "10.0.0.7");
    import_end(&file);
}

static void a_connect_says_port_and_tls(void **state)
{
    (void)state;
    understand("tcp-check connect port 6380 ssl\n" INFO MASTER);
    assert_int_equal(check.port, 6380);
    assert_true(check.tls);
    import_end(&file);
    understand("tcp-check connect port 26379\ntcp-check send PING\\r\\n\n"
               "tcp-check expect string +PONG\ntcp-check connect port 6381\n" INFO MASTER);
    assert_int_equal(check.kind, CHECK_REDIS_ROLE);
    assert_int_equal(check.port, 6381);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_DIFFERENCE);
    import_end(&file);
    understand("tcp-check connect addr 10.0.0.9\n" INFO MASTER);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_LOST);
    import_end(&file);
}

#define SLAVE "tcp-check expect string role:slave\n"

/* Each of these was tried with HAProxy 2.6. */
static const struct {
    const char *defaults;
    const char *own;
    enum check_kind kind;
    enum check_wants wants;
} inherited[] = {
    {"option tcp-check\n" INFO SLAVE, "", CHECK_REDIS_ROLE, CHECK_WANTS_REPLICA},
    {"option tcp-check\n" INFO SLAVE, "option tcp-check\n", CHECK_REDIS_ROLE, CHECK_WANTS_REPLICA},
    {"option tcp-check\n" INFO SLAVE, INFO MASTER, CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY},
    {"option tcp-check\n", INFO MASTER, CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY},
    {"option tcp-check\n" INFO SLAVE, "option httpchk\noption tcp-check\n", CHECK_CONNECT,
     CHECK_WANTS_ANY},
    {"option tcp-check\n" INFO SLAVE, "option httpchk\n", CHECK_HTTP, CHECK_WANTS_ANY},
    {INFO SLAVE, "", CHECK_CONNECT, CHECK_WANTS_ANY},
    {INFO SLAVE, "option tcp-check\n", CHECK_CONNECT, CHECK_WANTS_ANY},
    {INFO SLAVE, INFO SLAVE, CHECK_CONNECT, CHECK_WANTS_ANY},
    {INFO SLAVE, "option tcp-check\n" INFO MASTER, CHECK_REDIS_ROLE, CHECK_WANTS_PRIMARY},
};

static void rules_are_inherited_as_in_haproxy(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(inherited); i++) {
        struct text text = {0};
        text_add(&text, "defaults\n%sbackend b\n%sserver s 10.0.0.1:7000 check\n",
                 inherited[i].defaults, inherited[i].own);
        import(&file, text.data);
        check_understand(back(&file, "b"), &check);
        if (check.kind != inherited[i].kind || check.wants != inherited[i].wants) {
            print_error("%s", text.data);
        }
        assert_int_equal(check.kind, inherited[i].kind);
        assert_int_equal(check.wants, inherited[i].wants);
        text_free(&text);
        import_end(&file);
    }
}

static void each_backend_uses_what_it_inherits(void **state)
{
    (void)state;
    import(&file,
           "defaults\noption tcp-check\n" INFO SLAVE "backend a\nserver s 10.0.0.1:6379 check\n"
           "backend b\n" INFO MASTER "server s 10.0.0.1:6379 check\n");
    check_understand(back(&file, "a"), &check);
    check_understand(back(&file, "b"), &check);
    assert_int_equal(line_at(&file, 4)->verdict, VERDICT_KEPT);
    import_end(&file);
}

static void without_check_nothing_is_asked(void **state)
{
    (void)state;
    understand_with(INFO MASTER, "");
    assert_int_equal(check.kind, CHECK_NONE);
    assert_int_equal(line_at(&file, 2)->verdict, VERDICT_NOT_NEEDED);
    assert_int_equal(line_at(&file, 3)->verdict, VERDICT_NOT_NEEDED);
    import_end(&file);
    understand_with("default-server check\n" INFO MASTER, "");
    assert_int_equal(check.kind, CHECK_REDIS_ROLE);
    import_end(&file);
    understand_with("default-server check\n" INFO MASTER, "no-check");
    assert_int_equal(check.kind, CHECK_NONE);
    import_end(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_is_understood),
        cmocka_unit_test(each_line_is_marked),
        cmocka_unit_test(a_password_is_never_shown),
        cmocka_unit_test(a_password_of_the_environment_stays_there),
        cmocka_unit_test(sentinels_are_told_from_redis),
        cmocka_unit_test(a_connect_says_port_and_tls),
        cmocka_unit_test(rules_are_inherited_as_in_haproxy),
        cmocka_unit_test(each_backend_uses_what_it_inherits),
        cmocka_unit_test(without_check_nothing_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
