// What a page says and is answered, in one connection, over one way to be carried.
import { tell, tokens } from "./gateway.mjs";
import { enter, leave, next } from "./socketio.mjs";

const { WAY } = process.env;
const socket = await enter("/dashboard", WAY, { auth: { token: tokens.ann } });
socket.onAny((type, ...words) => tell({ name: "heard", type, words }));
const ask = async (name, ...words) => tell({ name, answer: await socket.timeout(20_000).emitWithAck(...words) });

await ask("ping", "ping", { deep: [1, "é", null] });
await ask("command", "command", { agentId: "a-1", do: "it" });
await ask("offline", "command", { agentId: "nobody" });
await ask("unknown", "whatever", {});
await ask("twoArguments", "ping", 1, 2);
await ask("subscribe", "subscribe", { room: "agents" });
await ask("forbidden", "subscribe", { room: "user:bob" });
await ask("refresh", "auth.refresh", { token: tokens.fresh });
await ask("otherUser", "auth.refresh", { token: tokens.bob });
const fault = next(socket, "error");
socket.emit("whatever", {});
await fault;
await leave(socket);
tell({ name: "left" });
