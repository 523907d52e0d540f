/* What the catalog learns from a reply to COMMAND or COMMAND INFO, whatever it says and however it
 * is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/text.h"
#include "proto/redis_catalog_internal.h"
#include "redis_judge.h"

#define MORE ":1\r\n:1\r\n:1\r\n"

/* As Redis 7 says it: a read, a write that waits, a module's command with subcommands, MULTI, one
 * that it says is a read although we do not, one of its own that is about the connection, and one
 * that a container of ours has got. Key specifications and tips are there to be skipped. */
#define COMMANDS_7(set, map, two)                                                                  \
    "*8\r\n"                                                                                       \
    "*10\r\n$3\r\nget\r\n:2\r\n" set "2\r\n+readonly\r\n+fast\r\n" MORE set "1\r\n+@read\r\n"      \
    "*1\r\n$8\r\nwrite me\r\n*1\r\n" map two "\r\n$5\r\nflags\r\n" set "2\r\n+write\r\n+RO\r\n"    \
    "$12\r\nbegin_search\r\n" map two "\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n" map two    \
    "\r\n+index\r\n:1\r\n+x\r\n*-1\r\n*0\r\n"                                                      \
    "*10\r\n$6\r\nMY.POP\r\n:-2\r\n" set "3\r\n+write\r\n+module\r\n+blocking\r\n" MORE set        \
    "0\r\n*0\r\n*0\r\n*0\r\n"                                                                      \
    "*10\r\n$6\r\nmy.box\r\n:-2\r\n" set "1\r\n+readonly\r\n" MORE set "0\r\n*0\r\n*0\r\n*2\r\n"   \
    "*10\r\n$10\r\nmy.box|put\r\n:3\r\n" set "1\r\n+write\r\n" MORE set "0\r\n*0\r\n*0\r\n*0\r\n"  \
    "*10\r\n$10\r\nmy.box|get\r\n:3\r\n" set "1\r\n+readonly\r\n" MORE set                         \
    "0\r\n*0\r\n*0\r\n*1\r\n"                                                                      \
    "*1\r\n$5\r\ninner\r\n"                                                                        \
    "*10\r\n$5\r\nmulti\r\n:1\r\n" set "1\r\n+write\r\n" MORE set "1\r\n+@transaction\r\n"         \
    "*0\r\n*0\r\n*0\r\n"                                                                           \
    "*10\r\n$7\r\nmemory \r\n:-2\r\n" set "0\r\n" MORE set "0\r\n*0\r\n*0\r\n*0\r\n"               \
    "*10\r\n$9\r\nmycontext\r\n:1\r\n" set "1\r\n+readonly\r\n" MORE set "1\r\n+@connection\r\n"   \
    "*0\r\n*0\r\n*0\r\n"                                                                           \
    "*10\r\n$6\r\nobject\r\n:-2\r\n" set "0\r\n" MORE set "1\r\n+@slow\r\n*0\r\n*0\r\n*1\r\n"      \
    "*10\r\n$14\r\nobject|history\r\n:3\r\n" set "1\r\n+readonly\r\n" MORE set                     \
    "0\r\n*0\r\n*0\r\n*0\r\n"                                                                      \
    "*10\r\n$4\r\nincr\r\n:2\r\n" set "1\r\n+readonly\r\n" MORE set "0\r\n*0\r\n*0\r\n*0\r\n"

static const char resp2[] = COMMANDS_7("*", "*", "4");
static const char resp3[] = COMMANDS_7("~", "%", "2");

static const char get_and_set[] =
    "*2\r\n"
    "*6\r\n$3\r\nGET\r\n:2\r\n*1\r\n+readonly\r\n" MORE
    "*7\r\n$6\r\nnewpop\r\n:2\r\n*1\r\n+write\r\n" MORE "*1\r\n+@blocking\r\n";

static bool feed_all(struct redis_catalog *c, const char *reply, size_t len)
{
    redis_catalog_feed(c, reply, len);
    return redis_catalog_end(c);
}

