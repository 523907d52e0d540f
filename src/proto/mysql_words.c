/* The numbers are those of MySQL's "Server Error Message Reference" and of MariaDB's "Error
 * Codes", which agree up to 1999. Wrong passwords are never quoted: the words of ours say it all.
 */
#include "proto/mysql_words.h"

#include <stdio.h>
#include <string.h>

struct meaning {
    unsigned code;
    enum reach reach;
    const char *why;
};

static const struct meaning at_login[] = {
    {1040, REACH_DENIED, "has no connection left (max_connections)"},
    {1042, REACH_DENIED, "cannot look up our address (skip_name_resolve)"},
    {1044, REACH_DENIED, "does not let the probe's user into probe_database"},
    {1045, REACH_DENIED, "does not accept the probe's user and password"},
    {1049, REACH_DENIED, "has no such probe_database"},
    {1053, REACH_REFUSED, "is shutting down"},
    {1129, REACH_DENIED,
     "has blocked our address after connections that broke (max_connect_errors): FLUSH HOSTS there,"
     " or TRUNCATE performance_schema.host_cache"},
    {1130, REACH_DENIED, "has no account for the probe's user at our address"},
    {1203, REACH_DENIED, "lets the probe's user have no more connections (max_user_connections)"},
    {1226, REACH_DENIED, "lets the probe's user have no more (its account's resource limits)"},
    {1251, REACH_DENIED, "wants a login of before MySQL 4.1 (old_passwords)"},
    {1275, REACH_DENIED, "wants a login of before MySQL 4.1 (old_passwords)"},
    {1524, REACH_DENIED, "has not loaded the plugin of the probe's account"},
    {1698, REACH_DENIED, "does not accept the probe's user and password"},
    {1820, REACH_DENIED, "lets the probe's user do nothing before its expired password is changed"},
    {1862, REACH_DENIED, "says that the password of the probe's user has expired"},
    {3032, REACH_REFUSED, "is in offline_mode"},
    {3118, REACH_DENIED, "has locked the account of the probe's user"},
    {3159, REACH_DENIED, "takes TLS only (require_secure_transport): probe_tls = yes"},
    {3955, REACH_DENIED, "has locked the account of the probe's user after wrong passwords"},
    {4150, REACH_DENIED, "has blocked the probe's user after wrong passwords: FLUSH PRIVILEGES"},
    {4151, REACH_DENIED, "has locked the account of the probe's user"},
    {6400, REACH_REFUSED, "is in offline_mode"},
};

/* MariaDB and MySQL number some of them differently. */
static const struct meaning at_question[] = {
    {1053, REACH_REFUSED, "is shutting down"},
    {1158, REACH_REFUSED, "ended the probe's session"},
    {1159, REACH_REFUSED, "ended the probe's session"},
    {1160, REACH_REFUSED, "ended the probe's session"},
    {1161, REACH_REFUSED, "ended the probe's session"},
    {1205, REACH_SILENT, "did not answer in time (locks)"},
    {1226, REACH_DENIED, "lets the probe's user ask no more (its account's resource limits)"},
    {1317, REACH_SILENT, "did not answer in time (the statement was killed)"},
    {1820, REACH_DENIED, "lets the probe's user do nothing before its expired password is changed"},
    {1927, REACH_REFUSED, "ended the probe's session"},
    {1969, REACH_SILENT, "did not answer in time (max_statement_time)"},
    {3024, REACH_SILENT, "did not answer in time (max_execution_time)"},
    {3032, REACH_REFUSED, "is in offline_mode"},
    {3169, REACH_REFUSED, "ended the probe's session"},
    {4031, REACH_REFUSED, "ended the probe's session (wait_timeout)"},
};

static const struct meaning *find(const struct meaning *table, size_t count, unsigned code)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].code == code) {
            return &table[i];
        }
    }
    return NULL;
}

const char *mysql_quote(char out[PROBE_QUOTE_MAX], struct mysql_text text, const char *secret)
{
    char copy[PROBE_QUOTE_MAX];
    out[0] = '\0';
    bool tells = secret != NULL && secret[0] != '\0' && text.len > 0 &&
                 memmem(text.data, text.len, secret, strlen(secret)) != NULL;
    if (tells || text.len == 0) {
        return out;
    }
    size_t len = text.len < sizeof copy - 1 ? text.len : sizeof copy - 1;
    for (size_t i = 0; i < len; i++) {
        copy[i] = (char)(text.data[i] == '\0' ? '?' : text.data[i]);
    }
    copy[len] = '\0';
    return probe_quote(out, copy, NULL);
}

enum probe_step mysql_login_refused(struct observation *o, const struct mysql_error *e,
                                    const struct mysql_account *who)
{
    bool wrong = e->code == 1045 || e->code == 1698;
    if (wrong && (who->password == NULL || who->password[0] == '\0')) {
        return probe_fail(o, REACH_DENIED, "asks for a password: probe_user and probe_password");
    }
    const struct meaning *m = find(at_login, ARRAY_LEN(at_login), e->code);
    if (m != NULL) {
        return probe_fail(o, m->reach, "%s", m->why);
    }
    char words[PROBE_QUOTE_MAX];
    mysql_quote(words, e->text, who->password);
    return probe_fail(o, REACH_DENIED, "refuses the probe's login with error %u%s%.80s", e->code,
                      words[0] != '\0' ? ": " : "", words);
}

enum probe_step mysql_question_refused(struct observation *o, const struct mysql_error *e,
                                       const struct mysql_account *who, const char *statement,
                                       const char *grant)
{
    bool denied = e->code == MYSQL_ER_NEEDS_PRIVILEGE || e->code == MYSQL_ER_TABLE_DENIED;
    if (denied && grant != NULL) {
        char name[PROBE_QUOTE_MAX];
        struct mysql_text user = {who->user, who->user != NULL ? strlen(who->user) : 0};
        mysql_quote(name, user, who->password);
        return probe_fail(o, REACH_DENIED, "%s is refused: GRANT %s TO '%.40s'@'...'", statement,
                          grant, name);
    }
    const struct meaning *m = find(at_question, ARRAY_LEN(at_question), e->code);
    if (m != NULL) {
        return probe_fail(o, m->reach, "%s", m->why);
    }
    char words[PROBE_QUOTE_MAX];
    mysql_quote(words, e->text, who->password);
    return probe_fail(o, REACH_DENIED, "answers %s with error %u%s%.80s", statement, e->code,
                      words[0] != '\0' ? ": " : "", words);
}
