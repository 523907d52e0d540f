/* What a client with pool_mode = transaction says, and what the server says of its session: from
 * both follows why it keeps its connection, and what it cannot be told on another one. */
#include <string.h>
#include <strings.h>

#include "base/macros.h"
#include "core/mysql_ends.h"
#include "core/mysql_lease.h"

#define HEAD 5 /* bytes before a command's text: its packet's header and its code */

static const char wrong_connection[] =
    "router: this asks about an earlier statement, and others have used its connection since, or "
    "it was another one: it needs pool_mode = session";

/* Reasons ------------------------------------------------------------------------------------- */

static uint32_t pins_of(uint32_t says)
{
    static const struct {
        uint32_t says;
        uint32_t pin;
    } rows[] = {
        {MYSQL_SAYS_USER_VARIABLE, MYSQL_PIN_VARIABLE},
        {MYSQL_SAYS_TEMPORARY, MYSQL_PIN_TEMPORARY},
        {MYSQL_SAYS_NAMED_LOCK | MYSQL_SAYS_TABLE_LOCK | MYSQL_SAYS_HANDLER, MYSQL_PIN_LOCK},
        {MYSQL_SAYS_PREPARED, MYSQL_PIN_PREPARED},
        {MYSQL_SAYS_ROUTINE | MYSQL_SAYS_COMPOUND, MYSQL_PIN_ROUTINE},
        {MYSQL_SAYS_XA | MYSQL_SAYS_IDENTITY | MYSQL_SAYS_ODD | MYSQL_SAYS_UNCLEAR,
         MYSQL_PIN_STATE},
    };
    uint32_t pins = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        pins |= (says & rows[i].says) != 0 ? rows[i].pin : 0;
    }
    return pins;
}

uint32_t mysql_says_pins(const struct mysql_lease *lease, const struct mysql_link *l)
{
    const struct mysql_state *state = &lease->state;
    uint32_t pins = lease->kept;
    if ((l->reply.status & MYSQL_STATUS_IN_TRANS) != 0 ||
        (l->reply.status & MYSQL_STATUS_AUTOCOMMIT) == 0 || (state->why & MYSQL_WHY_NEXT) != 0) {
        pins |= MYSQL_PIN_TRANSACTION;
    }
    if (!state->tracked || state->database == NULL || l->tainted ||
        (state->why & ~(uint32_t)(MYSQL_WHY_NEXT | MYSQL_WHY_LOCKED)) != 0) {
        pins |= MYSQL_PIN_STATE;
    }
    pins |= (state->why & MYSQL_WHY_LOCKED) != 0 ? MYSQL_PIN_LOCK : 0;
    pins |= lease->prepared_count > 0 ? MYSQL_PIN_PREPARED : 0;
    pins |= lease->warned ? MYSQL_PIN_WARNINGS : 0;
    return pins;
}

/* Prepared statements ------------------------------------------------------------------------- */

static void add_prepared(struct mysql_lease *lease, uint32_t id)
{
    if (lease->prepared_count == MYSQL_PREPARED_MAX) {
        lease->kept |= MYSQL_PIN_PREPARED;
        return;
    }
    lease->prepared[lease->prepared_count++] = id;
}

static void remove_prepared(struct mysql_lease *lease, uint32_t id)
{
    for (size_t i = 0; i < lease->prepared_count; i++) {
        if (lease->prepared[i] == id) {
            lease->prepared[i] = lease->prepared[--lease->prepared_count];
            return;
        }
    }
}

/* What the client says ------------------------------------------------------------------------ */

/* As a server's lexer would: any case. */
static bool names(const char *text, size_t len, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= len; i++) {
        if (strncasecmp(text + i, word, size) == 0) {
            return true;
        }
    }
    return false;
}

/* What a question about earlier statements must not have moved from. `text` NULL: it has passed
 * already, so it may be any. */
