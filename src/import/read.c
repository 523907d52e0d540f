/* Files into lines. They are read whole, without stdio, whose hidden buffers would keep secrets; a
 * pipe is waited for, but not for ever. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "import/reading.h"
#include "import/words.h"

#define LINES_MAX    65536                /* empty ones left out */
#define MEMORY_MAX   (256u * 1024 * 1024) /* of the arena */
#define PIPE_WAIT_MS 5000                 /* for all that comes out of it */
#define FIRST_BYTES  65536

/* Words that HAProxy takes `no` and `default` before. */
static const char *const negatable[] = {"option",           "log",
                                        "busy-polling",     "set-dumpable",
                                        "strict-limits",    "insecure-fork-wanted",
                                        "numa-cpu-mapping", NULL};

static void left_out(struct reading *r, struct line *l)
{
    struct source *s = r->source;
    s->skipped = arena_grow(&s->arena, s->skipped, s->skipped_count, sizeof(struct line *));
    s->skipped[s->skipped_count++] = l;
}

/* Nobody looks at what a line that is left out means: all that may be secret in it is. */
static void hide_secrets(struct line *l)
{
    static const char *const secretive[] = {"tcp-check", "http-check", "stats", "user",
                                            "setenv",    "presetenv",  NULL};
    size_t i = 0;
    while (secretive[i] != NULL && !word_is(&l->words[0], secretive[i])) {
        i++;
    }
    for (size_t j = 2; secretive[i] != NULL && j < l->count; j++) {
        l->words[j].secret = true;
    }
}

/* Takes `no` or `default` off. */
static void read_prefix(struct reading *r, struct line *l)
{
    l->negated = word_is(&l->words[0], "no");
    l->defaulted = word_is(&l->words[0], "default");
    if (!l->negated && !l->defaulted) {
        return;
    }
    l->words++;
    l->count--;
    const char *keyword = l->count > 0 ? l->words[0].text : "";
    size_t i = 0;
    while (negatable[i] != NULL && strcmp(negatable[i], keyword) != 0) {
        i++;
    }
    if (negatable[i] == NULL) {
        source_error(r->source, l->place, "'no' and 'default' are not supported before '%s'",
                     keyword);
    }
}

/* HAProxy takes the first empty word for the end of the line. */
static void cut_at_empty(struct reading *r, struct line *l)
{
    size_t i = 0;
    while (i < l->count && l->words[i].len > 0) {
        i++;
    }
    if (i + 1 < l->count) {
        line_mark(r->source, l, VERDICT_NONE, "HAProxy ignores what stands behind the empty word");
    }
    l->count = i;
}

static struct line *line_make(struct reading *r, struct place at, const struct words *words)
{
    struct source *s = r->source;
    struct line *l = arena_take(&s->arena, sizeof *l);
    *l = (struct line){.place = at, .words = words->items, .count = words->count};
    if (words->ignored != NULL) {
        line_mark(s, l, VERDICT_NONE, "HAProxy ignores what stands behind the carriage return");
    }
    if (words->taken_apart) {
        line_mark(s, l, VERDICT_NONE, "the words of \"${...[*]}\" are what they are now");
    }
    return l;
}

static void read_words(struct reading *r, struct line *l)
{
    struct source *s = r->source;
    if (l->words[0].text[0] == '.') {
        int rc = choice_line(&r->choice, s, &r->environment, l);
        r->stopped = r->stopped || rc == -ECANCELED;
        left_out(r, l);
        return;
    }
    if (!choice_counts(&r->choice)) {
        line_mark(s, l, VERDICT_NOT_NEEDED, "left out by its .if");
        hide_secrets(l);
        left_out(r, l);
        return;
    }
    if (l->words[0].len == 0) {
        if (l->count > 1) {
            line_mark(s, l, VERDICT_NOT_NEEDED,
                      "HAProxy ignores a line that begins with an empty word");
            left_out(r, l);
        }
        return;
    }
    cut_at_empty(r, l);
    read_prefix(r, l);
    if (l->count > 0) {
        sections_line(r, l);
    }
}

