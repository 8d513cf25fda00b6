// What the scripts share: where the gateway is, how they speak to it, and how they tell the test what came of it.
import WebSocket from "ws";

export const { GATEWAY, TOKENS, NODES, SPREAD } = process.env;
export const tokens = JSON.parse(TOKENS ?? "{}");

const nodes = NODES ? NODES.split(",") : [GATEWAY];
let state = Number(SPREAD ?? 0) | 0;

/** Where a client comes to: where the gateway is several, any of them, by a die that falls as its seed says (mulberry32). */
export const somewhere = () => {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return nodes[((mixed ^ (mixed >>> 14)) >>> 0) % nodes.length];
};

/** Tells the test: one JSON value a line. */
export const tell = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

/** A reason that is ours is JSON. */
const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return text === "" ? null : text;
  }
};

/**
 * Opens a connection and notes what happens to it. `first` settles when it is greeted, refused or closed; `closed`
 * when it is over; `next()` gives one message after the other.
 */
export const open = (path, { protocols, at = somewhere(), ...options } = {}) => {
  const socket = new WebSocket(`ws://${at}${path}`, protocols ?? [], options);
  const messages = [];
  const waiting = [];
  const visit = { socket, greeting: null, pings: 0 };
  let settle;
  visit.first = new Promise((resolve) => (settle = resolve));
  visit.closed = new Promise((resolve) => {
    socket.on("close", (code, reason) => {
      const end = { close: code, reason: parsed(reason.toString()) };
      resolve(end);
      settle(end);
      waiting.splice(0).forEach((taker) => taker(end));
    });
  });
  socket.on("error", () => {});
  socket.on("ping", () => (visit.pings += 1));
  socket.on("unexpected-response", (request, response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (part) => (body += part));
    response.on("end", () => {
      settle({ status: response.statusCode, headers: response.headers, body: parsed(body) });
      request.destroy();
    });
  });
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? { binary: data.length } : parsed(data.toString());
    if (visit.greeting === null && message?.type === "connection_ready") {
      visit.greeting = message.payload;
      settle(visit);
      return;
    }
    const taker = waiting.shift();
    if (taker) taker(message);
    else messages.push(message);
  });
  visit.next = () =>
    messages.length > 0 ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve));
  visit.ask = (message) => {
    socket.send(typeof message === "string" ? message : JSON.stringify(message));
    return visit.next();
  };
  visit.leave = async (code, reason) => {
    socket.close(code, reason);
    return visit.closed;
  };
  return visit;
};

/** Opens and must be greeted. */
export const greeted = async (path, options) => {
  const visit = open(path, options);
  const first = await visit.first;
  if (first !== visit) throw new Error(`not greeted: ${JSON.stringify(first)}`);
  return visit;
};

/** How an attempt ends: greeted, an HTTP refusal or a close code. */
export const attempt = async (path, options) => {
  const visit = open(path, options);
  const first = await visit.first;
  if (first !== visit) return first;
  const outcome = { user: visit.greeting.userId, protocol: visit.socket.protocol };
  await visit.leave();
  return outcome;
};

/** An HTTP call to the API as an administrator. */
export const api = async (method, path, body) => {
  const response = await fetch(`http://${somewhere()}${path}`, {
    method,
    headers: { authorization: `Bearer ${tokens.admin}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
};
