/* Session state information, entry by entry. A server names what changed and then, by STATE_CHANGE,
 * that something did: one without anything named before it is what nobody can give again. Both
 * write variables, schema, STATE_CHANGE in this order into each OK packet, so that those of several
 * packets can be read as one. */
#include "proto/mysql_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/macros.h"
#include "proto/mysql_state_internal.h"
#include "proto/mysql_statement.h"

#define CAP_DEPRECATE_EOF (1U << 24)
#define DATABASE_SEED     0x6461746162617365U
#define COLLATION_MAX     64 /* bytes of a name */

/* What is told. MariaDB has the same numbers. */
enum {
    TRACK_VARIABLE = 0,
    TRACK_SCHEMA = 1,
    TRACK_STATE = 2,
    TRACK_GTIDS = 3,
    TRACK_CHARACTERISTICS = 4, /* statements that would begin a transaction like this one */
    TRACK_TRANSACTION = 5,     /* one letter for each property */
};
#define LETTER_LOCKED 7 /* which of them is LOCK TABLES */
#define RESULTS       "character_set_results"

/* One pass over session state information. */
struct reading {
    struct mysql_state *s;
    unsigned changes;
    bool named;     /* something that a STATE_CHANGE would be about */
    bool charset;   /* the connection's charset was told, */
    bool collation; /* and its collation */
    bool ours;      /* what is told of results is what we have set */
};

/* Beginning and end --------------------------------------------------------------------------- */

static void drop_database(struct mysql_state *s)
{
    if (s->database != NULL) {
        s->hash -= hash_bytes(s->database, strlen(s->database)) ^ DATABASE_SEED;
        free(s->database);
        s->database = NULL;
    }
}

/* It has none. */
static bool put_database(struct mysql_state *s, const char *name, size_t len)
{
    if (len == 0) {
        return true;
    }
    if (len > MYSQL_STATE_DATABASE || memchr(name, '\0', len) != NULL) {
        s->why |= MYSQL_WHY_BAD;
        return false;
    }
    s->database = malloc(len + 1);
    if (s->database == NULL) {
        s->why |= MYSQL_WHY_MEMORY;
        return false;
    }
    memcpy(s->database, name, len);
    s->database[len] = '\0';
    s->hash += hash_bytes(name, len) ^ DATABASE_SEED;
    return true;
}

/* Nothing is known but the database, which it takes. */
static void make_blank(struct mysql_state *s, char *database)
{
    free(s->variables);
    *s = (struct mysql_state){
        .doubts = MYSQL_DOUBT_COLLATION | MYSQL_DOUBT_RESULTS,
        .text = MYSQL_TEXT_UNSURE | MYSQL_TEXT_WIDE,
        .database = database,
        .hash = database == NULL ? 0 : hash_bytes(database, strlen(database)) ^ DATABASE_SEED,
    };
}

bool mysql_state_begin(struct mysql_state *s, const char *database, size_t len, uint16_t charset)
{
    free(s->database);
    make_blank(s, NULL);
    s->login = charset;
    return put_database(s, database, len);
}

void mysql_state_reset(struct mysql_state *s, uint16_t charset)
{
    uint32_t blind = s->why & MYSQL_WHY_BLIND;
    make_blank(s, s->database);
    s->why = blind;
    s->login = charset;
    s->bare = true;
}

bool mysql_state_copy(struct mysql_state *s, const struct mysql_state *from)
{
    mysql_state_free(s);
    *s = *from;
    s->variables = NULL;
    s->database = NULL;
    s->size = s->used;
    if (from->used > 0) {
        s->variables = malloc(from->used);
    }
    if (from->database != NULL) {
        s->database = strdup(from->database);
    }
    if ((from->used > 0 && s->variables == NULL) ||
        (from->database != NULL && s->database == NULL)) {
        mysql_state_free(s);
        s->why = MYSQL_WHY_MEMORY;
        return false;
    }
    if (from->used > 0) {
        memcpy(s->variables, from->variables, from->used);
    }
    return true;
}

void mysql_state_free(struct mysql_state *s)
{
    free(s->variables);
    free(s->database);
    *s = (struct mysql_state){.count = 0};
}

