/* Source: redis.io/docs, INFO, ROLE, HELLO. */
#include <stdio.h>
#include <string.h>

#include "import/check_redis.h"

static const char *const names[REDIS_ROLES] = {
    [REDIS_MASTER] = "master",
    [REDIS_SLAVE] = "slave",
    [REDIS_ACTIVE] = "active-replica",
    [REDIS_REPLICA] = "replica",
};

static bool follows(enum redis_role role)
{
    return role == REDIS_SLAVE || role == REDIS_REPLICA;
}

bool redis_writes(const struct command *c)
{
    static const char *const writes[] = {"SET", "SETEX", "PSETEX", "INCR", "DEL", "EXPIRE"};
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        if (command_is(c, writes[i])) {
            return true;
        }
    }
    return false;
}

static void add_replication(enum redis_role role, struct text *out)
{
    text_add(out, "# Replication\r\nrole:%s\r\n", names[role]);
    if (role != REDIS_MASTER) {
        text_add(out, "master_host:192.0.2.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n"
                      "master_last_io_seconds_ago:0\r\nmaster_sync_in_progress:0\r\n"
                      "slave_read_repl_offset:140\r\nslave_repl_offset:140\r\n"
                      "slave_priority:100\r\nslave_read_only:1\r\nreplica_announced:1\r\n");
    }
    text_add(out, "connected_slaves:%d\r\n", follows(role) ? 0 : 1);
    if (!follows(role)) {
        text_add(out, "slave0:ip=192.0.2.2,port=6379,state=online,offset=140,lag=0\r\n");
    }
    text_add(out, "master_failover_state:no-failover\r\nmaster_repl_offset:140\r\n"
                  "repl_backlog_active:1\r\n");
}

static void answer_info(const struct command *c, enum redis_role role, struct text *out)
{
    struct text body = {0};
    bool all = c->count < 2 || command_says(c, 1, "all") || command_says(c, 1, "default") ||
               command_says(c, 1, "everything");
    if (all || command_says(c, 1, "server")) {
        text_add(&body, "# Server\r\nredis_version:7.2.4\r\nredis_mode:standalone\r\n"
                        "uptime_in_seconds:86400\r\n");
    }
    if (all || command_says(c, 1, "persistence")) {
        text_add(&body, "# Persistence\r\nloading:0\r\nrdb_last_bgsave_status:ok\r\n"
                        "aof_enabled:0\r\naof_last_write_status:ok\r\n");
    }
    if (all || command_says(c, 1, "replication")) {
        add_replication(role, &body);
    }
    text_add(out, "$%zu\r\n%s\r\n", body.len, body.data != NULL ? body.data : "");
    text_free(&body);
}

static void answer_role(enum redis_role role, struct text *out)
{
    if (follows(role)) {
        text_add(out, "*5\r\n$%zu\r\n%s\r\n$9\r\n192.0.2.1\r\n:6379\r\n$9\r\nconnected\r\n:140\r\n",
                 strlen(names[role]), names[role]);
    } else {
        text_add(out,
                 "*3\r\n$%zu\r\n%s\r\n:140\r\n*1\r\n*3\r\n$9\r\n192.0.2.2\r\n$4\r\n6379\r\n"
                 "$3\r\n140\r\n",
                 strlen(names[role]), names[role]);
    }
}

static void answer_hello(enum redis_role role, struct text *out)
{
    text_add(out,
             "%%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n"
             "$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:3\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
             "$4\r\nrole\r\n$%zu\r\n%s\r\n$7\r\nmodules\r\n*0\r\n",
             strlen(names[role]), names[role]);
}

static void answer_plainly(const struct command *c, enum redis_role role, struct text *out)
{
    static const char *const fine[] = {"AUTH", "SELECT", "QUIT", "CLIENT"};
    for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
        if (command_is(c, fine[i])) {
            text_add(out, "+OK\r\n");
        }
    }
    if (command_is(c, "PING")) {
        text_add(out, "+PONG\r\n");
    } else if (command_is(c, "RESET")) {
        text_add(out, "+RESET\r\n");
    } else if (command_is(c, "ECHO") && c->count == 2) {
        text_add(out, "$%zu\r\n", c->args[1].len);
        text_add_bytes(out, c->args[1].text, c->args[1].len);
        text_add(out, "\r\n");
    } else if (command_is(c, "DBSIZE")) {
        text_add(out, ":1\r\n");
    } else if (redis_writes(c)) {
        text_add(out, "%s",
                 follows(role) ? "-READONLY You can't write against a read only replica."
                 : (c->args[0].text[0] | 0x20) == 's' ? "+OK"
                                                      : ":1");
        text_add(out, "\r\n");
    }
}

void redis_answer(const struct command *c, enum redis_role role, struct text *out)
{
    if (command_is(c, "INFO")) {
        answer_info(c, role, out);
    } else if (command_is(c, "ROLE")) {
        answer_role(role, out);
    } else if (command_is(c, "HELLO")) {
        answer_hello(role, out);
    } else {
        answer_plainly(c, role, out);
    }
}
