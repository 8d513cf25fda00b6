// A line chart, drawn by hand: two lines at most over the last minutes, with a scale that fits and the latest values in
// words beside it, which is also what a screen reader reads.

import { draw, fill, h } from "./dom.js";

const LEFT = 56;
const TOP = 10;
const FOOT = 20;

/** The least round number that is not under the value. */
const ceiling = (value) => {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((limit) => limit >= value);
};

/** A chart of `lines`: `{ name, of }`, where `of` takes the value of a line from a sample with a `time`. */
export const chart = ({ title, lines, format, minutes = 5 }) => {
  const svg = draw("svg", { role: "img" });
  const legend = h("div", { class: "legend" });
  const node = h("figure", { class: "sheet chart" }, h("h2", {}, title), svg, legend);

  const show = (samples) => {
    const [width, height] = [svg.clientWidth || 600, svg.clientHeight || 135];
    const bottom = height - FOOT;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const end = samples.at(-1)?.time ?? Date.now();
    const start = end - minutes * 60_000;
    const seen = samples.filter((sample) => sample.time >= start);
    const most = ceiling(Math.max(0, ...seen.flatMap((sample) => lines.map(({ of }) => of(sample) ?? 0))));
    const x = (time) => LEFT + ((time - start) / (end - start)) * (width - LEFT);
    const y = (value) => bottom - (value / most) * (bottom - TOP);
    const grid = [0, 0.5, 1].map((part) => draw("line", { class: "grid", x1: LEFT, x2: width, y1: y(most * part), y2: y(most * part) }));
    const scale = [0, 1].map((part) => {
      const text = draw("text", { class: "scale", x: LEFT - 6, y: y(most * part) + 4, "text-anchor": "end" });
      text.append(format(most * part));
      return text;
    });
    const since = draw("text", { class: "scale", x: LEFT, y: height - 3 });
    since.append(`${minutes} min ago`);
    const until = draw("text", { class: "scale", x: width, y: height - 3, "text-anchor": "end" });
    until.append("now");
    const paths = lines.map(({ of }, index) => {
      const points = seen.filter((sample) => of(sample) !== null);
      const way = points.map((sample, n) => `${n === 0 ? "M" : "L"}${x(sample.time).toFixed(1)} ${y(of(sample)).toFixed(1)}`);
      return draw("path", { class: index === 0 ? "one" : "two", d: way.join("") || "M0 0" });
    });
    fill(svg, grid, scale, since, until, paths);
    const latest = lines.map(({ name, of }) => [name, format(of(seen.at(-1) ?? {}) ?? 0)]);
    svg.setAttribute("aria-label", `${title}: ${latest.map(([name, value]) => `${name} ${value}`).join(", ")}`);
    fill(legend, latest.map(([name, value], index) =>
      h("span", { class: index === 0 ? "one" : "two" }, h("span", { class: "key" }), `${name} `, h("strong", {}, value))));
  };
  show([]);
  return { node, show };
};
