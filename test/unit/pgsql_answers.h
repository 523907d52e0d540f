/* What PostgreSQL 15.18 says to the probe, as it was captured; and messages made to measure. */
#ifndef TEST_PGSQL_ANSWERS_H
#define TEST_PGSQL_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "model/observation.h"
#include "proto/pgsql_message.h"

struct bytes {
    const char *p;
    size_t len;
};

/* Of a literal that may hold NULs. */
#define BYTES(literal) ((struct bytes){literal, sizeof(literal) - 1})

#define AUTH_OK "R\000\000\000\010\000\000\000\000"
#define READY   "Z\000\000\000\005I"
#define PARAMETERS                                                                                 \
    "S\000\000\000\034application_name\000router\000"                                              \
    "S\000\000\000\031client_encoding\000UTF8\000"                                                 \
    "S\000\000\000&default_transaction_read_only\000off\000"                                       \
    "S\000\000\000\027in_hot_standby\000off\000"                                                   \
    "S\000\000\0002server_version\00015.18 (Debian 15.18-0+deb12u1)\000"                           \
    "K\000\000\000\014\000\000L\342\005\360\026_"
#define GREETING AUTH_OK PARAMETERS READY

#define AUTH_CLEARTEXT  "R\000\000\000\010\000\000\000\003"
#define AUTH_MD5        "R\000\000\000\014\000\000\000\005spD\010"
#define AUTH_GSS        "R\000\000\000\010\000\000\000\007"
#define AUTH_SASL       "R\000\000\000\027\000\000\000\012SCRAM-SHA-256\000\000"
#define AUTH_SASL_PLUS  "R\000\000\000*\000\000\000\012SCRAM-SHA-256-PLUS\000SCRAM-SHA-256\000\000"
#define AUTH_SASL_OTHER "R\000\000\000\025\000\000\000\012OAUTHBEARER\000\000"

#define SETS "C\000\000\000\010SET\000C\000\000\000\010SET\000"
#define DONE "C\000\000\000\015SELECT 1\000" READY
#define GROUP                                                                                      \
    SETS "T\000\000\000*\000\001system_identifier\000\000\000\000\000\000\000\000\000\000\024"     \
         "\000\010\377\377\377\377\000\000"                                                        \
         "D\000\000\000\035\000\001\000\000\000\0237710600071067284406" DONE

#define COLUMNS                                                                                    \
    "T\000\000\001\245\000\020"                                                                    \
    "pg_is_in_recovery\000\000\000\000\000\000\000\000\000\000\020\000\001\377\377\377\377\000"    \
    "\000?column?\000\000\000\000\000\000\000\000\000\006\244\377\377\377\377\377\377\000\000"     \
    "case\000\000\000\000\000\000\000\000\000\000\031\377\377\377\377\377\377\000\000"             \
    "case\000\000\000\000\000\000\000\000\000\000\031\377\377\377\377\377\377\000\000"             \
    "int8\000\000\000\000\000\000\000\000\000\000\024\000\010\377\377\377\377\000\000"             \
    "int8\000\000\000\000\000\000\000\000\000\000\024\000\010\377\377\377\377\000\000"             \
    "case\000\000\000\000\000\000\000\000\000\006\244\377\377\377\377\377\377\000\000"             \
    "case\000\000\000\000\000\000\000\000\000\000\024\000\010\377\377\377\377\000\000"             \
    "case\000\000\000\000\000\000\000\000\000\000\020\000\001\377\377\377\377\000\000"             \
    "pg_has_role\000\000\000\000\000\000\000\000\000\000\020\000\001\377\377\377\377\000\000"      \
    "pid\000\000\000/\314\000\001\000\000\000\027\000\004\377\377\377\377\000\000"                 \
    "status\000\000\000/\314\000\002\000\000\000\031\377\377\377\377\377\377\000\000"              \
    "sender_host\000\000\000/\314\000\015\000\000\000\031\377\377\377\377\377\377\000\000"         \
    "sender_port\000\000\000/\314\000\016\000\000\000\027\000\004\377\377\377\377\000\000"         \
    "received_tli\000\000\000/\314\000\007\000\000\000\027\000\004\377\377\377\377\000\000"        \
    "int8\000\000\000\000\000\000\000\000\000\000\024\000\010\377\377\377\377\000\000"
#define PRIMARY_ROW(sees)                                                                          \
    "D\000\000\000\205\000\020\000\000\000\001f\000\000\000\01050590200\000\000\000\030"           \
    "000000010000000000000003\377\377\377\377\000\000\000\0201795263977842986\000\000\000\015"     \
    "1795264602715\377\377\377\377\377\377\377\377\377\377\377\377\000\000\000\001" sees           \
    "\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377"     \
    "\377\377"
#define PRIMARY       SETS COLUMNS PRIMARY_ROW("t") DONE
#define PRIMARY_PLAIN SETS COLUMNS PRIMARY_ROW("f") DONE
#define PRIMARY_READ_ONLY                                                                          \
    SETS COLUMNS                                                                                   \
        "D\000\000\000\227\000\020\000\000\000\001f\000\000\000\01050680304\000\000\000\030"       \
        "000000010000000000000003\000\000\000\022configuration file\000\000\000\020"               \
        "1795263977842986\000\000\000\0151795264604696\377\377\377\377\377\377\377\377\377\377"    \
        "\377\377\000\000\000\001t\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377"    \
        "\377\377\377\377\377\377\377\377\377"                                                     \
        "C\000\000\000\015SELECT 1\000"                                                            \
        "S\000\000\000%default_transaction_read_only\000on\000" READY
