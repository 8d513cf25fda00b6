// Users: those who are connected, and anybody by name. Their connections are closed, their tokens revoked, they are banned.

import { Refused, call, leaf } from "../api.js";
import { confirm } from "../dialog.js";
import { facts, field, fill, form, h, mark } from "../dom.js";
import { ago, count } from "../format.js";
import { poll } from "../poll.js";
import { table } from "../table.js";

const EVERY = 6000;
const MOST = 3000;

const disconnect = (user, then) =>
  confirm(`Disconnect ${user}?`, { text: "All connections of the user are closed with 4011. It may come back at once.", action: "Disconnect" }, async () => {
    const { disconnected } = await call("POST", ["users", user, "disconnect"]);
    then();
    return `${count(disconnected)} connections of ${user} were told to go.`;
  });

const revoke = (user, then) =>
  confirm(`Revoke all tokens of ${user}?`, {
    text: "Every token of the user that was issued up to now is refused from now on, and its connections end with 4009. This is never taken back; a token that is issued later is good.",
    action: "Revoke",
  }, async () => {
    const { matches } = await call("POST", ["revocations"], { body: { user } });
    then();
    return `The tokens of ${user} are revoked; ${count(matches)} connections ended.`;
  });

const ban = (user, then) => {
  const reason = h("input", { name: "reason", maxlength: "500" });
  return confirm(`Ban ${user}?`, { text: "The user is kept out until the ban is lifted, and its connections end with 4007.", content: field("Reason, for operators", reason), action: "Ban" }, async () => {
    const { matches } = await call("PUT", ["bans"], { body: { user, ...(reason.value && { reason: reason.value }) } });
    then();
    return `${user} is banned; ${count(matches)} connections ended.`;
  });
};

const buttons = (user, then) => h("span", { class: "row" },
  h("button", { type: "button", "aria-label": `Disconnect ${user}`, onclick: () => disconnect(user, then) }, "Disconnect"),
  h("button", { type: "button", class: "grave", "aria-label": `Revoke ${user}`, onclick: () => revoke(user, then) }, "Revoke"),
  h("button", { type: "button", class: "grave", "aria-label": `Ban ${user}`, onclick: () => ban(user, then) }, "Ban"));

/** Connections, put together by their users. */
const grouped = (all) => {
  const users = new Map();
  for (const one of all) {
    const own = users.get(one.userId) ?? { user: one.userId, connections: 0, roles: new Set(), heard: "", violations: one.usage.violations };
    own.connections += 1;
    if (one.role) own.roles.add(one.role);
    if (one.lastActivityAt > own.heard) own.heard = one.lastActivityAt;
    users.set(one.userId, own);
  }
  return [...users.values()].map((own) => ({ ...own, roles: [...own.roles].sort().join(", ") })).sort((a, b) => (a.user < b.user ? -1 : 1));
};

/** The view. */
export const users = {
  title: "Users",
  show: () => {
    const name = h("input", { name: "user", required: true });
    const filter = h("input", { type: "search", name: "filter", oninput: () => paint() });
    const found = h("div");
    const fault = h("p", { class: "fault", role: "alert" });
    const told = h("p", { class: "faint", role: "status" });
    let all = [];
    let live;
    const list = table({
      caption: "Connected users",
      none: "Nobody is connected.",
      key: ({ user }) => user,
      columns: [
        { name: "User", kind: "id", cell: ({ user }) => user },
        { name: "Connections", kind: "number", cell: ({ connections }) => count(connections) },
        { name: "Roles", cell: ({ roles }) => roles },
        { name: "Last heard", cell: ({ heard }) => ago(heard) },
        { name: "Violations", kind: "number", cell: ({ violations }) => count(violations) },
        { name: "Do", cell: ({ user }) => buttons(user, () => live.now()) },
      ],
    });
    const paint = () => list.show(all.filter(({ user }) => user.toLowerCase().includes(filter.value.trim().toLowerCase())).slice(0, 200));
    const look = async () => {
      const user = name.value.trim();
      if (!user) return;
      const one = await call("GET", ["users", user]).catch((refused) => refused);
      if (one instanceof Refused) {
        fill(found, h("p", { class: "fault", role: "alert" }, one.message));
        return;
      }
      const state = [mark(one.connected ? "connected" : "not connected", one.connected ? "good" : "plain"), one.banned && mark("banned", "bad")];
      fill(found, h("section", { class: "sheet", "aria-label": `User ${one.userId}` },
        h("h2", {}, one.userId), h("p", { class: "row" }, state),
        facts([["Connections", one.connections.length], ["Violations remembered", one.violations], ["Messages refused for", one.penaltySeconds && `${one.penaltySeconds} s`]]),
        buttons(one.userId, look)));
    };
    const turn = async (signal) => {
      const { entries, whole } = await leaf(["connections"], "connections", { most: MOST, signal });
      all = grouped(entries);
      paint();
      fill(told, `${count(all.length)} users${whole ? "" : `, by the first ${count(MOST)} connections; look others up by name`}.`);
      fill(fault);
    };
    return {
      node: h("div", {},
        form({ class: "fields" }, look, field("Look up a user", name, { class: "wide" }), h("button", { type: "submit", class: "main" }, "Look up")),
        found,
        h("div", { class: "fields" }, field("Filter those who are connected", filter, { class: "wide" })),
        told, fault, list.node),
      start: () => { live = poll(EVERY, turn, (refused) => fill(fault, refused.message)); },
      stop: () => live?.stop(),
    };
  },
};
