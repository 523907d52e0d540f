/* What a command is, by the built-in table and by its arguments. What servers say of it is in
 * test_redis_catalog_reply.c and, by real ones, in test_redis_catalog_server.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/redis_table.h"
#include "redis_judge.h"

static struct redis_catalog *own_names;

static int setup(void **state)
{
    (void)state;
    own_names = redis_catalog_new(NULL, NULL);
    return own_names == NULL;
}

static int teardown(void **state)
{
    (void)state;
    redis_catalog_free(own_names);
    return 0;
}

static void assert_kind(const char *words, enum redis_kind kind, enum redis_access access)
{
    struct redis_verdict v = judge(own_names, words);
    if (!v.known || v.kind != kind || v.access != access) {
        fail_msg("%s: kind %d, access %d, %s", words, v.kind, v.access, v.name);
    }
}

static void assert_unknown(const struct redis_catalog *c, const char *words)
{
    struct redis_verdict v = judge(c, words);
    if (v.known || v.kind != REDIS_STATE || v.access != REDIS_WRITES || !v.secret ||
        strcmp(v.name, "?") != 0) {
        fail_msg("%s: kind %d, access %d, %s", words, v.kind, v.access, v.name);
    }
}

static const char *const names[] = {
#define COMMAND(name, access, kind, look) name,
#include "proto/redis_commands.def"
#include "proto/redis_modules.def"
#undef COMMAND
};

static void each_row_is_found_by_its_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char words[REDIS_NAME_MAX + 1];
        assert_true((size_t)snprintf(words, sizeof(words), "%s", names[i]) < sizeof(words));
        for (char *p = words; *p != '\0'; p++) {
            assert_false(*p >= 'A' && *p <= 'Z');
            *p = *p == '|' ? ' ' : *p;
        }
        struct redis_verdict v = judge(own_names, words);
        assert_true(v.known);
        assert_string_equal(v.name, names[i]);
    }
}

static void the_case_of_letters_is_nothing(void **state)
{
    (void)state;
    assert_kind("GET k", REDIS_PLAIN, REDIS_READS);
    assert_kind("gEt k", REDIS_PLAIN, REDIS_READS);
    assert_kind("cLiEnT sEtNaMe x", REDIS_SETNAME, REDIS_NEITHER);
    assert_kind("ZRevRangeByScore k 1 0", REDIS_PLAIN, REDIS_READS);
    assert_kind("Host: example.com", REDIS_STATE, REDIS_WRITES);
    /* What differs from a letter by the same bit is none. */
    assert_unknown(own_names, "bitfield\x7fro k");
    assert_unknown(own_names, "host\x1a x");
    assert_unknown(own_names, "XADD\xe1 x");
}

