// Ten seats a user: the eleventh is refused and told when to come again.
import { attempt, greeted, open, tell, tokens } from "./gateway.mjs";

const visits = [];
for (let nth = 0; nth < 10; nth += 1) visits.push(await greeted(`/ws?token=${tokens.ann}`));
tell({ name: "ids", count: new Set(visits.map((visit) => visit.greeting.connectionId)).size });
const { status, headers, body } = await open(`/ws?token=${tokens.ann}`).first;
tell({ name: "eleventh", status, headers, body });
tell({ name: "eleventhClose", ...(await attempt(`/ws/simulate?token=${tokens.ann}`)) });
tell({ name: "other", ...(await attempt(`/ws?token=${tokens.bob}`)) });
await visits.pop().leave();
let again;
for (let tries = 0; tries < 50; tries += 1) {
  again = await attempt(`/ws?token=${tokens.ann}`);
  if (again.user) break;
  await new Promise((resolve) => setTimeout(resolve, 300));
}
tell({ name: "again", ...again });
await Promise.all(visits.map((visit) => visit.leave()));
