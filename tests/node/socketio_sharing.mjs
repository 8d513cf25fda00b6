// One user over native connections, polling and WebSockets of the library at once: they share its seats and its quota.
import { api, attempt, greeted, tell, tokens } from "./gateway.mjs";
import { enter, leave, outcome, socketTo } from "./socketio.mjs";

const auth = { token: tokens.ann };
const path = `/ws/dashboard?token=${tokens.ann}`;

/** Every way: how one more comes in (with what it says and how it leaves), and what one too many is told. */
const ways = {
  native: {
    async enter() {
      const visit = await greeted(path);
      return {
        id: visit.greeting.connectionId,
        ping: async () => {
          const { type, payload } = await visit.ask({ type: "ping", id: "p" });
          return type === "pong" ? "ok" : payload.code;
        },
        leave: () => visit.leave(),
      };
    },
    async refusal() {
      const { status, body } = await attempt(path);
      return { status, code: body?.error.code };
    },
  },
  ...Object.fromEntries(
    ["polling", "websocket"].map((way) => [
      way,
      {
        async enter() {
          const socket = await enter("/dashboard", way, { auth });
          return {
            id: socket.id,
            ping: async () => {
              const { ok, error } = await socket.timeout(20_000).emitWithAck("ping");
              return ok ? "ok" : error.code;
            },
            leave: () => leave(socket),
          };
        },
        async refusal() {
          const socket = socketTo("/dashboard", way, { auth });
          const { in: isIn, data } = await outcome(socket);
          socket.disconnect();
          return { in: isIn, code: data?.code };
        },
      },
    ]),
  ),
};

const here = [];
for (const [way, count] of [["native", 4], ["polling", 3], ["websocket", 3]]) {
  for (let n = 0; n < count; n += 1) here.push({ way, ...(await ways[way].enter()) });
}
for (const way of Object.keys(ways)) tell({ name: `eleventh ${way}`, ...(await ways[way].refusal()) });

// A seat that one of them leaves is free for each of the others.
for (const [from, to] of [["native", "polling"], ["polling", "websocket"], ["websocket", "native"]]) {
  const at = here.findIndex(({ way }) => way === from);
  const [gone] = here.splice(at, 1);
  await gone.leave();
  while ((await api("GET", `/api/v1/connections/${gone.id}`)).status !== 404);
  here.push({ way: to, ...(await ways[to].enter()) });
  tell({ name: `from ${from} to ${to}` });
}

// Each says something in its turn, until the quota of all is used up; then none of them may say any more.
const answers = [];
for (const { way, ping } of here) answers.push({ way, answer: await ping() });
tell({ name: "said", answers });
const after = {};
for (const way of Object.keys(ways)) after[way] = await here.find((one) => one.way === way).ping();
tell({ name: "used up", after });
await Promise.all(here.map((one) => one.leave()));
