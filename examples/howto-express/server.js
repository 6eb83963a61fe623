const express = require("express");

const app = express();
app.set("trust proxy", "loopback"); // nginx says which client and which protocol it was

app.get("/", (request, response) => {
  response.type("text/plain").send(`Hello from Express, over ${request.protocol}, release ${process.env.PIKU_RELEASE}\n`);
});

const server = app.listen(process.env.PORT, process.env.BIND_ADDRESS);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
