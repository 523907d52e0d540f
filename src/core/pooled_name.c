/* The name that a client gives to its connection: it is kept here, and no link keeps it, because
 * others would be told it (CLIENT GETNAME in a transaction). The server decides whether it is one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pooled.h"
#include "core/session.h"

void pooled_say_name(struct pooled *p)
{
    char head[32];
    if (p->name == NULL) {
        pooled_say(p, p->identity.resp == 3 ? "_\r\n" : "$-1\r\n");
        return;
    }
    snprintf(head, sizeof head, "$%zu\r\n", strlen(p->name));
    pooled_say(p, head);
    pooled_say(p, p->name);
    pooled_say(p, "\r\n");
}

/* Without memory it has none. */
static void set_name(char **name, const char *word, size_t len)
{
    free(*name);
    *name = malloc(len + 1);
    if (*name != NULL) {
        memcpy(*name, word, len);
        (*name)[len] = '\0';
    }
}

/* Which word of the command is the name: of CLIENT SETNAME name, or HELLO ... SETNAME name. 0: none
 * is. */
static unsigned name_at(const struct redis_request *r, const char *first, enum redis_kind kind)
{
    if (kind == REDIS_SETNAME) {
        return r->word_count > 2 ? 2 : 0;
    }
    for (unsigned i = 2; kind == REDIS_HELLO && i + 1U < r->word_count; i++) {
        if (redis_word_is(r, first, i, "AUTH")) {
            i += 2;
        } else if (redis_word_is(r, first, i, "SETNAME")) {
            return i + 1;
        }
    }
    return 0;
}

/* The link on which the command at `sent` goes is to have no name. False: out of memory. */
bool pooled_unname(struct pooled *p)
{
    const char *words[] = {"CLIENT", "SETNAME", ""};
    bool names = name_at(&p->request, pooled_command(p), (enum redis_kind)p->kind) > 0;
    return !names || p->session_mode || p->multi_sent || link_ask(p->link, STEP_TOUCH, words, 3);
}

bool pooled_name_link(struct pooled *p)
{
    const char *words[] = {"CLIENT", "SETNAME", p->name};
    if (p->session_mode || p->name == NULL || p->link->named) {
        return true;
    }
    p->link->named = true;
    return link_ask(p->link, STEP_TOUCH, words, 3);
}

/* What Redis takes for one (validateClientName()). */
static bool is_name(const char *name)
{
    while (*name >= '!' && *name <= '~') {
        name++;
    }
    return *name == '\0';
}

static void take_name(struct pooled *p, char *name)
{
    free(p->name);
    p->name = name != NULL && *name != '\0' ? name : NULL;
    if (p->name == NULL) {
        free(name);
    }
}

void pooled_named(struct pooled *p, const struct flight *f)
{
    const char *first = p->bytes + p->head;
    struct redis_request r = {0};
    size_t used;
    const char *why;
    if (redis_request_feed(&r, first, p->len - p->head, &used, &why) != REDIS_WHOLE) {
        return;
    }
    unsigned at = name_at(&r, first, (enum redis_kind)f->kind);
    if (at == 0) {
        return;
    }
    set_name(&p->next_name, first + r.words[at].at, r.words[at].len);
    if ((f->flags & FLIGHT_QUEUED) == 0) {
        take_name(p, p->next_name);
        p->next_name = NULL;
    }
}

void pooled_named_at_exec(struct pooled *p, const struct flight *f, const struct redis_reply *r)
{
    static const size_t nothing = sizeof "*-1\r\n" - 1;
    if (p->next_name == NULL || (f->kind != REDIS_EXEC && f->kind != REDIS_DISCARD)) {
        return;
    }
    if (f->kind == REDIS_EXEC && r->type == '*' && r->len != nothing && is_name(p->next_name)) {
        take_name(p, p->next_name);
    } else {
        free(p->next_name);
    }
    p->next_name = NULL;
}

void pooled_forget_name(struct pooled *p)
{
    free(p->name);
    free(p->next_name);
    p->name = NULL;
    p->next_name = NULL;
}