bool mysql_state_same(const struct mysql_state *a, const struct mysql_state *b)
{
    if (a->hash != b->hash || a->why != 0 || b->why != 0 || a->doubts != 0 || b->doubts != 0 ||
        !a->tracked || !b->tracked || (a->bare && !b->bare) || a->insert_id != b->insert_id ||
        a->used != b->used) {
        return false;
    }
    bool same_variables = a->used == 0 || memcmp(a->variables, b->variables, a->used) == 0;
    const char *in_a = a->database == NULL ? "" : a->database;
    const char *in_b = b->database == NULL ? "" : b->database;
    return same_variables && strcmp(in_a, in_b) == 0;
}

/* What is told ------------------------------------------------------------------------------- */

static bool is(struct mysql_text text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

static bool has(const char *text, const char *word)
{
    return text != NULL && strstr(text, word) != NULL;
}

/* How the server reads statements now. */
static void note_text(struct mysql_state *s)
{
    static const char *const wide[] = {"big5", "cp932", "gb18030", "gbk", "sjis"};
    const char *mode = mysql_variable_find(s, "sql_mode").value;
    const char *charset = mysql_variable_find(s, "character_set_client").value;
    s->text = MYSQL_TEXT_USUAL;
    if (mode == NULL) {
        s->text |= MYSQL_TEXT_UNSURE;
    }
    if (has(mode, "NO_BACKSLASH_ESCAPES")) {
        s->text |= MYSQL_TEXT_NO_BACKSLASH;
    }
    if (has(mode, "ANSI_QUOTES")) {
        s->text |= MYSQL_TEXT_ANSI_QUOTES;
    }
    bool may_be_wide = charset == NULL;
    for (size_t i = 0; i < ARRAY_LEN(wide) && !may_be_wide; i++) {
        may_be_wide = strcmp(charset, wide[i]) == 0;
    }
    if (may_be_wide) {
        s->text |= MYSQL_TEXT_WIDE;
    }
}

/* What the server tells of itself, and nobody has set. */
static bool is_noise(struct mysql_text name)
{
    return is(name, "statement_id") || is(name, "last_gtid");
}

static bool is_tracker(struct mysql_text name)
{
    return is(name, "session_track_system_variables") || is(name, "session_track_schema") ||
           is(name, "session_track_state_change") || is(name, "session_track_transaction_info");
}

static void on_tracker(struct reading *r, struct mysql_text name, struct mysql_text value)
{
    bool all = is(name, "session_track_system_variables");
    bool ours = all                                          ? is(value, "*")
                : is(name, "session_track_transaction_info") ? is(value, "CHARACTERISTICS")
                                                             : is(value, "ON");
    if (!ours) {
        r->s->why |= MYSQL_WHY_TRACKERS;
    } else if (all) {
        r->s->tracked = true;
    }
}

static void on_insert_id(struct mysql_state *s, struct mysql_text value)
{
    uint64_t id = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            s->why |= MYSQL_WHY_BAD;
            return;
        }
        id = id * 10 + (uint64_t)(value.data[i] - '0');
    }
    s->insert_id = id;
    s->doubts &= (uint8_t)~MYSQL_DOUBT_INSERT_ID;
}

/* Two names for the same: the one that was used last counts. */
static void remove_alias(struct mysql_state *s, struct mysql_text name)
{
    static const char *const aliases[][2] = {
        {"tx_isolation", "transaction_isolation"},
        {"tx_read_only", "transaction_read_only"},
    };
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (is(name, aliases[i][0])) {
            mysql_variable_remove(s, aliases[i][1]);
        } else if (is(name, aliases[i][1])) {
            mysql_variable_remove(s, aliases[i][0]);
        }
    }
}

static void on_setting(struct reading *r, struct mysql_text name, struct mysql_text value)
{
    struct mysql_state *s = r->s;
    enum mysql_variable_kind kind = mysql_variable_kind(name.data, name.len);
    bool may_be_empty = is(name, "sql_mode");
    bool plain = value.data != NULL && mysql_variable_is_plain(kind, value.data, value.len) &&
                 (value.len > 0 || may_be_empty);
    r->changes |= MYSQL_CHANGE_VARIABLE;
    if (!plain) {
        s->why |= MYSQL_WHY_VARIABLE;
        return;
    }
    remove_alias(s, name);
    mysql_variable_set(s, name.data, name.len, value.data, value.len);
}

