/* The catalog beside a real server: what it learns from its COMMAND, and whether our own table says
 * the same. Arguments are the words that start another server than redis-server. */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/macros.h"
#include "proto/redis_reply.h"
#include "redis_judge.h"

#define WAIT_MS   20000
#define REPLY_MAX (1024 * 1024)
#define WORDS_MAX 160
#define PLAINEST  " BLOCK 0 STREAMS k 0" /* arguments that make XREAD wait and say nothing else */

static char *own_server[] = {"redis-server", NULL};
static char **server_words = own_server;

struct server {
    pid_t pid;
    int fd; /* a connection to it */
    char home[32];
    char socket[48];
};

static struct server plain;
static struct server renaming;

/* The last reply, as it came. */
static char reply[REPLY_MAX];
static size_t reply_len;

static const char *const no_options[] = {NULL};
static const char *const renames[] = {
    "--rename-command",
    "MULTI",
    "XMULTI",
    "--rename-command",
    "CLIENT",
    "KLIENT",
    "--rename-command",
    "AUTH",
    "SESAME",
    "--rename-command",
    "DEBUG",
    "",
    NULL,
};

static void run_server(const struct server *s, const char *const *options, int out)
{
    const char *argv[48];
    const char *const base[] = {"--port", "0",     "--unixsocket", s->socket,     "--save",
                                "",       "--dir", s->home,        "--daemonize", "no"};
    size_t argc = 0;
    for (char **word = server_words; *word != NULL && argc < 16; word++) {
        argv[argc++] = *word;
    }
    for (size_t i = 0; i < ARRAY_LEN(base); i++) {
        argv[argc++] = base[i];
    }
    for (; *options != NULL; options++) {
        argv[argc++] = *options;
    }
    argv[argc] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* it never outlives the test */
    dup2(out, STDOUT_FILENO);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

static int dial(const struct server *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", s->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void start(struct server *s, const char *const *options)
{
    int pipes[2];
    char line[512];
    *s = (struct server){.home = "/tmp/router-catalog-XXXXXX"};
    assert_non_null(mkdtemp(s->home));
    snprintf(s->socket, sizeof(s->socket), "%s/socket", s->home);
    assert_int_equal(pipe(pipes), 0);
    s->pid = fork();
    if (s->pid == 0) {
        run_server(s, options, pipes[1]);
    }
    close(pipes[1]);
    FILE *log = fdopen(pipes[0], "r");
    bool ready = false;
    while (!ready && fgets(line, sizeof(line), log) != NULL) {
        ready = strstr(line, "eady to accept connections") != NULL;
    }
    assert_true(ready);
    s->fd = dial(s);
    /* The log's end stays open: what a server cannot write to may end it. */
}

static void stop(struct server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
        close(s->fd);
    }
    unlink(s->socket);
    rmdir(s->home);
}

static int setup(void **state)
{
    (void)state;
    start(&plain, no_options);
    start(&renaming, renames);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stop(&plain);
    stop(&renaming);
    return 0;
}

/* Sends words with one space between them, and reads the reply to them. */
static void ask(const struct server *s, const char *words)
{
    struct composed command = compose(words);
    struct redis_reply r = {.len = 0};
    enum redis_scan scanned = REDIS_MORE;
    assert_int_equal(write(s->fd, command.data, command.len), (ssize_t)command.len);
    for (reply_len = 0; scanned == REDIS_MORE;) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        const char *why = "";
        size_t used;
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t got = read(s->fd, reply + reply_len, sizeof(reply) - reply_len);
        assert_true(got > 0);
        scanned = redis_reply_feed(&r, reply + reply_len, (size_t)got, &used, &why);
        reply_len += (size_t)got;
    }
    assert_int_equal(scanned, REDIS_WHOLE);
}

static void tell(const struct server *s, const char *words)
{
    ask(s, words);
    assert_int_not_equal(reply[0], '-');
}

/* The reply to COMMAND, which hiredis reads as RESP2. */
static redisReply *list_commands(const struct server *s)
{
    void *commands = NULL;
    redisReader *reader = redisReaderCreate();
    ask(s, "COMMAND");
    assert_int_equal(redisReaderFeed(reader, reply, reply_len), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &commands), REDIS_OK);
    redisReaderFree(reader);
    assert_non_null(commands);
    return commands;
}

