// Who is let in and who is not, over one way to be carried.
import { api, tell, tokens } from "./gateway.mjs";
import { carrier, enter, leave, moved, outcome, socketTo, within } from "./socketio.mjs";

const { WAY, ORIGIN, STRANGE_ORIGIN } = process.env;

const attempt = async (name, { namespace = "/dashboard", ...options }) => {
  const socket = socketTo(namespace, WAY, options);
  const closed = new Promise((resolve) => socket.io.on("close", resolve));
  const told = await outcome(socket);
  if (!told.in) {
    // What was refused before there was a connection cannot close.
    if (told.message !== "xhr poll error" && told.message !== "websocket error") await within(closed, "the end");
    tell({ name, ...told });
    socket.disconnect();
    return;
  }
  await moved(socket, WAY);
  const { body } = await api("GET", `/api/v1/connections/${socket.id}`);
  tell({ name, in: true, carrier: carrier(socket), user: body.userId, transport: body.transport, endpoint: body.endpoint });
  await leave(socket);
};

await attempt("auth", { auth: { token: tokens.ann } });
await attempt("function", { auth: (give) => give({ token: tokens.ann, more: [1] }) });
await attempt("query", { query: { token: tokens.ann } });
await attempt("header", { extraHeaders: { authorization: `Bearer ${tokens.ann}` } });
await attempt("authWins", { auth: { token: tokens.bob }, query: { token: tokens.ann } });
await attempt("emptyAuthIsAbsent", { auth: { token: "" }, query: { token: tokens.ann } });
await attempt("origin", { auth: { token: tokens.ann }, extraHeaders: { origin: ORIGIN } });
await attempt("strangeOrigin", { auth: { token: tokens.ann }, extraHeaders: { origin: STRANGE_ORIGIN } });
await attempt("noOrigin", { auth: { token: tokens.ann }, extraHeaders: { origin: "null" } });
await attempt("missing", {});
await attempt("noText", { auth: { token: 7 } });
await attempt("invalid", { auth: { token: "not.a.token" } });
await attempt("forged", { auth: { token: tokens.forged } });
await attempt("expired", { auth: { token: tokens.expired } });
await attempt("revoked", { auth: { token: tokens.revoked } });
await attempt("wrongRole", { auth: { token: tokens.agent } });
await attempt("banned", { auth: { token: tokens.banned } });
await attempt("unknownNamespace", { namespace: "/elsewhere", auth: { token: tokens.ann } });

const ten = [];
for (let number = 0; number < 10; number += 1) {
  ten.push(await enter("/dashboard", WAY, { auth: { token: tokens.carol } }));
}
await attempt("eleventh", { auth: { token: tokens.carol } });
const gone = ten.pop();
const { id } = gone;
await leave(gone);
while ((await api("GET", `/api/v1/connections/${id}`)).status !== 404);
await attempt("tenthAgain", { auth: { token: tokens.carol } });
await Promise.all(ten.map(leave));
