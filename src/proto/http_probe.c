/* One request and its response for http_probe, up to two for patroni_probe, on one connection as
 * long as the server keeps it. Patroni itself (3.0 to 4.0 at least) answers in HTTP/1.0 and ends
 * the connection with each answer. */
#include "proto/http_probe.h"

#include <stdio.h>
#include <string.h>

#include "proto/http_response.h"
#include "proto/probe_end.h"

#define REQUEST_MAX 4096
#define HOST_MAX    264
#define TARGET_MAX  64 /* what is shown of one */

enum expect {
    EXPECT_CHECK,
    EXPECT_PRIMARY,
    EXPECT_REPLICA,
    EXPECT_NOTHING,
};

struct dialogue {
    enum expect expect;
    struct http_expect good; /* http_probe */
    char shown[TARGET_MAX];  /* of the request, for people */
    uint64_t lag_bytes;      /* patroni_probe */
    enum word authority;
    char host[HOST_MAX];
    char request[REQUEST_MAX];
    struct http_response response;
};

static const char nonsense[] = "does not speak HTTP/1.1";
static const char too_much[] = "says more than it was asked";

static bool write_request(struct dialogue *d, const char *method, const char *target)
{
    /* What is behind the question mark may be a secret. */
    snprintf(d->shown, sizeof(d->shown), "%.10s %.*s", method, (int)strcspn(target, "?"), target);
    d->response = (struct http_response){.head_only = strcmp(method, "HEAD") == 0};
    const char *length =
        strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0
            ? ""
            : "Content-Length: 0\r\n";
    int len = snprintf(d->request, sizeof(d->request),
                       "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: router\r\nAccept: */*\r\n%s\r\n",
                       method, target, d->host, length);
    return len < (int)sizeof(d->request);
}

static enum probe_step give_request(struct dialogue *d, enum probe_step step, const char **out,
                                    size_t *out_len)
{
    *out = d->request;
    *out_len = strlen(d->request);
    return step;
}

static enum probe_step begin(struct dialogue *d, const struct probe_setup *setup,
                             const char *method, const char *target, const char **out,
                             size_t *out_len)
{
    *out = NULL;
    *out_len = 0;
    const char *host = setup->host != NULL ? setup->host : "localhost";
    if (snprintf(d->host, sizeof(d->host), "%s", host) >= (int)sizeof(d->host) ||
        !write_request(d, method, target)) {
        return PROBE_STEP_FAIL;
    }
    return give_request(d, PROBE_STEP_READ, out, out_len);
}

static enum probe_step http_start(void *state, const struct probe_setup *setup, bool greeting,
                                  const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    (void)greeting;
    d->expect = EXPECT_CHECK;
    d->good = *setup->http_expect;
    return begin(d, setup, setup->http->method, setup->http->target, out, out_len);
}

static bool is_good(const struct http_expect *good, unsigned status)
{
    for (unsigned i = 0; i < good->count; i++) {
        if (status >= good->ranges[i].first && status <= good->ranges[i].last) {
            return true;
        }
    }
    return false;
}

static enum probe_step finish(struct dialogue *d, struct observation *o,
                              const struct observation *fresh)
{
    d->expect = EXPECT_NOTHING;
    probe_report(o, fresh);
    return d->response.keep ? PROBE_STEP_DONE : PROBE_STEP_LAST;
}

/* A response is over; takes what follows from it, which may be the next request. */
static enum probe_step take_check(struct dialogue *d, struct observation *o)
{
    struct observation fresh = {.reach = REACH_ANSWERED, .code = d->response.status};
    if (!is_good(&d->good, d->response.status)) {
        fresh.reach = REACH_REFUSED;
        snprintf(fresh.why, sizeof(fresh.why), "answers %s with %u", d->shown, d->response.status);
    }
    return finish(d, o, &fresh);
}

/* Reads a response up to its end. *over: it is there. */
static enum probe_step read_response(struct dialogue *d, const char *data, size_t len,
                                     struct observation *o, bool *over)
{
    *over = false;
    if (d->expect == EXPECT_NOTHING) {
        return probe_fail(o, REACH_DENIED, "%s", too_much);
    }
    enum http_read got = http_response_read(&d->response, &data, &len);
    if (got == HTTP_READ_BROKEN) {
        return probe_fail(o, REACH_DENIED, "%s", nonsense);
    }
    if (got == HTTP_READ_DONE && d->response.keep && len > 0) {
        return probe_fail(o, REACH_DENIED, "%s", too_much);
    }
    *over = got == HTTP_READ_DONE;
    return PROBE_STEP_READ;
}

static enum probe_step http_feed(void *state, const char *data, size_t len,
                                 struct observation *result, const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    bool over;
    *out = NULL;
    *out_len = 0;
    enum probe_step step = read_response(d, data, len, result, &over);
    return over ? take_check(d, result) : step;
}

static void http_goodbye(void *state, const struct probe_setup *setup, const char **out,
                         size_t *out_len)
{
    (void)state;
    (void)setup;
    *out = NULL; /* HTTP knows none */
    *out_len = 0;
}

static void http_release(void *state)
{
    (void)state;
}

const struct probe_dialogue http_probe = {
    .state_size = sizeof(struct dialogue),
    .start = http_start,
    .feed = http_feed,
    .goodbye = http_goodbye,
    .release = http_release,
};

/* Patroni ----------------------------------------------------------------------------------- */

static enum probe_step patroni_start(void *state, const struct probe_setup *setup, bool greeting,
                                     const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    (void)greeting;
    d->expect = EXPECT_PRIMARY;
    d->lag_bytes = setup->lag_bytes;
    return begin(d, setup, "GET", "/primary", out, out_len);
}

/* A replica that is no primary is asked about, and a primary is no replica. */
static enum probe_step take_word(struct dialogue *d, struct observation *o)
{
    unsigned status = d->response.status;
    if (status != 200 && status != 503) {
        return probe_fail(o, REACH_DENIED, "answers %s with %u: not as Patroni does", d->shown,
                          status);
    }
    enum word word = status == 200 ? WORD_YES : WORD_NO;
    struct observation fresh = {.reach = REACH_ANSWERED, .authority = WORD_NO, .readable = word};
    if (d->expect == EXPECT_PRIMARY) {
        if (word == WORD_NO) {
            char target[64] = "/replica";
            if (d->lag_bytes > 0) {
                snprintf(target, sizeof(target), "/replica?lag=%llu",
                         (unsigned long long)d->lag_bytes);
            }
            bool kept = d->response.keep;
            d->expect = EXPECT_REPLICA;
            write_request(d, "GET", target);
            return kept ? PROBE_STEP_READ : PROBE_STEP_ANEW;
        }
        fresh.authority = WORD_YES;
        fresh.readable = WORD_NO;
    }
    return finish(d, o, &fresh);
}

static enum probe_step patroni_feed(void *state, const char *data, size_t len,
                                    struct observation *result, const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    bool over = false;
    *out = NULL;
    *out_len = 0;
    if (len == 0) { /* a connection for the second request */
        return give_request(d, PROBE_STEP_READ, out, out_len);
    }
    enum probe_step step = read_response(d, data, len, result, &over);
    if (!over) {
        return step;
    }
    step = take_word(d, result);
    return step == PROBE_STEP_READ ? give_request(d, step, out, out_len) : step;
}

const struct probe_dialogue patroni_probe = {
    .state_size = sizeof(struct dialogue),
    .start = patroni_start,
    .feed = patroni_feed,
    .goodbye = http_goodbye,
    .release = http_release,
};
