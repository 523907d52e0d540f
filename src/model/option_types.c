/* Parsers and printers of single values; lists are in option_lists.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config_internal.h"

struct word {
    const char *text; /* of several with one value the first is printed */
    int value;
};

struct unit {
    const char *text;
    uint64_t factor;
};

void parse_error(struct parse *p, const char *text, const char *fmt, ...)
{
    char shown[SHOWN_MAX];
    char *why;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&why, fmt, args);
    va_end(args);
    config_error(p->errors, p->line, "bad value \"%s\" for \"%s\"%s", config_shown(text, shown),
                 p->option->key, len < 0 ? "" : why);
    if (len >= 0) {
        free(why);
    }
}

void parse_expected(struct parse *p, const char *text)
{
    struct text words = {0};
    option_words(&words, p->option);
    parse_error(p, text, ": expected %s", words.data);
    text_free(&words);
}

int parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    bool over = false;
    if (*text == '\0') {
        return -EINVAL;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -EINVAL;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        over = over || n > (UINT64_MAX - digit) / 10;
        n = over ? UINT64_MAX : n * 10 + digit;
    }
    if (n < min || n > max) {
        return -ERANGE;
    }
    *out = n;
    return 0;
}

static bool parse_word(struct parse *p, const struct word *words, size_t count, int *out)
{
    struct nearest near = {.word = p->value};
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i].text, p->value) == 0) {
            *out = words[i].value;
            return true;
        }
        if (words[i].text[0] > '9') { /* a number is not misspelt, it is another one */
            nearest_try(&near, words[i].text);
        }
    }
    if (near.best != NULL) {
        char suggestion[SUGGESTION_MAX];
        parse_error(p, p->value, "%s", nearest_words(&near, suggestion));
    } else {
        parse_expected(p, p->value);
    }
    return false;
}

static void print_word(struct text *out, const struct word *words, size_t count, int value)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].value == value) {
            text_add(out, "%s", words[i].text);
            return;
        }
    }
}

