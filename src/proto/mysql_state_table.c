/* The variables of a state are few and short: one block, sorted, looked through from its beginning.
 * The hash is a sum over all of them, so that one can be taken out of it again. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/macros.h"
#include "proto/mysql_state_internal.h"

#define NAME_MAX_LEN   64
#define VALUE_MAX_LEN  2048
#define NUMBER_MAX_LEN 32

static const struct {
    const char *name;
    enum mysql_variable_kind kind;
} settings[] = {
#define VARIABLE(name, kind) {name, MYSQL_VARIABLE_##kind},
#include "proto/mysql_variables.def"
#undef VARIABLE
};

enum mysql_variable_kind mysql_variable_kind(const char *name, size_t len)
{
    size_t low = 0;
    size_t high = ARRAY_LEN(settings);
    while (low < high) {
        size_t middle = (low + high) / 2;
        size_t has = strlen(settings[middle].name);
        int order = strncasecmp(name, settings[middle].name, len < has ? len : has);
        if (order == 0) {
            order = len < has ? -1 : len > has;
        }
        if (order == 0) {
            return settings[middle].kind;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return MYSQL_VARIABLE_NONE;
}

bool mysql_variable_is_plain(enum mysql_variable_kind kind, const char *value, size_t len)
{
    bool number = kind == MYSQL_VARIABLE_NUMBER;
    if (len > (number ? NUMBER_MAX_LEN : VALUE_MAX_LEN) || (number && len == 0)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = value[i];
        bool plain = number ? isdigit((unsigned char)c) || c == '.' || (c == '-' && i == 0)
                            : c >= ' ' && c <= '~' && c != '\'' && c != '"' && c != '\\';
        if (!plain) {
            return false;
        }
    }
    return kind != MYSQL_VARIABLE_NONE;
}

struct mysql_variable mysql_variable_at(const struct mysql_state *s, size_t at)
{
    if (at >= s->used) {
        return (struct mysql_variable){.name = NULL};
    }
    const char *name = s->variables + at;
    const char *value = name + strlen(name) + 1;
    return (struct mysql_variable){
        .name = name, .value = value, .size = (size_t)(value - name) + strlen(value) + 1};
}

/* Where a variable of this name is, or would be. */
static size_t place(const struct mysql_state *s, const char *name, bool *found)
{
    size_t at = 0;
    *found = false;
    for (struct mysql_variable v = mysql_variable_at(s, 0); v.name != NULL;
         v = mysql_variable_at(s, at)) {
        int order = strcmp(v.name, name);
        if (order >= 0) {
            *found = order == 0;
            return at;
        }
        at += v.size;
    }
    return at;
}

struct mysql_variable mysql_variable_find(const struct mysql_state *s, const char *name)
{
    bool found;
    size_t at = place(s, name, &found);
    return found ? mysql_variable_at(s, at) : (struct mysql_variable){.name = NULL};
}

static void take_out(struct mysql_state *s, size_t at)
{
    struct mysql_variable v = mysql_variable_at(s, at);
    s->hash -= hash_bytes(v.name, v.size);
    s->used = (uint16_t)(s->used - v.size);
    s->count--;
    memmove(s->variables + at, s->variables + at + v.size, s->used - at);
}

void mysql_variable_remove(struct mysql_state *s, const char *name)
{
    bool found;
    size_t at = place(s, name, &found);
    if (found) {
        take_out(s, at);
    }
}

static bool has_room(struct mysql_state *s, size_t size)
{
    if (s->count >= MYSQL_STATE_VARIABLES || s->used + size > MYSQL_STATE_BYTES) {
        s->why |= MYSQL_WHY_MANY;
        return false;
    }
    if (s->used + size <= s->size) {
        return true;
    }
    size_t wanted = s->used + size < 256 ? 256 : 2 * (s->used + size);
    wanted = wanted < MYSQL_STATE_BYTES ? wanted : MYSQL_STATE_BYTES;
    char *larger = realloc(s->variables, wanted);
    if (larger == NULL) {
        s->why |= MYSQL_WHY_MEMORY;
        return false;
    }
    s->variables = larger;
    s->size = (uint16_t)wanted;
    return true;
}

bool mysql_variable_set(struct mysql_state *s, const char *name, size_t name_len, const char *value,
                        size_t value_len)
{
    char small[NAME_MAX_LEN + 1];
    if (name_len > NAME_MAX_LEN) {
        s->why |= MYSQL_WHY_VARIABLE;
        return false;
    }
    for (size_t i = 0; i < name_len; i++) {
        small[i] = (char)tolower((unsigned char)name[i]);
    }
    small[name_len] = '\0';
    bool found;
    size_t at = place(s, small, &found);
    if (found) {
        take_out(s, at);
    }
    size_t size = name_len + value_len + 2;
    if (!has_room(s, size)) {
        return false;
    }
    char *to = s->variables + at;
    memmove(to + size, to, s->used - at);
    memcpy(to, small, name_len + 1);
    memcpy(to + name_len + 1, value, value_len);
    to[size - 1] = '\0';
    s->used = (uint16_t)(s->used + size);
    s->count++;
    s->hash += hash_bytes(to, size);
    return true;
}
