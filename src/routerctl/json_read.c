/* Reading a document that was parsed, and writing it again. */
#include <stdlib.h>
#include <string.h>

#include "routerctl/json.h"

#define NUMBER_MAX 64 /* digits of a number that are looked at */

static const struct json_node *at(const struct json *j, uint32_t index)
{
    return index > 0 ? &j->nodes[index] : NULL;
}

const struct json_node *json_root(const struct json *j)
{
    return j->count > 0 ? &j->nodes[0] : NULL;
}

const struct json_node *json_first(const struct json *j, const struct json_node *node)
{
    return node != NULL ? at(j, node->child) : NULL;
}

const struct json_node *json_next(const struct json *j, const struct json_node *node)
{
    return node != NULL ? at(j, node->next) : NULL;
}

const struct json_node *json_member(const struct json *j, const struct json_node *object,
                                    const char *key)
{
    if (object == NULL || object->kind != JSON_OBJECT) {
        return NULL;
    }
    const struct json_node *member = json_first(j, object);
    while (member != NULL && strcmp(member->key, key) != 0) {
        member = json_next(j, member);
    }
    return member;
}

const char *json_string(const struct json *j, const struct json_node *object, const char *key,
                        const char *otherwise)
{
    const struct json_node *member = json_member(j, object, key);
    return member != NULL && member->kind == JSON_STRING ? member->text : otherwise;
}

bool json_is_true(const struct json *j, const struct json_node *object, const char *key)
{
    const struct json_node *member = json_member(j, object, key);
    return member != NULL && member->kind == JSON_TRUE;
}

bool json_number(const struct json *j, const struct json_node *object, const char *key,
                 double *value)
{
    const struct json_node *member = json_member(j, object, key);
    if (member == NULL || member->kind != JSON_NUMBER || member->len >= NUMBER_MAX) {
        return false;
    }
    char digits[NUMBER_MAX];
    memcpy(digits, member->text, member->len);
    digits[member->len] = '\0';
    *value = strtod(digits, NULL);
    return true;
}

double json_number_or(const struct json *j, const struct json_node *object, const char *key,
                      double otherwise)
{
    double value;
    return json_number(j, object, key, &value) ? value : otherwise;
}

static void write_group(const struct json *j, const struct json_node *group, struct text *out)
{
    bool object = group->kind == JSON_OBJECT;
    const char *comma = "";
    text_add(out, "%c", object ? '{' : '[');
    for (const struct json_node *n = json_first(j, group); n != NULL; n = json_next(j, n)) {
        text_add(out, "%s", comma);
        if (object) {
            text_add_json(out, n->key);
            text_add(out, ":");
        }
        json_write(j, n, out);
        comma = ",";
    }
    text_add(out, "%c", object ? '}' : ']');
}

void json_write(const struct json *j, const struct json_node *node, struct text *out)
{
    static const char *const words[] = {"null", "false", "true"};
    if (node == NULL) {
        text_add(out, "null");
    } else if (node->kind <= JSON_TRUE) {
        text_add(out, "%s", words[node->kind]);
    } else if (node->kind == JSON_NUMBER) {
        text_add_bytes(out, node->text, node->len);
    } else if (node->kind == JSON_STRING) {
        text_add_json(out, node->text);
    } else {
        write_group(j, node, out);
    }
}
