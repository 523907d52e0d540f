/* options.def as an array, and what each entry takes in words. */
#include "model/config_internal.h"

#include <inttypes.h>
#include <string.h>

const char *const section_words[SECTION_KINDS] = {"router", "frontend", "backend"};

/* Parsers and printers as functions of one type. */
#define OPTION_TYPE(name, ctype, storage, words)                                                   \
    static bool any_parse_##name(struct parse *p, void *member)                                    \
    {                                                                                              \
        return parse_##name(p, member);                                                            \
    }                                                                                              \
    static void any_print_##name(struct text *out, const void *member, size_t item)                \
    {                                                                                              \
        print_##name(out, member, item);                                                           \
    }                                                                                              \
    storage(name)
#define PLAIN(name)
#define OWNED(name)                                                                                \
    static void any_release_##name(void *member)                                                   \
    {                                                                                              \
        release_##name(member);                                                                    \
    }
#include "model/option_types.def"
#undef OPTION_TYPE
#undef PLAIN
#undef OWNED

enum type_number {
#define OPTION_TYPE(name, ctype, storage, words) TYPE_##name,
#include "model/option_types.def"
#undef OPTION_TYPE
};

#define FILES_OF(type)                                                                             \
    ((type) == TYPE_FILE || (type) == TYPE_SECRET_FILE ? FILES_ONE                                 \
     : (type) == TYPE_FILES                            ? FILES_MANY                                \
                                                       : FILES_NONE)

static const struct option_type types[] = {
#define PLAIN(name) NULL
#define OWNED(name) any_release_##name
#define OPTION_TYPE(name, ctype, storage, words)                                                   \
    [TYPE_##name] = {words,         any_parse_##name,           any_print_##name,                  \
                     storage(name), TYPE_##name == TYPE_SECRET, FILES_OF(TYPE_##name)},
#include "model/option_types.def"
#undef OPTION_TYPE
#undef PLAIN
#undef OWNED
};

#define STRUCT_ROUTER   struct router_config
#define STRUCT_FRONTEND struct frontend_config
#define STRUCT_BACKEND  struct backend_config

#define ENTRY(section, key_, type_, member, default_value, min_, max_, flags_, example_, help_,    \
              shared_)                                                                             \
    {.kind = SECTION_##section,                                                                    \
     .key = key_,                                                                                  \
     .type = &types[TYPE_##type_],                                                                 \
     .offset = offsetof(STRUCT_##section, member),                                                 \
     .default_ = default_value,                                                                    \
     .min = min_,                                                                                  \
     .max = max_,                                                                                  \
     .flags = flags_,                                                                              \
     .example = example_,                                                                          \
     .help = help_,                                                                                \
     .shared = shared_},

const struct option config_options[] = {
#define OPTION(...)        ENTRY(__VA_ARGS__, false)
#define OPTION_SHARED(...) ENTRY(__VA_ARGS__, true)
#include "model/options.def"
#undef OPTION
#undef OPTION_SHARED
};

const size_t config_option_count = ARRAY_LEN(config_options);

const struct option *config_find_option(enum section_kind kind, const char *key)
{
    for (size_t i = 0; i < config_option_count; i++) {
        if (config_options[i].kind == kind && strcmp(config_options[i].key, key) == 0) {
            return &config_options[i];
        }
    }
    return NULL;
}

void *config_member(const struct config *c, const struct option *o, size_t index)
{
    const char *section = NULL;
    switch (o->kind) {
    case SECTION_ROUTER:
        section = (const char *)&c->router;
        break;
    case SECTION_FRONTEND:
        section = (const char *)&c->frontends[index];
        break;
    case SECTION_BACKEND:
        section = (const char *)&c->backends[index];
        break;
    case SECTION_KINDS:
        break;
    }
    return section != NULL ? (void *)(section + o->offset) : NULL;
}

static void add_bound(struct text *out, const struct option *o, uint64_t bound)
{
    bool plain = o->type == &types[TYPE_COUNT] || o->type == &types[TYPE_COUNT_AUTO] ||
                 o->type == &types[TYPE_NUMBER];
    if (plain) {
        text_add(out, "%" PRIu64, bound);
    } else {
        print_DURATION(out, &bound, 0);
    }
}

void option_words(struct text *out, const struct option *o)
{
    const char *words = o->type->words;
    const char *range = strchr(words, '@');
    if (range == NULL) {
        text_add(out, "%s", words);
        return;
    }
    text_add(out, "%.*s", (int)(range - words), words);
    if (o->max > 0) {
        text_add(out, " from ");
        add_bound(out, o, o->min);
        text_add(out, " to ");
        add_bound(out, o, o->max);
    }
    text_add(out, "%s", range + 1);
}
