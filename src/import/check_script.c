/* Lines of tcp-check and http-check as steps. */
#include <string.h>

#include "import/builder.h"
#include "import/check_internal.h"

#define WORK_MAX         1000000 /* looking for patterns, in bytes times steps of them */
#define SCRIPT_BYTES_MAX 16384   /* of all that is sent, and of one thing that is expected */

/* The lines that count --------------------------------------------------------------------------
 */

static bool is_of(const struct line *l, const char *keyword)
{
    return l->count >= 2 && word_is(&l->words[0], keyword);
}

/* Steps -----------------------------------------------------------------------------------------
 */

static void say(struct step *step, enum verdict verdict, const char *words)
{
    if (verdict > step->verdict) {
        step->verdict = verdict;
        step->words = words;
    }
}

static void read_port(struct step *step, const struct word *w)
{
    long long port = word_number(w, 1, 65535);
    if (port > 0) {
        step->port = (unsigned)port;
    } else {
        say(step, VERDICT_LOST, "port: an expression instead of a number");
    }
}

static void read_connect(struct step *step)
{
    const struct line *l = step->line;
    static const struct {
        const char *name;
        bool argument;
        enum verdict verdict;
        const char *words;
    } parameters[] = {
        {"comment", true, VERDICT_NONE, NULL},
        {"default", false, VERDICT_NONE, NULL},
        {"linger", false, VERDICT_NONE, NULL},
        {"proto", true, VERDICT_DIFFERENCE, "proto: the probe speaks HTTP/1.1"},
        {"alpn", true, VERDICT_DIFFERENCE, "alpn: the probe names no protocol"},
        {"sni", true, VERDICT_DIFFERENCE, "sni: the probe names what the sessions name"},
        {"send-proxy", false, VERDICT_DIFFERENCE,
         "send-proxy: the probe sends a PROXY header where the sessions do"},
        {"addr", true, VERDICT_LOST, "addr: another address to check"},
        {"via-socks4", false, VERDICT_LOST, "via-socks4: no SOCKS proxy"},
    };
    for (size_t i = 2; i < l->count; i++) {
        if (word_is(&l->words[i], "port") && i + 1 < l->count) {
            read_port(step, &l->words[++i]);
            continue;
        }
        step->tls = step->tls || word_is(&l->words[i], "ssl");
        for (size_t k = 0; k < ARRAY_LEN(parameters); k++) {
            if (word_is(&l->words[i], parameters[k].name)) {
                say(step, parameters[k].verdict, parameters[k].words);
                i += parameters[k].argument;
                break;
            }
        }
    }
}

static void read_send(struct understanding *u, struct step *step)
{
    struct line *l = step->line;
    if (l->count < 3) {
        return;
    }
    step->origin = &l->words[2];
    step->data = l->words[2];
    step->clear = true;
    size_t upto = u->script.count - 1;
    if (word_is(&l->words[1], "send-lf")) {
        step->clear = script_format(u, &l->words[2], upto, &step->data);
    } else if (word_is(&l->words[1], "send-binary")) {
        step->clear = script_decode_hex(u->s, &l->words[2], &step->data);
    } else if (word_is(&l->words[1], "send-binary-lf")) {
        struct word digits;
        step->clear = script_format(u, &l->words[2], upto, &digits) &&
                      script_decode_hex(u->s, &digits, &step->data);
    }
}

static const struct {
    const char *name;
    enum step_match match;
} matches[] = {
    {"string", MATCH_TEXT},   {"string-lf", MATCH_TEXT},         {"rstring", MATCH_PATTERN},
    {"binary", MATCH_TEXT},   {"binary-lf", MATCH_TEXT},         {"rbinary", MATCH_HEX_PATTERN},
    {"status", MATCH_STATUS}, {"rstatus", MATCH_STATUS_PATTERN}, {"hdr", MATCH_OTHER},
    {"fhdr", MATCH_OTHER},    {"header", MATCH_OTHER},           {"custom", MATCH_OTHER}};

