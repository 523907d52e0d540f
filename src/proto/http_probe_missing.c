/* Stands in for the HTTP dialogues until they are there. */
#include "proto/http_probe.h"
__attribute__((weak)) const struct probe_dialogue http_probe = {0};
__attribute__((weak)) const struct probe_dialogue patroni_probe = {0};
