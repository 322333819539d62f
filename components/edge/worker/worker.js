/*
 * edgefleet's edge Worker. Joined from the modules beside it: edit those, then run
 * `node components/edge/worker/join.mjs`. docs/edge.md says what it does.
 *
 * Bindings:
 *
 *   CONFIG (json; required; at most 5 KB, Cloudflare's limit for one variable)
 *     regions       list of 1 to 20, in the order used where a visitor's place isn't known
 *       name        shown in x-edge-region: lower-case letters, digits, hyphens
 *       host        proxied host of the region in the same zone
 *       lat, lon    degrees
 *       countries   ISO 3166-1 codes served first from here; default none
 *       continents  out of AF AN AS EU NA OC SA; default none
 *       weight      percent of the visitors for whom it comes first that it takes; default 100
 *       drain       true: gets no visitors; default false
 *       strict      true: its visitors go nowhere else; default false
 *     hedgeAfterMs  how long a region may be silent before the next is asked as well; default
 *                   3000, 0: never
 *     retryOn5xx    true: 502, 503, 504 move on, too; default false
 *     healthPath    asked by the cron probe; default /healthz
 *     downMs        how long a failure holds a region back; default 10000, up to half more by jitter
 *   HEALTH (KV namespace; without it isolates know only what their own requests met)
 *   STATUS_TOKEN (secret; without it /.edge/status is a path like any other)
 *   ORIGIN_SECRET (secret) and ORIGIN_SECRET_HEADER (text): a header for the origin; both or none
 */

// ---- log.js ----

/**
 * Workers Logs makes fields of an object, and only of one given as it is.
 *
 * @type {(event: string, fields: Record<string, unknown>) => void}
 */
function log(event, fields) {
  console.log({ event, ...fields });
}

// ---- config.js ----

const CONTINENTS = new Set(['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA']);

// A request and a cron run ask every region at most twice; the free plan allows 50 subrequests.
const MAX_REGIONS = 20;

const DEFAULTS = {
  hedgeAfterMs: 3000,
  retryOn5xx: false,
  healthPath: '/healthz',
  downMs: 10_000,
};

/**
 * Checks the CONFIG binding.
 *
 * @param {unknown} raw value of the binding
 * @returns {{config: Config, problems: string[]}} `config` may be used only if there are no problems
 */
function parseConfig(raw) {
  /** @type {string[]} */
  const problems = [];
  const table = isRecord(raw) ? raw : {};
  if (!isRecord(raw)) problems.push(`CONFIG must be a JSON object, got ${show(raw)}`);

  const entries = Array.isArray(table.regions) ? table.regions : [];
  if (entries.length === 0) problems.push('CONFIG.regions must be a list of at least one region');
  if (entries.length > MAX_REGIONS) {
    problems.push(
      `CONFIG.regions has ${entries.length} regions, at most ${MAX_REGIONS} are allowed`,
    );
  }
  const regions = entries.map((entry, index) =>
    parseRegion(entry, `CONFIG.regions[${index}]`, problems),
  );
  for (const key of /** @type {const} */ (['name', 'host'])) {
    const values = regions.map((region) => region[key]);
    for (const value of new Set(values.filter((v, i) => values.indexOf(v) !== i))) {
      problems.push(`CONFIG.regions has ${key} ${show(value)} more than once`);
    }
  }

  const check = checker(table, 'CONFIG', problems);
  return {
    problems,
    config: {
      regions,
      strict: regions.some((region) => region.strict),
      hedgeAfterMs: check(
        'hedgeAfterMs',
        DEFAULTS.hedgeAfterMs,
        isWithin(0, 18_000),
        'milliseconds from 0 (never) to 18000',
      ),
      retryOn5xx: check('retryOn5xx', DEFAULTS.retryOn5xx, isBoolean, 'true or false'),
      healthPath: check('healthPath', DEFAULTS.healthPath, isPath, 'a path that begins with /'),
      downMs: check(
        'downMs',
        DEFAULTS.downMs,
        isWithin(1, 600_000),
        'milliseconds from 1 to 600000',
      ),
    },
  };
}

/**
 * @param {unknown} raw
 * @param {string} where
 * @param {string[]} problems
 * @returns {Region}
 */
