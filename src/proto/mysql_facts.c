/* SHOW GLOBAL VARIABLES asks for names: what a version does not have is left out of its answer,
 * which a SELECT of @@names would refuse as a whole. It cuts long values (at 1,024 characters), so
 * the GTIDs are selected. */
#include "proto/mysql_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/gtid.h"
#include "base/macros.h"
#include "proto/mysql_words.h"

enum kind { KIND_FLAG, KIND_TEXT };

/* Where a variable goes. */
struct place {
    const char *name;
    enum kind kind;
    size_t offset;
    size_t size;
};

#define FLAG(type, name, member)                                                                   \
    {                                                                                              \
        name, KIND_FLAG, offsetof(struct type, member), sizeof(bool)                               \
    }
#define TEXT(type, name, member)                                                                   \
    {                                                                                              \
        name, KIND_TEXT, offsetof(struct type, member), sizeof(((struct type *)0)->member)         \
    }

static const struct place settings[] = {
    TEXT(mysql_settings, "server_uuid", server_uuid),
    TEXT(mysql_settings, "server_id", server_id),
    TEXT(mysql_settings, "group_replication_group_name", group_name),
    FLAG(mysql_settings, "group_replication_single_primary_mode", single_primary),
    TEXT(mysql_settings, "gtid_mode", gtid_mode),
    FLAG(mysql_settings, "read_only", read_only),
    FLAG(mysql_settings, "super_read_only", super_read_only),
    FLAG(mysql_settings, "innodb_read_only", innodb_read_only),
    FLAG(mysql_settings, "offline_mode", offline_mode),
    FLAG(mysql_settings, "log_bin", log_bin),
    FLAG(mysql_settings, "log_slave_updates", log_replica_updates),
    FLAG(mysql_settings, "log_replica_updates", log_replica_updates),
    FLAG(mysql_settings, "wsrep_on", wsrep_on),
    TEXT(mysql_settings, "wsrep_provider", wsrep_provider),
    FLAG(mysql_settings, "wsrep_desync", wsrep_desync),
    TEXT(mysql_settings, "wsrep_reject_queries", wsrep_reject_queries),
    TEXT(mysql_settings, "pxc_maint_mode", pxc_maint_mode),
};

static const struct place galera[] = {
    TEXT(mysql_galera, "wsrep_ready", ready),
    TEXT(mysql_galera, "wsrep_cluster_status", cluster_status),
    TEXT(mysql_galera, "wsrep_local_state", local_state),
    TEXT(mysql_galera, "wsrep_local_state_comment", local_state_comment),
    TEXT(mysql_galera, "wsrep_cluster_size", cluster_size),
    TEXT(mysql_galera, "wsrep_cluster_conf_id", cluster_conf_id),
    TEXT(mysql_galera, "wsrep_cluster_state_uuid", cluster_state_uuid),
    TEXT(mysql_galera, "wsrep_gcomm_uuid", gcomm_uuid),
    TEXT(mysql_galera, "wsrep_local_index", local_index),
};

void mysql_facts_renew(struct mysql_facts *f)
{
    struct mysql_facts fresh = {
        .topology = f->topology,
        .dialect = f->dialect,
        .mariadb = f->mariadb,
        .secret = f->secret,
        .behind_ms = -1,
    };
    memcpy(fresh.started, f->started, sizeof fresh.started);
    *f = fresh;
}

/* The questions ------------------------------------------------------------------------------ */

static size_t ask_names(const char *what, const struct place *places, size_t count, char *out,
                        size_t size)
{
    size_t len = (size_t)snprintf(out, size, "SHOW GLOBAL %s WHERE Variable_name IN (", what);
    for (size_t i = 0; i < count && len < size; i++) {
        len += (size_t)snprintf(out + len, size - len, "'%s'%s", places[i].name,
                                i + 1 < count ? "," : ")");
    }
    return len;
}

