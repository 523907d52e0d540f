/* The files that are read again while the router runs, and what of them is secret. */
#include "model/config_internal.h"

struct walk {
    void (*each)(void *context, const char *path);
    void *context;
};

static void visit(const struct walk *w, const struct option *o, const void *member)
{
    if (o->type->files == FILES_MANY) {
        const struct text_list *list = member;
        for (size_t i = 0; i < list->count; i++) {
            w->each(w->context, list->items[i]);
        }
    } else if (o->type->files == FILES_ONE) {
        const char *path = *(char *const *)member;
        if (path != NULL) {
            w->each(w->context, path);
        }
    }
}

void config_each_file(const struct config *c, void (*each)(void *context, const char *path),
                      void *context)
{
    const size_t counts[SECTION_KINDS] = {1, c->frontend_count, c->backend_count};
    struct walk w = {each, context};
    const struct config_maker *maker = c->origin->maker;
    for (size_t i = 0; maker != NULL && i < maker->path_count; i++) {
        each(context, maker->paths[i]);
    }
    if (maker == NULL) {
        each(context, c->origin->path);
    }
    for (size_t i = 0; i < config_option_count; i++) {
        const struct option *o = &config_options[i];
        for (size_t j = 0; j < counts[o->kind]; j++) {
            visit(&w, o, config_member(c, o, j));
        }
    }
}

bool config_knows_secrets(const struct config *c)
{
    bool knows = c->router.admin_password != NULL;
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct backend_config *b = &c->backends[i];
        knows = knows || b->probe_password != NULL || b->sentinel_password != NULL ||
                b->tls_cert != NULL;
    }
    for (size_t i = 0; i < c->frontend_count; i++) {
        knows = knows || c->frontends[i].tls_certs.count > 0;
    }
    return knows;
}
