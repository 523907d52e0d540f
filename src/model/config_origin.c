#include "model/config_internal.h"

#include <stdlib.h>
#include <string.h>

const struct origin_section *origin_section(const struct config_origin *o, enum section_kind kind,
                                            size_t index)
{
    for (size_t i = 0; i < o->section_count; i++) {
        if (o->sections[i].kind == kind && o->sections[i].index == index) {
            return &o->sections[i];
        }
    }
    return NULL;
}

struct span {
    size_t begin;
    size_t end;
};

/* The first setting of that section, or of one behind it: they are in the order of their
 * sections. */
static size_t first_setting(const struct config_origin *o, size_t section)
{
    size_t low = 0;
    size_t high = o->setting_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (o->settings[middle].section < section) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Where its settings are; files that have a section twice may have them anywhere. */
static struct span settings_of(const struct config_origin *o, enum section_kind kind, size_t index)
{
    const struct origin_section *section = origin_section(o, kind, index);
    for (size_t i = 0; i < o->section_count; i++) {
        if (o->sections[i].repeated) {
            return (struct span){0, o->setting_count};
        }
    }
    if (section == NULL) {
        return (struct span){0, 0};
    }
    size_t at = (size_t)(section - o->sections);
    return (struct span){first_setting(o, at), first_setting(o, at + 1)};
}

struct origin_setting *origin_find(const struct config_origin *o, enum section_kind kind,
                                   size_t index, const char *key)
{
    struct span span = settings_of(o, kind, index);
    for (size_t i = span.begin; i < span.end; i++) {
        struct origin_setting *s = &o->settings[i];
        const struct origin_section *in = &o->sections[s->section];
        if (in->kind == kind && in->index == index && strcmp(s->option->key, key) == 0) {
            return s;
        }
    }
    return NULL;
}

const struct origin_setting *origin_item(const struct config_origin *o, const struct option *option,
                                         size_t index, size_t item)
{
    struct span span = settings_of(o, option->kind, index);
    for (size_t i = span.begin; i < span.end; i++) {
        const struct origin_setting *s = &o->settings[i];
        const struct origin_section *in = &o->sections[s->section];
        bool same = in->kind == option->kind && in->index == index && s->ok &&
                    s->option->offset == option->offset;
        if (same && item-- == 0) {
            return s;
        }
    }
    return NULL;
}

unsigned origin_item_line(const struct config_origin *o, enum section_kind kind, size_t index,
                          const char *key, size_t item)
{
    const struct origin_setting *s = origin_item(o, config_find_option(kind, key), index, item);
    return s != NULL ? s->line : 0;
}

void origin_free(struct config_origin *o)
{
    if (o == NULL) {
        return;
    }
    free(o->path);
    free(o->sections);
    free(o->settings);
    free(o);
}
