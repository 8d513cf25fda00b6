// A page that only connects, opened twice, and a daemon that reports: messages are {type, data}.
import WebSocket from "ws";
import { somewhere, tell, tokens } from "./gateway.mjs";

/** A page: what it saw, once it saw a node go. */
const page = (viewer) => {
  const socket = new WebSocket(`ws://${somewhere()}/ws/nodes?token=${tokens[viewer]}`);
  const saw = [];
  const opened = new Promise((resolve) => {
    socket.on("message", (text) => {
      const { type, data, from } = JSON.parse(text);
      if (type === "connection_ready") return resolve();
      const node = from?.agentId ?? data.agentId;
      saw.push({ type, node, ...(data.cpu && { cpu: data.cpu }), ...(data.name && { name: data.name }) });
      if (type === "node_offline") socket.close();
    });
  });
  const closed = new Promise((resolve) => socket.on("close", () => resolve({ viewer, saw })));
  return { opened, closed };
};

const pages = [page("vera"), page("viktor")];
await Promise.all(pages.map(({ opened }) => opened));

const daemon = new WebSocket(`ws://${somewhere()}/ws/node/n1`, { headers: { authorization: `Bearer ${tokens.n1}` } });
await new Promise((resolve) => daemon.once("message", resolve));
for (const cpu of [1, 2]) daemon.send(JSON.stringify({ type: "status", data: { cpu } }));
daemon.send(JSON.stringify({ type: "process_exited", data: { name: "web", code: 1 } }));
daemon.close();

for (const { closed } of pages) tell(await closed);
