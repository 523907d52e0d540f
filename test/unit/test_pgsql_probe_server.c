/* The dialogue with a real PostgreSQL: what it asks and understands depends on the server's words.
 * One primary serves all tests, over TCP and over its unix socket. */
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/observation.h"
#include "pgsql_answers.h"
#include "proto/pgsql.h"

#define WAIT_MS 20000

struct server {
    char port[8];
    pid_t pid; /* 0: not started */
    FILE *log;
};

struct world {
    char home[40];
    char bin[64];
    struct server primary;
    struct server standby;
};

static struct world w = {.home = "/tmp/router-pgsql-XXXXXX"};

static const char access_rules[] = "local all postgres trust\n"
                                   "host replication postgres 127.0.0.1/32 trust\n"
                                   "local all clear password\n"
                                   "host all postgres 127.0.0.1/32 trust\n"
                                   "host all scram,plain 127.0.0.1/32 scram-sha-256\n"
                                   "host all md5user 127.0.0.1/32 md5\n"
                                   "host all clear 127.0.0.1/32 password\n";
static const char roles[] = "CREATE ROLE scram LOGIN PASSWORD 's3cret'; "
                            "GRANT pg_monitor TO scram; "
                            "CREATE ROLE plain LOGIN PASSWORD 's3cret'; "
                            "CREATE ROLE clear LOGIN PASSWORD 's3cret'; "
                            "ALTER ROLE plain SET default_transaction_read_only = on; "
                            "CREATE DATABASE closed ALLOW_CONNECTIONS false; "
                            "SET password_encryption = md5; "
                            "CREATE ROLE md5user LOGIN PASSWORD 's3cret';\n";

/* PostgreSQL does not run as root; nor does it outlive the test. */
static void become_owner(void)
{
    const struct passwd *owner = getpwnam("postgres");
    if (geteuid() == 0 && owner != NULL &&
        (setgid(owner->pw_gid) != 0 || setuid(owner->pw_uid) != 0)) {
        _exit(126);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid(), which clears it */
}

static pid_t spawn(const char *program, const char *const *args, int in, int out)
{
    char path[128];
    const char *argv[16] = {path};
    size_t argc = 1;
    snprintf(path, sizeof(path), "%s/%s", w.bin, program);
    for (; *args != NULL; args++) {
        argv[argc++] = *args;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become_owner();
        dup2(in >= 0 ? in : out, in >= 0 ? STDIN_FILENO : STDOUT_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        if (chdir(w.home) == 0) {
            execv(path, (char *const *)argv);
        }
        _exit(127);
    }
    return pid;
}

/* Runs a program to its end; `text` is its input. Its output is dropped. */
static void run(const char *program, const char *const *args, const char *text)
{
    int in[2];
    int status;
    FILE *null = fopen("/dev/null", "w");
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    pid_t pid = spawn(program, args, in[0], fileno(null));
    close(in[0]);
    assert_int_equal(write(in[1], text, strlen(text)), (ssize_t)strlen(text));
    close(in[1]);
    fclose(null);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void sql_on(const struct server *s, const char *text)
{
    const char *const args[] = {"-h",       w.home, "-p", s->port,           "-U", "postgres", "-X",
                                "postgres", "-q",   "-v", "ON_ERROR_STOP=1", NULL};
    run("psql", args, text);
}

static void sql(const char *text)
{
    sql_on(&w.primary, text);
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/* Returns when it accepts connections. */
static void start(struct server *s, const char *data)
{
    const char *const args[] = {"-D",        data, "-p", s->port,         "-k", w.home, "-h",
                                "127.0.0.1", "-F", "-c", "lc_messages=C", NULL};
    int log[2];
    char line[512];
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    s->pid = spawn("postgres", args, -1, log[1]);
    close(log[1]);
    s->log = fdopen(log[0], "r");
    while (fgets(line, sizeof(line), s->log) != NULL) {
        if (strstr(line, "ready to accept") != NULL) {
            return;
        }
    }
    fail_msg("postgres did not start");
}

static void end(struct server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGQUIT); /* at once, with its children */
        waitpid(s->pid, NULL, 0);
        fclose(s->log);
        s->pid = 0;
    }
}

static int setup(void **state)
{
    (void)state;
    const struct passwd *owner = getpwnam("postgres");
    char path[128];
    assert_non_null(mkdtemp(w.home));
    if (geteuid() == 0) {
        assert_int_equal(chown(w.home, owner->pw_uid, owner->pw_gid), 0);
    }
    const char *const initdb[] = {"-D", "data", "-U", "postgres", "-A", "trust", "-N", NULL};
    run("initdb", initdb, "");
    snprintf(path, sizeof(path), "%s/data/pg_hba.conf", w.home);
    FILE *rules = fopen(path, "w");
    fputs(access_rules, rules);
    fclose(rules);
    snprintf(w.primary.port, sizeof(w.primary.port), "%d", free_port());
    start(&w.primary, "data");
    sql(roles);
    return 0;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    end(&w.standby);
    end(&w.primary);
    return nftw(w.home, drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* One dialogue -------------------------------------------------------------------------------- */

static int dial(const struct server *s, bool local)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)atoi(s->port)),
    };
    struct sockaddr_un u = {.sun_family = AF_UNIX};
    snprintf(u.sun_path, sizeof(u.sun_path), "%s/.s.PGSQL.%s", w.home, s->port);
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    int rc = local ? connect(fd, (struct sockaddr *)&u, sizeof(u))
                   : connect(fd, (struct sockaddr *)&a, sizeof(a));
    assert_int_equal(rc, 0);
    return fd;
}

