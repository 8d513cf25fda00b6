// A connection of one's own, as a client has it: opened with the token of the trial, never with that of the console.

import { about } from "../../codes.js";
import { field, fill, form, h, select } from "../../dom.js";

const KEPT = 200;

const PRESETS = [
  ["ping", { type: "ping", id: "1" }],
  ["subscribe", { type: "subscribe", id: "2", payload: { room: "agents" } }],
  ["unsubscribe", { type: "unsubscribe", id: "3", payload: { room: "agents" } }],
  ["command an agent", { type: "command", id: "4", payload: { agentId: "agent-1", do: "status" } }],
];

/** Where a browser can put a token: it sets no header, so a subprotocol where that is taken, else the query. */
const opened = (path, token, sources) => {
  const url = new URL(path.slice(1), document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  if (sources.includes("subprotocol")) return new WebSocket(url, ["gateway.v1", `bearer.${token}`]);
  url.searchParams.set("token", token);
  return new WebSocket(url);
};

/** The panel: which endpoints there are says the overview, with which token says `token`. */
export const visit = (overview, token) => {
  const path = select({ name: "endpoint" }, overview.endpoints.map(({ path }) => path));
  path.value = overview.endpoints.find(({ roles }) => roles.includes("dashboard"))?.path ?? path.value;
  const state = h("p", { class: "faint", role: "status" }, "Not connected.");
  const log = h("ol", { class: "log", tabindex: "0", "aria-label": "What was said" });
  const text = h("textarea", { name: "message", spellcheck: "false" });
  const go = h("button", { type: "submit", class: "main" }, "Connect");
  const leave = h("button", { type: "button", disabled: true, onclick: () => socket?.close(1000) }, "Disconnect");
  const send = h("button", { type: "submit", disabled: true }, "Send");
  let socket = null;

  const wrote = (kind, sign, words) => {
    log.append(h("li", { class: kind }, h("pre", {}, `${sign} ${words}`)));
    while (log.childElementCount > KEPT) log.firstElementChild.remove();
    log.scrollTop = log.scrollHeight;
  };
  const standing = (on) => {
    go.disabled = on;
    leave.disabled = !on;
    send.disabled = !on;
  };
  const ended = ({ code, reason, wasClean }) => {
    let told = {};
    try {
      told = JSON.parse(reason);
    } catch { /* It is not one of ours. */ }
    const meaning = about(told.code)?.meaning ?? (wasClean ? "" : "refused or cut off; a browser is not told why: look at Refusals");
    wrote("end", "×", `closed with ${code} ${reason} ${meaning}`);
    fill(state, "Not connected.");
    standing(false);
    socket = null;
  };
  const connect = () => {
    if (socket) return;
    if (!token()) return fill(state, "A token is needed first.");
    socket = opened(path.value, token(), overview.tokenSources);
    standing(true);
    fill(state, "Connecting…");
    socket.onopen = () => fill(state, `Connected to ${path.value}.`);
    socket.onmessage = ({ data }) => wrote("in", "←", typeof data === "string" ? data : `${data.size} bytes`);
    socket.onclose = ended;
  };
  const say = () => {
    if (socket?.readyState !== WebSocket.OPEN || !text.value.trim()) return;
    socket.send(text.value);
    wrote("out", "→", text.value);
  };
  const preset = PRESETS.map(([name, message]) =>
    h("button", { type: "button", onclick: () => { text.value = JSON.stringify(message); text.focus(); } }, name));
  const here = overview.opensDoors
    ? [form({ class: "fields" }, connect, field("Endpoint", path), go, leave), state,
      form({ class: "stack" }, say, h("div", { class: "row" }, "A message: ", preset), field("Message, as JSON", text), h("div", {}, send)), log]
    : [h("p", {}, "Clients connect to another listener than this page came from, and a page reaches no other: use ", h("code", {}, "gateway connect"), ". What a backend does by HTTP works from here.")];
  return {
    node: h("section", { class: "sheet stack", "aria-label": "A connection" }, h("h2", {}, "2. A connection"), here),
    stop: () => socket?.close(1000),
  };
};
