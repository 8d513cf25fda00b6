// What a backend does by HTTP: it publishes, and it asks an agent. Here it is done as the administrator who is logged in.

import { call } from "../../api.js";
import { field, fill, form, h } from "../../dom.js";

const read = (text) => {
  try {
    return text.trim() ? JSON.parse(text) : null;
  } catch {
    throw new Error("The payload is no JSON.");
  }
};

/** A form whose fields become a call, and what came of it. */
const panel = (title, fields, action, perform) => {
  const said = h("pre", { role: "status" });
  const go = h("button", { type: "submit", class: "main" }, action);
  const submit = async () => {
    go.disabled = true;
    fill(said, "…");
    try {
      fill(said, JSON.stringify(await perform(), null, 1));
    } catch (fault) {
      fill(said, `${fault.code ? `${fault.code}: ` : ""}${fault.message}`);
    } finally {
      go.disabled = false;
    }
  };
  return h("section", { class: "sheet", "aria-label": title }, h("h2", {}, title), form({ class: "stack" }, submit, fields, h("div", {}, go)), said);
};

/** The panels; an agent may be named from the start. */
export const calls = (agent) => {
  const to = h("input", { name: "to", value: "user:ann" });
  const type = h("input", { name: "type", value: "news" });
  const payload = h("textarea", { name: "payload", spellcheck: "false" }, '{"text": "hello"}');
  const whom = h("input", { name: "agent", value: agent || "agent-1" });
  const command = h("input", { name: "command", value: "command" });
  const asked = h("textarea", { name: "question", spellcheck: "false" }, '{"do": "status"}');
  const node = h("div", { class: "pair" },
    panel("3. Publish, as a backend", [field("To (targets, by spaces)", to), field("Type", type), field("Payload, as JSON", payload)], "Publish", () =>
      call("POST", ["events"], { body: { to: to.value.split(/\s+/).filter(Boolean), type: type.value.trim(), payload: read(payload.value) } })),
    panel("4. Ask an agent, as a backend", [field("Agent", whom), field("Type", command), field("Payload, as JSON", asked)], "Ask", () =>
      call("POST", ["agents", whom.value.trim(), "requests"], { body: { type: command.value.trim(), payload: read(asked.value), timeout: "15s" } })));
  return { node };
};
