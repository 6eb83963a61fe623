// A web server that listens where Piku says, and ends on SIGTERM.
import ms from "ms";

const GREETING = "Hello from Deno";

const server = Deno.serve(
  { hostname: Deno.env.get("BIND_ADDRESS"), port: Number(Deno.env.get("PORT")) },
  () => new Response(`${GREETING} ${Deno.version.deno}, ms says ${ms(90_000)}\n`),
);

Deno.addSignalListener("SIGTERM", () => server.shutdown());
