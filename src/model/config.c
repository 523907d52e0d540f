/* Loading: lines into sections, values into members; what is wrong is collected, not acted on. */
#include "model/config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/proto.h"

#define NO_SECTION ((size_t)-1)

struct loader {
    struct config *config;
    struct config_origin *origin; /* the config's */
    struct config_errors *errors;
    size_t section; /* the one at hand, index in origin->sections, or NO_SECTION */
    bool skipping;  /* what stands in a section that is none */
};

bool parse_PROTOCOL(struct parse *p, const struct proto **out)
{
    *out = proto_find(p->value);
    if (*out == NULL) {
        parse_expected(p, p->value);
    }
    return *out != NULL;
}

void print_PROTOCOL(struct text *out, const struct proto *const *value, size_t item)
{
    (void)item;
    text_add(out, "%s", *value != NULL ? (*value)->name : "");
}

/* Sections ---------------------------------------------------------------------------------- */

static void set_defaults(struct loader *l, enum section_kind kind, size_t index)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        if (o->kind != kind || o->default_[0] == '\0') {
            continue;
        }
        char *value = xstrdup(o->default_);
        struct parse p = {.errors = l->errors, .option = o, .value = value};
        o->type->parse(&p, config_member(l->config, o, index));
        free(value);
    }
}

static size_t add_frontend(struct loader *l, const char *name)
{
    struct config *c = l->config;
    size_t index = c->frontend_count++;
    c->frontends = xrealloc(c->frontends, c->frontend_count * sizeof(*c->frontends));
    c->frontends[index] = (struct frontend_config){.name = xstrdup(name), .index = index};
    set_defaults(l, SECTION_FRONTEND, index);
    return index;
}

static size_t add_backend(struct loader *l, const char *name)
{
    struct config *c = l->config;
    size_t index = c->backend_count++;
    c->backends = xrealloc(c->backends, c->backend_count * sizeof(*c->backends));
    c->backends[index] = (struct backend_config){.name = xstrdup(name), .index = index};
    set_defaults(l, SECTION_BACKEND, index);
    return index;
}

static const char *section_name(const struct config *c, const struct origin_section *s)
{
    switch (s->kind) {
    case SECTION_FRONTEND:
        return c->frontends[s->index].name;
    case SECTION_BACKEND:
        return c->backends[s->index].name;
    case SECTION_ROUTER:
    case SECTION_KINDS:
        break;
    }
    return "";
}

static const struct origin_section *find_section(const struct loader *l, enum section_kind kind,
                                                 const char *name)
{
    for (size_t i = 0; i < l->origin->section_count; i++) {
        const struct origin_section *s = &l->origin->sections[i];
        if (s->kind == kind && strcmp(section_name(l->config, s), name) == 0) {
            return s;
        }
    }
    return NULL;
}

static void add_section(struct loader *l, unsigned line, enum section_kind kind, const char *name)
{
    struct config_origin *o = l->origin;
    const struct origin_section *first = find_section(l, kind, name);
    struct origin_section s = {.kind = kind, .line = line, .repeated = first != NULL};
    if (first != NULL) {
        config_error(l->errors, line, "the section [%s%s%s] is there twice, first in line %u",
                     section_words[kind], *name != '\0' ? " " : "", name, first->line);
    }
    if (kind == SECTION_FRONTEND) {
        s.index = add_frontend(l, name);
    } else if (kind == SECTION_BACKEND) {
        s.index = add_backend(l, name);
    }
    o->sections = xrealloc(o->sections, (o->section_count + 1) * sizeof(*o->sections));
    o->sections[o->section_count] = s;
    l->section = o->section_count++;
}

/* The kind that `word` names. What is near is told, and taken for what it was meant to be, so that
 * no other error follows from this one. SECTION_KINDS if it is none. */