static void say(int fd, const char *out, size_t len)
{
    assert_int_equal(len > 0 ? write(fd, out, len) : 0, (ssize_t)len);
}

static enum probe_step ask(int fd, void *talk, const struct probe_setup *account, bool greeting,
                           struct observation *o)
{
    const char *out;
    size_t len;
    enum probe_step step = pgsql_probe.start(talk, account, greeting, &out, &len);
    say(fd, out, len);
    while (step == PROBE_STEP_READ) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char data[300];
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t got = read(fd, data, sizeof(data));
        assert_true(got > 0);
        step = pgsql_probe.feed(talk, data, (size_t)got, o, &out, &len);
        say(fd, out, len);
    }
    return step;
}

static struct observation probe_on(const struct server *s, const struct probe_setup *account)
{
    struct observation o = {0};
    void *talk = calloc(1, pgsql_probe.state_size);
    int fd = dial(s, account->local);
    enum probe_step step = ask(fd, talk, account, true, &o);
    assert_int_equal(step, o.reach == REACH_ANSWERED ? PROBE_STEP_DONE : PROBE_STEP_FAIL);
    close(fd);
    pgsql_probe.release(talk);
    free(talk);
    return o;
}

static struct observation probe(const struct probe_setup *account)
{
    return probe_on(&w.primary, account);
}

static void assert_denied(struct probe_setup account, const char *why)
{
    struct observation o = probe(&account);
    assert_int_equal(o.reach, REACH_DENIED);
    if (strstr(o.why, why) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", why, o.why);
    }
    assert_null(strstr(o.why, "s3cret"));
}

static void assert_primary(const struct observation *o)
{
    assert_int_equal(o->reach, REACH_ANSWERED);
    assert_true(o->writable);
    assert_int_equal(o->channel_count, 0);
    assert_int_equal(o->term, 1);
    assert_true(o->position > 0);
    assert_in_range(strlen(o->group), 18, 20);
    assert_int_equal(strlen(o->identity), 16);
}

static void every_login_works(void **state)
{
    (void)state;
    static const struct probe_setup accounts[] = {
        {.user = "postgres"},
        {.user = "scram", .password = "s3cret"},
        {.user = "md5user", .password = "s3cret"},
        {.user = "clear", .password = "s3cret", .local = true},
    };
    for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
        struct observation o = probe(&accounts[i]);
        assert_primary(&o);
        if (i < 2) {
            assert_string_equal(o.why, "");
        }
    }
}

