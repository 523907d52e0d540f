/* The dialogue with a real MariaDB that forgives no broken handshake: max_connect_errors = 1, and
 * from an address that it counts (127.0.0.1 it does not). */
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/observation.h"
#include "proto/mysql.h"

#define WAIT_MS 30000

static struct {
    char home[32];
    char data[64];
    char socket[64];
    char init[64];
    int port;
    pid_t pid; /* 0: not started */
    FILE *log;
} server;

static const char accounts[] =
    "DELETE FROM mysql.global_priv WHERE user = '';\n" /* they match before router@'%' does */
    "FLUSH PRIVILEGES;\n"
    "INSTALL SONAME 'auth_ed25519';\n"
    "CREATE OR REPLACE USER router@'%' IDENTIFIED BY 's3cret';\n"
    "GRANT SLAVE MONITOR ON *.* TO router@'%';\n"
    "CREATE OR REPLACE USER open@'%';\n"
    "GRANT SLAVE MONITOR ON *.* TO open@'%';\n"
    "CREATE OR REPLACE USER poor@'%' IDENTIFIED BY 's3cret';\n"
    "CREATE OR REPLACE USER curve@'%' IDENTIFIED VIA ed25519 USING PASSWORD('s3cret');\n"
    "CREATE OR REPLACE USER twofold@'%' IDENTIFIED VIA ed25519 USING PASSWORD('s3cret')"
    " OR mysql_native_password USING PASSWORD('s3cret');\n"
    "GRANT SLAVE MONITOR ON *.* TO twofold@'%';\n";

static const struct probe_setup router = {.user = "router", .password = "s3cret"};

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/* Its output goes to `out`; it never outlives the test. */
static pid_t run(const char *const *argv, int out)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void install(void)
{
    char data[80];
    snprintf(data, sizeof data, "--datadir=%s", server.data);
    const char *const argv[] = {"mariadb-install-db",
                                "--no-defaults",
                                "--user=root",
                                "--skip-test-db",
                                "--skip-name-resolve",
                                "--auth-root-authentication-method=normal",
                                data,
                                NULL};
    FILE *nowhere = fopen("/dev/null", "w");
    int status = 0;
    assert_int_equal(waitpid(run(argv, fileno(nowhere)), &status, 0) > 0, 1);
    fclose(nowhere);
    assert_int_equal(status, 0);
}

/* Returns once it accepts connections. */
static void start(void)
{
    char options[4][96];
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    server.port = free_port();
    snprintf(options[0], sizeof options[0], "--datadir=%s", server.data);
    snprintf(options[1], sizeof options[1], "--socket=%s", server.socket);
    snprintf(options[2], sizeof options[2], "--init-file=%s", server.init);
    snprintf(options[3], sizeof options[3], "--port=%d", server.port);
    const char *const argv[] = {"mariadbd",
                                "--no-defaults",
                                "--user=root",
                                "--bind-address=127.0.0.1",
                                "--innodb-buffer-pool-size=8M",
                                "--innodb-log-file-size=8M",
                                "--max-connect-errors=1",
                                "--server-id=7",
                                "--log-bin=binlog",
                                "--log-slave-updates",
                                options[0],
                                options[1],
                                options[2],
                                options[3],
                                NULL};
    server.pid = run(argv, pipes[1]);
    close(pipes[1]);
    server.log = fdopen(pipes[0], "r");
    char line[1024];
    while (fgets(line, sizeof line, server.log) != NULL) {
        if (strstr(line, "ready for connections") != NULL) {
            return;
        }
    }
    fail_msg("mariadbd did not start");
}

static void stop(void)
{
    if (server.pid > 0) {
        kill(server.pid, SIGKILL);
        waitpid(server.pid, NULL, 0);
        fclose(server.log);
        server.pid = 0;
    }
}

