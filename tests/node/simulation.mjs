// A trader's program and an engine. Both get their tokens by an API key; the program knows messages of the shape
// {type, request_id, data}, the engine the gateway's own.
import WebSocket from "ws";
import { somewhere, tell } from "./gateway.mjs";

const signIn = async (key) => {
  const response = await fetch(`http://${somewhere()}/auth/token`, { method: "POST", headers: { "X-API-Key": key } });
  return (await response.json()).access_token;
};
const connect = (path, token) => new WebSocket(`ws://${somewhere()}${path}?token=${token}`);
const greeted = (socket) => new Promise((resolve) => socket.once("message", (text) => resolve(JSON.parse(text))));

const engine = connect("/ws/engine", await signIn(process.env.ENGINE_KEY));
await greeted(engine);
const replies = (requestId, payload, more) =>
  engine.send(JSON.stringify({ type: "reply", replyTo: requestId, payload, ...(more && { more }) }));
engine.on("message", (text) => {
  const { type, requestId, payload } = JSON.parse(text);
  if (type === "start_simulation") {
    replies(requestId, { percent: 25 }, true);
    if (payload.endless) return;
    for (const percent of [50, 75]) replies(requestId, { percent }, true);
    replies(requestId, { profit: 12.5 });
  }
  if (type === "cancel") replies(requestId, { stopped: true });
});

const trader = connect("/ws/simulate", await signIn(process.env.TRADER_KEY));
tell({ plan: (await greeted(trader)).data.plan });

/** Runs a simulation to its end; one without an end is stopped at the first sign of life. */
const simulate = (request_id, data) =>
  new Promise((resolve) => {
    const progress = [];
    const listen = (text) => {
      const message = JSON.parse(text);
      if (message.type !== "simulation_update" || message.request_id !== request_id) {
        throw new Error(`not an update of ${request_id}: ${text}`);
      }
      if (!message.more) {
        trader.off("message", listen);
        return resolve({ request: request_id, progress, result: message.data });
      }
      progress.push(message.data.percent);
      if (data.endless) trader.send(JSON.stringify({ type: "stop_simulation", request_id }));
    };
    trader.on("message", listen);
    trader.send(JSON.stringify({ type: "start_simulation", request_id, data }));
  });
tell(await simulate("r1", { symbols: ["ABC"] }));
tell(await simulate("r2", { symbols: ["ABC"], endless: true }));

const stranger = connect("/ws/simulate", "no-token-of-ours");
const [refused, reason] = await new Promise((resolve) => stranger.on("close", (...end) => resolve(end)));
tell({ refused, code: JSON.parse(reason).code });
for (const socket of [engine, trader]) socket.close();