static const struct {
    const char *words;
    enum redis_kind kind;
    enum redis_access access;
} kinds[] = {
    {"PING", REDIS_PLAIN, REDIS_NEITHER},
    {"SET k v", REDIS_PLAIN, REDIS_WRITES},
    {"SORT k", REDIS_PLAIN, REDIS_WRITES},
    {"SORT_RO k", REDIS_PLAIN, REDIS_READS},
    {"BITFIELD_RO k GET u4 0", REDIS_PLAIN, REDIS_READS},
    {"GEORADIUS k 1 2 3 m", REDIS_PLAIN, REDIS_WRITES},
    {"GEORADIUS_RO k 1 2 3 m", REDIS_PLAIN, REDIS_READS},
    {"EVAL return 0", REDIS_PLAIN, REDIS_WRITES},
    {"EVAL_RO return 0", REDIS_PLAIN, REDIS_READS},
    {"FCALL f 0", REDIS_PLAIN, REDIS_WRITES},
    {"FCALL_RO f 0", REDIS_PLAIN, REDIS_READS},
    {"PUBLISH c m", REDIS_PLAIN, REDIS_WRITES},
    {"SPUBLISH c m", REDIS_PLAIN, REDIS_WRITES},
    {"PUBSUB CHANNELS", REDIS_PLAIN, REDIS_NEITHER},
    {"CONFIG GET maxmemory", REDIS_PLAIN, REDIS_NEITHER},
    {"CONFIG RESETSTAT", REDIS_PLAIN, REDIS_WRITES},
    {"SCRIPT LOAD x", REDIS_PLAIN, REDIS_NEITHER},
    {"SCRIPT FLUSH", REDIS_PLAIN, REDIS_WRITES},
    {"SCRIPT KILL", REDIS_OWN, REDIS_WRITES},
    {"FUNCTION STATS", REDIS_OWN, REDIS_NEITHER},
    {"CLIENT", REDIS_PLAIN, REDIS_NEITHER},
    {"CLIENT SETINFO LIB-NAME x", REDIS_PLAIN, REDIS_NEITHER},
    {"CLIENT ID", REDIS_ID, REDIS_NEITHER},
    {"CLIENT GETNAME", REDIS_GETNAME, REDIS_NEITHER},
    {"CLIENT PAUSE 10", REDIS_OWN, REDIS_WRITES},
    {"CLIENT UNPAUSE", REDIS_OWN, REDIS_WRITES},
    {"CLIENT KILL ID 3", REDIS_OWN, REDIS_WRITES},
    {"CLIENT CACHING YES", REDIS_STATE, REDIS_NEITHER},
    {"SCAN 0", REDIS_CURSOR, REDIS_READS},
    {"SSCAN k 0", REDIS_CURSOR, REDIS_READS},
    {"HSCAN k 0", REDIS_CURSOR, REDIS_READS},
    {"ZSCAN k 0", REDIS_CURSOR, REDIS_READS},
    {"BLPOP k 0", REDIS_BLOCKS, REDIS_WRITES},
    {"BZMPOP 0 1 k MIN", REDIS_BLOCKS, REDIS_WRITES},
    {"WAIT 1 0", REDIS_WAITS, REDIS_NEITHER},
    {"WAITAOF 1 1 0", REDIS_WAITS, REDIS_NEITHER},
    {"MULTI", REDIS_MULTI, REDIS_NEITHER},
    {"EXEC", REDIS_EXEC, REDIS_WRITES},
    {"DISCARD", REDIS_DISCARD, REDIS_NEITHER},
    {"WATCH k", REDIS_WATCH, REDIS_NEITHER},
    {"UNWATCH", REDIS_UNWATCH, REDIS_NEITHER},
    {"PSUBSCRIBE p*", REDIS_SUBSCRIBE, REDIS_NEITHER},
    {"SUNSUBSCRIBE", REDIS_UNSUBSCRIBE, REDIS_NEITHER},
    {"SELECT 1", REDIS_SELECT, REDIS_NEITHER},
    {"RESET", REDIS_RESET, REDIS_NEITHER},
    {"QUIT", REDIS_QUIT, REDIS_NEITHER},
    {"MONITOR", REDIS_RAW, REDIS_NEITHER},
    {"PSYNC ? -1", REDIS_RAW, REDIS_WRITES},
    {"REPLCONF ACK 0", REDIS_RAW, REDIS_WRITES},
    {"DEBUG SLEEP 1", REDIS_OWN, REDIS_WRITES},
    {"SHUTDOWN NOSAVE", REDIS_OWN, REDIS_WRITES},
    {"FAILOVER", REDIS_OWN, REDIS_WRITES},
    {"REPLICAOF NO ONE", REDIS_OWN, REDIS_WRITES},
    {"READONLY", REDIS_STATE, REDIS_NEITHER},
    {"ASKING", REDIS_STATE, REDIS_NEITHER},
    {"HIMPORT PREPARE f a b", REDIS_STATE, REDIS_NEITHER},
    {"JSON.SET k $ 1", REDIS_PLAIN, REDIS_WRITES},
};

static void kinds_go_with_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        assert_kind(kinds[i].words, kinds[i].kind, kinds[i].access);
    }
}

