/* tcp-check scripts that talk to other databases, or to what answers for them. */
#include <string.h>

#include "import/check_internal.h"

/* The words of mysqlchk and its kin: "MySQL Cluster Node is running", "master is running". */
static bool is_verdict(const char *text)
{
    return strcasestr(text, "is running") != NULL || strcasestr(text, "synced") != NULL ||
           strcasestr(text, "is master") != NULL || strcasestr(text, "is slave") != NULL;
}

static const struct step *find_verdict(const struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct step *step = &script->items[i];
        bool known = step->kind == STEP_EXPECT && step->clear && !step->negated &&
                     (step->match == MATCH_TEXT || step->match == MATCH_PATTERN);
        if (known && is_verdict(step->data.text)) {
            return step;
        }
    }
    return NULL;
}

bool check_mysql_words(struct understanding *u)
{
    const struct step *step = find_verdict(&u->script);
    if (step == NULL) {
        return false;
    }
    script_take_connect(u, NULL);
    unsigned port = u->out->port != 0 ? u->out->port : u->around.check_port;
    if (!u->around.mysql && port != 9200) {
        return false;
    }
    u->out->wants = check_words(step->data.text);
    bool cluster = strcasestr(step->data.text, "cluster") != NULL ||
                   strcasestr(step->data.text, "synced") != NULL;
    u->out->kind =
        cluster && u->out->wants == CHECK_WANTS_ANY ? CHECK_CLUSTERCHECK : CHECK_MYSQL_ROLE;
    script_mark(u, VERDICT_KEPT, NULL);
    return true;
}

/* Whether any of it is sent, however it is cut in pieces. */
static bool sends(struct understanding *u, const char *text)
{
    struct exchange e;
    for (size_t at = 0; exchange_next(u, &at, &e);) {
        if (e.clear && memmem(e.sent.text, e.sent.len, text, strlen(text)) != NULL) {
            return true;
        }
    }
    return false;
}

/* PostgreSQL, protocol 3: the script asks pg_is_in_recovery(), and the last thing that it expects
 * is the one byte of the answer. Source: PostgreSQL's documentation, "Message Formats". */
bool check_pgsql_query(struct understanding *u)
{
    static const char query[] = "pg_is_in_recovery";
    const struct step *last = NULL;
    for (size_t i = 0; i < u->script.count; i++) {
        const struct step *step = &u->script.items[i];
        if (step->kind == STEP_EXPECT && step->clear && step->data.len > 0 && !step->negated) {
            last = step;
        }
    }
    if (last == NULL || !sends(u, query)) {
        return false;
    }
    char answer = last->data.text[last->data.len - 1];
    if (answer != 't' && answer != 'f') {
        return false;
    }
    script_take_connect(u, NULL);
    u->out->kind = CHECK_PGSQL_LOGIN;
    u->out->wants = answer == 'f' ? CHECK_WANTS_PRIMARY : CHECK_WANTS_REPLICA;
    script_mark(u, VERDICT_KEPT, NULL);
    return true;
}
