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

struct origin_setting *origin_find(const struct config_origin *o, enum section_kind kind,
                                   size_t index, const char *key)
{
    for (size_t i = 0; i < o->setting_count; i++) {
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
    for (size_t i = 0; i < o->setting_count; i++) {
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
