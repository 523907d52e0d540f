/* AUTH, the question, and SENTINEL MASTER go out in one write. The question is not left to the
 * last, which has an address too: while a failover goes on, GET-MASTER-ADDR-BY-NAME names the new
 * primary as soon as it was promoted, SENTINEL MASTER the old one until all replicas have moved.
 * What the last one is for is only how many Sentinels there are; an account may be without it. */
#include "proto/sentinel_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "proto/probe_end.h"
#include "proto/resp.h"

#define PROBE_BYTES_MAX (64 * 1024) /* of one probe's answers; SENTINEL MASTER's are 1 KB */
#define HOST_MAX        100
#define NUMBER_DIGITS   6

/* The answers in the order in which they come. */
enum expect { EXPECT_AUTH, EXPECT_ADDRESS, EXPECT_MASTER, EXPECT_NOTHING };

enum got {
    GOT_NOTHING,
    GOT_STATUS,
    GOT_ERROR,
    GOT_NONE, /* no array */
    GOT_LIST, /* an array of strings */
    GOT_ODD,  /* anything else */
};

struct dialogue {
    struct resp_reader reader;
    char *out; /* owned; holds the password */
    size_t out_size;
    const char *password; /* inside `out`; NULL = none */
    enum expect expect;
    size_t fed;
    enum got got;        /* of the reply that is coming in */
    int elements;        /* of that reply */
    bool is_others;      /* the next string is the value of num-other-sentinels */
    char host[HOST_MAX]; /* empty if it is none */
    unsigned port;       /* 0 if it is none */
    unsigned members;
    struct resp_error error;
    char master[64]; /* its name, cut, for words */
};

/* Reading ----------------------------------------------------------------------------------- */

static unsigned read_number(const char *text, size_t len, unsigned max)
{
    unsigned n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || i == NUMBER_DIGITS) {
            return 0;
        }
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    return n <= max ? n : 0;
}

static void read_host(struct dialogue *d, const char *text, size_t len)
{
    d->host[0] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return;
        }
    }
    if (len < sizeof(d->host)) {
        memcpy(d->host, text, len);
        d->host[len] = '\0';
    }
}

static void read_element(struct dialogue *d, int index, const char *text, size_t len)
{
    static const char others[] = "num-other-sentinels";
    if (d->expect == EXPECT_ADDRESS && index == 0) {
        read_host(d, text, len);
    } else if (d->expect == EXPECT_ADDRESS && index == 1) {
        d->port = read_number(text, len, UINT16_MAX);
    } else if (d->expect == EXPECT_MASTER && index % 2 == 0) {
        d->is_others = len == strlen(others) && memcmp(text, others, len) == 0;
    } else if (d->expect == EXPECT_MASTER && d->is_others && len > 0) {
        d->members = 1 + read_number(text, len, 9999);
    }
}

/* hiredis gives us the text where it lies in its buffer. What these callbacks return only has to be
 * no NULL: that means "out of memory". */
static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    struct dialogue *d = task->privdata;
    const redisReadTask *list = task->parent;
    if (list == NULL && task->type == REDIS_REPLY_ERROR) {
        d->got = GOT_ERROR;
        resp_error_keep(&d->error, text, len, d->password);
    } else if (list == NULL && task->type == REDIS_REPLY_STATUS) {
        d->got = GOT_STATUS;
    } else if (list == NULL || list->parent != NULL || task->type != REDIS_REPLY_STRING) {
        d->got = GOT_ODD;
    } else if (d->got != GOT_ODD) {
        d->got = GOT_LIST;
        d->elements = (int)list->elements;
        read_element(d, task->idx, text, len);
    }
    return d;
}

static void *on_integer(const redisReadTask *task, long long value)
{
    (void)value;
    struct dialogue *d = task->privdata;
    d->got = GOT_ODD;
    return d;
}

static void *on_none(const redisReadTask *task)
{
    struct dialogue *d = task->privdata;
    d->got = task->parent == NULL ? GOT_NONE : GOT_ODD;
    return d;
}