static void a_plain_role_learns_what_matters(void **state)
{
    (void)state;
    static const struct probe_setup plain = {.user = "plain", .password = "s3cret"};
    struct observation o = probe(&plain);
    assert_primary(&o); /* although transactions of this role are read-only */
    assert_non_null(strstr(o.why, "GRANT pg_monitor TO plain"));
}

static void wrong_accounts_are_told_apart(void **state)
{
    (void)state;
    assert_denied((struct probe_setup){.password = "s3cret"}, "probe_user");
    assert_denied((struct probe_setup){.user = "scram"}, "probe_password");
    assert_denied((struct probe_setup){.user = "scram", .password = "guess"}, "does not accept");
    assert_denied((struct probe_setup){.user = "md5user", .password = "guess"}, "does not accept");
    assert_denied((struct probe_setup){.user = "clear", .password = "guess", .local = true},
                  "does not accept");
    assert_denied((struct probe_setup){.user = "clear", .password = "s3cret"}, "only over TLS");
    assert_denied((struct probe_setup){.user = "stranger", .password = "s3cret"},
                  "no pg_hba.conf entry");
    assert_denied((struct probe_setup){.user = "postgres", .database = "none"},
                  "lacks probe_database");
    assert_denied((struct probe_setup){.user = "postgres", .database = "closed"}, "error 55000");
    assert_denied((struct probe_setup){.user = "postgres", .tls = true}, "does not offer TLS");
}

static void a_kept_connection_is_asked_again_and_left(void **state)
{
    (void)state;
    static const struct probe_setup account = {.user = "scram", .password = "s3cret"};
    struct observation first = {0};
    struct observation second = {0};
    void *talk = calloc(1, pgsql_probe.state_size);
    int fd = dial(&w.primary, false);
    assert_int_equal(ask(fd, talk, &account, true, &first), PROBE_STEP_DONE);
    assert_int_equal(ask(fd, talk, &account, false, &second), PROBE_STEP_DONE);
    assert_string_equal(first.identity, second.identity);
    assert_string_equal(first.group, second.group);
    assert_true(second.position >= first.position);
    const char *out;
    size_t len;
    char end[16];
    pgsql_probe.goodbye(talk, &account, &out, &len);
    say(fd, out, len);
    assert_int_equal(read(fd, end, sizeof(end)), 0);
    close(fd);
    pgsql_probe.release(talk);
    free(talk);
}

static void a_server_that_is_made_read_only_says_so(void **state)
{
    (void)state;
    static const struct probe_setup account = {.user = "postgres"};
    struct observation o = {.writable = true};
    void *talk = calloc(1, pgsql_probe.state_size);
    int fd = dial(&w.primary, false);
    assert_int_equal(ask(fd, talk, &account, true, &o), PROBE_STEP_DONE);
    sql("ALTER SYSTEM SET default_transaction_read_only = on;\n");
    sql("SELECT pg_reload_conf();\n");
    for (int i = 0; i < WAIT_MS / 10 && o.writable; i++) {
        assert_int_equal(ask(fd, talk, &account, false, &o), PROBE_STEP_DONE);
        poll(NULL, 0, 10); /* nothing to wait for but its own word */
    }
    assert_false(o.writable);
    assert_non_null(strstr(o.why, "default_transaction_read_only"));
    sql("SET default_transaction_read_only = off;\n"
        "ALTER SYSTEM RESET default_transaction_read_only;\nSELECT pg_reload_conf();\n");
    for (int i = 0; i < WAIT_MS / 10 && !o.writable; i++) {
        assert_int_equal(ask(fd, talk, &account, false, &o), PROBE_STEP_DONE);
        poll(NULL, 0, 10);
    }
    assert_true(o.writable);
    close(fd);
    pgsql_probe.release(talk);
    free(talk);
}

static void an_idle_session_hears_of_its_end(void **state)
{
    (void)state;
    static const struct probe_setup account = {.user = "postgres"};
    struct observation o = {0};
    char data[512];
    void *talk = calloc(1, pgsql_probe.state_size);
    int fd = dial(&w.primary, false);
    assert_int_equal(ask(fd, talk, &account, true, &o), PROBE_STEP_DONE);
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'router';\n");
    ssize_t got = read(fd, data, sizeof(data));
    assert_true(got > 0);
    assert_true(pgsql_probe.unasked(talk, data, (size_t)got));
    close(fd);
    pgsql_probe.release(talk);
    free(talk);
}

