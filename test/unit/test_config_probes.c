/* Promise: what a probe is told is read as strictly as the rest: each value, what it needs beside
 * it, and where it would have no effect; and the dump says it all but the secrets. */
#include "config_fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "base/macros.h"
#include "model/config_internal.h"

/* `lines` begin with line FIRST. */
#define BACKEND(protocol, lines)                                                                   \
    "[frontend f]\nbind = 127.0.0.1:7000\nbackend = b\nroute = any\n"                              \
    "[backend b]\nprotocol = " protocol "\nserver = one 127.0.0.1:7001\n" lines

#define MYSQL(lines) BACKEND("mysql", "probe_user = r\nprobe_password = x\n" lines)
#define PGSQL(lines) BACKEND("pgsql", "probe_user = r\nprobe_password = x\n" lines)
#define REDIS(lines) BACKEND("redis", lines)
#define CHECK(lines) BACKEND("http", "http_check = GET /health\n" lines)
#define FIRST        8  /* the line of what follows in BACKEND() and REDIS() */
#define FIRST_LOGIN  10 /* in MYSQL() and PGSQL() */
#define FIRST_CHECK  9  /* in CHECK() */

#define STATUS_WORDS                                                                               \
    "expected status codes or ranges of them, with commas between (like 200 or 200-299)"
#define CHECK_WORDS "expected METHOD /PATH (like GET /health)"

static char *with_line(const char *file, const char *key, const char *value)
{
    char *text;
    assert_true(asprintf(&text, "%s%s = %s\n", file, key, value) > 0);
    return text;
}

static void assert_bad(const char *file, unsigned line, const char *key, const char *value,
                       const char *words)
{
    char *text = with_line(file, key, value);
    char *expected;
    assert_true(asprintf(&expected, "r.ini:%u: bad value \"%s\" for \"%s\": %s\n", line, value, key,
                         words) > 0);
    assert_errors(text, expected);
    free(expected);
    free(text);
}

static struct config *load_with(const char *file, const char *key, const char *value)
{
    char *text = with_line(file, key, value);
    struct config *c = load(text);
    free(text);
    return c;
}

/* Values ------------------------------------------------------------------------------------ */

static void yes_and_no_are_the_only_answers(void **state)
{
    static const char *const bad[] = {"maybe", "2", "yes no"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_bad(REDIS(""), FIRST, "probe_tls", bad[i], "expected auto, yes or no");
        assert_bad(MYSQL(""), FIRST_LOGIN, "failback", bad[i], "expected yes or no");
        assert_bad(REDIS("probe_tls = yes\n"), FIRST + 1, "tls_verify", bad[i],
                   "expected yes or no");
    }
    struct config *c = load(REDIS("probe_tls = yes\ntls_verify = no\ntls_server_name = a.b\n"));
    assert_true(c->backends[0].probe_tls);
    assert_false(c->backends[0].tls_verify);
    assert_string_equal(c->backends[0].tls_server_name, "a.b");
    config_free(c);
    c = load(MYSQL("failback = yes\n"));
    assert_true(c->backends[0].failback);
    assert_false(c->backends[0].probe_tls);
    assert_true(c->backends[0].tls_verify);
    config_free(c);
}

static void ports_are_ports(void **state)
{
    static const char *const bad[] = {"0", "65536", "-1", "http", "80 81"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_bad(REDIS(""), FIRST, "probe_port", bad[i],
                   "expected a number from 1 to 65535, or none");
        assert_bad(PGSQL(""), FIRST_LOGIN, "patroni", bad[i],
                   "expected a number from 1 to 65535, or none");
    }
    struct config *c = load(PGSQL("patroni = 8008\nprobe_port = 65535\n"));
    assert_int_equal(c->backends[0].patroni, 8008);
    assert_int_equal(c->backends[0].probe_port, 65535);
    config_free(c);
    c = load(PGSQL("patroni = none\nprobe_port = none\n"));
    assert_int_equal(c->backends[0].patroni, 0);
    assert_int_equal(c->backends[0].probe_port, 0);
    config_free(c);
}

