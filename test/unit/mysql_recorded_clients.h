/* What real clients answered to a greeting as a router writes it for MySQL 9.7 or MariaDB 10.11,
 * with everything offered but TLS and compression: PyMySQL 1.0.2, PHP 8.2's mysqlnd, libmariadb
 * 3.3.20, mysql2 3.24 for Node. All log in as "app" with "s3cret" at the database "shop"; without
 * the packet's header. */
#ifndef TEST_MYSQL_RECORDED_CLIENTS_H
#define TEST_MYSQL_RECORDED_CLIENTS_H

/* clang-format off */
static const char pymysql[] =
    "\015\242:\000\377\377\377\000-\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
    "\000\000\000\000\000\000\000\000app\000 Va\254\027\316\300\346\000\0357G\263\252\240\320\301"
    "\222\177\334C\305m\356\253\005\324\304-s\262\266Bshop\000caching_sha2_password\0006\014_clie"
    "nt_name\007pymysql\004_pid\00519993\017_client_version\0051.0.2";

static const char mysqlnd[] =
    "\215\242\032\000\000\000\000\300-\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
    "\000\000\000\000\000\000\000\000\000app\000 Va\254\027\316\300\346\000\0357G\263\252\240\320"
    "\301\222\177\334C\305m\356\253\005\324\304-s\262\266Bshop\000caching_sha2_password\000,\014_"
    "client_name\007mysqlnd\014_server_host\011127.0.0.1";

static const char libmariadb_to_mysql[] =
    "\215\242\277\000\000\000\020\000!\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
    "\000\000\000\000\000\000\000\000\000app\000 Va\254\027\316\300\346\000\0357G\263\252\240\320"
    "\301\222\177\334C\305m\356\253\005\324\304-s\262\266Bshop\000caching_sha2_password\000\177"
    "\003_os\005Linux\014_client_name\012libmariadb\004_pid\00519995\017_client_version\0063.3.20"
    "\011_platform\006x86_64\014program_name\005mysql\014_server_host\011127.0.0.1";

static const char libmariadb[] =
    "\214\242\277\000\000\000\020\000!\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
    "\000\000\000\000\000\035\000\000\000app\000 Va\254\027\316\300\346\000\0357G\263\252\240\320"
    "\301\222\177\334C\305m\356\253\005\324\304-s\262\266Bshop\000caching_sha2_password\000\177"
    "\003_os\005Linux\014_client_name\012libmariadb\004_pid\00520005\017_client_version\0063.3.20"
    "\011_platform\006x86_64\014program_name\005mysql\014_server_host\011127.0.0.1";

static const char mysql2[] =
    "\317\363\272\030\000\000\000\000\340\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
    "\000\000\000\000\000\000\000\000\000app\000 Va\254\027\316\300\346\000\0357G\263\252\240\320"
    "\301\222\177\334C\305m\356\253\005\324\304-s\262\266Bshop\000caching_sha2_password\0001\014_"
    "client_name\014Node-MySQL-2\017_client_version\0063.24.6";

static const char mysql2_to_mariadb[] =
    "\316\363\272\010\000\000\000\000\340\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
    "\000\000\000\000\000\010\000\000\000app\000 Va\254\027\316\300\346\000\0357G\263\252\240\320"
    "\301\222\177\334C\305m\356\253\005\324\304-s\262\266Bshop\000caching_sha2_password\0001\014_"
    "client_name\014Node-MySQL-2\017_client_version\0063.24.6";

/* clang-format on */

#endif
