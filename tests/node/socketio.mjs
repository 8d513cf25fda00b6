// What the scripts with `socket.io-client` share: how they come in, and how they tell what came of it.
import { io } from "socket.io-client";
import { somewhere } from "./gateway.mjs";

/** The ways to be carried: `polling`, `websocket`, or `upgraded` from the one to the other. */
export const WAYS = { polling: ["polling"], websocket: ["websocket"], upgraded: ["polling", "websocket"] };

const PATIENCE = 20_000;

/** A promise that gives up. */
export const within = (promise, what, patience = PATIENCE) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} never came`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** A socket of its own connection, which does not come back by itself unless it is told to. */
export const socketTo = (namespace, way, options = {}) =>
  io(`http://${somewhere()}${namespace}`, { transports: WAYS[way], forceNew: true, reconnection: false, ...options });

/** The next event of that name: its arguments. */
export const next = (socket, name) =>
  within(new Promise((resolve) => socket.once(name, (...words) => resolve(words))), name);

/** Waits until it is in, or refused: what the client was told. */
export const outcome = (socket) =>
  within(
    new Promise((resolve) => {
      socket.once("connect", () => resolve({ in: true }));
      socket.once("connect_error", (error) => {
        const { message, data, context, description } = error;
        const status = context?.status ?? context?._req?.res?.statusCode;
        const body = context?.responseText;
        resolve({ in: false, message, data, status, body, again: socket.active, description: description?.type });
      });
    }),
    "a connection or its refusal",
  );

/** What carries it. */
export const carrier = (socket) => socket.io.engine.transport.name;

/** Waits until it has moved to a WebSocket, where it is to, and the gateway knows it. */
export const moved = async (socket, way) => {
  if (way !== "upgraded") return;
  if (carrier(socket) !== "websocket") {
    await within(new Promise((resolve) => socket.io.engine.once("upgrade", resolve)), "the upgrade");
  }
  await within(socket.emitWithAck("ping", "moved?"), "an answer by the new way");
};

/** Comes in, and has moved where it is to move. */
export const enter = async (namespace, way, options) => {
  const socket = socketTo(namespace, way, options);
  const { in: isIn, ...refused } = await outcome(socket);
  if (!isIn) throw new Error(`not let in: ${JSON.stringify(refused)}`);
  await moved(socket, way);
  return socket;
};

/** Leaves, and the connection below has ended. */
export const leave = async (socket) => {
  const { engine } = socket.io;
  const closed = new Promise((resolve) => (engine.readyState === "closed" ? resolve() : engine.once("close", resolve)));
  socket.disconnect();
  await within(closed, "the end of the connection");
};
