// Trying it: somebody's token, a connection with it, messages both ways; beside that, what a backend can do by HTTP.

import { call } from "../api.js";
import { field, fill, form, h } from "../dom.js";
import { moment } from "../format.js";
import { calls } from "./trial/calls.js";
import { visit } from "./trial/visit.js";

/** The panel that makes tokens, in dev mode; elsewhere it says where they come from. */
const minting = (dev, made) => {
  if (!dev) {
    return h("p", { class: "faint" }, "Tokens are made here in dev mode only. Paste one of the kind that your clients have, or make one where the key is: ", h("code", {}, "gateway token mint"), ".");
  }
  const user = h("input", { name: "user", value: "ann" });
  const role = h("input", { name: "role", value: "dashboard" });
  const said = h("p", { class: "fault", role: "alert" });
  const mint = async () => {
    fill(said);
    try {
      const roles = role.value.split(/[\s,]+/).filter(Boolean);
      const { token, expiresAt } = await call("POST", ["trial-tokens"], { body: { user: user.value.trim(), roles } });
      made(token, `A token of ${user.value.trim()}, good until ${moment(expiresAt)}.`);
    } catch (refused) {
      fill(said, refused.message);
    }
  };
  return form({}, mint, h("div", { class: "fields" }, field("User", user), field("Roles", role), h("button", { type: "submit" }, "Make a token")), said);
};

/** The view. */
export const trial = {
  title: "Try it",
  show: ({ pulse, argument }) => {
    const { latest } = pulse;
    const token = h("input", { type: "password", name: "trial-token", autocomplete: "off", spellcheck: "false", class: "secret" });
    const made = h("p", { class: "faint", role: "status" });
    const panel = visit(latest, () => token.value.trim());
    const mint = minting(latest.dev, (value, text) => {
      token.value = value;
      fill(made, text);
    });
    const beside = calls(argument);
    return {
      node: h("div", { class: "stack" },
        h("section", { class: "sheet", "aria-label": "A token" }, h("h2", {}, "1. A token"), mint, form({}, () => {}, field("Token of the trial", token)), made),
        panel.node,
        beside.node),
      stop: () => panel.stop(),
    };
  },
};
