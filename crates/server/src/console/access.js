// The credential of whoever is logged in. It lives in this variable and nowhere else: no storage, no cookie, no address.
// So another page of the same origin cannot read it, nothing of it is left when the tab closes, and a reload asks again.

let own = null;

/** Takes a token as it is. */
export const takeToken = (token) => {
  own = { token: token.trim() };
};

/** Takes what an API key got: a token, and what renews it. The key itself is not kept. */
export const takeIssued = ({ access_token, refresh_token, expires_in }) => {
  own = { token: access_token, refresh: refresh_token, until: Date.now() + expires_in * 1000 };
};

/** Forgets it. */
export const forget = () => {
  own = null;
};

/** Whether anybody is logged in. */
export const isKnown = () => own !== null;

let renewing = null;

/** Renews a token that is about to end, where it can be renewed; once for all who ask meanwhile. */
const renewed = async () => {
  const { refresh } = own;
  const answer = await fetch("auth/refresh", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ refresh_token: refresh }),
    cache: "no-store",
    credentials: "omit",
  });
  if (answer.ok && own?.refresh === refresh) takeIssued(await answer.json());
};

/** What goes into the header. */
export const authorization = async () => {
  if (own?.refresh && own.until - Date.now() < 60_000) {
    renewing ??= renewed().catch(() => {}).finally(() => { renewing = null; });
    await renewing;
  }
  return own ? `Bearer ${own.token}` : null;
};