static unsigned needs(uint32_t says, const char *text, size_t len)
{
    static const char *const lists[] = {"WARNING", "ERROR", "DIAGNOSTICS"};
    const unsigned all = MYSQL_MOVED_LAST | MYSQL_MOVED_ROWS | MYSQL_MOVED_WARNINGS;
    unsigned bits = (says & MYSQL_SAYS_HISTORY) != 0 ? MYSQL_MOVED_EVER : 0;
    if ((says & MYSQL_SAYS_DIAGNOSTICS) == 0) {
        return bits;
    }
    if (text == NULL) {
        return bits | all;
    }
    bool rows = names(text, len, "FOUND_ROWS");
    bool count = names(text, len, "ROW_COUNT");
    bits |= rows ? MYSQL_MOVED_ROWS : 0;
    bits |= count ? MYSQL_MOVED_LAST : 0;
    bool list = !rows && !count;
    for (size_t i = 0; i < ARRAY_LEN(lists) && !list; i++) {
        list = names(text, len, lists[i]);
    }
    return bits | (list ? MYSQL_MOVED_WARNINGS : 0);
}

/* A statement about one that ran somewhere else. */
static bool asks_elsewhere(const struct mysql_lease *lease, uint32_t says, const char *text,
                           size_t len)
{
    return (lease->moved & needs(says, text, len)) != 0;
}

static enum mysql_verdict refuse(struct session *s)
{
    unsigned char packet[256];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    mysql_write_error(&w, 1, 1235, "42000", wrong_connection); /* ER_NOT_SUPPORTED_YET */
    if (conn_write(&s->client, (const char *)packet, w.len) != 0) {
        session_kill(s, END_CLIENT);
        return MYSQL_GONE;
    }
    return MYSQL_SKIP;
}

/* A plain statement for whose end others wait, and MySQL cannot tell with its rows what else it
 * did. */
static bool will_leave(const struct mysql_lease *lease, const struct mysql_link *l)
{
    return !l->mariadb && (l->capabilities & MYSQL_CAP_DEPRECATE_EOF) == 0 &&
           !list_empty(&l->account->waiting) && lease->state.doubts == 0 &&
           mysql_says_pins(lease, l) == 0;
}

static enum mysql_verdict judge_text(struct session *s, struct mysql_link *l, const char *data,
                                     size_t len)
{
    struct mysql_lease *lease = s->mysql->lease;
    const struct mysql_command *c = &s->mysql->command;
    bool query = c->code == MYSQL_COM_QUERY;
    size_t size = MYSQL_HEADER + (size_t)c->length;
    if (lease->moved != 0 && len < size && size < SESSION_AHEAD_MAX) {
        return MYSQL_WAIT; /* it may ask about another one */
    }
    mysql_statement_begin(&lease->statement, query ? l->capabilities : 0, lease->state.text);
    lease->scanning = c->continues || len < size;
    lease->said = 0;
    if (lease->scanning) {
        lease->skip = HEAD;
        return MYSQL_PASS;
    }
    mysql_statement_look(&lease->statement, data + HEAD, c->length - 1);
    lease->said = mysql_statement_end(&lease->statement);
    if (asks_elsewhere(lease, lease->said, data + HEAD, c->length - 1)) {
        return refuse(s);
    }
    lease->pings = query && lease->said == 0 && c->length > 6 &&
                   strncasecmp(data + HEAD, "SELECT", 6) == 0 && will_leave(lease, l);
    if (lease->pings) {
        conn_more(&l->base.conn);
    }
    return MYSQL_PASS;
}

