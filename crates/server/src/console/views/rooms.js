// Rooms: who is in them and what they remember.

import { call } from "../api.js";
import { field, fill, form, h } from "../dom.js";
import { bytes, count } from "../format.js";
import { poll } from "../poll.js";
import { table } from "../table.js";

const EVERY = 5000;
const SHOWN = 100;
const REMEMBERED = 20;

/** The view. */
export const rooms = {
  title: "Rooms",
  show: () => {
    const prefix = h("input", { type: "search", name: "prefix", placeholder: "agent:", oninput: () => { clearTimeout(typing); from = []; typing = setTimeout(() => live.now(), 250); } });
    const fault = h("p", { class: "fault", role: "alert" });
    const told = h("p", { class: "faint", role: "status" });
    const looked = h("div");
    const more = h("button", { type: "button", onclick: () => { from.push(follows); live.now(); } }, "Next page");
    const back = h("button", { type: "button", onclick: () => { from.pop(); live.now(); } }, "Page before");
    let chosen = "";
    let from = [];
    let follows = null;
    let typing;
    let live;
    const list = table({
      caption: "Rooms, by name",
      none: "No room fits. A room is there while somebody is in it or it remembers something.",
      key: ({ room }) => room,
      columns: [
        { name: "Room", kind: "id", cell: ({ room }) => h("code", {}, room) },
        { name: "Connections", kind: "number", cell: ({ connections }) => count(connections) },
        { name: "Remembers", kind: "number", cell: ({ historyBytes }) => bytes(historyBytes) },
        { name: "Last offset", kind: "number", cell: ({ offset }) => (offset === undefined ? "no history" : count(offset)) },
        { name: "Do", cell: ({ room }) => h("button", { type: "button", "aria-label": `Look into ${room}`, onclick: () => { chosen = room; look(true); } }, "Look in") },
      ],
    });
    const members = table({
      caption: "Present",
      none: "Nobody subscribed.",
      key: ({ userId }) => userId,
      columns: [
        { name: "User", kind: "id", cell: ({ userId }) => userId },
        { name: "Role", cell: ({ role }) => role ?? "" },
        { name: "Connections", kind: "number", cell: ({ connections }) => count(connections) },
      ],
    });
    const heading = h("h2", { tabindex: "-1" });
    const memory = h("ol", { class: "log" });
    const inside = h("section", { class: "sheet", "aria-label": "The chosen room" }, heading, members.node, h("h3", {}, "The latest messages"), memory);

    const look = async (moved, signal) => {
      const room = chosen;
      const { members: present } = await call("GET", ["rooms", room, "presence"], { signal });
      const { messages } = await call("GET", ["rooms", room, "history"], { query: { limit: REMEMBERED }, signal }).catch(() => ({ messages: [] }));
      if (chosen !== room) return;
      fill(heading, room);
      members.show(present);
      fill(memory, messages.length === 0 ? h("li", { class: "faint" }, "None.") : messages.map((message) => h("li", {}, h("pre", {}, JSON.stringify(message)))));
      if (!inside.isConnected) fill(looked, inside);
      if (moved) heading.focus();
    };
    const turn = async (signal) => {
      const page = await call("GET", ["rooms"], { query: { prefix: prefix.value, limit: SHOWN, cursor: from.at(-1) }, signal });
      follows = page.next;
      list.show(page.rooms);
      more.disabled = !follows;
      back.disabled = from.length === 0;
      fill(told, `${count(page.rooms.length)} shown, ${count(page.total)} in all.`);
      if (chosen) await look(false, signal);
      fill(fault);
    };
    return {
      node: h("div", {},
        form({ class: "fields" }, () => live.now(), field("Names that begin with", prefix, { class: "wide" })),
        told, fault, looked, list.node, h("div", { class: "row" }, back, more)),
      start: () => { live = poll(EVERY, turn, (refused) => fill(fault, refused.message)); },
      stop: () => { clearTimeout(typing); live?.stop(); },
    };
  },
};
