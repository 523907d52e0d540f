/* The commands that bring a connection into a state: COM_INIT_DB and one SET. What the connection
 * has and the session had not gets its global value, as a login would; DEFAULT is that too, but
 * MySQL 9.7 takes it for OFF with foreign_key_checks and unique_checks. The collation of results is
 * set by SET NAMES ... COLLATE alone (MariaDB), which sets two others too. */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "proto/mysql_command.h"
#include "proto/mysql_state_internal.h"

#define CAP_QUERY_ATTRIBUTES (1U << 27)

#define SET         "SET "
#define SESSION     "SESSION "
#define SET_SESSION SET SESSION
#define RESULTS     "character_set_results"

/* The trackers, which are in no state: they are what every connection has. */
#define TRACKERS                                                                                   \
    "session_track_system_variables='*',session_track_schema=ON,session_track_state_change=ON,"    \
    "session_track_transaction_info='CHARACTERISTICS'"
/* Setting a variable to what it is makes the server tell it. */
#define TELL(name) name "=@@" name
#define ASK_ID     "last_insert_id=LAST_INSERT_ID()"
#define ASK        ASK_ID "," TELL("collation_connection")

static void write_text(struct mysql_writer *w, const char *text)
{
    mysql_write_bytes(w, text, strlen(text));
}

static void begin_query(struct mysql_writer *w, uint32_t capabilities, const char *text)
{
    mysql_begin(w, 0);
    mysql_write_int(w, MYSQL_COM_QUERY, 1);
    if (capabilities & CAP_QUERY_ATTRIBUTES) {
        mysql_write_int(w, 0x0100, 2); /* none, one set */
    }
    write_text(w, text);
}

static void write_quoted(struct mysql_writer *w, const char *before, const char *text, size_t len)
{
    write_text(w, before);
    write_text(w, "'");
    mysql_write_bytes(w, text, len);
    write_text(w, "'");
}

/* The charset is what a collation's name begins with. */
static void write_names(struct mysql_writer *w, const char *collation)
{
    write_quoted(w, "NAMES ", collation, strcspn(collation, "_"));
    write_quoted(w, " COLLATE ", collation, strlen(collation));
}

void mysql_state_track(struct mysql_writer *w, uint32_t capabilities, const char *collation)
{
    begin_query(w, capabilities, SET);
    if (collation != NULL) { /* what is set has no effect on values that are told behind it */
        write_names(w, collation);
        write_text(w, "," SESSION TRACKERS "," ASK_ID);
        write_quoted(w, ",character_set_client=", collation, strcspn(collation, "_"));
        write_quoted(w, ",collation_connection=", collation, strlen(collation));
    } else {
        write_text(w, SESSION TRACKERS "," TELL("character_set_client") "," ASK);
    }
    write_text(w, "," TELL("sql_mode") "," TELL("time_zone"));
    mysql_end(w);
}

void mysql_state_ask(struct mysql_writer *w, uint32_t capabilities)
{
    begin_query(w, capabilities, SET_SESSION);
    write_text(w, ASK);
    mysql_end(w);
}

/* Of a column that is in binary it would tell that. */
void mysql_state_look(struct mysql_writer *w, uint32_t capabilities)
{
    begin_query(w, capabilities, "SELECT _latin1'' LIMIT 0");
    mysql_end(w);
}

/* One SET, begun with its first assignment. */
struct setting {
    struct mysql_writer *w;
    uint32_t capabilities;
    bool begun;
};

static void go_on(struct setting *set, const char *begin)
{
    if (set->begun) {
        write_text(set->w, ",");
    } else {
        begin_query(set->w, set->capabilities, begin);
    }
    set->begun = true;
}

static void assign(struct setting *set, const char *name)
{
    go_on(set, SET_SESSION);
    write_text(set->w, name);
    write_text(set->w, "=");
}

static void write_value(struct mysql_writer *w, const struct mysql_variable *v)
{
    if (mysql_variable_kind(v->name, strlen(v->name)) == MYSQL_VARIABLE_NUMBER) {
        write_text(w, v->value);
    } else if (v->value[0] == '\0' && strcmp(v->name, RESULTS) == 0) {
        write_text(w, "NULL");
    } else {
        write_text(w, "'");
        write_text(w, v->value);
        write_text(w, "'");
    }
}

