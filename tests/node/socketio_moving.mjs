// Sockets that move from polling to a WebSocket, or stay with one of them, and leave, all the while they are told things
// and ask things: what each of them heard.
import { NodeWebSocket, NodeXHR } from "engine.io-client";
import { tell, tokens } from "./gateway.mjs";
import { WAYS, carrier, leave, outcome, socketTo, within } from "./socketio.mjs";

const { WAY } = process.env;
const COUNT = 6;
const BEHIND_THE_MOVE = 20;
const ASKED = 40;

/** A WebSocket that takes its time, so that there is much to say before it carries anything. */
const later = (milliseconds) =>
  class extends NodeWebSocket {
    doOpen() {
      setTimeout(() => super.doOpen(), milliseconds);
    }
  };

const visit = async (number) => {
  const transports = WAY === "upgraded" ? [NodeXHR, later(100 + 50 * number)] : WAYS[WAY];
  const socket = socketTo("/dashboard", WAY, { auth: { token: tokens.ann }, transports });
  const heard = [];
  let movedAt = null;
  const enough = new Promise((resolve) => {
    socket.on("story:next", ({ payload }) => {
      heard.push(payload.n);
      if (carrier(socket) === WAYS[WAY].at(-1)) movedAt ??= heard.length;
      if (movedAt !== null && heard.length >= movedAt + BEHIND_THE_MOVE) resolve();
    });
  });
  const told = await outcome(socket);
  if (!told.in) throw new Error(JSON.stringify(told));
  const answers = [];
  const asking = Array.from({ length: ASKED }, async (_, asked) => {
    // Some before, some while, some after it moves.
    await new Promise((resolve) => setTimeout(resolve, asked * 10));
    answers.push((await socket.emitWithAck("ping", asked)).payload);
  });
  await within(Promise.all([enough, ...asking]), "all of it", 60_000);
  tell({ name: `socket ${number}`, heard, movedAt, answers });
  await leave(socket);
};

await Promise.all(Array.from({ length: COUNT }, (_, number) => visit(number)));
tell({ name: "all" });
