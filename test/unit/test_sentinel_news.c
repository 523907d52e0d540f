/* What a Sentinel publishes, whole, in pieces, and cut at every byte: which of it concerns our
 * primary, and what is none of a Sentinel's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/sentinel_news.h"

static const struct probe_setup nobody = {.master = "mymaster"};
static const struct probe_setup with_user = {
    .master = "mymaster", .user = "router", .password = "s3cret"};

#define CONFIRM(kind, channel, count) "*3\r\n" kind "\r\n$" channel "\r\n:" count "\r\n"
#define SUBSCRIBE(channel, count)     CONFIRM("$9\r\nsubscribe", channel, count)
#define SUBSCRIBED                                                                                 \
    SUBSCRIBE("14\r\n+switch-master", "1")                                                         \
    SUBSCRIBE("6\r\n+sdown", "2")                                                                  \
    SUBSCRIBE("6\r\n-sdown", "3")                                                                  \
    SUBSCRIBE("6\r\n+odown", "4")                                                                  \
    SUBSCRIBE("7\r\n+reboot", "5")                                                                 \
    SUBSCRIBE("15\r\n+selected-slave", "6")                                                        \
    SUBSCRIBE("15\r\n+promoted-slave", "7")                                                        \
    SUBSCRIBE("17\r\n+convert-to-slave", "8")                                                      \
    CONFIRM("$10\r\npsubscribe", "17\r\n+failover-state-*", "9")                                   \
    CONFIRM("$10\r\npsubscribe", "17\r\n-failover-abort-*", "10")
#define PONG "*2\r\n$4\r\npong\r\n$0\r\n\r\n"

/* What came of the bytes: what was told, line by line. */
struct heard {
    struct sentinel_news news;
    unsigned ready;
    unsigned events;
    bool broken;
    char text[4096];
};

static struct heard *begin(const struct probe_setup *account)
{
    struct heard *h = calloc(1, sizeof(*h));
    const char *out;
    size_t len;
    assert_int_equal(sentinel_news_begin(&h->news, account, &out, &len), 0);
    assert_int_equal(len, strlen(out));
    return h;
}

static void end(struct heard *h)
{
    sentinel_news_release(&h->news);
    free(h);
}

static void take(struct heard *h)
{
    enum sentinel_news_step step = sentinel_news_next(&h->news);
    for (; step == NEWS_READY || step == NEWS_EVENT; step = sentinel_news_next(&h->news)) {
        size_t have = strlen(h->text);
        h->ready += step == NEWS_READY;
        h->events += step == NEWS_EVENT;
        snprintf(h->text + have, sizeof(h->text) - have, "%s\n",
                 step == NEWS_READY ? "ready" : h->news.text);
    }
    h->broken = step == NEWS_BROKEN;
}

static void feed_pieces(struct heard *h, const char *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && !h->broken; at += piece) {
        size_t now = len - at < piece ? len - at : piece;
        char *copy = malloc(now); /* a sanitizer sees who reads behind it */
        memcpy(copy, data + at, now);
        assert_int_equal(sentinel_news_feed(&h->news, copy, now), 0);
        free(copy);
        take(h);
    }
}

static void feed(struct heard *h, const char *text)
{
    feed_pieces(h, text, strlen(text), SIZE_MAX / 2);
}

static void publish(char *out, size_t size, const char *channel, const char *text)
{
    if (strncmp(channel + 1, "failover-", 9) == 0) {
        snprintf(out, size, "*4\r\n$8\r\npmessage\r\n$17\r\n%.16s*\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
                 channel, strlen(channel), channel, strlen(text), text);
    } else {
        snprintf(out, size, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(channel),
                 channel, strlen(text), text);
    }
}

static void assert_told(const char *channel, const char *text, bool concerns)
{
    char message[1024];
    char expected[1024];
    struct heard *h = begin(&nobody);
    publish(message, sizeof(message), channel, text);
    feed(h, SUBSCRIBED);
    feed(h, message);
    assert_false(h->broken);
    snprintf(expected, sizeof(expected), "ready\n%s %s\n", channel, text);
    assert_string_equal(h->text, concerns ? expected : "ready\n");
    end(h);
}

