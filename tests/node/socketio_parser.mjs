// What the library's own parser makes of the corpus of the fuzz target: for each file its packets up to a fault.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Decoder } from "socket.io-parser";
import { tell } from "./gateway.mjs";

const { CORPUS } = process.env;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Half a pair of surrogates is no text anywhere else. */
const text = (value) => value.replace(/\p{Surrogate}/gu, "\ufffd");

/** Bytes as JSON can tell them. */
const told = (value) => {
  if (typeof value === "string") return text(value);
  if (Buffer.isBuffer(value)) return { bytes: value.toString("base64") };
  if (Array.isArray(value)) return value.map(told);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [text(name), told(inner)]));
};

/** The messages of a file: each up to a byte 0xff. */
const messages = (data) => {
  const found = [[]];
  for (const byte of data) {
    if (byte === 0xff) found.push([]);
    else found.at(-1).push(byte);
  }
  return found.map((bytes) => Buffer.from(bytes));
};

for (const file of readdirSync(CORPUS).sort()) {
  const packets = [];
  const decoder = new Decoder();
  decoder.on("decoded", ({ type, nsp, id = null, data = null }) => packets.push({ type, nsp, id, data: told(data) }));
  try {
    for (const message of messages(readFileSync(join(CORPUS, file)))) {
      decoder.add(message[0] === 0 ? message.subarray(1) : utf8.decode(message));
    }
  } catch {
    // What is wrong with it does not matter: nothing more is read.
  }
  decoder.destroy();
  tell({ name: file, packets });
}
