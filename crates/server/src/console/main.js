// Where it begins: a theme, then the login, then the console, and back to the login when the credential is good no more.

import { forget } from "./access.js";
import { onLost, own } from "./api.js";
import { learn } from "./codes.js";
import { fill } from "./dom.js";
import { login } from "./login.js";
import { shell } from "./shell.js";
import { apply } from "./theme.js";

const app = document.getElementById("app");
let running = null;

const leave = (why = "") => {
  running?.stop();
  running = null;
  forget();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  enter(why);
};

const enter = async (why) => {
  const site = await own("site.json").catch(() => ({}));
  const page = login(site, why, (overview) => {
    running = shell(overview, () => leave());
    fill(app, running.node);
    running.start();
  });
  fill(app, page.node);
  page.focus();
};

onLost((refused) => {
  if (running) leave(`You were logged out: ${refused.message}`);
});
apply();
learn().catch(() => {});
enter("");
