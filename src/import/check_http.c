/* `option httpchk` and `http-check`. The rules are merged as HAProxy does it: the first `http-check
 * send` has the option's words where it says none itself; a request without an expectation takes
 * 2xx and 3xx; several expectations must all hold. */
#include "import/check_http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "import/builder.h"

#define EXPECT_RANGES 8 /* of http_expect */

static void say(struct step *step, enum verdict verdict, const char *words)
{
    if (verdict > step->verdict) {
        step->verdict = verdict;
        step->words = words;
    }
}

/* The request -----------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    enum verdict verdict;
    const char *words;
} headers[] = {
    {"host", VERDICT_DIFFERENCE, "Host: the probe names the server's address"},
    {"user-agent", VERDICT_DIFFERENCE, "User-Agent: the probe says router"},
    {"accept", VERDICT_NOT_NEEDED, "Accept: the probe takes anything"},
    {"connection", VERDICT_NOT_NEEDED, "Connection: the probe keeps its connection"},
    {"content-length", VERDICT_NOT_NEEDED, "Content-Length: the probe has no body"},
};

static enum verdict judge_header(const char *name, size_t len, const char **words)
{
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        if (strlen(headers[i].name) == len && strncasecmp(headers[i].name, name, len) == 0) {
            *words = headers[i].words;
            return headers[i].verdict;
        }
    }
    *words = "a header that the probe does not send: the check may fail without it";
    return VERDICT_LOST;
}

/* "HTTP/1.1\r\nHost: www": headers that stand behind the version. */
static void judge_version(struct understanding *u, struct line *option, struct word *version)
{
    const char *at = strchr(version->text, '\n');
    while (at != NULL) {
        at++;
        size_t len = strcspn(at, ": \r\n");
        const char *words;
        if (len > 0) {
            enum verdict verdict = judge_header(at, len, &words);
            version->secret = version->secret || verdict == VERDICT_LOST;
            line_mark(u->s, option, verdict, "%s", words);
        }
        at = strchr(at, '\n');
    }
}

/* A section with rules of its own does not send the request that it inherits. */
static bool sends_own(const struct understanding *u)
{
    bool sends = false;
    for (size_t i = 0; i < u->script.count; i++) {
        sends = sends || u->script.items[i].kind == STEP_SEND;
    }
    return sends && u->rules != u->option->section;
}

static void read_option(struct understanding *u, struct line *l, struct http_request *r)
{
    r->method = word_of(u->s, "OPTIONS");
    r->uri = word_of(u->s, "/");
    if (sends_own(u)) {
        return;
    }
    if (u->rules != l->section) {
        line_mark(u->s, l, VERDICT_DIFFERENCE,
                  "HAProxy sends no request: section %s has rules of its own, and none sends",
                  u->p->section->name);
    }
    if (l->count == 3) {
        r->uri = l->words[2];
    } else if (l->count > 3) {
        r->method = l->words[2];
        r->uri = l->words[3];
    }
    if (l->count > 4) {
        judge_version(u, l, &l->words[4]);
    }
    if (l->count > 5) {
        line_mark(u->s, l, VERDICT_DIFFERENCE, "%s", headers[0].words);
    }
}

static void read_header(struct step *step, struct word *name, struct word *value)
{
    const char *words;
    enum verdict verdict = judge_header(name->text, name->len, &words);
    value->secret = value->secret || verdict == VERDICT_LOST;
    say(step, verdict, words);
}

static void read_uri(struct understanding *u, struct step *step, size_t at, struct http_request *r)
{
    struct line *l = step->line;
    bool format = word_is(&l->words[at - 1], "uri-lf");
    size_t upto = (size_t)(step - u->script.items);
    if (!format) {
        r->uri = l->words[at];
    } else if (!script_format(u, &l->words[at], upto, &r->uri)) {
        say(step, VERDICT_LOST, "uri-lf: what is not known before the check runs");
    }
}

static void read_request(struct understanding *u, struct step *step, struct http_request *r)
{
    struct line *l = step->line;
    for (size_t i = 2; i + 1 < l->count; i++) {
        if (word_is(&l->words[i], "meth")) {
            r->method = l->words[++i];
        } else if (word_is(&l->words[i], "uri") || word_is(&l->words[i], "uri-lf")) {
            read_uri(u, step, ++i, r);
        } else if (word_is(&l->words[i], "hdr") && i + 2 < l->count) {
            read_header(step, &l->words[i + 1], &l->words[i + 2]);
            i += 2;
        } else if (word_is(&l->words[i], "body") || word_is(&l->words[i], "body-lf")) {
            say(step, VERDICT_LOST, "body: the probe sends none");
            i++;
        } else {
            i++; /* ver, comment */
        }
    }
}

/* The answer ------------------------------------------------------------------------------------
 */

/* "200,300-399". */
static bool read_statuses(const char *text, bool *fits)
{
    int used = 0;
    for (;; text += used + 1) {
        unsigned first;
        unsigned last;
        if (sscanf(text, "%3u%n", &first, &used) != 1 || first >= STATUS_MAX) {
            return false;
        }
        last = first;
        int more = 0;
        if (text[used] == '-' && sscanf(text + used, "-%3u%n", &last, &more) != 1) {
            return false;
        }
        used += more;
        for (unsigned i = first; i <= last && i < STATUS_MAX; i++) {
            fits[i] = true;
        }
        if (text[used] != ',') {
            return text[used] == '\0';
        }
    }
}

static bool read_status_pattern(const struct word *w, bool *fits)
{
    struct pattern pattern;
    if (pattern_read(&pattern, w->text, w->len, false) != 0) {
        return false;
    }
    for (unsigned i = 100; i < STATUS_MAX; i++) {
        char text[8];
        int len = snprintf(text, sizeof text, "%u", i);
        fits[i] = pattern_matches(&pattern, text, (size_t)len);
    }
    return true;
}

