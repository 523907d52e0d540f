/* What a Redis Sentinel tells unasked, on a connection that has subscribed to it (redis.io, "High
 * availability with Redis Sentinel", section "Pub/Sub messages").
 *
 * Zeroed memory is a new one; one of them is for one connection. begin(), write what it gives,
 * then feed() each piece that comes and next() until it says MORE. release() at the end. No I/O. */
#ifndef ROUTER_PROTO_SENTINEL_NEWS_H
#define ROUTER_PROTO_SENTINEL_NEWS_H

#include <stdbool.h>
#include <stddef.h>

#include "model/observation.h"
#include "proto/resp.h"
#include "router_proto.h"

#define NEWS_WORDS_MAX 4 /* of a message: "pmessage", pattern, channel, text */
#define NEWS_WORD_MAX  512
#define NEWS_TEXT_MAX  192
#define NEWS_WHY_MAX   160

enum sentinel_news_step {
    NEWS_MORE,   /* all that came is read */
    NEWS_READY,  /* it has subscribed: comes once */
    NEWS_EVENT,  /* something happened to our primary or its replicas: `text` */
    NEWS_BROKEN, /* this connection is at its end: `why` */
};

enum sentinel_intention { INTENTION_UNTOLD, INTENTION_PROMOTES, INTENTION_NONE };

struct sentinel_news {
    char text[NEWS_TEXT_MAX]; /* plain ASCII, valid until the next call */
    /* What an event says of its intention: it promotes `whom`, or promotes nobody any more. */
    enum sentinel_intention intention;
    char whom[PEER_TEXT_MAX]; /* "host:port" */
    char why[NEWS_WHY_MAX];
    /* The rest is its own. */
    struct resp_reader reader;
    const char *master;   /* borrowed */
    char *out;            /* owned; holds the password */
    size_t out_size;      /* of it */
    const char *password; /* inside `out`; NULL = none */
    bool login;           /* AUTH is not answered yet */
    unsigned confirmed;   /* channels and patterns */
    int kind;             /* of the reply that is coming in: REDIS_REPLY_*, 0 = nothing yet */
    int words;            /* of that reply */
    char word[NEWS_WORDS_MAX][NEWS_WORD_MAX]; /* empty where it is none */
    struct resp_error error;
};

/* What to send first: the login and the subscriptions. setup->master is borrowed until release().
 * 0 or -ENOMEM. */
int sentinel_news_begin(struct sentinel_news *n, const struct probe_setup *setup, const char **out,
                        size_t *out_len);
/* 0 or -ENOMEM. */
int sentinel_news_feed(struct sentinel_news *n, const char *data, size_t len);
enum sentinel_news_step sentinel_news_next(struct sentinel_news *n);
void sentinel_news_release(struct sentinel_news *n); /* as zeroed; the password is wiped */

/* Asks for a sign of life, which is any byte. */
extern const char sentinel_news_ping[];

#endif