static void assert_broken(const struct probe_setup *account, const char *bytes, const char *why)
{
    struct heard *h = begin(account);
    feed(h, bytes);
    assert_true(h->broken);
    if (strstr(h->news.why, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", h->news.why, why);
    }
    end(h);
}

static void it_logs_in_and_subscribes_in_one_write(void **state)
{
    (void)state;
    struct heard *h = begin(&with_user);
    static const char auth[] = "*3\r\n$4\r\nAUTH\r\n$6\r\nrouter\r\n$6\r\ns3cret\r\n*9\r\n";
    assert_memory_equal(h->news.out, auth, strlen(auth));
    assert_non_null(strstr(h->news.out, "$14\r\n+switch-master\r\n"));
    assert_non_null(strstr(h->news.out, "$10\r\nPSUBSCRIBE\r\n$17\r\n+failover-state-*\r\n"));
    assert_non_null(strstr(h->news.out, "$17\r\n-failover-abort-*\r\n"));
    feed(h, "+OK\r\n");
    assert_int_equal(h->ready, 0);
    feed(h, SUBSCRIBED);
    assert_string_equal(h->text, "ready\n");
    end(h);
}

static void news_of_our_primary_are_told(void **state)
{
    (void)state;
    assert_told("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 6380", true);
    assert_told("+sdown", "master mymaster 127.0.0.1 6379", true);
    assert_told("+odown", "master mymaster 127.0.0.1 6379 #quorum 2/2", true);
    assert_told("-sdown", "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379", true);
    assert_told("+selected-slave", "slave 10.0.0.2:1 10.0.0.2 1 @ mymaster 127.0.0.1 6379", true);
    assert_told("+failover-state-select-slave", "master mymaster 127.0.0.1 6379", true);
    assert_told("+failover-state-wait-promotion",
                "slave 127.0.0.1:6380 127.0.0.1 6380 @ mymaster 127.0.0.1 6379", true);
}

static void news_of_others_are_not(void **state)
{
    (void)state;
    assert_told("+switch-master", "other 127.0.0.1 6379 127.0.0.1 6380", false);
    assert_told("+switch-master", "mymaster2 127.0.0.1 6379 127.0.0.1 6380", false);
    assert_told("+switch-master", "mymaste 127.0.0.1 6379 127.0.0.1 6380", false);
    assert_told("+switch-master", "other @ mymaster", false);
    assert_told("+sdown", "master other 127.0.0.1 6379", false);
    assert_told("+sdown", "master other @ mymaster", false);
    assert_told("+sdown", "slave mymaster mymaster 6380 @ other 127.0.0.1 6379", false);
    assert_told("+sdown", "slave x", false);
    assert_told("+sdown", "sentinel abc 127.0.0.1 5000 @ mymaster 127.0.0.1 6379", false);
    assert_told("+sdown", "", false);
    assert_told("+sdown", "   @", false);
}

static void assert_means(const char *channel, const char *text, enum sentinel_intention intention,
                         const char *whom)
{
    char message[1024];
    struct heard *h = begin(&nobody);
    feed(h, SUBSCRIBED);
    publish(message, sizeof(message), "+selected-slave", "slave x 10.9.9.9 1 @ mymaster x 1");
    feed(h, message); /* what was said before does not stay */
    publish(message, sizeof(message), channel, text);
    feed(h, message);
    assert_int_equal(h->events, 2);
    assert_int_equal(h->news.intention, intention);
    assert_string_equal(h->news.whom, whom);
    end(h);
}

static void who_leads_a_failover_tells_whom_it_promotes(void **state)
{
    (void)state;
    static const char *const steps[] = {"+selected-slave", "+failover-state-send-slaveof-noone",
                                        "+failover-state-wait-promotion", "+promoted-slave"};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        assert_means(steps[i], "slave 10.0.0.2:6380 10.0.0.2 6380 @ mymaster 127.0.0.1 6379",
                     INTENTION_PROMOTES, "10.0.0.2:6380");
        assert_means(steps[i], "slave [::2]:6380 ::2 6380 @ mymaster ::1 6379", INTENTION_PROMOTES,
                     "[::2]:6380");
        assert_means(steps[i], "master mymaster 127.0.0.1 6379", INTENTION_UNTOLD, "");
        assert_means(steps[i], "slave @ mymaster", INTENTION_PROMOTES,
                     "mymaster:"); /* no address */
    }
    assert_means("-failover-abort-slave-timeout", "master mymaster 127.0.0.1 6379", INTENTION_NONE,
                 "");
    assert_means("-failover-abort-no-good-slave", "master mymaster 127.0.0.1 6379", INTENTION_NONE,
                 "");
}

