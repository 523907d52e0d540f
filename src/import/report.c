#include "import/report.h"

static const char *const names[] = {
    [VERDICT_NONE] = "lost", [VERDICT_NOT_NEEDED] = "not needed",
    [VERDICT_KEPT] = "kept", [VERDICT_DIFFERENCE] = "kept with a difference",
    [VERDICT_LOST] = "lost",
};

/* Each line in the order of the files: sections with their headers, then what .if left out. */
static void each_line(const struct source *s, void (*each)(void *context, const struct line *l),
                      void *context)
{
    for (size_t i = 0; i < s->section_count; i++) {
        each(context, s->sections[i]->header);
        for (size_t k = 0; k < s->sections[i]->count; k++) {
            each(context, s->sections[i]->lines[k]);
        }
    }
    for (size_t i = 0; i < s->skipped_count; i++) {
        each(context, s->skipped[i]);
    }
}

struct counting {
    enum verdict verdict;
    size_t count;
};

static void count_line(void *context, const struct line *l)
{
    struct counting *c = context;
    c->count += l->verdict == c->verdict;
}

size_t report_count(const struct source *s, enum verdict verdict)
{
    struct counting c = {.verdict = verdict};
    each_line(s, count_line, &c);
    return c.count;
}

/* Text --------------------------------------------------------------------------------------------
 */

struct printing {
    const struct source *source;
    enum verdict verdict;
    struct text *out;
};

static void print_line(void *context, const struct line *l)
{
    struct printing *p = context;
    if (l->verdict != p->verdict) {
        return;
    }
    text_add(p->out, "  %s:%zu: ", l->place.file, l->place.number);
    line_show(l, p->out);
    const char *before = "\n      ";
    for (const struct remark *r = l->remarks; r != NULL; r = r->next) {
        if (r->words[0] != '\0' && r->verdict == l->verdict) {
            text_add(p->out, "%s%s", before, r->words);
        }
    }
    text_add(p->out, "\n");
}

void report_text(const struct source *s, struct text *out)
{
    static const enum verdict order[] = {VERDICT_KEPT, VERDICT_NOT_NEEDED, VERDICT_DIFFERENCE,
                                         VERDICT_LOST};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct printing p = {.source = s, .verdict = order[i], .out = out};
        size_t count = report_count(s, order[i]);
        if (count > 0) {
            text_add(out, "%s (%zu):\n", names[order[i]], count);
            each_line(s, print_line, &p);
        }
    }
    text_add(out, "always: %s\n", REPORT_ALWAYS);
    text_add(out, "%zu kept, %zu kept with a difference, %zu not needed, %zu lost\n",
             report_count(s, VERDICT_KEPT), report_count(s, VERDICT_DIFFERENCE),
             report_count(s, VERDICT_NOT_NEEDED), report_count(s, VERDICT_LOST));
}

static void print_lost(void *context, const struct line *l)
{
    struct printing *p = context;
    for (const struct remark *r = l->remarks; r != NULL; r = r->next) {
        if (r->verdict == VERDICT_LOST) {
            text_add(p->out, "%s:%zu: lost: ", l->place.file, l->place.number);
            line_show(l, p->out);
            text_add(p->out, " - %s\n", r->words);
        }
    }
}

void report_lost(const struct source *s, struct text *out)
{
    struct printing p = {.source = s, .out = out};
    each_line(s, print_lost, &p);
}

/* JSON --------------------------------------------------------------------------------------------
 */

static const char *section_words(const struct line *l)
{
    return l->section != NULL ? l->section->header->words[0].text : "";
}

static void json_line(void *context, const struct line *l)
{
    struct printing *p = context;
    struct text shown = {0};
    line_show(l, &shown);
    text_add(p->out, "%s\n  {\"file\": ", p->verdict == VERDICT_NONE ? "" : ",");
    p->verdict = VERDICT_KEPT; /* not the first any more */
    text_add_json(p->out, l->place.file);
    text_add(p->out, ", \"line\": %zu, \"section\": ", l->place.number);
    text_add_json(p->out, section_words(l));
    text_add(p->out, ", \"name\": ");
    text_add_json(p->out, l->section != NULL ? l->section->name : "");
    text_add(p->out, ", \"directive\": ");
    text_add_json(p->out, shown.data != NULL ? shown.data : "");
    text_add(p->out, ", \"verdict\": ");
    text_add_json(p->out, names[l->verdict]);
    text_add(p->out, ", \"words\": [");
    const char *between = "";
    for (const struct remark *r = l->remarks; r != NULL; r = r->next) {
        if (r->words[0] != '\0') {
            text_add(p->out, "%s", between);
            text_add_json(p->out, r->words);
            between = ", ";
        }
    }
    text_add(p->out, "]}");
    text_free(&shown);
}

void report_json(const struct source *s, struct text *out)
{
    struct printing p = {.source = s, .verdict = VERDICT_NONE, .out = out};
    text_add(out, "{\"kept\": %zu, \"difference\": %zu, \"not_needed\": %zu, \"lost\": %zu,\n",
             report_count(s, VERDICT_KEPT), report_count(s, VERDICT_DIFFERENCE),
             report_count(s, VERDICT_NOT_NEEDED), report_count(s, VERDICT_LOST));
    text_add(out, " \"always\": \"%s\",\n \"lines\": [", REPORT_ALWAYS);
    each_line(s, json_line, &p);
    text_add(out, "]}\n");
}
