/* A server of MySQL's family made up of the answers that it gives, and asked by the probe. */
#ifndef TEST_MYSQL_SERVER_H
#define TEST_MYSQL_SERVER_H

#include "base/macros.h"
#include "mysql_fake.h"

#define UUID_1 "11111111-1111-1111-1111-111111111111"
#define UUID_2 "22222222-2222-2222-2222-222222222222"
#define UUID_3 "33333333-3333-3333-3333-333333333333"
#define GROUP  "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

/* A server by its answers: tables of strings, each ended by NULL where it may be shorter. */
struct server {
    const char *version;
    enum mysql_topology topology;
    const char *variables[24]; /* name, value, ... */
    const char *status[24];
    const char *members[24];  /* id, host, port, state, role, view; ... */
    const char *channels[80]; /* 12 of each, as `replica_columns` */
    const char *gtids;
};

static const char *const show_columns[] = {"Variable_name", "Value"};
static const char *const member_columns[] = {"MEMBER_ID",    "MEMBER_HOST", "MEMBER_PORT",
                                             "MEMBER_STATE", "MEMBER_ROLE", "VIEW_ID"};
static const char *const replica_columns[] = {
    "Source_Host",        "Source_Port",         "Source_UUID",           "Source_Server_Id",
    "Replica_IO_Running", "Replica_SQL_Running", "Seconds_Behind_Source", "Last_IO_Errno",
    "Last_IO_Error",      "Last_SQL_Errno",      "Last_SQL_Error",        "Channel_Name",
};
static const char *const slave_columns[] = {
    "Master_Host",      "Master_Port",       "Master_UUID",           "Master_Server_Id",
    "Slave_IO_Running", "Slave_SQL_Running", "Seconds_Behind_Master", "Last_IO_Errno",
    "Last_IO_Error",    "Last_SQL_Errno",    "Last_SQL_Error",        "Connection_name",
};

/* A replica's row: whom it follows, the threads, how far behind, errors, the channel's name. */
#define FOLLOWS(host, port, uuid, id, io, sql, behind)                                             \
    host, port, uuid, id, io, sql, behind, "0", "", "0", "", ""
#define NULL_TEXT "\001" /* stands for SQL's NULL in a table that a NULL ends */

static inline void answer_rows(struct talk *t, const char *const *columns, size_t width,
                               const char *const *values)
{
    const char *copy[80];
    size_t count = 0;
    for (; values[count] != NULL; count++) {
        copy[count] = strcmp(values[count], NULL_TEXT) == 0 ? NULL : values[count];
    }
    assert_int_equal(count % width, 0);
    fake_rows(t, columns, width, copy, count / width);
}

static inline void answer(struct talk *t, const struct server *s)
{
    static const char *const started[] = {"started"};
    static const char *const gtids[] = {"gtids"};
    static const char *const then[] = {"1795263951", NULL};
    const char *gtid_row[] = {s->gtids != NULL ? s->gtids : NULL_TEXT, NULL};
    if (asks(t, "SHOW GLOBAL VARIABLES")) {
        answer_rows(t, show_columns, 2, s->variables);
    } else if (asks(t, "SELECT UNIX_TIMESTAMP()")) {
        answer_rows(t, started, 1, then);
    } else if (asks(t, "SHOW GLOBAL STATUS")) {
        answer_rows(t, show_columns, 2, s->status);
    } else if (asks(t, "SELECT m.MEMBER_ID")) {
        answer_rows(t, member_columns, 6, s->members);
    } else if (asks(t, "SHOW REPLICA STATUS")) {
        answer_rows(t, replica_columns, 12, s->channels);
    } else if (asks(t, "SHOW ALL SLAVES STATUS")) {
        answer_rows(t, slave_columns, 12, s->channels);
    } else if (asks(t, "SELECT @@GLOBAL.gtid_")) {
        answer_rows(t, gtids, 1, gtid_row);
    } else {
        fail_msg("asks: %.*s", (int)t->out_len - 5, t->out + 5);
    }
}

static inline struct observation ask(const struct server *s)
{
    struct probe_setup account = router;
    account.mysql_topology = s->topology;
    struct talk t = talk_logged_in(&account, s->version != NULL ? s->version : "9.7.0");
    for (int i = 0; i < 8 && t.step == PROBE_STEP_READ; i++) {
        answer(&t, s);
    }
    assert_int_equal(t.step, PROBE_STEP_DONE);
    struct observation o = t.seen;
    talk_free(&t);
    return o;
}

static inline void assert_why(const struct observation *o, const char *words)
{
    if (strstr(o->why, words) == NULL) {
        fail_msg("'%s' says nothing of '%s'", o->why, words);
    }
}

/* A node of Galera that is well. */
static inline struct server node(void)
{
    return (struct server){
        .version = "5.5.5-10.11.19-MariaDB-log",
        .variables = {"server_id", "7", "wsrep_on", "ON", "wsrep_provider",
                      "/usr/lib/galera/libgalera_smm.so", "wsrep_desync", "OFF",
                      "wsrep_reject_queries", "NONE", "read_only", "OFF"},
        .status = {"wsrep_ready", "ON", "wsrep_cluster_status", "Primary", "wsrep_local_state", "4",
                   "wsrep_local_state_comment", "Synced", "wsrep_cluster_size", "3",
                   "wsrep_cluster_conf_id", "9", "wsrep_cluster_state_uuid", GROUP,
                   "wsrep_gcomm_uuid", UUID_1, "wsrep_local_index", "2"},
    };
}

#endif