enum mysql_verdict mysql_says_judge(struct session *s, struct mysql_link *l, const char *data,
                                    size_t len)
{
    struct mysql_lease *lease = s->mysql->lease;
    uint8_t code = s->mysql->command.code;
    if (mysql_link_is_asked(l)) {
        return MYSQL_WAIT;
    }
    lease->said = 0;
    lease->scanning = false;
    switch (code) {
    case MYSQL_COM_QUERY:
    case MYSQL_COM_STMT_PREPARE:
        return judge_text(s, l, data, len);
    case MYSQL_COM_STMT_CLOSE:
        if (len < HEAD + 4) {
            return s->mysql->command.length < 5 ? MYSQL_PASS : MYSQL_WAIT;
        }
        struct mysql_cursor c = mysql_read(data + HEAD, 4);
        remove_prepared(lease, (uint32_t)mysql_read_int(&c, 4));
        return MYSQL_PASS;
    case MYSQL_COM_SET_OPTION: /* no tracker tells */
        lease->kept |= MYSQL_PIN_STATE;
        return MYSQL_PASS;
    default:
        return MYSQL_PASS;
    }
}

/* A statement that is longer than what was there at once. What it asks is known too late to answer
 * in its place; its end does not leave. */
bool mysql_says_more(struct session *s, const char *data, size_t len)
{
    struct mysql_lease *lease = s->mysql->lease;
    size_t skip = lease->skip < len ? lease->skip : len;
    lease->skip = (uint8_t)(lease->skip - skip);
    mysql_statement_look(&lease->statement, data + skip, len - skip);
    if (s->mysql->command.continues) { /* a header in the midst of the text */
        lease->kept |= MYSQL_PIN_STATE;
    }
    if (!mysql_command_is_whole(&s->mysql->command)) {
        return true;
    }
    lease->said = mysql_statement_end(&lease->statement);
    lease->scanning = false;
    if (asks_elsewhere(lease, lease->said, NULL, 0)) {
        mysql_ends_instead(s, 1235, "42000", wrong_connection);
        return false;
    }
    return true;
}

/* What the server says ------------------------------------------------------------------------ */

/* MariaDB's list of warnings outlives statements without tables: it may be another session's then,
 * until one has surely changed some row, or made a list of its own. To prepare one is none. */
static void note_statement(struct mysql_lease *lease, const struct mysql_link *l)
{
    lease->kept |= pins_of(lease->said);
    if (l->mariadb && (lease->said & MYSQL_SAYS_UNTOLD) != 0) {
        lease->kept |= MYSQL_PIN_STATE;
    }
    lease->warned =
        l->reply.warnings > 0 || l->reply.failed || (lease->said & MYSQL_SAYS_FOUND_ROWS) != 0;
    bool runs = l->reply.code != MYSQL_COM_STMT_PREPARE;
    bool told = l->reply.affected > 0 || l->reply.warnings > 0 || l->reply.failed;
    uint8_t over = runs ? MYSQL_MOVED_LAST : 0;
    over |= told || (runs && !l->mariadb) ? MYSQL_MOVED_WARNINGS : 0;
    over |= l->reply.has_rows ? MYSQL_MOVED_ROWS : 0;
    lease->moved &= (uint8_t)~over;
}

void mysql_says_answered(struct session *s, struct mysql_link *l)
{
    struct mysql_lease *lease = s->mysql->lease;
    uint8_t code = l->reply.code;
    if (code == MYSQL_COM_RESET_CONNECTION && !l->reply.failed) {
        /* MariaDB gives the charset of the connection's last login: it may have been another's. */
        const char *collation = l->mariadb ? lease->collation : NULL;
        mysql_state_reset(&lease->state, collation != NULL ? lease->charset : 0);
        lease->kept = 0;
        lease->prepared_count = 0;
        lease->warned = false;
        l->tainted = l->tainted || !mysql_ours_track(l, collation);
        return;
    }
    mysql_state_reply(&lease->state, &l->reply, l->mariadb);
    bool executes = code == MYSQL_COM_STMT_EXECUTE || code == MYSQL_COM_EXECUTE_AT_ONCE;
    if (code == MYSQL_COM_QUERY || code == MYSQL_COM_STMT_PREPARE || executes) {
        mysql_state_said(&lease->state, executes ? MYSQL_SAYS_LAST_INSERT_ID : lease->said);
        note_statement(lease, l);
    }
    if (code == MYSQL_COM_STMT_PREPARE && !l->reply.failed) {
        add_prepared(lease, l->reply.statement);
    }
}
