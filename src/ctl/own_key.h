/* The router's own RSA key (proto/mysql_key.h) takes some 100 ms to be made. Who needs it is known
 * from the configuration: it is made before workers may, so that no worker ever stands still. */
#ifndef ROUTER_CTL_OWN_KEY_H
#define ROUTER_CTL_OWN_KEY_H

#include "model/config.h"

/* At the start, and before another configuration takes effect. */
void own_key_prepare(const struct config *config);

#endif
