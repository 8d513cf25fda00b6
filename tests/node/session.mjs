// A session from the greeting to each of its ends.
import { once } from "node:events";
import { api, greeted, tell, tokens } from "./gateway.mjs";

const dashboard = await greeted(`/ws/dashboard?token=${tokens.ann}`);
tell({ name: "greeting", ...dashboard.greeting });
tell({ name: "pong", ...(await dashboard.ask({ type: "ping", id: "1", payload: { deep: [1, "é", null] } })) });
dashboard.socket.ping("are you there");
const [answer] = await once(dashboard.socket, "pong");
tell({ name: "pongFrame", payload: answer.toString() });
tell({
  name: "refreshed",
  ...(await dashboard.ask({ type: "auth.refresh", id: "r1", payload: { token: tokens.fresh } })),
});
tell({
  name: "notRefreshed",
  ...(await dashboard.ask({ type: "auth.refresh", id: "r2", payload: { token: tokens.bob } })),
});
tell({ name: "unknown", ...(await dashboard.ask({ type: "whatever", id: "u" })) });
tell({ name: "noJson", ...(await dashboard.ask("{")) });

const megabyte = 1 << 20;
const frame = (size) => {
  const head = '{"type":"ping","payload":"';
  return `${head}${"x".repeat(size - head.length - 2)}"}`;
};
const big = await dashboard.ask(frame(megabyte));
tell({ name: "big", type: big.type, length: big.payload.length });
dashboard.socket.send(frame(megabyte + 1));
tell({ name: "tooBig", ...(await dashboard.closed) });

const binary = await greeted(`/ws?token=${tokens.ann}`);
binary.socket.send(Buffer.from("{}"));
tell({ name: "binary", ...(await binary.closed) });

const leaving = await greeted(`/ws?token=${tokens.ann}`);
tell({ name: "left", ...(await leaving.leave(4321, "done")) });

const kicked = await greeted(`/ws?token=${tokens.ann}`);
const { status } = await api("DELETE", `/api/v1/connections/${kicked.greeting.connectionId}`);
tell({ name: "kicked", status, ...(await kicked.closed) });

const banned = await greeted(`/ws?token=${tokens.mallory}`);
await api("PUT", "/api/v1/bans", { user: "mallory" });
tell({ name: "bannedLive", ...(await banned.closed) });

const pinged = await greeted(`/quick?token=${tokens.ann}`);
while (pinged.pings < 2) await new Promise((resolve) => setTimeout(resolve, 50));
tell({ name: "pinged", open: pinged.socket.readyState === pinged.socket.OPEN });
await pinged.leave();
