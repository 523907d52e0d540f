/* What real servers said to the probe, turn by turn: MySQL 9.7. Recorded from the dialogue with the
 * account router and its password "s3cret". */
#ifndef TEST_MYSQL_RECORDED_LOGIN_H_H
#define TEST_MYSQL_RECORDED_LOGIN_H_H

#include "mysql_turn.h"

/* clang-format off */
/* caching_sha2_password that the server has to be told, without TLS. */
static const struct turn mysql_full[] = {
    {
        0,
        "",
        79,
        "K\000\000\000\0129.7.4-2\000\036\000\000\000{2V2A\">F\000\377\377\377\002\000\377\337"
        "\025\000\000\000\000\000\000\000\000\000\000-S\001>eU\020CejVs\000caching_sha2_password"
        "\000",
    },
    {
        98,
        "^\000\000\001\005\242\010\000\000\000\000\001-\000\000\000\000\000\000\000\000\000\000"
        "\000\000\000\000\000\000\000\000\000\000\000\000\000router\000 \200\034\352\360\266e\305"
        "\270<\226\354_Vnf6+\366U\363\020 \331\376\246\345J\337\012\362\026mcaching_sha2_password"
        "\000",
        6,
        "\002\000\000\002\001\004",
    },
    {
        5,
        "\001\000\000\003\002",
        456,
        "\304\001\000\004\001-----BEGIN PUBLIC KEY-----\012MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCg"
        "KCAQEAig+BGUeEwrROj5xanWUk\012KlXMI6hnKUtG9XL9OnMqew/P4jlfRZYfI5N03HNfmDt3YIPJQknbwJQlxq"
        "HF2fMC\0121cuM0fGFlrv0bR33ebv6EjdIB7G2E1/Emrmh9NettLYadmhIS9A2A7LLMVzNb8c2\012cZYMYLARRk"
        "ICTFRwrKegXlEOyGb3dX3r+suoKRnWSKsD3JgjPhRegNSY9A2/mce0\012IOj0eFf1tCtFFdf7TlQDzZ6wW6oa6d"
        "sCRZAUzPAqTBwGBYbyZynfxDmH0BPDJOBq\012rJiNC83updLgK7uxBSpK0Vd6PLQe4vtKHFcrkwv6cHgiy8m4uH"
        "Z6wuoZQ7tDJO5M\012KwIDAQAB\012-----END PUBLIC KEY-----\012",
    },
    {
        0,
        "",
        11,
        "\007\000\000\006\000\000\000\002\000\000\000",
    },
};
/* clang-format on */

#endif
