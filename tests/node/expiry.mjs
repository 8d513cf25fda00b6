// An agent whose token expires while it is connected.
import { greeted, tell, tokens } from "./gateway.mjs";

const expiring = await greeted(`/ws/agent?token=${tokens.short}`);
tell({ name: "expiring", ...(await expiring.next()), told: expiring.greeting.expiresAt });
tell({ name: "served", ...(await expiring.ask({ type: "ping", id: "still" })) });
tell({ name: "expired", ...(await expiring.closed) });
