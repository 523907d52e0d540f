/* Promise: what a statement mentions is found wherever its text is cut; what is in strings, names
 * and comments is not mentioned, and what may be read in two ways is told to be unclear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "proto/mysql_statement.h"

#define QUERY_ATTRIBUTES (1U << 27)

enum {
    USER = MYSQL_SAYS_USER_VARIABLE,
    TEMPORARY = MYSQL_SAYS_TEMPORARY,
    LOCK = MYSQL_SAYS_NAMED_LOCK,
    TABLES = MYSQL_SAYS_TABLE_LOCK,
    PREPARED = MYSQL_SAYS_PREPARED,
    HANDLER = MYSQL_SAYS_HANDLER,
    XA = MYSQL_SAYS_XA,
    ROUTINE = MYSQL_SAYS_ROUTINE,
    COMPOUND = MYSQL_SAYS_COMPOUND,
    IDENTITY = MYSQL_SAYS_IDENTITY,
    ODD = MYSQL_SAYS_ODD,
    UNCLEAR = MYSQL_SAYS_UNCLEAR,
    UNTOLD = MYSQL_SAYS_UNTOLD,
    DIAGNOSTICS = MYSQL_SAYS_DIAGNOSTICS,
    HISTORY = MYSQL_SAYS_HISTORY,
    INSERT_ID = MYSQL_SAYS_LAST_INSERT_ID,
    FOUND_ROWS = MYSQL_SAYS_FOUND_ROWS,
    CONNECTION = MYSQL_SAYS_CONNECTION_ID,
    KILL = MYSQL_SAYS_KILL,
    STATUS = MYSQL_SAYS_STATUS,
    SET = MYSQL_SAYS_SET,
    NEXT = MYSQL_SAYS_NEXT,
    USE = MYSQL_SAYS_USE,
    TRANSACTION = MYSQL_SAYS_TRANSACTION,
    SYSTEM = MYSQL_SAYS_SYSTEM_VARIABLE,
    SEVERAL = MYSQL_SAYS_SEVERAL,
};

struct row {
    const char *text;
    uint32_t says;
};

/* In memory of its own, so that a sanitizer sees its ends. */
static void look(struct mysql_statement *s, const char *text, size_t len)
{
    char *piece = malloc(len + 1);
    memcpy(piece, text, len);
    mysql_statement_look(s, piece, len);
    free(piece);
}

static void check(const char *text, size_t len, uint32_t capabilities, unsigned mode, uint32_t says)
{
    for (size_t cut = 0; cut <= len; cut++) {
        struct mysql_statement s;
        mysql_statement_begin(&s, capabilities, mode);
        look(&s, text, cut);
        look(&s, text + cut, len - cut);
        uint32_t found = mysql_statement_end(&s);
        if (found != says) {
            fail_msg("%.*s, cut at %zu: %08x, expected %08x", (int)len, text, cut, found, says);
        }
    }
    struct mysql_statement s;
    mysql_statement_begin(&s, capabilities, mode);
    for (size_t i = 0; i < len; i++) {
        look(&s, text + i, 1);
    }
    assert_int_equal(mysql_statement_end(&s), says);
}

static void check_rows(const struct row *rows, size_t count, unsigned mode)
{
    for (size_t i = 0; i < count; i++) {
        check(rows[i].text, strlen(rows[i].text), 0, mode, rows[i].says);
    }
}

#define CHECK(rows)          check_rows(rows, ARRAY_LEN(rows), MYSQL_TEXT_USUAL)
#define CHECK_IN(mode, rows) check_rows(rows, ARRAY_LEN(rows), mode)

