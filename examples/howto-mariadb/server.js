const express = require("express");
const database = require("./database");

const app = express();

app.get("/", async (request, response) => {
  await database.query("INSERT INTO visits () VALUES ()");
  const [[{ count }]] = await database.query("SELECT count(*) AS count FROM visits");
  response.type("text/plain").send(`You are visitor ${count}.\n`);
});

const server = app.listen(process.env.PORT, process.env.BIND_ADDRESS);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
