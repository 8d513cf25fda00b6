// A server on the package `ws`: tokens at the upgrade, rooms as sets of sockets, pings by one timer.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { claims, event, serving, target } from "./gate.mjs";

const PING = 30_000;
const rooms = new Map();
const sockets = new WebSocketServer({ noServer: true });
const server = createServer((_, answer) => answer.writeHead(404).end());

server.on("upgrade", (request, stream, head) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const user = claims(searchParams.get("token"))?.sub;
  if (user === undefined) return stream.end("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.on("error", () => {});
    if (pathname === "/ws/echo") socket.on("message", (data, binary) => socket.send(data, { binary }));
    else dashboard(socket, user);
  });
});

function dashboard(socket, user) {
  const own = [];
  const join = (room) => {
    if (!rooms.has(room)) rooms.set(room, new Set());
    rooms.get(room).add(socket);
    own.push(room);
  };
  join(`user:${user}`);
  socket.on("message", (data) => {
    const { type, payload } = JSON.parse(data.toString());
    if (type === "subscribe") {
      join(payload.room);
      return socket.send(JSON.stringify({ type: "subscribed", payload }));
    }
    // Encoded once, framed for each.
    const bytes = Buffer.from(JSON.stringify(event(type, payload)));
    for (const member of rooms.get(target(type, payload)) ?? []) member.send(bytes, { binary: false });
  });
  socket.on("close", () => {
    for (const room of own) {
      rooms.get(room)?.delete(socket);
      if (rooms.get(room)?.size === 0) rooms.delete(room);
    }
  });
  socket.send(JSON.stringify({ type: "connection_ready", payload: { user } }));
}

setInterval(() => sockets.clients.forEach((socket) => socket.ping()), PING);
server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => serving(server.address().port));