static void ordinary_statements_say_nothing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", 0},
        {" ", 0},
        {";", 0},
        {"SELECT 1", 0},
        {"SELECT 1;", 0},
        {"SELECT 1; -- done", 0},
        {"(SELECT 1) UNION (SELECT 2)", 0},
        {"select c from sbtest1 where id=5023", 0},
        {"SELECT a, COUNT(*), MAX( b ) FROM t WHERE a IN (1, 2) AND (b) GROUP BY (a) LIMIT 5", 0},
        {"SELECT f.x, IFNULL(a,b), JSON_EXTRACT(a, '$.b'), a->'$.c', a->>'$.d' FROM f", 0},
        {"SELECT 5-3, 5--3, 5 - - 3, 6/2, 6*2, -1", 0},
        {"INSERT INTO t (a, b) VALUES (1, NULL) ON DUPLICATE KEY UPDATE a=VALUES(a)", 0},
        {"INSERT INTO db.t (a) SELECT a FROM u", 0},
        {"INSERT INTO `db`.`t`(`a`) VALUES (1)", 0},
        {"INSERT IGNORE t (a) VALUES (1)", 0},
        {"REPLACE t (a) VALUES (1)", 0},
        {"WITH c (a) AS (SELECT 1) SELECT * FROM c", 0},
        {"SELECT * FROM (VALUES ROW(1,2)) AS v (a, b)", 0},
        {"UPDATE t SET status = 1, role = 2, handler = 3, `call` = 4, row_count = 5", 0},
        {"SELECT status, temporary, prepare, warnings, found_rows, last_insert_id FROM t", 0},
        {"DELETE FROM t WHERE id = 5 LIMIT 1", 0},
        {"CREATE TABLE t (a INT, b VARCHAR(20), KEY k (a), CONSTRAINT c CHECK (a > 0))", 0},
        {"CREATE TABLE IF NOT EXISTS t (a INT)", 0},
        {"ALTER TABLE t ADD INDEX i (a)", 0},
        {"CREATE INDEX i ON t (a)", 0},
        {"LOAD DATA LOCAL INFILE 'f' INTO TABLE t (a, b)", 0},
        {"SHOW TABLES", 0},
        {"SHOW TABLE STATUS", 0},
        {"SHOW GLOBAL STATUS", 0},
        {"DO SLEEP(1)", 0},
        {"INSERT INTO t VALUE (1)", 0},
        {"SELECT value FROM t", 0},
        {"UNLOCK TABLES", 0},
        {"DO RELEASE_LOCK('a')", 0},
        {"SELECT NEXTVAL(s)", 0},
        {"SELECT 1 FROM t PARTITION (p0) USE INDEX (i)", 0},
        {"SELECT {d '2020-01-01'}", 0},
        {"SELECT N'x', _utf8mb4'x', X'00', 0x1f, 1e5, .5", 0},
        {"EXPLAIN SELECT 1", 0},
        {"GRANT SELECT ON t.* TO 'a'@'b', `c`@`d`", 0},
    };
    CHECK(rows);
}

static void what_a_connection_remembers_is_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"SELECT @a", USER},
        {"SELECT@a", USER},
        {"SELECT 1 INTO @b", USER},
        {"SELECT @a := 1", USER},
        {"SELECT @'a b', @`c`, @\"d\", @.f", USER},
        {"SELECT @$e", USER | UNCLEAR},
        {"SELECT 'a' @b", USER},
        {"SELECT @", USER},
        {"SELECT 'a'@", 0},
        {"CREATE TEMPORARY TABLE t (a INT)", TEMPORARY},
        {"create or replace temporary table t select 1", TEMPORARY},
        {"DROP /* a */ TEMPORARY TABLE t", TEMPORARY},
        {"SELECT GET_LOCK('a', 1)", LOCK},
        {"DO get_lock ('a', 1)", LOCK},
        {"SELECT 1 FROM t WHERE GET_LOCK/* a */('a', 1)", LOCK},
        {"INSERT INTO t VALUES (GET_LOCK('a', 1))", LOCK},
        {"CREATE TABLE t AS SELECT GET_LOCK('a', 1)", LOCK},
        {"LOCK TABLES t READ", TABLES},
        {"LOCK INSTANCE FOR BACKUP", TABLES},
        {"BACKUP STAGE START", TABLES},
        {"FLUSH TABLES WITH READ LOCK", TABLES},
        {"FLUSH LOCAL TABLES a, b FOR EXPORT", TABLES},
        {"PREPARE a FROM 'SELECT 1'", PREPARED},
        {"EXECUTE IMMEDIATE 'SELECT 1'", PREPARED},
        {"DEALLOCATE PREPARE a", PREPARED},
        {"HANDLER t OPEN", HANDLER},
        {"XA START 'a'", XA},
        {"BINLOG 'xyz'", ODD},
        {"SET RESOURCE GROUP g", ODD | SET},
        {"SET ROLE r", IDENTITY | SET},
        {"SET\n/**/ ROLE NONE", IDENTITY | SET},
        {"SET SESSION AUTHORIZATION a", IDENTITY | SET},
        {"EXPLAIN ANALYZE SELECT GET_LOCK('a', 1)", LOCK},
    };
    CHECK(rows);
}