static void assert_is(const struct redis_catalog *c, const char *words, enum redis_kind kind,
                      enum redis_access access, const char *name)
{
    struct redis_verdict v = judge(c, words);
    if (v.kind != kind || v.access != access || strcmp(v.name, name) != 0) {
        fail_msg("%s: kind %d, access %d, %s", words, v.kind, v.access, v.name);
    }
    assert_int_equal(v.known, strcmp(name, "?") != 0);
}

static void assert_unknown(const struct redis_catalog *c, const char *words)
{
    assert_is(c, words, REDIS_STATE, REDIS_WRITES, "?");
}

static void assert_learned_7(const struct redis_catalog *c)
{
    assert_is(c, "GET k", REDIS_PLAIN, REDIS_READS, "get");
    assert_is(c, "my.pop k", REDIS_BLOCKS, REDIS_WRITES, "my.pop");
    assert_is(c, "MY.BOX PUT k", REDIS_PLAIN, REDIS_WRITES, "my.box|put");
    assert_is(c, "MY.BOX GET k", REDIS_PLAIN, REDIS_READS, "my.box|get");
    assert_is(c, "MY.BOX", REDIS_PLAIN, REDIS_READS, "my.box");
    assert_unknown(c, "MY.BOX NOTHING");
    assert_unknown(c, "INNER");
    assert_is(c, "MULTI", REDIS_MULTI, REDIS_NEITHER, "multi");
    assert_unknown(c, "MYCONTEXT");
    assert_is(c, "OBJECT HISTORY k", REDIS_PLAIN, REDIS_READS, "object|history");
    assert_is(c, "OBJECT FREQ k", REDIS_PLAIN, REDIS_READS, "object|freq");
    assert_is(c, "INCR k", REDIS_PLAIN, REDIS_READS, "incr");
}

static void a_reply_is_understood_in_any_split(void **state)
{
    (void)state;
    static const char *const replies[] = {resp2, resp3};
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        size_t len = strlen(replies[i]);
        for (size_t cut = 0; cut <= len; cut++) {
            struct redis_catalog *c = redis_catalog_new(NULL, NULL);
            redis_catalog_feed(c, replies[i], cut);
            assert_is(c, "INCR k", REDIS_PLAIN, cut < len ? REDIS_WRITES : REDIS_READS,
                      "incr"); /* not in force before it is whole */
            redis_catalog_feed(c, replies[i] + cut, len - cut);
            assert_learned_7(c);
            assert_true(redis_catalog_end(c));
            redis_catalog_free(c);
        }
    }
}

static void a_reply_is_understood_byte_by_byte(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    for (size_t i = 0; i < sizeof(resp3) - 1; i++) {
        redis_catalog_feed(c, &resp3[i], 1);
    }
    assert_true(redis_catalog_end(c));
    assert_learned_7(c);
    redis_catalog_free(c);
}

static void older_servers_say_less(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    assert_true(feed_all(c, get_and_set, sizeof(get_and_set) - 1));
    assert_is(c, "GET k", REDIS_PLAIN, REDIS_READS, "get");
    assert_is(c, "NEWPOP k", REDIS_BLOCKS, REDIS_WRITES, "newpop");
    assert_is(c, "CONFIG GET x", REDIS_PLAIN, REDIS_NEITHER, "config|get");
    redis_catalog_free(c);
}

/* A command that the server has of its own, with these flags and categories. */
static struct redis_verdict taught(const char *name, const char *flags, const char *categories)
{
    struct text reply = {.data = NULL};
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    text_add(&reply, "*1\r\n*10\r\n$%zu\r\n%s\r\n:1\r\n%s" MORE "%s*0\r\n*0\r\n*0\r\n",
             strlen(name), name, flags, categories);
    redis_catalog_feed(c, reply.data, reply.len);
    redis_catalog_end(c);
    struct redis_verdict v = judge(c, name);
    v.name = v.known ? "known" : "?"; /* the name ends with the catalog */
    text_free(&reply);
    redis_catalog_free(c);
    return v;
}

