/* Lists are in the order of the servers' names. */
#include "model/election_clause.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/election_authority.h"

void clause_add(struct words *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(w->text + w->len, ELECTION_REASON_MAX - w->len, fmt, args);
    va_end(args);
    w->len += n > 0 ? (size_t)n : 0;
    if (w->len > ELECTION_REASON_MAX - 1) {
        w->len = ELECTION_REASON_MAX - 1;
    }
}

struct words clause_open(struct verdict *out)
{
    return (struct words){.text = out->reason};
}

const char *clause_name(const struct ballot *b, int i)
{
    return b->in->servers[i].name;
}

const char *clause_incumbent(const struct ballot *b)
{
    return clause_name(b, b->memory->incumbent);
}

void clause_why(struct words *w, const struct observation *o)
{
    if (o->why[0] != '\0') {
        clause_add(w, " (%s)", o->why);
    }
}

const char *clause_whom(const struct observation *o)
{
    return o->follows[0] != '\0' ? o->follows : "another server";
}

static void add_answer(struct words *w, const struct observation *o)
{
    bool alone = o->part == PART_SOURCE && o->follows[0] == '\0';
    if (o->claim == CLAIM_REPLICA && (alone || o->part == PART_GALERA)) {
        clause_add(w, " takes no writes");
    } else if (o->claim == CLAIM_REPLICA && o->part == PART_GROUP) {
        clause_add(w, " is a secondary of its group");
    } else if (o->claim == CLAIM_REPLICA) {
        clause_add(w, " is a replica of %s", clause_whom(o));
    } else if (o->claim == CLAIM_PRIMARY && o->usable && o->barred) {
        clause_add(w, " is taken out by the operator");
    } else if (o->claim == CLAIM_PRIMARY) {
        clause_add(w,
                   o->usable ? " claims to be the primary" : " claims, but can take no writes now");
    } else if (o->part == PART_GROUP || o->part == PART_GALERA) {
        clause_add(w, " can take no writes now");
    } else {
        clause_add(w, " does not say its role");
    }
}

void clause_state(struct words *w, const struct ballot *b, int i)
{
    const struct observation *o = &b->in->seen[i];
    clause_add(w, "%s", clause_name(b, i));
    switch (o->reach) {
    case REACH_UNASKED:
        clause_add(w, " was not asked yet");
        break;
    case REACH_ANSWERED:
        add_answer(w, o);
        break;
    case REACH_SILENT:
        clause_add(w, " does not answer");
        break;
    case REACH_REFUSED:
        clause_add(w, " cannot be reached");
        break;
    case REACH_DENIED:
        clause_add(w, " cannot be asked");
        break;
    }
    clause_why(w, o);
}

size_t clause_names(struct words *w, const struct ballot *b,
                    bool (*pick)(const struct ballot *b, size_t i))
{
    size_t count = 0;
    int i = ballot_next(b, ELECTION_NOBODY, pick);
    while (i != ELECTION_NOBODY) {
        int next = ballot_next(b, i, pick);
        const char *before = next == ELECTION_NOBODY ? " and " : ", ";
        clause_add(w, "%s%s", count > 0 ? before : "", clause_name(b, i));
        count++;
        i = next;
    }
    return count;
}

bool clause_is_beside(const struct ballot *b, size_t i)
{
    return b->memory->incumbent != (int)i && ballot_says_primary(b, i);
}

/* "the Sentinels" -> "Sentinels"; others have no article. */
static const char *bare_name(const char *name)
{
    return strncmp(name, "the ", 4) == 0 ? name + 4 : name;
}

void clause_counted(struct words *w, const struct authority *a, unsigned count, const char *verb)
{
    clause_add(w, "%u of %u %s %s%s", count, a->total, bare_name(a->name), verb,
               count == 1 ? "s" : "");
}

void clause_named(struct words *w, const struct ballot *b, int i, const char *what)
{
    const struct authority *a = &b->in->authority;
    unsigned count = a->heard > 0 ? a->words[i] : 0;
    if (bare_name(a->name) != a->name) {
        clause_counted(w, a, count, "name");
        clause_add(w, " %s", what);
    } else {
        clause_add(w, "%s %s %s", a->name, count > 0 ? "names" : "does not name", what);
    }
}

bool clause_is_unheard(const struct ballot *b)
{
    return b->in->authority.total > 0 && b->in->authority.heard == 0;
}

void clause_authority(struct words *w, const struct ballot *b)
{
    int i = authority_choice(b);
    const char *title = b->in->authority.name;
    if (clause_is_unheard(b)) {
        clause_add(w, "; %s %s not heard", title, bare_name(title) != title ? "are" : "is");
    } else if (i != ELECTION_NOBODY && i != b->memory->incumbent) {
        clause_add(w, "; ");
        clause_named(w, b, i, clause_name(b, i));
    }
}

void clause_stray(struct words *w, const struct ballot *b, int i)
{
    if (i == ELECTION_NOBODY) {
        return;
    }
    const char *other = b->in->seen[i].follows;
    clause_add(w, "; %s follows another primary%s%s", clause_name(b, i), other[0] ? ", " : "",
               other);
}

/* In a Galera cluster all others could write, too. */
void clause_fenced(struct words *w, const struct ballot *b)
{
    if (b->memory->elected_part == PART_GALERA ||
        ballot_next(b, ELECTION_NOBODY, clause_is_beside) == ELECTION_NOBODY) {
        return;
    }
    clause_add(w, "; ");
    size_t count = clause_names(w, b, clause_is_beside);
    clause_add(w, count == 1 ? " still claims, fenced" : " still claim, fenced");
}
