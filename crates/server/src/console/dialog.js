// Questions to the operator, and short notes of what came of them. A dialog is the browser's own: it holds the focus,
// ends with Escape and gives the focus back.

import { fill, form, h } from "./dom.js";

/** Says something in passing. */
export const note = (text) => {
  const notes = document.getElementById("notes");
  const own = h("div", { class: "note" }, text);
  notes.append(own);
  while (notes.childElementCount > 4) notes.firstElementChild.remove();
  setTimeout(() => own.remove(), 6000);
};

const show = (title, ...children) => {
  const before = document.activeElement;
  const dialog = h("dialog", { "aria-label": title }, h("h2", {}, title), ...children);
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  dialog.showModal();
  return dialog;
};

/**
 * Asks whether something shall be done, and does it: the dialog stays open with the fault where it was refused.
 * `content` may hold fields.
 */
export const confirm = (title, { text, content = [], action, grave = true }, perform) => {
  const fault = h("p", { class: "fault", role: "alert" });
  const go = h("button", { type: "submit", class: grave ? "main grave" : "main" }, action);
  const submit = async () => {
    go.disabled = true;
    fill(fault);
    try {
      const said = await perform();
      dialog.close();
      if (said) note(said);
    } catch (refused) {
      fill(fault, refused.message);
    } finally {
      go.disabled = false;
    }
  };
  const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const dialog = show(title, form({ class: "stack" }, submit, h("p", {}, text), content, fault, h("div", { class: "row" }, go, cancel)));
};

/** Shows something to be read. */
export const tell = (title, ...content) => {
  const close = h("button", { type: "button", class: "main", onclick: () => dialog.close() }, "Close");
  const dialog = show(title, ...content, close);
};