static void what_is_not_known_is_a_write_that_leaves_something(void **state)
{
    (void)state;
    assert_unknown(own_names, "GETT k");
    assert_unknown(own_names, "GE k");
    assert_unknown(own_names, "CLIENT FROBNICATE");
    assert_unknown(own_names, "CLIENT|ID");
    assert_unknown(own_names, "CLIENT GET");
    char longest[REDIS_NAME_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_unknown(own_names, longest);
    assert_unknown(own_names, longest + 1);
    struct redis_request nothing = {.argc = 0};
    assert_false(redis_catalog_judge(own_names, &nothing, "", 0).known);
    struct composed empty = compose_line("*2\r\n$0\r\n\r\n$1\r\na\r\n", SIZE_MAX);
    assert_int_equal(empty.request.word_count, 2);
    assert_false(redis_catalog_judge(own_names, &empty.request, empty.data, empty.len).known);
}

static void xread_waits_with_block_only(void **state)
{
    (void)state;
    static const char *const waiting[] = {
        "XREAD BLOCK 0 STREAMS s $",
        "xread count 1 block 10 streams s $",
        "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
        "XREADGROUP GROUP STREAMS STREAMS COUNT 1 BLOCK 0 STREAMS s >",
        "XREADGROUP GROUP g c COUNT 1 NOACK BLOCK 0 STREAMS s >",
        "XREADGROUP GROUP g c COUNT 1 NOACK CLAIM 5 BLOCK 0 STREAMS s >",
        "XREAD COUNT 1 MAXCOUNT 3 MAXSIZE 4 NOACK CLAIM 1 BLOCK 0 STREAMS s $",
        "XREAD FUTURE BLOCK STREAMS s $", /* which may have values of its own */
        "XREADGROUP GROUP g c COUNT 1 NOACK CLAIM 5 FUTURE STREAMS s >",
    };
    static const char *const prompt[] = {
        "XREAD STREAMS s 0",
        "XREAD COUNT 1 STREAMS BLOCK 0",
        "XREAD COUNT BLOCK STREAMS s 0",
        "XREADGROUP GROUP BLOCK BLOCK STREAMS s >",
        "XREADGROUP GROUP g BLOCK COUNT 2 NOACK CLAIM 5 STREAMS s t BLOCK > > >",
        "XREAD COUNT 1 MAXCOUNT 3 MAXSIZE 4 CLAIM 1 NOACK STREAMS BLOCK 0",
        "XREAD", /* an error */
        "XREAD COUNT",
    };
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        assert_int_equal(judge(own_names, waiting[i]).kind, REDIS_BLOCKS);
    }
    for (size_t i = 0; i < ARRAY_LEN(prompt); i++) {
        assert_int_equal(judge(own_names, prompt[i]).kind, REDIS_PLAIN);
    }
    assert_int_equal(judge(own_names, waiting[0]).access, REDIS_READS);
    assert_int_equal(judge(own_names, waiting[2]).access, REDIS_WRITES);
    assert_kind("TS.READ k - BLOCK 10 1", REDIS_BLOCKS, REDIS_READS);
    assert_kind("TS.READ BLOCK -", REDIS_PLAIN, REDIS_READS);
}

/* As far as it is there: never a wait that is not seen, and right once the words are there. */
static void a_command_that_is_cut_gets_the_careful_answer(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        unsigned words_needed; /* to know what it is */
        enum redis_kind careful;
        enum redis_kind at_last;
    } table[] = {
        {"XREAD COUNT 1 BLOCK 0 STREAMS s $", 1, REDIS_BLOCKS, REDIS_BLOCKS},
        {"XREAD COUNT 1 STREAMS s 0", 1, REDIS_BLOCKS, REDIS_PLAIN},
        {"XREADGROUP GROUP g c COUNT 1 NOACK CLAIM 5 STREAMS s >", 1, REDIS_BLOCKS, REDIS_PLAIN},
        {"CLIENT TRACKING OFF", 2, REDIS_TRACKING_ON, REDIS_TRACKING_OFF},
        {"CLIENT REPLY ON", 2, REDIS_RAW, REDIS_PLAIN},
        {"SCRIPT DEBUG NO", 2, REDIS_RAW, REDIS_PLAIN},
        {"TS.READ k -", 1, REDIS_BLOCKS, REDIS_PLAIN},
        {"CLIENT ID", 2, REDIS_STATE, REDIS_ID},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        size_t len = compose(table[i].words).len;
        bool decided = false;
        for (size_t cut = 0; cut <= len; cut++) {
            struct composed c = compose_cut(table[i].words, cut);
            struct redis_verdict v = judge_given(own_names, &c, c.len);
            decided = decided || v.kind == table[i].at_last;
            assert_int_equal(v.known, c.request.word_count >= table[i].words_needed);
            assert_true(!v.known || v.kind == (decided ? table[i].at_last : table[i].careful));
        }
        assert_true(decided);
    }
    assert_true(judge_cut(own_names, "HELLO 3 SETNAME x", 25).secret);
}