static void routines_and_programs_are_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"CALL p()", ROUTINE},
        {"SELECT f(1)", ROUTINE},
        {"SELECT f (1)", ROUTINE},
        {"SELECT db.f(1)", ROUTINE},
        {"SELECT db.abs(1)", ROUTINE},
        {"SELECT `abs`(1)", ROUTINE},
        {"SELECT db . `f` (1)", ROUTINE},
        {"SELECT 1 FROM t WHERE a = f(b)", ROUTINE},
        {"UPDATE t SET a=f(b)", ROUTINE},
        {"SET time_zone = f()", ROUTINE | SET},
        {"INSERT INTO t (a) VALUES (f(1))", ROUTINE},
        {"DO f()", ROUTINE},
        {"CREATE VIEW v AS SELECT f(1)", ROUTINE},
        {"BEGIN NOT ATOMIC SELECT 1", COMPOUND | TRANSACTION},
        {"IF 1 THEN SELECT 1", COMPOUND},
        {"CASE 1 WHEN 1 THEN SELECT 1", COMPOUND},
        {"WHILE 1 DO SELECT 1", COMPOUND},
        {"FOR i IN 1 .. 2 DO SELECT 1", COMPOUND},
        {"loop", COMPOUND},
        {"a: LOOP", COMPOUND | UNCLEAR},
        {"FROBNICATE t", UNCLEAR},
        {"'SELECT'", UNCLEAR},
        {"<<a>> LOOP", UNCLEAR},
    };
    CHECK(rows);
}

static void questions_about_what_was_before_are_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"SELECT FOUND_ROWS()", DIAGNOSTICS},
        {"SELECT row_count ( )", DIAGNOSTICS},
        {"SHOW WARNINGS", DIAGNOSTICS},
        {"show count(*) warnings", DIAGNOSTICS},
        {"SHOW ERRORS LIMIT 1", DIAGNOSTICS},
        {"GET CURRENT DIAGNOSTICS CONDITION 1 @a = MESSAGE_TEXT", DIAGNOSTICS | USER},
        {"SELECT @@warning_count", DIAGNOSTICS | SYSTEM},
        {"SELECT @@session.error_count", DIAGNOSTICS | SYSTEM},
        {"SELECT @@ LOCAL . error_count", DIAGNOSTICS | SYSTEM},
        {"SELECT SQL_CALC_FOUND_ROWS * FROM t", FOUND_ROWS},
        {"SELECT LAST_INSERT_ID()", INSERT_ID},
        {"INSERT INTO t VALUES (last_insert_id())", INSERT_ID},
        {"SELECT @@identity", INSERT_ID | SYSTEM},
        {"SELECT @@SESSION.last_insert_id", INSERT_ID | SYSTEM},
        {"SELECT LASTVAL(s)", HISTORY},
        {"SELECT PREVIOUS VALUE FOR s", HISTORY},
        {"SELECT s.currval", HISTORY},
        {"SELECT @@last_gtid", HISTORY | SYSTEM},
        {"SHOW PROFILES", HISTORY},
        {"SELECT CONNECTION_ID()", CONNECTION},
        {"SELECT @@pseudo_thread_id", CONNECTION | SYSTEM},
        {"KILL QUERY 5", KILL},
        {"EXPLAIN FOR CONNECTION 5", KILL},
        {"SHOW EXPLAIN FOR 5", KILL},
        {"SHOW STATUS LIKE 'Com%'", STATUS},
        {"SHOW SESSION STATUS", STATUS},
        {"SELECT @@version, @@global.a.b", SYSTEM},
        {"SELECT @@`identity`", UNCLEAR | SYSTEM},
    };
    CHECK(rows);
}

static void settings_are_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"SET NAMES utf8mb4 COLLATE utf8mb4_bin", SET},
        {"SET sql_mode = ''", SET},
        {"SET SESSION TRANSACTION READ ONLY", SET},
        {"SET TRANSACTION READ ONLY", SET | NEXT},
        {"SET PASSWORD = 'x'", SET},
        {"SET DEFAULT ROLE r TO 'a'@'b'", SET},
        {"SET @a = 1", SET | USER},
        {"SET@a=1", SET | USER},
        {"SET time_zone = 'x', @a = 1", SET | USER},
        {"SET @@x = 1", SET | UNTOLD | SYSTEM},
        {"SET @@x:=1", SET | UNTOLD | SYSTEM},
        {"SET a = 1, @@x = 1", SET | UNTOLD | SYSTEM},
        {"SET @@session.x = 1, @@LOCAL.y = 2, @@global.z = 3", SET | SYSTEM},
        {"SET x = @@x, y = @@y", SET | SYSTEM},
        {"SELECT * FROM t WHERE @@x = 1", SYSTEM},
        {"SET STATEMENT max_statement_time = 1 FOR SELECT f()", SET | UNTOLD | ROUTINE},
        {"SET STATEMENT a = 1 FOR CALL p()", SET | UNTOLD | ROUTINE},
        {"USE a", USE},
        {"BEGIN", TRANSACTION},
        {"begin work", TRANSACTION},
        {"START TRANSACTION READ ONLY", TRANSACTION},
        {"COMMIT AND CHAIN", TRANSACTION},
        {"ROLLBACK TO a", TRANSACTION},
        {"SAVEPOINT a", TRANSACTION},
    };
    CHECK(rows);
}

