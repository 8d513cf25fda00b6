// Pages with the library's own file in a browser, on another origin than the gateway's: who hears what, over every way to be
// carried, and what is told to whom is not let in.
import { withBrowser } from "./browser.mjs";
import { tell, tokens } from "./gateway.mjs";

const { GATEWAY, LISTED, FOREIGN } = process.env;
const WAYS = { polling: ["polling"], websocket: ["websocket"], upgraded: ["polling", "websocket"] };

/** Comes in from within a page; `window.heard` then settles with all that was heard up to the last word of the story. */
const enter = (page, transports, token) =>
  page.evaluate(
    async ({ url, transports, token }) => {
      const socket = io(url, { transports, reconnection: false, auth: (give) => give({ token }) });
      const words = [];
      window.heard = new Promise((resolve) => {
        socket.onAny((type, ...more) => {
          words.push({ type, words: more });
          if (type === "story:end") resolve(words);
        });
      });
      window.left = () => {
        const out = new Promise((resolve) => socket.once("disconnect", resolve));
        socket.disconnect();
        return out;
      };
      await new Promise((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("connect_error", ({ message, data }) => reject(new Error(JSON.stringify({ message, data }))));
      });
      const { engine } = socket.io;
      const last = transports.at(-1);
      if (engine.transport.name !== last) await new Promise((resolve) => engine.once("upgrade", resolve));
      return { answer: await socket.emitWithAck("ping", "é"), id: socket.id, carrier: engine.transport.name };
    },
    { url: `http://${GATEWAY}/dashboard`, transports, token },
  );

/** Asks to come in, which must not be granted: what the page can know of why. */
const refusal = (page, transports, auth) =>
  page.evaluate(
    ({ url, transports, auth }) =>
      new Promise((resolve) => {
        const socket = io(url, { transports, forceNew: true, reconnection: false, auth });
        const end = (told) => {
          socket.disconnect();
          resolve(told);
        };
        socket.once("connect", () => end({ in: true }));
        socket.once("connect_error", ({ message, data, context }) =>
          end({ in: false, message, data, active: socket.active, body: context?.responseText }),
        );
      }),
    { url: `http://${GATEWAY}/dashboard`, transports, auth },
  );

await withBrowser(async (open) => {
  const visitors = [...Object.keys(WAYS).map((way) => ["ann", way]), ["bob", "upgraded"]];
  const pages = [];
  for (const [user, way] of visitors) {
    const page = await open(LISTED);
    tell({ name: `${user} ${way}`, ...(await enter(page, WAYS[way], tokens[user])) });
    pages.push([`${user} ${way}`, page]);
  }
  tell({ name: "all are in" });
  for (const [name, page] of pages) {
    for (const line of await page.evaluate(() => window.heard)) tell({ name, ...line });
    await page.evaluate(() => window.left());
  }
  const [listed, foreign] = [await open(LISTED), await open(FOREIGN)];
  for (const [way, transports] of Object.entries(WAYS)) {
    tell({ name: `missing ${way}`, ...(await refusal(listed, transports, {})) });
    tell({ name: `expired ${way}`, ...(await refusal(listed, transports, { token: tokens.expired })) });
    tell({ name: `agent ${way}`, ...(await refusal(listed, transports, { token: tokens.agent })) });
    tell({ name: `foreign ${way}`, ...(await refusal(foreign, transports, { token: tokens.ann })) });
  }
});
