// An administrator sees and steers a gateway from its console, and real sockets feel it.
import { withBrowser } from "./browser.mjs";
import { answer, entered, go, opened, row } from "./console_page.mjs";
import { GATEWAY, attempt, greeted, tell, tokens } from "./gateway.mjs";

const NAME = '<img src=x onerror="alert(1)">';

await withBrowser(async (open) => {
  const { page, faults } = await opened(open);
  await entered(page, tokens.admin);

  // Who is here, by the browser's own eyes.
  const ann = await greeted(`/ws/dashboard?token=${tokens.ann}`, { headers: { "user-agent": NAME } });
  const bob = await greeted(`/ws/dashboard?token=${tokens.bob}`);
  const cat = await greeted(`/ws/dashboard?token=${tokens.cat}`);
  const strange = await greeted(`/ws?token=${tokens.strange}`);
  const agent = await greeted(`/ws/agent?token=${tokens.agent}`);
  agent.socket.on("message", (data) => {
    const { requestId } = JSON.parse(data.toString());
    if (requestId) agent.socket.send(JSON.stringify({ type: "reply", replyTo: requestId, payload: { up: true } }));
  });
  const tile = (name) => page.locator(".tile", { hasText: name }).locator("dd");
  await tile("Connections").filter({ hasText: /^5$/ }).waitFor();
  tell({ name: "overview", agents: await tile("Agents").textContent(), charts: await page.locator("figure svg path").count(), label: await page.locator("figure svg").first().getAttribute("aria-label") });

  // Connections: filtered, searched, looked at, kicked. What strangers call themselves is shown as text.
  await go(page, "Connections");
  await row(page, "ann").waitFor();
  await row(page, "/ws/agent").waitFor();
  await page.getByLabel("Endpoint").selectOption("/ws/agent");
  await row(page, "ann").waitFor({ state: "detached" });
  await page.getByLabel("Endpoint").selectOption("");
  await page.getByLabel("Search").fill("onerror");
  await row(page, "bob").waitFor({ state: "detached" });
  await row(page, "ann").getByRole("button", { name: "Details of ann" }).click();
  const client = await page.getByRole("dialog").locator("dd", { hasText: "onerror" }).textContent();
  await answer(page, "Close");
  await page.getByLabel("Search").fill("");
  const named = await row(page, NAME).count();
  await row(page, "ann").getByRole("button", { name: "Kick ann" }).click();
  await answer(page, "Kick");
  const kicked = await ann.closed;
  await row(page, "ann").waitFor({ state: "detached" });
  tell({ name: "kick", client, named, images: await page.locator("img").count(), kicked });

  // A user is revoked: its token is good no more.
  await go(page, "Users");
  await row(page, "bob").getByRole("button", { name: "Revoke bob" }).click();
  await answer(page, "Revoke");
  const revoked = await bob.closed;
  tell({ name: "revoke", revoked, again: await attempt(`/ws/dashboard?token=${tokens.bob}`) });

  // Another is banned, shown by name, and let in again.
  await row(page, "cat").getByRole("button", { name: "Ban cat" }).click();
  await page.getByRole("dialog").getByLabel("Reason, for operators").fill("a trial");
  await answer(page, "Ban");
  const banned = await cat.closed;
  await page.getByLabel("Look up a user").fill("cat");
  await page.getByRole("button", { name: "Look up" }).click();
  await page.getByRole("region", { name: "User cat" }).getByText("banned", { exact: true }).waitFor();
  await go(page, "Bans");
  await row(page, "cat").filter({ hasText: "a trial" }).waitFor();
  const out = await attempt(`/ws/dashboard?token=${tokens.cat}`);
  await row(page, "cat").getByRole("button", { name: "Lift the ban on cat" }).click();
  await answer(page, "Lift");
  await page.getByText("Nobody is banned.").waitFor();
  tell({ name: "ban", banned, out, again: await attempt(`/ws/dashboard?token=${tokens.cat}`) });

  // A block of addresses: what it would meet is asked first, and one that holds this machine is not taken by mistake.
  const ban = page.getByRole("region", { name: "A new ban" });
  await ban.getByLabel("On a").selectOption("address");
  await ban.getByLabel("Whom").fill("203.0.113.0/24");
  await ban.getByRole("button", { name: "What would it meet?" }).click();
  await page.getByText("It would end 0 connections.").waitFor();
  await ban.getByRole("button", { name: "Ban", exact: true }).click();
  await row(page, "203.0.113.0/24").waitFor();
  await ban.getByLabel("Whom").fill("127.0.0.0/8");
  await ban.getByRole("button", { name: "Ban", exact: true }).click();
  tell({ name: "block", fault: await ban.getByRole("alert").filter({ hasText: /\S/ }).textContent() });

  // The tail shows what is refused while it looks on, and explains it.
  await go(page, "Refusals");
  await page.getByText("Live: what comes is shown as it comes.").waitFor();
  const { body } = await attempt(`/ws/agent?token=${tokens.cat}`);
  const line = page.getByRole("listitem").filter({ hasText: "ROLE_MISMATCH" }).first();
  await line.waitFor();
  await line.getByText("The whole explanation").click();
  const said = await line.textContent();
  tell({ name: "refusal", said, own: said.includes(body.error.requestId) });

  // Rooms and who is in them; agents and how they are.
  strange.socket.send(JSON.stringify({ type: "subscribe", id: "1", payload: { room: "agents" } }));
  const eve = await greeted(`/ws/dashboard?token=${tokens.cat}`);
  await eve.ask({ type: "subscribe", id: "1", payload: { room: "agent:press-7" } });
  agent.socket.send(JSON.stringify({ type: "event", payload: { text: "<b>hot</b>" } }));
  await eve.next();
  await go(page, "Rooms");
  await row(page, "agent:press-7").getByRole("button", { name: "Look into agent:press-7" }).click();
  const inside = page.getByRole("region", { name: "The chosen room" });
  await inside.getByRole("cell", { name: "cat", exact: true }).waitFor();
  const remembered = await inside.getByRole("listitem").filter({ hasText: "hot" }).textContent();
  await agent.leave();
  await go(page, "Agents");
  await row(page, "press-7").first().getByText("offline").waitFor();
  for (let n = 0; n < 3; n += 1) await (await greeted(`/ws/agent?token=${tokens.agent}`)).leave();
  await row(page, "press-7").first().getByText("flapping").waitFor();
  tell({ name: "look", remembered, went: await row(page, "press-7").first().textContent() });

  // Leaving forgets: nothing of the token is anywhere, and the page asks again.
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByLabel("Token", { exact: true }).waitFor();
  tell({ name: "end", kept, faults, host: GATEWAY });
  for (const visit of [strange, eve]) await visit.leave();
});