static enum section_kind find_kind(struct loader *l, unsigned line, const char *word)
{
    struct nearest near = {.word = word};
    for (size_t i = 0; i < SECTION_KINDS; i++) {
        if (strcmp(section_words[i], word) == 0) {
            return (enum section_kind)i;
        }
        nearest_try(&near, section_words[i]);
    }
    char shown[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    config_error(l->errors, line, "unknown section \"%s\"%s", config_shown(word, shown),
                 near.best != NULL ? nearest_words(&near, suggestion)
                                   : ": there are [router], [frontend NAME] and [backend NAME]");
    for (size_t i = 0; i < SECTION_KINDS; i++) {
        if (near.best == section_words[i]) {
            return (enum section_kind)i;
        }
    }
    return SECTION_KINDS;
}

static void open_section(struct loader *l, const struct config_line *line)
{
    char *name = line->name + strcspn(line->name, " \t");
    if (*name != '\0') {
        *name++ = '\0';
        name += strspn(name, " \t");
    }
    enum section_kind kind = find_kind(l, line->number, line->name);
    char shown[SHOWN_MAX];
    if (kind == SECTION_KINDS) {
        return; /* told by find_kind() */
    }
    if (kind == SECTION_ROUTER && *name != '\0') {
        config_error(l->errors, line->number, "[router] has no name, found \"%s\"",
                     config_shown(name, shown));
    } else if (kind != SECTION_ROUTER && *name == '\0') {
        config_error(l->errors, line->number, "[%s] needs a name: [%s NAME]", section_words[kind],
                     section_words[kind]);
    } else if (kind != SECTION_ROUTER && !config_name_valid(name)) {
        config_error(l->errors, line->number,
                     "bad name \"%s\": it has letters, digits, \"_\", \".\" and \"-\", at most %d "
                     "of them",
                     config_shown(name, shown), CONFIG_NAME_MAX);
    } else if (l->origin->section_count == CONFIG_LIST_MAX) {
        config_error(l->errors, line->number, "more than %d sections", CONFIG_LIST_MAX);
    } else {
        add_section(l, line->number, kind, name);
    }
}

/* Values ------------------------------------------------------------------------------------ */

static void record(struct loader *l, const struct origin_setting *s)
{
    struct config_origin *o = l->origin;
    o->settings = xrealloc(o->settings, (o->setting_count + 1) * sizeof(*o->settings));
    o->settings[o->setting_count++] = *s;
}

/* What was probably meant counts as there: no other error shall follow from this one. */
static void record_guess(struct loader *l, const struct option *o, unsigned line)
{
    struct origin_setting s = {.section = l->section, .option = o, .line = line, .guess = true};
    if (o != NULL) {
        record(l, &s);
    }
}

static void unknown_key(struct loader *l, const struct config_line *line, enum section_kind kind)
{
    struct nearest near = {.word = line->name};
    char shown[SHOWN_MAX];
    char suggestion[SUGGESTION_MAX];
    for (size_t i = 0; i < config_option_count; i++) {
        if (config_options[i].kind == kind) {
            nearest_try(&near, config_options[i].key);
        }
    }
    config_shown(line->name, shown);
    for (size_t i = 0; i < SECTION_KINDS; i++) {
        if (config_find_option((enum section_kind)i, line->name) != NULL) {
            config_error(l->errors, line->number,
                         "unknown key \"%s\" in a [%s] section, it belongs in a [%s] section",
                         shown, section_words[kind], section_words[i]);
            return;
        }
    }
    config_error(l->errors, line->number, "unknown key \"%s\"%s", shown,
                 nearest_words(&near, suggestion));
    if (near.best != NULL) {
        record_guess(l, config_find_option(kind, near.best), line->number);
    }
}

static bool may_be_empty(const struct option *o)
{
    return o->default_[0] == '\0' && (o->flags & (OPTION_REQUIRED | OPTION_REPEAT)) == 0;
}

/* Only a password may have any byte. */
static bool has_control_byte(const char *value)
{
    for (const unsigned char *p = (const unsigned char *)value; *p != '\0'; p++) {
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool store(struct loader *l, const struct option *o, size_t index, unsigned line,
                  char *value)
{
    struct parse p = {.errors = l->errors, .line = line, .option = o, .value = value};
    if (value[0] == '\0') {
        if (!may_be_empty(o)) {
            config_error(l->errors, line, "the value of \"%s\" is empty", o->key);
        }
        return false;
    }
    if (!o->type->secret && has_control_byte(value)) {
        parse_error(&p, value, ": it has a control byte");
        return false;
    }
    return o->type->parse(&p, config_member(l->config, o, index));
}

static void set_value(struct loader *l, const struct option *o, const struct config_line *line)
{
    const struct origin_section *in = &l->origin->sections[l->section];
    struct origin_setting s = {.section = l->section, .option = o, .line = line->number};
    bool repeats = (o->flags & OPTION_REPEAT) != 0;
    struct origin_setting *first =
        repeats ? NULL : origin_find(l->origin, o->kind, in->index, o->key);
    if (first != NULL && !first->guess) {
        config_error(l->errors, line->number, "\"%s\" is set twice, first in line %u", o->key,
                     first->line);
        return;
    }
    char *value = config_expand(line->value, &s.environment, l->errors, line->number);
    if (value != NULL) {
        s.ok = store(l, o, in->index, line->number, value);
        wipe(value, strlen(value));
        free(value);
    }
    if (first != NULL) {
        *first = s;
    } else {
        record(l, &s);
    }
}

static void take_pair(struct loader *l, const struct config_line *line)
{
    enum section_kind kind = l->origin->sections[l->section].kind;
    const struct option *o = config_find_option(kind, line->name);
    if (line->kind == LINE_BAD_PAIR) {
        record_guess(l, o, line->number);
    } else if (o != NULL) {
        set_value(l, o, line);
    } else {
        unknown_key(l, line, kind);
    }
}

static void take_line(struct loader *l, const struct config_line *line)
{
    bool section = line->kind == LINE_SECTION || line->kind == LINE_BAD_SECTION;
    if (section) {
        l->section = NO_SECTION;
        if (line->kind == LINE_SECTION) {
            open_section(l, line);
        }
        l->skipping = l->section == NO_SECTION;
        l->origin->skipped = l->origin->skipped || l->skipping;
    } else if (l->section != NO_SECTION) {
        take_pair(l, line);
    } else if (!l->skipping && line->kind == LINE_PAIR) {
        char shown[SHOWN_MAX];
        config_error(l->errors, line->number, "\"%s\" stands before the first [section]",
                     config_shown(line->name, shown));
    }
}

/* The whole --------------------------------------------------------------------------------- */

static struct config *load(const char *path, const char *data, size_t len,
                           struct config_errors *errors)
{
    struct config *c = xcalloc(1, sizeof(*c));
    c->references = 1;
    c->origin = xcalloc(1, sizeof(*c->origin));
    c->origin->path = xstrdup(path);
    struct loader l = {.config = c, .origin = c->origin, .errors = errors, .section = NO_SECTION};
    set_defaults(&l, SECTION_ROUTER, 0);
    struct config_lines lines;
    config_read(data, len, &lines, errors);
    for (size_t i = 0; i < lines.count; i++) {
        take_line(&l, &lines.items[i]);
    }
    config_lines_release(&lines);
    config_check(c, errors);
    return c;
}

int config_load_text(const char *path, const char *data, size_t len, struct config **out,
                     struct text *errors)
{
    struct config_errors found = {.path = path};
    struct config *c = load(path, data, len, &found);
    int rc = found.count > 0 ? -EINVAL : 0;
    config_errors_tell(&found, errors);
    config_errors_release(&found);
    if (rc != 0) {
        config_free(c);
        c = NULL;
    }
    *out = c;
    return rc;
}

int config_load(const char *path, struct config **out, struct text *errors)
{
    char *data;
    size_t len;
    *out = NULL;
    int rc = config_read_file(path, CONFIG_BYTES_MAX, &data, &len);
    if (rc == -EFBIG) {
        text_add(errors, "%s: the file is too large, at most %d bytes may be\n", path,
                 CONFIG_BYTES_MAX);
        return rc;
    }
    if (rc != 0) {
        text_add(errors, "%s: %s\n", path, strerror(-rc));
        return rc;
    }
    rc = config_load_text(path, data, len, out, errors);
    wipe(data, len);
    free(data);
    return rc;
}

static void release_members(struct config *c, enum section_kind kind, size_t index)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        if (o->kind == kind && !o->shared && o->type->release != NULL) {
            o->type->release(config_member(c, o, index));
        }
    }
}

static void release_frontend(struct config *c, size_t i)
{
    struct frontend_config *f = &c->frontends[i];
    if (f->owner != NULL) {
        config_free(f->owner);
        return;
    }
    release_members(c, SECTION_FRONTEND, i);
    free(f->name);
}

static void release_backend(struct config *c, size_t i)
{
    struct backend_config *b = &c->backends[i];
    if (b->owner != NULL) {
        release_SERVER(&b->servers);
        config_free(b->owner);
        return;
    }
    release_members(c, SECTION_BACKEND, i);
    free(b->name);
}

void config_set_maker(struct config *config, const struct config_maker *maker)
{
    config->origin->maker = maker;
}

const struct config_maker *config_maker(const struct config *config)
{
    return config->origin != NULL ? config->origin->maker : NULL;
}

const char *config_path(const struct config *config)
{
    return config->origin != NULL ? config->origin->path : NULL;
}

struct config *config_ref(struct config *config)
{
    config->references++;
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL || --config->references > 0) {
        return;
    }
    if (config->owner != NULL) {
        config_free(config->owner);
    } else {
        release_members(config, SECTION_ROUTER, 0);
    }
    for (size_t i = 0; i < config->frontend_count; i++) {
        release_frontend(config, i);
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        release_backend(config, i);
    }
    free(config->frontends);
    free(config->backends);
    origin_free(config->origin);
    free(config);
}

