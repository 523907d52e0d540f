#include "proto/sentinel_news.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "proto/probe_end.h"
#include "proto/sentinel_probe.h"

#define MESSAGE_BYTES_MAX 4096 /* as far as it must be buffered */

const char sentinel_news_ping[] = "*1\r\n$4\r\nPING\r\n";

/* Whatever says that the primary may be another one now, or is soon; -sdown and +reboot bring an
 * old primary back, and +convert-to-slave says that one was seen to be back. */
static const struct resp_command channels = {
    .words = {"SUBSCRIBE", "+switch-master", "+sdown", "-sdown", "+odown", "+reboot",
              "+selected-slave", "+promoted-slave", "+convert-to-slave"},
    .count = 9,
};
static const struct resp_command patterns = {
    .words = {"PSUBSCRIBE", "+failover-state-*", "-failover-abort-*"},
    .count = 3,
};

static unsigned subscriptions(void)
{
    return (unsigned)(channels.count - 1 + patterns.count - 1);
}

/* Reading ----------------------------------------------------------------------------------- */

static void note_kind(struct sentinel_news *n, const redisReadTask *task, int kind)
{
    if (task->parent == NULL) {
        n->kind = kind;
    } else if (n->kind == 0 && task->parent->parent == NULL) {
        n->kind = REDIS_REPLY_ARRAY;
        n->words = (int)task->parent->elements;
    }
}

/* What these callbacks return only has to be no NULL: that means "out of memory". */
static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    struct sentinel_news *n = task->privdata;
    note_kind(n, task, task->type);
    if (len >= NEWS_WORD_MAX) {
        n->kind = REDIS_REPLY_NIL; /* no Sentinel says so much */
    }
    if (n->kind == REDIS_REPLY_ERROR) {
        resp_error_keep(&n->error, text, len, n->password);
        return n;
    }
    bool flat = task->parent != NULL && task->parent->parent == NULL;
    if (flat && n->kind == REDIS_REPLY_ARRAY && task->idx < NEWS_WORDS_MAX) {
        memcpy(n->word[task->idx], text, len);
        n->word[task->idx][len] = '\0'; /* a NUL inside ends it earlier */
    }
    return n;
}

static void *on_integer(const redisReadTask *task, long long value)
{
    (void)value;
    struct sentinel_news *n = task->privdata;
    note_kind(n, task, REDIS_REPLY_INTEGER);
    return n;
}

static void *on_none(const redisReadTask *task)
{
    struct sentinel_news *n = task->privdata;
    note_kind(n, task, REDIS_REPLY_NIL);
    return n;
}

static redisReplyObjectFunctions on_reply = {
    .createString = on_string,
    .createInteger = on_integer,
    .createNil = on_none,
};

static void forget_reply(struct sentinel_news *n)
{
    n->kind = 0;
    n->words = 0;
    for (size_t i = 0; i < NEWS_WORDS_MAX; i++) {
        n->word[i][0] = '\0';
    }
}

/* The beginning ----------------------------------------------------------------------------- */

int sentinel_news_begin(struct sentinel_news *n, const struct probe_setup *setup, const char **out,
                        size_t *out_len)
{
    struct resp_command auth;
    const char *password = setup->password != NULL ? setup->password : "";
    n->master = setup->master;
    n->login = resp_auth(&auth, "AUTH", setup);
    n->out_size = resp_bound(&channels) + resp_bound(&patterns) + strlen(password) + 1;
    n->out_size += n->login ? resp_bound(&auth) : 0;
    n->out = malloc(n->out_size);
    if (n->out == NULL || resp_open(&n->reader, &on_reply, n) != 0) {
        return -ENOMEM;
    }
    size_t len = n->login ? resp_write(&auth, n->out, n->out_size) : 0;
    len += resp_write(&channels, n->out + len, n->out_size - len);
    len += resp_write(&patterns, n->out + len, n->out_size - len);
    if (password[0] != '\0') {
        n->password = memcpy(n->out + len + 1, password, strlen(password) + 1);
    }
    *out = n->out;
    *out_len = len;
    return 0;
}

int sentinel_news_feed(struct sentinel_news *n, const char *data, size_t len)
{
    return resp_feed(&n->reader, data, len);
}

void sentinel_news_release(struct sentinel_news *n)
{
    resp_close(&n->reader);
    resp_forget(&n->out, n->out_size);
    *n = (struct sentinel_news){0};
}

/* What a message means ---------------------------------------------------------------------- */

/* The word at `at` (0 = the first) of `text`; its length is 0 where there is none. */
static const char *word_at(const char *text, int at, size_t *len)
{
    for (; at > 0; at--) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    *len = strcspn(text, " ");
    return text;
}

/* Whether the word at `at` (-1 = behind an "@") of `text` is `name`. */
static bool has_word(const char *text, int at, const char *name)
{
    bool behind_at = false;
    for (int i = 0; *text != '\0'; i++) {
        size_t len = strcspn(text, " ");
        bool here = at < 0 ? behind_at : i == at;
        if (here && len == strlen(name) && memcmp(text, name, len) == 0) {
            return true;
        }
        behind_at = len == 1 && text[0] == '@';
        text += len;
        text += strspn(text, " ");
    }
    return false;
}

