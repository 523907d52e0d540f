/* What the Sentinels of a backend say is counted, and nothing else comes of it: whatever they do
 * (lie, stall, flood, cut, refuse) costs bounded time, memory and lines of the log. */
#include "sentinel_stage.h"

static bool was_told(const struct stage *s, const char *words)
{
    for (size_t i = 0; events_newest(&s->ring, i) != NULL; i++) {
        const struct event *e = events_newest(&s->ring, i);
        if (strstr(e->text, words) != NULL) {
            assert_string_equal(e->kind, "sentinel");
            assert_string_equal(e->backend, "b");
            return true;
        }
    }
    return false;
}

static struct stage *started(const char *more)
{
    struct stage *s = stage_new(more);
    sentinels_start(s->sentinels);
    TURN_UNTIL(heard(s) == FAKES && listeners(s) == FAKES);
    return s;
}

static void the_word_of_each_is_counted(void **state)
{
    (void)state;
    struct stage *s = stage_new("");
    assert_int_equal(heard(s), 0);
    assert_string_equal(view(s, 0).why, "was not asked yet");
    sentinels_start(s->sentinels);
    TURN_UNTIL(heard(s) == FAKES && listeners(s) == FAKES);
    assert_int_equal(words_for(s, 0), 3);
    assert_int_equal(words_for(s, 1), 0);
    assert_int_equal(s->changes, 3);
    assert_int_equal(sentinels_count(s->sentinels), FAKES);
    assert_string_equal(view(s, 1).names, "one");
    assert_string_equal(view(s, 1).why, "");
    assert_true(was_told(s, " names one"));
    assert_int_equal(s->news, 0);
    unsigned before = s->fakes[0].asked;
    TURN_UNTIL(s->fakes[0].asked > before + 5);
    assert_int_equal(s->changes, 3); /* nothing per poll */
    assert_int_equal(s->ring.count, 3);
    stage_free(s);
}

static void another_word_is_a_change(void **state)
{
    (void)state;
    struct stage *s = started("");
    s->fakes[2].names = "127.0.0.1 7002";
    TURN_UNTIL(s->changes == 4);
    assert_int_equal(words_for(s, 0), 2);
    assert_int_equal(words_for(s, 1), 1);
    assert_true(was_told(s, " names two"));
    assert_int_equal(s->ring.count, 4);
    stage_free(s);
}

static void who_names_a_stranger_is_heard_but_counts_for_nobody(void **state)
{
    (void)state;
    struct stage *s = started("");
    s->fakes[0].names = "10.1.2.3 7001";
    TURN_UNTIL(words_for(s, 0) == 2);
    s->fakes[1].names = "redis-0.example 7001";
    TURN_UNTIL(words_for(s, 0) == 1);
    assert_int_equal(heard(s), 3);
    assert_int_equal(words_for(s, 1), 0);
    assert_string_equal(view(s, 0).names, "10.1.2.3:7001");
    assert_string_equal(view(s, 1).names, "redis-0.example:7001");
    assert_string_equal(view(s, 0).why, "names what is no server of this backend");
    assert_true(was_told(s, "names 10.1.2.3:7001, which is no server of this backend"));
    stage_free(s);
}

static void who_does_not_know_the_name_is_not_heard(void **state)
{
    (void)state;
    struct stage *s = started("");
    s->fakes[1].names = NULL;
    TURN_UNTIL(heard(s) == 2);
    assert_int_equal(s->changes, 4);
    assert_string_equal(view(s, 1).why, "knows no primary called \"mymaster\"");
    assert_true(was_told(s, "knows no primary called \"mymaster\""));
    stage_free(s);
}

static void a_word_stays_until_probe_fall_probes_have_failed(void **state)
{
    (void)state;
    struct stage *s = started("probe_timeout = 10ms\nprobe_fall = 3\n");
    s->fakes[0].mood = MOOD_MUTE;
    TURN_UNTIL(heard(s) == 2);
    assert_true(s->fakes[0].ignored >= 3);
    assert_int_equal(words_for(s, 0), 2);
    s->fakes[1].mood = MOOD_MUTE;
    s->fakes[2].mood = MOOD_MUTE;
    TURN_UNTIL(heard(s) == 0);
    assert_int_equal(words_for(s, 0), 0);
    assert_true(was_told(s, "is not heard: accepts connections but does not answer in time"));
    assert_string_equal(view(s, 0).names, "");
    s->fakes[0].mood = MOOD_GOOD;
    TURN_UNTIL(heard(s) == 1);
    assert_int_equal(words_for(s, 0), 1);
    stage_free(s);
}

