// Comes in and stays until the gateway ends it; tells how, and whether it comes back by itself.
import { tell, tokens } from "./gateway.mjs";
import { leave, moved, next, socketTo, within } from "./socketio.mjs";

const { WAY, SPEAK } = process.env;
let asked = 0;
const auth = (give) => {
  asked += 1;
  give({ token: tokens.ann });
};
const socket = socketTo("/dashboard", WAY, { auth, reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 500 });
for (const type of ["error", "auth.expiring", "story:end"]) socket.on(type, (words) => tell({ name: type, words }));
await next(socket, "connect");
await moved(socket, WAY);
const first = socket.id;
const ended = next(socket, "disconnect");
tell({ name: "in", id: first });
if (SPEAK === "binary") socket.emit("command", { agentId: "a-1", bytes: Buffer.from([1, 2, 3]) });
const [reason] = await ended;
tell({ name: "out", reason, again: socket.active });
if (socket.active) {
  if (!socket.connected) await within(next(socket, "connect"), "the way back");
  tell({ name: "back", id: socket.id, another: socket.id !== first, asked });
  await leave(socket);
} else {
  // It has time to change its mind.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  tell({ name: "still out", connected: socket.connected, asked });
}
