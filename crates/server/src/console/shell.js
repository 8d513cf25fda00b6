// The frame around the views: who one is, what state the gateway is in, where one can go. It also keeps the one pulse
// that the counts and charts live by, so that they have a past whichever view is open.

import { call } from "./api.js";
import { fill, h, mark } from "./dom.js";
import { poll } from "./poll.js";
import { next, theme } from "./theme.js";
import { agents } from "./views/agents.js";
import { bans } from "./views/bans.js";
import { connections } from "./views/connections.js";
import { overview } from "./views/overview.js";
import { refusals } from "./views/refusals.js";
import { rooms } from "./views/rooms.js";
import { trial } from "./views/trial.js";
import { users } from "./views/users.js";

const VIEWS = { overview, connections, users, agents, rooms, refusals, bans, trial };
const PULSE = 2000;
/** Five minutes of samples, and a little. */
const MOST_SAMPLES = 160;

/** The console of an administrator who was shown that overview. */
export const shell = (first, logOut) => {
  const pulse = { latest: first, samples: [{ time: Date.parse(first.time), overview: first }], listeners: new Set() };
  const state = h("span", { class: "row" });
  const main = h("main", { id: "main", tabindex: "-1" });
  const links = Object.entries(VIEWS).map(([name, { title }]) => [name, h("a", { href: `#${name}` }, title)]);
  const themeButton = h("button", { type: "button", onclick: () => fill(themeButton, `Theme: ${next()}`) }, `Theme: ${theme()}`);
  const node = h("div", {},
    h("header", { class: "bar" },
      h("span", { class: "brand" }, "Gateway"),
      h("span", { class: "mono" }, `${first.node} · ${first.version}`),
      state,
      h("span", { class: "grow" }),
      h("span", { class: "faint" }, first.caller.userId),
      themeButton,
      h("button", { type: "button", onclick: logOut }, "Log out"),
    ),
    h("div", { class: "frame" },
      h("nav", { class: "nav", "aria-label": "Views" }, h("ul", {}, links.map(([, link]) => h("li", {}, link)))),
      main,
    ),
  );

  let open = null;
  const go = (moved) => {
    const name = location.hash.slice(1).split("/")[0];
    const at = Object.hasOwn(VIEWS, name) ? name : "overview";
    open?.stop();
    const heading = h("h1", { tabindex: "-1" }, VIEWS[at].title);
    open = VIEWS[at].show({ pulse, argument: decodeURIComponent(location.hash.split("/")[1] ?? "") });
    fill(main, h("div", { class: "head" }, heading), open.node);
    open.start?.();
    for (const [own, link] of links) {
      if (own === at) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${VIEWS[at].title} · Gateway console`;
    if (moved) heading.focus();
  };
  const moved = () => go(true);

  const said = (fault) => fill(state,
    pulse.latest.dev && mark("dev mode", "warn"),
    pulse.latest.draining && mark("draining", "bad"),
    fault ? mark(fault.message, "bad") : mark("live", "good"));

  const beat = async (signal) => {
    pulse.latest = await call("GET", ["overview"], { signal });
    pulse.samples.push({ time: Date.parse(pulse.latest.time), overview: pulse.latest });
    pulse.samples.splice(0, pulse.samples.length - MOST_SAMPLES);
    said();
    pulse.listeners.forEach((listener) => listener());
  };
  let beating;
  return {
    node,
    start: () => {
      said();
      addEventListener("hashchange", moved);
      go(true);
      beating = poll(PULSE, beat, said);
    },
    stop: () => {
      removeEventListener("hashchange", moved);
      beating?.stop();
      open?.stop();
    },
  };
};
