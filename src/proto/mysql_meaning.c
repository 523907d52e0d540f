/* What the words of a statement mean, where they stand: its first one, some of the others for each
 * kind of statement, and those before a parenthesis. */
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "proto/mysql_statement_internal.h"

#define CALC_FOUND_ROWS "sql_calc_found_rows"

/* First words, in their order. Others are UNCLEAR. */
static const struct verb {
    const char *word;
    enum mysql_kind kind;
    uint32_t says;
} verbs[] = {
    {"alter", MYSQL_KIND_MODEL, 0},
    {"analyze", MYSQL_KIND_EXPLAIN, 0},
    {"backup", MYSQL_KIND_PLAIN, MYSQL_SAYS_TABLE_LOCK},
    {"begin", MYSQL_KIND_BEGIN, MYSQL_SAYS_TRANSACTION},
    {"binlog", MYSQL_KIND_PLAIN, MYSQL_SAYS_ODD},
    {"cache", MYSQL_KIND_PLAIN, 0},
    {"call", MYSQL_KIND_PLAIN, MYSQL_SAYS_ROUTINE},
    {"case", MYSQL_KIND_PLAIN, MYSQL_SAYS_COMPOUND},
    {"change", MYSQL_KIND_MODEL, 0},
    {"check", MYSQL_KIND_PLAIN, 0},
    {"checksum", MYSQL_KIND_PLAIN, 0},
    {"commit", MYSQL_KIND_PLAIN, MYSQL_SAYS_TRANSACTION},
    {"create", MYSQL_KIND_MODEL, 0},
    {"deallocate", MYSQL_KIND_PLAIN, MYSQL_SAYS_PREPARED},
    {"declare", MYSQL_KIND_PLAIN, MYSQL_SAYS_COMPOUND},
    {"delete", MYSQL_KIND_PLAIN, 0},
    {"desc", MYSQL_KIND_EXPLAIN, 0},
    {"describe", MYSQL_KIND_EXPLAIN, 0},
    {"do", MYSQL_KIND_PLAIN, 0},
    {"drop", MYSQL_KIND_MODEL, 0},
    {"execute", MYSQL_KIND_PLAIN, MYSQL_SAYS_PREPARED},
    {"explain", MYSQL_KIND_EXPLAIN, 0},
    {"flush", MYSQL_KIND_FLUSH, 0},
    {"for", MYSQL_KIND_PLAIN, MYSQL_SAYS_COMPOUND},
    {"get", MYSQL_KIND_PLAIN, MYSQL_SAYS_DIAGNOSTICS},
    {"grant", MYSQL_KIND_MODEL, 0},
    {"handler", MYSQL_KIND_PLAIN, MYSQL_SAYS_HANDLER},
    {"help", MYSQL_KIND_PLAIN, 0},
    {"if", MYSQL_KIND_PLAIN, MYSQL_SAYS_COMPOUND},
    {"insert", MYSQL_KIND_PLAIN, 0},
    {"install", MYSQL_KIND_MODEL, 0},
    {"kill", MYSQL_KIND_PLAIN, MYSQL_SAYS_KILL},
    {"load", MYSQL_KIND_PLAIN, 0},
    {"lock", MYSQL_KIND_PLAIN, MYSQL_SAYS_TABLE_LOCK},
    {"loop", MYSQL_KIND_PLAIN, MYSQL_SAYS_COMPOUND},
    {"optimize", MYSQL_KIND_PLAIN, 0},
    {"prepare", MYSQL_KIND_PLAIN, MYSQL_SAYS_PREPARED},
    {"purge", MYSQL_KIND_PLAIN, 0},
    {"release", MYSQL_KIND_PLAIN, MYSQL_SAYS_TRANSACTION},
    {"rename", MYSQL_KIND_MODEL, 0},
    {"repair", MYSQL_KIND_PLAIN, 0},
    {"repeat", MYSQL_KIND_PLAIN, MYSQL_SAYS_COMPOUND},
    {"replace", MYSQL_KIND_PLAIN, 0},
    {"reset", MYSQL_KIND_MODEL, 0},
    {"restart", MYSQL_KIND_PLAIN, 0},
    {"revoke", MYSQL_KIND_MODEL, 0},
    {"rollback", MYSQL_KIND_PLAIN, MYSQL_SAYS_TRANSACTION},
    {"savepoint", MYSQL_KIND_PLAIN, MYSQL_SAYS_TRANSACTION},
    {"select", MYSQL_KIND_PLAIN, 0},
    {"set", MYSQL_KIND_SET, MYSQL_SAYS_SET},
    {"show", MYSQL_KIND_SHOW, 0},
    {"shutdown", MYSQL_KIND_PLAIN, 0},
    {"signal", MYSQL_KIND_PLAIN, 0},
    {"start", MYSQL_KIND_MODEL, MYSQL_SAYS_TRANSACTION},
    {"stop", MYSQL_KIND_MODEL, 0},
    {"table", MYSQL_KIND_PLAIN, 0},
    {"truncate", MYSQL_KIND_PLAIN, 0},
    {"uninstall", MYSQL_KIND_MODEL, 0},
    {"unlock", MYSQL_KIND_PLAIN, 0},
    {"update", MYSQL_KIND_PLAIN, 0},
    {"use", MYSQL_KIND_PLAIN, MYSQL_SAYS_USE},
    {"values", MYSQL_KIND_PLAIN, 0},
    {"while", MYSQL_KIND_PLAIN, MYSQL_SAYS_COMPOUND},
    {"with", MYSQL_KIND_PLAIN, 0},
    {"xa", MYSQL_KIND_PLAIN, MYSQL_SAYS_XA},
};