static void a_check_is_a_method_and_a_path(void **state)
{
    static const char *const bad[] = {"GET",           "/health",   "get /health",
                                      "GET health",    "GET /a b",  "G3T /",
                                      "GET http://a/", "GET /\xc3", "GET /\xc3\xa4 x"};
    static const char *const good[][3] = {
        {"GET /health", "GET", "/health"},
        {"OPTIONS \t *", "OPTIONS", "*"},
        {"HEAD /a?b=c&d=%20", "HEAD", "/a?b=c&d=%20"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *text = with_line(BACKEND("http", ""), "http_check", bad[i]);
        char *errors = errors_of(text);
        assert_non_null(strstr(errors, "r.ini:8: bad value \""));
        assert_non_null(strstr(errors, "\" for \"http_check\": " CHECK_WORDS "\n"));
        free(errors);
        free(text);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct config *c = load_with(BACKEND("tcp", ""), "http_check", good[i][0]);
        assert_string_equal(c->backends[0].http_check.method, good[i][1]);
        assert_string_equal(c->backends[0].http_check.target, good[i][2]);
        config_free(c);
    }
}

static void what_is_expected_are_status_codes(void **state)
{
    static const char *const bad[] = {"99",      "600",     "2xx",  "200-",       "-299",
                                      "299-200", "200,",    ",200", "200,,201",   "200 201",
                                      "200-700", "099-200", "none", "200-250-299"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_bad(CHECK(""), FIRST_CHECK, "http_expect", bad[i], STATUS_WORDS);
    }
    assert_bad(CHECK(""), FIRST_CHECK, "http_expect", "200,201,202,203,204,205,206,207,208",
               STATUS_WORDS); /* HTTP_EXPECT_MAX is 8 */
    struct config *c = load(CHECK("http_expect = 100-199, 200,\t301,599\n"));
    const struct http_expect *e = &c->backends[0].http_expect;
    assert_int_equal(e->count, 4);
    assert_true(e->ranges[0].first == 100 && e->ranges[0].last == 199);
    assert_true(e->ranges[2].first == 301 && e->ranges[2].last == 301);
    assert_true(e->ranges[3].first == 599 && e->ranges[3].last == 599);
    config_free(c);
    c = load(CHECK(""));
    assert_int_equal(c->backends[0].http_expect.count, 1);
    assert_int_equal(c->backends[0].http_expect.ranges[0].first, 200);
    config_free(c);
}

static void topologies_are_known(void **state)
{
    static const char *const words[] = {"auto", "replication", "group_replication", "galera"};
    (void)state;
    assert_bad(MYSQL(""), FIRST_LOGIN, "mysql_topology", "ring",
               "expected auto, replication, group_replication or galera");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct config *c = load_with(MYSQL(""), "mysql_topology", words[i]);
        assert_int_equal(c->backends[0].mysql_topology, i);
        config_free(c);
    }
}

/* Sentinels --------------------------------------------------------------------------------- */