static const char *show_channels(const struct mysql_facts *f)
{
    static const char *const words[] = {
        [MYSQL_DIALECT_REPLICA] = "SHOW REPLICA STATUS",
        [MYSQL_DIALECT_SLAVE] = "SHOW SLAVE STATUS",
        [MYSQL_DIALECT_MARIADB] = "SHOW ALL SLAVES STATUS",
    };
    return words[f->dialect];
}

/* NOW and Uptime are both counted from the same moment in one statement: so their difference is
 * when the process started, to the second, always the same, whatever happens to the clock. */
static const char *select_start(const struct mysql_facts *f)
{
    return f->mariadb ? "SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE AS started"
                        " FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Uptime'"
                      : "SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE AS started"
                        " FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Uptime'";
}

size_t mysql_question_sql(const struct mysql_facts *f, enum mysql_question q, char *out,
                          size_t size)
{
    switch (q) {
    case MYSQL_ASK_SETTINGS:
        return ask_names("VARIABLES", settings, ARRAY_LEN(settings), out, size);
    case MYSQL_ASK_START:
        return (size_t)snprintf(out, size, "%s", select_start(f));
    case MYSQL_ASK_GALERA:
        return ask_names("STATUS", galera, ARRAY_LEN(galera), out, size);
    case MYSQL_ASK_GROUP:
        return (size_t)snprintf(
            out, size,
            "SELECT m.MEMBER_ID, MEMBER_HOST, MEMBER_PORT, MEMBER_STATE, MEMBER_ROLE, VIEW_ID"
            " FROM performance_schema.replication_group_members m"
            " LEFT JOIN performance_schema.replication_group_member_stats s"
            " ON s.MEMBER_ID = m.MEMBER_ID");
    case MYSQL_ASK_CHANNELS:
        return (size_t)snprintf(out, size, "%s", show_channels(f));
    case MYSQL_ASK_GTIDS:
        return (size_t)snprintf(out, size, "SELECT @@GLOBAL.%s AS gtids",
                                f->mariadb ? "gtid_binlog_state" : "gtid_executed");
    case MYSQL_ASK_NOTHING:
        break;
    }
    return 0;
}

const char *mysql_question_name(const struct mysql_facts *f, enum mysql_question q)
{
    switch (q) {
    case MYSQL_ASK_SETTINGS:
        return "SHOW GLOBAL VARIABLES";
    case MYSQL_ASK_START:
        return f->mariadb ? "SELECT on information_schema.GLOBAL_STATUS"
                          : "SELECT on performance_schema.global_status";
    case MYSQL_ASK_GALERA:
        return "SHOW GLOBAL STATUS";
    case MYSQL_ASK_GROUP:
        return "SELECT on performance_schema.replication_group_members";
    case MYSQL_ASK_CHANNELS:
        return show_channels(f);
    default:
        return f->mariadb ? "SELECT @@gtid_binlog_state" : "SELECT @@gtid_executed";
    }
}

/* MariaDB named the privilege anew in 10.5; its words of refusal say which it wants. */
const char *mysql_question_grant(const struct mysql_facts *f, enum mysql_question q,
                                 struct mysql_text error)
{
    switch (q) {
    case MYSQL_ASK_START:
    case MYSQL_ASK_GROUP:
        return "SELECT ON performance_schema.*";
    case MYSQL_ASK_CHANNELS:
        return f->mariadb && error.len > 0 && memmem(error.data, error.len, "MONITOR", 7) != NULL
                   ? "SLAVE MONITOR ON *.*"
                   : "REPLICATION CLIENT ON *.*";
    default:
        return NULL;
    }
}

enum { SHOW_NAME, SHOW_VALUE };
enum { GROUP_ID, GROUP_HOST, GROUP_PORT, GROUP_STATE, GROUP_ROLE, GROUP_VIEW };
enum {
    CHANNEL_NAME,
    CHANNEL_HOST,
    CHANNEL_PORT,
    CHANNEL_UUID,
    CHANNEL_SERVER_ID,
    CHANNEL_IO,
    CHANNEL_SQL,
    CHANNEL_IO_ERRNO,
    CHANNEL_IO_ERROR,
    CHANNEL_SQL_ERRNO,
    CHANNEL_SQL_ERROR,
    CHANNEL_BEHIND,
};

