/* libFuzzer: whatever a file of HAProxy's holds, the whole import ends, with a verdict for every
 * line, and what it wrote can be read as a configuration. Files that it names are read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "import/import.h"
#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool promise)
{
    if (!promise) {
        abort();
    }
}

static size_t count(const char *text, const char *words)
{
    size_t n = 0;
    for (; (text = strstr(text, words)) != NULL; text += strlen(words)) {
        n++;
    }
    return n;
}

/* The number behind a key of the report. */
static size_t number(const char *report, const char *key)
{
    const char *at = strstr(report, key);
    need(at != NULL);
    return (size_t)strtoull(at + strlen(key), NULL, 10);
}

static void check_report(const struct import *i)
{
    struct text report = {0};
    import_report(i, true, &report);
    size_t told = number(report.data, "\"kept\": ") + number(report.data, "\"difference\": ") +
                  number(report.data, "\"not_needed\": ") + number(report.data, "\"lost\": ");
    need(told == count(report.data, "\n  {\"file\": "));
    need(import_lost(i) == (number(report.data, "\"lost\": ") > 0));
    text_free(&report);
}

static void check_text(const struct import *i)
{
    struct config *config;
    struct text errors = {0};
    const char *ini = import_text(i);
    int rc = config_load_text("router.ini", ini, strlen(ini), &config, &errors);
    need((rc == 0) == (errors.len == 0));
    /* Lines that are none would be of the import's own making. */
    need(rc == 0 || strstr(errors.data, "expected \"key = value\"") == NULL);
    need(rc == 0 || strstr(errors.data, "unknown key") == NULL);
    config_free(config);
    text_free(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import *i;
    struct text errors = {0};
    char *copy = malloc(size > 0 ? size : 1);
    need(copy != NULL);
    memcpy(copy, data, size);
    int rc = import_read_bytes("fuzz.cfg", copy, size, &i, &errors);
    free(copy);
    need((rc == 0) == (errors.len == 0));
    if (rc == 0) {
        check_report(i);
        check_text(i);
        import_free(i);
    }
    text_free(&errors);
    return 0;
}