/* The argument of a match, at words[at]. */
static void read_match(struct understanding *u, struct step *step, size_t kind, size_t at)
{
    struct line *l = step->line;
    step->match = matches[kind].match;
    if (at >= l->count) {
        return;
    }
    const char *name = matches[kind].name;
    step->origin = &l->words[at];
    step->data = l->words[at];
    step->clear = step->match != MATCH_OTHER;
    size_t upto = u->script.count - 1;
    struct word formatted = l->words[at];
    if (strstr(name, "-lf") != NULL) {
        step->clear = script_format(u, &l->words[at], upto, &formatted);
    }
    step->data = formatted;
    if (strncmp(name, "binary", 6) == 0) {
        step->clear = step->clear && script_decode_hex(u->s, &formatted, &step->data);
    }
    step->clear = step->clear && step->data.len <= SCRIPT_BYTES_MAX;
}

/* Parameters of an expect with an argument. Returns whether it is one of them. */
static bool skip_parameter(struct step *step, size_t i)
{
    static const char *const skipped[] = {"min-recv", "comment",     "on-success",
                                          "on-error", "tout-status", "status-code"};
    const struct word *w = &step->line->words[i];
    bool drains = word_is(w, "ok-status") || word_is(w, "error-status");
    if (drains && i + 1 < step->line->count && word_is(w + 1, "L7OKC")) {
        say(step, VERDICT_DIFFERENCE, "L7OKC: a check does not drain a server");
    }
    for (size_t k = 0; !drains && k < ARRAY_LEN(skipped); k++) {
        drains = word_is(w, skipped[k]);
    }
    return drains;
}