static void other_news_tell_nothing_of_that(void **state)
{
    (void)state;
    static const char slave[] = "slave 10.0.0.2:1 10.0.0.2 1 @ mymaster 127.0.0.1 6379";
    assert_means("-sdown", slave, INTENTION_UNTOLD, "");
    assert_means("+convert-to-slave", slave, INTENTION_UNTOLD, "");
    assert_means("+failover-state-reconf-slaves", slave, INTENTION_UNTOLD, "");
    assert_means("+switch-master", "mymaster 127.0.0.1 6379 10.0.0.2 1", INTENTION_UNTOLD, "");
    assert_told("+selected-slave", "slave 10.0.0.2:1 10.0.0.2 1 @ other 127.0.0.1 6379", false);
    assert_told("-failover-abort-slave-timeout", "master other 127.0.0.1 6379", false);
}

static void what_is_told_is_short_and_plain(void **state)
{
    (void)state;
    char text[500] = "mymaster \x1b[31m";
    char message[1024];
    memset(text + strlen(text), 'x', sizeof(text) - 1 - strlen(text));
    struct heard *h = begin(&with_user);
    publish(message, sizeof(message), "+switch-master", text);
    feed(h, "+OK\r\n" SUBSCRIBED);
    feed(h, message);
    assert_int_equal(h->events, 1);
    assert_non_null(strstr(h->text, "+switch-master mymaster ?[31mxxx"));
    assert_true(strlen(h->text) < NEWS_TEXT_MAX + strlen("ready\n"));
    publish(message, sizeof(message), "+switch-master", "mymaster s3cret");
    feed(h, message);
    assert_int_equal(h->events, 2);
    assert_null(strstr(h->text, "s3cret"));
    end(h);
}

static void a_sign_of_life_is_no_news(void **state)
{
    (void)state;
    struct heard *h = begin(&nobody);
    feed(h, SUBSCRIBED PONG "+PONG\r\n-NOPERM this user has no permissions to run the 'ping'\r\n");
    assert_false(h->broken);
    assert_string_equal(h->text, "ready\n");
    end(h);
}

static void errors_are_put_into_words(void **state)
{
    (void)state;
    assert_broken(&nobody, "-NOAUTH Authentication required.\r\n", "sentinel_password");
    assert_broken(&with_user, "-WRONGPASS invalid username-password pair\r\n", "does not accept");
    assert_broken(&with_user, "-ERR no such s3cr\r\n", "answers AUTH with an error");
    assert_broken(&with_user, "+OK\r\n-ERR no such s3cret\r\n", "answers SUBSCRIBE with an error");
    assert_broken(&nobody, "-NOPERM this user has no permissions to access one of the channels\r\n",
                  "ACL: +subscribe +psubscribe +ping allchannels");
    assert_broken(&nobody, SUBSCRIBE("6\r\n+sdown", "1") "-NOPERM no channels\r\n", "ACL: ");
    assert_broken(&nobody, "-ERR max number of clients reached\r\n", "maxclients");
}

