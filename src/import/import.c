#include "import/import.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "import/global.h"
#include "import/keyword.h"
#include "import/report.h"
#include "import/settle.h"

struct import {
    struct source source;
    struct text ini;
};

static void translate(struct import *i, const struct proxies *all)
{
    struct plan plan;
    struct parts parts;
    struct fronts fronts;
    plan_make(&i->source, &plan);
    parts_make(all, &plan, &parts);
    fronts_make(all, &parts, &fronts);
    parts_write(&parts);
    fronts_write(&fronts, &parts);
    global_write(&plan, all);
    stats_write(&plan, all, &parts);
    settle(&i->source, all, &parts, &plan);
    plan_write(&plan, &i->ini);
}

/* What was read becomes what is meant. */
static int finish(struct import *i, int rc, struct import **out)
{
    struct proxies all;
    if (rc == 0) {
        keywords_check(&i->source);
    }
    if (rc == 0 && i->source.error_count == 0) {
        rc = proxies_make(&i->source, &all);
    }
    if (rc != 0 || i->source.error_count > 0) {
        import_free(i);
        return -EINVAL;
    }
    translate(i, &all);
    *out = i;
    return 0;
}

int import_read(const char *const *paths, size_t count, struct import **out, struct text *errors)
{
    struct import *i = xcalloc(1, sizeof *i);
    return finish(i, source_read(&i->source, paths, count, errors), out);
}

int import_read_bytes(const char *path, const char *bytes, size_t len, struct import **out,
                      struct text *errors)
{
    struct import *i = xcalloc(1, sizeof *i);
    return finish(i, source_read_bytes(&i->source, path, bytes, len, errors), out);
}

void import_free(struct import *i)
{
    if (i == NULL) {
        return;
    }
    source_free(&i->source);
    if (i->ini.data != NULL) {
        wipe(i->ini.data, i->ini.capacity);
    }
    text_free(&i->ini);
    free(i);
}

const char *import_text(const struct import *i)
{
    return i->ini.data;
}

bool import_lost(const struct import *i)
{
    return report_count(&i->source, VERDICT_LOST) > 0;
}

void import_report(const struct import *i, bool json, struct text *out)
{
    if (json) {
        report_json(&i->source, out);
    } else {
        report_text(&i->source, out);
    }
}

void import_report_lost(const struct import *i, struct text *out)
{
    report_lost(&i->source, out);
}