/* Before each line. */
static bool goes_on(struct reading *r, struct place at)
{
    if (r->lines >= LINES_MAX || r->source->arena.bytes > MEMORY_MAX) {
        source_error(r->source, at, "too large, it is not read further");
        r->stopped = true;
    }
    r->stopped = r->stopped || r->source->error_count >= SOURCE_ERRORS_MAX;
    return !r->stopped;
}

/* "[name]": a scope, which only files of filters have; HAProxy takes it anywhere. */
static void read_scope(struct reading *r, struct place at, const char *line)
{
    const char *name = line + 1;
    size_t len = strcspn(name, "]");
    const char *behind = name + len + (name[len] == ']');
    behind += strspn(behind, " \t\n\v\f\r");
    bool legal = len > 0 && name[len] == ']' && (*behind == '\0' || *behind == '#');
    for (size_t i = 0; legal && i < len; i++) {
        legal = isalnum((unsigned char)name[i]) || strchr("._-", name[i]) != NULL;
    }
    if (!legal) {
        source_error(r->source, at, "this is no scope");
    }
}

/* `line` ends in NUL. */
static void read_line(struct reading *r, struct place at, const char *line)
{
    const char *first = line + strspn(line, " \t\n\v\f\r");
    if (*first == '[') {
        read_scope(r, at, first);
        return;
    }
    const struct section *section = r->section;
    const struct words_context context = {.source = r->source,
                                          .environment = &r->environment,
                                          .place = at,
                                          .section = section == NULL ? NULL
                                                     : section->header->count > 1
                                                         ? section->header->words[1].text
                                                         : section->header->words[0].text,
                                          .spent = &r->spent};
    struct words words;
    if (words_read(&context, line, &words) == 0 && words.count > 0) {
        r->lines++;
        read_words(r, line_make(r, at, &words));
    }
}

void reading_start(struct reading *r, struct source *s, struct text *errors)
{
    *s = (struct source){.errors = errors};
    *r = (struct reading){.source = s};
    environment_start(&r->environment, s);
}

void reading_file(struct reading *r, const char *file, const char *data, size_t len)
{
    struct source *s = r->source;
    struct place at = {.file = arena_copy(&s->arena, file, strlen(file)), .rank = s->file_count};
    r->choice = (struct choice){.depth = 0};
    r->section = NULL;
    s->file_count++;
    const char *rest = data;
    const char *end = data + len;
    while (rest < end && !r->stopped) {
        at.number++;
        if (!goes_on(r, at)) {
            return;
        }
        const char *feed = memchr(rest, '\n', (size_t)(end - rest));
        size_t length = (size_t)((feed != NULL ? feed : end) - rest);
        char *line = xstrndup(rest, length);
        size_t seen = strlen(line);
        read_line(r, at, line);
        wipe(line, seen);
        free(line);
        if (seen < length) {
            source_error(s, at, "stray NUL character at position %zu", seen + 1);
            r->stopped = true;
        } else if (feed == NULL) {
            source_error(s, at, "missing LF on last line, file might have been truncated");
        }
        rest += length + 1;
    }
    if (!r->stopped) {
        choice_end(&r->choice, s, at);
    }
}

int reading_end(struct reading *r)
{
    return r->source->error_count > 0 ? -EINVAL : 0;
}

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* What a file holds. */
struct content {
    char *data; /* owned */
    size_t len;
    size_t capacity;
};

static void content_free(struct content *c)
{
    if (c->data != NULL) {
        wipe(c->data, c->capacity);
    }
    free(c->data);
}

static void content_grow(struct content *c)
{
    if (c->len < c->capacity) {
        return;
    }
    size_t capacity = c->capacity == 0 ? FIRST_BYTES : c->capacity * 2;
    char *data = xcalloc(1, capacity);
    if (c->len > 0) {
        memcpy(data, c->data, c->len);
        wipe(c->data, c->capacity);
    }
    free(c->data);
    c->data = data;
    c->capacity = capacity;
}

