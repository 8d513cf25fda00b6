// The pictures of the console for its page: each view in light, in dark and on a phone, of a gateway with some life in it.
import { mkdir } from "node:fs/promises";
import { withBrowser } from "./browser.mjs";
import { AT, entered, go, opened } from "./console_page.mjs";
import { attempt, greeted, tell, tokens } from "./gateway.mjs";

const { PICTURES } = process.env;
const VIEWS = ["Overview", "Connections", "Users", "Agents", "Rooms", "Refusals", "Bans", "Try it"];
const LOOKS = {
  light: { viewport: { width: 1200, height: 780 }, colorScheme: "light" },
  dark: { viewport: { width: 1200, height: 780 }, colorScheme: "dark" },
  phone: { viewport: { width: 360, height: 700 }, colorScheme: "light", isMobile: true, hasTouch: true },
};
/** How long there is something to be seen in the charts. */
const LIFE = 16_000;

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** Dashboards that follow agents, agents that report, one that comes and goes, and some who are refused. */
const life = async () => {
  const agents = [];
  for (const name of ["press-1", "press-7", "oven-2"]) {
    const agent = await greeted(`/ws/agent?token=${tokens[name]}`);
    agent.socket.on("message", (data) => {
      const { requestId } = JSON.parse(data.toString());
      if (requestId) agent.socket.send(JSON.stringify({ type: "reply", replyTo: requestId, payload: { state: "running", bar: 182 } }));
    });
    agents.push(agent);
  }
  for (const name of ["ann", "bob", "cat", "dan"]) {
    const one = await greeted(`/ws/dashboard?token=${tokens[name]}`, { headers: { "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0" } });
    one.socket.send(JSON.stringify({ type: "subscribe", id: "1", payload: { room: "agents" } }));
    one.socket.send(JSON.stringify({ type: "subscribe", id: "2", payload: { room: "agent:press-7" } }));
  }
  for (let n = 0; n < 4; n += 1) await (await greeted(`/ws/agent?token=${tokens["belt-3"]}`)).leave();
  let n = 0;
  return setInterval(() => {
    n += 1;
    agents.forEach((agent, index) => {
      for (let m = 0; m < 1 + ((n + index) % 4); m += 1) agent.socket.send(JSON.stringify({ type: "event", payload: { bar: 180 + (n % 7) } }));
    });
    if (n % 9 === 0) attempt(`/ws/agent?token=${tokens.ann}`);
    if (n % 13 === 0) attempt(`/ws/dashboard?token=${tokens.old}`);
    if (n % 17 === 0) attempt("/ws/dashboard");
  }, 250);
};

await mkdir(PICTURES, { recursive: true });
await withBrowser(async (open) => {
  const beating = await life();
  const bans = [{ user: "mallory", reason: "guesses tokens" }, { address: "203.0.113.0/24", until: "2040-01-01T00:00:00Z", reason: "a scanner" }];
  for (const body of bans) {
    await fetch(AT.replace("/console", "/api/v1/bans"), { method: "PUT", headers: { authorization: `Bearer ${tokens.admin}`, "content-type": "application/json" }, body: JSON.stringify(body) });
  }
  for (const [look, options] of Object.entries(LOOKS)) {
    const { page, faults } = await opened(open, options);
    const shoot = (name, whole = false) => page.screenshot({ path: `${PICTURES}/${name}-${look}.png`, fullPage: whole });
    await page.getByLabel("Token", { exact: true }).waitFor();
    await shoot("login");
    await entered(page, tokens.admin);
    await pause(LIFE);
    for (const view of VIEWS) {
      await go(page, view);
      if (view === "Rooms") await page.getByRole("button", { name: "Look into agent:press-7" }).click();
      if (view === "Refusals") await page.getByText("The whole explanation").first().click();
      if (view === "Try it") {
        await page.getByRole("button", { name: "Make a token" }).click();
        await page.getByText("A token of ann, good until").waitFor();
        await page.getByRole("button", { name: "Connect", exact: true }).click();
        await page.getByRole("listitem").filter({ hasText: "connection_ready" }).waitFor();
        await page.getByRole("region", { name: "4. Ask an agent, as a backend" }).getByLabel("Agent").fill("press-7");
        await page.getByRole("button", { name: "Ask", exact: true }).click();
        await page.getByText("running").waitFor();
      }
      await pause(1500);
      await page.evaluate(() => scrollTo(0, 0));
      await shoot(view.toLowerCase().replace(" ", "-"));
    }
    await page.context().close();
    tell({ look, faults });
  }
  clearInterval(beating);
});
process.exit(0);
