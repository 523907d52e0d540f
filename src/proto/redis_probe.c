/* AUTH and three INFOs go out in one write, the section with the offset last so that it is the
 * freshest. (INFO with several sections needs Redis 7.) */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "model/observation.h"
#include "proto/redis.h"
#include "proto/redis_info.h"
#include "proto/resp.h"

#define PROBE_BYTES_MAX (256 * 1024) /* of one probe's answers */

/* The answers in the order in which they come. */
enum expect { EXPECT_AUTH, EXPECT_SERVER, EXPECT_PERSISTENCE, EXPECT_REPLICATION, EXPECT_NOTHING };

enum got { GOT_NOTHING, GOT_TEXT, GOT_STATUS, GOT_ERROR };

struct dialogue {
    struct resp_reader reader;
    char *out; /* owned; holds the password */
    size_t out_size;
    const char *password; /* inside `out`; NULL = none */
    char *bye;            /* owned */
    enum expect expect;
    size_t fed;
    enum got got; /* set by on_string() */
    struct resp_error error;
    struct redis_info info;
};

static const char *alias(const struct probe_setup *setup, const char *command)
{
    return setup->command != NULL ? setup->command(setup->renames, command) : command;
}

static const char *alias_or_name(const struct probe_setup *setup, const char *command)
{
    const char *name = alias(setup, command);
    return name[0] != '\0' ? name : command;
}

/* hiredis gives us the text where it lies in its buffer. The return value only has to be no NULL:
 * it means "out of memory". */
static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    struct dialogue *d = task->privdata;
    if (task->type == REDIS_REPLY_ERROR) {
        d->got = GOT_ERROR;
        resp_error_keep(&d->error, text, len, d->password);
    } else if (task->type == REDIS_REPLY_STATUS) {
        d->got = GOT_STATUS;
    } else if (d->expect != EXPECT_AUTH) {
        static const enum redis_info_section sections[] = {
            [EXPECT_SERVER] = INFO_SERVER,
            [EXPECT_PERSISTENCE] = INFO_PERSISTENCE,
            [EXPECT_REPLICATION] = INFO_REPLICATION,
        };
        d->got = GOT_TEXT;
        redis_info_read(&d->info, sections[d->expect], text, len);
    }
    return d;
}

static redisReplyObjectFunctions on_reply = {.createString = on_string};

static size_t collect(struct resp_command commands[4], const struct probe_setup *setup,
                      bool greeting)
{
    size_t count = 0;
    if (greeting && resp_auth(&commands[0], alias_or_name(setup, "AUTH"), setup)) {
        count++;
    }
    static const char *const sections[] = {"server", "persistence", "replication"};
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        commands[count] =
            (struct resp_command){.words = {alias_or_name(setup, "INFO"), sections[i]}, .count = 2};
        count++;
    }
    return count;
}

static enum probe_step redis_start(void *state, const struct probe_setup *setup, bool greeting,
                                   const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    struct resp_command commands[4];
    size_t count = collect(commands, setup, greeting);
    const char *password = setup->password != NULL ? setup->password : "";
    size_t size = strlen(password) + 1;
    for (size_t i = 0; i < count; i++) {
        size += resp_bound(&commands[i]);
    }
    *out = NULL;
    *out_len = 0;
    resp_forget(&d->out, d->out_size);
    if (greeting) {
        resp_close(&d->reader); /* of the connection before */
    }
    *d = (struct dialogue){.reader = d->reader, .out_size = size, .bye = d->bye};
    d->expect = count == ARRAY_LEN(commands) ? EXPECT_AUTH : EXPECT_SERVER;
    if (d->reader.hiredis == NULL && resp_open(&d->reader, &on_reply, d) != 0) {
        return PROBE_STEP_FAIL;
    }
    d->out = malloc(size);
    if (d->out == NULL) {
        return PROBE_STEP_FAIL;
    }
    for (size_t i = 0; i < count; i++) {
        *out_len += resp_write(&commands[i], d->out + *out_len, size - *out_len);
    }
    if (password[0] != '\0') {
        d->password = memcpy(d->out + *out_len + 1, password, strlen(password) + 1);
    }
    *out = d->out;
    return PROBE_STEP_READ;
}

/* Replaces what the observation says but keeps what is the caller's. */
static void report(struct observation *o, struct observation fresh)
{
    fresh.asked = o->asked;
    fresh.answered = o->answered;
    fresh.at_ms = o->at_ms;
    fresh.latency_us = o->latency_us;
    fresh.failures = o->failures;
    fresh.successes = o->successes;
    *o = fresh;
}

PRINTF_LIKE(3, 4)
static enum probe_step fail(struct observation *o, enum reach reach, const char *fmt, ...)
{
    report(o, (struct observation){.reach = reach});
    va_list args;
    va_start(args, fmt);
    vsnprintf(o->why, sizeof(o->why), fmt, args);
    va_end(args);
    return PROBE_STEP_FAIL;
}

