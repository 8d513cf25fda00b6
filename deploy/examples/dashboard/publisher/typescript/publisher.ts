// Publishes the events of one gateway, each in its own type. Written by `gateway events codegen --language typescript`
// from the schemas of its configuration: do not edit it, write it anew.
//
// It needs no package, and runs where there are `fetch` and `crypto`: in Node.js 20 and later, for one.

/** What an event of each type says. */
export interface Events {
  /** What the dashboard should say went wrong */
  "dashboard:error": DashboardError;
  /** The MOCs of which only some parts are there */
  "dashboard:partialPartsUpdated": DashboardPartialPartsUpdatedItem[];
  /** A MOC that was added */
  "dashboard:recentMocAdded": DashboardRecentMocAdded;
  /** The figures at the top of the dashboard */
  "dashboard:summaryUpdated": DashboardSummaryUpdated;
  /** How many there are of each theme */
  "dashboard:themeBreakdownUpdated": DashboardThemeBreakdownUpdatedItem[];
}

/** What the dashboard should say went wrong */
export interface DashboardError {
  code: string;
  message: string;
}

export type BuildStatus = "ADDED" | "IN_PROGRESS" | "BUILT";

export interface DashboardPartialPartsUpdatedItem {
  id: string;
  title: string;
  theme: string;
  buildStatus: BuildStatus;
  /** at least 0, at most 100 */
  coveragePercentage: number;
  /** format date-time */
  lastUpdatedAt: string;
}

/** A MOC that was added */
export interface DashboardRecentMocAdded {
  id: string;
  title: string;
  theme: string;
  buildStatus: BuildStatus;
  coverImageUrl: string | null;
  /** format date-time */
  createdAt: string;
}

export interface MocsByBuildStatus {
  ADDED: number;
  IN_PROGRESS: number;
  BUILT: number;
}

export interface MocsByCoverageStatus {
  FULL_INVENTORY: number;
  PARTIAL_ORDERED: number;
  NONE: number;
}

/** The figures at the top of the dashboard */
export interface DashboardSummaryUpdated {
  /** at least 0 */
  totalMocs: number;
  /** at least 0 */
  totalWishlistItems: number;
  mocsByBuildStatus: MocsByBuildStatus;
  mocsByCoverageStatus: MocsByCoverageStatus;
}

export interface DashboardThemeBreakdownUpdatedItem {
  theme: string;
  /** at least 0 */
  mocCount: number;
  /** at least 0 */
  setCount: number;
}

/** An event: its type, and what it says. */
export type Event = { [Type in keyof Events]: { type: Type; payload: Events[Type] } }[keyof Events];

/** Whom an event is for. */
export type Target =
  | `user:${string}`
  | `agent:${string}`
  | `room:${string}`
  | `role:${string}`
  | `endpoint:/${string}`
  | `connection:${string}`;

/** Who publishes, somebody with the role `service`: by an API key of the configuration, or by a token, which a function may renew. */
export type Credential = { apiKey: string } | { bearer: string | (() => string | Promise<string>) };

/** What came of an event. */
export interface Published {
  eventId: string;
  /** Into how many connections' outboxes it was put. */
  delivered: number;
  /** Whether an earlier attempt had told it already, and nobody was told again. */
  duplicate?: boolean;
}

/** What is wrong in one place, such as `/payload/theme`. */
export interface Detail {
  path: string;
  message: string;
}

/**
 * Why an event is not published, or not known to be. `code` is the stable code of the gateway, such as
 * `SCHEMA_MISMATCH`; `NO_ANSWER`, where none came: the event may have been told or not, and sent again under the same
 * `eventId` it is told once; or `STRANGE_ANSWER`, from something that is no gateway.
 */
export class PublishError extends Error {
  override readonly name = "PublishError";

  constructor(
    readonly code: string,
    message: string,
    readonly eventId: string,
    readonly details: readonly Detail[] = [],
    readonly status?: number,
    /** In how many seconds to come back. */
    readonly retryAfter?: number,
    /** By what the operators of the gateway find it. */
    readonly requestId?: string,
  ) {
    super([`${code}: ${message}`, ...details.map((detail) => `${detail.path}: ${detail.message}`)].join("; "));
  }

  /** Whether it may go well when it is sent again. */
  get isPassing(): boolean {
    return this.code === "NO_ANSWER" || this.status === 429 || this.status === 503;
  }
}

/** How long the gateway may take for one answer. */
const ANSWER_MS = 10_000;
/** How often one event is sent at most. */
const ATTEMPTS = 10;

/** Publishes events by the HTTP API of a gateway, over connections that are kept. */
export class Publisher {
  readonly #address: string;
  readonly #credential: Credential;
  readonly #patience: number;

  /** At the gateway with that address, such as `https://gateway.example`. `patience`: how many seconds all waits between the attempts may be together. */
  constructor(gateway: string, credential: Credential, options: { patience?: number } = {}) {
    this.#address = `${gateway.replace(/\/+$/, "")}/api/v1/events`;
    this.#credential = credential;
    this.#patience = options.patience ?? 30;
  }

  /**
   * Publishes an event to one or several targets. Where the gateway is busy, or no answer comes, it is sent again under
   * the same id, so that nobody is told twice. Fails with a `PublishError`.
   */
  async publish(to: Target | readonly Target[], event: Event, options: { eventId?: string } = {}): Promise<Published> {
    const eventId = options.eventId ?? crypto.randomUUID();
    const { type, payload } = event;
    const body = JSON.stringify({ to: typeof to === "string" ? [to] : to, type, payload, eventId });
    let waited = 0;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(eventId, body);
      } catch (error) {
        if (!(error instanceof PublishError) || !error.isPassing) throw error;
        // Without an answer each wait is twice the last; where the gateway names one, it is no shorter.
        const wait = Math.max(error.retryAfter ?? 0, 0.05 * 2 ** attempt);
        if (waited + wait > this.#patience || attempt === ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait * 1000));
        waited += wait;
      }
    }
  }

  async #attempt(eventId: string, body: string): Promise<Published> {
    const headers = { "content-type": "application/json", ...(await this.#signature()) };
    let response: Response;
    let answer: any;
    try {
      const signal = AbortSignal.timeout(ANSWER_MS);
      // A credential goes nowhere else.
      response = await fetch(this.#address, { method: "POST", headers, body, signal, redirect: "error" });
      answer = await response.json().catch((fault: unknown) => {
        if (fault instanceof SyntaxError) return undefined;
        throw fault;
      });
    } catch (fault) {
      throw new PublishError("NO_ANSWER", String(fault), eventId);
    }
    if (response.ok && typeof answer?.eventId === "string") return answer as Published;
    const { code, message, details, retryAfter, requestId } = answer?.error ?? {};
    const after = retryAfter ?? (Number(response.headers.get("retry-after") ?? 0) || undefined);
    if (typeof code !== "string") {
      const strange = `what answered with status ${response.status} is no gateway`;
      throw new PublishError("STRANGE_ANSWER", strange, eventId, [], response.status, after);
    }
    throw new PublishError(code, String(message), eventId, details, response.status, after, requestId);
  }

  async #signature(): Promise<Record<string, string>> {
    const credential = this.#credential;
    if ("apiKey" in credential) return { "x-api-key": credential.apiKey };
    const { bearer } = credential;
    return { authorization: `Bearer ${typeof bearer === "string" ? bearer : await bearer()}` };
  }
}
