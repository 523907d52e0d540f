/* The dialogue with a real redis-server: what it says in words depends on the words of Redis. */
#include <dirent.h>
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "model/observation.h"
#include "proto/redis.h"
#include "redis_answers.h"

#define SERVERS 2
#define WAIT_MS 20000

struct server {
    pid_t pid; /* 0: not started */
    int port;
    FILE *log;
};

struct world {
    char home[32];
    struct server servers[SERVERS];
};

static const char *under_own_name(const void *renames, const char *command)
{
    (void)renames;
    return command;
}

static const char *info_renamed(const void *renames, const char *command)
{
    (void)renames;
    return strcmp(command, "INFO") == 0 ? "XINFO_a1b2" : command;
}

static const struct probe_setup nobody = {.command = under_own_name};

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

static void run_server(const char *home, int port, const char *const *options, int out)
{
    const char *argv[32] = {"redis-server"};
    char port_text[16];
    snprintf(port_text, sizeof(port_text), "%d", port);
    const char *const base[] = {"--port",    port_text, "--bind",
                                "127.0.0.1", "--save",  "",
                                "--dir",     home,      "--repl-diskless-sync-delay",
                                "0"};
    size_t argc = 1;
    for (size_t i = 0; i < ARRAY_LEN(base); i++) {
        argv[argc++] = base[i];
    }
    for (; *options != NULL; options++) {
        argv[argc++] = *options;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* it never outlives the test */
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

/* Starts server `i` and returns once it accepts connections. */
static struct server *start(struct world *w, size_t i, const char *const *options)
{
    struct server *s = &w->servers[i];
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    s->port = free_port();
    s->pid = fork();
    if (s->pid == 0) {
        close(pipes[0]);
        run_server(w->home, s->port, options, pipes[1]);
    }
    close(pipes[1]);
    s->log = fdopen(pipes[0], "r");
    char line[512];
    while (fgets(line, sizeof(line), s->log) != NULL) {
        if (strstr(line, "eady to accept connections") != NULL) {
            return s;
        }
    }
    fail_msg("redis-server did not start");
    return NULL;
}

static int setup(void **state)
{
    static struct world w;
    w = (struct world){.home = "/tmp/router-probe-XXXXXX"};
    assert_non_null(mkdtemp(w.home));
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < SERVERS; i++) {
        if (w->servers[i].pid > 0) {
            kill(w->servers[i].pid, SIGKILL);
            waitpid(w->servers[i].pid, NULL, 0);
            fclose(w->servers[i].log);
        }
    }
    DIR *home = opendir(w->home);
    for (struct dirent *e = readdir(home); e != NULL; e = readdir(home)) {
        unlinkat(dirfd(home), e->d_name, 0); /* fails for "." and "..", as it should */
    }
    closedir(home);
    assert_int_equal(rmdir(w->home), 0);
    return 0;
}

static int dial(const struct server *s)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)s->port),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* Writes a command line and returns when a line of answer has come. */
static void tell(const struct server *s, const char *command)
{
    char answer[256];
    int fd = dial(s);
    dprintf(fd, "%s\r\n", command);
    assert_true(read(fd, answer, sizeof(answer)) > 0);
    assert_int_not_equal(answer[0], '-');
    close(fd);
}

/* One round of the dialogue, in small reads. */
static enum probe_step ask(int fd, void *talk, const struct probe_setup *account, bool greeting,
                           struct observation *o)
{
    const char *out;
    size_t len;
    enum probe_step step = redis_probe.start(talk, account, greeting, &out, &len);
    assert_int_equal(write(fd, out, len), (ssize_t)len);
    while (step == PROBE_STEP_READ) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char data[300];
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t got = read(fd, data, sizeof(data));
        assert_true(got > 0);
        step = redis_probe.feed(talk, data, (size_t)got, o, &out, &len);
    }
    return step;
}

static struct observation probe(const struct server *s, const struct probe_setup *account)
{
    struct observation o = {0};
    void *talk = calloc(1, redis_probe.state_size);
    int fd = dial(s);
    enum probe_step step = ask(fd, talk, account, true, &o);
    assert_int_equal(step, o.reach == REACH_ANSWERED ? PROBE_STEP_DONE : PROBE_STEP_FAIL);
    close(fd);
    redis_probe.release(talk);
    free(talk);
    return o;
}

static void assert_denied(const struct server *s, const struct probe_setup *account,
                          const char *why)
{
    struct observation o = probe(s, account);
    assert_int_equal(o.reach, REACH_DENIED);
    assert_non_null(strstr(o.why, why));
}

static void a_kept_connection_is_asked_again_and_left(void **state)
{
    const char *const options[] = {NULL};
    struct server *s = start(*state, 0, options);
    struct observation first = {0};
    struct observation second = {0};
    void *talk = calloc(1, redis_probe.state_size);
    int fd = dial(s);
    assert_int_equal(ask(fd, talk, &nobody, true, &first), PROBE_STEP_DONE);
    assert_int_equal(ask(fd, talk, &nobody, false, &second), PROBE_STEP_DONE);
    assert_int_equal(first.claim, CLAIM_PRIMARY);
    assert_true(first.usable);
    assert_string_equal(first.lineage.previous_id, "");
    assert_int_equal(strlen(first.identity), 40);
    assert_true(same_observation(&first, &second));
    const char *out;
    size_t len;
    char end[16];
    redis_probe.goodbye(talk, &nobody, &out, &len);
    assert_int_equal(write(fd, out, len), (ssize_t)len);
    assert_int_equal(read(fd, end, sizeof(end)), strlen("+OK\r\n"));
    assert_int_equal(read(fd, end, sizeof(end)), 0);
    close(fd);
    redis_probe.release(talk);
    free(talk);
}

