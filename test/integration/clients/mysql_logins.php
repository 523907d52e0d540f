<?php
// Logs in as it is told on standard input, a list in JSON, with mysqli or PDO (the argument), and
// tells for each whether it was let in, and as whom, or how it was refused.
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

function by_mysqli(array $job): array
{
    try {
        $link = mysqli_init();
        $link->options(MYSQLI_OPT_CONNECT_TIMEOUT, 20);
        if ($job['tls']) {
            $link->ssl_set(null, null, $job['ca'], null, null);
            $link->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, true);
        }
        $link->real_connect('127.0.0.1', $job['user'], $job['password'], $job['database'] ?: null,
            $job['port'], null, $job['tls'] ? MYSQLI_CLIENT_SSL : 0);
        $row = $link->query($job['query'])->fetch_row();
        $link->close();
        return ['row' => $row];
    } catch (mysqli_sql_exception $e) {
        return ['code' => $e->getCode(), 'state' => $e->getSqlState(), 'words' => $e->getMessage()];
    }
}

function by_pdo(array $job): array
{
    $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_TIMEOUT => 20];
    if ($job['tls']) {
        $options[PDO::MYSQL_ATTR_SSL_CA] = $job['ca'];
    }
    $base = $job['database'] ? "dbname={$job['database']};" : '';
    try {
        $link = new PDO("mysql:{$base}host=127.0.0.1;port={$job['port']}", $job['user'],
            $job['password'], $options);
        return ['row' => $link->query($job['query'])->fetch(PDO::FETCH_NUM)];
    } catch (PDOException $e) {
        return ['code' => $e->errorInfo[1] ?? $e->getCode(), 'state' => $e->errorInfo[0] ?? '',
            'words' => $e->getMessage()];
    }
}

$log_in = 'by_' . $argv[1];
echo json_encode(array_map($log_in, json_decode(file_get_contents('php://stdin'), true)));