/* Asks, and feeds the catalog with the reply. */
static bool learn(struct redis_catalog *c, const struct server *s, const char *words)
{
    ask(s, words);
    redis_catalog_feed(c, reply, reply_len);
    return redis_catalog_end(c);
}

static bool learn_name(struct redis_catalog *c, const struct server *s, const char *name)
{
    char words[WORDS_MAX];
    snprintf(words, sizeof(words), "COMMAND INFO %s", name);
    redis_catalog_ask(c, name, strlen(name));
    return learn(c, s, words);
}

static bool has(const redisReply *list, const char *word)
{
    for (size_t i = 0; i < list->elements; i++) {
        if (strcmp(list->element[i]->str, word) == 0) {
            return true;
        }
    }
    return false;
}

/* All whose name says what they do to their connection, or what the server does meanwhile. */
static const char *const special[] = {
    "asking",
    "auth",
    "client|caching",
    "client|capa",
    "client|getname",
    "client|id",
    "client|import-source",
    "client|kill",
    "client|no-evict",
    "client|no-touch",
    "client|pause",
    "client|reply",
    "client|setname",
    "client|tracking",
    "client|unpause",
    "debug",
    "discard",
    "exec",
    "failover",
    "function|kill",
    "function|stats",
    "hello",
    "host:",
    "hscan",
    "monitor",
    "multi",
    "post",
    "psubscribe",
    "psync",
    "punsubscribe",
    "quit",
    "readonly",
    "readwrite",
    "replconf",
    "replicaof",
    "reset",
    "scan",
    "script|debug",
    "script|kill",
    "select",
    "shutdown",
    "slaveof",
    "sscan",
    "ssubscribe",
    "subscribe",
    "sunsubscribe",
    "sync",
    "unsubscribe",
    "unwatch",
    "wait",
    "waitaof",
    "watch",
    "zscan",
};

static bool is_special(const char *name)
{
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        found = found || strcmp(special[i], name) == 0;
    }
    return found;
}

struct compared {
    const struct redis_catalog *fed;   /* with the server's words */
    const struct redis_catalog *table; /* ours */
    size_t count;
};

static void compare(struct compared *all, const redisReply *command)
{
    char words[WORDS_MAX];
    const char *name = command->element[0]->str;
    const redisReply *flags = command->element[2];
    const redisReply *subcommands = command->elements > 9 ? command->element[9] : NULL;
    snprintf(words, sizeof(words), "%s%s", name,
             subcommands != NULL && subcommands->elements > 0 ? "" : PLAINEST);
    if (strchr(words, '|') != NULL) {
        *strchr(words, '|') = ' ';
    }
    struct redis_verdict fed = judge(all->fed, words);
    struct redis_verdict table = judge(all->table, words);
    bool waits = has(flags, "blocking");
    enum redis_kind kind = waits ? REDIS_BLOCKS : REDIS_PLAIN;
    if (!fed.known || strcasecmp(fed.name, name) != 0) {
        fail_msg("%s is not known", name);
    }
    if (!is_special(name) && fed.kind != kind) {
        fail_msg("%s: kind %d instead of %d", name, fed.kind, kind);
    }
    if ((has(flags, "write") && fed.access != REDIS_WRITES) ||
        (has(flags, "readonly") && fed.access != REDIS_READS)) {
        fail_msg("%s: access %d", name, fed.access);
    }
    if (!table.known || table.kind != fed.kind || table.access != fed.access) {
        fail_msg("%s: our table says kind %d, access %d; the server %d, %d", name, table.kind,
                 table.access, fed.kind, fed.access);
    }
    all->count++;
    for (size_t i = 0; subcommands != NULL && i < subcommands->elements; i++) {
        compare(all, subcommands->element[i]);
    }
}

static void compare_all(struct compared *all, const redisReply *commands)
{
    all->count = 0;
    for (size_t i = 0; i < commands->elements; i++) {
        compare(all, commands->element[i]);
    }
    assert_true(all->count > 350); /* Redis 7.0 has 365 */
}

static void the_server_and_our_table_agree(void **state)
{
    (void)state;
    struct redis_catalog *table = redis_catalog_new(NULL, NULL);
    redisReply *commands = list_commands(&plain);
    static const char *const versions[] = {"HELLO 3", "HELLO 2"};
    for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
        struct redis_catalog *fed = redis_catalog_new(NULL, NULL);
        tell(&plain, versions[v]);
        assert_true(learn(fed, &plain, "COMMAND"));
        struct compared all = {.fed = fed, .table = table};
        compare_all(&all, commands);
        redis_catalog_free(fed);
    }
    freeReplyObject(commands);
    redis_catalog_free(table);
}

