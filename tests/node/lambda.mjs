// The door behind API Gateway by the npm package `ws`, and what becomes of socket.io-client there.
import { io } from "socket.io-client";
import { GATEWAY, attempt, greeted, tell, tokens } from "./gateway.mjs";

const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });
const cases = {
  query: () => attempt(`/dashboard?token=${tokens.ann}`),
  header: () => attempt("/dashboard", bearer(tokens.ann)),
  subprotocol: () => attempt(`/dashboard?token=${tokens.ann}`, { protocols: ["chat", "gateway.v1"] }),
  missing: () => attempt("/dashboard"),
  invalid: () => attempt("/dashboard?token=garbage"),
  expired: () => attempt(`/dashboard?token=${tokens.expired}`),
  wrongRole: () => attempt(`/agent?token=${tokens.ann}`),
  agent: () => attempt(`/agent?token=${tokens.agent}`),
};
for (const [name, run] of Object.entries(cases)) tell({ name, ...(await run()) });

const ann = await greeted(`/dashboard?token=${tokens.ann}`);
tell({ name: "ping", message: await ann.ask({ type: "ping", id: "p", payload: [1] }) });
const offer = (token) => ({ type: "auth.refresh", id: "r", payload: { token } });
tell({ name: "refresh", message: await ann.ask(offer(tokens.later)) });
tell({ name: "another", message: await ann.ask(offer(tokens.bob)) });
tell({ name: "room", message: await ann.ask({ type: "subscribe", id: "s", payload: { room: "user:bob" } }) });
tell({ name: "ready" });
tell({ name: "event", message: await ann.next() });
tell({ name: "left", ...(await ann.leave(1000)) });

/** How a Socket.IO client fares by one transport alone. */
const socketio = (transport) =>
  new Promise((resolve) => {
    const socket = io(`http://${GATEWAY}`, {
      path: "/dashboard",
      transports: [transport],
      query: { token: tokens.ann },
      auth: { token: tokens.ann },
      reconnection: false,
      timeout: 5000,
    });
    const end = (outcome) => {
      socket.disconnect();
      resolve(outcome);
    };
    socket.on("connect", () => end({ connected: true }));
    socket.on("connect_error", (fault) => end({ connected: false, fault: fault.message }));
    setTimeout(() => end({ connected: false, fault: "nothing came of it" }), 8000);
  });
tell({ name: "polling", ...(await socketio("polling")) });
tell({ name: "websocket", ...(await socketio("websocket")) });
process.exit(0);
