/* Sentinels of a backend on a loop, and the fake ones that they speak with, turned together on one
 * thread. */
#ifndef TEST_SENTINEL_STAGE_H
#define TEST_SENTINEL_STAGE_H

#include "config_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "ctl/events.h"
#include "ctl/sentinel.h"
#include "net/loop.h"

#define FAKES    3
#define CLIENTS  16
#define PATIENCE 20000000000ULL /* ns until a test gives up */

enum mood {
    MOOD_GOOD,
    MOOD_MUTE,  /* reads, says nothing */
    MOOD_DEAF,  /* the same, but for the subscription's login */
    MOOD_LIKES, /* names another server with each answer */
};

struct fake {
    int listener;
    int port;
    int clients[CLIENTS]; /* -1 = free */
    bool subscribed[CLIENTS];
    enum mood mood;
    const char *names; /* "127.0.0.1 7001"; NULL = it does not know the name */
    const char *raw;   /* said to every question */
    const char *password;
    unsigned others;
    unsigned asked;         /* whom it names, and it answered */
    unsigned ignored;       /* the same, without an answer */
    unsigned subscriptions; /* ever */
};

struct stage {
    struct loop loop;
    struct config *config;
    struct probe_setup login;
    struct events ring;
    struct sentinels *sentinels;
    struct fake fakes[FAKES];
    uint64_t stamp;
    unsigned changes;
    unsigned news;
    bool stop_at_change;
    char text[256]; /* the newest of the news */
};

/* The fakes ------------------------------------------------------------------------------- */

static inline void fake_open(struct fake *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    *f = (struct fake){.names = "127.0.0.1 7001", .others = FAKES - 1};
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(listen(f->listener, CLIENTS), 0);
    f->port = ntohs(a.sin_port);
    for (size_t i = 0; i < CLIENTS; i++) {
        f->clients[i] = -1;
    }
}

static inline void fake_cut(struct fake *f, bool only_subscribers)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (f->clients[i] >= 0 && (f->subscribed[i] || !only_subscribers)) {
            close(f->clients[i]);
            f->clients[i] = -1;
            f->subscribed[i] = false;
        }
    }
}

static inline void fake_close(struct fake *f)
{
    fake_cut(f, false);
    close(f->listener);
}

static inline void fake_say(struct fake *f, size_t client, const char *text)
{
    ssize_t sent = write(f->clients[client], text, strlen(text));
    assert_true(sent == (ssize_t)strlen(text) || errno == EPIPE || errno == ECONNRESET);
}

static inline void fake_publish(struct fake *f, const char *channel, const char *text)
{
    char message[512];
    snprintf(message, sizeof(message), "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
             strlen(channel), channel, strlen(text), text);
    for (size_t i = 0; i < CLIENTS; i++) {
        if (f->clients[i] >= 0 && f->subscribed[i]) {
            fake_say(f, i, message);
        }
    }
}

static inline unsigned fake_listeners(const struct fake *f)
{
    unsigned count = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        count += f->clients[i] >= 0 && f->subscribed[i];
    }
    return count;
}

static inline void fake_name(struct fake *f, size_t client)
{
    char answer[512];
    char host[64];
    char port[16];
    f->asked++;
    if (f->mood == MOOD_LIKES) {
        f->names = f->asked % 2 == 0 ? "127.0.0.1 7001" : "127.0.0.1 7002";
    }
    if (f->names == NULL) {
        fake_say(f, client, "*-1\r\n-ERR No such master with that name\r\n");
        return;
    }
    assert_int_equal(sscanf(f->names, "%63s %15s", host, port), 2);
    snprintf(answer, sizeof(answer),
             "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n*2\r\n$19\r\nnum-other-sentinels\r\n$1\r\n%u\r\n",
             strlen(host), host, strlen(port), port, f->others);
    fake_say(f, client, answer);
}

static inline void fake_subscribe(struct fake *f, size_t client)
{
    f->subscribed[client] = true;
    f->subscriptions++;
    for (int i = 0; i < 10; i++) {
        fake_say(f, client, "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n");
    }
}