#define STANDBY                                                                                    \
    SETS COLUMNS                                                                                   \
        "D\000\000\000\260\000\020\000\000\000\001t\000\000\000\01050590200\377\377\377\377\377"   \
        "\377\377\377\000\000\000\0201795263978995891\000\000\000\0151795264602727\000\000\000"    \
        "\01050590200\000\000\000\0151795264067977\000\000\000\001f\000\000\000\001t\000\000\000"  \
        "\00529725\000\000\000\011streaming\000\000\000\014/tmp/sockets\000\000\000\00555432\000"  \
        "\000\000\0011\000\000\000\0151795264592476" DONE
#define STANDBY_PLAIN                                                                              \
    SETS COLUMNS                                                                                   \
        "D\000\000\000\210\000\020\000\000\000\001t\000\000\000\01050590200\377\377\377\377\377"   \
        "\377\377\377\000\000\000\0201795263978995891\000\000\000\0151795264602738\000\000\000"    \
        "\01050590200\000\000\000\0151795264067977\000\000\000\001f\000\000\000\001f\000\000\000"  \
        "\00529725\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377"    \
        "\377" DONE

#define ERROR_HBA                                                                                  \
    "E\000\000\000\240SFATAL\000VFATAL\000C28000\000Mno pg_hba.conf entry for host "               \
    "\"127.0.0.1\", user \"nobody_here\", database \"postgres\", no encryption\000Fauth.c\000"     \
    "L544\000RClientAuthentication\000\000"
#define ERROR_DATABASE                                                                             \
    "E\000\000\000YSFATAL\000VFATAL\000C3D000\000Mdatabase \"nodb\" does not exist\000"            \
    "Fpostinit.c\000L948\000RInitPostgres\000\000"
#define ERROR_PASSWORD                                                                             \
    "E\000\000\000gSFATAL\000VFATAL\000C28P01\000Mpassword authentication failed for user "        \
    "\"md5user\"\000Fauth.c\000L334\000Rauth_failed\000\000"
#define ERROR_FULL                                                                                 \
    "E\000\000\000USFATAL\000VFATAL\000C53300\000Msorry, too many clients already\000Fproc.c\000"  \
    "L357\000RInitProcess\000\000"
#define ERROR_SHUTDOWN                                                                             \
    "E\000\000\000tSFATAL\000VFATAL\000C57P01\000Mterminating connection due to administrator "    \
    "command\000Fpostgres.c\000L3211\000RProcessInterrupts\000\000"
#define ERROR_TIMEOUT                                                                              \
    "E\000\000\000mSERROR\000VERROR\000C57014\000Mcanceling statement due to statement "           \
    "timeout\000Fpostgres.c\000L3319\000RProcessInterrupts\000\000"
#define HOT_STANDBY_OFF "S\000\000\000\027in_hot_standby\000off\000"

static inline void add_message(struct text *t, char type, const void *body, size_t len)
{
    char head[PGSQL_HEAD] = {type};
    pgsql_put32(head + 1, (uint32_t)len + 4);
    text_add_bytes(t, head, sizeof(head));
    text_add_bytes(t, body, len);
}

static inline void add_error(struct text *t, const char *severity, const char *code,
                             const char *message)
{
    struct text body = {0};
    text_add(&body, "S%s%cV%s%cC%s%cM%s%c", severity, 0, severity, 0, code, 0, message, 0);
    text_add_bytes(&body, "", 1);
    add_message(t, 'E', body.data, body.len);
    text_free(&body);
}

static inline void add_row(struct text *t, const char *const *values, size_t count)
{
    struct text body = {0};
    const char head[2] = {(char)(count >> 8), (char)count};
    text_add_bytes(&body, head, sizeof(head));
    for (size_t i = 0; i < count; i++) {
        char len[4];
        pgsql_put32(len, values[i] != NULL ? (uint32_t)strlen(values[i]) : UINT32_MAX);
        text_add_bytes(&body, len, sizeof(len));
        if (values[i] != NULL) {
            text_add_bytes(&body, values[i], strlen(values[i]));
        }
    }
    add_message(t, 'D', body.data, body.len);
    text_free(&body);
}

static inline bool same_role(const struct observation *a, const struct observation *b)
{
    const struct channel *c = &a->channels[0];
    const struct channel *d = &b->channels[0];
    return a->reach == b->reach && a->part == b->part && a->writable == b->writable &&
           a->channel_count == b->channel_count && strcmp(c->source, d->source) == 0 &&
           c->running == d->running && strcmp(a->identity, b->identity) == 0 &&
           strcmp(a->group, b->group) == 0 && a->term == b->term && a->position == b->position &&
           a->behind_ms == b->behind_ms && a->link_idle_ms == b->link_idle_ms &&
           strcmp(a->why, b->why) == 0;
}

#endif