function parseRegion(raw, where, problems) {
  if (!isRecord(raw)) problems.push(`${where} must be an object, got ${show(raw)}`);
  const check = checker(isRecord(raw) ? raw : {}, where, problems);
  return {
    name: check('name', undefined, isLabel, 'lower-case letters, digits and hyphens'),
    host: check('host', undefined, isHost, 'a host name'),
    lat: check('lat', undefined, isWithin(-90, 90), 'degrees from -90 to 90'),
    lon: check('lon', undefined, isWithin(-180, 180), 'degrees from -180 to 180'),
    countries: check(
      'countries',
      [],
      isListOf(isCountry),
      'a list of two-letter codes, upper case',
    ),
    continents: check(
      'continents',
      [],
      isListOf(isContinent),
      `a list out of ${[...CONTINENTS].join(' ')}`,
    ),
    weight: check('weight', 100, isWithin(0, 100), 'percent from 0 to 100'),
    drain: check('drain', false, isBoolean, 'true or false'),
    strict: check('strict', false, isBoolean, 'true or false'),
  };
}

/**
 * @param {Record<string, unknown>} table
 * @param {string} where
 * @param {string[]} problems
 * @returns {(key: string, fallback: any, valid: (value: unknown) => boolean, wanted: string) => any}
 */
