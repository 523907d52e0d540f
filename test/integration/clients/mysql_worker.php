<?php
// A worker of a queue, as frameworks for PHP have them: told in a line of JSON where its database
// is, it connects, says so, and waits for another line; then it takes jobs from a table until there
// are none, each in a transaction that it tries again after a deadlock; a connection that is lost
// is made again. Prints what it met.
$told = json_decode(fgets(STDIN), true);
$met = ['jobs' => 0, 'deadlocks' => 0, 'lost' => []];

const SQL_MODE = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,'
    . 'ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';
const SETTINGS = ['character_set_client' => 'utf8mb4', 'character_set_results' => 'utf8mb4',
    'collation_connection' => 'utf8mb4_unicode_ci', 'time_zone' => '+00:00', 'autocommit' => 'ON'];
// By their words frameworks know what happened.
const LOST = ['server has gone away', 'Lost connection', 'Connection was killed',
    'Error while sending', 'Connection refused', 'Connection reset', 'reset by peer',
    'Server shutdown in progress'];
const CONCURRENT = ['Deadlock found', 'Lock wait timeout', 'Record has changed since last read'];
const ATTEMPTS = 20;
const PATIENCE = 60;

class Database
{
    private ?PDO $link = null;

    public function __construct(private array $to)
    {
    }

    public function connect(): void
    {
        $this->link = null;
        $this->link = new PDO("mysql:host=127.0.0.1;port={$this->to['port']};dbname=test",
            $this->to['user'], $this->to['password'], [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
                PDO::ATTR_EMULATE_PREPARES => $this->to['emulated'], PDO::ATTR_TIMEOUT => 20,
                PDO::ATTR_STRINGIFY_FETCHES => false]);
        $this->link->exec('use `test`;');
        $this->link->exec('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;');
        if ($this->to['together']) {
            $this->link->exec("SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci',"
                . " time_zone = '+00:00', SESSION sql_mode = '" . SQL_MODE . "';");
        } else {
            $this->link->exec("set names 'utf8mb4' collate 'utf8mb4_unicode_ci'");
            $this->link->prepare('set time_zone="+00:00"')->execute();
            $this->link->exec("set session sql_mode='" . SQL_MODE . "'");
        }
    }

    /** The statement, executed; outside of transactions a second time if its connection is lost. */
    public function run(string $text, array $values = []): PDOStatement
    {
        $had = $this->link?->inTransaction();
        try {
            return $this->once($text, $values);
        } catch (PDOException $e) {
            if ($had || !says($e, LOST)) {
                throw $e;
            }
            $this->again($e);
            return $this->once($text, $values);
        }
    }

    private function once(string $text, array $values): PDOStatement
    {
        $statement = $this->link->prepare($text);
        foreach ($values as $n => $value) {
            $statement->bindValue($n + 1, $value, is_int($value) ? PDO::PARAM_INT : PDO::PARAM_STR);
        }
        $statement->execute();
        return $statement;
    }

    public function again(PDOException $e): void
    {
        global $met;
        $met['lost'][] = $e->getMessage();
        for ($until = time() + PATIENCE;; usleep(20000)) {
            try {
                $this->connect();
                return;
            } catch (PDOException $e) {
                if (time() > $until || !says($e, LOST)) {
                    throw $e;
                }
            }
        }
    }

    /** What `act` returns; all of it again after a deadlock. */
    public function transaction(callable $act): mixed
    {
        global $met;
        for ($attempt = 1;; $attempt++) {
            try {
                $this->begin();
                $result = $act();
                $this->link->commit();
                return $result;
            } catch (PDOException $e) {
                $this->back();
                if ($attempt === ATTEMPTS || !says($e, CONCURRENT)) {
                    throw $e;
                }
                $met['deadlocks']++;
            }
        }
    }

    private function begin(): void
    {
        try {
            $this->link->beginTransaction();
        } catch (PDOException $e) {
            if (!says($e, LOST)) {
                throw $e;
            }
            $this->again($e);
            $this->link->beginTransaction();
        }
    }

    private function back(): void
    {
        try {
            if ($this->link->inTransaction()) {
                $this->link->rollBack();
            }
        } catch (PDOException $e) {
            // It went with its connection.
        }
    }

    public function newest(): int
    {
        return (int) $this->link->lastInsertId();
    }
}

function says(PDOException $e, array $words): bool
{
    return array_filter($words, fn ($word) => str_contains($e->getMessage(), $word)) !== [];
}

function same(mixed $expected, mixed $got, string $what): void
{
    if ($expected != $got) {
        throw new Exception("$what: " . json_encode($got) . ' is not ' . json_encode($expected));
    }
}

/** It is as it was made, whichever connection of the server's this is by now. */
function check_settings(Database $db): void
{
    $names = "'" . implode("','", array_keys(SETTINGS)) . "'";
    $rows = $db->run("SHOW SESSION VARIABLES WHERE Variable_name IN ($names)");
    $found = $rows->fetchAll(PDO::FETCH_KEY_PAIR);
    same(SETTINGS, array_intersect_key($found, SETTINGS), 'settings');
    same([SQL_MODE, 'test', 'héé'], $db->run('SELECT @@sql_mode, DATABASE(), ?', ['héé'])
        ->fetch(PDO::FETCH_NUM), 'mode');
}

function take(Database $db, string $name): ?array
{
    return $db->transaction(function () use ($db, $name) {
        $job = $db->run('SELECT id, payload FROM jobs WHERE taken_by IS NULL ORDER BY id LIMIT 1'
            . ' FOR UPDATE SKIP LOCKED')->fetch(PDO::FETCH_ASSOC);
        if ($job === false) {
            return null;
        }
        same(1, $db->run('UPDATE jobs SET taken_by = ? WHERE id = ?', [$name, $job['id']])
            ->rowCount(), 'rows taken');
        return $job;
    });
}

/** Its rows in their order, each within a savepoint. */
function work(Database $db, string $name, array $job): void
{
    $db->transaction(function () use ($db, $name, $job) {
        if ($db->run('SELECT id FROM done WHERE job = ?', [$job['id']])->fetch() !== false) {
            return;
        }
        $db->run('INSERT INTO done (job, worker) VALUES (?, ?)', [$job['id'], $name]);
        $id = $db->newest();
        foreach (json_decode($job['payload']) as $account) {
            $db->run('SAVEPOINT step');
            $db->run('UPDATE accounts SET jobs = jobs + 1 WHERE id = ?', [$account]);
            $db->run('RELEASE SAVEPOINT step');
        }
        same($job['id'], $db->run('SELECT job FROM done WHERE id = ?', [$id])->fetchColumn(), 'id');
    });
}

function release(Database $db, string $name): void
{
    $db->run('UPDATE jobs SET taken_by = NULL WHERE taken_by = ? AND id NOT IN'
        . ' (SELECT job FROM done)', [$name]);
}

$db = new Database($told);
$db->connect();
echo "ready\n";
fgets(STDIN);
while (true) {
    try {
        check_settings($db);
        $job = take($db, $told['name']);
        if ($job === null) {
            break;
        }
        work($db, $told['name'], $job);
        $met['jobs']++;
    } catch (PDOException $e) {
        if (!says($e, LOST)) {
            throw $e;
        }
        $db->again($e);
        release($db, $told['name']);
    }
}
echo json_encode($met);
