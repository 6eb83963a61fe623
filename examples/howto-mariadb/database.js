const mysql = require("mysql2/promise");

const address = new URL(process.env.DATABASE_URL);
module.exports = mysql.createPool({
  socketPath: address.searchParams.get("unix_socket"),
  user: address.username,
  password: address.password,
  database: address.pathname.slice(1),
});
