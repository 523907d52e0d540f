/* Each value goes in whole or cut, with what closes it; a field for which there is no room is left
 * out. So a line is valid however long its words were. */
#include "base/log_line.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define FACILITY_LOCAL0 (16 << 3) /* RFC 3164, section 4.1.1 */
#define ROOM_TO_CLOSE   3         /* a quote, a brace, the end of the line */

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static const int severities[] = {
    [LOG_LEVEL_ERROR] = 3,
    [LOG_LEVEL_WARN] = 4,
    [LOG_LEVEL_INFO] = 6,
    [LOG_LEVEL_DEBUG] = 7,
};

/* As wide as those that HAProxy writes to a terminal. */
static const char *const notices[] = {
    [LOG_LEVEL_ERROR] = "[ALERT]    ",
    [LOG_LEVEL_WARN] = "[WARNING]  ",
    [LOG_LEVEL_INFO] = "[NOTICE]   ",
    [LOG_LEVEL_DEBUG] = "[DEBUG]    ",
};

static size_t room(const struct log_line *l)
{
    size_t end = sizeof l->data - ROOM_TO_CLOSE;
    return l->len < end ? end - l->len : 0;
}

/* All of it, or nothing. */
static bool put(struct log_line *l, const char *text, size_t len)
{
    if (len > room(l)) {
        return false;
    }
    memcpy(l->data + l->len, text, len);
    l->len += len;
    return true;
}

static bool put_text(struct log_line *l, const char *text)
{
    return put(l, text, strlen(text));
}

static void close_with(struct log_line *l, char c)
{
    l->data[l->len++] = c;
}

/* U+0080 to U+009F, which terminals take for the beginnings of commands, as they do ESC. */
static bool is_late_control(const char *text)
{
    return (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] >= 0x80 &&
           (unsigned char)text[1] < 0xa0;
}

/* As it stands between the quotes of a JSON string (RFC 8259, section 7), which logfmt's parsers
 * read as well; what is no UTF-8 becomes U+FFFD. */
static void put_escaped(struct log_line *l, const char *text)
{
    static const char unknown[] = "\xef\xbf\xbd";
    bool fits = true;
    while (*text != '\0' && fits) {
        unsigned char c = (unsigned char)*text;
        char escape[8];
        size_t len = text_utf8_sequence(text);
        if (len == 0) {
            fits = put_text(l, unknown);
            len = 1;
        } else if (c == '"' || c == '\\') {
            fits = put(l, (char[]){'\\', *text}, 2);
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            fits = put_text(l, escape);
        } else if (is_late_control(text)) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)text[1]);
            fits = put_text(l, escape);
        } else {
            fits = put(l, text, len);
        }
        text += len;
    }
}

/* For lines in which nothing can be escaped. Bytes beyond ASCII stay. */
static void put_plain(struct log_line *l, const char *text)
{
    bool fits = true;
    for (; *text != '\0' && fits; text++) {
        unsigned char c = (unsigned char)*text;
        if (is_late_control(text)) {
            text++;
            c = 0;
        }
        fits = put(l, c < 0x20 || c == 0x7f ? "?" : text, 1);
    }
}

static void put_quoted(struct log_line *l, const char *text)
{
    put_text(l, "\"");
    put_escaped(l, text);
    close_with(l, '"');
}

/* Whether logfmt can do without quotes. */
static bool is_bare(const char *text)
{
    const char *p = text;
    while (*p > ' ' && *p < 0x7f && *p != '"' && *p != '=' && *p != '\\') {
        p++;
    }
    return *p == '\0' && p > text;
}

static void put_time(struct log_line *l)
{
    char text[40];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, sizeof text - len, ".%03ldZ", now.tv_nsec / 1000000);
    put_text(l, text);
}

/* Room for the key, what stands around it, and a value that was cut to nothing. */
static bool fits_key(const struct log_line *l, const struct log_field *f)
{
    return strlen(f->key) + 24 <= room(l);
}

static void put_number(struct log_line *l, int64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)n);
    put_text(l, text);
}

