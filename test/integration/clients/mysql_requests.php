<?php
// A page whose connection outlives its requests: for `php -S`. The request says how it connects
// and what it does; it is told, in JSON, what it found there. What it leaves is not cleaned up.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

const FOUND = "SELECT CURRENT_USER(), DATABASE(), @@session.sql_mode, @@session.time_zone,"
    . " @@character_set_client, @@collation_connection, @@autocommit";
const ROWS = 'SELECT COUNT(*) FROM test.r';
const MESS = ["SET SESSION sql_mode = '', time_zone = '+03:00'", "SET NAMES latin1", "USE other",
    "SET @left = 'something'", "CREATE TEMPORARY TABLE IF NOT EXISTS test.left_over (id INT)",
    "INSERT INTO test.left_over VALUES (1)", "START TRANSACTION",
    "INSERT INTO test.r (v) VALUES ('unfinished')"];
// Of these MariaDB and MySQL have errors where there is nothing.
const LEFT = ["SELECT @left", "SELECT COUNT(*) FROM test.left_over"];

/** Functions that say a statement, and ask for a row. */
function by_mysqli(array $to): array
{
    $link = new mysqli('p:127.0.0.1', $to['user'], $to['password'], 'test', (int) $to['port']);
    return [fn ($text) => $link->query($text), fn ($text) => $link->query($text)->fetch_row()];
}

function by_pdo(array $to): array
{
    $link = new PDO("mysql:dbname=test;host=127.0.0.1;port={$to['port']}", $to['user'],
        $to['password'], [PDO::ATTR_PERSISTENT => true, PDO::ATTR_TIMEOUT => 20,
            PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    return [fn ($text) => $link->exec($text),
        fn ($text) => array_map('strval', $link->query($text)->fetch(PDO::FETCH_NUM))];
}

function number_of(Throwable $e): int
{
    return $e instanceof PDOException ? $e->errorInfo[1] ?? $e->getCode() : $e->getCode();
}

function found(callable $row, string $text): mixed
{
    try {
        return $row($text);
    } catch (mysqli_sql_exception | PDOException $e) {
        return number_of($e);
    }
}

try {
    [$say, $row] = ('by_' . $_GET['how'])($_GET);
    $told = ['found' => $row(FOUND)];
    if ($_GET['what'] === 'mess') {
        $told['thread'] = $row('SELECT CONNECTION_ID()');
        $told['left'] = [...array_map(fn ($text) => found($row, $text), LEFT), $row(ROWS)];
        array_map($say, MESS);
    } else {
        $say("INSERT INTO test.r (v) VALUES ('{$_GET['what']}')");
        $told['own'] = $row("SELECT v FROM test.r WHERE id = LAST_INSERT_ID()");
    }
    echo json_encode($told);
} catch (Throwable $e) {
    echo json_encode(['error' => number_of($e) . ' ' . $e->getMessage()]);
}
