// What a page in a browser would send: an Origin, and no header of its own. It comes from one node, and goes there.
import { GATEWAY, attempt, tell, tokens } from "./gateway.mjs";

const from = (path, origin, token) => attempt(`${path}?token=${token}`, { origin, at: GATEWAY });

const cases = {
  self: () => from("/ws/dashboard", `http://${GATEWAY}`, tokens.ann),
  foreign: () => from("/ws/dashboard", "https://elsewhere.example", tokens.ann),
  otherPort: () => from("/ws/dashboard", "http://127.0.0.1:1", tokens.ann),
  otherScheme: () => from("/ws/dashboard", `https://${GATEWAY}`, tokens.ann),
  null: () => from("/ws/dashboard", "null", tokens.ann),
  noPage: () => attempt(`/ws/dashboard?token=${tokens.ann}`),
  agentSelf: () => from("/ws/agent", `http://${GATEWAY}`, tokens.agent),
  agentForeign: () => from("/ws/agent", "https://elsewhere.example", tokens.agent),
  closeForeign: () => from("/ws/simulate", "https://elsewhere.example", tokens.ann),
};

for (const [name, run] of Object.entries(cases)) tell({ name, ...(await run()) });