/* "+switch-master NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT"; elsewhere "master NAME HOST PORT", or
 * "slave HOST:PORT HOST PORT @ NAME HOST PORT". Other Sentinels, of which the same is told, are
 * none of ours: we ask them ourselves. */
static bool concerns(const char *master, const char *channel, const char *text)
{
    if (strcmp(channel, "+switch-master") == 0) {
        return has_word(text, 0, master);
    }
    if (has_word(text, 0, "master")) {
        return has_word(text, 1, master);
    }
    return has_word(text, 0, "slave") && has_word(text, -1, master);
}

/* "slave NAME HOST PORT @ ...": what is no address is written all the same, and is no server of
 * ours. */
static void note_promotion(struct sentinel_news *n, const char *text)
{
    size_t host_len;
    size_t port_len;
    const char *host = word_at(text, 2, &host_len);
    const char *port = word_at(text, 3, &port_len);
    bool v6 = memchr(host, ':', host_len) != NULL;
    n->intention = INTENTION_PROMOTES;
    snprintf(n->whom, sizeof(n->whom), v6 ? "[%.*s]:%.*s" : "%.*s:%.*s", (int)host_len, host,
             (int)port_len, port);
}

/* Whoever leads a failover tells step by step whom it promotes, and when it gives that up. */
static void note_intention(struct sentinel_news *n, const char *channel, const char *text)
{
    static const char *const steps[] = {"+selected-slave", "+failover-state-send-slaveof-noone",
                                        "+failover-state-wait-promotion", "+promoted-slave"};
    static const char abort[] = "-failover-abort-";
    n->intention = INTENTION_UNTOLD;
    n->whom[0] = '\0';
    if (strncmp(channel, abort, strlen(abort)) == 0) {
        n->intention = INTENTION_NONE;
    }
    for (size_t i = 0; i < ARRAY_LEN(steps) && has_word(text, 0, "slave"); i++) {
        if (strcmp(channel, steps[i]) == 0) {
            note_promotion(n, text);
        }
    }
}

static enum sentinel_news_step broken(struct sentinel_news *n, const char *why)
{
    snprintf(n->why, sizeof(n->why), "%s", why);
    return NEWS_BROKEN;
}

static enum sentinel_news_step take_message(struct sentinel_news *n, const char *channel,
                                            const char *text)
{
    char quoted_channel[PROBE_QUOTE_MAX];
    char quoted_text[PROBE_QUOTE_MAX];
    if (!concerns(n->master, channel, text)) {
        return NEWS_MORE;
    }
    note_intention(n, channel, text);
    snprintf(n->text, sizeof(n->text), "%.60s %s",
             probe_quote(quoted_channel, channel, n->password),
             probe_quote(quoted_text, text, n->password));
    return NEWS_EVENT;
}

static enum sentinel_news_step take_list(struct sentinel_news *n)
{
    const char *kind = n->word[0];
    bool ready = n->confirmed == subscriptions();
    if (!ready && n->words == 3 &&
        (strcmp(kind, "subscribe") == 0 || strcmp(kind, "psubscribe") == 0)) {
        n->confirmed++;
        return n->confirmed == subscriptions() ? NEWS_READY : NEWS_MORE;
    }
    if (n->words == 3 && strcmp(kind, "message") == 0) {
        return take_message(n, n->word[1], n->word[2]);
    }
    if (n->words == 4 && strcmp(kind, "pmessage") == 0) {
        return take_message(n, n->word[2], n->word[3]);
    }
    if (n->words == 2 && strcmp(kind, "pong") == 0) {
        return NEWS_MORE;
    }
    return broken(n, "does not publish as a Sentinel does");
}

/* One whole reply was read. NEWS_MORE: it says nothing. */
static enum sentinel_news_step take(struct sentinel_news *n)
{
    char words[SENTINEL_WORDS_MAX];
    if (n->kind == REDIS_REPLY_ERROR && n->confirmed < subscriptions()) {
        return broken(n, sentinel_error_words(&n->error, n->login, "SUBSCRIBE",
                                              "+subscribe +psubscribe +ping allchannels", words));
    }
    if (n->login) {
        n->login = false;
        return n->kind == REDIS_REPLY_STATUS ? NEWS_MORE
                                             : broken(n, "does not answer AUTH as Redis does");
    }
    bool ready = n->confirmed == subscriptions();
    if (n->kind == REDIS_REPLY_ERROR || (n->kind == REDIS_REPLY_STATUS && ready)) {
        return NEWS_MORE; /* to PING, which it may refuse: a sign of life all the same */
    }
    return n->kind == REDIS_REPLY_ARRAY ? take_list(n)
                                        : broken(n, "does not publish as a Sentinel does");
}

enum sentinel_news_step sentinel_news_next(struct sentinel_news *n)
{
    enum sentinel_news_step step = NEWS_MORE;
    enum resp_read read = RESP_REPLY;
    while (step == NEWS_MORE && read == RESP_REPLY) {
        read = resp_next(&n->reader, RESP_LIST);
        if (read == RESP_BROKEN) {
            return broken(n, "does not speak Redis");
        }
        if (read == RESP_REPLY) {
            step = take(n);
            forget_reply(n);
        }
    }
    if (step == NEWS_MORE && resp_waiting(&n->reader) > MESSAGE_BYTES_MAX) {
        return broken(n, "publishes something endless");
    }
    return step;
}
