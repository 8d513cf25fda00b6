// The door of the console: a token is pasted, or an API key is changed for one. Either must speak for an administrator,
// which the gateway says and not this page.

import { forget, takeIssued, takeToken } from "./access.js";
import { Refused, call } from "./api.js";
import { field, fill, form, h } from "./dom.js";

const changed = async (key) => {
  let answer;
  try {
    answer = await fetch("auth/token", { method: "POST", headers: { "x-api-key": key }, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Refused("the gateway does not answer");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(body.error?.message ?? `the gateway answered ${answer.status}`);
  takeIssued(body);
};

const admitted = async () => {
  const overview = await call("GET", ["overview"]);
  if (overview.caller.role !== "admin") {
    throw new Refused(`${overview.caller.userId} has the role ${overview.caller.role}: the console needs admin`);
  }
  return overview;
};

/** The login, on a site that may issue tokens; `entered` hears the first overview of an administrator. */
export const login = (site, why, entered) => {
  const fault = h("p", { class: "fault", role: "alert" }, why);
  const secret = (name) => h("input", { type: "password", name, autocomplete: "off", spellcheck: "false", class: "secret" });
  const token = secret("token");
  const key = secret("key");

  const attempt = (take) => async (event) => {
    const button = event.target.querySelector("button");
    button.disabled = true;
    fill(fault);
    try {
      await take();
      const overview = await admitted();
      entered(overview);
    } catch (refused) {
      forget();
      fill(fault, refused.message);
    } finally {
      button.disabled = false;
      token.value = "";
      key.value = "";
    }
  };
  const byToken = attempt(async () => {
    if (!token.value.trim()) throw new Refused("Paste a token first.");
    takeToken(token.value);
  });
  const byKey = attempt(() => changed(key.value.trim()));

  const node = h("main", { id: "main", class: "door" },
    h("div", { class: "sheet" },
      h("h1", {}, "Gateway console"),
      h("p", {}, "For administrators: a token or an API key with the role ", h("code", {}, "admin"), ". It is kept by this page alone, until you leave it or load it anew."),
      site.dev && h("p", {}, "This is dev mode: paste ", h("code", {}, "ADMIN_TOKEN"), " of the banner that the gateway printed when it started."),
      fault,
      form({ class: "stack" }, byToken, field("Token", token), h("div", {}, h("button", { type: "submit", class: "main" }, "Log in"))),
    ),
    site.issues && h("div", { class: "sheet" },
      form({ class: "stack" }, byKey, field("Or an API key", key), h("div", {}, h("button", { type: "submit" }, "Log in by API key"))),
    ),
  );
  return { node, focus: () => token.focus() };
};
