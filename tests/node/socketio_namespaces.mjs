// Several namespaces on one connection: a seat each, each with rules and an end of its own.
import { Manager } from "socket.io-client";
import { api, somewhere, tell, tokens } from "./gateway.mjs";
import { WAYS, carrier, next, outcome, within } from "./socketio.mjs";

const { WAY } = process.env;
const manager = new Manager(`http://${somewhere()}`, { transports: WAYS[WAY], reconnection: false });
const socket = (namespace, user) => manager.socket(namespace, { auth: { token: tokens[user] } });

const one = socket("/dashboard", "ann");
tell({ name: "one", ...(await outcome(one)) });
const two = socket("/two", "bob");
tell({ name: "two", ...(await outcome(two)) });
const { context, description, ...refused } = await outcome(socket("/six", "ann"));
tell({ name: "refused", ...refused });
const unknown = await outcome(socket("/elsewhere", "ann"));
tell({ name: "unknown", message: unknown.message });
tell({ name: "one is still in", connected: one.connected, answer: await one.emitWithAck("ping", 1) });
tell({ name: "two is still in", connected: two.connected, answer: await two.emitWithAck("ping", 2) });
const { body } = await api("GET", "/api/v1/connections");
tell({ name: "seats", users: body.connections.map(({ userId, endpoint }) => `${userId} ${endpoint}`).sort() });

const third = socket("/three", "carol");
const fourth = socket("/four", "carol");
const fifth = socket("/five", "carol");
const [ofThird, ofFourth, ofFifth] = await Promise.all([third, fourth, fifth].map(outcome));
tell({ name: "third", ...ofThird });
tell({ name: "fourth", ...ofFourth });
tell({ name: "fifth", ...ofFifth });

const out = next(two, "disconnect");
await api("DELETE", `/api/v1/connections/${two.id}`);
tell({ name: "two is out", reason: (await out)[0], one: one.connected, carrier: carrier(one) });
one.disconnect();
tell({ name: "one has left", third: third.connected });
third.disconnect();
const closed = new Promise((resolve) => manager.on("close", resolve));
fourth.disconnect();
await within(closed, "the end");
