#include "model/catch_up.h"

#include <stdio.h>
#include <string.h>

static size_t kept(const struct catch_up *c)
{
    return c->count < CATCH_UP_SAMPLES ? c->count : CATCH_UP_SAMPLES;
}

static bool has_history(const struct observation *o)
{
    return o->reach == REACH_ANSWERED && o->part == PART_LINEAGE && o->lineage.id[0] != '\0';
}

void catch_up_lead(struct catch_up *c, int primary, const struct observation *o)
{
    if (!has_history(o) || o->claim != CLAIM_PRIMARY) {
        return;
    }
    size_t last = (c->count + CATCH_UP_SAMPLES - 1) % CATCH_UP_SAMPLES;
    bool same = c->count > 0 && c->primary == primary && strcmp(c->history, o->lineage.id) == 0 &&
                c->samples[last].offset <= o->lineage.offset;
    if (!same) {
        *c = (struct catch_up){.primary = primary, .turn = c->turn + 1};
        snprintf(c->history, sizeof c->history, "%s", o->lineage.id);
    }
    if (!same || c->samples[last].offset != o->lineage.offset) {
        last = c->count++ % CATCH_UP_SAMPLES;
    }
    c->samples[last].asked_ms = o->asked_ms;
    c->samples[last].offset = o->lineage.offset;
}

void catch_up_forget(struct follower *f)
{
    *f = (struct follower){0};
}

void catch_up_refresh(const struct catch_up *c, struct follower *f)
{
    if (f->turn != c->turn || strcmp(f->history, c->history) != 0) {
        f->turn = c->turn;
        f->caught_up_ms = 0;
    }
    if (!f->known || strcmp(f->history, c->history) != 0) {
        return;
    }
    for (size_t i = 1; i <= kept(c); i++) {
        size_t at = (c->count - i) % CATCH_UP_SAMPLES;
        if (c->samples[at].offset <= f->offset) {
            bool news = c->samples[at].asked_ms > f->caught_up_ms;
            f->caught_up_ms = news ? c->samples[at].asked_ms : f->caught_up_ms;
            return;
        }
    }
}

/* A replica that was only too slow to answer is what it was; one that was lost may be back with
 * what it had on its disk. */
void catch_up_follow(const struct catch_up *c, struct follower *f, const struct observation *o)
{
    if (o->reach == REACH_SILENT || o->reach == REACH_DENIED) {
        return;
    }
    if (!has_history(o) || o->claim != CLAIM_REPLICA || !o->link_up || o->syncing) {
        catch_up_forget(f);
        return;
    }
    bool goes_on =
        f->known && strcmp(f->history, o->lineage.id) == 0 && f->offset <= o->lineage.offset;
    if (!goes_on) {
        catch_up_forget(f);
    }
    f->known = true;
    snprintf(f->history, sizeof f->history, "%s", o->lineage.id);
    f->offset = o->lineage.offset;
    catch_up_refresh(c, f);
}
