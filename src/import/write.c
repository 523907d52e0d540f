/* The plan as router.ini. Behind each option stands the line that it comes from; below the options
 * of a section, what became of the other lines. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/mem.h"
#include "import/keyword.h"
#include "import/plan.h"
#include "import/report.h"

#define COMMENT_COLUMN 40
#define COMMENT_WIDTH  96

static const struct {
    enum plan_kind kind;
    const char *key;
    bool shared; /* it is told among those of the key before it: their order counts */
} order[] = {
#define ROUTER                           PLAN_ROUTER
#define FRONTEND                         PLAN_FRONTEND
#define BACKEND                          PLAN_BACKEND
#define OPTION(section, key, ...)        {section, key, false},
#define OPTION_SHARED(section, key, ...) {section, key, true},
#include "model/options.def"
#undef ROUTER
#undef FRONTEND
#undef BACKEND
#undef OPTION
#undef OPTION_SHARED
};

/* Settings ------------------------------------------------------------------------------------- */

/* A reference whose variable is empty or not there now must not become an error by itself. */
static void write_reference(const struct reference *r, struct text *out)
{
    const char *now = getenv(r->name);
    if (r->otherwise != NULL) {
        text_add(out, "${%s:-%s}", r->name, r->otherwise);
    } else {
        text_add(out, now == NULL || now[0] == '\0' ? "${%s:-}" : "${%s}", r->name);
    }
}

static void write_bytes(const char *bytes, size_t len, bool quoted, struct text *out)
{
    for (size_t i = 0; i < len; i++) {
        if (quoted && (bytes[i] == '"' || bytes[i] == '\\')) {
            text_add(out, "\\");
        }
        text_add_bytes(out, &bytes[i], 1);
    }
}

static bool needs_quotes(const struct word *w)
{
    const char *t = w->text;
    bool edge = w->len > 0 && (t[0] == ' ' || t[0] == '"' || t[w->len - 1] == ' ');
    return edge || w->len == 0 || strpbrk(t, "\t;#") != NULL;
}

static void write_value(const struct word *w, struct text *out)
{
    bool quoted = needs_quotes(w) && w->reference_count == 0;
    size_t at = 0;
    text_add(out, "%s", quoted ? "\"" : "");
    for (size_t i = 0; i < w->reference_count; i++) {
        write_bytes(w->text + at, w->references[i].at - at, quoted, out);
        write_reference(&w->references[i], out);
        at = w->references[i].at + w->references[i].len;
    }
    write_bytes(w->text + at, w->len - at, quoted, out);
    text_add(out, "%s", quoted ? "\"" : "");
}

static void write_setting(const struct plan *p, const struct setting *setting, struct text *out)
{
    size_t start = out->len;
    text_add(out, "%s%s = ", setting->off ? "; " : "", setting->key);
    write_value(&setting->value, out);
    if (setting->line != NULL || setting->note != NULL) {
        size_t width = out->len - start;
        text_add(out, "%*s; ", width < COMMENT_COLUMN ? (int)(COMMENT_COLUMN - width) : 2, "");
        if (setting->line != NULL) {
            place_show(p->source, setting->line->place, out);
        }
        const char *between = setting->line != NULL && setting->note != NULL ? ": " : "";
        text_add(out, "%s%s", between, setting->note != NULL ? setting->note : "");
    }
    text_add(out, "\n");
}

/* Whether it is told at this place of the order. */
static bool stands_at(const struct setting *setting, size_t o)
{
    bool next = o + 1 < ARRAY_LEN(order) && order[o + 1].shared &&
                strcmp(setting->key, order[o + 1].key) == 0;
    return next || (!order[o].shared && strcmp(setting->key, order[o].key) == 0);
}

static void write_settings(const struct plan *p, const struct plan_section *section,
                           struct text *out)
{
    for (size_t o = 0; o < ARRAY_LEN(order); o++) {
        for (size_t i = 0; order[o].kind == section->kind && i < section->count; i++) {
            const struct setting *setting = &section->settings[i];
            if (stands_at(setting, o) && !plan_is_default(section, setting)) {
                write_setting(p, setting, out);
            }
        }
    }
}

/* What became of lines ---------------------------------------------------------------------------
 */

static void write_remarks(const struct plan *p, const struct line *l, struct text *out)
{
    for (const struct remark *r = l->remarks; r != NULL; r = r->next) {
        if (r->verdict < VERDICT_DIFFERENCE) {
            continue;
        }
        text_add(out, "; ");
        place_show(p->source, l->place, out);
        text_add(out, r->verdict == VERDICT_LOST ? ", LOST: " : ": ");
        line_show(l, out);
        text_add(out, "%s%s\n", r->words[0] != '\0' ? " - " : "", r->words);
    }
}

/* "; not needed: chroot (3), daemon (4)" in lines that are not too long. */
struct gathered {
    struct text *out;
    size_t width; /* of the line at hand; 0: none yet */
};

static void gather(const struct plan *p, struct gathered *g, const struct line *l)
{
    struct text item = {0};
    text_add(&item, "%s (", l->keyword != NULL ? l->keyword->name : l->words[0].text);
    place_show(p->source, l->place, &item);
    text_add(&item, ")");
    bool fits = g->width > 0 && g->width + item.len + 2 <= COMMENT_WIDTH;
    text_add(g->out, "%s%s", fits || g->width == 0 ? "" : ",\n;   ", fits ? ", " : "");
    if (g->width == 0) {
        text_add(g->out, "; not needed: ");
    }
    g->width = (fits ? g->width + 2 : g->width == 0 ? 14 : 4) + item.len;
    text_add_bytes(g->out, item.data, item.len);
    text_free(&item);
}

static void write_lines(const struct plan *p, struct section *const *sections, size_t count,
                        struct text *out)
{
    struct gathered g = {.out = out};
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sections[i]->count; k++) {
            write_remarks(p, sections[i]->lines[k], out);
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sections[i]->count; k++) {
            if (sections[i]->lines[k]->verdict == VERDICT_NOT_NEEDED) {
                gather(p, &g, sections[i]->lines[k]);
            }
        }
    }
    text_add(out, "%s", g.width > 0 ? "\n" : "");
}

/* ------------------------------------------------------------------------------------------------
 */

static void write_section(const struct plan *p, const struct plan_section *section,
                          struct text *out)
{
    static const char *const kinds[] = {[PLAN_FRONTEND] = "frontend ", [PLAN_BACKEND] = "backend "};
    struct text body = {0};
    write_settings(p, section, &body);
    write_lines(p, section->sources, section->source_count, &body);
    if (section->kind != PLAN_ROUTER) {
        text_add(out, "\n[%s%s]\n", kinds[section->kind], section->name);
    } else if (body.len > 0) {
        text_add(out, "\n[router]\n");
    }
    if (body.len > 0) {
        text_add_bytes(out, body.data, body.len);
        wipe(body.data, body.capacity); /* passwords are in it */
    }
    text_free(&body);
}

void plan_write(const struct plan *p, struct text *out)
{
    text_add(out,
             "; From HAProxy's configuration by `router import`; the numbers are its lines.\n");
    text_add(out, "; Other than there: %s.\n", REPORT_ALWAYS);
    write_section(p, &p->router, out);
    for (size_t i = 0; i < p->frontend_count; i++) {
        write_section(p, p->frontends[i], out);
    }
    for (size_t i = 0; i < p->backend_count; i++) {
        write_section(p, p->backends[i], out);
    }
}