static void one_that_is_gone_is_told_once(void **state)
{
    (void)state;
    struct stage *s = started("");
    fake_close(&s->fakes[0]);
    fake_open(&s->fakes[0]); /* at another port */
    TURN_UNTIL(heard(s) == 2);
    uint64_t count = s->ring.count;
    uint64_t end = loop_now_ms(&s->loop) + 200;
    TURN_UNTIL(loop_now_ms(&s->loop) > end);
    assert_int_equal(s->ring.count, count);
    assert_true(was_told(s, "is not heard: "));
    stage_free(s);
}

static void news_of_the_primary_reach_the_owner(void **state)
{
    (void)state;
    struct stage *s = started("");
    fake_publish(&s->fakes[1], "+sdown", "master other 127.0.0.1 7001");
    fake_publish(&s->fakes[1], "+switch-master", "mymaster 127.0.0.1 7001 127.0.0.1 7002");
    TURN_UNTIL(s->news == 1);
    assert_string_equal(s->text, "+switch-master mymaster 127.0.0.1 7001 127.0.0.1 7002");
    assert_int_equal(words_for(s, 0), 3); /* news are no word */
    stage_free(s);
}

static const char slave_two[] = "slave 127.0.0.1:7002 127.0.0.1 7002 @ mymaster 127.0.0.1 7001";

/* Sentinel 1 promotes server "two". */
static struct stage *intended(const char *more)
{
    struct stage *s = started(more);
    assert_int_equal(promoting(s, 1), 0);
    fake_publish(&s->fakes[1], "+selected-slave", slave_two);
    TURN_UNTIL(s->news == 1);
    assert_int_equal(promoting(s, 0), 0);
    assert_int_equal(promoting(s, 1), 1);
    return s;
}

static void an_intention_is_counted_beside_the_words(void **state)
{
    (void)state;
    struct stage *s = intended("");
    assert_int_equal(words_for(s, 0), 3);
    assert_int_equal(words_for(s, 1), 0);
    fake_publish(&s->fakes[1], "+failover-state-wait-promotion", slave_two);
    fake_publish(&s->fakes[1], "+sdown", "master mymaster 127.0.0.1 7001");
    TURN_UNTIL(s->news >= 2 && strstr(s->text, "+sdown") != NULL);
    assert_int_equal(promoting(s, 1), 1); /* said twice by one */
    fake_publish(&s->fakes[2], "+selected-slave",
                 "slave 10.9.9.9:1 10.9.9.9 1 @ mymaster 127.0.0.1 7001");
    fake_publish(&s->fakes[0], "+selected-slave", slave_two);
    TURN_UNTIL(promoting(s, 1) == 2);
    assert_int_equal(promoting(s, 0), 0);
    stage_free(s);
}

static void an_intention_that_is_given_up_does_not_count(void **state)
{
    (void)state;
    struct stage *s = intended("");
    fake_publish(&s->fakes[0], "-failover-abort-slave-timeout", "master mymaster 127.0.0.1 7001");
    TURN_UNTIL(s->news == 2);
    assert_int_equal(promoting(s, 1), 1); /* another's */
    fake_publish(&s->fakes[1], "-failover-abort-slave-timeout", "master mymaster 127.0.0.1 7001");
    TURN_UNTIL(s->news == 3);
    assert_int_equal(promoting(s, 1), 0);
    stage_free(s);
}

static void an_intention_ends_with_the_next_change_of_mind(void **state)
{
    (void)state;
    struct stage *s = intended("");
    s->fakes[1].names = "127.0.0.1 7002"; /* done */
    TURN_UNTIL(words_for(s, 1) == 1);
    assert_int_equal(promoting(s, 1), 0);
    fake_publish(&s->fakes[1], "+promoted-slave", slave_two); /* it came by another connection */
    TURN_UNTIL(s->news == 2);
    assert_int_equal(promoting(s, 1), 0);
    s->fakes[1].names = "127.0.0.1 7001";
    TURN_UNTIL(words_for(s, 0) == 3);
    assert_int_equal(promoting(s, 1), 0);
    fake_publish(&s->fakes[1], "+selected-slave", slave_two);
    TURN_UNTIL(promoting(s, 1) == 1);
    s->fakes[1].names = "10.1.2.3 7001"; /* overtaken */
    TURN_UNTIL(words_for(s, 0) == 2);
    assert_int_equal(promoting(s, 1), 0);
    stage_free(s);
}

