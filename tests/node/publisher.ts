// The typed publisher of the dashboard example, as a backend uses it: one event of each type, then some that are
// refused. What stands behind `@ts-expect-error` must not compile, or the compiler complains.
import {
  type Event,
  PublishError,
  type Published,
  Publisher,
} from "../../deploy/examples/dashboard/publisher/typescript/publisher.js";

declare const process: { env: Record<string, string | undefined>; stdout: { write(text: string): void } };

const tell = (value: object): void => process.stdout.write(`${JSON.stringify(value)}\n`);

const { GATEWAY = "", TOKEN = "", ONCE } = process.env;
const publisher = new Publisher(GATEWAY, { bearer: async () => TOKEN });

const moc = { id: "m1", title: "Lighthouse", theme: "Harbour" };
const time = "2026-01-01T00:00:00Z";
const events: Event[] = [
  {
    type: "dashboard:summaryUpdated",
    payload: {
      totalMocs: 12,
      totalWishlistItems: 0,
      mocsByBuildStatus: { ADDED: 3, IN_PROGRESS: 4, BUILT: 5 },
      mocsByCoverageStatus: { FULL_INVENTORY: 5, PARTIAL_ORDERED: 6, NONE: 1 },
    },
  },
  {
    type: "dashboard:recentMocAdded",
    payload: { ...moc, buildStatus: "ADDED", coverImageUrl: null, createdAt: time },
  },
  {
    type: "dashboard:partialPartsUpdated",
    payload: [{ ...moc, buildStatus: "IN_PROGRESS", coveragePercentage: 62.5, lastUpdatedAt: time }],
  },
  { type: "dashboard:themeBreakdownUpdated", payload: [{ theme: "Harbour", mocCount: 2, setCount: 1 }] },
  { type: "dashboard:error", payload: { code: "STALE", message: "from yesterday" } },
];

/** What is wrong here is seen before it runs. */
export const mistakes = (publisher: Publisher): Promise<Published>[] => [
  // @ts-expect-error there is no such type
  publisher.publish("user:ann", { type: "dashboard:summary", payload: {} }),
  // @ts-expect-error a member is missing
  publisher.publish("user:ann", { type: "dashboard:error", payload: { code: "X" } }),
  // @ts-expect-error there is no such member
  publisher.publish("user:ann", { type: "dashboard:error", payload: { code: "X", message: "", text: "" } }),
  // @ts-expect-error it is a text
  publisher.publish("user:ann", { type: "dashboard:error", payload: { code: 7, message: "" } }),
  // @ts-expect-error it is a list
  publisher.publish("user:ann", { type: "dashboard:themeBreakdownUpdated", payload: { theme: "", mocCount: 0, setCount: 0 } }),
  // @ts-expect-error the payload is another type's
  publisher.publish("user:ann", { type: "dashboard:summaryUpdated", payload: { code: "X", message: "" } }),
  publisher.publish("user:ann", {
    type: "dashboard:recentMocAdded",
    // @ts-expect-error there is no such status
    payload: { ...moc, buildStatus: "SOLD", coverImageUrl: null, createdAt: time },
  }),
  // @ts-expect-error nobody is called so
  publisher.publish("ann", { type: "dashboard:error", payload: { code: "X", message: "" } }),
];

const tellAnn = async (publisher: Publisher): Promise<number> => {
  const harbour = { theme: "Harbour", mocCount: 2, setCount: 1 };
  const { delivered } = await publisher.publish("user:ann", {
    type: "dashboard:themeBreakdownUpdated",
    payload: [harbour],
  });
  return delivered;
};

const attempt = async (publisher: Publisher, event: Event): Promise<void> => {
  try {
    tell(await publisher.publish(["user:ann"], event));
  } catch (error) {
    if (!(error instanceof PublishError)) throw error;
    const { code, status, details, requestId } = error;
    tell({ code, status, details, requestId });
  }
};

for (const event of ONCE ? events.slice(0, 1) : events) await attempt(publisher, event);
if (!ONCE) {
  const tooMuch = { ...moc, buildStatus: "BUILT", coveragePercentage: 101, lastUpdatedAt: time } as const;
  await attempt(publisher, { type: "dashboard:partialPartsUpdated", payload: [tooMuch] });
  await attempt(new Publisher(GATEWAY, { apiKey: "nobody's" }), events[0]!);
  tell({ told: await tellAnn(publisher) });
}
