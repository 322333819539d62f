/** One row of the region table, checked and with its defaults. */
export interface Region {
  name: string;
  /** Proxied host of the region in the same zone, `us.example.com`. */
  host: string;
  /** Degrees. */
  lat: number;
  lon: number;
  /** ISO 3166-1 alpha-2 codes. */
  countries: string[];
  /** Cloudflare's codes: AF AN AS EU NA OC SA. */
  continents: string[];
  /** Percent of the visitors for whom the region comes first that it takes. */
  weight: number;
  drain: boolean;
  strict: boolean;
}

/** What the table says of one of the site's hosts. */
export interface Site {
  /** Those that serve it, in the order of the table. */
  regions: Region[];
  /** Milliseconds; 0 means never. */
  hedgeAfterMs: number;
  retryOn5xx: boolean;
  /** Whether a request with the header Idempotency-Key may be sent again. */
  retryIdempotencyKey: boolean;
  /** Whether visitors get the page of maintenance, and no region a request. */
  maintenance: boolean;
  /** The application's; without it only its answers tell how it is. */
  healthPath?: string;
}

/** Envoy's names; percentages from 0 to 100. */
export interface OutlierDetection {
  consecutiveGatewayFailure: number;
  failurePercentageThreshold: number;
  /** Requests within ten seconds below which no percentage counts. */
  failurePercentageRequestVolume: number;
  maxEjectionPercent: number;
  baseEjectionMs: number;
}

export interface Config {
  /** In the order of the table. */
  regions: Region[];
  /** Whether any region is strict. */
  strict: boolean;
  /** What holds for hosts that `hosts` doesn't name. */
  site: Site;
  hosts: Map<string, Site>;
  outlierDetection: OutlierDetection;
  /** The ingress's own, under the region's host name. */
  healthPath: string;
  /** Milliseconds. */
  downMs: number;
  /** Seconds after which a visitor of maintenance may come again. */
  maintenanceRetryAfter: number;
  /** How long a visitor's cookie keeps him where he is; 0: no cookie. */
  affinitySeconds: number;
  responseHeaders: ResponseHeaders;
}

/** What an answer says of its way: `x-edge-region`, that and `Server-Timing`, or nothing. */
export type ResponseHeaders = 'region' | 'server-timing' | 'none';

/** What is bound to the Worker; see the head of `worker.js`. */
export interface Env {
  CONFIG: unknown;
  HEALTH?: KVNamespace;
  METRICS?: AnalyticsEngineDataset;
  STATUS_TOKEN?: string;
  ORIGIN_SECRET?: string;
  ORIGIN_SECRET_HEADER?: string;
  /** Pages of the site's own, as HTML. */
  PAGE_MAINTENANCE?: string;
  PAGE_UNAVAILABLE?: string;
  PAGE_UNCLEAR?: string;
  PAGE_ERROR?: string;
}

/** What request.cf tells of a visitor's place; all of it may be missing. */
export interface Place {
  country?: string | null;
  continent?: string;
  latitude?: string | number;
  longitude?: string | number;
  /** Three letters: the data centre that the visitor came to. */
  colo?: string;
}

/**
 * How an attempt at a region ended.
 *
 * - `answered`: the region's own answer, whatever its status.
 * - `unreached`: no origin had the request (521, 523, 525, 526, 530, made by Cloudflare).
 * - `lost`: the connection failed; an origin may have had the request (522, a thrown error).
 * - `broken`: connected, but this URL got no proper answer (520, 524, other 52x; of a request that
 *   must not run twice also those above where nobody says that Cloudflare made them).
 * - `unavailable`: the region's ingress said 502, 503 or 504.
 */
export type Verdict = 'answered' | 'unreached' | 'lost' | 'broken' | 'unavailable';

export interface Outcome {
  region: Region;
  verdict: Verdict;
  response?: Response;
  error?: unknown;
}

/**
 * How often a request may be sent.
 *
 * - `safe`: GET, HEAD, OPTIONS without body: hedged, and again after any failure.
 * - `idempotent`: PUT, DELETE without body: again after any failure.
 * - `once`: the rest: again only where no origin had it.
 */
export type Kind = 'safe' | 'idempotent' | 'once';

export interface Probe {
  up: boolean;
  /** `status 200`, or why there was none. */
  detail: string;
  ms: number;
}

/** Value of the key `regions` in the namespace HEALTH; times as in ISO 8601. */
export type HealthRecord = Record<
  string,
  {
    up: boolean;
    since: string;
    detail: string;
    /** When a region that is down was last found so, give or take what a write costs. */
    confirmed?: string;
  }
>;