static void what_a_server_does_not_know_is_asked_once(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    assert_false(judge(c, "NOSUCHCOMMAND").known);
    assert_false(learn_name(c, &plain, "NOSUCHCOMMAND"));
    assert_true(redis_catalog_has_asked(c, "nosuchcommand", 13));
    assert_false(judge(c, "NOSUCHCOMMAND").known);
    tell(&plain, "HELLO 3");
    assert_false(learn_name(c, &plain, "NOSUCHCOMMAND3")); /* the other null */
    assert_true(redis_catalog_has_asked(c, "NOSUCHCOMMAND3", 14));
    tell(&plain, "HELLO 2");
    redis_catalog_free(c);
}

static const char *renamed(const void *nothing, const char *command)
{
    (void)nothing;
    for (size_t i = 0; renames[i] != NULL; i += 3) {
        if (strcmp(renames[i + 1], command) == 0) {
            return renames[i + 2];
        }
    }
    return command;
}

static void renamed_commands_are_listed_by_their_old_name(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(renamed, NULL);
    redisReply *commands = list_commands(&renaming);
    bool multi = false;
    for (size_t i = 0; i < commands->elements; i++) {
        const char *name = commands->element[i]->element[0]->str;
        multi = multi || strcmp(name, "multi") == 0;
        assert_string_not_equal(name, "xmulti");
        assert_string_not_equal(name, "debug");
    }
    assert_true(multi);
    freeReplyObject(commands);
    assert_true(learn(c, &renaming, "COMMAND"));
    assert_int_equal(judge(c, "xmulti").kind, REDIS_MULTI);
    assert_int_equal(judge(c, "KLIENT SETNAME x").kind, REDIS_SETNAME);
    assert_true(judge(c, "SESAME pw").secret);
    assert_false(judge(c, "MULTI").known);
    assert_false(judge(c, "CLIENT ID").known);
    assert_false(judge(c, "DEBUG SLEEP 0").known);
    redis_catalog_free(c);
}

static void what_a_new_name_means_can_be_asked(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    assert_true(learn(c, &renaming, "COMMAND"));
    assert_false(judge(c, "XMULTI").known);
    assert_true(learn_name(c, &renaming, "XMULTI"));
    assert_true(learn_name(c, &renaming, "Klient"));
    assert_true(learn_name(c, &renaming, "sesame"));
    assert_int_equal(judge(c, "xmulti").kind, REDIS_MULTI);
    assert_int_equal(judge(c, "KLIENT TRACKING OFF").kind, REDIS_TRACKING_OFF);
    assert_int_equal(judge(c, "SESAME pw").kind, REDIS_AUTH);
    assert_true(judge(c, "SESAME pw").secret);
    assert_false(learn_name(c, &renaming, "MULTI")); /* it has no such name */
    redis_catalog_free(c);
}

static void who_may_not_ask_learns_nothing(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    tell(&plain, "ACL SETUSER mute on >pw +@all ~* -command");
    tell(&plain, "AUTH mute pw");
    assert_false(learn(c, &plain, "COMMAND"));
    assert_int_equal(reply[0], '-');
    assert_false(learn_name(c, &plain, "NOSUCHCOMMAND"));
    assert_int_equal(reply[0], '-');
    assert_true(redis_catalog_has_asked(c, "NOSUCHCOMMAND", 13));
    assert_int_equal(judge(c, "GET k").access, REDIS_READS);
    redis_catalog_free(c);
    close(plain.fd);
    plain.fd = dial(&plain);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_and_our_table_agree),
        cmocka_unit_test(what_a_server_does_not_know_is_asked_once),
        cmocka_unit_test(renamed_commands_are_listed_by_their_old_name),
        cmocka_unit_test(what_a_new_name_means_can_be_asked),
        cmocka_unit_test(who_may_not_ask_learns_nothing),
    };
    if (argc > 1) {
        server_words = argv + 1;
    } else if (system("redis-server --version >/dev/null 2>&1") != 0) {
        puts("redis-server is missing: skipped");
        return 0;
    }
    return cmocka_run_group_tests_name("redis_catalog_server", tests, setup, teardown);
}
