/* What workers know of MySQL and MariaDB: how to refuse a client. */
#include <string.h>

#include "proto/mysql.h"
#include "proto/proto.h"

#define ER_CON_COUNT_ERROR 1040
#define ER_UNKNOWN_ERROR   1105

/* In place of the greeting: an ERR packet in the form of before 4.1, because nobody has said yet
 * what the client can do (MySQL's source documentation, "Protocol::ERR_Packet"). */
static size_t mysql_refuse(enum refusal why, const char *words, char *out, size_t size)
{
    static const char prefix[] = "router: ";
    bool cap = why == REFUSED_SESSIONS || why == REFUSED_RATE;
    unsigned number = cap ? ER_CON_COUNT_ERROR : ER_UNKNOWN_ERROR;
    size_t len = strlen(words);
    size_t head = 4 + 3 + sizeof prefix - 1;
    if (size < head || size > 0xffff) {
        return 0;
    }
    len = len < size - head ? len : size - head;
    size_t payload = head - 4 + len;
    const char start[] = {(char)payload, (char)(payload >> 8), 0, 0, (char)0xff,
                          (char)number,  (char)(number >> 8)};
    memcpy(out, start, sizeof start);
    memcpy(out + sizeof start, prefix, sizeof prefix - 1);
    memcpy(out + head, words, len);
    return head + len;
}

const struct proto proto_mysql = {
    .name = "mysql",
    .has_roles = true,
    .dialogue = &mysql_probe,
    .refuse = mysql_refuse,
};
