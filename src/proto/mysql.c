/* What workers know of MySQL and MariaDB: how their sessions begin, and which errors say that a
 * server's role changed. */
#include "proto/mysql.h"

#include "base/macros.h"
#include "proto/mysql_watch.h"
#include "proto/proto.h"

/* ERR_Packet: 3 bytes of length, a sequence id, 0xff, the number, '#' and the SQLSTATE. */
static bool names_role(const unsigned char *packet)
{
    static const uint16_t numbers[] = {
        1290, /* ER_OPTION_PREVENTS_STATEMENT: read_only */
        1836, /* ER_READ_ONLY_MODE */
        1792, /* ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION */
        1047, /* ER_UNKNOWN_COM_ERROR: Galera, "WSREP has not yet prepared node" */
        3100, /* ER_RUN_HOOK_ERROR: Group Replication, before_commit */
    };
    unsigned number = packet[5] | (unsigned)packet[6] << 8;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (numbers[i] == number) {
            return packet[7] == '#';
        }
    }
    return false;
}

static bool mysql_doubts(const char *data, size_t len)
{
    return len >= 8 && UNLIKELY((unsigned char)data[4] == 0xff) &&
           names_role((const unsigned char *)data);
}

const struct proto proto_mysql = {
    .name = "mysql",
    .has_roles = true,
    .dialogue = &mysql_probe,
    .login = &mysql_login,
    .tls_greeted = true,
    .doubts = mysql_doubts,
};
