/* A password that stands in a file. */
#ifndef ROUTER_MODEL_SECRET_H
#define ROUTER_MODEL_SECRET_H

#define SECRET_BYTES_MAX 4096
#define SECRET_WHY_MAX   160

/* The file's text without a line end at its end; wipe() and free() it. NULL: `why` says what is
 * wrong. Only regular files: a pipe or a terminal would make us wait for somebody. */
char *secret_read(const char *path, char why[SECRET_WHY_MAX]);

/* Wipes one; NULL is fine. */
void secret_free(char *secret);

#endif