static bool same(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

static void read_expect(struct understanding *u, struct step *step)
{
    struct line *l = step->line;
    step->match = MATCH_OTHER;
    for (size_t i = 2; i < l->count; i++) {
        if (skip_parameter(step, i)) {
            i++;
            continue;
        }
        const char *name = l->words[i].text;
        for (; *name == '!'; name++) {
            step->negated = !step->negated;
        }
        for (size_t k = 0; k < ARRAY_LEN(matches); k++) {
            if (same(name, matches[k].name)) {
                read_match(u, step, k, i + 1);
                /* Headers have more arguments, which nobody looks at. */
                i = step->match == MATCH_OTHER ? l->count : i + 1;
                break;
            }
        }
    }
}

static void read_step(struct understanding *u, struct line *l)
{
    u->script.items =
        arena_grow(&u->s->arena, u->script.items, u->script.count, sizeof *u->script.items);
    struct step *step = &u->script.items[u->script.count++];
    *step = (struct step){.kind = STEP_ASIDE, .line = l};
    if (word_is(&l->words[1], "connect")) {
        step->kind = STEP_CONNECT;
        read_connect(step);
    } else if (strncmp(l->words[1].text, "send", 4) == 0 && !word_is(&l->words[1], "send-state")) {
        step->kind = STEP_SEND;
        read_send(u, step);
    } else if (word_is(&l->words[1], "expect")) {
        step->kind = STEP_EXPECT;
        read_expect(u, step);
    }
}

void script_read(struct understanding *u, const char *keyword)
{
    for (size_t i = 0; i < u->p->count; i++) {
        struct line *l = u->p->lines[i];
        if (!is_of(l, keyword)) {
            continue;
        }
        if (l->section != u->rules) {
            line_mark(u->s, l, VERDICT_NOT_NEEDED, "the check of section %s does not use it",
                      u->p->section->name);
        } else if (u->script.count < SCRIPT_STEPS_MAX) {
            read_step(u, l);
        } else {
            u->script.cut = true;
            line_mark(u->s, l, VERDICT_LOST, "the script is too long to be understood");
        }
    }
}

void script_mark(struct understanding *u, enum verdict verdict, const char *words)
{
    for (size_t i = 0; i < u->script.count; i++) {
        const struct step *step = &u->script.items[i];
        enum verdict own = step->verdict != VERDICT_NONE ? step->verdict : verdict;
        const char *said = step->verdict != VERDICT_NONE ? step->words : words;
        line_mark(u->s, step->line, own, said != NULL ? "%s" : NULL, said);
    }
}

void script_take_connect(struct understanding *u, const struct step *connect)
{
    for (size_t i = 0; i < u->script.count; i++) {
        struct step *step = &u->script.items[i];
        if (step->kind == STEP_CONNECT && connect == NULL) {
            connect = step;
        }
        if (step->kind == STEP_CONNECT && step != connect) {
            say(step, VERDICT_DIFFERENCE, "only one port is probed");
        }
    }
    if (connect != NULL) {
        u->out->port = connect->port;
        u->out->tls = connect->tls;
    }
}

/* Answers ---------------------------------------------------------------------------------------
 */

static bool found(const struct word *w, const char *answer, size_t len)
{
    return memmem(answer, len, w->text, w->len) != NULL;
}

static bool found_pattern(struct understanding *u, const struct step *step, const char *answer,
                          size_t len, bool *ok)
{
    struct pattern pattern;
    *ok = pattern_read(&pattern, step->data.text, step->data.len, false) == 0;
    u->work += *ok ? len * (size_t)pattern.count : 0;
    *ok = *ok && u->work <= WORK_MAX;
    pattern.lines = step->lines;
    return *ok && pattern_matches(&pattern, answer, len);
}

static bool found_in_hex(struct understanding *u, const struct step *step, const char *answer,
                         size_t len, bool *ok)
{
    struct text digits = {0};
    text_add(&digits, "%s", "");
    for (size_t i = 0; i < len; i++) {
        text_add(&digits, "%02X", (unsigned char)answer[i]);
    }
    bool yes = found_pattern(u, step, digits.data, digits.len, ok);
    text_free(&digits);
    return yes;
}

bool step_accepts(struct understanding *u, const struct step *step, const char *answer, size_t len)
{
    bool ok = step->clear;
    bool yes = false;
    if (!ok) {
        return false;
    }
    switch (step->match) {
    case MATCH_TEXT:
        yes = found(&step->data, answer, len);
        break;
    case MATCH_PATTERN:
        yes = found_pattern(u, step, answer, len, &ok);
        break;
    case MATCH_HEX_PATTERN:
        yes = found_in_hex(u, step, answer, len, &ok);
        break;
    default:
        ok = false;
    }
    return ok && yes != step->negated;
}

/* Exchanges -------------------------------------------------------------------------------------
 */

static void add_sent(struct builder *b, const struct step *step, struct exchange *e)
{
    if (step->clear && b->len + step->data.len <= SCRIPT_BYTES_MAX) {
        builder_part(b, &step->data, 0, step->data.len);
    } else {
        e->clear = false;
    }
}

bool exchange_next(struct understanding *u, size_t *at, struct exchange *out)
{
    const struct script *script = &u->script;
    struct builder b = {.source = u->s};
    *out = (struct exchange){.first = *at, .clear = true};
    size_t i = *at;
    for (; i < script->count && script->items[i].kind != STEP_EXPECT; i++) {
        if (script->items[i].kind == STEP_CONNECT && i > *at) {
            break;
        }
        if (script->items[i].kind == STEP_SEND) {
            add_sent(&b, &script->items[i], out);
        }
    }
    out->expect = i;
    while (i < script->count &&
           (script->items[i].kind == STEP_EXPECT || script->items[i].kind == STEP_ASIDE)) {
        i++;
    }
    out->behind = i;
    out->sent = builder_word(&b);
    bool any = i > *at;
    *at = i;
    return any;
}

/* A secret may have come from a variable: then its line says it too. */
static void hide_variables(struct understanding *u)
{
    for (size_t i = 0; i < u->script.count; i++) {
        struct line *l = u->script.items[i].line;
        if (u->script.items[i].kind == STEP_ASIDE && l->count >= 3 &&
            strncmp(l->words[1].text, "set-var", 7) == 0) {
            l->words[2].secret = true;
        }
    }
}

void exchange_hide(struct understanding *u, const struct exchange *e, size_t at, size_t len)
{
    size_t passed = 0;
    for (size_t i = e->first; i < e->expect; i++) {
        struct step *step = &u->script.items[i];
        if (step->kind != STEP_SEND || !step->clear) {
            continue;
        }
        size_t from = passed;
        passed += step->data.len;
        if (from > at + len || passed < at || (len > 0 && (from == at + len || passed == at))) {
            continue;
        }
        step->origin->secret = true;
        if (strstr(step->origin->text, "var(") != NULL) {
            hide_variables(u);
        }
    }
}