static void the_intention_of_who_is_not_heard_any_more_does_not_count(void **state)
{
    (void)state;
    struct stage *s = intended("");
    fake_cut(&s->fakes[1], true);
    TURN_UNTIL(s->news == 2);
    assert_int_equal(promoting(s, 1), 0);
    TURN_UNTIL(listeners(s) == FAKES);
    assert_int_equal(promoting(s, 1), 0);
    stage_free(s);
    s = intended("");
    s->fakes[1].names = NULL;
    TURN_UNTIL(heard(s) == 2);
    assert_int_equal(promoting(s, 1), 0);
    stage_free(s);
}

static void an_intention_that_leads_to_nothing_is_forgotten(void **state)
{
    (void)state;
    struct stage *s = intended("");
    TURN_UNTIL(promoting(s, 1) == 0 || usleep(5000) != 0);
    assert_int_equal(heard(s), FAKES);
    assert_int_equal(listeners(s), FAKES);
    stage_free(s);
}

static void a_lost_subscription_is_news_and_comes_back(void **state)
{
    (void)state;
    struct stage *s = started("");
    fake_cut(&s->fakes[0], true);
    TURN_UNTIL(s->news == 1);
    assert_non_null(strstr(s->text, "the subscription was lost"));
    assert_false(view(s, 0).subscribed);
    assert_true(view(s, 0).heard);
    assert_non_null(strstr(view(s, 0).why, "tells no news: "));
    TURN_UNTIL(listeners(s) == FAKES);
    assert_int_equal(s->fakes[0].subscriptions, 2);
    assert_string_equal(view(s, 0).why, "");
    stage_free(s);
}

static void a_subscription_without_a_sign_of_life_is_given_up(void **state)
{
    (void)state;
    struct stage *s = started("");
    s->fakes[0].mood = MOOD_DEAF;
    TURN_UNTIL(s->news > 0);
    assert_string_equal(s->text, "the subscription was lost: it gives no sign of life");
    TURN_UNTIL(s->fakes[0].subscriptions > 1);
    stage_free(s);
}

static void a_subscription_that_is_not_confirmed_is_tried_again(void **state)
{
    (void)state;
    struct stage *s = stage_new("probe_timeout = 10ms\n");
    s->fakes[0].mood = MOOD_MUTE;
    sentinels_start(s->sentinels);
    TURN_UNTIL(strstr(view(s, 0).why, "does not answer in time") != NULL);
    TURN_UNTIL(heard(s) == 2 && listeners(s) == 2);
    s->fakes[0].mood = MOOD_GOOD;
    TURN_UNTIL(heard(s) == 3 && listeners(s) == 3);
    assert_int_equal(s->news, 0); /* nothing was lost that had been */
    stage_free(s);
}

static void a_flood_is_cut_off(void **state)
{
    (void)state;
    struct stage *s = started("");
    char junk[4001];
    memset(junk, 'x', sizeof(junk) - 1);
    junk[sizeof(junk) - 1] = '\0';
    for (int i = 0; i < 100000 && fake_listeners(&s->fakes[0]) > 0 && s->news == 0; i++) {
        fake_publish(&s->fakes[0], "+sdown", "master other 127.0.0.1 7001 and much more");
        stage_turn(s);
    }
    TURN_UNTIL(s->news > 0);
    assert_string_equal(s->text, "the subscription was lost: it says too much");
    assert_int_equal(heard(s), 3);
    stage_free(s);
}

static void one_that_changes_its_mind_all_the_time_does_not_fill_the_ring(void **state)
{
    (void)state;
    struct stage *s = started("");
    s->fakes[0].mood = MOOD_LIKES;
    unsigned before = s->changes;
    TURN_UNTIL(s->changes > before + 50);
    assert_true(s->ring.count <= 2 + 11);
    stage_free(s);
}

static void what_speaks_another_protocol_is_not_heard(void **state)
{
    (void)state;
    struct stage *s = stage_new("");
    s->fakes[0].raw = "HTTP/1.1 400 Bad Request\r\n";
    s->fakes[1].raw = "-ERR unknown command 'SENTINEL', with args beginning with: 'GET'\r\n";
    s->fakes[2].raw = "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n99999\r\n";
    sentinels_start(s->sentinels);
    TURN_UNTIL(was_told(s, "is not heard: does not speak Redis") &&
               was_told(s, "is not heard: is no Sentinel but a Redis server") &&
               was_told(s, "is not heard: does not answer as a Sentinel does"));
    assert_int_equal(heard(s), 0);
    assert_int_equal(listeners(s), 0);
    assert_int_equal(s->changes, 0);
    stage_free(s);
}