static void flags_say_what_is_written(void **state)
{
    (void)state;
    assert_int_equal(taught("NEW", "*1\r\n+write\r\n", "*0\r\n").access, REDIS_WRITES);
    assert_int_equal(taught("NEW", "*1\r\n+readonly\r\n", "*0\r\n").access, REDIS_READS);
    assert_int_equal(taught("NEW", "*0\r\n", "*0\r\n").access, REDIS_WRITES);
    assert_int_equal(taught("NEW", "*1\r\n+admin\r\n", "*0\r\n").access, REDIS_WRITES);
    assert_int_equal(taught("NEW", "*1\r\n+readonlys\r\n", "*0\r\n").access, REDIS_WRITES);
    assert_int_equal(taught("NEW", "*2\r\n+readonly\r\n+write\r\n", "*0\r\n").access, REDIS_WRITES);
    assert_int_equal(taught("PING", "*0\r\n", "*0\r\n").access, REDIS_NEITHER);
    assert_int_equal(taught("PING", "*1\r\n+may_replicate\r\n", "*0\r\n").access, REDIS_WRITES);
    assert_int_equal(taught("PFCOUNT", "*2\r\n+readonly\r\n+may_replicate\r\n", "*0\r\n").access,
                     REDIS_READS);
    assert_int_equal(taught("GET", "*1\r\n+write\r\n", "*0\r\n").access, REDIS_WRITES);
    assert_int_equal(taught("GET", "*1\r\n+blocking\r\n", "*0\r\n").kind, REDIS_BLOCKS);
    assert_int_equal(taught("GET", "*0\r\n", "*1\r\n+@blocking\r\n").kind, REDIS_BLOCKS);
    assert_int_equal(taught("BLPOP", "*1\r\n+write\r\n", "*0\r\n").kind, REDIS_BLOCKS);
    assert_int_equal(taught("WAIT", "*1\r\n+blocking\r\n", "*0\r\n").kind, REDIS_WAITS);
    assert_int_equal(taught("FT.CURSOR", "*1\r\n+readonly\r\n", "*0\r\n").access, REDIS_WRITES);
    assert_true(taught("NEW", "*0\r\n", "*1\r\n+@read\r\n").known);
    assert_false(taught("NEW", "*0\r\n", "*1\r\n+@connection\r\n").known);
    assert_false(taught("NEW", "*0\r\n", "*1\r\n+@pubsub\r\n").known);
    assert_false(taught("NEW", "*0\r\n", "*2\r\n+@fast\r\n+@transaction\r\n").known);
}

/* Each is nonsense with its last byte and not before; nothing of it is taken for something, and the
 * next reply is read as if it had not been. */