function checker(table, where, problems) {
  return (key, fallback, valid, wanted) => {
    const value = table[key] ?? fallback;
    if (!valid(value)) problems.push(`${where}.${key} must be ${wanted}, got ${show(value)}`);
    return value;
  };
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
const isRecord = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
/** @param {unknown} value */
const isBoolean = (value) => typeof value === 'boolean';
/** @param {unknown} value */
const isLabel = (value) =>
  typeof value === 'string' && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(value);
/** @param {unknown} value */
const isHost = (value) => typeof value === 'string' && /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(value);
/** @param {unknown} value */
const isPath = (value) => typeof value === 'string' && /^\/[^\s#]*$/.test(value);
/** @param {unknown} value */
const isCountry = (value) => typeof value === 'string' && /^[A-Z]{2}$/.test(value);
/** @param {unknown} value */
const isContinent = (value) => CONTINENTS.has(/** @type {string} */ (value));
/** @type {(low: number, high: number) => (value: unknown) => boolean} */
const isWithin = (low, high) => (value) =>
  typeof value === 'number' && value >= low && value <= high;
/** @type {(valid: (value: unknown) => boolean) => (value: unknown) => boolean} */
const isListOf = (valid) => (value) => Array.isArray(value) && value.every(valid);
/** @param {unknown} value */
const show = (value) => JSON.stringify(value)?.slice(0, 80) ?? String(value);

// ---- routing.js ----

const BY_COUNTRY = 0;
const BY_CONTINENT = 1;
const BY_DISTANCE = 2;

const RADIANS = Math.PI / 180;

/**
 * The regions that may serve a visitor, best first.
 *
 * Order: regions that name the visitor's country, regions that name the continent, the others;
 * within each by distance, then by the table. Of the regions that come first, `weight` picks one
 * by the visitor's address, so that a visitor stays where he is.
 *
 * A visitor who could come first to a strict region gets strict regions only: those he could come
 * first to, and those that name his country or continent in the same way.
 *
 * @param {Region[]} regions the table
 * @param {Place | null | undefined} cf
 * @param {string} visitor the visitor's address
 * @returns {{regions: Region[], strict: boolean}} without drained regions; may be empty
 */
function candidates(regions, cf, visitor) {
  const ranked = rank(regions, cf);
  const firsts = takesFirst(ranked);
  const home = firsts.find(({ region }) => region.strict);
  const eligible = home
    ? ranked.filter(
        (r) =>
          r.region.strict &&
          (firsts.includes(r) || (r.rule === home.rule && r.rule !== BY_DISTANCE)),
      )
    : ranked;
  const open = eligible.map((r) => r.region).filter((region) => !region.drain);
  return { regions: weighted(open, visitor), strict: home !== undefined };
}

/**
 * @typedef {{region: Region, rule: number, distance: number}} Ranked
 * @param {Region[]} regions
 * @param {Place | null | undefined} cf
 * @returns {Ranked[]}
 */
function rank(regions, cf) {
  // T1 is Tor and XX unknown: the rest of cf says where the exit is, not the visitor.
  const place = !cf || cf.country === 'T1' || cf.country === 'XX' ? {} : cf;
  const lat = parseFloat(/** @type {string} */ (place.latitude));
  const lon = parseFloat(/** @type {string} */ (place.longitude));
  const located = Number.isFinite(lat) && Number.isFinite(lon);
  return regions
    .map((region) => ({
      region,
      rule: rule(region, place),
      distance: located ? distance(lat, lon, region.lat, region.lon) : 0,
    }))
    .sort((a, b) => a.rule - b.rule || a.distance - b.distance);
}

/**
 * @param {Region} region
 * @param {Place} place
 */
function rule(region, place) {
  if (place.country && region.countries.includes(place.country)) return BY_COUNTRY;
  if (place.continent && region.continents.includes(place.continent)) return BY_CONTINENT;
  return BY_DISTANCE;
}

/**
 * Haversine of the angle between two points, given in degrees: 0 at one point, 1 at its antipode,
 * growing with the distance.
 *
 * @type {(lat1: number, lon1: number, lat2: number, lon2: number) => number}
 */
function distance(lat1, lon1, lat2, lon2) {
  const dLat = Math.sin(((lat2 - lat1) * RADIANS) / 2);
  const dLon = Math.sin(((lon2 - lon1) * RADIANS) / 2);
  return dLat * dLat + Math.cos(lat1 * RADIANS) * Math.cos(lat2 * RADIANS) * dLon * dLon;
}

/**
 * The regions among which weights pick: from the best on, until all visitors are taken.
 *
 * @param {Ranked[]} ranked
 */
function takesFirst(ranked) {
  let taken = 0;
  return ranked.filter(({ region }) => {
    const reached = taken < 100;
    taken += region.weight;
    return reached && region.weight > 0;
  });
}

/**
 * Moves the region that takes this visitor to the front; the others back it up in their order.
 *
 * @param {Region[]} regions
 * @param {string} visitor
 */
function weighted(regions, visitor) {
  if (regions.length < 2 || regions[0].weight === 100) return regions;
  let share = percentile(visitor);
  for (const region of regions) {
    if (share < region.weight) return [region, ...regions.filter((other) => other !== region)];
    share -= region.weight;
  }
  return regions;
}

/**
 * A stable number from 0 to 99 for an address (FNV-1a, finished as in MurmurHash3: addresses
 * differ in their last digits only).
 *
 * @param {string} visitor
 */
function percentile(visitor) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < visitor.length; i += 1) {
    hash = Math.imul(hash ^ visitor.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % 100;
}

// ---- region_health.js ----

// A probe's verdict is written only when it changes. Should the cron stop, a verdict this old no
// longer holds a region back, and what requests meet decides again.
const PROBE_HOLDS_MS = 3_600_000;

// KV keeps a value at least as long on each machine; more reads would bring nothing newer.
const REFRESH_MS = 60_000;

/** What this isolate knows of the regions: what its own requests met, and the probes' verdicts. */
class RegionHealth {
  /** @type {Map<string, number>} region → ms since the epoch until which it is held back */
  #downUntil = new Map();
  /** @type {Map<string, number>} region → ms since the epoch since which probes fail */
  #probedDown = new Map();
  /** @type {Map<string, number>} region → ms since the epoch at which its silence was looked into */
  #checkedAt = new Map();
  #refreshedAt = -Infinity;
  #downMs;

  /** @param {number} downMs how long a failure holds a region back, before jitter */
  constructor(downMs) {
    this.#downMs = downMs;
  }

  /**
   * Puts regions that are down last: they are still tried when nothing else is left.
   *
   * When a region's time is over it is half-open: one request is let through to it, and it stays
   * held back for the others until that one has found it alive.
   *
   * @param {Region[]} regions best first
   * @param {number} now ms since the epoch
   * @param {boolean} mayTry whether this request may be the one that is let through
   */
  order(regions, now, mayTry) {
    if (this.#downUntil.size === 0 && this.#probedDown.size === 0) return regions;
    /** @type {Region[]} */
    const up = [];
    /** @type {Region[]} */
    const down = [];
    for (const region of regions) {
      if (this.#isHeldBack(region.name, now, up.length === 0, mayTry)) down.push(region);
      else up.push(region);
    }
    return [...up, ...down];
  }

  /** @type {(name: string, now: number, first: boolean, mayTry: boolean) => boolean} */
  #isHeldBack(name, now, first, mayTry) {
    const probedDown = this.#probedDown.get(name);
    if (probedDown !== undefined && now - probedDown < PROBE_HOLDS_MS) return true;
    const until = this.#downUntil.get(name);
    if (until === undefined) return false;
    if (until > now) return true;
    if (!first) return false;
    if (mayTry) this.markDown(name, now);
    return !mayTry;
  }

  /** @type {(name: string, now: number) => void} */
  markDown(name, now) {
    // Jitter, so that isolates don't all try a region in the same moment.
    this.#downUntil.set(name, now + this.#downMs * (1 + Math.random() / 2));
  }

  /** @param {string} name */
  markUp(name) {
    if (this.#downUntil.size > 0) this.#downUntil.delete(name);
  }

  /** @param {HealthRecord} record */
  adopt(record) {
    this.#probedDown.clear();
    for (const [name, { up, since }] of Object.entries(record)) {
      if (!up) this.#probedDown.set(name, Date.parse(since));
    }
  }

  /**
   * Whether the probes' verdicts are to be read again; says so once per interval.
   *
   * @param {number} now ms since the epoch
   */
  refreshDue(now) {
    if (now - this.#refreshedAt < REFRESH_MS) return false;
    this.#refreshedAt = now;
    return true;
  }

  /**
   * Whether a region's silence is to be looked into; says so once per `downMs`.
   *
   * @type {(name: string, now: number) => boolean}
   */
  checkDue(name, now) {
    if (now - (this.#checkedAt.get(name) ?? -Infinity) < this.#downMs) return false;
    this.#checkedAt.set(name, now);
    return true;
  }

  /** @type {(name: string, now: number) => string} for the status page */
  describe(name, now) {
    const until = this.#downUntil.get(name);
    if (until === undefined) return 'up';
    return until > now ? `down for ${Math.ceil((until - now) / 1000)} s` : 'half-open';
  }
}

// ---- failover.js ----

// The runtime opens at most six connections a request; two stay free, for KV and a probe.
const MAX_OPEN = 4;

// Regions may die one after another under a request, each back before the next goes: if all failed
// within this time, they are asked once more.
const AGAIN_WITHIN_MS = 3000;

const UNREACHED = new Set([521, 523, 525, 526, 530]);

/**
 * What a status says of the region that was asked. Meanings: Cloudflare's "5xx errors"; 522 can
 * also come after the connection, so that it proves nothing.
 *
 * An application may relay such a status after it has done its work. What the region's ingress
 * named was answered; and only what Cloudflare made itself proves that no origin had the request.
 *
 * @param {number} status
 * @param {boolean} named whether the answer carries the region's own name
 * @param {boolean} made whether Cloudflare made the answer
 * @param {Kind} kind
 * @returns {Verdict}
 */
function verdictOf(status, named, made, kind) {
  if (status < 502) return 'answered';
  if (status <= 504) return 'unavailable';
  if (status < 520 || status > 530 || named) return 'answered';
  if (UNREACHED.has(status)) return made || kind !== 'once' ? 'unreached' : 'broken';
  return status === 522 ? 'lost' : 'broken';
}

/** @type {(method: string, hasBody: boolean) => Kind} */
function kindOf(method, hasBody) {
  if (hasBody) return 'once';
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return 'safe';
  return method === 'PUT' || method === 'DELETE' ? 'idempotent' : 'once';
}

/** @type {(verdict: Verdict, kind: Kind, retryOn5xx: boolean) => boolean} */
function movesOn(verdict, kind, retryOn5xx) {
  if (verdict === 'answered') return false;
  if (verdict === 'unreached') return true;
  if (kind === 'once') return false;
  return verdict === 'unavailable' ? retryOn5xx : true;
}

/**
 * @typedef {object} Rules
 * @property {number} hedgeAfterMs 0: never
 * @property {(verdict: Verdict) => boolean} mayMoveOn
 * @property {(region: Region) => void} onSilence told of each region that is hedged
 */

/**
 * Asks regions in turn until one answers.
 *
 * A failure from which the request may move on starts the next region at once. With
 * `hedgeAfterMs`, the next is started beside the ones that are still silent after that time; the
 * first answer wins, and the others are cancelled.
 *
 * @param {Region[]} regions best first, at least one
 * @param {(region: Region, signal?: AbortSignal) => Promise<Outcome>} ask rejects only for what is
 *   not the region's fault
 * @param {Rules} rules
 * @returns {Promise<{outcome: Outcome, attempts: number}>} the answer; where there is none, the
 *   last refusal by a region's ingress, else the last failure
 */
async function askInTurn(regions, ask, rules) {
  // Without a signal, which costs a request some percent: should the first lose, it is closed when
  // it answers, or else with the visitor's request.
  const pending = ask(regions[0]);
  const outcome = await within(regions.length > 1 ? rules.hedgeAfterMs : 0, pending);
  // Nearly every request ends here.
  if (outcome && !rules.mayMoveOn(outcome.verdict)) return { outcome, attempts: 1 };
  return askOthers(regions, ask, rules, pending, outcome);
}

/**
 * @typedef {{controller?: AbortController, pending: Promise<Outcome>}} Attempt
 * @param {Region[]} regions
 * @param {(region: Region, signal: AbortSignal) => Promise<Outcome>} ask
 * @param {Rules} rules
 * @param {Promise<Outcome>} first the attempt at the first region
 * @param {Outcome | undefined} outcome its failure; undefined if it is silent
 */
async function askOthers(regions, ask, rules, first, outcome) {
  const { hedgeAfterMs, mayMoveOn, onSilence } = rules;
  const startedAt = Date.now();
  /** @type {Map<Region, Attempt>} */
  const open = new Map([[regions[0], { pending: first }]]);
  /** @type {Outcome | undefined} */
  let failure;
  let attempts = 1;

  const start = () => {
    const region = regions[attempts % regions.length];
    const controller = new AbortController();
    open.set(region, { controller, pending: ask(region, controller.signal) });
    attempts += 1;
  };

  for (;;) {
    if (outcome) {
      open.delete(outcome.region);
      if (!mayMoveOn(outcome.verdict)) {
        cancel(open);
        if (failure) discard(failure);
        return { outcome, attempts };
      }
      failure = laterOf(failure, outcome);
      const again =
        (failure.verdict === 'lost' || failure.verdict === 'unreached') &&
        attempts < 2 * regions.length &&
        Date.now() - startedAt < AGAIN_WITHIN_MS;
      if (attempts < regions.length || (open.size === 0 && again)) start();
      else if (open.size === 0) return { outcome: failure, attempts };
    } else {
      onSilence(regions[attempts - 1]);
      start();
    }
    const hedges = attempts < regions.length && open.size < MAX_OPEN;
    const pendings = Array.from(open.values(), ({ pending }) => pending);
    outcome = await within(hedges ? hedgeAfterMs : 0, Promise.race(pendings));
  }
}

/**
 * What is awaited, or undefined if it isn't there within so many milliseconds; 0: no limit.
 *
 * @type {(limitMs: number, pending: Promise<Outcome>) => Promise<Outcome | undefined>}
 */
function within(limitMs, pending) {
  if (limitMs === 0) return pending;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, limitMs);
    pending.then((outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    }, reject);
  });
}

/**
 * A refusal by a region's ingress tells more than a connection that failed.
 *
 * @type {(before: Outcome | undefined, outcome: Outcome) => Outcome}
 */
function laterOf(before, outcome) {
  if (!before) return outcome;
  const keepBefore = before.verdict === 'unavailable' && outcome.verdict !== 'unavailable';
  discard(keepBefore ? outcome : before);
  return keepBefore ? before : outcome;
}

/** @param {Map<Region, Attempt>} open those that lost */
function cancel(open) {
  for (const { controller, pending } of open.values()) {
    controller?.abort();
    pending.then(discard, () => {});
  }
}

/** @param {Outcome} outcome one that nobody reads: its connection is given back */
function discard({ response }) {
  if (response?.webSocket) {
    response.webSocket.accept();
    response.webSocket.close();
  }
  response?.body?.cancel().catch(() => {});
}

// ---- forwarding.js ----

const REGION = 'x-edge-region';
const ATTEMPTS = 'x-edge-attempts';

// A body up to this size is read before it is sent, so that it can be sent again.
const REPLAY_BYTES = 65_536;

/**
 * The headers that the region is to see, where they differ from the visitor's: the edge's own names
 * can't be forged, and x-real-ip, of which Cloudflare makes CF-Connecting-IP in subrequests of the
 * same zone, is the visitor's address. Cloudflare sets it already, and a copy of the headers costs
 * a tenth of a request.
 *
 * @param {Headers} visitors
 * @param {string | null} address the visitor's
 * @param {Env} env
 * @returns {Headers | undefined} undefined: the visitor's as they are
 */
function originHeaders(visitors, address, env) {
  const forged = visitors.has(REGION) || visitors.has(ATTEMPTS);
  if (!forged && !env.ORIGIN_SECRET && visitors.get('x-real-ip') === address) return undefined;

  const headers = new Headers(visitors);
  headers.delete(REGION);
  headers.delete(ATTEMPTS);
  if (address) headers.set('x-real-ip', address);
  else headers.delete('x-real-ip');
  addOriginSecret(headers, env);
  return headers;
}

/** @type {(headers: Headers, env: Env) => void} */
function addOriginSecret(headers, { ORIGIN_SECRET, ORIGIN_SECRET_HEADER }) {
  if (ORIGIN_SECRET && ORIGIN_SECRET_HEADER) headers.set(ORIGIN_SECRET_HEADER, ORIGIN_SECRET);
}

/**
 * The same request, without the empty body that Content-Length: 0 makes of none: such a stream could
 * be sent once only.
 *
 * @param {Request} request
 */
function withoutEmptyBody(request) {
  if (request.body === null || request.headers.get('content-length') !== '0') return request;
  const { url, method, headers, cf } = request;
  return new Request(url, { method, headers, cf, redirect: 'manual' });
}

/**
 * The request's body where it is small enough to be sent more than once.
 *
 * @param {Request} request
 * @returns {Promise<ArrayBuffer | undefined>}
 */
async function replayableBody(request) {
  // A visitor may send GET with a body, and it passes as a stream; with another it can't be made.
  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  const length = Number(request.headers.get('content-length') ?? NaN);
  return length <= REPLAY_BYTES ? request.arrayBuffer() : undefined;
}

/** @type {(response: Response, region: Region) => boolean} */
const isNamed = (response, region) => response.headers.get(REGION) === region.name;

/**
 * Whether Cloudflare made this error page: only then it has the header (Cloudflare's docs, "Error
 * diagnostic headers").
 *
 * @param {Response} response
 */
const isCloudflares = (response) => response.headers.has('cf-error-type');

/**
 * The region's answer as it is, saying which region gave it.
 *
 * @param {Outcome & {response: Response}} outcome
 * @param {number} attempts
 */
function labelled({ region, response }, attempts) {
  // As our ingress answers. A copy of the answer costs some percent of a request.
  if (attempts === 1 && isNamed(response, region)) return response;
  let answer;
  try {
    answer = new Response(response.body, response);
  } catch {
    return response; // a status that Response can't be made with, 999 for one
  }
  answer.headers.set(REGION, region.name);
  if (attempts > 1) answer.headers.set(ATTEMPTS, String(attempts));
  return answer;
}

// ---- pages.js ----

const MISCONFIGURED =
  'This site’s edge router is not configured correctly. Its operators find why in the Worker’s log.';
const BROKEN = 'Something went wrong at the edge of this site.';
const ALL_DOWN = 'This site can’t be reached at the moment. Please try again shortly.';
const STRICT_DOWN =
  'The region that serves you can’t be reached at the moment, and your requests aren’t sent to ' +
  'another. Please try again shortly.';
const UNCLEAR =
  'The connection was lost before an answer came. Your request may have been carried out or not: ' +
  'check before you send it again.';

/** Seconds after which a visitor may try again; about as long as a region is held back. */
const RETRY_AFTER = 10;

const pages = {
  misconfigured: () => page(500, MISCONFIGURED),
  broken: () => page(500, BROKEN),
  unclear: () => page(502, UNCLEAR),
  /** @param {boolean} strict */
  allDown: (strict) =>
    page(503, strict ? STRICT_DOWN : ALL_DOWN, { 'retry-after': String(RETRY_AFTER) }),
};

/** @type {(status: number, text: string, headers?: Record<string, string>) => Response} */
function page(status, text, headers = {}) {
  const html = `<!doctype html><meta charset="utf-8"><title>${status}</title><p>${text}</p>\n`;
  const type = 'text/html; charset=utf-8';
  return new Response(html, {
    status,
    headers: { 'content-type': type, 'cache-control': 'no-store', ...headers },
  });
}

// ---- probe.js ----

const KEY = 'regions';
const PROBE_TIMEOUT_MS = 5000;

/**
 * Asks a region's health path under the region's own name: cron has no route zone, so that
 * resolveOverride doesn't work there.
 *
 * @param {Region} region
 * @param {Config} config
 * @param {Env} env
 * @param {number} [timeoutMs]
 * @returns {Promise<Probe>} up if the status is 2xx or 3xx
 */
async function probe(region, config, env, timeoutMs = PROBE_TIMEOUT_MS) {
  const headers = new Headers({ 'user-agent': 'edgefleet-probe', 'cache-control': 'no-cache' });
  addOriginSecret(headers, env);
  const startedAt = Date.now();
  try {
    const response = await fetch(`https://${region.host}${config.healthPath}`, {
      headers,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    response.body?.cancel().catch(() => {});
    const up = response.status >= 200 && response.status < 400;
    return { up, detail: `status ${response.status}`, ms: Date.now() - startedAt };
  } catch (error) {
    return { up: false, detail: String(error), ms: Date.now() - startedAt };
  }
}

/**
 * @param {Config} config
 * @param {Env} env
 * @returns {Promise<Map<Region, Probe>>}
 */
async function probeAll(config, env) {
  /** @type {Map<Region, Probe>} */
  const results = new Map();
  for (let i = 0; i < config.regions.length; i += MAX_OPEN) {
    const batch = config.regions.slice(i, i + MAX_OPEN);
    const found = await Promise.all(batch.map((region) => probe(region, config, env)));
    batch.forEach((region, j) => results.set(region, found[j]));
  }
  return results;
}

/**
 * Tells a dead region from a slow URL, which look alike to a request that waits: a region whose
 * health path is silent as well is down.
 *
 * @type {(region: Region, config: Config, env: Env, health: RegionHealth) => Promise<void>}
 */
async function checkSilence(region, config, env, health) {
  const result = await probe(region, config, env, Math.max(config.hedgeAfterMs, 1000));
  log('silence_checked', { region: region.name, ...result });
  if (!result.up) health.markDown(region.name, Date.now());
}

/**
 * One run of the cron trigger: probes every region, twice where the first probe fails, logs each
 * result, and writes the record if a region came, went, or changed between up and down.
 *
 * @param {Config} config
 * @param {Env} env
 * @returns {Promise<HealthRecord>} the record as it now is; empty without a namespace, because
 *   then no later run would reach this isolate to take a verdict back
 */
async function runProbes(config, env) {
  const results = await probeAll(config, env);
  const doubtful = config.regions.filter((region) => !results.get(region)?.up);
  const second = await probeAll({ ...config, regions: doubtful }, env);
  for (const [region, result] of second) results.set(region, result);

  for (const [region, result] of results) {
    log('probe', { region: region.name, ...result, drain: region.drain });
  }
  return env.HEALTH ? writeChanges(env.HEALTH, results) : {};
}

/** @type {(results: Map<Region, Probe>, before: HealthRecord) => HealthRecord} */
function recordOf(results, before) {
  const since = new Date().toISOString();
  return Object.fromEntries(
    [...results].map(([{ name }, { up, detail }]) => [
      name,
      before[name]?.up === up ? before[name] : { up, since, detail },
    ]),
  );
}

/** @type {(namespace: KVNamespace, results: Map<Region, Probe>) => Promise<HealthRecord>} */
async function writeChanges(namespace, results) {
  try {
    const before = await readRecord(namespace);
    const after = recordOf(results, before);
    const names = Object.keys(after);
    const same =
      names.length === Object.keys(before).length &&
      names.every((name) => after[name] === before[name]);
    if (!same) await namespace.put(KEY, JSON.stringify(after));
    return after;
  } catch (error) {
    log('health_not_written', { error: String(error) });
    return {};
  }
}

/**
 * @param {KVNamespace} namespace
 * @returns {Promise<HealthRecord>} empty before the first run
 */
async function readRecord(namespace) {
  return (await namespace.get(KEY, { type: 'json' })) ?? {};
}

// ---- status.js ----

const STATUS_PATH = '/.edge/status';

/**
 * The operators' page, as JSON. Regions are probed while it is made.
 *
 * @param {Request} request
 * @param {Env & {STATUS_TOKEN: string}} env
 * @param {Config} config
 * @param {RegionHealth} health
 */
async function statusPage(request, env, config, health) {
  const headers = { 'cache-control': 'no-store' };
  if (!(await isAuthorized(request, env.STATUS_TOKEN))) {
    return new Response('Send the header "Authorization: Bearer <STATUS_TOKEN>".\n', {
      status: 401,
      headers: { ...headers, 'www-authenticate': 'Bearer' },
    });
  }
  const probes = await probeAll(config, env);
  const now = Date.now();
  /** @type {unknown} */
  let recorded = 'no HEALTH namespace is bound';
  if (env.HEALTH) recorded = await readRecord(env.HEALTH).catch((error) => String(error));
  return Response.json(
    {
      colo: request.cf?.colo ?? null,
      time: new Date(now).toISOString(),
      hedgeAfterMs: config.hedgeAfterMs,
      retryOn5xx: config.retryOn5xx,
      regions: config.regions.map((region) => ({
        ...region,
        isolate: health.describe(region.name, now),
        probe: probes.get(region),
      })),
      recorded,
    },
    { headers },
  );
}

/** @type {(request: Request, token: string) => Promise<boolean>} */
async function isAuthorized(request, token) {
  const given = request.headers.get('authorization') ?? '';
  const [a, b] = await Promise.all(
    [given, `Bearer ${token}`].map((text) =>
      crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)),
    ),
  );
  return crypto.subtle.timingSafeEqual(a, b);
}

// ---- main.js ----

/** @typedef {{config: Config, problems: string[], health: RegionHealth}} Edge */

/** @type {Edge | undefined} one for each isolate */
let edge;

/**
 * @param {Env} env
 * @returns {Edge}
 */
function edgeOf(env) {
  if (!edge) {
    const { config, problems } = parseConfig(env.CONFIG);
    edge = { config, problems, health: new RegionHealth(config.downMs) };
  }
  return edge;
}

/** @satisfies {ExportedHandler<Env>} */
const handler = {
  async fetch(visitors, env, ctx) {
    const request = withoutEmptyBody(visitors);
    const hasBody = request.body !== null;
    const { config, problems, health } = edgeOf(env);
    if (problems.length > 0) {
      log('misconfigured', { problems });
      return pages.misconfigured();
    }
    // What passes through reaches a region by the host's own record, hence never a strict one's.
    const passesThrough = !hasBody && !config.strict;
    if (passesThrough) ctx.passThroughOnException();
    try {
      if (env.HEALTH && health.refreshDue(Date.now())) {
        ctx.waitUntil(refresh(env.HEALTH, health));
      }
      if (
        env.STATUS_TOKEN &&
        request.url.includes(STATUS_PATH) &&
        new URL(request.url).pathname === STATUS_PATH
      ) {
        return await statusPage(
          request,
          { ...env, STATUS_TOKEN: env.STATUS_TOKEN },
          config,
          health,
        );
      }
      return await route(request, hasBody, env, ctx, config, health);
    } catch (error) {
      log('exception', { error: String(error), stack: /** @type {Error} */ (error)?.stack });
      if (passesThrough) throw error;
      return pages.broken();
    }
  },

  async scheduled(_event, env) {
    const { config, problems, health } = edgeOf(env);
    if (problems.length > 0) log('misconfigured', { problems });
    else health.adopt(await runProbes(config, env));
  },
};

export default handler;

/** @type {(namespace: KVNamespace, health: RegionHealth) => Promise<void>} */
async function refresh(namespace, health) {
  try {
    health.adopt(await readRecord(namespace));
  } catch (error) {
    log('health_not_read', { error: String(error) });
    health.adopt({});
  }
}

/**
 * @param {Request} request
 * @param {boolean} hasBody
 * @param {Env} env
 * @param {ExecutionContext} ctx
 * @param {Config} config
 * @param {RegionHealth} health
 */
async function route(request, hasBody, env, ctx, config, health) {
  const { method, headers: visitors } = request;
  const kind = kindOf(method, hasBody);
  const visitor = visitors.get('cf-connecting-ip');
  const place = /** @type {Place | undefined} */ (request.cf);
  const eligible = candidates(config.regions, place, visitor ?? '');
  const regions = health.order(eligible.regions, Date.now(), kind === 'safe');
  if (regions.length === 0) {
    log('no_region', { strict: eligible.strict });
    return pages.allDown(eligible.strict);
  }

  const headers = originHeaders(visitors, visitor, env);
  const body = hasBody && regions.length > 1 ? await replayableBody(request) : undefined;
  const canRepeat = !hasBody || body !== undefined;

  /** @type {(region: Region, signal?: AbortSignal) => Promise<Outcome>} */
  const ask = async (region, signal) => {
    /** @type {RequestInit<RequestInitCfProperties>} */
    const init = { cf: { resolveOverride: region.host } };
    if (headers) init.headers = headers;
    if (signal) init.signal = signal;
    if (body) init.body = body;
    try {
      const response = await fetch(request, init);
      const { status } = response;
      const verdict =
        status < 502
          ? 'answered'
          : verdictOf(status, isNamed(response, region), isCloudflares(response), kind);
      if (verdict === 'unreached' || verdict === 'lost') health.markDown(region.name, Date.now());
      else if (verdict !== 'broken') health.markUp(region.name);
      if (verdict !== 'answered')
        log('failed', { region: region.name, verdict, status, method });
      return { region, verdict, response };
    } catch (error) {
      if (error instanceof TypeError) throw error;
      if (!signal?.aborted) {
        log('failed', { region: region.name, verdict: 'lost', error: String(error), method });
        // With a body it may be the visitor's own connection that broke.
        if (!hasBody) health.markDown(region.name, Date.now());
      }
      return { region, verdict: 'lost', error };
    }
  };

  const { outcome, attempts } = await askInTurn(regions, ask, {
    hedgeAfterMs: kind === 'safe' ? config.hedgeAfterMs : 0,
    mayMoveOn: (verdict) => canRepeat && movesOn(verdict, kind, config.retryOn5xx),
    onSilence: (region) => {
      if (health.checkDue(region.name, Date.now())) {
        ctx.waitUntil(checkSilence(region, config, env, health));
      }
    },
  });
  return answer(outcome, attempts, kind === 'once', eligible.strict);
}

/**
 * What the visitor gets of the last attempt.
 *
 * @param {Outcome} outcome
 * @param {number} attempts
 * @param {boolean} once whether the request may have been carried out and can't be repeated
 * @param {boolean} strict
 */
function answer({ region, verdict, response, error }, attempts, once, strict) {
  const unreachable = verdict === 'unreached' || (verdict === 'lost' && !once);
  if (response && !unreachable) return labelled({ region, verdict, response }, attempts);
  response?.body?.cancel().catch(() => {});
  if (!unreachable) return pages.unclear();
  log('all_down', { attempts, strict, last: region.name, error: error && String(error) });
  return pages.allDown(strict);
}
