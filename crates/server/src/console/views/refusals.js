// A live tail of what was refused, each with its explanation: the audit as it is written, the newest on top.

import { call, open } from "../api.js";
import { about, explained } from "../codes.js";
import { facts, field, fill, h, mark, select } from "../dom.js";
import { moment } from "../format.js";

const KEPT = 200;
const MOST_LINE = 64 * 1024;
const EVENTS = [["refused", "refused handshakes and calls"], ["message.refused", "refused messages"], ["token.refused", "refused new tokens"], ["limit.violated", "limits violated"], ["", "everything of the audit"]];

/** Hears the lines of a stream, one after the other, until it ends. */
const lines = async (answer, hear) => {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    if (rest.length > MOST_LINE) throw new Error("a line of the audit is too long");
    parts.filter(Boolean).forEach((text) => hear(JSON.parse(text)));
  }
};

const told = (record) => {
  const times = record.count > 1 ? `${record.count} times until ${moment(record.until)}` : "";
  return h("li", {},
    h("div", { class: "row" }, mark(record.code ?? record.event, record.code ? "warn" : "plain"), h("span", {}, record.reason), h("span", { class: "faint" }, moment(record.time)), times && mark(times, "bad")),
    about(record.code) && h("p", {}, h("strong", {}, "What to do: "), about(record.code).operator),
    facts([["Who", record.userId ?? (record.code ? "not known: no token was verified" : "")], ["Where from", record.ip], ["Door", record.endpoint], ["Client", record.userAgent], ["Detail", record.detail]]),
    h("details", {}, h("summary", {}, "The whole explanation"),
      record.code ? explained(record.code, Boolean(record.userId)) : null,
      facts([["Event", record.event], ["Request id", h("code", {}, record.requestId ?? "")], ["Connection", record.connectionId]])));
};

/** The view. */
export const refusals = {
  title: "Refusals",
  show: () => {
    const event = select({ name: "event", onchange: () => begin() }, EVENTS);
    const code = h("input", { type: "search", name: "code", placeholder: "TOKEN_EXPIRED", onchange: () => begin() });
    const hold = h("button", { type: "button", "aria-pressed": "false", onclick: () => held(!paused) }, "Hold");
    const state = h("p", { class: "faint", role: "status" });
    const list = h("ol", { class: "tail", "aria-label": "The latest, the newest first" });
    let ending = new AbortController();
    let paused = false;
    let missed = 0;
    let known = new Set();

    const nameOf = ({ time, requestId, event, count }) => `${time} ${requestId} ${event} ${count ?? 1}`;
    const add = (record) => {
      if (known.has(nameOf(record))) return;
      known.add(nameOf(record));
      if (known.size > 4 * KEPT) known = new Set([...known].slice(-KEPT));
      // A line that counts on takes the place of the one that it continues.
      const before = [...list.children].slice(0, 20).find((row) => record.count > 1 && row.dataset.request === record.requestId);
      const row = told(record);
      row.dataset.request = record.requestId ?? "";
      before?.remove();
      list.prepend(row);
      while (list.childElementCount > KEPT) list.lastElementChild.remove();
    };
    const hear = (record) => {
      if (record.event === "audit.missed") fill(state, `The page was too slow and missed ${record.count}.`);
      else if (!paused) add(record);
      else fill(hold, `Go on (${(missed += 1)} held back)`);
    };
    const wanted = () => ({ event: event.value, code: code.value.trim().toUpperCase() });
    const latest = async (signal) => {
      const { records } = await call("GET", ["audit"], { query: { ...wanted(), limit: 50 }, signal });
      records.reverse().forEach(add);
    };
    const begin = async () => {
      ending.abort();
      ending = new AbortController();
      const { signal } = ending;
      known = new Set();
      fill(list);
      for (let wait = 1000; !signal.aborted; wait = Math.min(30_000, wait * 2)) {
        try {
          // First the stream, then what was before: nothing falls between them.
          const answer = await open("GET", ["audit"], { query: { ...wanted(), follow: true }, signal });
          await latest(signal);
          fill(state, "Live: what comes is shown as it comes.");
          wait = 1000;
          await lines(answer, hear);
          fill(state, "The stream ended; trying again.");
        } catch (fault) {
          if (signal.aborted) return;
          fill(state, `Not live: ${fault.message}. Trying again.`);
          wait = Math.max(wait, (fault.retryAfter ?? 0) * 1000);
        }
        await new Promise((resolve) => { setTimeout(resolve, wait); signal.addEventListener("abort", resolve, { once: true }); });
      }
    };
    const held = (value) => {
      paused = value;
      hold.setAttribute("aria-pressed", String(paused));
      fill(hold, paused ? "Go on" : "Hold");
      if (!paused && missed > 0) {
        missed = 0;
        latest(ending.signal).catch((fault) => fill(state, fault.message));
      }
    };
    return {
      node: h("div", {},
        h("div", { class: "fields" }, field("What", event), field("Code", code), hold),
        state, list),
      start: () => { begin(); },
      stop: () => ending.abort(),
    };
  },
};
