// What the peers share: the check of a token, the envelope of an event, how they begin and end.
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const secret = readFileSync(process.argv[2], "utf8").trim();

/** The claims of a token that was signed with the secret (HS256) and has not expired; otherwise nothing. */
export const claims = (token) => {
  const [head, body, signature, ...more] = String(token ?? "").split(".");
  if (signature === undefined || more.length > 0) return undefined;
  const due = createHmac("sha256", secret).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== due.length || !timingSafeEqual(given, due)) return undefined;
  try {
    if (JSON.parse(Buffer.from(head, "base64url").toString()).alg !== "HS256") return undefined;
    const claims = JSON.parse(Buffer.from(body, "base64url").toString());
    return claims.exp > Date.now() / 1000 && typeof claims.sub === "string" ? claims : undefined;
  } catch {
    return undefined;
  }
};

/** An event with the four members that the gateway's have. */
export const event = (type, payload) => ({
  eventId: randomUUID(),
  type,
  timestamp: new Date().toISOString(),
  payload,
});

/** The room that a message goes to; nothing, where it goes nowhere. */
export const target = (type, payload) => {
  if (type === "tell") return "load";
  if (type === "notify") return `user:${payload.to}`;
  return undefined;
};

/** Tells where the server listens, and ends it with whoever started it. */
export const serving = (port) => {
  console.log(`127.0.0.1:${port}`);
  process.stdin.on("end", () => process.exit()).resume();
};