/* Where clients go -------------------------------------------------------------------------- */

size_t config_way_count(const struct frontend_config *f)
{
    return 1 + f->sni.count;
}

struct frontend_way config_way(const struct frontend_config *f, size_t i)
{
    return i == 0 ? (struct frontend_way){f->backend, f->route}
                  : (struct frontend_way){f->sni.items[i - 1].backend, f->sni.items[i - 1].route};
}

bool config_uses_backend(const struct frontend_config *f, size_t backend)
{
    bool found = false;
    for (size_t i = 0; i < config_way_count(f) && !found; i++) {
        found = config_way(f, i).backend == backend;
    }
    return found;
}

bool config_limits_by_address(const struct config *c)
{
    bool limits = false;
    for (size_t i = 0; i < c->frontend_count && !limits; i++) {
        const struct frontend_config *f = &c->frontends[i];
        limits = !f->gone && (f->max_sessions_per_ip > 0 || f->session_rate_per_ip > 0);
    }
    return limits;
}

const char *config_renamed(const void *renames, const char *command)
{
    const struct rename_list *list = renames;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, command) == 0) {
            return list->items[i].alias;
        }
    }
    return command;
}

bool config_pools_backend(const struct config *c, size_t backend)
{
    bool pools = false;
    for (size_t i = 0; i < c->frontend_count && !pools; i++) {
        const struct frontend_config *f = &c->frontends[i];
        pools = f->pool_mode != POOL_NONE && config_uses_backend(f, backend);
    }
    return pools;
}