static int setup(void **state)
{
    (void)state;
    const char *path = getenv("PATH");
    char longer[4096];
    snprintf(longer, sizeof longer, "%s:/usr/sbin", path != NULL ? path : "/usr/bin:/bin");
    setenv("PATH", longer, 1);
    snprintf(server.home, sizeof server.home, "/tmp/router-probe-XXXXXX");
    assert_non_null(mkdtemp(server.home));
    snprintf(server.data, sizeof server.data, "%s/data", server.home);
    snprintf(server.socket, sizeof server.socket, "%s/sock", server.home);
    snprintf(server.init, sizeof server.init, "%s/init", server.home);
    write_file(server.init, accounts);
    install();
    start();
    return 0;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)s;
    (void)kind;
    (void)where;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    stop();
    return nftw(server.home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* From 127.0.0.2. */
static int dial(void)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)server.port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static int dial_socket(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", server.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* One round of the dialogue, in small reads. */
static enum probe_step ask(int fd, void *talk, const struct probe_setup *account, bool greeting,
                           struct observation *o)
{
    const char *out;
    size_t len;
    enum probe_step step = mysql_probe.start(talk, account, greeting, &out, &len);
    while (step == PROBE_STEP_READ) {
        assert_int_equal(write(fd, out, len), (ssize_t)len);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char data[300];
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t got = read(fd, data, sizeof data);
        assert_true(got > 0);
        step = mysql_probe.feed(talk, data, (size_t)got, o, &out, &len);
    }
    assert_int_equal(step, o->reach == REACH_ANSWERED ? PROBE_STEP_DONE : PROBE_STEP_FAIL);
    return step;
}

static struct observation probe_on(int fd, const struct probe_setup *account)
{
    struct observation o = {0};
    void *talk = calloc(1, mysql_probe.state_size);
    ask(fd, talk, account, true, &o);
    assert_false(mysql_probe.unfinished(talk));
    close(fd);
    mysql_probe.release(talk);
    free(talk);
    return o;
}

static struct observation probe(const struct probe_setup *account)
{
    return probe_on(dial(), account);
}

static void assert_source(const struct observation *o)
{
    if (o->reach != REACH_ANSWERED) {
        fail_msg("it %s", o->why);
    }
    assert_int_equal(o->part, PART_SOURCE);
    assert_string_equal(o->id, "7");
    assert_true(o->writable);
    assert_int_equal(o->channel_count, 0);
    assert_true(o->gtids.known);
    assert_string_equal(o->why, "");
}

static void a_kept_connection_is_asked_again_and_left(void **state)
{
    (void)state;
    struct observation first = {0};
    struct observation second = {0};
    void *talk = calloc(1, mysql_probe.state_size);
    const char *out;
    size_t len;
    char rest;
    int fd = dial();
    ask(fd, talk, &router, true, &first);
    ask(fd, talk, &router, false, &second);
    assert_source(&first);
    assert_memory_equal(&first, &second, sizeof first);
    mysql_probe.goodbye(talk, &router, &out, &len);
    assert_int_equal(write(fd, out, len), (ssize_t)len);
    assert_int_equal(read(fd, &rest, 1), 0); /* the server ends it at once */
    close(fd);
    mysql_probe.release(talk);
    free(talk);
}

static void accounts_are_logged_in_as_far_as_they_can(void **state)
{
    (void)state;
    const struct probe_setup without_password = {.user = "open"};
    const struct probe_setup two_plugins = {.user = "twofold", .password = "s3cret"};
    const struct probe_setup local = {.user = "router", .password = "s3cret", .local = true};
    const struct probe_setup database = {
        .user = "router", .password = "s3cret", .database = "information_schema"};
    struct observation seen[] = {
        probe(&router),   probe(&without_password),        probe(&two_plugins),
        probe(&database), probe_on(dial_socket(), &local),
    };
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        assert_source(&seen[i]);
        assert_string_equal(seen[i].identity, seen[0].identity);
    }
}

/* Each twice: the second would hear of the first if it were counted. */
static void whatever_fails_is_not_held_against_the_address(void **state)
{
    (void)state;
    static const struct {
        struct probe_setup account;
        const char *why;
    } cases[] = {
        {{.user = "curve", .password = "s3cret"}, "its account uses client_ed25519"},
        {{.user = "router", .password = "wrong"}, "does not accept the probe's user and password"},
        {{.user = "router"}, "asks for a password"},
        {{.user = "poor", .password = "s3cret"},
         "SHOW ALL SLAVES STATUS is refused: GRANT SLAVE MONITOR ON *.* TO 'poor'@'...'"},
        {{.user = "router", .password = "s3cret", .database = "mysql"}, "probe_database"},
        {{.user = "router", .password = "s3cret", .tls = true}, "does not offer TLS"},
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
        struct observation o = probe(&cases[i / 2].account);
        assert_int_equal(o.reach, REACH_DENIED);
        if (strstr(o.why, cases[i / 2].why) == NULL) {
            fail_msg("'%s' says nothing of '%s'", o.why, cases[i / 2].why);
        }
    }
    struct observation o = probe(&router);
    assert_source(&o);
}

static void another_process_has_another_identity(void **state)
{
    (void)state;
    struct observation before = probe(&router);
    struct observation again = probe(&router);
    assert_source(&before);
    assert_string_equal(before.identity, again.identity);
    time_t started = (time_t)strtoll(strchr(before.identity, '@') + 1, NULL, 10);
    stop();
    while (time(NULL) <= started) { /* it counts in seconds */
        poll(NULL, 0, 10);
    }
    start();
    struct observation after = probe(&router);
    assert_source(&after);
    assert_string_not_equal(before.identity, after.identity);
}

/* What all the care is for; the last, because the address stays blocked. */
static void a_connection_that_is_cut_blocks_the_address(void **state)
{
    (void)state;
    char greeting[300];
    for (int i = 0; i < 2; i++) {
        int fd = dial();
        assert_true(read(fd, greeting, sizeof greeting) > 0);
        close(fd);
    }
    struct observation o = {0};
    for (int i = 0; i < 200 && o.reach != REACH_DENIED; i++) { /* it counts when it notices */
        o = probe(&router);
        poll(NULL, 0, o.reach == REACH_DENIED ? 0 : 20);
    }
    assert_int_equal(o.reach, REACH_DENIED);
    assert_non_null(strstr(o.why, "max_connect_errors): FLUSH HOSTS"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_connection_is_asked_again_and_left),
        cmocka_unit_test(accounts_are_logged_in_as_far_as_they_can),
        cmocka_unit_test(whatever_fails_is_not_held_against_the_address),
        cmocka_unit_test(another_process_has_another_identity),
        cmocka_unit_test(a_connection_that_is_cut_blocks_the_address),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
