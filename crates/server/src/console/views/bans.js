// Bans: which hold, one more, one less. Before one is laid, it can be asked how many it would meet.

import { Refused, call } from "../api.js";
import { confirm, note } from "../dialog.js";
import { field, fill, form, h, mark, select, tick } from "../dom.js";
import { count, moment } from "../format.js";
import { poll } from "../poll.js";
import { table } from "../table.js";

const EVERY = 6000;
const HOUR = 3_600_000;
const LENGTHS = [["", "until it is lifted"], [HOUR, "1 hour"], [24 * HOUR, "1 day"], [7 * 24 * HOUR, "1 week"], [30 * 24 * HOUR, "30 days"]];

const subject = ({ user, address }) => (user === undefined ? { address } : { user });

/** The view. */
export const bans = {
  title: "Bans",
  show: () => {
    const kind = select({ name: "kind" }, [["user", "user"], ["address", "address or block"]]);
    const who = h("input", { name: "who" });
    const length = select({ name: "length" }, LENGTHS);
    const reason = h("input", { name: "reason", maxlength: "500" });
    const force = h("input", { type: "checkbox", name: "force" });
    const fault = h("p", { class: "fault", role: "alert" });
    let live;

    const order = (more) => {
      if (!who.value.trim()) throw new Refused("Say whom: a user, an address, or a block such as 203.0.113.0/24.");
      return {
        [kind.value]: who.value.trim(),
        ...(length.value && { until: new Date(Date.now() + Number(length.value)).toISOString() }),
        ...(reason.value && { reason: reason.value }),
        ...(force.checked && { force: true }),
        ...more,
      };
    };
    const attempt = async (task) => {
      fill(fault);
      try {
        await task();
      } catch (refused) {
        fill(fault, refused.message);
      }
    };
    const look = () => attempt(async () => {
      const { matches } = await call("PUT", ["bans"], { body: order({ dryRun: true }) });
      note(`It would end ${count(matches)} connections.`);
    });
    const lay = () => attempt(async () => {
      const { matches } = await call("PUT", ["bans"], { body: order() });
      note(`The ban holds; ${count(matches)} connections ended.`);
      who.value = "";
      reason.value = "";
      force.checked = false;
      live.now();
    });
    const lift = (ban) => confirm("Lift this ban?", { text: `${ban.user ?? ban.address} may come back.`, action: "Lift", grave: false }, async () => {
      await call("DELETE", ["bans"], { body: subject(ban) });
      live.now();
      return `The ban on ${ban.user ?? ban.address} is lifted.`;
    });
    const list = table({
      caption: "Bans that hold",
      none: "Nobody is banned.",
      key: (ban) => JSON.stringify(subject(ban)),
      columns: [
        { name: "Whom", kind: "id", cell: (ban) => ban.user ?? ban.address },
        { name: "Kind", cell: (ban) => mark(ban.user === undefined ? "address" : "user") },
        { name: "Until", cell: ({ until }) => (until ? moment(until) : "it is lifted") },
        { name: "Reason", cell: ({ reason }) => reason ?? "" },
        { name: "Do", cell: (ban) => h("button", { type: "button", "aria-label": `Lift the ban on ${ban.user ?? ban.address}`, onclick: () => lift(ban) }, "Lift") },
      ],
    });
    const turn = async (signal) => list.show((await call("GET", ["bans"], { signal })).bans);
    return {
      node: h("div", {},
        h("section", { class: "sheet", "aria-label": "A new ban" }, h("h2", {}, "A new ban"),
          form({ class: "stack" }, lay,
            h("div", { class: "fields" }, field("On a", kind), field("Whom", who, { class: "wide" }), field("For", length), field("Reason, for operators", reason, { class: "wide" })),
            tick("Though it meets a trusted proxy or the gateway's own machine", force), fault,
            h("div", { class: "row" }, h("button", { type: "submit", class: "main grave" }, "Ban"), h("button", { type: "button", onclick: look }, "What would it meet?")))),
        list.node),
      start: () => { live = poll(EVERY, turn, (refused) => fill(fault, refused.message)); },
      stop: () => live?.stop(),
    };
  },
};