static void a_rotated_password_is_used_at_the_next_login(void **state)
{
    (void)state;
    struct stage *s = stage_new("");
    for (size_t i = 0; i < FAKES; i++) {
        s->fakes[i].password = "n3w-word";
    }
    s->login.password = "old-word";
    sentinels_start(s->sentinels);
    TURN_UNTIL(was_told(s, "does not accept sentinel_user and sentinel_password"));
    assert_int_equal(heard(s), 0);
    s->login.password = "n3w-word";
    TURN_UNTIL(heard(s) == FAKES && listeners(s) == FAKES);
    assert_false(was_told(s, "word "));
    stage_free(s);
}

static void a_wrong_number_of_sentinels_is_explained(void **state)
{
    (void)state;
    struct stage *s = started("");
    s->fakes[1].others = 4;
    TURN_UNTIL(view(s, 1).why[0] != '\0');
    assert_string_equal(view(s, 1).why, "knows of 5 Sentinels, but 3 are configured");
    assert_int_equal(heard(s), 3);
    stage_free(s);
}

static void the_pace_is_the_owners(void **state)
{
    (void)state;
    struct stage *s = stage_new("probe_interval = 1h\n");
    sentinels_start(s->sentinels);
    TURN_UNTIL(s->fakes[0].asked > 3); /* fast at first */
    sentinels_set_pace(s->sentinels, false);
    TURN_UNTIL(heard(s) == FAKES);
    unsigned before = s->fakes[0].asked;
    uint64_t end = loop_now_ms(&s->loop) + 100;
    TURN_UNTIL(loop_now_ms(&s->loop) > end);
    assert_true(s->fakes[0].asked <= before + 1); /* one was under way */
    before = s->fakes[0].asked;
    sentinels_now(s->sentinels);
    TURN_UNTIL(s->fakes[0].asked > before);
    stage_free(s);
}

static void it_may_be_stopped_from_its_own_events(void **state)
{
    (void)state;
    struct stage *s = stage_new("");
    s->stop_at_change = true;
    sentinels_start(s->sentinels);
    TURN_UNTIL(s->changes > 0);
    unsigned words = words_for(s, 0); /* what was said can still be read */
    assert_int_equal(words, 1);
    uint64_t end = loop_now_ms(&s->loop) + 100;
    TURN_UNTIL(loop_now_ms(&s->loop) > end);
    assert_int_equal(s->changes, 1);
    assert_int_equal(s->news, 0);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_word_of_each_is_counted),
        cmocka_unit_test(another_word_is_a_change),
        cmocka_unit_test(who_names_a_stranger_is_heard_but_counts_for_nobody),
        cmocka_unit_test(who_does_not_know_the_name_is_not_heard),
        cmocka_unit_test(a_word_stays_until_probe_fall_probes_have_failed),
        cmocka_unit_test(one_that_is_gone_is_told_once),
        cmocka_unit_test(news_of_the_primary_reach_the_owner),
        cmocka_unit_test(an_intention_is_counted_beside_the_words),
        cmocka_unit_test(an_intention_that_is_given_up_does_not_count),
        cmocka_unit_test(an_intention_ends_with_the_next_change_of_mind),
        cmocka_unit_test(the_intention_of_who_is_not_heard_any_more_does_not_count),
        cmocka_unit_test(an_intention_that_leads_to_nothing_is_forgotten),
        cmocka_unit_test(a_lost_subscription_is_news_and_comes_back),
        cmocka_unit_test(a_subscription_without_a_sign_of_life_is_given_up),
        cmocka_unit_test(a_subscription_that_is_not_confirmed_is_tried_again),
        cmocka_unit_test(a_flood_is_cut_off),
        cmocka_unit_test(one_that_changes_its_mind_all_the_time_does_not_fill_the_ring),
        cmocka_unit_test(what_speaks_another_protocol_is_not_heard),
        cmocka_unit_test(a_rotated_password_is_used_at_the_next_login),
        cmocka_unit_test(a_wrong_number_of_sentinels_is_explained),
        cmocka_unit_test(the_pace_is_the_owners),
        cmocka_unit_test(it_may_be_stopped_from_its_own_events),
    };
    return cmocka_run_group_tests_name("sentinel", tests, NULL, NULL);
}
