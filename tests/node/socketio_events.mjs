// Comes in as several people over every way, and tells all that each of them hears until the last word of the story.
import { tell, tokens } from "./gateway.mjs";
import { enter, leave, within } from "./socketio.mjs";

const visitors = JSON.parse(process.env.VISITORS);
const ends = [];
for (const { name, user, way } of visitors) {
  const socket = await enter("/dashboard", way, { auth: { token: tokens[user] } });
  ends.push(
    new Promise((resolve) => {
      socket.onAny((type, ...words) => {
        tell({ name, type, words });
        if (type === "story:end") resolve(socket);
      });
    }),
  );
  tell({ name, id: socket.id });
}
tell({ name: "all are in" });
const sockets = await within(Promise.all(ends), "the last word", 60_000);
await Promise.all(sockets.map(leave));
