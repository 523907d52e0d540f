#include "core/mysql_kill.h"

#include "model/thread_table.h"
#include "proto/mysql_kill.h"

bool mysql_kill_may_be(const struct session *s, const char *data, size_t len)
{
    const struct mysql_command *c = &s->mysql->command;
    struct mysql_kill kill;
    if ((c->code != MYSQL_COM_QUERY && c->code != MYSQL_COM_PROCESS_KILL) ||
        c->length > MYSQL_KILL_MAX) {
        return false;
    }
    return len < MYSQL_HEADER + (size_t)c->length ||
           mysql_kill_read(&kill, s->mysql->capabilities, data + MYSQL_HEADER, c->length);
}

enum mysql_verdict mysql_kill_pass(struct session *s, const struct mysql_link *l, const char *data)
{
    unsigned char packet[MYSQL_HEADER + MYSQL_KILL_MAX + 16];
    struct mysql_writer w = {.data = packet, .size = sizeof packet};
    const char *payload = data + MYSQL_HEADER;
    size_t len = s->mysql->command.length;
    struct mysql_kill kill;
    uint32_t thread;
    if (!mysql_kill_read(&kill, s->mysql->capabilities, payload, len) ||
        !thread_table_aim(s->worker->threads, kill.id, l->base.config->id, &thread)) {
        return MYSQL_PASS;
    }
    mysql_kill_write(&w, &kill, payload, len, thread);
    relay_client_data(s, (const char *)packet, w.len);
    return s->state == SESSION_RELAY ? MYSQL_SKIP : MYSQL_GONE;
}