const struct mysql_column *mysql_question_columns(enum mysql_question q, size_t *count)
{
    static const struct mysql_column show[] = {
        [SHOW_NAME] = {"Variable_name", NULL},
        [SHOW_VALUE] = {"Value", NULL},
    };
    static const struct mysql_column started[] = {{"started", NULL}};
    static const struct mysql_column gtids[] = {{"gtids", NULL}};
    static const struct mysql_column members[] = {
        [GROUP_ID] = {"MEMBER_ID", NULL},     [GROUP_HOST] = {"MEMBER_HOST", NULL},
        [GROUP_PORT] = {"MEMBER_PORT", NULL}, [GROUP_STATE] = {"MEMBER_STATE", NULL},
        [GROUP_ROLE] = {"MEMBER_ROLE", NULL}, [GROUP_VIEW] = {"VIEW_ID", NULL},
    };
    static const struct mysql_column channels[] = {
        [CHANNEL_NAME] = {"Channel_Name", "Connection_name"},
        [CHANNEL_HOST] = {"Source_Host", "Master_Host"},
        [CHANNEL_PORT] = {"Source_Port", "Master_Port"},
        [CHANNEL_UUID] = {"Source_UUID", "Master_UUID"},
        [CHANNEL_SERVER_ID] = {"Source_Server_Id", "Master_Server_Id"},
        [CHANNEL_IO] = {"Replica_IO_Running", "Slave_IO_Running"},
        [CHANNEL_SQL] = {"Replica_SQL_Running", "Slave_SQL_Running"},
        [CHANNEL_IO_ERRNO] = {"Last_IO_Errno", NULL},
        [CHANNEL_IO_ERROR] = {"Last_IO_Error", NULL},
        [CHANNEL_SQL_ERRNO] = {"Last_SQL_Errno", NULL},
        [CHANNEL_SQL_ERROR] = {"Last_SQL_Error", NULL},
        [CHANNEL_BEHIND] = {"Seconds_Behind_Source", "Seconds_Behind_Master"},
    };
    static const struct {
        const struct mysql_column *columns;
        size_t count;
    } all[] = {
        [MYSQL_ASK_SETTINGS] = {show, ARRAY_LEN(show)},
        [MYSQL_ASK_START] = {started, ARRAY_LEN(started)},
        [MYSQL_ASK_GALERA] = {show, ARRAY_LEN(show)},
        [MYSQL_ASK_GROUP] = {members, ARRAY_LEN(members)},
        [MYSQL_ASK_CHANNELS] = {channels, ARRAY_LEN(channels)},
        [MYSQL_ASK_GTIDS] = {gtids, ARRAY_LEN(gtids)},
    };
    *count = all[q].count;
    return all[q].columns;
}

bool mysql_is_galera(const struct mysql_settings *s)
{
    bool loaded = s->wsrep_provider[0] != '\0' && strcasecmp(s->wsrep_provider, "none") != 0;
    return loaded && !s->wsrep_off;
}

static enum mysql_question ask_by_topology(const struct mysql_facts *f)
{
    bool is_auto = f->topology == MYSQL_TOPOLOGY_AUTO;
    if (f->topology == MYSQL_TOPOLOGY_GALERA || (is_auto && mysql_is_galera(&f->settings))) {
        return mysql_is_galera(&f->settings) ? MYSQL_ASK_GALERA : MYSQL_ASK_NOTHING;
    }
    bool grouped = f->settings.group_name[0] != '\0';
    if (f->topology == MYSQL_TOPOLOGY_GROUP_REPLICATION || (is_auto && grouped)) {
        return grouped ? MYSQL_ASK_GROUP : MYSQL_ASK_NOTHING;
    }
    return MYSQL_ASK_CHANNELS;
}

/* Servers without GTIDs are not asked for them: an old one may not even know the name. */
static bool has_gtids(const struct mysql_facts *f)
{
    const struct mysql_settings *s = &f->settings;
    return f->mariadb ? s->log_bin && s->log_replica_updates : strcmp(s->gtid_mode, "ON") == 0;
}

