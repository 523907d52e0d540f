/* "show info": the process as HAProxy's tools read it, in HAProxy 2.6's names, order, types and
 * forms. Control thread only. */
#ifndef ROUTER_CTL_SHOW_INFO_H
#define ROUTER_CTL_SHOW_INFO_H

#include <stdbool.h>

struct control;
struct text;

enum info_form {
    INFO_PLAIN, /* "Name: value" */
    INFO_DESC,  /* with a description behind each */
    INFO_TYPED, /* "position.Name.process:tags:type:value" */
    INFO_JSON,  /* the same as an array of objects */
};

void show_info(const struct control *c, enum info_form form, struct text *out);

#endif
