#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void reserve(struct text *t, size_t more)
{
    if (t->len + more + 1 <= t->capacity) {
        return;
    }
    size_t capacity = t->capacity > 0 ? t->capacity : 256;
    while (capacity < t->len + more + 1) {
        capacity *= 2;
    }
    t->data = xrealloc(t->data, capacity);
    t->capacity = capacity;
}

void text_add_bytes(struct text *t, const void *bytes, size_t len)
{
    reserve(t, len);
    if (len > 0) { /* a text that is still empty has no bytes to copy from */
        memcpy(t->data + t->len, bytes, len);
    }
    t->len += len;
    t->data[t->len] = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
    va_list args;
    reserve(t, 0);
    size_t room = t->capacity - t->len;
    va_start(args, fmt);
    int need = vsnprintf(t->data + t->len, room, fmt, args);
    va_end(args);
    if (need < 0) {
        t->data[t->len] = '\0';
        return;
    }
    if ((size_t)need >= room) {
        reserve(t, (size_t)need);
        va_start(args, fmt);
        vsnprintf(t->data + t->len, (size_t)need + 1, fmt, args);
        va_end(args);
    }
    t->len += (size_t)need;
}

void text_add_number(struct text *t, long long number)
{
    char digits[24];
    size_t at = sizeof digits;
    unsigned long long left =
        number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) {
        digits[--at] = '-';
    }
    text_add_bytes(t, digits + at, sizeof digits - at);
}

size_t text_utf8_sequence(const char *bytes)
{
    const unsigned char *s = (const unsigned char *)bytes;
    size_t len;
    uint32_t point;
    if (s[0] < 0x80) {
        return 1;
    } else if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        len = 2;
        point = s[0] & 0x1fU;
    } else if ((s[0] & 0xf0) == 0xe0) {
        len = 3;
        point = s[0] & 0x0fU;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        len = 4;
        point = s[0] & 0x07U;
    } else {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (s[i] & 0x3fU);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < least[len] || point > 0x10ffff || surrogate ? 0 : len;
}

void text_add_json(struct text *t, const char *s)
{
    text_add_bytes(t, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)s; *p != '\0';) {
        size_t len = text_utf8_sequence((const char *)p);
        if (len == 0) {
            text_add_bytes(t, "?", 1);
            p++;
        } else if (*p == '"' || *p == '\\') {
            text_add(t, "\\%c", *p++);
        } else if (*p < 0x20) {
            text_add(t, "\\u%04x", *p++);
        } else {
            text_add_bytes(t, p, len);
            p += len;
        }
    }
    text_add_bytes(t, "\"", 1);
}

void text_add_duration(struct text *t, uint64_t ms)
{
    uint64_t s = ms / 1000;
    if (s >= 86400) {
        text_add(t, "%" PRIu64 "d%02uh", s / 86400, (unsigned)(s / 3600 % 24));
    } else if (s >= 3600) {
        text_add(t, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
    } else if (s >= 60) {
        text_add(t, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
    } else {
        text_add(t, "%us", (unsigned)s);
    }
}

void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}
