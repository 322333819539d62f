/** @import {OutlierDetection, Region} from './types.js' */

// Envoy's outlier detection, by its own words:
// envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/outlier_detection.proto
const INTERVAL_MS = 10_000;
const MAX_EJECTION_MS = 300_000;
const SLOW_START_MS = 30_000;
const MIN_SHARE = 0.1;

// gRPC's throttle of retries and hedges (grpc/proposal, A6): a failure costs a token, an answer
// gives back a part of one, and nothing is sent twice below half of them.
const TOKENS = 10;
const TOKEN_RATIO = 0.1;

// An active check that finds the application up or down holds for so long.
const CHECK_EVERY_MS = 60_000;

/** What is known of a region's application. Times are ms since the epoch. */
class Backend {
  tokens = TOKENS;
  /** Gateway failures since the last answer. */
  consecutive = 0;
  /** Requests that got no answer in time while nobody else got one either, and since when. */
  overdue = 0;
  silentSince = Infinity;
  answeredAt = -Infinity;
  windowAt = -Infinity;
  total = 0;
  failures = 0;
  /** 0: not ejected. Once it has passed, the application is to be tried. */
  ejectedUntil = 0;
  ejections = 0;
  triedAt = Infinity;
  returnedAt = -Infinity;
  checkedAt = -Infinity;
}

/**
 * The regions' applications behind one of the site's hosts, as this isolate's requests found them.
 *
 * An application may be dead behind an ingress that lives: then the region is ejected for this
 * host, and comes back by slow start.
 */
export class Outliers {
  /** @type {Map<string, Backend>} */
  #backends = new Map();
  /** @type {Set<string>} those that are ejected, or in slow start */
  #marked = new Set();
  #rules;
  #allowed;
  #told;

  /**
   * @param {OutlierDetection} rules
   * @param {number} regions how many serve this host
   * @param {(region: string, cause: string, ms: number) => void} told of each ejection
   */
  constructor(rules, regions, told) {
    this.#rules = rules;
    this.#allowed =
      regions < 2 ? 0 : Math.max(1, Math.floor((regions * rules.maxEjectionPercent) / 100));
    this.#told = told;
  }

