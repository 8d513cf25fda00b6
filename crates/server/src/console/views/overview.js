// The gateway in one look: counts, rates as charts, who came through which door, what was refused.

import { chart } from "../chart.js";
import { fill, h } from "../dom.js";
import { bytes, count, rate, span } from "../format.js";
import { about } from "../codes.js";
import { table } from "../table.js";

const TILES = [
  ["Connections", ({ here }) => count(here.connections)],
  ["Users", ({ here }) => count(here.users)],
  ["Agents", ({ here }) => count(here.agents)],
  ["Rooms", ({ here }) => count(here.rooms)],
  ["Memberships", ({ here }) => count(here.memberships)],
  ["Open requests", ({ here }) => count(here.openRequests)],
  ["Room history", ({ here }) => bytes(here.historyBytes)],
  ["Refused so far", ({ totals }) => count(totals.refusals)],
];

/** A sample with what went by a second since the one before; none, where the gateway was started anew between. */
const rated = (samples) => samples.map((sample, index) => {
  const before = samples[index - 1];
  const seconds = before ? (sample.time - before.time) / 1000 : 0;
  const steady = seconds > 0 && before.overview.since === sample.overview.since;
  const of = (name) => (steady ? Math.max(0, sample.overview.totals[name] - before.overview.totals[name]) / seconds : null);
  return { time: sample.time, here: sample.overview.here, of };
});

const line = (name, total) => ({ name, of: (sample) => sample.of?.(total) ?? null });

/** The view. */
export const overview = {
  title: "Overview",
  show: ({ pulse }) => {
    const tiles = h("dl", { class: "tiles" });
    const since = h("p", { class: "faint" });
    const charts = [
      chart({ title: "Here", format: count, lines: [{ name: "connections", of: ({ here }) => here?.connections ?? null }, { name: "agents", of: ({ here }) => here?.agents ?? null }] }),
      chart({ title: "Arrivals and refusals a second", format: rate, lines: [line("admitted", "connections"), line("refused", "refusals")] }),
      chart({ title: "Messages a second", format: rate, lines: [line("from clients", "messagesIn"), line("to clients", "messagesOut")] }),
      chart({ title: "Bytes a second", format: bytes, lines: [line("from clients", "bytesIn"), line("to clients", "bytesOut")] }),
    ];
    const doors = table({
      caption: "Endpoints",
      key: ({ path }) => path,
      columns: [
        { name: "Path", kind: "code", cell: ({ path }) => h("code", {}, path) },
        { name: "Admits", cell: ({ roles }) => roles.join(", ") || "everybody with a token" },
        { name: "Connections", kind: "number", cell: ({ connections }) => count(connections) },
      ],
    });
    const refused = table({
      caption: "Refusals by code",
      none: "Nobody was refused so far.",
      key: ([code]) => code,
      columns: [
        { name: "Code", kind: "code", cell: ([code]) => h("code", {}, code) },
        { name: "When", cell: ([code]) => about(code)?.meaning ?? "" },
        { name: "Count", kind: "number", cell: ([, times]) => count(times) },
      ],
    });
    const update = () => {
      const { latest } = pulse;
      fill(tiles, TILES.map(([name, of]) => h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, of(latest)))));
      fill(since, `Counting for ${span(Date.parse(latest.time) - Date.parse(latest.since))}, on this node.`);
      const samples = rated(pulse.samples);
      charts.forEach((each) => each.show(samples));
      doors.show(latest.endpoints);
      refused.show(Object.entries(latest.refusals).sort(([, one], [, other]) => other - one));
    };
    return {
      node: h("div", { class: "stack" }, since, tiles, h("div", { class: "pair" }, charts.map(({ node }) => node)), h("div", { class: "pair" }, doors.node, refused.node)),
      start: () => { pulse.listeners.add(update); update(); },
      stop: () => pulse.listeners.delete(update),
    };
  },
};