/* Up to `max` bytes; -EFBIG if there are more. */
static int content_read(struct content *c, int fd, size_t max)
{
    long long until = now_ms() + PIPE_WAIT_MS;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        long long left = until - now_ms();
        if (left <= 0 || poll(&p, 1, (int)left) == 0) {
            return -ETIMEDOUT;
        }
        content_grow(c);
        ssize_t n = read(fd, c->data + c->len, c->capacity - c->len);
        if (n == 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
        c->len += n > 0 ? (size_t)n : 0;
        if (c->len > max) {
            return -EFBIG;
        }
    }
}

static void cannot(struct reading *r, const char *path, int rc)
{
    struct place at = {.file = path, .rank = r->source->file_count};
    if (rc == -EFBIG) {
        source_error(r->source, at, "more than %u bytes in all files", SOURCE_BYTES_MAX);
    } else {
        source_error(r->source, at, "cannot read: %s", strerror(-rc));
    }
    r->stopped = true;
}

static void read_file(struct reading *r, const char *path)
{
    struct content c = {.len = 0};
    /* Not blocked by a pipe that nobody writes to, nor made the terminal of this process. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int rc = fd < 0 ? -errno : content_read(&c, fd, SOURCE_BYTES_MAX - r->bytes);
    if (fd >= 0) {
        close(fd);
    }
    if (r->source->file_count == SOURCE_FILES_MAX) {
        source_error(r->source, (struct place){.file = path, .rank = SOURCE_FILES_MAX},
                     "more than %d files", SOURCE_FILES_MAX);
        r->stopped = true;
    } else if (rc != 0) {
        cannot(r, path, rc);
    } else {
        r->bytes += c.len;
        reading_file(r, path, c.data != NULL ? c.data : "", c.len);
    }
    content_free(&c);
}

/* As HAProxy chooses: "a.cfg", not "a.cfg.cfg". */
static bool is_wanted(const char *name)
{
    const char *ending = strstr(name, ".cfg");
    return name[0] != '.' && ending != NULL && ending[4] == '\0';
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* At most one more than are allowed. */
static size_t list_directory(struct reading *r, DIR *d, const char *path, const char **names)
{
    size_t count = 0;
    const struct dirent *entry;
    while (count <= SOURCE_FILES_MAX && (entry = readdir(d)) != NULL) {
        if (is_wanted(entry->d_name)) {
            names[count++] = arena_print(&r->source->arena, "%s/%s", path, entry->d_name);
        }
    }
    return count;
}

static void read_directory(struct reading *r, const char *path)
{
    const char *names[SOURCE_FILES_MAX + 1];
    DIR *d = opendir(path);
    if (d == NULL) {
        cannot(r, path, -errno);
        return;
    }
    size_t count = list_directory(r, d, path, names);
    closedir(d);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count && !r->stopped; i++) {
        struct stat st;
        if (stat(names[i], &st) != 0) {
            cannot(r, names[i], -errno);
        } else if (S_ISREG(st.st_mode)) {
            read_file(r, names[i]);
        }
    }
}

int source_read(struct source *s, const char *const *paths, size_t count, struct text *errors)
{
    struct reading r;
    reading_start(&r, s, errors);
    for (size_t i = 0; i < count && !r.stopped; i++) {
        struct stat st;
        if (stat(paths[i], &st) != 0) {
            cannot(&r, paths[i], -errno);
        } else if (S_ISDIR(st.st_mode)) {
            read_directory(&r, paths[i]);
        } else {
            read_file(&r, paths[i]);
        }
    }
    return reading_end(&r);
}

int source_read_bytes(struct source *s, const char *file, const char *data, size_t len,
                      struct text *errors)
{
    struct reading r;
    reading_start(&r, s, errors);
    if (len > SOURCE_BYTES_MAX) {
        cannot(&r, file, -EFBIG);
    } else {
        reading_file(&r, file, data, len);
    }
    return reading_end(&r);
}
