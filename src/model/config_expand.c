#include "model/config_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define VARIABLE_MAX 128

struct expansion {
    struct text out; /* wiped: it may be a secret */
    struct config_errors *errors;
    unsigned line;
};

static bool name_byte(char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (!first && c >= '0' && c <= '9');
}

/* text_add_bytes() may move the text and leave a copy behind, so room is made by hand. */
static void add(struct expansion *e, const char *bytes, size_t len)
{
    struct text *t = &e->out;
    if (t->data == NULL || t->capacity - t->len <= len) {
        size_t capacity = (t->len + len + 1) * 2;
        char *data = xcalloc(1, capacity);
        if (t->data != NULL) {
            memcpy(data, t->data, t->len);
            wipe(t->data, t->capacity);
        }
        free(t->data);
        t->data = data;
        t->capacity = capacity;
    }
    memcpy(t->data + t->len, bytes, len);
    t->len += len;
    t->data[t->len] = '\0';
}

/* Messages show a variable's name, never what stands around it: the value may be a secret. */
static bool add_variable(struct expansion *e, const char *body, size_t len)
{
    char name[VARIABLE_MAX];
    size_t name_len = 0;
    while (name_len < len && name_byte(body[name_len], name_len == 0)) {
        name_len++;
    }
    if (name_len == 0 || name_len >= sizeof(name)) {
        config_error(e->errors, e->line, "\"${\" must be followed by the name of a variable");
        return false;
    }
    memcpy(name, body, name_len);
    name[name_len] = '\0';
    bool has_default = len - name_len >= 2 && memcmp(body + name_len, ":-", 2) == 0;
    if (!has_default && name_len < len) {
        bool shell = strchr(":-=?+", body[name_len]) != NULL;
        config_error(e->errors, e->line, "write ${%s} or ${%s:-default}", shell ? name : "NAME",
                     shell ? name : "NAME");
        return false;
    }
    const char *value = getenv(name);
    if (has_default && (value == NULL || value[0] == '\0')) {
        add(e, body + name_len + 2, len - name_len - 2);
        return true;
    }
    if (value == NULL) {
        config_error(e->errors, e->line,
                     "the environment has no variable %s (${%s:-default} would do without)", name,
                     name);
        return false;
    }
    add(e, value, strlen(value));
    return true;
}

static bool expand(struct expansion *e, const char *value, bool *used)
{
    for (;;) {
        const char *start = strstr(value, "${");
        if (start == NULL) {
            add(e, value, strlen(value));
            return true;
        }
        *used = true;
        add(e, value, (size_t)(start - value));
        const char *body = start + 2;
        const char *end = strchr(body, '}');
        const char *inner = strstr(body, "${");
        if (end == NULL) {
            config_error(e->errors, e->line, "\"${\" has no \"}\"");
            return false;
        }
        if (inner != NULL && inner < end) {
            config_error(e->errors, e->line, "a \"${\" cannot stand inside another");
            return false;
        }
        if (!add_variable(e, body, (size_t)(end - body))) {
            return false;
        }
        value = end + 1;
    }
}

char *config_expand(const char *value, bool *used, struct config_errors *errors, unsigned line)
{
    struct expansion e = {.errors = errors, .line = line};
    *used = false;
    if (expand(&e, value, used)) {
        return e.out.data;
    }
    if (e.out.data != NULL) {
        wipe(e.out.data, e.out.capacity);
    }
    text_free(&e.out);
    return NULL;
}
