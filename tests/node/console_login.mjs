// Who gets into the console, and who reads why not.
import { withBrowser } from "./browser.mjs";
import { entered, opened, refused } from "./console_page.mjs";
import { tell, tokens } from "./gateway.mjs";

const { ADMIN_KEY, PLAIN_KEY } = process.env;

await withBrowser(async (open) => {
  const { page, faults } = await opened(open);
  const byToken = (token) => refused(page, "Token", token, "Log in");
  const byKey = (key) => refused(page, "Or an API key", key, "Log in by API key");
  const told = {
    nothing: await byToken(""),
    junk: await byToken("no-token-at-all"),
    dashboard: await byToken(tokens.ann),
    service: await byToken(tokens.backend),
    expired: await byToken(tokens.old),
    wrongKey: await byKey("nobody's"),
    plainKey: await byKey(PLAIN_KEY),
  };
  tell({ name: "refused", ...told });

  await page.getByLabel("Or an API key").fill(ADMIN_KEY);
  await page.getByRole("button", { name: "Log in by API key" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const who = await page.locator("header").textContent();
  // What was issued lives for seconds here: it is renewed behind the scenes, and the pulse goes on.
  const renewed = await page.waitForResponse((response) => response.url().endsWith("/auth/refresh"));
  await page.waitForResponse((response) => response.url().endsWith("/api/v1/overview") && response.status() === 200);
  tell({ name: "by key", who, renewed: renewed.status(), live: await page.getByText("live", { exact: true }).count() });

  // A load of the page forgets, and a revoked token ends it with a word.
  await page.reload();
  await entered(page, tokens.admin);
  const revocation = await page.evaluate(async (token) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    return (await fetch("api/v1/revocations", { method: "POST", headers, body: JSON.stringify({ user: "root" }) })).status;
  }, tokens.admin);
  await page.getByText("You were logged out").waitFor();
  tell({ name: "revoked", revocation, why: await page.getByRole("alert").first().textContent(), faults });
});