static void a_line_that_is_cut_too(void **state)
{
    (void)state;
    static const char line[] = "xread count 1 noack claim 5 maxcount 7 streams a 0\r\n";
    for (size_t cut = 0; cut < sizeof(line) - 1; cut++) {
        struct composed c = compose_line(line, cut);
        struct redis_verdict v = redis_catalog_judge(own_names, &c.request, c.data, c.len);
        bool decided = cut > (size_t)(strstr(line, "streams") + strlen("streams") - line);
        assert_true(!v.known || v.kind == (decided ? REDIS_PLAIN : REDIS_BLOCKS));
        assert_int_equal(v.known, cut > strlen("xread"));
    }
    struct composed c = compose_line("CLIENT ID\n", strlen("CLIENT "));
    assert_false(redis_catalog_judge(own_names, &c.request, c.data, c.len).known);
}

/* The request may know of words beyond the bytes that the judge is given. */
static void words_that_are_not_given_are_not_read(void **state)
{
    (void)state;
    struct composed c = compose("CLIENT ID");
    assert_int_equal(c.request.word_count, 2);
    for (size_t given = 0; given <= c.len; given++) {
        bool there = given >= c.request.words[1].at + c.request.words[1].len;
        assert_int_equal(judge_given(own_names, &c, given).known, there);
    }
    c = compose("XREADGROUP GROUP g c COUNT 1 NOACK CLAIM 5 STREAMS s >");
    size_t streams = (size_t)(strstr(c.data, "STREAMS") + strlen("STREAMS") - c.data);
    for (size_t given = 0; given <= c.len; given++) {
        struct redis_verdict v = judge_given(own_names, &c, given);
        assert_true(!v.known || v.kind == (given < streams ? REDIS_BLOCKS : REDIS_PLAIN));
    }
    c = compose_line("XREADGROUP GROUP g c COUNT 1 NOACK CLAIM 5 STREAMS s >\n", SIZE_MAX);
    for (size_t given = 0; given < c.len; given++) {
        struct redis_verdict v = judge_given(own_names, &c, given);
        assert_true(!v.known || v.kind == REDIS_PLAIN || given < streams);
    }
}

static void the_third_word_says_whether_it_begins(void **state)
{
    (void)state;
    static const char *const modes[] = {"TRACKING", "NO-EVICT", "NO-TOUCH"};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        char words[64];
        snprintf(words, sizeof(words), "CLIENT %s on", modes[i]);
        assert_kind(words, REDIS_TRACKING_ON, REDIS_NEITHER);
        snprintf(words, sizeof(words), "CLIENT %s oFF", modes[i]);
        assert_kind(words, REDIS_TRACKING_OFF, REDIS_NEITHER);
        snprintf(words, sizeof(words), "CLIENT %s", modes[i]);
        assert_kind(words, REDIS_TRACKING_ON, REDIS_NEITHER);
    }
    assert_kind("CLIENT TRACKING ON REDIRECT 7 OFF", REDIS_TRACKING_ON, REDIS_NEITHER);
    assert_kind("CLIENT REPLY on", REDIS_PLAIN, REDIS_NEITHER);
    assert_kind("CLIENT REPLY OFF", REDIS_RAW, REDIS_NEITHER);
    assert_kind("CLIENT REPLY SKIP", REDIS_RAW, REDIS_NEITHER);
    assert_kind("SCRIPT DEBUG no", REDIS_PLAIN, REDIS_WRITES);
    assert_kind("SCRIPT DEBUG YES", REDIS_RAW, REDIS_WRITES);
    assert_kind("SCRIPT DEBUG SYNC", REDIS_RAW, REDIS_WRITES);
}

static void a_cursor_that_is_left_somewhere_is_no_read(void **state)
{
    (void)state;
    assert_kind("FT.AGGREGATE i * LOAD 1 x", REDIS_PLAIN, REDIS_READS);
    assert_kind("FT.AGGREGATE i * LOAD 1 x GROUPBY 1 y SORTBY 1 z withcursor", REDIS_PLAIN,
                REDIS_NEITHER);
    assert_kind("FT.CURSOR READ i 7", REDIS_PLAIN, REDIS_WRITES);
}

static void passwords_are_known(void **state)
{
    (void)state;
    static const char *const secret[] = {
        "AUTH pw",
        "AUTH user pw",
        "hello 3 auth user pw",
        "HELLO 3 SETNAME x AUTH user pw",
        "CONFIG SET requirepass pw",
        "ACL SETUSER u >pw",
        "MIGRATE h 1 k 0 1 AUTH pw",
        "XAUTH pw",
    };
    static const char *const open[] = {
        "HELLO", "HELLO 3", "HELLO 3 SETNAME x", "CONFIG GET requirepass", "ACL GETUSER u", "GET k",
    };
    for (size_t i = 0; i < ARRAY_LEN(secret); i++) {
        assert_true(judge(own_names, secret[i]).secret);
    }
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        assert_false(judge(own_names, open[i]).secret);
    }
    assert_kind("HELLO 3 AUTH user pw", REDIS_HELLO, REDIS_NEITHER);
}

