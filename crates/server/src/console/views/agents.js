// Agents: which are online, which were; when each was last seen, how far away it is, and whether it comes and goes too often.

import { leaf } from "../api.js";
import { field, fill, h, mark, select } from "../dom.js";
import { ago, count, millis } from "../format.js";
import { poll } from "../poll.js";
import { table } from "../table.js";
import { kick } from "./connections.js";

const EVERY = 4000;
const MOST = 3000;
const SHOWN = 200;

/** Those who need a look first: flapping, then away, then by name. */
const order = (one, other) =>
  Number(other.flapping) - Number(one.flapping) || Number(one.online) - Number(other.online) || (one.agentId < other.agentId ? -1 : 1);

/** The view. */
export const agents = {
  title: "Agents",
  show: () => {
    const filter = h("input", { type: "search", name: "filter", oninput: () => paint() });
    const state = select({ name: "online", onchange: () => live.now() }, [["", "all"], ["true", "online"], ["false", "offline"]]);
    const fault = h("p", { class: "fault", role: "alert" });
    const told = h("p", { class: "faint", role: "status" });
    let all = [];
    let live;
    const list = table({
      caption: "Agents, here or lately gone",
      none: "No agent was seen since the gateway started.",
      key: ({ agentId }) => agentId,
      columns: [
        { name: "Agent", kind: "id", cell: ({ agentId }) => agentId },
        { name: "State", cell: (one) => h("span", { class: "row" },
          one.online ? mark("online", "good") : mark("offline", "bad"), one.flapping && mark("flapping", "warn")) },
        { name: "Last seen", cell: ({ lastSeen }) => ago(lastSeen) },
        { name: "Round trip", kind: "number", cell: (one) => millis(one.roundTripMillis) },
        { name: "Came in 10 min", kind: "number", cell: ({ arrivals }) => count(arrivals) },
        { name: "Went last by", cell: ({ lastReason }) => lastReason ?? "" },
        { name: "User", kind: "id", cell: ({ userId }) => userId },
        { name: "Do", cell: (one) => one.online && h("span", { class: "row" },
          h("a", { href: `#trial/${encodeURIComponent(one.agentId)}`, "aria-label": `Ask ${one.agentId}` }, "Ask"),
          h("button", { type: "button", class: "grave", "aria-label": `Kick ${one.agentId}`, onclick: () => kick(one, () => live.now()) }, "Kick")) },
      ],
    });
    const paint = () => {
      const word = filter.value.trim().toLowerCase();
      const fit = all.filter(({ agentId, userId }) => agentId.toLowerCase().includes(word) || userId.toLowerCase().includes(word));
      list.show(fit.sort(order).slice(0, SHOWN));
      fill(told, `${count(Math.min(fit.length, SHOWN))} of ${count(fit.length)} shown; ${count(all.filter(({ flapping }) => flapping).length)} flapping.`);
    };
    const turn = async (signal) => {
      ({ entries: all } = await leaf(["sightings"], "sightings", { query: { online: state.value }, most: MOST, signal }));
      paint();
      fill(fault);
    };
    return {
      node: h("div", {},
        h("div", { class: "fields" }, field("Filter by agent or user", filter, { class: "wide" }), field("State", state)),
        told, fault, list.node,
        h("p", { class: "faint" }, "Flapping: four arrivals or more in ten minutes. The round trip is that of the latest heartbeat.")),
      start: () => { live = poll(EVERY, turn, (refused) => fill(fault, refused.message)); },
      stop: () => live?.stop(),
    };
  },
};
