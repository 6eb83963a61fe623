// A web server that listens where Piku says, and ends on SIGTERM.
import ms from "ms";

const GREETING = "Hello from Bun";

const server = Bun.serve({
  hostname: process.env.BIND_ADDRESS,
  port: process.env.PORT,
  fetch: () => new Response(`${GREETING} ${Bun.version}, ms says ${ms(90_000)}\n`),
});

process.on("SIGTERM", async () => {
  await server.stop();
  process.exit(0);
});