static void what_no_sentinel_says_ends_the_connection(void **state)
{
    (void)state;
    static const char *const nonsense[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        ":1\r\n",
        "$3\r\nabc\r\n",
        ">3\r\n",
        "*1000\r\n",
        "*3\r\n%1\r\n",
    };
    static const char *const lies[] = {
        "*-1\r\n",
        "*0\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n:1\r\n",
        "*2\r\n$7\r\nmessage\r\n$1\r\na\r\n",
        "*3\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\na\r\n",
        "*3\r\n*1\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\na\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
        SUBSCRIBE("6\r\n+sdown", "11"), /* one too many */
    };
    char bytes[2048];
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        assert_broken(&nobody, nonsense[i], "does not speak Redis");
        snprintf(bytes, sizeof(bytes), "%s%s", SUBSCRIBED, nonsense[i]);
        assert_broken(&nobody, bytes, "does not speak Redis");
    }
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        snprintf(bytes, sizeof(bytes), "%s%s", SUBSCRIBED, lies[i]);
        assert_broken(&nobody, bytes, "does not publish as a Sentinel does");
    }
    assert_broken(&nobody, "+OK\r\n", "does not publish as a Sentinel does");
    assert_broken(&with_user, "*0\r\n", "does not answer AUTH");
}

static void something_endless_is_given_up(void **state)
{
    (void)state;
    static const char *const begins[] = {"+", "-", "*3\r\n$7\r\nmessage\r\n$99999999\r\n"};
    char junk[1000];
    memset(junk, 'x', sizeof(junk));
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        struct heard *h = begin(&nobody);
        feed(h, SUBSCRIBED);
        feed(h, begins[i]);
        for (size_t fed = 0; !h->broken; fed += sizeof(junk)) {
            feed_pieces(h, junk, sizeof(junk), sizeof(junk));
            assert_true(fed < 10 * 1000);
        }
        assert_non_null(strstr(h->news.why, "endless"));
        end(h);
    }
    /* And what ends, but says too much, comes to the same. */
    char *bytes = NULL;
    memset(junk, 'x', sizeof(junk));
    assert_true(asprintf(&bytes, "%s*3\r\n$7\r\nmessage\r\n$6\r\n+sdown\r\n$600\r\n%.600s\r\n",
                         SUBSCRIBED, junk) > 0);
    assert_broken(&nobody, bytes, "does not publish as a Sentinel does");
    free(bytes);
}

static void any_split_tells_the_same(void **state)
{
    (void)state;
    char one[512];
    char two[512];
    char *all = NULL;
    publish(one, sizeof(one), "+failover-state-select-slave", "master mymaster 127.0.0.1 6379");
    publish(two, sizeof(two), "+switch-master", "mymaster 127.0.0.1 6379 127.0.0.1 6380");
    assert_true(asprintf(&all, "+OK\r\n%s%s%s%s", SUBSCRIBED, one, PONG, two) > 0);
    size_t len = strlen(all);
    struct heard *whole = begin(&with_user);
    feed(whole, all);
    assert_int_equal(whole->ready, 1);
    assert_int_equal(whole->events, 2);
    for (size_t piece = 1; piece < len; piece++) {
        struct heard *h = begin(&with_user);
        feed_pieces(h, all, len, piece);
        assert_false(h->broken);
        assert_string_equal(h->text, whole->text);
        end(h);
    }
    for (size_t cut = 0; cut < len; cut++) {
        struct heard *h = begin(&with_user);
        feed_pieces(h, all, cut, SIZE_MAX / 2);
        assert_false(h->broken);
        assert_memory_equal(h->text, whole->text, strlen(h->text));
        end(h);
    }
    end(whole);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_logs_in_and_subscribes_in_one_write),
        cmocka_unit_test(news_of_our_primary_are_told),
        cmocka_unit_test(news_of_others_are_not),
        cmocka_unit_test(who_leads_a_failover_tells_whom_it_promotes),
        cmocka_unit_test(other_news_tell_nothing_of_that),
        cmocka_unit_test(what_is_told_is_short_and_plain),
        cmocka_unit_test(a_sign_of_life_is_no_news),
        cmocka_unit_test(errors_are_put_into_words),
        cmocka_unit_test(what_no_sentinel_says_ends_the_connection),
        cmocka_unit_test(something_endless_is_given_up),
        cmocka_unit_test(any_split_tells_the_same),
    };
    return cmocka_run_group_tests_name("sentinel_news", tests, NULL, NULL);
}