static void sentinels_have_addresses_or_names_and_each_is_there_once(void **state)
{
    static const char master[] = REDIS("sentinel_master = m\nsentinel = 10.0.0.1:1\n");
    (void)state;
    assert_bad(master, FIRST + 2, "sentinel", "unix:/x", "expected host:port or [host]:port");
    assert_bad(master, FIRST + 2, "sentinel", ":26379", "expected host:port or [host]:port");
    assert_bad(master, FIRST + 2, "sentinel", "s..example:26379",
               "s..example is neither an IP address nor a host name");
    assert_errors(REDIS("sentinel = s.example:1\nsentinel = S.example:1\nsentinel_master = m\n"),
                  "r.ini:9: sentinel S.example:1 is there twice\n");
    assert_errors(REDIS("sentinel = 10.0.0.1:1\nsentinel = 10.0.0.2:1\nsentinel = 10.0.0.1:1\n"
                        "sentinel_master = m\n"),
                  "r.ini:10: sentinel 10.0.0.1:1 is there twice\n");
    assert_errors(REDIS("sentinel = 10.0.0.1:1\nsentinel = 10.0.0.1:1\n"),
                  "r.ini:8: \"sentinel\" needs \"sentinel_master\", the name that the Sentinels "
                  "use\nr.ini:9: sentinel 10.0.0.1:1 is there twice\n");
    struct config *c = load(REDIS("sentinel = 10.0.0.1:1\nsentinel = [::1]:1\n"
                                  "sentinel = 10.0.0.1:2\nsentinel_master = my master\n"));
    assert_int_equal(c->backends[0].sentinels.count, 3);
    assert_string_equal(c->backends[0].sentinels.items[1].text, "[::1]:1");
    assert_string_equal(c->backends[0].sentinel_master, "my master");
    config_free(c);
}

static void an_account_at_the_sentinels_has_a_password_once(void **state)
{
#define WITH_SENTINEL(lines) REDIS("sentinel = 10.0.0.1:1\nsentinel_master = m\n" lines)
    (void)state;
    assert_errors(WITH_SENTINEL("sentinel_user = u\n"),
                  "r.ini:10: \"sentinel_user\" needs \"sentinel_password\" or "
                  "\"sentinel_password_file\"\n");
    assert_errors(WITH_SENTINEL("sentinel_password = hunter2\nsentinel_password_file = /x\n"),
                  "r.ini:11: \"sentinel_password_file\" and \"sentinel_password\" (line 10) are "
                  "both set\n");
    assert_errors(WITH_SENTINEL("sentinel_password_file = /not/there\n"),
                  "r.ini:10: cannot read the password from /not/there: No such file or "
                  "directory\n");
    config_free(load(WITH_SENTINEL("sentinel_user = u\nsentinel_password = x\n")));
    config_free(load(WITH_SENTINEL("sentinel_password = x\n")));
}

/* Accounts ---------------------------------------------------------------------------------- */

static void mysql_and_postgresql_need_an_account(void **state)
{
    static const char needs[] =
        "r.ini:5: [backend b] asks its servers for their roles: it needs \"probe_user\" (and "
        "\"probe_password\"), or \"probe = connect\"\n";
    (void)state;
    assert_errors(BACKEND("mysql", ""), needs);
    assert_errors(BACKEND("pgsql", ""), needs);
    assert_errors(BACKEND("pgsql", "probe_password = x\n"), needs);
    config_free(load(REDIS("")));
    config_free(load(BACKEND("mysql", "probe_user = r\n"))); /* it may have no password */
    config_free(load(BACKEND("mysql", "probe = connect\n")));
    config_free(load(BACKEND("pgsql", "probe = off\n")));
    config_free(load(BACKEND("pgsql", "http_check = GET /\n")));
    assert_errors(MYSQL("probe_password_file = /x\n"),
                  "r.ini:10: \"probe_password_file\" and \"probe_password\" (line 9) are both "
                  "set\n");
}

static void a_password_file_is_read_when_it_is_loaded(void **state)
{
    char path[] = "/tmp/router-test-XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_int_equal(write(fd, "from file\r\n", 11), 11);
    close(fd);
    struct config *c = load_with(BACKEND("pgsql", "probe_user = r\n"), "probe_password_file", path);
    unlink(path);
    assert_string_equal(c->backends[0].probe_password, "from file");
    config_free(c);
}

/* What excludes each other ------------------------------------------------------------------ */

