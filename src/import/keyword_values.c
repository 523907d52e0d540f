/* Arguments of which the shape is not all: HAProxy's own rules for some keywords. Where versions
 * differ, what any of them takes is taken. */
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "import/keyword_internal.h"

/* Words among others --------------------------------------------------------------------------- */

static bool is_among(const struct word *w, const char *const *words)
{
    while (*words != NULL && !word_is(w, *words)) {
        words++;
    }
    return *words != NULL;
}

static void tell_stranger(struct source *s, const struct line *l, const struct word *w,
                          const char *what, const char *const *words)
{
    char shown[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    struct nearest near = {.word = word_shown(w, shown)};
    for (; *words != NULL; words++) {
        nearest_try(&near, *words);
    }
    source_error(s, l->place, "unknown %s \"%s\"%s", what, shown, nearest_words(&near, suggestion));
}

/* Logs ----------------------------------------------------------------------------------------- */

static const char *const facilities[] = {
    "kern",   "user",   "mail",   "daemon", "auth",   "syslog", "lpr",   "news",   "uucp",
    "cron",   "auth2",  "ftp",    "ntp",    "audit",  "alert",  "cron2", "local0", "local1",
    "local2", "local3", "local4", "local5", "local6", "local7", NULL};
static const char *const levels[] = {"emerg",  "alert", "crit",  "err", "warning",
                                     "notice", "info",  "debug", NULL};

/* log TARGET [len N] [format F] [sample S] [profile P] FACILITY [LEVEL [LEVEL]] */
static void check_log(struct source *s, struct line *l)
{
    static const char *const extras[] = {"len", "format", "sample", "profile", NULL};
    size_t at = 1;
    if (line_says(l, 0, "global")) {
        return;
    }
    while (line_argument(l, at) != NULL && is_among(line_argument(l, at), extras)) {
        at += 2;
    }
    const struct word *facility = line_argument(l, at);
    if (facility == NULL) {
        source_error(s, l->place, "a facility is missing behind \"log\" (as local0)");
        return;
    }
    if (!is_among(facility, facilities)) {
        tell_stranger(s, l, facility, "facility", facilities);
        return;
    }
    for (size_t i = 1; i <= 2 && line_argument(l, at + i) != NULL; i++) {
        if (!is_among(line_argument(l, at + i), levels)) {
            tell_stranger(s, l, line_argument(l, at + i), "level", levels);
            return;
        }
    }
}

/* Balancing ------------------------------------------------------------------------------------ */

/* "random", "random(2)", "hdr(X)": the name before the bracket. */
static struct word without_bracket(struct source *s, const struct word *w)
{
    return word_slice(s, w, 0, strcspn(w->text, "("));
}

static void check_balance(struct source *s, struct line *l)
{
    static const char *const names[] = {"roundrobin", "static-rr",  "leastconn", "first",
                                        "source",     "uri",        "url_param", "hdr",
                                        "random",     "rdp-cookie", "hash",      "log-hash",
                                        "log-sticky", "sticky",     "none",      NULL};
    const struct word *w = line_argument(l, 0);
    if (w == NULL) {
        return;
    }
    struct word name = without_bracket(s, w);
    if (!is_among(&name, names)) {
        tell_stranger(s, l, &name, "balance", names);
    } else if ((word_is(&name, "hdr") && strchr(w->text, ')') == NULL) ||
               ((word_is(w, "url_param") || word_is(w, "hash") || word_is(w, "log-hash")) &&
                line_argument(l, 1) == NULL)) {
        source_error(s, l->place, "a name is missing behind \"balance %s\"", name.text);
    } else if (word_is(&name, "random") && name.len < w->len &&
               strtol(w->text + name.len + 1, NULL, 10) < 1) {
        source_error(s, l->place, "\"balance random\" wants a number above 0");
    }
}

static void check_hash_type(struct source *s, struct line *l)
{
    static const char *const types[] = {"consistent", "map-based", NULL};
    static const char *const functions[] = {"sdbm", "djb2", "wt6", "crc32", "none", NULL};
    const struct word *function = line_argument(l, 1);
    if (!is_among(line_argument(l, 0), types)) {
        tell_stranger(s, l, line_argument(l, 0), "hash-type", types);
    } else if (function != NULL && !word_is(function, "avalanche") &&
               !is_among(function, functions)) {
        tell_stranger(s, l, function, "hash function", functions);
    }
}

/* Checks --------------------------------------------------------------------------------------- */

/* "200", "200-299,301" */
static void check_statuses(struct source *s, const struct line *l, const struct word *w)
{
    char shown[SHOWN_MAX];
    if (w->reference_count == 0 && strspn(w->text, "0123456789,-") != w->len) {
        source_error(s, l->place, "\"%s\" wants status codes, not \"%s\"", l->keyword->name,
                     word_shown(w, shown));
    }
}

/* tcp-check expect, http-check expect: words with one behind them, "!", and what is expected. */
static void check_expect(struct source *s, struct line *l)
{
    static const char *const extras[] = {"comment",     "min-recv",    "on-success",
                                         "on-error",    "ok-status",   "error-status",
                                         "tout-status", "status-code", NULL};
    static const char *const tcp[] = {"string",  "rstring",   "string-lf", "binary",
                                      "rbinary", "binary-lf", NULL};
    static const char *const http[] = {"status", "rstatus",   "string", "rstring",
                                       "hdr",    "string-lf", "fhdr",   NULL};
    bool is_tcp = strcmp(l->keyword->name, "tcp-check expect") == 0;
    const char *const *patterns = is_tcp ? tcp : http;
    size_t at = 0;
    const struct word *w = line_argument(l, at);
    while (w != NULL && (is_among(w, extras) || strspn(w->text, "!") == w->len)) {
        at += is_among(w, extras) ? 2 : 1;
        w = line_argument(l, at);
    }
    /* "!string" too. */
    size_t marks = w != NULL ? strspn(w->text, "!") : 0;
    struct word kind = w != NULL ? word_slice(s, w, marks, w->len - marks) : (struct word){0};
    if (w == NULL) {
        source_error(s, l->place, "\"%s\" does not say what is expected", l->keyword->name);
    } else if (!is_among(&kind, patterns)) {
        tell_stranger(s, l, w, "kind of answer", patterns);
    } else if (line_argument(l, at + 1) == NULL) {
        source_error(s, l->place, "\"%s %s\" does not say what is expected", l->keyword->name,
                     w->text);
    } else if (word_is(w, "status")) {
        check_statuses(s, l, line_argument(l, at + 1));
    }
}

static void check_binary(struct source *s, struct line *l)
{
    const struct word *w = line_argument(l, 0);
    if (w->len % 2 != 0 || strspn(w->text, "0123456789abcdefABCDEF") != w->len) {
        source_error(s, l->place, "\"tcp-check send-binary\" wants pairs of hexadecimal digits");
    }
}

static void check_tcp_connect(struct source *s, struct line *l)
{
    static const char *const flags[] = {
        "default", "ssl", "send-proxy", "via-socks4", "linger", "check-send-proxy", NULL};
    static const char *const values[] = {"port", "addr", "sni", "alpn", "proto", "comment", NULL};
    for (size_t at = 0; line_argument(l, at) != NULL; at++) {
        const struct word *w = line_argument(l, at);
        bool value = is_among(w, values);
        if (!value && !is_among(w, flags)) {
            tell_stranger(s, l, w, "word of a check's connect", values);
            return;
        }
        at += value;
        if (line_argument(l, at) == NULL) {
            source_error(s, l->place, "something is missing behind \"%s\"", w->text);
        }
    }
}

static void check_login(struct source *s, struct line *l)
{
    static const char *const versions[] = {"post-41", "pre-41", "post-80", NULL};
    bool mysql = strcmp(l->keyword->name, "option mysql-check") == 0;
    const struct word *user = line_argument(l, 0);
    if (user == NULL && mysql) {
        return;
    }
    if (user == NULL || !word_is(user, "user") || line_argument(l, 1) == NULL) {
        source_error(s, l->place, "\"%s\" wants \"user\" and a name", l->keyword->name);
    } else if (mysql && line_argument(l, 2) != NULL && !is_among(line_argument(l, 2), versions)) {
        tell_stranger(s, l, line_argument(l, 2), "word of \"option mysql-check\"", versions);
    }
}

/* Tables --------------------------------------------------------------------------------------- */

static void check_stick_table(struct source *s, struct line *l)
{
    static const char *const types[] = {"ip", "ipv6", "integer", "string", "binary", NULL};
    bool sized = false;
    for (size_t at = 0; line_argument(l, at) != NULL; at++) {
        if (line_says(l, at, "type") && line_argument(l, at + 1) != NULL &&
            !is_among(line_argument(l, at + 1), types)) {
            tell_stranger(s, l, line_argument(l, at + 1), "type of a table", types);
            return;
        }
        sized = sized || line_says(l, at, "size");
    }
    if (!sized) {
        source_error(s, l->place, "a size is missing behind \"stick-table\"");
    }
}

static void check_stick(struct source *s, struct line *l)
{
    fetch_check(s, l, line_argument(l, 0));
}

/* Others --------------------------------------------------------------------------------------- */

static void check_capture(struct source *s, struct line *l)
{
    if (!line_says(l, 0, "header")) {
        source_error(s, l->place, "\"%s\" wants \"header\"", l->keyword->name);
    }
}

static void check_retry_on(struct source *s, struct line *l)
{
    static const char *const events[] = {"none",
                                         "conn-failure",
                                         "empty-response",
                                         "junk-response",
                                         "response-timeout",
                                         "0rtt-rejected",
                                         "all-retryable-errors",
                                         "receiver-error",
                                         NULL};
    const struct word *w;
    for (size_t at = 0; (w = line_argument(l, at)) != NULL; at++) {
        bool status = w->len == 3 && strspn(w->text, "0123456789") == 3;
        if (!status && !is_among(w, events)) {
            tell_stranger(s, l, w, "word of \"retry-on\"", events);
            return;
        }
    }
}

/* Only some conditions may be left out. */
static void check_conditional(struct source *s, struct line *l)
{
    if (line_argument(l, 0) == NULL) {
        source_error(s, l->place, "\"%s\" wants \"if\" or \"unless\" and a condition",
                     l->keyword->name);
    }
}

static void check_hold(struct source *s, struct line *l)
{
    static const char *const events[] = {"nx",    "refused",  "timeout", "valid",
                                         "other", "obsolete", NULL};
    if (!is_among(line_argument(l, 0), events)) {
        tell_stranger(s, l, line_argument(l, 0), "event of \"hold\"", events);
    }
}

void keyword_check_values(struct source *s, struct line *l)
{
    static const struct {
        const char *keyword;
        void (*check)(struct source *s, struct line *l);
    } checks[] = {{"log", check_log},
                  {"balance", check_balance},
                  {"hash-type", check_hash_type},
                  {"tcp-check expect", check_expect},
                  {"http-check expect", check_expect},
                  {"tcp-check send-binary", check_binary},
                  {"tcp-check connect", check_tcp_connect},
                  {"option mysql-check", check_login},
                  {"option pgsql-check", check_login},
                  {"stick-table", check_stick_table},
                  {"capture request", check_capture},
                  {"capture response", check_capture},
                  {"hold", check_hold},
                  {"retry-on", check_retry_on},
                  {"force-persist", check_conditional},
                  {"ignore-persist", check_conditional},
                  {"stats admin", check_conditional},
                  {"stick on", check_stick},
                  {"stick match", check_stick},
                  {"stick store-request", check_stick},
                  {"stick store-response", check_stick},
                  {"bind", address_check},
                  {"stats socket", address_check},
                  {"server", address_check},
                  {"server-template", address_check},
                  {"dispatch", address_check},
                  {"acl", rule_check},
                  {"tcp-request connection", rule_check},
                  {"tcp-request session", rule_check},
                  {"tcp-request content", rule_check},
                  {"tcp-response content", rule_check},
                  {"http-request", rule_check},
                  {"http-response", rule_check},
                  {"http-after-response", rule_check}};
    const unsigned places = IN_GLOBAL | IN_PROXIES | IN_RESOLVERS;
    if ((keyword_place(l->section) & places) == 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        if (strcmp(checks[i].keyword, l->keyword->name) == 0) {
            checks[i].check(s, l);
            return;
        }
    }
}
