// Stays until the gateway leaves, and says when it is in.
import { greeted, tell, tokens } from "./gateway.mjs";

const visits = await Promise.all([greeted(`/ws?token=${tokens.ann}`), greeted(`/ws/agent?token=${tokens.agent}`)]);
tell({ name: "in" });
for (const visit of visits) tell({ name: "out", ...(await visit.closed) });
