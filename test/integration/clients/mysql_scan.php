<?php
// Arguments: host, port, user, password. Says much to a server of MySQL's and prints, for each
// statement, what it was told: error, warnings, insert id.
mysqli_report(MYSQLI_REPORT_OFF);
[, $host, $port, $user, $password] = $argv;
$db = new mysqli($host, $user, $password, 'test', (int)$port);
$told = [];

function note($db) {
    global $told;
    $told[] = [$db->errno, $db->warning_count, $db->insert_id];
}

foreach (['SELECT 1', 'SELECT id, v FROM t', 'INSERT INTO t (v) VALUES (\'php\')', 'nonsense',
          'SELECT 1/0', 'SELECT id FROM t WHERE 0', 'CALL begins()', 'ROLLBACK'] as $text) {
    $db->query($text);
    note($db);
}
$db->query(str_repeat(' ', 100000) . 'SELECT REPEAT(\'x\', 300000)');
note($db);
$unread = $db->query('SELECT id FROM t', MYSQLI_USE_RESULT);
$unread->free();
note($db);
$db->multi_query('SELECT 1; CALL several(); DO 1; SELECT 2; nonsense');
do {
    if ($result = $db->store_result()) {
        $result->free();
    }
} while ($db->more_results() && $db->next_result());
note($db);
foreach (['SELECT id, v FROM t WHERE id > ?', 'INSERT INTO t (u) VALUES (?)', 'DO ?',
          'SELECT id FROM t WHERE id = f() + ? - ?'] as $text) {
    $statement = $db->prepare($text);
    $statement->execute(array_fill(0, $statement->param_count, 1));
    $statement->store_result();
    $statement->free_result();
    $statement->close();
}
foreach ([MYSQLI_CURSOR_TYPE_NO_CURSOR, MYSQLI_CURSOR_TYPE_READ_ONLY] as $kind) {
    $statement = $db->prepare('SELECT id, v FROM t ORDER BY id LIMIT 3');
    $statement->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, $kind);
    $statement->execute();
    $statement->bind_result($id, $value);
    while ($statement->fetch()) {
    }
    $statement->close();
}
$statement = $db->prepare('CALL several()');
$statement->execute();
while ($statement->more_results()) {
    $statement->store_result();
    $statement->free_result();
    $statement->next_result();
}
$statement->close();
$statement = $db->prepare('INSERT INTO t (v) VALUES (?)');
$blob = null;
$statement->bind_param('b', $blob);
$statement->send_long_data(0, str_repeat('y', 100000));
$statement->execute();
$statement->close();
$db->ping();
$db->stat();
$db->select_db('nowhere');
$db->begin_transaction();
$db->rollback();
$db->autocommit(false);
$db->autocommit(true);
$db->close();
echo json_encode($told);
