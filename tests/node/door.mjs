// Who gets in and who does not, by every way to bring a token.
import { attempt, tell, tokens } from "./gateway.mjs";

const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });

const cases = {
  query: () => attempt(`/ws?token=${tokens.ann}`),
  header: () => attempt("/ws", bearer(tokens.ann)),
  bearerInAnyCase: () => attempt("/ws", { headers: { authorization: `bEARER   ${tokens.ann}` } }),
  queryWins: () => attempt(`/ws?token=${tokens.ann}`, bearer("garbage")),
  emptyQueryIsAbsent: () => attempt("/ws?token=", bearer(tokens.ann)),
  subprotocol: () => attempt(`/ws?token=${tokens.ann}`, { protocols: ["chat", "gateway.v1"] }),
  missing: () => attempt("/ws"),
  noPrefix: () => attempt("/ws", { headers: { authorization: tokens.ann } }),
  invalid: () => attempt("/ws?token=garbage"),
  forged: () => attempt(`/ws?token=${tokens.forged}`),
  expired: () => attempt(`/ws?token=${tokens.expired}`),
  wrongRole: () => attempt(`/ws/agent?token=${tokens.ann}`),
  agent: () => attempt(`/ws/agent?token=${tokens.agent}`),
  banned: () => attempt(`/ws?token=${tokens.banned}`),
  noSuchPath: () => attempt(`/nowhere?token=${tokens.ann}`),
  closeMissing: () => attempt("/ws/simulate"),
  closeInvalid: () => attempt("/ws/simulate?token=garbage"),
  closeExpired: () => attempt(`/ws/simulate?token=${tokens.expired}`),
  closeBanned: () => attempt(`/ws/simulate?token=${tokens.banned}`),
  simulate: () => attempt(`/ws/simulate?token=${tokens.ann}`),
};

for (const [name, run] of Object.entries(cases)) tell({ name, ...(await run()) });
