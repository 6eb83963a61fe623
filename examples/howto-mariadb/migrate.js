const database = require("./database");

database
  .query("CREATE TABLE IF NOT EXISTS visits (time TIMESTAMP DEFAULT CURRENT_TIMESTAMP)")
  .then(() => database.end());
