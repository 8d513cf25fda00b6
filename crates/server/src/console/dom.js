// Elements, made by hand. Text goes in as text and nothing is ever read as markup, since users, agents and whoever was
// refused choose many of the words that are shown here.

/**
 * An element with its properties and children. A property that is a function hears the event of its name (`onclick`);
 * one that is false or absent is left out; a child that is no node becomes text.
 */
export const h = (name, properties = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};

/** An element of a drawing. */
export const draw = (name, attributes = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
};

/** Replaces what is in a node. */
export const fill = (node, ...children) => {
  node.replaceChildren(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};

/** A field with its label. */
export const field = (label, control, properties = {}) => h("label", properties, label, control);

/** A tick with its label. */
export const tick = (label, control) => h("label", { class: "tick" }, control, label);

/** A choice of values; an entry is a value, or a value and what is shown for it. */
export const select = (properties, entries) =>
  h("select", properties, entries.map((entry) => {
    const [value, text] = Array.isArray(entry) ? entry : [entry, entry];
    return h("option", { value }, text);
  }));

/** A form that never leaves the page. */
export const form = (properties, submit, ...children) =>
  h("form", { ...properties, novalidate: true, onsubmit: (event) => { event.preventDefault(); submit(event); } }, ...children);

/** A word that stands out. */
export const mark = (text, kind = "plain") => h("span", { class: `mark ${kind}` }, text);

/** Names and values, one under the other; what is absent is left out. */
export const facts = (entries) =>
  h("dl", { class: "facts" }, entries
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value instanceof Node ? value : String(value))]));
