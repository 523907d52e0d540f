/* What Sentinels say, for people: events and views. */
#include <stdio.h>
#include <string.h>

#include "ctl/events.h"
#include "ctl/sentinel_state.h"
#include "ctl/sentinel_watch.h"
#include "model/config.h"
#include "net/loop.h"

#define TOLD_REFILL_MS   30000 /* one more event each time this has passed */
#define CENSUS_SETTLE_MS 10000 /* Sentinels find each other in a few seconds */

/* Telling -------------------------------------------------------------------------------- */

/* A Sentinel that changes its mind with every answer does not fill the ring. */
static bool may_tell(const struct sentinels *s, struct sentinel *one)
{
    uint64_t now = loop_now_ms(s->setup.loop);
    uint64_t more = (now - one->refilled_ms) / TOLD_REFILL_MS;
    if (more > 0) {
        one->refilled_ms = now;
        one->may_tell = more < SENTINEL_TOLD_MAX - one->may_tell ? one->may_tell + (unsigned)more
                                                                 : SENTINEL_TOLD_MAX;
    }
    if (one->may_tell == 0) {
        return false;
    }
    one->may_tell--;
    return true;
}

/* One line for each change; that the reason of a silence changes is none. */
void sentinel_tell_word(const struct sentinels *s, struct sentinel *one, bool heard)
{
    const char *address = one->text;
    char text[sizeof one->told];
    const char *because = "";
    if (heard && one->server != NO_SERVER) {
        snprintf(text, sizeof text, "%s names %s", address,
                 s->setup.config->servers.items[one->server].name);
    } else if (heard) {
        snprintf(text, sizeof text, "%s names %s, which is no server of this backend", address,
                 one->names);
    } else if (one->failures == 0) {
        snprintf(text, sizeof text, "%s %s", address, one->why);
    } else if (one->failures >= s->setup.config->probe_fall) {
        snprintf(text, sizeof text, "%s is not heard", address);
        because = one->why;
    } else {
        return; /* it may be heard again the next time */
    }
    if (strcmp(text, one->told) == 0 || !may_tell(s, one)) {
        return;
    }
    events_add(s->setup.ring, s->setup.config->name, "sentinel", "%s%s%s", text,
               because[0] != '\0' ? ": " : "", because);
    memcpy(one->told, text, sizeof one->told);
}

static bool is_miscounted(const struct sentinels *s, const struct sentinel *one)
{
    return one->members > 0 && one->members != sentinels_count(s);
}

void sentinel_tell_census(const struct sentinels *s, struct sentinel *one)
{
    bool settled = loop_now_ms(s->setup.loop) - one->members_since_ms >= CENSUS_SETTLE_MS;
    if (!is_miscounted(s, one)) {
        one->told_members = 0;
    } else if (settled && one->told_members != one->members && may_tell(s, one)) {
        one->told_members = one->members;
        events_add(s->setup.ring, s->setup.config->name, "sentinel",
                   "%s knows of %u Sentinels of \"%s\", but %zu are configured: a majority is "
                   "counted of these",
                   one->text, one->members, s->setup.config->sentinel_master, sentinels_count(s));
    }
}

/* Views ------------------------------------------------------------------------------------- */

static void explain(const struct sentinels *s, const struct sentinel *one,
                    struct sentinel_view *view)
{
    const char *news = one->watch != NULL ? sentinel_watch_why(one->watch) : "";
    if (!view->heard) {
        snprintf(view->why, sizeof view->why, "%s",
                 one->why[0] != '\0' ? one->why : "was not asked yet");
    } else if (one->server == NO_SERVER) {
        snprintf(view->why, sizeof view->why, "names what is no server of this backend");
    } else if (is_miscounted(s, one)) {
        snprintf(view->why, sizeof view->why, "knows of %u Sentinels, but %zu are configured",
                 one->members, sentinels_count(s));
    } else if (!view->subscribed && news[0] != '\0') {
        snprintf(view->why, sizeof view->why, "tells no news: %.140s", news);
    }
}

static const struct sentinel *nth(const struct sentinels *s, size_t n)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i] != NULL && n-- == 0) {
            return s->items[i];
        }
    }
    return NULL;
}

/* Behind those that there are: those that there should be, by what their names stood for lately. */
static void view_absent(const struct sentinels *s, size_t n, struct sentinel_view *out)
{
    const struct sentinel_list *lines = &s->setup.config->sentinels;
    for (size_t i = 0; i < lines->count; i++) {
        size_t absent = sentinels_absent(s, i);
        if (n < absent) {
            out->address = lines->items[i].text;
            snprintf(out->why, sizeof out->why, "%s",
                     s->lines[i].most > 0 ? "its address is missing in what the name leads to now"
                                          : "its name is not resolved");
            return;
        }
        n -= absent;
    }
}

void sentinels_view(const struct sentinels *s, size_t i, struct sentinel_view *out)
{
    const struct sentinel *one = nth(s, i);
    *out = (struct sentinel_view){.address = ""};
    if (one == NULL) {
        size_t present = 0;
        while (nth(s, present) != NULL) {
            present++;
        }
        view_absent(s, i - present, out);
        return;
    }
    out->address = one->text;
    out->heard = sentinel_is_heard(s, one);
    out->subscribed = one->watch != NULL && sentinel_watch_is_subscribed(one->watch);
    if (out->heard && one->server != NO_SERVER) {
        snprintf(out->names, sizeof out->names, "%s",
                 s->setup.config->servers.items[one->server].name);
    } else if (out->heard) {
        memcpy(out->names, one->names, sizeof out->names);
    }
    explain(s, one, out);
}