/* Asks until the standby has what the primary has. */
static struct observation caught_up(const struct probe_setup *account)
{
    struct observation o = probe_on(&w.standby, account);
    struct observation first = probe(account);
    for (int i = 0; i < WAIT_MS / 10; i++) { /* nothing to wait for but its own word */
        if (o.channels[0].running && o.position >= first.position) {
            break;
        }
        poll(NULL, 0, 10);
        o = probe_on(&w.standby, account);
    }
    assert_int_equal(o.reach, REACH_ANSWERED);
    assert_true(o.position >= first.position);
    assert_string_equal(o.group, first.group);
    assert_string_not_equal(o.identity, first.identity);
    return o;
}

static void a_standby_streams_and_becomes_a_primary(void **state)
{
    (void)state;
    static const struct probe_setup scram = {.user = "scram", .password = "s3cret"};
    static const struct probe_setup plain = {.user = "plain", .password = "s3cret"};
    char source[64];
    snprintf(source, sizeof(source), "host=127.0.0.1 port=%s user=postgres", w.primary.port);
    const char *const copy[] = {"-D", "standby", "-R", "-c", "fast", "-N", "-d", source, NULL};
    run("pg_basebackup", copy, "");
    snprintf(w.standby.port, sizeof(w.standby.port), "%d", free_port());
    start(&w.standby, "standby");
    sql("CREATE TABLE written (x int);\n");
    struct observation o = caught_up(&scram);
    snprintf(source, sizeof(source), "127.0.0.1:%s", w.primary.port);
    assert_false(o.writable);
    assert_int_equal(o.channel_count, 1);
    assert_true(o.channels[0].running);
    assert_string_equal(o.channels[0].source, source);
    assert_int_equal(o.term, 1);
    assert_true(o.behind_ms >= 0);
    assert_string_equal(o.why, "");
    o = caught_up(&plain);
    assert_int_equal(o.channel_count, 1);
    assert_true(o.channels[0].running);
    assert_string_equal(o.channels[0].source, "");
    assert_non_null(strstr(o.why, "GRANT pg_monitor TO plain"));

    sql_on(&w.standby, "SELECT pg_wal_replay_pause();\n");
    o = probe_on(&w.standby, &scram);
    assert_false(o.channels[0].running);
    assert_non_null(strstr(o.why, "paused"));
    sql_on(&w.standby, "SELECT pg_promote();\n");
    struct observation promoted = probe_on(&w.standby, &scram);
    assert_true(promoted.writable);
    assert_int_equal(promoted.channel_count, 0);
    assert_int_equal(promoted.term, 2);
    assert_string_equal(promoted.identity, o.identity);
    assert_true(promoted.position >= o.position);
}

/* The newest version's programs. */
static bool find_programs(void)
{
    glob_t found = {0};
    bool good = glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) == 0 &&
                (geteuid() != 0 || getpwnam("postgres") != NULL);
    if (good) {
        const char *path = found.gl_pathv[found.gl_pathc - 1];
        snprintf(w.bin, sizeof(w.bin), "%.*s", (int)(strlen(path) - strlen("/postgres")), path);
    }
    globfree(&found);
    return good;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_login_works),
        cmocka_unit_test(a_plain_role_learns_what_matters),
        cmocka_unit_test(wrong_accounts_are_told_apart),
        cmocka_unit_test(a_kept_connection_is_asked_again_and_left),
        cmocka_unit_test(a_server_that_is_made_read_only_says_so),
        cmocka_unit_test(an_idle_session_hears_of_its_end),
        cmocka_unit_test(a_standby_streams_and_becomes_a_primary),
    };
    if (!find_programs()) {
        puts("PostgreSQL is missing: skipped");
        return 0;
    }
    return cmocka_run_group_tests_name("pgsql_probe_server", tests, setup, teardown);
}
