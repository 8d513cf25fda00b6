// Trying a gateway in dev mode from its console: a token is made, a connection is opened with it, and words go both ways.
import { withBrowser } from "./browser.mjs";
import { entered, go, opened } from "./console_page.mjs";
import { greeted, tell, tokens } from "./gateway.mjs";

await withBrowser(async (open) => {
  const { page, faults } = await opened(open);
  await entered(page, tokens.admin);
  const agent = await greeted(`/ws/agent?token=${tokens.agent}`);
  agent.socket.on("message", (data) => {
    const { requestId, payload } = JSON.parse(data.toString());
    if (requestId) agent.socket.send(JSON.stringify({ type: "reply", replyTo: requestId, payload: { did: payload.do } }));
  });
  await go(page, "Agents");
  await page.getByRole("link", { name: "Ask agent-1" }).click();
  await page.getByRole("heading", { level: 1, name: "Try it" }).waitFor();

  const token = page.getByRole("region", { name: "A token" });
  await token.getByLabel("User").fill("ann");
  await token.getByRole("button", { name: "Make a token" }).click();
  await token.getByText("A token of ann, good until").waitFor();

  const panel = page.getByRole("region", { name: "A connection" });
  await panel.getByRole("button", { name: "Connect", exact: true }).click();
  const log = panel.getByRole("list", { name: "What was said" });
  const heard = async (text) => {
    const line = log.getByRole("listitem").filter({ hasText: "←" }).filter({ hasText: text }).last();
    await line.waitFor();
    return JSON.parse((await line.textContent()).slice(2));
  };
  const ready = await heard("connection_ready");
  const say = async (preset) => {
    await panel.getByRole("button", { name: preset, exact: true }).click();
    await panel.getByRole("button", { name: "Send" }).click();
  };
  await say("ping");
  const pong = await heard("pong");
  await say("subscribe");
  const subscribed = await heard('"subscribed"');
  await say("command an agent");
  const reply = await heard('"reply"');

  const publish = page.getByRole("region", { name: "3. Publish, as a backend" });
  await publish.getByRole("button", { name: "Publish" }).click();
  const news = await heard('"news"');
  await publish.getByText('"delivered": 1').waitFor();

  const ask = page.getByRole("region", { name: "4. Ask an agent, as a backend" });
  const whom = await ask.getByLabel("Agent").inputValue();
  await ask.getByRole("button", { name: "Ask" }).click();
  await ask.getByText('"did": "status"').waitFor();
  await ask.getByLabel("Agent").fill("nobody");
  await ask.getByRole("button", { name: "Ask" }).click();
  await ask.getByText("TARGET_OFFLINE").waitFor();

  await panel.getByRole("button", { name: "Disconnect" }).click();
  await log.getByText("closed with 1000").waitFor();
  tell({ user: ready.payload.userId, pong: pong.type, room: subscribed.payload.room, reply: reply.payload, news: news.payload, whom, faults });
  await agent.leave();
});