/* The collation may be one of its variables, which move. */
static void set_results(struct mysql_state *s, const char *collation)
{
    char name[COLLATION_MAX + 1];
    size_t len = strlen(collation);
    assert(len <= COLLATION_MAX);
    memcpy(name, collation, len + 1);
    mysql_variable_set(s, RESULTS, strlen(RESULTS), name, len);
    s->doubts &= (uint8_t)~MYSQL_DOUBT_RESULTS;
}

/* A charset, of which any collation may be meant; empty: none, every column has its own. */
static void on_results(struct reading *r, struct mysql_text value)
{
    r->changes |= MYSQL_CHANGE_VARIABLE;
    if (r->ours) {
        return;
    }
    r->s->login = 0;
    if (value.data != NULL && value.len == 0) {
        set_results(r->s, "");
        return;
    }
    mysql_variable_remove(r->s, RESULTS);
    r->s->doubts |= MYSQL_DOUBT_RESULTS;
}

/* A login makes results what the connection is, if the server knows the charset that it asks for;
 * what it does else is not known. */
static void note_login(struct mysql_state *s)
{
    const char *told = mysql_state_collation(s);
    if (s->login != 0 && mysql_collation_is(told, s->login)) {
        set_results(s, told);
    }
    s->login = 0;
}

static void on_variable(struct reading *r, struct mysql_text name, struct mysql_text value)
{
    if (is_noise(name)) {
        return;
    }
    r->named = true;
    if (is_tracker(name)) {
        on_tracker(r, name, value);
    } else if (is(name, "last_insert_id") || is(name, "identity")) {
        on_insert_id(r->s, value);
    } else if (is(name, "character_set_connection")) {
        r->charset = true; /* what it is follows from the collation */
    } else if (is(name, RESULTS)) {
        on_results(r, value);
    } else {
        r->collation = r->collation || is(name, "collation_connection");
        on_setting(r, name, value);
    }
}

/* At the end of what one OK packet says: SET NAMES is told without the collation, which may be any
 * of its charset's. */
static void settle(struct reading *r)
{
    if (r->charset && !r->collation) {
        mysql_variable_remove(r->s, "collation_connection");
        r->s->doubts |= MYSQL_DOUBT_COLLATION;
        r->changes |= MYSQL_CHANGE_VARIABLE;
    } else if (r->collation) {
        r->s->doubts &= (uint8_t)~MYSQL_DOUBT_COLLATION;
        note_login(r->s);
    }
    r->named = r->charset = r->collation = false;
}

static void on_schema(struct reading *r, struct mysql_text name)
{
    r->named = true;
    r->changes |= MYSQL_CHANGE_SCHEMA;
    r->s->bare = false;
    drop_database(r->s);
    put_database(r->s, name.data, name.len);
}

static void set_passing(struct mysql_state *s, uint32_t why, bool holds)
{
    s->why = holds ? s->why | why : s->why & ~why;
}

/* A transaction that is open is known by the status; one that is to come is told without START. */
static void on_characteristics(struct mysql_state *s, struct mysql_text how)
{
    bool open = how.len > 0 && (memmem(how.data, how.len, "START", 5) != NULL);
    set_passing(s, MYSQL_WHY_NEXT, how.len > 0 && !open);
}