/* What it is asked comes in one piece: it is short. */
static inline void fake_answer(struct fake *f, size_t client, const char *asked)
{
    bool login = strstr(asked, "AUTH") != NULL;
    bool subscribe = strstr(asked, "PSUBSCRIBE") != NULL;
    if (f->mood == MOOD_MUTE || (f->mood == MOOD_DEAF && !login && !subscribe)) {
        f->ignored += strstr(asked, "GET-MASTER-ADDR-BY-NAME") != NULL;
        return;
    }
    if (f->raw != NULL) {
        fake_say(f, client, f->raw);
        return;
    }
    if (login) {
        bool right = f->password != NULL && strstr(asked, f->password) != NULL;
        fake_say(f, client, right ? "+OK\r\n" : "-WRONGPASS invalid username-password pair\r\n");
    }
    if (strstr(asked, "GET-MASTER-ADDR-BY-NAME") != NULL) {
        fake_name(f, client);
    } else if (subscribe) {
        fake_subscribe(f, client);
    } else if (strstr(asked, "PING") != NULL) {
        fake_say(f, client, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    }
}

static inline void fake_turn(struct fake *f)
{
    char asked[2048];
    for (size_t i = 0; i < CLIENTS; i++) {
        if (f->clients[i] < 0) {
            f->clients[i] = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK);
            continue;
        }
        ssize_t got = read(f->clients[i], asked, sizeof(asked) - 1);
        if (got > 0) {
            asked[got] = '\0';
            fake_answer(f, i, asked);
        } else if (got == 0 || errno != EAGAIN) {
            close(f->clients[i]);
            f->clients[i] = -1;
            f->subscribed[i] = false;
        }
    }
}

/* The stage ------------------------------------------------------------------------------- */

static inline void on_change(void *context)
{
    struct stage *s = context;
    s->changes++;
    if (s->stop_at_change) {
        sentinels_stop(s->sentinels);
    }
}

static inline void on_news(void *context, const char *text)
{
    struct stage *s = context;
    s->news++;
    snprintf(s->text, sizeof(s->text), "%s", text);
}

/* `more` is added to the backend's options. */
static inline struct stage *stage_new(const char *more)
{
    static const struct sentinels_events events = {.on_change = on_change, .on_news = on_news};
    char text[1024];
    struct stage *s = calloc(1, sizeof(*s));
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(loop_init(&s->loop, NULL), 0);
    for (size_t i = 0; i < FAKES; i++) {
        fake_open(&s->fakes[i]);
    }
    snprintf(text, sizeof(text),
             FILE_WITH("", "server = two 127.0.0.1:7002\nsentinel = 127.0.0.1:%d\n"
                           "sentinel = 127.0.0.1:%d\nsentinel = 127.0.0.1:%d\n"
                           "sentinel_master = mymaster\nprobe_fast_interval = 5ms\n%s%s"),
             s->fakes[0].port, s->fakes[1].port, s->fakes[2].port,
             strstr(more, "probe_interval") == NULL ? "probe_interval = 20ms\n" : "", more);
    s->config = load(text);
    s->login = (struct probe_setup){.master = "mymaster"};
    const struct sentinels_setup setup = {
        .loop = &s->loop,
        .config = &s->config->backends[0],
        .login = &s->login,
        .ring = &s->ring,
        .events = &events,
        .context = s,
        .stamp = &s->stamp,
    };
    s->sentinels = sentinels_new(&setup);
    assert_non_null(s->sentinels);
    return s;
}

static inline void stage_free(struct stage *s)
{
    sentinels_stop(s->sentinels);
    sentinels_stop(s->sentinels);
    sentinels_free(s->sentinels);
    loop_stop(&s->loop);
    loop_run(&s->loop);
    assert_int_equal(loop_release(&s->loop), 0);
    for (size_t i = 0; i < FAKES; i++) {
        fake_close(&s->fakes[i]);
    }
    config_free(s->config);
    free(s);
}

static inline void stage_turn(struct stage *s)
{
    uv_run(&s->loop.uv, UV_RUN_NOWAIT);
    for (size_t i = 0; i < FAKES; i++) {
        fake_turn(&s->fakes[i]);
    }
}

/* Turns everything until `condition` holds; it may use `s`. */
#define TURN_UNTIL(condition)                                                                      \
    for (uint64_t give_up = uv_hrtime() + PATIENCE; !(condition); stage_turn(s)) {                 \
        assert_true(uv_hrtime() < give_up);                                                        \
    }

static inline unsigned heard(struct stage *s)
{
    unsigned words[2];
    unsigned count;
    sentinels_words(s->sentinels, words, &count);
    return count;
}

static inline unsigned words_for(struct stage *s, size_t server)
{
    unsigned words[2];
    unsigned count;
    sentinels_words(s->sentinels, words, &count);
    return words[server];
}

static inline unsigned promoting(struct stage *s, size_t server)
{
    return sentinels_promoting(s->sentinels)[server];
}

static inline struct sentinel_view view(struct stage *s, size_t i)
{
    struct sentinel_view v;
    sentinels_view(s->sentinels, i, &v);
    return v;
}

static inline unsigned listeners(struct stage *s)
{
    unsigned count = 0;
    for (size_t i = 0; i < FAKES; i++) {
        count += view(s, i).subscribed;
    }
    return count;
}

#endif