#define WORDS_TYPE(NAME, ctype, ...)                                                               \
    static const struct word words_##NAME[] = {__VA_ARGS__};                                       \
    bool parse_##NAME(struct parse *p, ctype *out)                                                 \
    {                                                                                              \
        int value = 0;                                                                             \
        bool ok = parse_word(p, words_##NAME, ARRAY_LEN(words_##NAME), &value);                    \
        *out = ok ? (ctype)value : *out;                                                           \
        return ok;                                                                                 \
    }                                                                                              \
    void print_##NAME(struct text *out, ctype const *value, size_t item)                           \
    {                                                                                              \
        (void)item;                                                                                \
        print_word(out, words_##NAME, ARRAY_LEN(words_##NAME), (int)*value);                       \
    }

WORDS_TYPE(BOOL, bool, {"yes", true}, {"no", false})
WORDS_TYPE(LOG_FORMAT, enum log_format, {"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON},
           {"haproxy", LOG_FORMAT_HAPROXY})
WORDS_TYPE(LOG_LEVEL, enum log_level, {"error", LOG_LEVEL_ERROR}, {"warn", LOG_LEVEL_WARN},
           {"info", LOG_LEVEL_INFO}, {"debug", LOG_LEVEL_DEBUG})
WORDS_TYPE(LOG_SESSIONS, enum log_sessions, {"no", LOG_SESSIONS_NO},
           {"errors", LOG_SESSIONS_ERRORS}, {"all", LOG_SESSIONS_ALL})
WORDS_TYPE(ROUTE, enum route, {"auto", ROUTE_AUTO}, {"primary", ROUTE_PRIMARY},
           {"master", ROUTE_PRIMARY}, {"replica", ROUTE_REPLICA}, {"slave", ROUTE_REPLICA},
           {"any", ROUTE_ANY}, {"split", ROUTE_SPLIT})
WORDS_TYPE(POOL_MODE, enum pool_mode, {"none", POOL_NONE}, {"session", POOL_SESSION},
           {"transaction", POOL_TRANSACTION})
WORDS_TYPE(FALLBACK, enum fallback, {"primary", FALLBACK_PRIMARY}, {"master", FALLBACK_PRIMARY},
           {"none", FALLBACK_NONE})
WORDS_TYPE(BALANCE, enum balance, {"round_robin", BALANCE_ROUND_ROBIN},
           {"least_connections", BALANCE_LEAST_CONNECTIONS}, {"ip_hash", BALANCE_IP_HASH},
           {"random", BALANCE_RANDOM}, {"first", BALANCE_FIRST})
WORDS_TYPE(CONFLICT, enum conflict, {"keep", CONFLICT_KEEP}, {"refuse", CONFLICT_REFUSE})
WORDS_TYPE(PROBE, enum probe_kind, {"auto", PROBE_AUTO}, {"connect", PROBE_CONNECT},
           {"off", PROBE_OFF})

WORDS_TYPE(PROBE_TLS, enum probe_tls, {"auto", PROBE_TLS_AUTO}, {"yes", PROBE_TLS_YES},
           {"no", PROBE_TLS_NO})
WORDS_TYPE(TLS_MODE, enum tls_mode, {"no", TLS_MODE_NO}, {"yes", TLS_MODE_YES},
           {"required", TLS_MODE_REQUIRED})
WORDS_TYPE(TLS_VERSION, enum tls_version, {"1.2", TLS_VERSION_1_2}, {"1.3", TLS_VERSION_1_3})
WORDS_TYPE(SEND_PROXY, enum send_proxy, {"no", SEND_PROXY_NO}, {"v1", SEND_PROXY_V1},
           {"v2", SEND_PROXY_V2})
WORDS_TYPE(MYSQL_TOPOLOGY, enum mysql_topology, {"auto", MYSQL_TOPOLOGY_AUTO},
           {"replication", MYSQL_TOPOLOGY_REPLICATION},
           {"group_replication", MYSQL_TOPOLOGY_GROUP_REPLICATION},
           {"galera", MYSQL_TOPOLOGY_GALERA})

/* Numbers ----------------------------------------------------------------------------------- */

/* `zero`: the word that stands for 0, or NULL. */
static bool parse_unsigned(struct parse *p, const char *zero, unsigned *out)
{
    uint64_t n = 0;
    bool is_zero = zero != NULL && strcmp(p->value, zero) == 0;
    if (!is_zero && parse_count(p->value, p->option->min, p->option->max, &n) != 0) {
        parse_expected(p, p->value);
        return false;
    }
    *out = (unsigned)n;
    return true;
}

static void print_unsigned(struct text *out, const char *zero, unsigned n)
{
    if (n == 0 && zero != NULL) {
        text_add(out, "%s", zero);
    } else {
        text_add(out, "%u", n);
    }
}

#define UNSIGNED_TYPE(NAME, zero)                                                                  \
    bool parse_##NAME(struct parse *p, unsigned *out)                                              \
    {                                                                                              \
        return parse_unsigned(p, zero, out);                                                       \
    }                                                                                              \
    void print_##NAME(struct text *out, const unsigned *value, size_t item)                        \
    {                                                                                              \
        (void)item;                                                                                \
        print_unsigned(out, zero, *value);                                                         \
    }

UNSIGNED_TYPE(COUNT, "none")
UNSIGNED_TYPE(COUNT_AUTO, "auto")
UNSIGNED_TYPE(NUMBER, NULL)

/* Durations and sizes ----------------------------------------------------------------------- */

#define SIZE_MAX_BYTES (UINT64_C(1) << 40)

static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"min", 60000},
};

static const struct unit sizes[] = {
    {"gb", 1 << 30}, {"mb", 1 << 20}, {"k", 1 << 10}, {"b", 1}, {"kb", 1 << 10}, {"g", 1 << 30},
};

/* "5s" by the units given. 0, -EINVAL, -ERANGE, or -ENOENT where the unit is none of these. */
static int parse_quantity(const char *text, const struct unit *units, size_t count, uint64_t min,
                          uint64_t max, uint64_t *out)
{
    char digits[24];
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len >= sizeof(digits)) {
        return len == 0 ? -EINVAL : -ERANGE;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text + len, units[i].text) != 0) {
            continue;
        }
        uint64_t n;
        if (parse_count(digits, 0, max / units[i].factor, &n) != 0 || n * units[i].factor < min) {
            return -ERANGE;
        }
        *out = n * units[i].factor;
        return 0;
    }
    return -ENOENT;
}

static bool only_digits(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0';
}

static bool parse_time(struct parse *p, const char *text, uint64_t *out)
{
    const struct option *o = p->option;
    if (strcmp(text, "0") == 0 && o->min == 0) {
        *out = 0;
        return true;
    }
    int rc = parse_quantity(text, durations, ARRAY_LEN(durations), o->min, o->max, out);
    if (rc == -ENOENT && only_digits(text)) {
        parse_error(p, text, ": it has no unit, write %ss or %sms", text, text);
    } else if (rc != 0) {
        parse_expected(p, text);
    }
    return rc == 0;
}

static void print_quantity(struct text *out, const struct unit *units, uint64_t n)
{
    while (units->factor > 1 && n % units->factor != 0) {
        units++;
    }
    text_add(out, "%" PRIu64 "%s", n / units->factor, units->text);
}

static void print_time(struct text *out, uint64_t ms)
{
    if (ms == 0) {
        text_add(out, "0s");
    } else {
        print_quantity(out, durations, ms);
    }
}

bool parse_DURATION(struct parse *p, uint64_t *out)
{
    return parse_time(p, p->value, out);
}

void print_DURATION(struct text *out, const uint64_t *value, size_t item)
{
    (void)item;
    print_time(out, *value);
}

