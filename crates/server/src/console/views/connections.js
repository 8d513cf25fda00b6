// Who is connected: found by user, role, endpoint or any word of it; looked at, and told to go.

import { Refused, call, leaf } from "../api.js";
import { confirm, tell } from "../dialog.js";
import { facts, field, fill, form, h, select } from "../dom.js";
import { ago, bytes, count, moment } from "../format.js";
import { poll } from "../poll.js";
import { table } from "../table.js";

const EVERY = 4000;
const SHOWN = 100;
/** A word is looked for among so many, and more seldom. */
const SEARCHED = 3000;
const SEARCHED_EVERY = 10_000;

/** Asks before a connection is closed. */
export const kick = (connection, then = () => {}) =>
  confirm("Close this connection?", {
    text: `${connection.userId} at ${connection.endpoint ?? "its endpoint"} is closed with 4011. It may come back: a ban or a revocation keeps it out.`,
    action: "Kick",
  }, async () => {
    await call("DELETE", ["connections", connection.connectionId]);
    then();
    return `The connection of ${connection.userId} was told to go.`;
  });

const show = async (id) => {
  const one = await call("GET", ["connections", id]).catch((fault) => fault);
  if (one instanceof Refused) return tell("Connection", h("p", { class: "fault" }, one.message));
  const { limits, usage } = one;
  return tell("Connection", facts([
    ["User", one.userId], ["Agent", one.agentId], ["Roles", one.roles.join(", ")], ["Admitted as", one.role],
    ["Permissions", one.permissions.join(", ")], ["Plan", one.plan], ["Endpoint", one.endpoint], ["Transport", one.transport],
    ["Address", one.ip], ["Client", one.userAgent], ["Node", one.node], ["Issuer", one.issuer],
    ["Connected", moment(one.connectedAt)], ["Token verified", moment(one.authenticatedAt)],
    ["Token ends", `${moment(one.expiresAt)}${one.keptPastExpiry ? ", and the connection stays" : ""}`],
    ["Last heard", ago(one.lastActivityAt)],
    ["From it", `${count(one.messagesIn)} messages, ${bytes(one.bytesIn)}`], ["To it", `${count(one.messagesOut)} messages, ${bytes(one.bytesOut)}`],
    ["Seats of the user", `${usage.connections} of ${limits.connections ?? "any number"}`], ["Violations", usage.violations],
    ["Connection id", h("code", {}, one.connectionId)], ["Request id", h("code", {}, one.requestId)],
  ]));
};

const holds = (one, word) =>
  [one.userId, one.agentId, one.ip, one.userAgent, one.endpoint, one.role, one.plan, one.connectionId]
    .some((text) => text?.toLowerCase().includes(word));

/** The view. */
export const connections = {
  title: "Connections",
  show: ({ pulse, argument }) => {
    const search = h("input", { type: "search", name: "search", placeholder: "user, address, client…", oninput: () => changed() });
    const user = h("input", { name: "user", value: argument, oninput: () => changed() });
    const endpoint = select({ name: "endpoint", onchange: () => changed() }, [["", "any"], ...pulse.latest.endpoints.map(({ path }) => path)]);
    const role = select({ name: "role", onchange: () => changed() }, [["", "any"], ...pulse.latest.roles.map(({ role }) => role)]);
    const fault = h("p", { class: "fault", role: "alert" });
    const told = h("p", { class: "faint", role: "status" });
    const more = h("button", { type: "button", onclick: () => { from.push(follows); live.now(); } }, "Next page");
    const back = h("button", { type: "button", onclick: () => { from.pop(); live.now(); } }, "Page before");
    const list = table({
      caption: "Live connections",
      none: "No connection fits.",
      key: ({ connectionId }) => connectionId,
      columns: [
        { name: "User", kind: "id", cell: (one) => (one.agentId && one.agentId !== one.userId ? `${one.userId}, agent ${one.agentId}` : one.userId) },
        { name: "Role", cell: (one) => one.role ?? "" },
        { name: "Endpoint", cell: (one) => h("code", {}, one.endpoint) },
        { name: "Address", cell: (one) => one.ip },
        { name: "Connected", cell: (one) => ago(one.connectedAt) },
        { name: "Last heard", cell: (one) => ago(one.lastActivityAt) },
        { name: "In", kind: "number", cell: (one) => count(one.messagesIn) },
        { name: "Out", kind: "number", cell: (one) => count(one.messagesOut) },
        { name: "Do", cell: (one) => h("span", { class: "row" },
          h("button", { type: "button", "aria-label": `Details of ${one.userId}`, onclick: () => show(one.connectionId) }, "Details"),
          h("button", { type: "button", class: "grave", "aria-label": `Kick ${one.userId}`, onclick: () => kick(one, () => live.now()) }, "Kick")) },
      ],
    });
    let from = [];
    let follows = null;
    let live;

    const query = () => ({ user: user.value.trim(), endpoint: endpoint.value, role: role.value });
    const page = async (signal) => {
      const cursor = from.at(-1);
      const page = await call("GET", ["connections"], { query: { ...query(), limit: SHOWN, cursor }, signal });
      follows = page.next;
      list.show(page.connections);
      fill(told, `${count(page.connections.length)} shown, ${count(page.total)} on this node.`);
    };
    const found = async (word, signal) => {
      const { entries, total, whole } = await leaf(["connections"], "connections", { query: query(), most: SEARCHED, signal });
      const fit = entries.filter((one) => holds(one, word));
      follows = null;
      list.show(fit.slice(0, SHOWN));
      fill(told, `${count(Math.min(fit.length, SHOWN))} of ${count(fit.length)} that fit shown, ${count(total)} on this node${whole ? "" : `; looked at the first ${count(SEARCHED)}`}.`);
    };
    const turn = async (signal) => {
      const word = search.value.trim().toLowerCase();
      await (word ? found(word, signal) : page(signal));
      more.disabled = !follows;
      back.disabled = from.length === 0;
      fill(fault);
    };
    let typing;
    const begin = () => {
      live?.stop();
      live = poll(search.value.trim() ? SEARCHED_EVERY : EVERY, turn, (refused) => fill(fault, refused.message));
    };
    const changed = () => {
      clearTimeout(typing);
      from = [];
      typing = setTimeout(begin, 250);
    };
    return {
      node: h("div", {},
        form({ class: "fields", role: "search" }, begin, field("Search", search, { class: "wide" }), field("User, exactly", user), field("Endpoint", endpoint), field("Role", role)),
        told, fault, list.node, h("div", { class: "row" }, back, more)),
      start: begin,
      stop: () => { clearTimeout(typing); live?.stop(); },
    };
  },
};
