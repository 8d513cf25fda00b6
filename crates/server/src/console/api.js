// Calls of the HTTP API. The credential goes into the header Authorization, and no call is made while the gateway has
// asked for a pause.

import { authorization } from "./access.js";

/** A call that was refused, or got no answer. */
export class Refused extends Error {
  constructor(message, { status = 0, code = "", retryAfter = 0, requestId = "", details = [] } = {}) {
    super(details.length > 0 ? `${message} (${details.map((detail) => detail.message).join("; ")})` : message);
    Object.assign(this, { status, code, retryAfter, requestId });
  }
}

let pausedUntil = 0;
let lost = () => {};

/** Who is told that the credential is good no more. */
export const onLost = (told) => {
  lost = told;
};

/** The path and query of a call: every part is encoded, and what is empty is left out. */
export const address = (path, query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given).toString();
  return `api/v1/${path.map(encodeURIComponent).join("/")}${text && `?${text}`}`;
};

const refusal = async (answer) => {
  const body = await answer.json().catch(() => null);
  const { code, message, requestId, details } = body?.error ?? {};
  const retryAfter = Number(answer.headers.get("retry-after") ?? 0) || 0;
  if (answer.status === 429) pausedUntil = Date.now() + Math.max(1, retryAfter) * 1000;
  const refused = new Refused(message ?? `the gateway answered ${answer.status}`, { status: answer.status, code, retryAfter, requestId, details });
  if (answer.status === 401) lost(refused);
  return refused;
};

/** Makes a call and gives the answer as it comes; refused calls are thrown. */
export const open = async (method, path, { query, body, signal, headers = {} } = {}) => {
  if (Date.now() < pausedUntil) {
    const wait = Math.ceil((pausedUntil - Date.now()) / 1000);
    throw new Refused(`the gateway asked for a pause: ${wait} s are left`, { status: 429, code: "RATE_LIMITED", retryAfter: wait });
  }
  const credential = await authorization();
  let answer;
  try {
    answer = await fetch(address(path, query), {
      method,
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      headers: { ...(credential && { authorization: credential }), ...(body && { "content-type": "application/json" }), ...headers },
      body: body && JSON.stringify(body),
    });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Refused("the gateway does not answer");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
};

/** Makes a call and reads the answer. */
export const call = async (method, path, options) => (await open(method, path, options)).json();

/** Every entry of a list, page by page, up to so many: the entries, and whether that were all. */
export const leaf = async (path, list, { query = {}, most = 5000, signal } = {}) => {
  const entries = [];
  let cursor;
  do {
    const page = await call("GET", path, { query: { ...query, limit: Math.min(1000, most - entries.length), cursor }, signal });
    entries.push(...page[list]);
    cursor = page.next;
    if (!cursor) return { entries, total: page.total, whole: true };
    if (entries.length >= most) return { entries, total: page.total, whole: false };
  } while (true);
};

/** What is in the page's own folder. */
export const own = async (name) => (await fetch(`console/${name}`, { credentials: "omit" })).json();
