/* HAProxy's "typed" and "json" forms of a value: beside its name and position they say of what kind
 * it is, in three letters (origin, nature, scope), and of which type. */
#ifndef ROUTER_CTL_TYPED_FIELD_H
#define ROUTER_CTL_TYPED_FIELD_H

struct text;

struct typed_field {
    unsigned position;
    const char *name;
    const char *tags; /* three letters */
    const char *type; /* "str", "u32", "u64" or "s32" */
};

/* "field":{...},"processNum":1,"tags":{...},"value":{...}: the members of an object. */
void typed_field_json(const struct typed_field *f, const char *value, struct text *out);
/* "17.status.1:SGP:str:UP" and a line end. */
void typed_field_line(const struct typed_field *f, const char *value, struct text *out);

#endif