enum mysql_question mysql_question_after(const struct mysql_facts *f, enum mysql_question q)
{
    switch (q) {
    case MYSQL_ASK_SETTINGS:
        return f->started[0] == '\0' ? MYSQL_ASK_START : ask_by_topology(f);
    case MYSQL_ASK_START:
        return ask_by_topology(f);
    case MYSQL_ASK_CHANNELS:
        return has_gtids(f) ? MYSQL_ASK_GTIDS : MYSQL_ASK_NOTHING;
    default:
        return MYSQL_ASK_NOTHING;
    }
}

/* The answers -------------------------------------------------------------------------------- */

static bool is_text(struct mysql_text text, const char *word)
{
    return text.data != NULL && text.len == strlen(word) &&
           strncasecmp(text.data, word, text.len) == 0;
}

/* As much as fits; NULL is the empty text. */
static void keep(char *out, size_t size, struct mysql_text text)
{
    size_t len = text.data == NULL ? 0 : text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)(text.data[i] < ' ' || text.data[i] > '~' ? '?' : text.data[i]);
    }
    out[len] = '\0';
}

/* read_only has more values than two in MariaDB 12; the rest of them mean yes. */
static bool is_off(struct mysql_text text)
{
    return text.data == NULL || text.len == 0 || is_text(text, "OFF") || is_text(text, "0") ||
           is_text(text, "NO");
}

static void put(void *base, const struct place *places, size_t count,
                const struct mysql_text *values)
{
    for (size_t i = 0; i < count; i++) {
        char *at = (char *)base + places[i].offset;
        if (!is_text(values[SHOW_NAME], places[i].name)) {
            continue;
        }
        if (places[i].kind == KIND_FLAG) {
            *(bool *)(void *)at = !is_off(values[SHOW_VALUE]);
        } else {
            keep(at, places[i].size, values[SHOW_VALUE]);
        }
    }
}

static void take_setting(struct mysql_settings *s, const struct mysql_text *values)
{
    put(s, settings, ARRAY_LEN(settings), values);
    if (is_text(values[SHOW_NAME], "wsrep_on")) {
        s->wsrep_off = is_off(values[SHOW_VALUE]);
    }
}

static bool take_start(struct mysql_facts *f, struct mysql_text value)
{
    keep(f->started, sizeof f->started, value);
    size_t digits = strspn(f->started, "0123456789");
    if (digits == 0 || digits > 12) {
        f->started[0] = '\0';
        return false;
    }
    f->started[digits] = '\0';
    return true;
}

