/** @import {Kind, Outcome, Region, Verdict} from './types.js' */

// The runtime opens at most six connections a request; two stay free, for KV and a probe.
export const MAX_OPEN = 4;

// Regions may die one after another under a request, each back before the next goes: if all failed
// within this time, they are asked once more.
const AGAIN_WITHIN_MS = 3000;
const AGAIN_AFTER_MS = 250;

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
export function verdictOf(status, named, made, kind) {
  if (status < 502) return 'answered';
  if (status <= 504) return 'unavailable';
  if (status < 520 || status > 530 || named) return 'answered';
  if (UNREACHED.has(status)) return made || kind !== 'once' ? 'unreached' : 'broken';
  return status === 522 ? 'lost' : 'broken';
}

/** @type {(method: string, hasBody: boolean, keyed: boolean) => Kind} */
export function kindOf(method, hasBody, keyed) {
  // The application itself knows a second one by its key.
  if (keyed) return 'idempotent';
  if (hasBody) return 'once';
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return 'safe';
  return method === 'PUT' || method === 'DELETE' ? 'idempotent' : 'once';
}

/** @type {(verdict: Verdict, kind: Kind, retryOn5xx: boolean) => boolean} */
export function movesOn(verdict, kind, retryOn5xx) {
  if (verdict === 'answered') return false;
  if (verdict === 'unreached') return true;
  if (kind === 'once') return false;
  return verdict === 'unavailable' ? retryOn5xx : true;
}

/**
 * @typedef {object} Rules
 * @property {number} hedgeAfterMs 0: never
 * @property {boolean} again whether all may be asked once more
 * @property {(verdict: Verdict, others: Region[]) => boolean} mayMoveOn
 * @property {(region: Region, startedAt: number, waits: number, others: Region[]) => boolean}
 *   mayHedge asked after each half of `hedgeAfterMs` that a region is silent, with their number: may
 *   another be asked beside it? Never after the first.
 */

/**
 * Asks regions in turn until one answers.
 *
 * A failure from which the request may move on starts the next region at once. With
 * `hedgeAfterMs`, the next is started beside the ones that are still silent after that time, where
 * `mayHedge` says so; the first answer wins, and the others are cancelled.
 *
 * @param {Region[]} regions best first, at least one
 * @param {(region: Region, signal?: AbortSignal) => Promise<Outcome>} ask rejects only for what is
 *   not the region's fault
 * @param {Rules} rules
 * @returns {Promise<{outcome: Outcome, attempts: number}>} the answer; where there is none, the
 *   last refusal by a region's ingress, else the last failure
 */
export async function askInTurn(regions, ask, rules) {
  // Without a signal, which costs a request some percent: should the first lose, it is closed when
  // it answers, or else with the visitor's request.
  const startedAt = Date.now();
  const pending = ask(regions[0]);
  const outcome = await within(regions.length > 1 ? rules.hedgeAfterMs / 2 : 0, pending);
  // Nearly every request ends here.
  if (outcome && !rules.mayMoveOn(outcome.verdict, regions.slice(1))) {
    return { outcome, attempts: 1 };
  }
  return askOthers(regions, ask, rules, { region: regions[0], startedAt, pending }, outcome);
}

/**
 * @typedef {{region: Region, startedAt: number, pending: Promise<Outcome>,
 *   controller?: AbortController}} Attempt
 * @param {Region[]} regions
 * @param {(region: Region, signal: AbortSignal) => Promise<Outcome>} ask
 * @param {Rules} rules
 * @param {Attempt} first the attempt at the first region
 * @param {Outcome | undefined} outcome its failure; undefined if it is silent
 */
async function askOthers(regions, ask, rules, first, outcome) {
  const { hedgeAfterMs, mayMoveOn, mayHedge } = rules;
  /** @type {Map<Region, Attempt>} */
  const open = new Map([[first.region, first]]);
  /** @type {Outcome | undefined} */
  let failure;
  let attempts = 1;
  let latest = first;
  let waits = 0;

  const start = () => {
    const region = regions[attempts % regions.length];
    const controller = new AbortController();
    const startedAt = Date.now();
    latest = { region, startedAt, controller, pending: ask(region, controller.signal) };
    open.set(region, latest);
    attempts += 1;
    waits = 0;
  };

  for (;;) {
    if (outcome) {
      open.delete(outcome.region);
      if (!mayMoveOn(outcome.verdict, regions.slice(attempts))) {
        cancel(open);
        if (failure) discard(failure);
        return { outcome, attempts };
      }
      failure = laterOf(failure, outcome);
      const again =
        rules.again &&
        (failure.verdict === 'lost' || failure.verdict === 'unreached') &&
        attempts < 2 * regions.length &&
        Date.now() - first.startedAt < AGAIN_WITHIN_MS;
      if (attempts < regions.length) start();
      else if (open.size === 0 && again) {
        // Not all visitors of an outage in the same moment.
        if (attempts === regions.length) await pause(Math.random() * AGAIN_AFTER_MS);
        start();
      } else if (open.size === 0) return { outcome: failure, attempts };
    } else {
      waits += 1;
      const others = regions.slice(attempts);
      if (mayHedge(latest.region, latest.startedAt, waits, others)) start();
    }
    const hedges = attempts < regions.length && open.size < MAX_OPEN;
    const pendings = Array.from(open.values(), ({ pending }) => pending);
    outcome = await within(hedges ? hedgeAfterMs / 2 : 0, Promise.race(pendings));
  }
}

/** @type {(ms: number) => Promise<void>} */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

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
