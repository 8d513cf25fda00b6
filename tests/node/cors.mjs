// What pages may ask of a gateway of another origin, tried in a browser: by one that the gateway lists, and by others.
import { withBrowser } from "./browser.mjs";
import { tell } from "./gateway.mjs";

const { GATEWAY, LISTED, FOREIGN, ADMIN, BACKEND, ANN, BOTH, WRONG } = process.env;

/** Calls from within a page: what the page can read of it, or that it was told nothing. */
const call = (page, path, options = {}) =>
  page.evaluate(
    async ([url, options]) => {
      try {
        const response = await fetch(url, options);
        const seen = ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-period"];
        const headers = Object.fromEntries(seen.map((name) => [name, response.headers.get(name)]));
        const kept = response.headers.get("vary");
        const text = await response.text();
        return { type: response.type, status: response.status, headers, kept, body: text && JSON.parse(text) };
      } catch (fault) {
        return { failed: fault.name };
      }
    },
    [`http://${GATEWAY}${path}`, options],
  );

/** Opens a WebSocket from within a page: the type of its first message, or that it never opened. */
const connect = (page, path) =>
  page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url);
        let opened = false;
        socket.onopen = () => (opened = true);
        socket.onmessage = (event) => {
          resolve({ opened, first: JSON.parse(event.data).type });
          socket.close();
        };
        socket.onclose = (event) => resolve({ opened, code: event.code });
      }),
    `ws://${GATEWAY}${path}`,
  );

const bearer = (token) => ({ authorization: `Bearer ${token}` });
const event = (type) => JSON.stringify({ to: ["user:ann"], type, payload: null });
const json = { "content-type": "application/json" };

await withBrowser(async (open) => {
  const listed = await open(LISTED);
  const foreign = await open(FOREIGN);
  // The same server by another name is another origin, too.
  const renamed = await open(LISTED.replace("127.0.0.1", "localhost"));

  const cases = {
    listedReads: () => call(listed, "/api/v1/agents", { headers: bearer(BACKEND) }),
    listedPublishes: () =>
      call(listed, "/api/v1/events", { method: "POST", headers: { ...json, ...bearer(BACKEND) }, body: event("listed") }),
    listedPuts: () =>
      call(listed, "/api/v1/bans", {
        method: "PUT",
        headers: { ...json, ...bearer(ADMIN) },
        body: JSON.stringify({ user: "mallory" }),
      }),
    listedByKey: () => call(listed, "/api/v1/agents", { headers: { "x-api-key": "nobody's" } }),
    listedWithoutToken: () => call(listed, "/api/v1/agents"),
    listedPatches: () => call(listed, "/api/v1/agents", { method: "PATCH", headers: bearer(BACKEND) }),
    listedOtherHeader: () => call(listed, "/api/v1/agents", { headers: { ...bearer(BACKEND), "x-other": "1" } }),
    foreignReads: () => call(foreign, "/api/v1/agents", { headers: bearer(BACKEND) }),
    foreignPublishes: () =>
      call(foreign, "/api/v1/events", { method: "POST", headers: { ...json, ...bearer(BACKEND) }, body: event("foreign") }),
    foreignHealth: () => call(foreign, "/healthz"),
    renamedReads: () => call(renamed, "/api/v1/agents", { headers: bearer(BACKEND) }),
    listedSocket: () => connect(listed, `/ws/dashboard?token=${ANN}`),
    foreignSocket: () => connect(foreign, `/ws/dashboard?token=${ANN}`),
    renamedSocket: () => connect(renamed, `/ws/dashboard?token=${ANN}`),
  };
  for (const [name, run] of Object.entries(cases)) tell({ name, ...(await run()) });

  // A cookie belongs to a host, whatever its port: from now on these pages send one to the gateway, whose door takes it.
  for (const [name, page] of Object.entries({ listed, foreign })) {
    await page.evaluate((token) => (document.cookie = `token=${token}; path=/`), BOTH);
    const include = { credentials: "include" };
    tell({ name: `${name}Cookie`, ...(await call(page, "/api/v1/agents", include)) });
    const blind = { ...include, method: "POST", mode: "no-cors", body: event(`${name} by cookie`) };
    tell({ name: `${name}Blind`, ...(await call(page, "/api/v1/events", blind)) });
    tell({ name: `${name}Socket by cookie`, ...(await connect(page, "/ws/dashboard")) });
  }

  // Guessing ends in 429, of which the page can read when to come back.
  let guess;
  for (let n = 0; n < 100 && guess?.status !== 429; n += 1) {
    guess = await call(listed, "/api/v1/agents", { headers: bearer(WRONG) });
  }
  tell({ name: "guess", ...guess });
});
