/* Sentinels that come and go with the addresses of their names. */
#include <stdlib.h>

#include "ctl/sentinel_state.h"
#include "model/config.h"
#include "model/discovery.h"
#include "net/loop.h"

/* A majority is counted of all of them. Sentinels that an orchestrator finds not ready, because
 * their machine is cut off, would be missing in the name's answers, and those that are left a
 * majority of themselves. */
#define REMEMBERED_MS 600000

static size_t present(const struct sentinels *s, size_t line)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        n += s->items[i] != NULL && s->items[i]->line == line;
    }
    return n;
}

size_t sentinels_absent(const struct sentinels *s, size_t line)
{
    size_t there = present(s, line);
    size_t wanted = s->lines[line].most > 0 ? s->lines[line].most : 1;
    return wanted > there ? wanted - there : 0;
}

size_t sentinels_count(const struct sentinels *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->setup.config->sentinels.count; i++) {
        n += present(s, i) + sentinels_absent(s, i);
    }
    return n;
}

static bool has_v4(const struct name_addresses *known)
{
    return known->count > 0 && known->items[0].address.sa.any.sa_family == AF_INET;
}

/* The address at `i` is one of a Sentinel; those of IPv6 are likely to be the same ones. */
static bool counts(const struct name_addresses *known, size_t i)
{
    return !has_v4(known) || known->items[i].address.sa.any.sa_family == AF_INET;
}

static bool is_known(const struct name_addresses *known, const struct address *at, unsigned port)
{
    bool found = false;
    for (size_t i = 0; i < known->count && !found; i++) {
        struct address a = address_with_port(&known->items[i].address, port);
        found = counts(known, i) && address_equal(&a, at);
    }
    return found;
}

static bool is_asked(const struct sentinels *s, const struct address *at)
{
    bool found = false;
    for (size_t i = 0; i < s->count && !found; i++) {
        found = s->items[i] != NULL && address_equal(&s->items[i]->address, at);
    }
    return found;
}

static bool follow_line(struct sentinels *s, size_t line, const struct name_addresses *known)
{
    const struct sentinel_config *config = &s->setup.config->sentinels.items[line];
    bool changed = false;
    for (size_t i = 0; i < s->count; i++) {
        const struct sentinel *one = s->items[i];
        if (one != NULL && one->line == line && !is_known(known, &one->address, config->port)) {
            sentinel_remove(s, i);
            changed = true;
        }
    }
    for (size_t i = 0; i < known->count; i++) {
        char text[ADDRESS_TEXT_MAX];
        struct address at = address_with_port(&known->items[i].address, config->port);
        if (counts(known, i) && !is_asked(s, &at)) {
            sentinel_add(s, line, &at, address_print(&at, text));
            changed = true;
        }
    }
    return changed;
}

static void remember(struct sentinels *s, size_t line)
{
    struct sentinel_line *l = &s->lines[line];
    uint64_t now = loop_now_ms(s->setup.loop);
    size_t there = present(s, line);
    if (there >= l->most || now - l->most_ms > REMEMBERED_MS) {
        l->most = there;
        l->most_ms = now;
    }
}

void sentinels_take_names(struct sentinels *s, sentinels_find_fn *find, const void *context)
{
    const struct sentinel_list *lines = &s->setup.config->sentinels;
    bool changed = false;
    for (size_t i = 0; i < lines->count; i++) {
        const char *host = lines->items[i].host;
        const struct name_addresses *known = host != NULL ? find(context, host) : NULL;
        if (known != NULL && known->count > 0) {
            changed = follow_line(s, i, known) || changed;
            remember(s, i);
        }
    }
    if (changed) {
        s->setup.events->on_change(s->setup.context);
    }
}
