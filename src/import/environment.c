#include "import/environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

/* HAProxy's own, which a log-format may start from: configuration manual 3.2, chapters 2.3 and
 * 8.2. */
static const struct {
    const char *name;
    const char *value;
} own[] = {
    {"HAPROXY_BRANCH", "3.2"},
    {"HAPROXY_STARTUP_VERSION", "3.2.0"},
    {"HAPROXY_TCP_LOG_FMT",
     "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"},
    {"HAPROXY_TCP_CLF_LOG_FMT",
     "%{+Q}o %{-Q}ci - - [%T] \"TCP \" 000 %B \"\" \"\" %cp %ms %ft %b %s %Th %Tw %Tc %Tt %U "
     "%ts-- %ac %fc %bc %sc %rc %sq %bq \"\" \"\""},
    {"HAPROXY_HTTP_LOG_FMT", "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc "
                             "%ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"},
    {"HAPROXY_HTTP_CLF_LOG_FMT",
     "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc "
     "%ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl"},
    {"HAPROXY_HTTPS_LOG_FMT",
     "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq "
     "%hr %hs %{+Q}r %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] "
     "%[ssl_fc_sni]/%sslv/%sslc"}};

static struct variable **bucket(struct environment *e, const char *name)
{
    return &e->buckets[hash_bytes(name, strlen(name)) % ENVIRONMENT_BUCKETS];
}

static struct variable *lookup(const struct environment *e, const char *name)
{
    struct variable *v = *bucket((struct environment *)e, name);
    while (v != NULL && strcmp(v->name, name) != 0) {
        v = v->next;
    }
    return v;
}

static struct word plain(const char *text)
{
    return (struct word){.text = text, .len = strlen(text)};
}

struct variable environment_find(const struct environment *e, const char *name)
{
    const struct variable *v = lookup(e, name);
    if (v != NULL) {
        return *v;
    }
    const char *value = e->sealed ? NULL : getenv(name);
    if (value == NULL) {
        return (struct variable){.name = name, .kind = VARIABLE_NONE};
    }
    return (struct variable){.name = name, .kind = VARIABLE_PROCESS, .value = plain(value)};
}

/* The one with this name, made if it is not there. */
static struct variable *entry(struct environment *e, const char *name)
{
    struct variable *v = lookup(e, name);
    if (v == NULL) {
        struct variable **head = bucket(e, name);
        v = arena_take(e->arena, sizeof *v);
        v->name = arena_copy(e->arena, name, strlen(name));
        v->next = *head;
        *head = v;
    }
    return v;
}

static void set(struct environment *e, const char *name, enum variable_kind kind, struct word value)
{
    struct variable *v = entry(e, name);
    v->kind = kind;
    v->value = value;
}

static void preset(struct environment *e, const char *name, struct word value)
{
    struct variable now = environment_find(e, name);
    if (now.kind == VARIABLE_FIXED || now.kind == VARIABLE_PRESET) {
        return;
    }
    /* Taken away by the file is what the file says. */
    bool gone = lookup(e, name) != NULL || e->sealed;
    struct variable *v = entry(e, name);
    v->kind = gone && now.kind == VARIABLE_NONE ? VARIABLE_FIXED : VARIABLE_PRESET;
    v->value = now.kind == VARIABLE_NONE ? value : now.value;
    v->otherwise = value;
}

static bool among(const struct line *l, const char *name)
{
    for (size_t i = 1; i < l->count; i++) {
        if (word_is(&l->words[i], name)) {
            return true;
        }
    }
    return false;
}

/* All but those that are named are taken away. */
static void reset(struct environment *e, const struct line *l)
{
    for (size_t i = 1; i < l->count; i++) {
        struct variable kept = environment_find(e, l->words[i].text);
        if (kept.kind == VARIABLE_PROCESS) {
            set(e, kept.name, kept.kind, kept.value);
        }
    }
    for (size_t i = 0; i < ENVIRONMENT_BUCKETS; i++) {
        struct variable **link = &e->buckets[i];
        while (*link != NULL) {
            if (among(l, (*link)->name)) {
                link = &(*link)->next;
            } else {
                *link = (*link)->next;
            }
        }
    }
    e->sealed = true;
}

bool environment_line(struct environment *e, const struct line *l)
{
    const struct word *words = l->words;
    if (word_is(&words[0], "setenv") && l->count == 3) {
        set(e, words[1].text, VARIABLE_FIXED, words[2]);
    } else if (word_is(&words[0], "presetenv") && l->count == 3) {
        preset(e, words[1].text, words[2]);
    } else if (word_is(&words[0], "unsetenv")) {
        for (size_t i = 1; i < l->count; i++) {
            set(e, words[i].text, VARIABLE_NONE, (struct word){.text = ""});
        }
    } else if (word_is(&words[0], "resetenv")) {
        reset(e, l);
    } else {
        return false;
    }
    return true;
}

void environment_start(struct environment *e, struct source *s)
{
    *e = (struct environment){.arena = &s->arena};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        set(e, own[i].name, VARIABLE_FIXED, plain(own[i].value));
    }
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) == 0) {
        set(e, "HAPROXY_LOCALPEER", VARIABLE_FIXED, word_of(s, host));
    }
}