static void a_password_is_needed_and_suffices(void **state)
{
    const char *const options[] = {"--requirepass", "s3cret", NULL};
    const struct probe_setup right = {.password = "s3cret", .command = under_own_name};
    const struct probe_setup wrong = {.password = "guess", .command = under_own_name};
    struct server *s = start(*state, 0, options);
    assert_int_equal(probe(s, &right).reach, REACH_ANSWERED);
    assert_denied(s, &wrong, "does not accept");
    assert_denied(s, &nobody, "asks for a password");
}

static void a_user_needs_info_and_nothing_else(void **state)
{
    const char *const options[] = {NULL};
    const struct probe_setup asker = {.user = "asker", .password = "pw", .command = under_own_name};
    const struct probe_setup other = {.user = "other", .password = "pw", .command = under_own_name};
    const struct probe_setup stranger = {
        .user = "stranger", .password = "pw", .command = under_own_name};
    struct server *s = start(*state, 0, options);
    tell(s, "ACL SETUSER asker on >pw -@all +info");
    tell(s, "ACL SETUSER other on >pw -@all +ping");
    assert_int_equal(probe(s, &asker).reach, REACH_ANSWERED);
    assert_denied(s, &other, "ACL: +info");
    assert_denied(s, &stranger, "does not accept");
}

static void a_password_that_nobody_asked_for_is_told(void **state)
{
    const char *const options[] = {NULL};
    const struct probe_setup account = {.password = "s3cret", .command = under_own_name};
    assert_denied(start(*state, 0, options), &account, "has no password");
}

static void a_renamed_info_is_found_under_its_name(void **state)
{
    const char *const options[] = {"--rename-command", "INFO", "XINFO_a1b2", NULL};
    const struct probe_setup renamed = {.command = info_renamed};
    struct server *s = start(*state, 0, options);
    assert_int_equal(probe(s, &renamed).reach, REACH_ANSWERED);
    assert_denied(s, &nobody, "INFO is unknown there: probe_command = INFO=");
}

static void a_renamed_auth_does_not_tell_the_password(void **state)
{
    const char *const options[] = {"--rename-command", "AUTH", "XAUTH", NULL};
    const struct probe_setup account = {.password = "s3cret", .command = under_own_name};
    struct observation o = probe(start(*state, 0, options), &account);
    assert_non_null(strstr(o.why, "AUTH is unknown there"));
    assert_null(strstr(o.why, "s3cret"));
}

static void a_server_without_room_says_so(void **state)
{
    const char *const options[] = {"--maxclients", "1", NULL};
    struct server *s = start(*state, 0, options);
    tell(s, "PING");
    int taken = dial(s);
    char pong[16];
    dprintf(taken, "PING\r\n");
    assert_true(read(taken, pong, sizeof(pong)) > 0);
    assert_denied(s, &nobody, "maxclients");
    close(taken);
}

static void a_replica_streams_and_becomes_a_master(void **state)
{
    const char *const options[] = {NULL};
    struct server *master = start(*state, 0, options);
    struct server *replica = start(*state, 1, options);
    char command[64];
    char follows[64];
    struct observation o;
    struct observation m = probe(master, &nobody);
    snprintf(command, sizeof(command), "REPLICAOF 127.0.0.1 %d", master->port);
    snprintf(follows, sizeof(follows), "127.0.0.1:%d", master->port);
    tell(replica, command);
    o = probe(replica, &nobody);
    assert_int_equal(o.claim, CLAIM_REPLICA);
    assert_string_equal(o.follows, follows);

    tell(master, "SET key value");
    for (int i = 0; i < WAIT_MS / 10; i++) { /* nothing to wait for but its own word */
        m = probe(master, &nobody);
        o = probe(replica, &nobody);
        if (o.link_up && o.lineage.offset == m.lineage.offset && o.lineage.offset > 0) {
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    assert_true(o.link_up);
    assert_false(o.syncing);
    assert_int_equal(o.lineage.offset, m.lineage.offset);
    assert_string_equal(o.lineage.id, m.lineage.id);
    assert_true(o.link_idle_ms < WAIT_MS);

    tell(replica, "REPLICAOF NO ONE");
    o = probe(replica, &nobody);
    assert_int_equal(o.claim, CLAIM_PRIMARY);
    assert_true(o.usable);
    assert_string_equal(o.lineage.previous_id, m.lineage.id);
    assert_true(o.lineage.previous_end > 0);
    assert_string_equal(o.follows, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_kept_connection_is_asked_again_and_left),
        TEST(a_password_is_needed_and_suffices),
        TEST(a_user_needs_info_and_nothing_else),
        TEST(a_password_that_nobody_asked_for_is_told),
        TEST(a_renamed_info_is_found_under_its_name),
        TEST(a_renamed_auth_does_not_tell_the_password),
        TEST(a_server_without_room_says_so),
        TEST(a_replica_streams_and_becomes_a_master),
    };
    if (system("redis-server --version >/dev/null 2>&1") != 0) {
        puts("redis-server is missing: skipped");
        return 0;
    }
    return cmocka_run_group_tests_name("redis_probe_server", tests, NULL, NULL);
}
