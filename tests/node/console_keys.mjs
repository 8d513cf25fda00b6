// The console by the keyboard alone, in both themes, and on a phone.
import { withBrowser } from "./browser.mjs";
import { entered, opened } from "./console_page.mjs";
import { greeted, tell, tokens } from "./gateway.mjs";

const VIEWS = ["Overview", "Connections", "Users", "Agents", "Rooms", "Refusals", "Bans", "Try it"];

await withBrowser(async (open) => {
  const ann = await greeted(`/ws/dashboard?token=${tokens.ann}`);
  const long = await greeted(`/ws/dashboard?token=${tokens.long}`);
  const { page, faults } = await opened(open);
  const press = (key) => page.keyboard.press(key);
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
  /** Presses Tab until the focus stands where it should. */
  const reach = async (name) => {
    for (let n = 0; n < 60; n += 1) {
      if ((await focused()) === name) return;
      await press("Tab");
    }
    throw new Error(`the focus never came to ${name}`);
  };

  // The field for the token has the focus from the start.
  await page.getByLabel("Token", { exact: true }).waitFor();
  await page.keyboard.type(tokens.admin);
  await press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const first = await focused();
  await page.reload();
  await page.getByLabel("Token", { exact: true }).waitFor();
  await press("Tab");
  await press("Shift+Tab");
  await page.keyboard.type(tokens.admin);
  await press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();

  const walked = [];
  for (const view of VIEWS) {
    await reach(view);
    await press("Enter");
    await page.getByRole("heading", { level: 1, name: view, exact: true }).waitFor();
    // A view that opens has the focus at its heading.
    walked.push(await focused());
    await page.evaluate(() => document.querySelector(".skip").focus());
  }
  await reach("Connections");
  await press("Enter");
  await page.getByRole("button", { name: "Kick ann" }).waitFor();
  await reach("Kick ann");
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const back = await focused();
  await press("Enter");
  await page.getByRole("dialog").waitFor();
  await reach("Kick");
  await press("Enter");
  const kicked = await ann.closed;
  tell({ name: "keys", first, walked, back, kicked });

  // Light and dark: as the machine has it, or as one likes; the choice outlives a load, the login does not.
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: "light" });
  const light = await ground();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await ground();
  await page.getByRole("button", { name: "Theme: auto" }).click();
  const chosen = await ground();
  await page.reload();
  const later = await ground();
  tell({ name: "themes", light, dark, chosen, later, asked: await page.getByLabel("Token", { exact: true }).count() });

  // A phone: no view is wider than the screen, and nothing to press is too small for a thumb.
  const phone = await opened(open, { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
  await entered(phone.page, tokens.admin);
  const wide = {};
  for (const view of VIEWS) {
    await phone.page.getByRole("navigation").getByRole("link", { name: view, exact: true }).tap();
    await phone.page.getByRole("heading", { level: 1, name: view, exact: true }).waitFor();
    if (view === "Connections") await phone.page.getByRole("button", { name: /^Kick loooo/ }).waitFor();
    // A page that is too wide makes the window of a phone wider: what counts is how wide the screen is.
    wide[view] = await phone.page.evaluate(() => {
      const ends = [...document.querySelectorAll("body *")].filter((node) => !node.closest(".skip, thead, .holder")).map((node) => node.getBoundingClientRect().right);
      return Math.ceil(Math.max(document.documentElement.scrollWidth, ...ends));
    });
  }
  const small = await phone.page.evaluate(() =>
    [...document.querySelectorAll("button, nav a, input:not([type=checkbox]), select")].filter((node) => node.getBoundingClientRect().height < 30).map((node) => node.outerHTML.slice(0, 80)));
  tell({ name: "phone", wide, small, faults: [...faults, ...phone.faults] });
  await long.leave();
});