static redisReplyObjectFunctions on_reply = {
    .createString = on_string,
    .createInteger = on_integer,
    .createNil = on_none,
};

/* The questions ----------------------------------------------------------------------------- */

static enum probe_step sentinel_start(void *state, const struct probe_setup *setup, bool greeting,
                                      const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    struct resp_command auth;
    const struct resp_command address = {
        .words = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", setup->master}, .count = 3};
    const struct resp_command master = {.words = {"SENTINEL", "MASTER", setup->master}, .count = 3};
    bool login = greeting && resp_auth(&auth, "AUTH", setup);
    const char *password = setup->password != NULL ? setup->password : "";
    size_t size = resp_bound(&address) + resp_bound(&master) + strlen(password) + 1;
    size += login ? resp_bound(&auth) : 0;
    *out = NULL;
    *out_len = 0;
    resp_forget(&d->out, d->out_size);
    if (greeting) {
        resp_close(&d->reader); /* of the connection before */
    }
    *d = (struct dialogue){.reader = d->reader, .out_size = size};
    d->expect = login ? EXPECT_AUTH : EXPECT_ADDRESS;
    snprintf(d->master, sizeof(d->master), "%s", setup->master);
    if (d->reader.hiredis == NULL && resp_open(&d->reader, &on_reply, d) != 0) {
        return PROBE_STEP_FAIL;
    }
    d->out = malloc(size);
    if (d->out == NULL) {
        return PROBE_STEP_FAIL;
    }
    size_t len = login ? resp_write(&auth, d->out, size) : 0;
    len += resp_write(&address, d->out + len, size - len);
    len += resp_write(&master, d->out + len, size - len);
    if (password[0] != '\0') {
        d->password = memcpy(d->out + len + 1, password, strlen(password) + 1);
    }
    *out = d->out;
    *out_len = len;
    return PROBE_STEP_READ;
}

/* The answers ------------------------------------------------------------------------------- */

static const struct {
    const char *start;
    const char *why;
} error_words[] = {
    {"NOAUTH", "asks for a password: sentinel_password"},
    {"WRONGPASS", "does not accept sentinel_user and sentinel_password"},
    {"ERR invalid password", "does not accept sentinel_password"},
    {"ERR Client sent AUTH, but no password", "has no password, but sentinel_password is set"},
    {"ERR AUTH <password> called without", "has no password, but sentinel_password is set"},
    {"ERR wrong number of arguments for 'auth'",
     "knows no users (Redis 6 does): leave sentinel_user out"},
    {"ERR max number of clients", "has reached its maxclients"},
    {"DENIED", "is in protected mode: it has no password and refuses other hosts"},
    {"LOADING", "is loading a data set, so it is no Sentinel"},
    {"IDONTKNOW", "does not know yet who the primary is"},
    {"ERR unknown command 'SENTINEL'", "is no Sentinel but a Redis server"},
    {"ERR unknown command `SENTINEL`", "is no Sentinel but a Redis server"},
};

const char *sentinel_error_words(const struct resp_error *e, bool auth, const char *command,
                                 const char *acl, char out[SENTINEL_WORDS_MAX])
{
    char quote[PROBE_QUOTE_MAX];
    for (size_t i = 0; i < ARRAY_LEN(error_words); i++) {
        if (resp_error_is(e, error_words[i].start)) {
            snprintf(out, SENTINEL_WORDS_MAX, "%s", error_words[i].why);
            return out;
        }
    }
    if (auth || e->tells) {
        snprintf(out, SENTINEL_WORDS_MAX, "answers %s with an error", auth ? "AUTH" : command);
    } else if (resp_error_is(e, "NOPERM")) {
        snprintf(out, SENTINEL_WORDS_MAX, "does not let this account run %s (ACL: %s)", command,
                 acl);
    } else {
        snprintf(out, SENTINEL_WORDS_MAX, "answers %s with: %.80s", command,
                 probe_quote(quote, e->text, NULL));
    }
    return out;
}

static enum probe_step denied(struct dialogue *d, struct observation *o)
{
    char words[SENTINEL_WORDS_MAX];
    enum reach reach = resp_error_is(&d->error, "IDONTKNOW") ? REACH_SILENT : REACH_DENIED;
    sentinel_error_words(&d->error, d->expect == EXPECT_AUTH, "SENTINEL GET-MASTER-ADDR-BY-NAME",
                         "+sentinel|get-master-addr-by-name", words);
    return probe_fail(o, reach, "%s", words);
}

static bool names_a_primary(const struct dialogue *d)
{
    return d->got == GOT_LIST && d->elements == 2 && d->host[0] != '\0' && d->port > 0;
}

/* One whole reply was read. */
static enum probe_step take(struct dialogue *d, struct observation *o)
{
    bool good = true;
    if (d->expect == EXPECT_AUTH) {
        good = d->got == GOT_STATUS;
    } else if (d->expect == EXPECT_ADDRESS) {
        good = d->got == GOT_NONE || names_a_primary(d);
    }
    if (d->got == GOT_ERROR && !good) {
        return denied(d, o);
    }
    if (!good) {
        return probe_fail(o, REACH_DENIED, "does not answer as a Sentinel does");
    }
    d->expect++;
    d->got = GOT_NOTHING;
    return PROBE_STEP_READ;
}

static enum probe_step finish(struct dialogue *d, struct observation *o)
{
    if (resp_waiting(&d->reader) > 0) {
        return probe_fail(o, REACH_DENIED, "says more than it was asked");
    }
    struct observation fresh = {.reach = REACH_ANSWERED, .members = d->members};
    if (d->port == 0) {
        snprintf(fresh.why, sizeof(fresh.why), "knows no primary called \"%s\"", d->master);
    } else if (strchr(d->host, ':') != NULL) {
        snprintf(fresh.follows, sizeof(fresh.follows), "[%s]:%u", d->host, d->port);
    } else {
        snprintf(fresh.follows, sizeof(fresh.follows), "%s:%u", d->host, d->port);
    }
    probe_report(o, &fresh);
    return PROBE_STEP_DONE;
}

static enum probe_step sentinel_feed(void *state, const char *data, size_t len,
                                     struct observation *result, const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    *out = NULL;
    *out_len = 0;
    if (d->expect == EXPECT_NOTHING) {
        return probe_fail(result, REACH_DENIED, "says more than it was asked");
    }
    d->fed += len;
    if (d->fed > PROBE_BYTES_MAX) {
        return probe_fail(result, REACH_DENIED, "answers with more than %d KB",
                          PROBE_BYTES_MAX / 1024);
    }
    if (resp_feed(&d->reader, data, len) != 0) {
        return probe_fail(result, REACH_DENIED, "cannot be asked: the router is out of memory");
    }
    enum probe_step step = PROBE_STEP_READ;
    enum resp_read read = RESP_REPLY;
    while (read == RESP_REPLY && step == PROBE_STEP_READ && d->expect != EXPECT_NOTHING) {
        read = resp_next(&d->reader, RESP_LIST);
        if (read == RESP_BROKEN) {
            step = probe_fail(result, REACH_DENIED, "does not speak Redis");
        } else if (read == RESP_REPLY) {
            step = take(d, result);
        }
    }
    return step == PROBE_STEP_READ && d->expect == EXPECT_NOTHING ? finish(d, result) : step;
}

static void sentinel_goodbye(void *state, const struct probe_setup *setup, const char **out,
                             size_t *out_len)
{
    static const char quit[] = "*1\r\n$4\r\nQUIT\r\n";
    (void)state;
    (void)setup;
    *out = quit;
    *out_len = strlen(quit);
}

static void sentinel_release(void *state)
{
    struct dialogue *d = state;
    resp_close(&d->reader);
    resp_forget(&d->out, d->out_size);
    *d = (struct dialogue){0};
}

const struct probe_dialogue sentinel_probe = {
    .state_size = sizeof(struct dialogue),
    .start = sentinel_start,
    .feed = sentinel_feed,
    .goodbye = sentinel_goodbye,
    .release = sentinel_release,
};
