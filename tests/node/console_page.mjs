// The console in a browser, as an operator drives it: by what is written on it.
import { GATEWAY } from "./gateway.mjs";

export const AT = `http://${GATEWAY}/console`;

/** Opens the console and notes all that should never be: faults of scripts, words on the console, breaches of its laws, calls elsewhere. */
export const opened = async (open, options = {}) => {
  const faults = [];
  const watch = async (page) => {
    page.on("pageerror", (fault) => faults.push(`thrown: ${fault.message}`));
    page.on("console", (said) => {
      // The browser itself writes a line for each call that was refused: those are the story's own.
      const refused = /^Failed to load resource: the server responded with a status of (401|403|404|409|429|400) /.test(said.text());
      if (["error", "warning"].includes(said.type()) && !refused) faults.push(`${said.type()}: ${said.text()}`);
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.host !== GATEWAY) faults.push(`called ${url.origin}`);
      if (url.searchParams.has("token")) faults.push(`a token is in the address of ${url.pathname}`);
    });
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => console.error(`law broken: ${event.violatedDirective} ${event.blockedURI}`));
    });
  };
  const page = await open(AT, { viewport: { width: 1200, height: 800 }, ...options, watch });
  return { page, faults };
};

/** Logs in by a token; waits until the console is there. */
export const entered = async (page, token) => {
  await page.getByLabel("Token", { exact: true }).fill(token);
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
};

/** Tries to log in, and gives the words of the refusal. */
export const refused = async (page, label, value, button) => {
  await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole("button", { name: button, exact: true }).click();
  const alert = page.getByRole("alert").filter({ hasText: /\S/ });
  await alert.waitFor();
  return alert.textContent();
};

/** Goes to a view. */
export const go = async (page, title) => {
  await page.getByRole("navigation").getByRole("link", { name: title, exact: true }).click();
  await page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
};

/** Answers a dialog by one of its buttons. */
export const answer = async (page, button) => {
  await page.getByRole("dialog").getByRole("button", { name: button, exact: true }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
};

/** The row of a table that has that text in a cell of its own. */
export const row = (page, text) => page.getByRole("row").filter({ has: page.getByRole("cell", { name: text, exact: true }) });