/* False: malformed. */
static bool on_entry(struct reading *r, unsigned type, struct mysql_text body)
{
    struct mysql_cursor c = mysql_read(body.data, body.len);
    struct mysql_text value;
    switch (type) {
    case TRACK_VARIABLE:
        do {
            struct mysql_text name = mysql_read_string(&c);
            value = mysql_read_string(&c);
            if (c.broken || name.data == NULL) {
                return false;
            }
            on_variable(r, name, value);
        } while (mysql_left(&c) > 0);
        return true;
    case TRACK_STATE:
        r->s->why |= r->named ? 0 : MYSQL_WHY_OTHER;
        settle(r);
        return true;
    case TRACK_GTIDS:
        return true;
    case TRACK_SCHEMA:
    case TRACK_CHARACTERISTICS:
    case TRACK_TRANSACTION:
        value = mysql_read_string(&c);
        break;
    default:
        return false;
    }
    if (c.broken || value.data == NULL) {
        return false;
    }
    if (type == TRACK_SCHEMA) {
        on_schema(r, value);
    } else if (type == TRACK_CHARACTERISTICS) {
        on_characteristics(r->s, value);
    } else {
        bool locked = value.len > LETTER_LOCKED && value.data[LETTER_LOCKED] == 'L';
        set_passing(r->s, MYSQL_WHY_LOCKED, locked);
    }
    return true;
}

static unsigned apply(struct mysql_state *s, const void *info, size_t len, bool ours)
{
    struct reading r = {.s = s, .ours = ours};
    struct mysql_cursor c = mysql_read(info, len);
    uint32_t before = s->why;
    while (mysql_left(&c) > 0) {
        unsigned type = (unsigned)mysql_read_int(&c, 1);
        struct mysql_text body = mysql_read_string(&c);
        if (c.broken || body.data == NULL || !on_entry(&r, type, body)) {
            s->why |= MYSQL_WHY_BAD;
            break;
        }
    }
    settle(&r);
    if (r.changes & MYSQL_CHANGE_VARIABLE) {
        note_text(s);
    }
    if (s->why != before) {
        r.changes |= MYSQL_CHANGE_WHY;
    }
    return r.changes;
}

unsigned mysql_state_apply(struct mysql_state *s, const void *info, size_t len)
{
    return apply(s, info, len, false);
}

static unsigned on_reply(struct mysql_state *s, const struct mysql_reply *r, bool mariadb,
                         bool ours)
{
    uint32_t before = s->why;
    bool untold = r->has_rows && !(r->capabilities & CAP_DEPRECATE_EOF);
    bool mute = r->failed || (untold && (!mariadb || r->changed));
    if (!mute && (!mariadb || r->state_len > 0)) {
        s->doubts &= (uint8_t)~MYSQL_DOUBT_LATE;
    }
    unsigned changes = apply(s, r->state, r->state_len, ours);
    if (r->cut) {
        s->why |= MYSQL_WHY_BAD;
    }
    if (mute) {
        s->doubts |= MYSQL_DOUBT_LATE;
    }
    if (r->insert_id != 0 || r->failed) {
        s->doubts |= MYSQL_DOUBT_INSERT_ID;
    }
    return changes | (s->why != before ? MYSQL_CHANGE_WHY : 0U);
}

unsigned mysql_state_reply(struct mysql_state *s, const struct mysql_reply *r, bool mariadb)
{
    return on_reply(s, r, mariadb, false);
}

void mysql_state_restored(struct mysql_state *s, const struct mysql_reply *r, bool mariadb)
{
    on_reply(s, r, mariadb, true);
}

/* utf8mb3 is called as the server calls it, of which the connection's collation tells. */
void mysql_state_looked(struct mysql_state *s, const struct mysql_reply *r)
{
    apply(s, r->state, r->state_len, false);
    const char *told = mysql_state_collation(s);
    const char *name = r->failed ? NULL : mysql_collation_name(r->charset);
    if ((s->doubts & MYSQL_DOUBT_RESULTS) == 0) {
        return;
    }
    if (name != NULL && mysql_collation_is(told, r->charset)) {
        set_results(s, told);
    } else if (name != NULL && !mysql_collation_has_alias(name)) {
        set_results(s, name);
    } else {
        s->why |= MYSQL_WHY_VARIABLE;
    }
}

const char *mysql_state_collation(const struct mysql_state *s)
{
    return mysql_variable_find(s, "collation_connection").value;
}

/* SELECT LAST_INSERT_ID(5) sets it, and no OK packet says so. */
void mysql_state_said(struct mysql_state *s, uint32_t says)
{
    if (says & (MYSQL_SAYS_LAST_INSERT_ID | MYSQL_SAYS_ROUTINE)) {
        s->doubts |= MYSQL_DOUBT_INSERT_ID;
    }
}
