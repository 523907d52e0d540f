/* Promise: the other checks are understood by their names, their words and their scripts, and what
 * is not understood is lost and said so. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import_fixture.h"

static struct imported file;
static struct check check;

static void understand(const char *name, const char *lines, const char *server)
{
    struct text text = {0};
    text_add(&text, "backend %s\n%sserver s 10.0.0.1%s check\n", name, lines, server);
    import(&file, text.data);
    text_free(&text);
    check_understand(back(&file, name), &check);
}

struct named {
    const char *lines;
    const char *server;
    enum check_kind kind;
    enum check_wants wants;
    const char *user;
    enum verdict verdict;
};

static const struct named all[] = {
    {"option redis-check\n", ":6379", CHECK_REDIS_PING, CHECK_WANTS_ANY, "", VERDICT_KEPT},
    {"option mysql-check\n", ":3306", CHECK_MYSQL_LOGIN, CHECK_WANTS_ANY, "", VERDICT_KEPT},
    {"option mysql-check user bob post-41\n", ":3306", CHECK_MYSQL_LOGIN, CHECK_WANTS_ANY, "bob",
     VERDICT_KEPT},
    {"option pgsql-check user bob\n", ":5432", CHECK_PGSQL_LOGIN, CHECK_WANTS_ANY, "bob",
     VERDICT_KEPT},
    {"option ssl-hello-chk\n", ":443", CHECK_CONNECT, CHECK_WANTS_ANY, "", VERDICT_DIFFERENCE},
    {"option smtpchk\n", ":25", CHECK_UNKNOWN, CHECK_WANTS_ANY, "", VERDICT_LOST},
    {"option ldap-check\n", ":389", CHECK_UNKNOWN, CHECK_WANTS_ANY, "", VERDICT_LOST},
    {"option spop-check\n", ":12345", CHECK_UNKNOWN, CHECK_WANTS_ANY, "", VERDICT_LOST},
    {"option tcp-check\n", ":80", CHECK_CONNECT, CHECK_WANTS_ANY, "", VERDICT_KEPT},
    {"option tcp-check\ntcp-check expect string master\\ is\\ running\n", ":3306 port 9200",
     CHECK_MYSQL_ROLE, CHECK_WANTS_PRIMARY, "", VERDICT_KEPT},
    {"option tcp-check\ntcp-check connect port 9201\n"
     "tcp-check expect string slave\\ is\\ running\n",
     ":3306", CHECK_MYSQL_ROLE, CHECK_WANTS_REPLICA, "", VERDICT_KEPT},
    {"option tcp-check\ntcp-check expect string is\\ running\n", ":3306 port 9200",
     CHECK_MYSQL_ROLE, CHECK_WANTS_ANY, "", VERDICT_KEPT},
    {"option tcp-check\ntcp-check expect rstring (?i)cluster\\ node\\ is\\ synced\n",
     ":3306 port 9200", CHECK_CLUSTERCHECK, CHECK_WANTS_ANY, "", VERDICT_KEPT},
    {"option tcp-check\ntcp-check expect string is\\ running\n", ":80", CHECK_UNKNOWN,
     CHECK_WANTS_ANY, "", VERDICT_LOST},
    {"option external-check\n", ":80", CHECK_UNKNOWN, CHECK_WANTS_ANY, "", VERDICT_LOST},
    {"option external-check\nexternal-check command /none/check_web.sh\n", ":80", CHECK_UNKNOWN,
     CHECK_WANTS_ANY, "", VERDICT_LOST},
    {"option external-check\nexternal-check command /none/check_pxc.sh\n", ":80", CHECK_MYSQL_ROLE,
     CHECK_WANTS_ANY, "", VERDICT_DIFFERENCE},
    {"option external-check\nexternal-check command /none/check_primary.sh\n", ":3306",
     CHECK_MYSQL_ROLE, CHECK_WANTS_PRIMARY, "", VERDICT_DIFFERENCE},
    {"option external-check\nexternal-check command /none/check_replicas.sh\n", ":5432",
     CHECK_PGSQL_LOGIN, CHECK_WANTS_REPLICA, "", VERDICT_DIFFERENCE},
};

static void each_is_known_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        understand("b", all[i].lines, all[i].server);
        if (check.kind != all[i].kind || check.wants != all[i].wants) {
            print_error("%s%s\n", all[i].lines, all[i].server);
        }
        assert_int_equal(check.kind, all[i].kind);
        assert_int_equal(check.wants, all[i].wants);
        assert_word(&check.user, all[i].user);
        assert_int_equal(line_at(&file, 2)->verdict, all[i].verdict);
        import_end(&file);
    }
}

/* The bytes of a login and of a query, in pieces as people write them. */
static void a_script_that_asks_postgresql_for_its_role_is_known(void **state)
{
    static const char script[] = "option tcp-check\ntcp-check connect\n"
                                 "tcp-check send-binary 00000024\ntcp-check send-binary 00030000\n"
                                 "tcp-check send-binary 7573657200\ntcp-check send-binary 6300\n"
                                 "tcp-check expect binary 52\ntcp-check expect binary 00000008\n"
                                 "tcp-check send-binary 51\ntcp-check send-binary 00000020\n"
                                 "tcp-check send-binary 73656c6563742070675f69735f69\n"
                                 "tcp-check send-binary 6e5f7265636f7665727928293b00\n"
                                 "tcp-check expect binary 54\n"
                                 "tcp-check expect binary 0001000000016";
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct text text = {0};
        text_add(&text, "%s%s\n", script, i == 0 ? "6" : "");
        if (i == 1) {
            text.data[text.len - 2] = '7';
            text_add(&text, "tcp-check expect binary 000174\n");
            char *odd = strstr(text.data, "tcp-check expect binary 00010000");
            memset(odd, ' ', strcspn(odd, "\n"));
        }
        understand("b", text.data, ":5432");
        assert_int_equal(check.kind, CHECK_PGSQL_LOGIN);
        assert_int_equal(check.wants, i == 0 ? CHECK_WANTS_PRIMARY : CHECK_WANTS_REPLICA);
        import_end(&file);
        text_free(&text);
    }
}