static const struct {
    const char *start;
    enum reach reach;
    const char *why;
} error_words[] = {
    {"LOADING", REACH_SILENT, "is loading its data set and does not say what it is"},
    {"BUSY", REACH_SILENT, "is busy running a script and does not say what it is"},
    {"NOAUTH", REACH_DENIED, "asks for a password: probe_password"},
    {"WRONGPASS", REACH_DENIED, "does not accept the probe's user and password"},
    {"ERR invalid password", REACH_DENIED, "does not accept the probe's password"},
    {"ERR Client sent AUTH, but no password", REACH_DENIED, "has no password, but the probe does"},
    {"ERR AUTH <password> called without", REACH_DENIED, "has no password, but the probe does"},
    {"ERR wrong number of arguments for 'auth'", REACH_DENIED,
     "knows no users (Redis 6 does): leave probe_user out"},
    {"ERR max number of clients", REACH_DENIED, "has reached its maxclients"},
    {"DENIED", REACH_DENIED, "is in protected mode: it has no password and refuses other hosts"},
    {"NOPERM", REACH_DENIED, "does not let the probe's user run INFO (ACL: +info)"},
};

/* AUTH's errors are never quoted, because Redis repeats the arguments of an unknown command; nor is
 * any other one that tells the password. */
static enum probe_step denied(struct dialogue *d, struct observation *o)
{
    bool auth = d->expect == EXPECT_AUTH;
    const char *name = auth ? "AUTH" : "INFO";
    for (size_t i = 0; i < ARRAY_LEN(error_words); i++) {
        if (resp_error_is(&d->error, error_words[i].start)) {
            return fail(o, error_words[i].reach, "%s", error_words[i].why);
        }
    }
    if (resp_error_is(&d->error, "ERR unknown command")) {
        return fail(o, REACH_DENIED, "%s is unknown there: probe_command = %s=ITS_NAME_THERE", name,
                    name);
    }
    if (auth || d->error.tells) {
        return fail(o, REACH_DENIED, "answers %s with an error", name);
    }
    for (char *p = d->error.text; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }
    return fail(o, REACH_DENIED, "answers INFO with: %.80s", d->error.text);
}

/* One whole reply was read. */
static enum probe_step take(struct dialogue *d, struct observation *o)
{
    if (d->got == GOT_ERROR) {
        return denied(d, o);
    }
    if (d->got != (d->expect == EXPECT_AUTH ? GOT_STATUS : GOT_TEXT)) {
        return fail(o, REACH_DENIED, "does not answer %s as Redis does",
                    d->expect == EXPECT_AUTH ? "AUTH" : "INFO");
    }
    d->expect++;
    return PROBE_STEP_READ;
}

/* The next reply of those that are in the reader's buffer. *more: there was one. */
static enum probe_step next(struct dialogue *d, struct observation *o, bool *more)
{
    d->got = GOT_NOTHING;
    enum resp_read read = resp_next(&d->reader, RESP_TEXT);
    *more = read == RESP_REPLY;
    if (read == RESP_BROKEN) {
        return fail(o, REACH_DENIED, "does not speak Redis");
    }
    return *more ? take(d, o) : PROBE_STEP_READ;
}

static enum probe_step finish(struct dialogue *d, struct observation *o)
{
    if (resp_waiting(&d->reader) > 0) {
        return fail(o, REACH_DENIED, "says more than it was asked");
    }
    struct observation fresh = {0};
    const char *wrong = redis_info_observe(&d->info, &fresh);
    if (wrong != NULL) {
        return fail(o, REACH_DENIED, "%s", wrong);
    }
    report(o, fresh);
    return PROBE_STEP_DONE;
}

static enum probe_step redis_feed(void *state, const char *data, size_t len,
                                  struct observation *result, const char **out, size_t *out_len)
{
    struct dialogue *d = state;
    *out = NULL;
    *out_len = 0;
    if (d->expect == EXPECT_NOTHING) {
        return fail(result, REACH_DENIED, "says more than it was asked");
    }
    d->fed += len;
    if (d->fed > PROBE_BYTES_MAX) {
        return fail(result, REACH_DENIED, "answers INFO with more than %d KB",
                    PROBE_BYTES_MAX / 1024);
    }
    if (resp_feed(&d->reader, data, len) != 0) {
        return fail(result, REACH_DENIED, "cannot be asked: the router is out of memory");
    }
    enum probe_step step = PROBE_STEP_READ;
    bool more = true;
    while (more && step == PROBE_STEP_READ && d->expect != EXPECT_NOTHING) {
        step = next(d, result, &more);
    }
    return step == PROBE_STEP_READ && d->expect == EXPECT_NOTHING ? finish(d, result) : step;
}

static void redis_goodbye(void *state, const struct probe_setup *setup, const char **out,
                          size_t *out_len)
{
    struct dialogue *d = state;
    struct resp_command quit = {.words = {alias(setup, "QUIT")}, .count = 1};
    *out = NULL;
    *out_len = 0;
    free(d->bye);
    d->bye = quit.words[0][0] != '\0' ? malloc(resp_bound(&quit)) : NULL;
    if (d->bye != NULL) {
        *out_len = resp_write(&quit, d->bye, resp_bound(&quit));
        *out = d->bye;
    }
}

static void redis_release(void *state)
{
    struct dialogue *d = state;
    resp_close(&d->reader);
    resp_forget(&d->out, d->out_size);
    free(d->bye);
    *d = (struct dialogue){0};
}

const struct probe_dialogue redis_probe = {
    .state_size = sizeof(struct dialogue),
    .start = redis_start,
    .feed = redis_feed,
    .goodbye = redis_goodbye,
    .release = redis_release,
};