/* A word in small letters. Its length is 0 if it is none of the language. */
struct small {
    char text[MYSQL_STATEMENT_WORD + 1];
    size_t len;
};

static struct small small_of(const struct mysql_statement_word *w)
{
    struct small out;
    out.len = w->len <= MYSQL_STATEMENT_WORD ? w->len : 0;
    const char *from = w->at == NULL ? w->kept : w->at;
    for (size_t i = 0; i < out.len; i++) {
        out.text[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] | 0x20 : from[i]);
    }
    out.text[out.len] = '\0';
    return out;
}

static bool is(const struct small *w, const char *word)
{
    return strcmp(w->text, word) == 0;
}

static bool is_any(const struct small *w, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (is(w, *words)) {
            return true;
        }
    }
    return false;
}

/* The first word --------------------------------------------------------------------------- */

static void begin_statement(struct mysql_statement *s, const struct small *w)
{
    if (s->began) {
        s->says |= MYSQL_SAYS_SEVERAL;
        s->says |= s->remodels ? MYSQL_SAYS_UNCLEAR : 0U; /* how is this one read? */
    }
    s->began = true;
    s->kind = MYSQL_KIND_PLAIN;
    size_t low = 0;
    size_t high = ARRAY_LEN(verbs);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = w->text[0] - verbs[middle].word[0];
        if (order == 0) {
            order = strcmp(w->text, verbs[middle].word);
        }
        if (order == 0) {
            s->kind = verbs[middle].kind;
            s->says |= verbs[middle].says;
            return;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    s->says |= MYSQL_SAYS_UNCLEAR;
}

/* The others ------------------------------------------------------------------------------- */

static void in_set(struct mysql_statement *s, const struct small *w)
{
    static const struct verb seconds[] = {
        {"role", MYSQL_KIND_SET, MYSQL_SAYS_IDENTITY},
        {"transaction", MYSQL_KIND_SET, MYSQL_SAYS_NEXT},
        {"resource", MYSQL_KIND_SET, MYSQL_SAYS_ODD},
        {"statement", MYSQL_KIND_SET_FOR, MYSQL_SAYS_UNTOLD},
    };
    for (size_t i = 0; i < ARRAY_LEN(seconds) && s->words == 2; i++) {
        if (is(w, seconds[i].word)) {
            s->says |= seconds[i].says;
            s->kind = seconds[i].kind;
        }
    }
    if (is(w, "authorization")) {
        s->says |= MYSQL_SAYS_IDENTITY;
    }
    s->remodels = s->remodels || is(w, "sql_mode");
}

static void in_show(struct mysql_statement *s, const struct small *w)
{
    static const char *const diagnostics[] = {"warnings", "errors", NULL};
    static const char *const profiles[] = {"profile", "profiles", NULL};
    static const char *const others[] = {"explain", "analyze", NULL};
    static const char *const scopes[] = {"session", "local", NULL};
    struct small before = small_of(&s->before);
    if (is_any(w, diagnostics)) {
        s->says |= MYSQL_SAYS_DIAGNOSTICS;
    } else if (is_any(w, profiles)) {
        s->says |= MYSQL_SAYS_HISTORY;
    } else if (s->words == 2 && is_any(w, others)) {
        s->says |= MYSQL_SAYS_KILL;
    } else if (is(w, "status") && (s->words == 2 || (s->words == 3 && is_any(&before, scopes)))) {
        s->says |= MYSQL_SAYS_STATUS;
    }
}

static void in_flush(struct mysql_statement *s, const struct small *w)
{
    if (is(w, "lock") || is(w, "export")) {
        s->says |= MYSQL_SAYS_TABLE_LOCK;
    }
}

/* CREATE TABLE ... SELECT, CREATE VIEW: from there on functions are called. */
static void in_model(struct mysql_statement *s, const struct small *w)
{
    if (is(w, "temporary")) {
        s->says |= MYSQL_SAYS_TEMPORARY;
    } else if (is(w, "select")) {
        s->kind = MYSQL_KIND_PLAIN;
    }
}

/* In whatever statement a value can stand. */
static void anywhere(struct mysql_statement *s)
{
    const char *text = s->word.at == NULL ? s->word.kept : s->word.at;
    if (s->word.len == sizeof CALC_FOUND_ROWS - 1 &&
        strncasecmp(text, CALC_FOUND_ROWS, s->word.len) == 0) {
        s->says |= MYSQL_SAYS_FOUND_ROWS;
    }
    if (s->word.len == 5 && strncasecmp(text, "value", 5) == 0) {
        struct small before = small_of(&s->before);
        s->says |= is(&before, "previous") ? MYSQL_SAYS_HISTORY : 0U;
    }
    if (s->qualified && s->word.len == 7 && strncasecmp(text, "currval", 7) == 0) {
        s->says |= MYSQL_SAYS_HISTORY;
    }
}

void mysql_meaning_of_word(struct mysql_statement *s)
{
    anywhere(s);
    if (s->kind == MYSQL_KIND_PLAIN || (s->qualified && s->kind != MYSQL_KIND_NONE)) {
        return;
    }
    struct small w = small_of(&s->word);
    switch ((enum mysql_kind)s->kind) {
    case MYSQL_KIND_NONE:
        begin_statement(s, &w);
        break;
    case MYSQL_KIND_SET:
        in_set(s, &w);
        break;
    case MYSQL_KIND_SET_FOR:
        s->kind = is(&w, "for") ? MYSQL_KIND_NONE : s->kind;
        s->began = !is(&w, "for");
        break;
    case MYSQL_KIND_SHOW:
        in_show(s, &w);
        break;
    case MYSQL_KIND_FLUSH:
        in_flush(s, &w);
        break;
    case MYSQL_KIND_MODEL:
        in_model(s, &w);
        break;
    case MYSQL_KIND_EXPLAIN:
        s->says |= is(&w, "connection") ? MYSQL_SAYS_KILL : 0U;
        break;
    case MYSQL_KIND_BEGIN:
        s->says |= !is(&w, "work") ? MYSQL_SAYS_COMPOUND : 0U;
        break;
    case MYSQL_KIND_PLAIN:
        break;
    }
}

void mysql_meaning_of_system(struct mysql_statement *s)
{
    static const char *const scopes[] = {"session", "local",        "global",
                                         "persist", "persist_only", NULL};
    static const char *const insert_id[] = {"last_insert_id", "identity", NULL};
    static const char *const diagnostics[] = {"warning_count", "error_count", NULL};
    struct small w = small_of(&s->word);
    bool scoped = s->context == MYSQL_CONTEXT_SCOPED;
    if (!scoped && is_any(&w, scopes)) {
        s->context = MYSQL_CONTEXT_SCOPE;
        return;
    }
    s->context = scoped ? MYSQL_CONTEXT_NONE : MYSQL_CONTEXT_SYSTEM_NAME;
    if (is_any(&w, insert_id)) {
        s->says |= MYSQL_SAYS_LAST_INSERT_ID;
    } else if (is_any(&w, diagnostics)) {
        s->says |= MYSQL_SAYS_DIAGNOSTICS;
    } else if (is(&w, "last_gtid")) {
        s->says |= MYSQL_SAYS_HISTORY;
    } else if (is(&w, "pseudo_thread_id")) {
        s->says |= MYSQL_SAYS_CONNECTION_ID;
    } else if (is(&w, "sql_mode") && s->kind == MYSQL_KIND_SET) {
        s->remodels = true;
    }
}

/* Calls ------------------------------------------------------------------------------------ */

/* After these, a name and a parenthesis are a table and its columns. */
static bool is_name_expected(const struct mysql_statement *s)
{
    static const char *const before_names[] = {
        "as",   "delayed",   "high_priority", "ignore",  "insert", "into",  "low_priority", "only",
        "join", "overwrite", "recursive",     "replace", "set",    "table", "with",         NULL};
    struct small before = small_of(&s->before);
    return is_any(&before, before_names);
}

void mysql_meaning_of_call(struct mysql_statement *s)
{
    static const struct {
        const char *name;
        uint32_t says;
    } told[] = {
        {"connection_id", MYSQL_SAYS_CONNECTION_ID},
        {"found_rows", MYSQL_SAYS_DIAGNOSTICS},
        {"get_lock", MYSQL_SAYS_NAMED_LOCK},
        {"last_insert_id", MYSQL_SAYS_LAST_INSERT_ID},
        {"lastval", MYSQL_SAYS_HISTORY},
        {"ps_current_thread_id", MYSQL_SAYS_CONNECTION_ID},
        {"row_count", MYSQL_SAYS_DIAGNOSTICS},
        {"wsrep_last_seen_gtid", MYSQL_SAYS_HISTORY},
        {"wsrep_last_written_gtid", MYSQL_SAYS_HISTORY},
    };
    if (s->kind == MYSQL_KIND_MODEL || s->kind == MYSQL_KIND_NONE) {
        return;
    }
    struct small w = small_of(&s->word);
    if (s->qualified || w.len == 0) {
        s->says |= is_name_expected(s) ? 0U : MYSQL_SAYS_ROUTINE;
        return;
    }
    if (mysql_is_built_in(w.text)) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        if (is(&w, told[i].name)) {
            s->says |= told[i].says;
            return;
        }
    }
    s->says |= is_name_expected(s) ? 0U : MYSQL_SAYS_ROUTINE;
}