struct script {
    const char *content;
    const char *name;    /* of the file */
    const char *backend; /* its name */
    enum check_kind kind;
    enum check_wants wants;
    const char *topology;
};

static const struct script scripts[] = {
    {"mysql -e \"SHOW STATUS LIKE 'wsrep_local_state'\"", "check.sh", "b", CHECK_MYSQL_ROLE,
     CHECK_WANTS_ANY, "galera"},
    {"mysql -e \"SHOW STATUS LIKE 'wsrep_local_state'\"", "check.sh", "pxc-replicas",
     CHECK_MYSQL_ROLE, CHECK_WANTS_REPLICA, "galera"},
    {"select from performance_schema.replication_group_members", "check_primary.sh", "b",
     CHECK_MYSQL_ROLE, CHECK_WANTS_PRIMARY, "group_replication"},
    {"select from performance_schema.replication_group_members", "check_replica.sh", "b",
     CHECK_MYSQL_ROLE, CHECK_WANTS_REPLICA, "group_replication"},
    {"mysql -e 'SELECT @@GLOBAL.READ_ONLY'", "check.sh", "b", CHECK_MYSQL_ROLE, CHECK_WANTS_PRIMARY,
     "replication"},
    {"mysql -e 'SHOW SLAVE STATUS'", "check.sh", "mysql-ro", CHECK_MYSQL_ROLE, CHECK_WANTS_REPLICA,
     "replication"},
    {"mysqladmin ping", "check.sh", "b", CHECK_MYSQL_ROLE, CHECK_WANTS_ANY, NULL},
    {"redis-cli info replication | grep -q role:master", "check.sh", "b", CHECK_REDIS_ROLE,
     CHECK_WANTS_PRIMARY, NULL},
    {"redis-cli ping", "check.sh", "b", CHECK_REDIS_PING, CHECK_WANTS_ANY, NULL},
    {"psql -c 'select pg_is_in_recovery()'", "check.sh", "pg-write", CHECK_PGSQL_LOGIN,
     CHECK_WANTS_PRIMARY, NULL},
    {"curl -f http://$3/", "check.sh", "b", CHECK_UNKNOWN, CHECK_WANTS_ANY, NULL},
    {"", "check.sh", "b", CHECK_UNKNOWN, CHECK_WANTS_ANY, NULL},
};

static void write_script(const char *folder, const struct script *s)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, s->name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", s->content);
    fclose(f);
}

static void understand_script(const char *folder, const struct script *s, bool by_path)
{
    struct text lines = {0};
    text_add(&lines, "option external-check\nexternal-check path /nowhere:%s\n", folder);
    text_add(&lines, "external-check command %s%s%s\n", by_path ? "" : folder, by_path ? "" : "/",
             s->name);
    understand(s->backend, lines.data, ":4000");
    text_free(&lines);
    if (check.kind != s->kind || check.wants != s->wants) {
        print_error("%s in %s\n", s->content, s->backend);
    }
    assert_int_equal(check.kind, s->kind);
    assert_int_equal(check.wants, s->wants);
    assert_string_equal(check.topology != NULL ? check.topology : "none",
                        s->topology != NULL ? s->topology : "none");
    import_end(&file);
}

static void a_script_is_known_by_what_it_asks(void **state)
{
    char folder[] = "/tmp/router-check-XXXXXX";
    char path[256];
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        write_script(folder, &scripts[i]);
        understand_script(folder, &scripts[i], false);
        understand_script(folder, &scripts[i], true);
        snprintf(path, sizeof path, "%s/%s", folder, scripts[i].name);
        assert_int_equal(unlink(path), 0);
    }
    /* A pipe is nothing to wait for. */
    snprintf(path, sizeof path, "%s/check.sh", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    understand_script(folder, &scripts[ARRAY_LEN(scripts) - 1], false);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* More than anybody writes: not understood, and done in no time. */
static void a_long_script_is_lost(void **state)
{
    struct text lines = {0};
    (void)state;
    text_add(&lines, "option tcp-check\n");
    for (int i = 0; i < 20000; i++) {
        text_add(&lines, "tcp-check send info\\r\\n\ntcp-check expect rstring (a+)+b\n");
    }
    understand("b", lines.data, ":6379");
    assert_int_equal(check.kind, CHECK_UNKNOWN);
    assert_int_equal(line_at(&file, 30000)->verdict, VERDICT_LOST);
    import_end(&file);
    text_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_known_by_its_name),
        cmocka_unit_test(a_script_that_asks_postgresql_for_its_role_is_known),
        cmocka_unit_test(a_script_is_known_by_what_it_asks),
        cmocka_unit_test(a_long_script_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
