/* The Redis Sentinels of one backend: all of them are asked, one by one, whom they name as the
 * primary, and listened to for what they tell unasked. What they say decides nothing here; it is
 * counted for the election. Control thread only. */
#ifndef ROUTER_CTL_SENTINEL_H
#define ROUTER_CTL_SENTINEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/observation.h"

struct backend_config;
struct events;
struct loop;
struct name_addresses;
struct probe_setup;
struct sentinels;
struct tls_context;

/* Each is the last thing its caller does. */
struct sentinels_events {
    /* One is heard, is not heard any more, or names another primary. */
    void (*on_change)(void *context);
    /* Something happens to the primary or its replicas: worth asking everybody now, the Sentinels
     * too (but not more often than at the fast pace: a Sentinel may say anything). `text` is
     * borrowed until the return. */
    void (*on_news)(void *context, const char *text);
};

struct sentinels_setup {
    struct loop *loop;
    const struct backend_config *config;
    /* master, user and password; read anew at each login. */
    const struct probe_setup *login;
    struct tls_context *const *tls; /* where the current one is, or NULL: in the clear */
    struct events *ring;
    const struct sentinels_events *events;
    void *context;
    uint64_t *stamp; /* shared with the other probes */
};

/* All that `setup` points to is borrowed until sentinels_free(). NULL: memory. */
struct sentinels *sentinels_new(const struct sentinels_setup *setup);
void sentinels_start(struct sentinels *s); /* at the fast pace */
/* No event comes any more, and what is open goes away from the loop. Idempotent. What was said
 * remains to be read. */
void sentinels_stop(struct sentinels *s);
/* After sentinels_stop(); the loop may still run. NULL is fine. */
void sentinels_free(struct sentinels *s);

/* Another configuration with the same Sentinels. */
void sentinels_adopt(struct sentinels *s, const struct backend_config *config);

/* What is known of a name; NULL: nothing. */
typedef const struct name_addresses *sentinels_find_fn(const void *context, const char *host);
/* Each address of a name is a Sentinel; they come and go. Where nothing is known they stay. May
 * call back, as the last thing. */
void sentinels_take_names(struct sentinels *s, sentinels_find_fn *find, const void *context);

void sentinels_now(struct sentinels *s); /* asks all of them */
void sentinels_set_pace(struct sentinels *s, bool fast);

/* words[i] is how many name server `i` of the backend, *heard how many named anybody lately; who
 * is asked in vain, or does not know the name of the primary, is not heard. */
void sentinels_words(const struct sentinels *s, unsigned *words, unsigned *heard);
/* For each server of the backend: how many of those who are heard promote it at the moment, and
 * still name another one. Borrowed until the next call. */
const unsigned *sentinels_promoting(struct sentinels *s);

/* What one of them says, for people. */
struct sentinel_view {
    const char *address; /* as written, or of a name what it leads to */
    bool heard;
    bool subscribed;           /* it tells us news */
    char names[PEER_TEXT_MAX]; /* the server, or the address where it is none; "" if not heard */
    char why[WHY_MAX];         /* what is wrong; "" if nothing is */
};

/* Whether each of them has answered, or was asked in vain. */
bool sentinels_asked(const struct sentinels *s);

/* All, of which a majority is counted: those too that a name stood for lately and does not now. */
size_t sentinels_count(const struct sentinels *s);
void sentinels_view(const struct sentinels *s, size_t i, struct sentinel_view *out);

#endif
