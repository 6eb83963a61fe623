// A chat: every message goes to everybody.
const fs = require("fs");
const http = require("http");
const { WebSocket, WebSocketServer } = require("ws");

const server = http.createServer((_, response) => {
  response.setHeader("Content-Type", "text/html; charset=utf-8");
  fs.createReadStream("page.html").pipe(response);
});
const sockets = new WebSocketServer({ server });

sockets.on("connection", (socket) => {
  socket.on("message", (data) => {
    for (const client of sockets.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(data.toString());
    }
  });
});

// nginx closes a connection that is silent for 60 seconds.
setInterval(() => sockets.clients.forEach((client) => client.ping()), 30000);

server.listen(process.env.PORT, process.env.BIND_ADDRESS);
process.on("SIGTERM", () => {
  for (const client of sockets.clients) client.close(1012, "a new release"); // 1012: connect again
  server.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 2000); // for clients that do not answer
});