static void give(struct setting *set, const struct mysql_variable *v)
{
    assign(set, v->name);
    write_value(set->w, v);
}

/* Behind SET NAMES. */
static void give_named(struct setting *set, const struct mysql_variable *v)
{
    if (strcmp(v->name, RESULTS) != 0) {
        give(set, v);
    }
}

static void take_back(struct setting *set, const struct mysql_variable *v)
{
    bool patient = (set->capabilities & MYSQL_CAP_INTERACTIVE) != 0;
    bool waits = strcmp(v->name, "wait_timeout") == 0;
    assign(set, v->name);
    write_text(set->w, "@@GLOBAL.");
    write_text(set->w, waits && patient ? "interactive_timeout" : v->name);
}

/* Whether there is nothing but SET NAMES for it. */
static bool give_names(struct setting *set, const struct mysql_state *from,
                       const struct mysql_state *to)
{
    const char *had = mysql_variable_find(from, RESULTS).value;
    const char *has = mysql_variable_find(to, RESULTS).value;
    if (has == NULL || has[0] == '\0' || (had != NULL && strcmp(had, has) == 0)) {
        return false;
    }
    go_on(set, SET);
    write_names(set->w, has);
    return true;
}

/* What SET NAMES has set. */
static bool is_of_names(const char *name)
{
    return strcmp(name, RESULTS) == 0 || strcmp(name, "character_set_client") == 0 ||
           strcmp(name, "collation_connection") == 0;
}

/* Both are sorted by name: side by side. */
static void write_differences(struct setting *set, const struct mysql_state *from,
                              const struct mysql_state *to)
{
    size_t at_from = 0;
    size_t at_to = 0;
    bool named = give_names(set, from, to);
    for (;;) {
        struct mysql_variable a = mysql_variable_at(from, at_from);
        struct mysql_variable b = mysql_variable_at(to, at_to);
        if (a.name == NULL && b.name == NULL) {
            return;
        }
        int order = a.name == NULL ? 1 : b.name == NULL ? -1 : strcmp(a.name, b.name);
        if (order < 0) {
            take_back(set, &a);
        } else if (named && is_of_names(b.name)) {
            give_named(set, &b);
        } else if (order > 0 || strcmp(a.value, b.value) != 0) {
            give(set, &b);
        }
        at_from += order <= 0 ? a.size : 0;
        at_to += order >= 0 ? b.size : 0;
    }
}

static bool write_database(struct mysql_writer *w, const struct mysql_state *from,
                           const struct mysql_state *to)
{
    bool same =
        from->database != NULL && to->database != NULL && strcmp(from->database, to->database) == 0;
    if (to->database == NULL || (same && (!from->bare || to->bare))) {
        return false;
    }
    mysql_begin(w, 0);
    mysql_write_int(w, MYSQL_COM_INIT_DB, 1);
    write_text(w, to->database);
    mysql_end(w);
    return true;
}

static bool write_settings(struct mysql_writer *w, const struct mysql_state *from,
                           const struct mysql_state *to, uint32_t capabilities)
{
    struct setting set = {.w = w, .capabilities = capabilities};
    if (!from->tracked) {
        go_on(&set, SET_SESSION);
        write_text(w, TRACKERS);
    }
    write_differences(&set, from, to);
    if (from->insert_id != to->insert_id || (from->doubts & MYSQL_DOUBT_INSERT_ID)) {
        char id[24];
        snprintf(id, sizeof id, "%llu", (unsigned long long)to->insert_id);
        assign(&set, "last_insert_id");
        write_text(w, id);
    }
    if (set.begun) {
        mysql_end(w);
    }
    return set.begun;
}

int mysql_state_restore(struct mysql_writer *w, const struct mysql_state *from,
                        const struct mysql_state *to, uint32_t capabilities)
{
    bool loses_database = from->database != NULL && to->database == NULL;
    if (from->why != 0 || (from->doubts & MYSQL_DOUBT_LATE) || to->why != 0 || to->doubts != 0 ||
        loses_database) {
        return UV_EINVAL;
    }
    int count = write_database(w, from, to) ? 1 : 0;
    return count + (write_settings(w, from, to, capabilities) ? 1 : 0);
}