bool parse_DURATION_NONE(struct parse *p, uint64_t *out)
{
    if (strcmp(p->value, "none") == 0) {
        *out = 0;
        return true;
    }
    return parse_time(p, p->value, out);
}

void print_DURATION_NONE(struct text *out, const uint64_t *value, size_t item)
{
    (void)item;
    if (*value == 0) {
        text_add(out, "none");
    } else {
        print_time(out, *value);
    }
}

bool parse_READ_YOUR_WRITES(struct parse *p, struct read_your_writes *out)
{
    struct read_your_writes window = {.offset = strcmp(p->value, "offset") == 0};
    bool ok = window.offset || parse_time(p, p->value, &window.ms);
    *out = ok ? window : *out;
    return ok;
}

void print_READ_YOUR_WRITES(struct text *out, const struct read_your_writes *value, size_t item)
{
    (void)item;
    if (value->offset) {
        text_add(out, "offset");
    } else {
        print_time(out, value->ms);
    }
}

bool parse_DEMOTION(struct parse *p, struct demotion *out)
{
    static const char drain[] = "drain";
    size_t word = strcspn(p->value, " \t");
    if (strcmp(p->value, "close") == 0) {
        *out = (struct demotion){0};
        return true;
    }
    if (word != strlen(drain) || memcmp(p->value, drain, word) != 0 || p->value[word] == '\0') {
        parse_expected(p, p->value);
        return false;
    }
    const char *time = p->value + word;
    return parse_time(p, time + strspn(time, " \t"), &out->drain_ms);
}

void print_DEMOTION(struct text *out, const struct demotion *value, size_t item)
{
    (void)item;
    text_add(out, value->drain_ms > 0 ? "drain " : "close");
    if (value->drain_ms > 0) {
        print_time(out, value->drain_ms);
    }
}

/* "10m" could be either, so it is neither. */
static bool ambiguous(const char *text)
{
    size_t len = strspn(text, "0123456789");
    return len > 0 && strcmp(text + len, "m") == 0;
}

bool parse_LAG(struct parse *p, struct lag_bound *out)
{
    const struct option *o = p->option;
    struct lag_bound lag = {0};
    if (ambiguous(p->value)) {
        parse_error(p, p->value, ": write %sin for minutes or %sb for megabytes", p->value,
                    p->value);
        return false;
    }
    bool none = strcmp(p->value, "none") == 0;
    int rc =
        none ? 0
             : parse_quantity(p->value, durations, ARRAY_LEN(durations), o->min, o->max, &lag.ms);
    if (rc == -ENOENT) {
        rc = parse_quantity(p->value, sizes, ARRAY_LEN(sizes), 1, SIZE_MAX_BYTES, &lag.bytes);
    }
    if (rc == -ENOENT && only_digits(p->value)) {
        parse_error(p, p->value, ": it has no unit, write %ss for seconds or %sb for bytes",
                    p->value, p->value);
    } else if (rc != 0) {
        parse_expected(p, p->value);
    }
    *out = rc == 0 ? lag : *out;
    return rc == 0;
}

void print_LAG(struct text *out, const struct lag_bound *value, size_t item)
{
    (void)item;
    if (value->bytes > 0) {
        print_quantity(out, sizes, value->bytes);
    } else if (value->ms == 0) {
        text_add(out, "none");
    } else if (value->ms % 60000 == 0 && value->ms % 3600000 != 0) {
        text_add(out, "%" PRIu64 "min", value->ms / 60000);
    } else {
        print_time(out, value->ms);
    }
}

/* Texts ------------------------------------------------------------------------------------- */

bool parse_TEXT(struct parse *p, char **out)
{
    free(*out);
    *out = xstrdup(p->value);
    return true;
}

void print_TEXT(struct text *out, char *const *value, size_t item)
{
    (void)item;
    text_add(out, "%s", *value != NULL ? *value : "");
}

void release_TEXT(char **value)
{
    free(*value);
    *value = NULL;
}

bool parse_SECRET(struct parse *p, char **out)
{
    return parse_TEXT(p, out);
}

void print_SECRET(struct text *out, char *const *value, size_t item)
{
    (void)item;
    text_add(out, "%s", *value != NULL ? "(set)" : "");
}

void release_SECRET(char **value)
{
    if (*value != NULL) {
        wipe(*value, strlen(*value));
    }
    release_TEXT(value);
}

bool parse_SECRET_FILE(struct parse *p, char **out)
{
    return parse_TEXT(p, out);
}

void print_SECRET_FILE(struct text *out, char *const *value, size_t item)
{
    print_TEXT(out, value, item);
}

void release_SECRET_FILE(char **value)
{
    release_TEXT(value);
}

bool parse_FILE(struct parse *p, char **out)
{
    return parse_TEXT(p, out);
}

void print_FILE(struct text *out, char *const *value, size_t item)
{
    print_TEXT(out, value, item);
}

void release_FILE(char **value)
{
    release_TEXT(value);
}