static void a_unix_socket_has_no_other_port(void **state)
{
#define WITH_UNIX(protocol, lines) BACKEND(protocol, "server = two unix:/x\n" lines)
    static const char words[] =
        "r.ini:8: server \"two\" is a unix socket: it has no other port to be asked at (%s)\n";
    char expected[128];
    (void)state;
    snprintf(expected, sizeof(expected), words, "probe_port");
    assert_errors(WITH_UNIX("redis", "probe_port = 1\n"), expected);
    assert_errors(WITH_UNIX("pgsql", "probe_user = r\npatroni = 2\nprobe_port = 1\n"), expected);
    snprintf(expected, sizeof(expected), words, "patroni");
    assert_errors(WITH_UNIX("pgsql", "probe_user = r\npatroni = 8008\n"), expected);
    config_free(load(WITH_UNIX("redis", "probe_port = none\n")));
}

static void what_verifies_a_certificate_must_be_there(void **state)
{
    (void)state;
    assert_errors(REDIS("probe_tls = yes\ntls_ca = /nowhere/ca.pem\n"),
                  "r.ini:9: cannot read /nowhere/ca.pem: No such file or directory\n");
    assert_errors(WITH_UNIX("redis", "probe_tls = yes\n"),
                  "r.ini:8: server \"two\" is a unix socket: its certificate needs a name to be "
                  "verified, tls_server_name\n");
    config_free(load(WITH_UNIX("redis", "probe_tls = yes\ntls_server_name = two\n")));
    config_free(load(WITH_UNIX("redis", "probe_tls = yes\ntls_verify = no\n")));
}

static void mysql_is_behind_by_time_only(void **state)
{
    (void)state;
    assert_errors(MYSQL("max_lag = 10mb\n"),
                  "r.ini:10: max_lag is a duration with protocol = mysql (like 10s)\n");
    config_free(load(MYSQL("max_lag = 10s\n")));
    config_free(load(MYSQL("max_lag = none\n")));
    config_free(load(PGSQL("max_lag = 10mb\n")));
}

static const struct {
    const char *file;
    unsigned line;
    const char *setting;
    const char *with;
} useless[] = {
    {REDIS(""), FIRST, "http_expect = 200", "no \"http_check\""},
    {REDIS(""), FIRST, "tls_ca = /etc/passwd", "tls = no and probe_tls = auto"},
    {REDIS("probe_tls = yes\ntls_verify = no\n"), FIRST + 2, "tls_ca = /etc/passwd",
     "tls_verify = no"},
    {REDIS(""), FIRST, "tls_verify = no", "tls = no and probe_tls = auto"},
    {REDIS("probe_tls = no\n"), FIRST + 1, "tls_server_name = a", "tls = no and probe_tls = no"},
    {REDIS(""), FIRST, "tls_cert = a", "tls = no and probe_tls = auto"},
    {REDIS("tls = no\n"), FIRST + 1, "tls_key = a", "tls = no and probe_tls = auto"},
    {REDIS("tls = yes\ntls_verify = no\n"), FIRST + 2, "tls_ca = /etc/passwd", "tls_verify = no"},
    {REDIS(""), FIRST, "sentinel_master = m", "no \"sentinel\""},
    {REDIS(""), FIRST, "sentinel_tls = yes", "no \"sentinel\""},
    {PGSQL(""), FIRST_LOGIN, "patroni_tls = yes", "no \"patroni\""},
    {REDIS(""), FIRST, "sentinel_password = x", "no \"sentinel\""},
    {REDIS(""), FIRST, "sentinel_password_file = /dev/null", "no \"sentinel\""},
    {REDIS(""), FIRST, "probe_database = x", "protocol = redis"},
    {REDIS(""), FIRST, "mysql_topology = galera", "protocol = redis"},
    {REDIS(""), FIRST, "failback = yes", "protocol = redis"},
    {REDIS(""), FIRST, "patroni = 8008", "protocol = redis"},
    {MYSQL(""), FIRST_LOGIN, "probe_database = x", "protocol = mysql"},
    {MYSQL(""), FIRST_LOGIN, "patroni = 8008", "protocol = mysql"},
    {MYSQL(""), FIRST_LOGIN, "sentinel = 10.0.0.1:1", "protocol = mysql"},
    {MYSQL(""), FIRST_LOGIN, "probe_command = INFO=X", "protocol = mysql"},
    {MYSQL("mysql_topology = replication\n"), FIRST_LOGIN + 1, "failback = yes",
     "mysql_topology = replication"},
    {MYSQL("mysql_topology = galera\n"), FIRST_LOGIN + 1, "max_lag = 5s",
     "mysql_topology = galera"},
    {BACKEND("pgsql", "probe = connect\n"), FIRST + 1, "probe_database = x", "probe = connect"},
    {PGSQL(""), FIRST_LOGIN, "mysql_topology = auto", "protocol = pgsql"},
    {PGSQL(""), FIRST_LOGIN, "failback = no", "protocol = pgsql"},
    {CHECK(""), FIRST_CHECK, "probe_user = x", "protocol = http"},
    {CHECK(""), FIRST_CHECK, "max_lag = 10s", "protocol = http"},
    {BACKEND("tcp", ""), FIRST, "probe_tls = yes", "protocol = tcp"},
    {BACKEND("tcp", ""), FIRST, "probe_keep = no", "protocol = tcp"},
    {BACKEND("tcp", "probe = off\n"), FIRST + 1, "probe_port = 1", "probe = off"},
    {BACKEND("tcp", "probe = connect\n"), FIRST + 1, "http_check = GET /", "probe = connect"},
    {BACKEND("redis", "probe = off\n"), FIRST + 1, "http_check = GET /", "probe = off"},
    {BACKEND("mysql", "probe = connect\n"), FIRST + 1, "mysql_topology = galera",
     "probe = connect"},
    {BACKEND("mysql", "http_check = GET /\n"), FIRST + 1, "mysql_topology = galera", "http_check"},
    {BACKEND("pgsql", "http_check = GET /\n"), FIRST + 1, "patroni = 8008", "http_check"},
    {BACKEND("redis", "http_check = GET /\n"), FIRST + 1, "sentinel = 10.0.0.1:1", "http_check"},
};