static void inline_commands_are_commands(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum redis_kind kind;
    } table[] = {
        {"  get   k\r\n", REDIS_PLAIN},
        {"CLIENT  SETNAME x\n", REDIS_SETNAME},
        {"XREAD COUNT 1 STREAMS a b c d e 0 0 0 0 BLOCK\r\n", REDIS_PLAIN},
        {"XREADGROUP GROUP g c COUNT 1 NOACK CLAIM 5  BLOCK 0 STREAMS s >\r\n", REDIS_BLOCKS},
        {"XREADGROUP GROUP g c COUNT 1 NOACK CLAIM\t5\tSTREAMS s >\n", REDIS_PLAIN},
        {"XREADGROUP GROUP g c COUNT 1 NOACK\n", REDIS_PLAIN},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct composed c = compose_line(table[i].line, SIZE_MAX);
        assert_true(c.request.is_inline);
        struct redis_verdict v = redis_catalog_judge(own_names, &c.request, c.data, c.len);
        assert_true(v.known);
        assert_int_equal(v.kind, table[i].kind);
    }
    struct composed odd = compose_line("GET \"k\"\r\n", SIZE_MAX);
    assert_true(odd.request.is_odd);
    assert_false(redis_catalog_judge(own_names, &odd.request, odd.data, odd.len).known);
}

static const char *rename_some(const void *renames, const char *command)
{
    static const char *const others[][2] = {
        {"MULTI", "xMulti"},
        {"CLIENT", "Klient"},
        {"DEBUG", ""},
        {"GET", "SET"},
        {"SET", "PUT"},
        {"DEL", "FLUSHALL"},
        {"AUTH", "Sesame"},
        {"INCR", "averylongnamewhichisalongernamethananythatwewouldeverbotherabout0"},
    };
    assert_string_equal(renames, "these");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strcmp(others[i][0], command) == 0) {
            return others[i][1];
        }
    }
    return command;
}

static void renamed_commands_have_one_name(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(rename_some, "these");
    assert_int_equal(judge(c, "XMULTI").kind, REDIS_MULTI);
    assert_string_equal(judge(c, "xmulti").name, "multi");
    assert_unknown(c, "MULTI");
    assert_int_equal(judge(c, "KLIENT SETNAME x").kind, REDIS_SETNAME);
    assert_string_equal(judge(c, "klient setname x").name, "client|setname");
    assert_unknown(c, "CLIENT SETNAME x");
    assert_unknown(c, "DEBUG SLEEP 1");
    assert_string_equal(judge(c, "SET k").name, "get"); /* one takes the name of the other */
    assert_string_equal(judge(c, "PUT k v").name, "set");
    assert_unknown(c, "GET k");
    assert_string_equal(judge(c, "FLUSHALL k").name, "del"); /* which then has none */
    assert_unknown(c, "DEL k");
    assert_int_equal(judge(c, "SESAME pw").kind, REDIS_AUTH);
    assert_true(judge(c, "SESAME pw").secret);
    assert_unknown(c, "AUTH pw");
    assert_unknown(c, "INCR k");
    assert_string_equal(judge(c, "INCRBY k 1").name, "incrby");
    redis_catalog_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_found_by_its_words),
        cmocka_unit_test(the_case_of_letters_is_nothing),
        cmocka_unit_test(kinds_go_with_names),
        cmocka_unit_test(what_is_not_known_is_a_write_that_leaves_something),
        cmocka_unit_test(xread_waits_with_block_only),
        cmocka_unit_test(a_command_that_is_cut_gets_the_careful_answer),
        cmocka_unit_test(a_line_that_is_cut_too),
        cmocka_unit_test(words_that_are_not_given_are_not_read),
        cmocka_unit_test(the_third_word_says_whether_it_begins),
        cmocka_unit_test(a_cursor_that_is_left_somewhere_is_no_read),
        cmocka_unit_test(passwords_are_known),
        cmocka_unit_test(inline_commands_are_commands),
        cmocka_unit_test(renamed_commands_have_one_name),
    };
    return cmocka_run_group_tests_name("redis_catalog", tests, setup, teardown);
}