/* "host:port", and "[host]:port" of an IPv6 address. */
static void name_peer(char out[PEER_TEXT_MAX], struct mysql_text host_text,
                      struct mysql_text port_text)
{
    char host[PEER_TEXT_MAX - 16];
    char port[8];
    keep(host, sizeof host, host_text);
    keep(port, sizeof port, port_text);
    bool v6 = strchr(host, ':') != NULL;
    snprintf(out, PEER_TEXT_MAX, "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

static void take_member(struct mysql_facts *f, const struct mysql_text *values)
{
    struct mysql_group *g = &f->group;
    g->members++;
    if (is_text(values[GROUP_STATE], "ONLINE") || is_text(values[GROUP_STATE], "RECOVERING")) {
        g->reachable++;
    }
    if (is_text(values[GROUP_ROLE], "PRIMARY") && f->settings.single_primary) {
        name_peer(g->primary, values[GROUP_HOST], values[GROUP_PORT]);
    }
    if (f->settings.server_uuid[0] != '\0' && is_text(values[GROUP_ID], f->settings.server_uuid)) {
        g->found = true;
        keep(g->state, sizeof g->state, values[GROUP_STATE]);
        keep(g->role, sizeof g->role, values[GROUP_ROLE]);
        keep(g->view, sizeof g->view, values[GROUP_VIEW]);
    }
}

/* Why a channel does not run. The error of the thread that ended says most. */
static void explain(struct mysql_facts *f, const struct channel *c, const struct mysql_text *values)
{
    bool io_failed = values[CHANNEL_IO_ERRNO].len > 0 && !is_off(values[CHANNEL_IO_ERRNO]);
    bool sql_failed = values[CHANNEL_SQL_ERRNO].len > 0 && !is_off(values[CHANNEL_SQL_ERRNO]);
    char error[PROBE_QUOTE_MAX] = "";
    char number[8] = "";
    if (sql_failed) {
        mysql_quote(error, values[CHANNEL_SQL_ERROR], f->secret);
        keep(number, sizeof number, values[CHANNEL_SQL_ERRNO]);
    } else if (io_failed) {
        mysql_quote(error, values[CHANNEL_IO_ERROR], f->secret);
        keep(number, sizeof number, values[CHANNEL_IO_ERRNO]);
    }
    bool trying = !sql_failed && is_text(values[CHANNEL_IO], "Connecting");
    snprintf(f->broken, sizeof f->broken, "replication from %.40s %s%s%s%s%.64s", c->source,
             trying ? "is not connected" : "is stopped", number[0] != '\0' ? ": error " : "",
             number, error[0] != '\0' ? ", " : "", error);
}

/* The most of all channels, in milliseconds. */
static void take_behind(struct mysql_facts *f, struct mysql_text value)
{
    char digits[16];
    keep(digits, sizeof digits, value);
    if (digits[0] >= '0' && digits[0] <= '9') {
        int64_t ms = (int64_t)strtoll(digits, NULL, 10) * 1000;
        f->behind_ms = ms > f->behind_ms ? ms : f->behind_ms;
    }
}

static bool take_channel(struct mysql_facts *f, const struct mysql_text *values)
{
    if (values[CHANNEL_HOST].data == NULL || values[CHANNEL_IO].data == NULL ||
        values[CHANNEL_SQL].data == NULL) {
        return false;
    }
    static const char own[] = "group_replication_"; /* Group Replication's are no sources */
    if (values[CHANNEL_NAME].len >= sizeof own - 1 &&
        memcmp(values[CHANNEL_NAME].data, own, sizeof own - 1) == 0) {
        return true;
    }
    struct channel c = {.running = is_text(values[CHANNEL_IO], "Yes") &&
                                   is_text(values[CHANNEL_SQL], "Yes")};
    name_peer(c.source, values[CHANNEL_HOST], values[CHANNEL_PORT]);
    if (!f->mariadb) {
        keep(c.source_id, sizeof c.source_id, values[CHANNEL_UUID]);
    } else if (!is_off(values[CHANNEL_SERVER_ID])) {
        keep(c.source_id, sizeof c.source_id, values[CHANNEL_SERVER_ID]);
    }
    if (!c.running) {
        explain(f, &c, values);
    }
    take_behind(f, values[CHANNEL_BEHIND]);
    if (f->channel_count < CHANNELS_MAX) {
        f->channels[f->channel_count] = c;
    }
    f->channel_count++;
    return true;
}

static bool take_gtids(struct mysql_facts *f, struct mysql_text value)
{
    if (value.data == NULL) {
        return true; /* not known */
    }
    if (f->mariadb) {
        gtid_parse_mariadb(&f->gtids, value.data, value.len);
    } else {
        gtid_parse_mysql(&f->gtids, value.data, value.len);
    }
    return true; /* one too long to keep is no lie */
}

bool mysql_facts_row(struct mysql_facts *f, enum mysql_question q, const struct mysql_text *values)
{
    switch (q) {
    case MYSQL_ASK_SETTINGS:
        take_setting(&f->settings, values);
        return true;
    case MYSQL_ASK_START:
        return take_start(f, values[0]);
    case MYSQL_ASK_GALERA:
        put(&f->galera, galera, ARRAY_LEN(galera), values);
        return true;
    case MYSQL_ASK_GROUP:
        take_member(f, values);
        return true;
    case MYSQL_ASK_CHANNELS:
        return take_channel(f, values);
    case MYSQL_ASK_GTIDS:
        return take_gtids(f, values[0]);
    case MYSQL_ASK_NOTHING:
        break;
    }
    return false;
}
