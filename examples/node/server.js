// A web server that listens where Piku says, and ends on SIGTERM.
const http = require("http");
const ms = require("ms");

const GREETING = "Hello from Node.js";

const server = http.createServer((request, response) => {
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end(
    `${GREETING} ${process.version}, ms ${require("ms/package.json").version}, ` +
      `up for ${ms(Math.round(process.uptime() * 1000))}\n`,
  );
});

server.listen(process.env.PORT, process.env.BIND_ADDRESS);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