static void expect_status(struct step *step, struct http_request *r)
{
    bool fits[STATUS_MAX] = {false};
    bool ok = step->clear && (step->match == MATCH_STATUS ? read_statuses(step->data.text, fits)
                                                          : read_status_pattern(&step->data, fits));
    if (!ok) {
        say(step, VERDICT_LOST, "which statuses are good is not understood");
        return;
    }
    for (unsigned i = 100; i < STATUS_MAX; i++) {
        r->fits[i] = (!r->expected || r->fits[i]) && fits[i] != step->negated;
    }
    r->expected = true;
}

static void expect_answer(struct step *step, struct http_request *r)
{
    bool text = step->match == MATCH_TEXT || step->match == MATCH_PATTERN;
    if (step->match == MATCH_STATUS || step->match == MATCH_STATUS_PATTERN) {
        expect_status(step, r);
    } else if (text && step->clear && !step->negated && r->body == NULL) {
        r->body = step->data.text;
    } else {
        say(step, VERDICT_LOST, "the probe looks at nothing but the status");
    }
}

static void read_connect(struct understanding *u, struct step *step, size_t connects)
{
    if (connects > 1) {
        say(step, VERDICT_LOST, "only one request is sent");
        return;
    }
    u->out->port = step->port;
    u->out->tls = step->tls;
}

static void read_rules(struct understanding *u, struct http_request *r)
{
    size_t sends = 0;
    size_t connects = 0;
    for (size_t i = 0; i < u->script.count; i++) {
        struct step *step = &u->script.items[i];
        const struct word *rule = &step->line->words[1];
        bool first = sends <= 1 && connects <= 1;
        if (step->kind == STEP_CONNECT) {
            read_connect(u, step, ++connects);
        } else if (step->kind == STEP_SEND && ++sends == 1) {
            read_request(u, step, r);
        } else if (step->kind == STEP_SEND || (step->kind == STEP_EXPECT && !first)) {
            say(step, VERDICT_LOST, "only one request is sent");
        } else if (step->kind == STEP_EXPECT) {
            expect_answer(step, r);
        } else if (word_is(rule, "disable-on-404")) {
            say(step, VERDICT_DIFFERENCE, "404: the server is down, it is not drained");
        } else if (word_is(rule, "send-state")) {
            say(step, VERDICT_DIFFERENCE, "servers are not told how they are seen");
        }
    }
}

/* As http_expect takes it; NULL: 2xx and 3xx, or more ranges than it takes. */
static const char *write_statuses(struct understanding *u, const struct http_request *r)
{
    struct text out = {0};
    unsigned ranges = 0;
    for (unsigned i = 100; i < STATUS_MAX; i++) {
        unsigned first = i;
        while (r->fits[i] && i + 1 < STATUS_MAX && r->fits[i + 1]) {
            i++;
        }
        if (!r->fits[first]) {
            continue;
        }
        text_add(&out, i > first ? "%s%u-%u" : "%s%u", ranges++ > 0 ? "," : "", first, i);
    }
    bool usual = out.data == NULL || strcmp(out.data, "200-399") == 0 || ranges > EXPECT_RANGES;
    const char *words = usual ? NULL : arena_copy(&u->s->arena, out.data, out.len);
    text_free(&out);
    return words;
}

/* What it means ---------------------------------------------------------------------------------
 */

static bool is_legal(const struct http_request *r)
{
    bool method =
        r->method.len > 0 && strspn(r->method.text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == r->method.len;
    bool uri = r->uri.len <= 2000 && (r->uri.text[0] == '/' || word_is(&r->uri, "*"));
    for (size_t i = 0; uri && i < r->uri.len; i++) {
        uri = r->uri.text[i] > ' ' && r->uri.text[i] < 127;
    }
    return method && uri;
}

static void keep_request(struct understanding *u, const struct http_request *r)
{
    struct builder b = {.source = u->s};
    struct word space = word_of(u->s, " ");
    builder_part(&b, &r->method, 0, r->method.len);
    builder_part(&b, &space, 0, 1);
    builder_part(&b, &r->uri, 0, r->uri.len);
    u->out->kind = CHECK_HTTP;
    u->out->request = builder_word(&b);
    u->out->expect = write_statuses(u, r);
}

/* Nothing here looks into bodies. */
static void lose_bodies(struct understanding *u)
{
    for (size_t i = 0; i < u->script.count; i++) {
        struct step *step = &u->script.items[i];
        if (step->kind == STEP_EXPECT &&
            (step->match == MATCH_TEXT || step->match == MATCH_PATTERN)) {
            say(step, VERDICT_LOST, "the probe looks at nothing but the status");
        }
    }
}

void check_http(struct understanding *u, struct line *option)
{
    struct http_request r = {0};
    for (unsigned i = 200; i < 400; i++) {
        r.fits[i] = true;
    }
    script_read(u, "http-check");
    read_option(u, option, &r);
    read_rules(u, &r);
    bool idiom = !u->p->http && (check_patroni(u, &r) || check_cluster(u, &r));
    bool legal = is_legal(&r);
    if (!idiom && legal) {
        keep_request(u, &r);
        lose_bodies(u);
    } else if (!idiom) {
        u->out->kind = CHECK_UNKNOWN;
    }
    bool known = idiom || legal;
    script_mark(u, known ? VERDICT_KEPT : VERDICT_LOST, NULL);
    line_mark(u->s, option, known ? VERDICT_KEPT : VERDICT_LOST,
              known ? NULL : "no request that the probe could send: only the connect is checked");
}
