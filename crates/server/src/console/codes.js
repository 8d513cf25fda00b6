// What each code of a refusal means, and what to do about it: the gateway's own table, read once.

import { own } from "./api.js";
import { facts, h } from "./dom.js";

let table = null;

/** Reads the table. */
export const learn = async () => {
  table ??= await own("codes.json");
};

/** What is known of a code; nothing, where it is a newer one. */
export const about = (code) => table?.[code];

/** A refusal, explained: by its code, and by whether the user was known when it came. */
export const explained = (code, userKnown) => {
  const known = about(code);
  if (!known) return h("p", { class: "faint" }, "Nothing is known of this code.");
  const numbers = [known.http && `HTTP ${known.http}`, known.close && `close ${known.close}`].filter(Boolean).join(", ");
  return facts([
    ["Meaning", known.meaning],
    ["On the wire", numbers],
    ["Decided by", known.asks[userKnown ? 1 : 0]],
    ["The client", known.client],
    ["You", known.operator],
  ]);
};
