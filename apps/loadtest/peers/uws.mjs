// A server on uWebSockets, by its binding for Node: tokens at the upgrade, rooms as its own topics, its own pings.
import uws from "@trufflesuite/uws-js-unofficial";
import { claims, event, serving, target } from "./gate.mjs";

// The package falls back to one in JavaScript where the native one does not load: that is not what is measured.
if (uws.H3App === undefined) throw new Error("uWebSockets has no native build for this Node: take Node 18 or 20");

const app = uws.App();

/** Whoever has no good token does not come in. */
const upgrade = (answer, request, context) => {
  const user = claims(request.getQuery("token"))?.sub;
  if (user === undefined) return answer.writeStatus("401 Unauthorized").end();
  const [key, protocol, extensions] = ["key", "protocol", "extensions"].map((name) =>
    request.getHeader(`sec-websocket-${name}`),
  );
  answer.upgrade({ user }, key, protocol, extensions, context);
};

app.ws("/ws/echo", { upgrade, message: (socket, data, binary) => socket.send(data, binary) });

app.ws("/ws/dashboard", {
  upgrade,
  open: (socket) => {
    socket.subscribe(`user:${socket.user}`);
    socket.send(JSON.stringify({ type: "connection_ready", payload: { user: socket.user } }));
  },
  message: (socket, data) => {
    const { type, payload } = JSON.parse(Buffer.from(data).toString());
    if (type === "subscribe") {
      socket.subscribe(payload.room);
      return socket.send(JSON.stringify({ type: "subscribed", payload }));
    }
    const room = target(type, payload);
    if (room !== undefined) app.publish(room, JSON.stringify(event(type, payload)));
  },
});

app.post("/api/v1/events", (answer, request) => {
  const known = claims(request.getHeader("authorization").replace(/^Bearer /, ""));
  answer.onAborted(() => {});
  if (known === undefined) return answer.writeStatus("401 Unauthorized").end();
  let body = "";
  answer.onData((part, isLast) => {
    body += Buffer.from(part).toString();
    if (!isLast) return;
    const { to, type, payload } = JSON.parse(body);
    const made = event(type, payload);
    const text = JSON.stringify(made);
    let delivered = 0;
    for (const room of to) {
      delivered += app.numSubscribers(room);
      app.publish(room, text);
    }
    answer.writeHeader("content-type", "application/json");
    answer.end(JSON.stringify({ eventId: made.eventId, delivered, scope: "node" }));
  });
});

app.listen("127.0.0.1", 0, (listening) => serving(uws.us_socket_local_port(listening)));
