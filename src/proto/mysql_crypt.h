/* How MySQL's login proves a password without telling it, for the inside of proto/. */
#ifndef ROUTER_PROTO_MYSQL_CRYPT_H
#define ROUTER_PROTO_MYSQL_CRYPT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/mysql_packet.h"

#define MYSQL_NATIVE_LEN 20
#define MYSQL_SHA2_LEN   32
#define MYSQL_KEY_MAX    8192 /* bytes of a server's public key, as PEM */
#define MYSQL_RSA_MAX    1024 /* bytes of what is encrypted with it: 8192 bits */

/* mysql_native_password: SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))). */
bool mysql_crypt_native(unsigned char out[MYSQL_NATIVE_LEN], const char *password,
                        const unsigned char nonce[MYSQL_NONCE]);

/* caching_sha2_password: SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce). */
bool mysql_crypt_sha2(unsigned char out[MYSQL_SHA2_LEN], const char *password,
                      const unsigned char nonce[MYSQL_NONCE]);

/* caching_sha2_password without TLS: the password, its NUL included, XOR the nonce over and over,
 * encrypted with the server's key (RSA, OAEP with SHA-1). Returns the length, 0 if this is no such
 * key, or one too short for the password. */
size_t mysql_crypt_rsa(unsigned char out[MYSQL_RSA_MAX], struct mysql_text pem,
                       const char *password, const unsigned char nonce[MYSQL_NONCE]);

#endif
