#include "ctl/typed_field.h"

#include <string.h>

#include "base/text.h"

/* Each word has its letter before it. */
static const char *word_of(char letter, const char *const *words)
{
    for (; *words != NULL; words++) {
        if ((*words)[0] == letter) {
            return *words + 1;
        }
    }
    return "Unknown";
}

static void add_tags(const char *tags, struct text *out)
{
    static const char *const origins[] = {"MMetric", "SStatus",  "KKey",
                                          "CConfig", "PProduct", NULL};
    static const char *const natures[] = {"GGauge",   "LLimit",    "MMax", "RRate",
                                          "CCounter", "DDuration", "aAvg", "OOutput",
                                          "AAge",     "NName",     NULL};
    static const char *const scopes[] = {"PProcess", "SService", NULL};
    text_add(out, "\"tags\":{\"origin\":\"%s\",\"nature\":\"%s\",\"scope\":\"%s\"}",
             word_of(tags[0], origins), word_of(tags[1], natures), word_of(tags[2], scopes));
}

void typed_field_json(const struct typed_field *f, const char *value, struct text *out)
{
    text_add(out, "\"field\":{\"pos\":%u,\"name\":\"%s\"},\"processNum\":1,", f->position, f->name);
    add_tags(f->tags, out);
    text_add(out, ",\"value\":{\"type\":\"%s\",\"value\":", f->type);
    if (strcmp(f->type, "str") == 0) {
        text_add_json(out, value);
    } else {
        text_add(out, "%s", value);
    }
    text_add(out, "}");
}

void typed_field_line(const struct typed_field *f, const char *value, struct text *out)
{
    text_add(out, "%u.%s.1:%s:%s:%s\n", f->position, f->name, f->tags, f->type, value);
}