static void nonsense_changes_nothing(void **state)
{
    (void)state;
#define BEGIN "*2\r\n*6\r\n$6\r\nbefore\r\n:2\r\n*1\r\n+write\r\n" MORE
    static const char *const nonsense[] = {
        "-NOPERM this user has no permissions to run the 'command' command\r\n",
        "+OK\r\n",
        ":12\r\n",
        "$3\r\nget\r\n",
        "*-1\r\n",
        "_\r\n",
        "hello\r\n",
        "*1\n",
        "*1\r*",
        "*\r\n",
        "*1x\r\n",
        "*-2\r\n",
        "*99999999999999999999\r\n",
        "*1048577\r\n",
        "|1\r\n",
        ">1\r\n",
        BEGIN "-ERR\r\n",
        BEGIN "+get\r\n",
        BEGIN "$3\r\nget\r\n",
        BEGIN ":1\r\n",
        BEGIN "*0\r\n",
        BEGIN "*5\r\n",
        BEGIN "*6\r\n:3\r\n",
        BEGIN "*6\r\n*1\r\n",
        BEGIN "*6\r\n$-1\r\n",
        BEGIN "*6\r\n$99999999\r\n",
        BEGIN "*6\r\n$3\r\ngetx",
        BEGIN "*6\r\n$3\r\nget\rx",
        BEGIN "*6\r\n$3\r\nget\r\n:2\r\n:1\r\n",
        BEGIN "*6\r\n$3\r\nget\r\n:2\r\n+write\r\n",
        BEGIN "*6\r\n$3\r\nget\r\n:2\r\n*1\r\n:1\r\n",
        BEGIN "*6\r\n$3\r\nget\r\n:2\r\n*1\r\n*1\r\n",
        BEGIN "*6\r\n$3\r\nget\r\n:2\r\n*1\r\n*-1\r\n",
        BEGIN "*6\r\n$3\r\nget\r\n:2\r\n*1\r\n-ERR\r\n",
        BEGIN "*10\r\n$3\r\nget\r\n:2\r\n*1\r\n+write\r\n" MORE "*0\r\n*0\r\n*0\r\n*1\r\n+get\r\n",
        BEGIN "*7\r\n$3\r\nget\r\n:2\r\n*1\r\n+write\r\n" MORE "*2\r\n!3\r\n",
    };
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        size_t len = strlen(nonsense[i]);
        struct redis_reading r = {.count = 0};
        redis_reading_feed(&r, nonsense[i], len - 1);
        assert_int_equal(r.state, LESSON_READING);
        redis_reading_feed(&r, nonsense[i] + len - 1, 1);
        assert_int_equal(r.state, LESSON_BAD);
        redis_reading_end(&r);
        assert_false(feed_all(c, nonsense[i], len));
        assert_unknown(c, "BEFORE");
        assert_is(c, "GET k", REDIS_PLAIN, REDIS_READS, "get");
    }
    assert_false(redis_catalog_end(c));
    assert_true(feed_all(c, resp2, sizeof(resp2) - 1));
    assert_learned_7(c);
    redis_catalog_free(c);
}

static void a_line_without_end_is_nonsense(void **state)
{
    (void)state;
    char x[1000];
    memset(x, 'x', sizeof(x));
    struct redis_reading r = {.count = 0};
    for (unsigned i = 0; i < 66; i++) {
        assert_int_equal(r.state, LESSON_READING);
        redis_reading_feed(&r, x, sizeof(x));
    }
    assert_int_equal(r.state, LESSON_BAD);
    redis_reading_end(&r);
}

static void odd_replies_are_replies(void **state)
{
    (void)state;
    static const char *const whole[] = {
        "*0\r\n",
        "~0\r\n",
        "*2\r\n_\r\n$-1\r\n",
        "*1\r\n*6\r\n+get\r\n:2\r\n~1\r\n$5\r\nwrite\r\n" MORE,
        "*1\r\n*6\r\n$0\r\n\r\n,2\r\n~0\r\n#t\r\n(1\r\n=7\r\ntxt:abc\r\n",
        "*1\r\n*7\r\n$1\r\na\r\n_\r\n*0\r\n" MORE "_\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        size_t len = strlen(whole[i]);
        struct redis_reading r = {.count = 0};
        redis_reading_feed(&r, whole[i], len - 1);
        assert_int_equal(r.state, LESSON_READING);
        redis_reading_feed(&r, whole[i] + len - 1, 2); /* and what is behind it is not read */
        assert_int_equal(r.state, LESSON_WHOLE);
        redis_reading_end(&r);
    }
}

/* Commands that are plain reads, `first` to `last`. */
static struct text many(unsigned first, unsigned last)
{
    struct text reply = {.data = NULL};
    text_add(&reply, "*%u\r\n", last - first + 1);
    for (unsigned i = first; i <= last; i++) {
        text_add(&reply, "*6\r\n$8\r\nmy%06u\r\n:2\r\n*1\r\n+readonly\r\n" MORE, i);
    }
    return reply;
}

static bool feed_text(struct redis_catalog *c, struct text *reply)
{
    bool learned = feed_all(c, reply->data, reply->len);
    text_free(reply);
    return learned;
}