static void each_of_several_statements_is_looked_at(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"SELECT 1; SET ROLE r", SEVERAL | SET | IDENTITY},
        {"SELECT 1;;CALL p()", SEVERAL | ROUTINE},
        {"USE a; SELECT 'b;c'; -- d", SEVERAL | USE},
        {"SET a = 1; SET TRANSACTION READ ONLY", SEVERAL | SET | NEXT},
        {"SET sql_mode = 'ANSI_QUOTES'; SELECT 1", SEVERAL | SET | UNCLEAR},
        {"SET @@SESSION.sql_mode = ''; SELECT 1", SEVERAL | SET | SYSTEM | UNCLEAR},
        {"BEGIN; INSERT INTO t VALUES (1); COMMIT", SEVERAL | TRANSACTION},
    };
    CHECK(rows);
}

static void strings_names_and_comments_say_nothing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"SELECT 'a@b', \"@c\", `@d`, '@@e', 'GET_LOCK(1)'", 0},
        {"SELECT 'a''@b', \"a\"\"@b\", `a``@b`", 0},
        {"SELECT 'a\\'@b', \"a\\\"@b\", '\\\\', 'c'", 0},
        {"SELECT 'a\\\\', @b, '\\'", USER | UNCLEAR},
        {"SELECT '\\\\\\'', @b", USER},
        {"SELECT 1 -- @a", 0},
        {"SELECT 1 --\n@a", USER},
        {"SELECT 1 --\t@a", 0},
        {"SELECT 1 --@a", USER},
        {"SELECT 1 ---- @a", 0},
        {"SELECT 1 --- @a", 0},
        {"SELECT 1 --\x7f@a", 0},
        {"SELECT 1 # @a\n, 'b' # '", 0},
        {"SELECT 1 # a\n, @b", USER},
        {"SELECT 1 /* @a ' \" ` */, /**/ 2 /***/ /* * / @b */", 0},
        {"SELECT 1 /*/ @a */", 0},
        {"SELECT /*+ SET_VAR(sort_buffer_size = 1) */ 1", 0},
        {"-- a\n/* b */ # c\n SET ROLE r", SET | IDENTITY},
        {"SELECT GET_ LOCK(1)", 0},
        {"SELECT GET_/**/LOCK(1)", 0},
    };
    CHECK(rows);
}

static void executable_comments_are_code(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"SELECT /*! @a */ 1", USER},
        {"SELECT /*!@a*/ 1", USER},
        {"SELECT 1 /*!40101 , GET_LOCK('a*/b', 1) */, @b", LOCK | USER},
        {"/*!40101 SET NAMES utf8 */", SET},
        {"/*!50000SET ROLE r*/", SET | IDENTITY},
        {"SELECT /*!STRAIGHT_JOIN*/ 2*3/4*/*a*/5", 0},
        {"SELECT /*!50700 1 */", UNCLEAR},
        {"SELECT /*!99999 ' */, @a, ' */", UNCLEAR},
        {"SELECT /*!080000 1 */", UNCLEAR},
        {"SELECT /*M! 1 */", UNCLEAR},
        {"SELECT /*M 1 @a */ 1", 0},
        {"SELECT /*! 1 /* 2 */ */", UNCLEAR},
        {"SELECT /*! 1 /*! 2 */ */", UNCLEAR},
        {"SELECT /*!0401011+1*/ 1", 0},
        {"SELECT /*! 1", UNCLEAR},
        {"SELECT /*!4010", UNCLEAR},
    };
    CHECK(rows);
}

