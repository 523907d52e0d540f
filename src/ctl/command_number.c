#include "ctl/command_number.h"

#include <limits.h>
#include <stdlib.h>

const char *weight_parse(const char *text, unsigned initial, unsigned *out)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text) {
        return "Empty weight string empty or preceded by garbage";
    }
    if (end[0] == '%' && end[1] == '\0') {
        if (value < 0) {
            return "Relative weight must be positive.";
        }
        value = value > WEIGHT_MAX * 100L ? WEIGHT_MAX * 100L : value;
        value = (long)initial * value / 100;
        *out = value > WEIGHT_MAX ? WEIGHT_MAX : (unsigned)value;
        return NULL;
    }
    if (value < 0 || value > WEIGHT_MAX) {
        return "Absolute weight can only be between 0 and 256 inclusive.";
    }
    *out = (unsigned)value;
    return end[0] != '\0' ? "Trailing garbage in weight string" : NULL;
}

const char *maxconn_parse(const char *text, unsigned *out)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text) {
        return "maxconn string empty or preceded by garbage";
    }
    if (end[0] != '\0') {
        return "Trailing garbage in maxconn string";
    }
    if (value < 0 || value > INT_MAX) {
        return "Value out of range.";
    }
    *out = (unsigned)value;
    return NULL;
}