static void what_is_learned_has_a_bound(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    struct text reply = many(1, 5000);
    struct redis_reading r = {.count = 0};
    redis_reading_feed(&r, reply.data, reply.len);
    assert_int_equal(r.state, LESSON_WHOLE);
    assert_int_equal(r.count, REDIS_COMMANDS_MAX);
    redis_reading_end(&r);
    assert_true(feed_text(c, &reply));
    assert_is(c, "MY000001", REDIS_PLAIN, REDIS_READS, "my000001");
    assert_is(c, "MY004096", REDIS_PLAIN, REDIS_READS, "my004096");
    assert_unknown(c, "MY004097");
    reply = many(5001, 9000);
    assert_false(feed_text(c, &reply));
    assert_unknown(c, "MY005001");
    reply = many(4000, 5000); /* the known ones may be said again */
    assert_true(feed_text(c, &reply));
    assert_true(feed_all(c, get_and_set, sizeof(get_and_set) - 1)); /* GET is ours */
    assert_is(c, "XREVRANGE k", REDIS_PLAIN, REDIS_READS, "xrevrange");
    redis_catalog_free(c);
}

static void what_is_skipped_may_be_deep_and_large(void **state)
{
    (void)state;
    struct text reply = {.data = NULL};
    text_add(&reply, "*1\r\n*8\r\n$3\r\nnew\r\n:2\r\n*1\r\n+readonly\r\n" MORE "*0\r\n");
    for (unsigned i = 0; i < 10000; i++) {
        text_add(&reply, "%s", i % 2 == 0 ? "*2\r\n$0\r\n\r\n" : "%1\r\n#t\r\n");
    }
    text_add(&reply, "+deep\r\n");
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    assert_true(feed_text(c, &reply));
    assert_is(c, "NEW", REDIS_PLAIN, REDIS_READS, "new");
    redis_catalog_free(c);
}

static void names_that_are_none_are_left_out(void **state)
{
    (void)state;
    static const char reply[] = "*7\r\n"
                                "*6\r\n$0\r\n\r\n:2\r\n*1\r\n+write\r\n" MORE
                                "*6\r\n$3\r\nn\nw\r\n:2\r\n*1\r\n+write\r\n" MORE
                                "*6\r\n$65\r\n1234567890123456789012345678901234567890"
                                "1234567890123456789012345\r\n:2\r\n*1\r\n+write\r\n" MORE
                                "*6\r\n$1\r\n|\r\n:2\r\n*1\r\n+write\r\n" MORE
                                "*6\r\n$7\r\nconfig|\r\n:2\r\n*1\r\n+write\r\n" MORE
                                "*6\r\n$5\r\nget|k\r\n:2\r\n*1\r\n+write\r\n" MORE
                                "*6\r\n$3\r\nset\r\n:2\r\n*1\r\n+readonly\r\n" MORE;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    for (unsigned i = 0; i < 5000; i++) { /* nor do they fill it */
        assert_true(feed_all(c, reply, sizeof(reply) - 1));
    }
    assert_true(feed_all(c, get_and_set, sizeof(get_and_set) - 1));
    assert_is(c, "NEWPOP k", REDIS_BLOCKS, REDIS_WRITES, "newpop");
    assert_unknown(c, "n\nw");
    assert_unknown(c, "12345678901234567890123456789012345678901234567890123456789012345");
    assert_unknown(c, "|");
    assert_is(c, "GET k", REDIS_PLAIN, REDIS_READS, "get"); /* no container */
    assert_is(c, "SET k v", REDIS_PLAIN, REDIS_READS, "set");
    redis_catalog_free(c);
}

/* The reply to COMMAND INFO <asked>. */
static bool answer(struct redis_catalog *c, const char *asked, const char *reply)
{
    redis_catalog_ask(c, asked, strlen(asked));
    return feed_all(c, reply, strlen(reply));
}

