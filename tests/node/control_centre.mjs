// A day at an agent control centre, told by clients that know its types and nothing else of the gateway: messages are
// {type, id, timestamp, payload}, and an answer is found by its payload.commandId.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";
import { somewhere, tell, tokens } from "./gateway.mjs";

/** A client: hands every message to whoever listens for its type, and answers PING. */
class Client {
  constructor(path, token) {
    this.socket = new WebSocket(`ws://${somewhere()}${path}?token=${token}`);
    this.handlers = new Map();
    this.greeted = this.next("CONNECTION_READY");
    this.on("PING", () => this.send("PONG", {}));
    this.on("ERROR", ({ payload }) => {
      throw new Error(`${path}: ${JSON.stringify(payload)}`);
    });
    this.socket.on("message", (data) => {
      const message = JSON.parse(data);
      if (typeof message.type !== "string") throw new Error(`no type: ${data}`);
      this.handlers.get(message.type)?.(message);
    });
  }
  on(type, handler) {
    this.handlers.set(type, handler);
  }
  next(type) {
    return new Promise((resolve) => this.on(type, resolve));
  }
  send(type, payload) {
    this.socket.send(JSON.stringify({ type, id: randomUUID(), timestamp: Date.now(), payload }));
  }
}

/** An agent that runs commands, unless it is told not to. */
class Agent extends Client {
  constructor(name) {
    super("/ws/agent", tokens[name]);
    this.stopped = this.next("EMERGENCY_STOP");
    this.on("COMMAND_REQUEST", ({ payload: { commandId, command } }) => {
      this.send("COMMAND_ACK", { commandId });
      this.send("COMMAND_STATUS", { commandId, status: "running" });
      if (command === "sleep") return;
      this.send("TERMINAL_OUTPUT", { commandId, content: "all tests pass" });
      this.send("COMMAND_COMPLETE", { commandId, status: "completed" });
    });
    this.on("COMMAND_CANCEL", ({ payload: { commandId } }) =>
      this.send("COMMAND_COMPLETE", { commandId, status: "cancelled" }),
    );
  }
}

const a1 = new Agent("a1");
await a1.greeted;
const ann = new Client("/ws/dashboard", tokens.ann);
await ann.greeted;

let subscribed = ann.next("DASHBOARD_SUBSCRIBED");
ann.send("DASHBOARD_INIT", {});
tell({ step: "online", agents: (await subscribed).payload.presence.map(({ agentId }) => agentId) });

const connected = ann.next("AGENT_CONNECTED");
const a2 = new Agent("a2");
tell({ step: "connected", agent: (await connected).payload.agentId });
await a2.greeted;

const heartbeat = ann.next("AGENT_HEARTBEAT");
a1.send("AGENT_HEARTBEAT", { agentId: "a1", healthMetrics: { cpu: 12 } });
tell({ step: "heartbeat", cpu: (await heartbeat).payload.healthMetrics.cpu });

subscribed = ann.next("DASHBOARD_SUBSCRIBED");
ann.send("DASHBOARD_SUBSCRIBE", { agentId: "a1" });
await subscribed;

/** Sends a command and collects the types of its answers up to the last. */
const command = (agentId, what, seen = () => {}) =>
  new Promise((resolve) => {
    const commandId = randomUUID();
    const types = [];
    for (const type of ["COMMAND_ACK", "COMMAND_STATUS", "COMMAND_COMPLETE"]) {
      ann.on(type, ({ payload }) => {
        if (payload.commandId !== commandId) return;
        types.push(type);
        seen(type, commandId);
        if (type === "COMMAND_COMPLETE") resolve({ types, status: payload.status });
      });
    }
    ann.send("COMMAND_REQUEST", { agentId, commandId, command: what });
  });

const output = ann.next("TERMINAL_OUTPUT");
tell({ step: "answers", types: (await command("a1", "npm test")).types });
tell({ step: "output", content: (await output).payload.content });
const { status } = await command("a2", "sleep", (type, commandId) => {
  if (type === "COMMAND_STATUS") ann.send("COMMAND_CANCEL", { commandId, reason: "too slow" });
});
tell({ step: "cancelled", status });

ann.send("EMERGENCY_STOP", { reason: "drill" });
await Promise.all([a1.stopped, a2.stopped]);
tell({ step: "stopped", agents: ["a1", "a2"] });

const left = ann.next("AGENT_DISCONNECTED");
a2.socket.close();
const { payload } = await left;
tell({ step: "left", agent: payload.agentId, reason: payload.reason });
for (const { socket } of [a1, ann]) {
  socket.close();
  await once(socket, "close");
}