  /** @param {string} name */
  #of(name) {
    let backend = this.#backends.get(name);
    if (!backend) this.#backends.set(name, (backend = new Backend()));
    return backend;
  }

  /** @type {(name: string, startedAt: number, now: number, quick: boolean) => void} */
  answered(name, startedAt, now, quick) {
    const backend = this.#of(name);
    backend.consecutive = backend.overdue = 0;
    backend.silentSince = Infinity;
    backend.answeredAt = now;
    if (quick && backend.tokens < TOKENS) {
      backend.tokens = Math.min(TOKENS, backend.tokens + TOKEN_RATIO);
    }
    count(backend, now, 0);
    // One that was asked before the ejection proves nothing.
    if (backend.ejectedUntil > 0 && startedAt >= backend.triedAt) this.readmit(name, now);
  }

  /** A 502, 503 or 504 of the region's ingress. @type {(name: string, now: number) => void} */
  failed(name, now) {
    const backend = this.#of(name);
    const { consecutiveGatewayFailure, failurePercentageThreshold, failurePercentageRequestVolume } =
      this.#rules;
    backend.consecutive += 1;
    backend.overdue = 0;
    backend.silentSince = Infinity;
    backend.answeredAt = now;
    backend.tokens = Math.max(0, backend.tokens - 1);
    count(backend, now, 1);
    if (backend.triedAt < Infinity) this.eject(name, now, 'failed again');
    else if (backend.consecutive >= consecutiveGatewayFailure) {
      this.eject(name, now, 'gateway failures in a row');
    } else if (
      backend.total >= failurePercentageRequestVolume &&
      backend.failures * 100 >= backend.total * failurePercentageThreshold
    ) {
      this.eject(name, now, 'share of gateway failures');
    }
  }

  /**
   * A request has waited for `hedgeMs`, or half of that more each time this is called again.
   *
   * @type {(name: string, startedAt: number, now: number, hedgeMs: number, first: boolean) => void}
   */
  overdue(name, startedAt, now, hedgeMs, first) {
    const backend = this.#of(name);
    if (first) backend.tokens = Math.max(0, backend.tokens - 1);
    if (backend.answeredAt >= startedAt) return;
    if (first) backend.overdue += 1;
    backend.silentSince = Math.min(backend.silentSince, startedAt);
    // Longer than the first may take: where all answers are slow, they come after a while.
    if (
      backend.overdue >= this.#rules.consecutiveGatewayFailure &&
      now - backend.silentSince >= 2 * hedgeMs
    ) {
      this.eject(name, now, 'no answers');
    }
  }

  /** Whether the region may be asked beside another, or after it. @param {string} name */
  hasTokens(name) {
    return this.#of(name).tokens > TOKENS / 2;
  }

  /** @type {(name: string, tokens: number) => void} taken (negative), or given back */
  pay(name, tokens) {
    const backend = this.#of(name);
    backend.tokens = Math.min(TOKENS, backend.tokens + tokens);
  }

  /** @type {(name: string, now: number, cause: string) => void} */
  eject(name, now, cause) {
    const backend = this.#of(name);
    const again = backend.triedAt < Infinity;
    if (backend.ejectedUntil > 0 && !again) return;
    const others = [...this.#backends.values()].filter(
      (other) => other !== backend && other.ejectedUntil > 0,
    );
    if (others.length >= this.#allowed) return;
    const { baseEjectionMs } = this.#rules;
    backend.ejections = now - backend.returnedAt < MAX_EJECTION_MS || again ? backend.ejections + 1 : 1;
    const ms = Math.min(baseEjectionMs * backend.ejections, Math.max(MAX_EJECTION_MS, baseEjectionMs));
    backend.ejectedUntil = now + ms;
    backend.triedAt = Infinity;
    this.#marked.add(name);
    this.#told(name, cause, ms);
  }

  /** @type {(name: string, now: number) => void} */
  readmit(name, now) {
    const backend = this.#of(name);
    if (backend.ejectedUntil === 0) return;
    Object.assign(backend, { ejectedUntil: 0, triedAt: Infinity, returnedAt: now, tokens: TOKENS });
    Object.assign(backend, { consecutive: 0, overdue: 0, silentSince: Infinity, windowAt: -Infinity });
  }

  /** @param {string} name */
  isEjected(name) {
    return this.#marked.has(name) && this.#of(name).ejectedUntil > 0;
  }

  /**
   * Puts ejected regions last. When an ejection is over, one request tries the application while
   * the others keep away; then its share grows from a tenth to all within half a minute.
   *
   * @param {Region[]} regions best first
   * @param {number} now
   * @param {boolean} mayTry whether this request may be the one that tries
   * @param {() => number} [random] from 0 to 1
   */
  order(regions, now, mayTry, random = Math.random) {
    if (this.#marked.size === 0) return regions;
    /** @type {Region[]} */
    const well = [];
    /** @type {Region[]} */
    const held = [];
    for (const region of regions) {
      const tries = mayTry && well.length === 0;
      (this.#isHeld(region.name, now, tries, random) ? held : well).push(region);
    }
    return [...well, ...held];
  }

  /** @type {(name: string, now: number, tries: boolean, random: () => number) => boolean} */
  #isHeld(name, now, tries, random) {
    if (!this.#marked.has(name)) return false;
    const backend = this.#of(name);
    if (backend.ejectedUntil > 0) {
      if (backend.ejectedUntil > now || !tries) return true;
      backend.ejectedUntil = now + this.#rules.baseEjectionMs;
      backend.triedAt = now;
      return false;
    }
    const share = (now - backend.returnedAt) / SLOW_START_MS;
    if (share >= 1) this.#marked.delete(name);
    return random() >= Math.max(MIN_SHARE, share);
  }

  /**
   * Whether the application's health path is to be asked; says so once per interval, and once
   * when an ejection is over.
   *
   * @type {(name: string, now: number) => boolean}
   */
  checkDue(name, now) {
    const backend = this.#of(name);
    const over = backend.ejectedUntil > 0 && backend.ejectedUntil <= now;
    if (now - backend.checkedAt < CHECK_EVERY_MS && !over) return false;
    backend.checkedAt = now;
    // Meanwhile nobody tries it.
    if (over) backend.ejectedUntil = now + this.#rules.baseEjectionMs;
    return true;
  }

  /** @type {(name: string, now: number) => string} for the status page */
  describe(name, now) {
    const backend = this.#of(name);
    if (backend.ejectedUntil > now) {
      return `ejected for ${Math.ceil((backend.ejectedUntil - now) / 1000)} s`;
    }
    if (backend.ejectedUntil > 0) return 'to be tried';
    return now - backend.returnedAt < SLOW_START_MS ? 'slow start' : 'well';
  }
}

/** @type {(backend: Backend, now: number, failures: number) => void} */
function count(backend, now, failures) {
  if (now - backend.windowAt > INTERVAL_MS) {
    Object.assign(backend, { windowAt: now, total: 0, failures: 0 });
  }
  backend.total += 1;
  backend.failures += failures;
}
