#include "base/macros.h"
#include "import/keyword.h"

enum {
    G = IN_GLOBAL,
    NO = KEYWORD_NO,
    SOFT = KEYWORD_SOFT,
    HTTP = KEYWORD_HTTP,
    TLS = KEYWORD_TLS,
    FL = IN_FRONTEND | IN_LISTEN,
    LB = IN_LISTEN | IN_BACKEND,
    FLB = FL | LB,
    DFL = IN_DEFAULTS | FL,
    DLB = IN_DEFAULTS | LB,
    DFLB = IN_DEFAULTS | FLB
};

#define TAKEN(name_, places_, shape_)                                                              \
    {.name = name_, .places = places_, .verdict = VERDICT_NONE, .shape = shape_},
#define KEYWORD(name_, places_, shape_, verdict_, words_)                                          \
    {.name = name_,                                                                                \
     .places = places_,                                                                            \
     .verdict = VERDICT_##verdict_,                                                                \
     .words = words_,                                                                              \
     .shape = shape_},
const struct keyword keyword_table[] = {
#include "import/keywords.def"
};
#undef TAKEN
#undef KEYWORD

const size_t keyword_count = ARRAY_LEN(keyword_table);
