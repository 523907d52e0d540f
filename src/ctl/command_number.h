/* Numbers as HAProxy reads them at its socket; each returns NULL, or what is wrong in its words. */
#ifndef ROUTER_CTL_COMMAND_NUMBER_H
#define ROUTER_CTL_COMMAND_NUMBER_H

#define WEIGHT_MAX 256

/* "10", or "50%" of the weight in the file. */
const char *weight_parse(const char *text, unsigned initial, unsigned *out);
/* A cap; 0 = none. */
const char *maxconn_parse(const char *text, unsigned *out);

#endif