static void what_does_not_end_is_unclear(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"SELECT 'a", UNCLEAR},     {"SELECT \"a", UNCLEAR},    {"SELECT `a", UNCLEAR},
        {"SELECT 'a\\", UNCLEAR},   {"SELECT /* a", UNCLEAR},   {"SELECT /*", UNCLEAR},
        {"SELECT /* a *", UNCLEAR}, {"SELECT $$a'$$", UNCLEAR}, {"SELECT $a$b$a$", UNCLEAR},
        {"SELECT 1 -- a", 0},       {"SELECT 1 --", 0},         {"SELECT 1 /", 0},
    };
    CHECK(rows);
    check("SELECT\0 1", 9, 0, 0, UNCLEAR);
}

static void sql_mode_says_where_strings_end(void **state)
{
    (void)state;
    static const struct row without[] = {
        {"SELECT 'a\\', @b, 'c'", USER},
        {"SELECT \"a\\\", @b, \"c\"", USER},
    };
    static const struct row ansi[] = {
        {"SELECT 'a\\', @b'", 0},
        {"SELECT \"a\\\", @b, \"c\"", USER},
        {"SELECT \"f\"(1)", ROUTINE},
        {"INSERT INTO \"t\" (a) VALUES (1)", 0},
    };
    static const struct row unsure[] = {
        {"SELECT 'a\\n', 'b\\\\', \"it's\\n\"", 0},
        {"SELECT '{\\\"a\\\": 1}'", 0},
        {"SELECT 'a\\'b'", UNCLEAR},
        {"SELECT \"a\\\"b\"", UNCLEAR},
        {"SELECT \"f\"(1)", ROUTINE},
    };
    static const struct row usual[] = {
        {"SELECT \"f\" (1)", 0},
    };
    static const struct row wide[] = {
        {"SELECT 'abc\\n'", 0},
        {"SELECT '\xbf\\'", UNCLEAR},
        {"SELECT '\xbf' ", UNCLEAR},
    };
    CHECK_IN(MYSQL_TEXT_NO_BACKSLASH, without);
    CHECK_IN(MYSQL_TEXT_ANSI_QUOTES, ansi);
    CHECK_IN(MYSQL_TEXT_UNSURE, unsure);
    CHECK(usual);
    CHECK_IN(MYSQL_TEXT_WIDE, wide);
}

static void query_attributes_are_skipped_if_there_are_none(void **state)
{
    (void)state;
    check("\0\1SELECT 1", 10, QUERY_ATTRIBUTES, 0, 0);
    check("\0\1SET ROLE r", 12, QUERY_ATTRIBUTES, 0, SET | IDENTITY);
    check("\1\1SELECT 1", 10, QUERY_ATTRIBUTES, 0, UNCLEAR);
    check("\0\2SELECT 1", 10, QUERY_ATTRIBUTES, 0, UNCLEAR);
    check("SELECT 1", 8, QUERY_ATTRIBUTES, 0, UNCLEAR);
    check("\0", 1, QUERY_ATTRIBUTES, 0, UNCLEAR);
    check("", 0, QUERY_ATTRIBUTES, 0, UNCLEAR);
}

static void words_of_any_length_are_one_word(void **state)
{
    (void)state;
    char text[400];
    memset(text, 'a', sizeof text);
    memcpy(text, "SELECT ", 7);
    memcpy(text + sizeof text - 3, "(1)", 3);
    check(text, sizeof text, 0, 0, ROUTINE);
    text[7] = '$';
    check(text, sizeof text, 0, 0, ROUTINE | UNCLEAR);
    static const struct row rows[] = {
        {"SELECT xGET_LOCK.y", 0},
        {"SELECT sql_calc_found_rowsx FROM t", 0},
        {"SETROLE r", UNCLEAR},
        {"SELECT caf\xc3\xa9 FROM t", 0},
    };
    CHECK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_statements_say_nothing),
        cmocka_unit_test(what_a_connection_remembers_is_told),
        cmocka_unit_test(routines_and_programs_are_told),
        cmocka_unit_test(questions_about_what_was_before_are_told),
        cmocka_unit_test(settings_are_told),
        cmocka_unit_test(each_of_several_statements_is_looked_at),
        cmocka_unit_test(strings_names_and_comments_say_nothing),
        cmocka_unit_test(executable_comments_are_code),
        cmocka_unit_test(what_does_not_end_is_unclear),
        cmocka_unit_test(sql_mode_says_where_strings_end),
        cmocka_unit_test(query_attributes_are_skipped_if_there_are_none),
        cmocka_unit_test(words_of_any_length_are_one_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