/* Each as `before`, its key, `between`, and its value. */
static void put_fields(struct log_line *l, const struct log_words *w, const char *before,
                       const char *between,
                       void (*put_value)(struct log_line *l, const char *value))
{
    for (size_t i = 0; i < w->field_count; i++) {
        const struct log_field *f = &w->fields[i];
        if (!fits_key(l, f)) {
            continue;
        }
        put_text(l, before);
        put_text(l, f->key);
        put_text(l, between);
        if (f->text != NULL) {
            put_value(l, f->text);
        } else {
            put_number(l, f->number);
        }
    }
}

/* logfmt ------------------------------------------------------------------------------------- */

static void put_text_value(struct log_line *l, const char *value)
{
    if (is_bare(value) && strlen(value) <= room(l)) {
        put_text(l, value);
    } else {
        put_quoted(l, value);
    }
}

static void make_text(struct log_line *l, const struct log_words *w)
{
    put_text(l, "time=");
    put_time(l);
    put_text(l, " level=");
    put_text(l, level_names[w->level]);
    put_text(l, " msg=");
    put_text_value(l, w->words);
    put_fields(l, w, " ", "=", put_text_value);
}

/* JSON --------------------------------------------------------------------------------------- */

/* Many lines begin with what they are about, "backend=b server=one ...": that is a field too. */
static void put_subjects(struct log_line *l, const char *words)
{
    static const char *const subjects[] = {"frontend", "backend", "server"};
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        size_t key = strlen(subjects[i]);
        if (strncmp(words, subjects[i], key) != 0 || words[key] != '=') {
            continue;
        }
        size_t value = strcspn(words + key + 1, " ");
        char text[128];
        snprintf(text, sizeof text, "%.*s", (int)value, words + key + 1);
        put_text(l, ",\"");
        put_text(l, subjects[i]);
        put_text(l, "\":");
        put_quoted(l, text);
        words += key + 1 + value;
        words += strspn(words, " ");
    }
}

static void make_json(struct log_line *l, const struct log_words *w)
{
    put_text(l, "{\"time\":\"");
    put_time(l);
    put_text(l, "\",\"level\":\"");
    put_text(l, level_names[w->level]);
    put_text(l, "\"");
    put_subjects(l, w->words);
    put_text(l, ",\"msg\":");
    put_quoted(l, w->words);
    put_fields(l, w, ",\"", "\":", put_quoted);
    close_with(l, '}');
}

/* HAProxy ------------------------------------------------------------------------------------ */

static void make_haproxy(struct log_line *l, const struct log_words *w, bool syslog)
{
    if (!w->as_is && !syslog) {
        char text[48];
        snprintf(text, sizeof text, "%s(%ld) : ", notices[w->level], (long)getpid());
        put_text(l, text);
    }
    put_plain(l, w->words);
    for (size_t i = 0; i < w->field_count; i++) {
        const struct log_field *f = &w->fields[i];
        if (!fits_key(l, f)) {
            continue;
        }
        put_text(l, " ");
        put_text(l, f->key);
        put_text(l, "=");
        if (f->text != NULL) {
            put_plain(l, f->text);
        } else {
            put_number(l, f->number);
        }
    }
}

/* RFC 3164 without the host's name, as syslog(3) and HAProxy write it. Who is to find HAProxy's
 * lines looks for its name. */
static void put_header(struct log_line *l, enum log_level level, enum log_format format)
{
    char text[80];
    char date[24];
    struct tm local;
    time_t now = time(NULL);
    localtime_r(&now, &local);
    strftime(date, sizeof date, "%b %e %H:%M:%S", &local);
    snprintf(text, sizeof text, "<%d>%s %s[%ld]: ", FACILITY_LOCAL0 + severities[level], date,
             format == LOG_FORMAT_HAPROXY ? "haproxy" : "router", (long)getpid());
    put_text(l, text);
}

void log_line_make(struct log_line *l, const struct log_words *w, enum log_format format,
                   bool syslog)
{
    l->len = 0;
    if (syslog) {
        put_header(l, w->level, format);
    }
    switch (format) {
    case LOG_FORMAT_TEXT:
        make_text(l, w);
        break;
    case LOG_FORMAT_JSON:
        make_json(l, w);
        break;
    case LOG_FORMAT_HAPROXY:
        make_haproxy(l, w, syslog);
        break;
    }
    if (!syslog) {
        close_with(l, '\n');
    }
}
