// A table that is filled again and again. A row that did not change stays the same row, so that nothing flickers and
// whoever stands on a button of it goes on standing there.

import { fill, h } from "./dom.js";

/**
 * A table of columns `{ name, cell, kind? }`: a cell is made from an entry. `key` names an entry among the others.
 */
export const table = ({ caption, columns, key, none = "Nothing here." }) => {
  const rows = new Map();
  const body = h("tbody");
  const empty = h("p", { class: "none" }, none);
  const head = h("tr", {}, columns.map(({ name, kind }) => h("th", { scope: "col", class: kind }, name)));
  const node = h("div", { class: "holder" }, h("table", {}, h("caption", {}, caption), h("thead", {}, head), body), empty);

  const made = (entry) =>
    h("tr", {}, columns.map(({ name, cell, kind }) => h("td", { class: kind, "data-label": name }, cell(entry))));

  const replaced = (old, entry) => {
    const fresh = made(entry);
    const buttons = [...old.querySelectorAll("button")];
    const held = buttons.indexOf(document.activeElement);
    old.replaceWith(fresh);
    if (held >= 0) fresh.querySelectorAll("button")[held]?.focus();
    return fresh;
  };

  return {
    node,
    /** Shows these entries, in this order. */
    show: (entries) => {
      const wanted = new Set(entries.map((entry) => key(entry)));
      for (const [name, { row }] of rows) {
        if (!wanted.has(name)) {
          row.remove();
          rows.delete(name);
        }
      }
      let at = body.firstElementChild;
      for (const entry of entries) {
        const name = key(entry);
        // Times are told as so long ago: they change by themselves.
        const text = JSON.stringify(entry) + Math.floor(Date.now() / 5000);
        let known = rows.get(name);
        if (!known) {
          known = { row: made(entry), text };
          rows.set(name, known);
        } else if (known.text !== text) {
          const moves = at === known.row;
          known.row = replaced(known.row, entry);
          known.text = text;
          if (moves) at = known.row;
        }
        if (known.row === at) at = at.nextElementSibling;
        else body.insertBefore(known.row, at);
      }
      empty.hidden = entries.length > 0;
    },
    /** What stands where there is nothing. */
    say: (text) => fill(empty, text),
  };
};