static void a_name_that_was_asked_for_is_what_the_answer_says(void **state)
{
    (void)state;
#define MULTI_IS  "*1\r\n*6\r\n$5\r\nmulti\r\n:1\r\n*0\r\n" MORE
#define CLIENT_IS "*1\r\n*6\r\n$6\r\nclient\r\n:-2\r\n*0\r\n" MORE
#define NEW_IS    "*1\r\n*6\r\n$3\r\nnew\r\n:-2\r\n*1\r\n+readonly\r\n" MORE
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    assert_unknown(c, "XMULTI");
    assert_true(answer(c, "XMulti", MULTI_IS));
    assert_is(c, "xmulti", REDIS_MULTI, REDIS_NEITHER, "multi");
    assert_true(answer(c, "klient", CLIENT_IS));
    assert_is(c, "KLIENT SETNAME x", REDIS_SETNAME, REDIS_NEITHER, "client|setname");
    assert_true(answer(c, "OTHER", NEW_IS));
    assert_is(c, "OTHER", REDIS_PLAIN, REDIS_READS, "new");
    assert_unknown(c, "NEW"); /* the server did not say that it has this name */
    assert_true(answer(c, "NEW", NEW_IS));
    assert_is(c, "NEW", REDIS_PLAIN, REDIS_READS, "new");
    assert_true(answer(c, "DISCARD", "*1\r\n*6\r\n$3\r\ndel\r\n:2\r\n*1\r\n+write\r\n" MORE));
    assert_is(c, "DISCARD k", REDIS_PLAIN, REDIS_WRITES, "del"); /* one has the other's name */
    assert_true(answer(c, "UNDO", "*1\r\n*6\r\n$7\r\ndiscard\r\n:1\r\n*0\r\n" MORE));
    assert_is(c, "UNDO", REDIS_DISCARD, REDIS_NEITHER, "discard");
    assert_is(c, "DISCARD k", REDIS_PLAIN, REDIS_WRITES, "del");
    assert_true(answer(c, "\xc1\xe1Z", NEW_IS)); /* only ASCII has two cases */
    assert_is(c, "\xc1\xe1z", REDIS_PLAIN, REDIS_READS, "new");
    assert_unknown(c, "\xe1\xe1z");
    redis_catalog_free(c);
}

static void an_answer_to_another_question_is_none(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    assert_false(answer(c, "XMULTI", "*1\r\n*-1\r\n"));
    assert_false(answer(c, "XMULTI", "*1\r\n$-1\r\n"));
    assert_false(answer(c, "XMULTI", "*1\r\n_\r\n"));
    assert_false(answer(c, "XMULTI", "*0\r\n"));
    assert_false(answer(c, "XMULTI", "-NOPERM\r\n"));
    assert_false(answer(c, "XMULTI", get_and_set)); /* two commands */
    assert_unknown(c, "XMULTI");
    assert_unknown(c, "NEWPOP");
    redis_catalog_ask(c, "XMULTI", 6);
    redis_catalog_feed(c, MULTI_IS, strlen(MULTI_IS) - 1);
    assert_false(redis_catalog_end(c)); /* lost */
    assert_unknown(c, "XMULTI");
    redis_catalog_feed(c, MULTI_IS, strlen(MULTI_IS)); /* to COMMAND, this time */
    assert_true(redis_catalog_end(c));
    assert_unknown(c, "XMULTI");
    redis_catalog_free(c);
}