static void an_option_without_an_effect_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(useless); i++) {
        char text[512];
        char begin[256];
        snprintf(text, sizeof(text), "%s%s\n", useless[i].file, useless[i].setting);
        snprintf(begin, sizeof(begin), "r.ini:%u: \"%.*s\" has no effect with %s\n",
                 useless[i].line, (int)strcspn(useless[i].setting, " "), useless[i].setting,
                 useless[i].with);
        char *errors = errors_of(text);
        if (strstr(errors, begin) == NULL) {
            print_error("%s: %s", useless[i].setting, errors);
        }
        assert_non_null(strstr(errors, begin));
        free(errors);
    }
}

static void an_option_with_an_effect_is_not(void **state)
{
    static const char *const files[] = {
        BACKEND("tcp", "http_check = GET /\nprobe_tls = yes\nprobe_keep = no\nprobe_port = 9200\n"),
        BACKEND("mysql", "http_check = OPTIONS *\nprobe_port = 9200\nhttp_expect = 200\n"),
        CHECK("probe_tls = yes\ntls_verify = yes\ntls_ca = /etc/passwd\ntls_server_name = "
              "hub.example\n"),
        MYSQL("mysql_topology = galera\nfailback = yes\nprobe_tls = yes\ntls_verify = no\n"),
        PGSQL("probe_database = app\npatroni = 8008\nprobe_tls = yes\n"),
        BACKEND("tcp", "probe = connect\nprobe_port = 9200\n"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        config_free(load(files[i]));
    }
}

static void a_check_takes_the_roles_away(void **state)
{
    char *errors = errors_of("[frontend f]\nbind = 127.0.0.1:7000\nbackend = b\nroute = primary\n"
                             "[backend b]\nprotocol = mysql\nserver = one 10.0.0.1:1\n"
                             "http_check = GET /\n");
    (void)state;
    assert_memory_equal(errors, "r.ini:4: route = primary needs roles, and with ", 47);
    free(errors);
}

/* The dump ---------------------------------------------------------------------------------- */

static void the_dump_shows_what_probes_are_told_and_no_secret(void **state)
{
    struct config *c = load(
        REDIS("probe_user = u\nprobe_password = hunter2\nprobe_tls = yes\ntls_ca = /etc/passwd\n"
              "tls_server_name = db.example\nsentinel = 10.0.0.5:26379\nsentinel = [::1]:2\n"
              "sentinel_master = m\nsentinel_user = s\nsentinel_password = hunter3\n"
              "probe_port = 16379\n"));
    char *text = dump(c);
    (void)state;
    assert_null(strstr(text, "hunter"));
    assert_has(text, "\nprobe_user = u ");
    assert_has(text, "\n; probe_password = (set) ");
    assert_has(text, "\n; sentinel_password = (set) ");
    assert_has(text, "\nprobe_tls = yes ");
    assert_has(text, "\ntls_verify = yes ");
    assert_has(text, "\ntls_ca = /etc/passwd ");
    assert_has(text, "\ntls_server_name = db.example ");
    assert_has(text, "\nsentinel = 10.0.0.5:26379 ");
    assert_has(text, "\nsentinel = [::1]:2 ");
    assert_has(text, "\nsentinel_master = m ");
    assert_has(text, "\nprobe_port = 16379 ");
    assert_has(text, "\n; patroni = none ");
    assert_has(text, "default, no effect with protocol = redis\n");
    assert_has(text, "\n; http_expect = 200 ");
    free(text);
    config_free(c);
}

static void the_dump_is_a_configuration_that_says_the_same(void **state)
{
    static const char *const files[] = {
        REDIS("probe_tls = yes\ntls_verify = no\nsentinel = 10.0.0.5:26379\n"
              "sentinel = [2001:db8::1]:2\nsentinel_master = \"a ;b\"\nprobe_command = INFO=X\n"),
        BACKEND("mysql", "probe_user = \"r \"\nmysql_topology = galera\nfailback = yes\n"),
        BACKEND("pgsql", "probe_user = r\nprobe_database = \"a #b\"\npatroni = 8008\n"),
        CHECK("http_expect = 200-299,301, 599\nprobe_port = 9200\nprobe_tls = yes\n"
              "tls_server_name = x\n"),
        BACKEND("tcp", "http_check = OPTIONS *\n"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct config *c = load(files[i]);
        char *first = dump(c);
        config_free(c);
        c = load(first);
        char *second = dump(c);
        config_free(c);
        assert_same(first, second);
        free(first);
        free(second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yes_and_no_are_the_only_answers),
        cmocka_unit_test(ports_are_ports),
        cmocka_unit_test(a_check_is_a_method_and_a_path),
        cmocka_unit_test(what_is_expected_are_status_codes),
        cmocka_unit_test(topologies_are_known),
        cmocka_unit_test(sentinels_have_addresses_or_names_and_each_is_there_once),
        cmocka_unit_test(an_account_at_the_sentinels_has_a_password_once),
        cmocka_unit_test(mysql_and_postgresql_need_an_account),
        cmocka_unit_test(a_password_file_is_read_when_it_is_loaded),
        cmocka_unit_test(a_unix_socket_has_no_other_port),
        cmocka_unit_test(what_verifies_a_certificate_must_be_there),
        cmocka_unit_test(mysql_is_behind_by_time_only),
        cmocka_unit_test(an_option_without_an_effect_is_refused),
        cmocka_unit_test(an_option_with_an_effect_is_not),
        cmocka_unit_test(a_check_takes_the_roles_away),
        cmocka_unit_test(the_dump_shows_what_probes_are_told_and_no_secret),
        cmocka_unit_test(the_dump_is_a_configuration_that_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
