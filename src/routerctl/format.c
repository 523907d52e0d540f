#include "routerctl/format.h"

#include <math.h>
#include <stdio.h>

#include "base/macros.h"

static double scale(double value, const char *const *units, size_t count, const char **unit)
{
    size_t i = 0;
    while (value >= 999.5 && i + 1 < count) {
        value /= 1000;
        i++;
    }
    *unit = units[i];
    return value;
}

/* Three digits at most; a whole number where nothing was divided. */
static char *print(char out[FORMAT_MAX], double value, const char *unit, int whole)
{
    int digits = whole || value >= 99.95 ? 0 : 1;
    snprintf(out, FORMAT_MAX, "%.*f%s", digits, value, unit);
    return out;
}

static double sane(double value)
{
    return isfinite(value) && value > 0 ? value : 0;
}

char *format_count(char out[FORMAT_MAX], double count)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    const char *unit;
    double value = scale(sane(count), units, ARRAY_LEN(units), &unit);
    return print(out, value, unit, unit == units[0]);
}

char *format_bytes(char out[FORMAT_MAX], double bytes)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB"};
    const char *unit;
    double value = scale(sane(bytes), units, ARRAY_LEN(units), &unit);
    return print(out, value, unit, unit == units[0]);
}

char *format_duration(char out[FORMAT_MAX], double ms)
{
    ms = sane(ms);
    if (ms > 0 && ms < 0.9995) {
        return print(out, ms * 1000, " us", 1);
    } else if (ms < 999.5) {
        return print(out, ms, " ms", ms == 0);
    } else if (ms < 59950) {
        return print(out, ms / 1000, " s", 0);
    }
    unsigned long long seconds = (unsigned long long)(ms < 1e15 ? ms / 1000 : 1e12);
    if (seconds < 3600) {
        snprintf(out, FORMAT_MAX, "%llum %llus", seconds / 60, seconds % 60);
    } else if (seconds < 86400) {
        snprintf(out, FORMAT_MAX, "%lluh %llum", seconds / 3600, seconds / 60 % 60);
    } else {
        snprintf(out, FORMAT_MAX, "%llud %lluh", seconds / 86400, seconds / 3600 % 24);
    }
    return out;
}
