// Logs in as it is told on standard input, a list in JSON, and tells for each whether it was let
// in, and as whom, or how it was refused. Argument: folder of node_modules.
const fs = require("fs");
const mysql = require(process.argv[2] + "/mysql2/promise");

async function logIn(job) {
  const ssl = job.tls ? { ca: fs.readFileSync(job.ca), servername: "db.test" } : undefined;
  let link;
  try {
    link = await mysql.createConnection({ host: "127.0.0.1", port: job.port, user: job.user,
      password: job.password, database: job.database || undefined, ssl, connectTimeout: 20000 });
    const [rows] = await link.query({ sql: job.query, rowsAsArray: true });
    await link.end();
    return { row: rows[0] };
  } catch (error) {
    if (link) link.destroy();
    return { code: error.errno || error.code || error.message, state: error.sqlState || "",
      words: error.message };
  }
}

(async () => {
  const answers = [];
  for (const job of JSON.parse(fs.readFileSync(0))) answers.push(await logIn(job));
  console.log(JSON.stringify(answers));
})();
