// A stock server of Socket.IO: the token at CONNECT of the namespace, its own rooms, its own heartbeat.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { claims, event, serving, target } from "./gate.mjs";

const server = createServer((_, answer) => answer.writeHead(404).end());
const dashboards = new Server(server, { serveClient: false }).of("/dashboard");

dashboards.use((socket, next) => {
  const user = claims(socket.handshake.auth.token)?.sub;
  if (user === undefined) return next(new Error("AUTH_FAILED"));
  socket.data.user = user;
  next();
});

dashboards.on("connection", (socket) => {
  socket.join(`user:${socket.data.user}`);
  socket.on("subscribe", (payload, answer) => {
    socket.join(payload.room);
    answer({ ok: true, payload });
  });
  socket.on("ping", (payload, answer) => answer({ ok: true, payload }));
  for (const type of ["tell", "notify"]) {
    socket.on(type, (payload) => dashboards.to(target(type, payload)).emit(type, event(type, payload)));
  }
});

server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => serving(server.address().port));