static void nothing_is_asked_twice(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(NULL, NULL);
    assert_false(redis_catalog_has_asked(c, "XMULTI", 6));
    redis_catalog_ask(c, "XMULTI", 6);
    redis_catalog_feed(c, "*1\r\n", 4);
    redis_catalog_end(c);
    assert_false(redis_catalog_has_asked(c, "XMULTI", 6)); /* no answer came */
    assert_false(answer(c, "XMULTI", "*1\r\n*-1\r\n"));
    assert_true(redis_catalog_has_asked(c, "XMULTI", 6));
    assert_true(redis_catalog_has_asked(c, "xmulti", 6));
    assert_false(redis_catalog_has_asked(c, "XMULT", 5));
    assert_false(answer(c, "XMULT", "-NOPERM\r\n"));
    assert_true(redis_catalog_has_asked(c, "XMULT", 5));
    assert_true(redis_catalog_has_asked(c, "", 0)); /* what cannot be a name never */
    assert_true(redis_catalog_has_asked(c, "a\0b", 3));
    assert_true(redis_catalog_has_asked(c, "a\r\nb", 4));
    assert_true(redis_catalog_has_asked(c, "a\xe4", 2));
    char longest[70];
    memset(longest, 'x', sizeof(longest));
    assert_false(redis_catalog_has_asked(c, longest, 64));
    assert_true(redis_catalog_has_asked(c, longest, 65));
    redis_catalog_note_asked(c, longest, 65);

    char name[16];
    for (unsigned i = 2; i < REDIS_UNKNOWN_MAX; i++) {
        snprintf(name, sizeof(name), "my%u", i);
        assert_false(redis_catalog_has_asked(c, name, strlen(name)));
        redis_catalog_note_asked(c, name, strlen(name));
        redis_catalog_note_asked(c, name, strlen(name)); /* counts once */
    }
    assert_true(redis_catalog_has_asked(c, "another", 7)); /* enough is enough */
    redis_catalog_note_asked(c, "another", 7);
    assert_true(answer(c, "NEW", NEW_IS));
    assert_true(redis_catalog_has_asked(c, "another", 7));
    assert_true(feed_all(c, resp2, sizeof(resp2) - 1)); /* until the server says all again */
    assert_false(redis_catalog_has_asked(c, "XMULTI", 6));
    redis_catalog_free(c);
}

static const char *swap(const void *renames, const char *command)
{
    (void)renames;
    static const char *const others[][2] = {{"INCR", "MY.POP"}, {"MULTI", ""}, {"DEL", "WATCH"}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strcmp(others[i][0], command) == 0) {
            return others[i][1];
        }
    }
    return command;
}

/* COMMAND lists renamed commands by the names that they were born with. */
static void renamed_commands_are_learned_by_their_first_name(void **state)
{
    (void)state;
    struct redis_catalog *c = redis_catalog_new(swap, NULL);
    assert_is(c, "MY.POP k", REDIS_PLAIN, REDIS_WRITES, "incr");
    assert_true(feed_all(c, resp2, sizeof(resp2) - 1));
    assert_is(c, "MY.POP k", REDIS_PLAIN, REDIS_READS, "incr"); /* not the module's */
    assert_unknown(c, "INCR k");
    assert_unknown(c, "MULTI");
    assert_true(answer(c, "XMULTI", MULTI_IS));
    assert_is(c, "XMULTI", REDIS_MULTI, REDIS_NEITHER, "multi");
    assert_true(answer(c, "XWATCH", "*1\r\n*6\r\n$5\r\nwatch\r\n:-2\r\n*0\r\n" MORE));
    assert_is(c, "XWATCH k", REDIS_WATCH, REDIS_NEITHER, "watch");
    assert_is(c, "WATCH k", REDIS_PLAIN, REDIS_WRITES, "del");
    redis_catalog_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_understood_in_any_split),
        cmocka_unit_test(a_reply_is_understood_byte_by_byte),
        cmocka_unit_test(older_servers_say_less),
        cmocka_unit_test(flags_say_what_is_written),
        cmocka_unit_test(nonsense_changes_nothing),
        cmocka_unit_test(a_line_without_end_is_nonsense),
        cmocka_unit_test(odd_replies_are_replies),
        cmocka_unit_test(what_is_learned_has_a_bound),
        cmocka_unit_test(what_is_skipped_may_be_deep_and_large),
        cmocka_unit_test(names_that_are_none_are_left_out),
        cmocka_unit_test(a_name_that_was_asked_for_is_what_the_answer_says),
        cmocka_unit_test(an_answer_to_another_question_is_none),
        cmocka_unit_test(nothing_is_asked_twice),
        cmocka_unit_test(renamed_commands_are_learned_by_their_first_name),
    };
    return cmocka_run_group_tests_name("redis_catalog_reply", tests, NULL, NULL);
}
