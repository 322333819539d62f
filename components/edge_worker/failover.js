/** @import {Kind, Outcome, Region, Verdict} from './types.js' */

// The runtime opens at most six connections a request; two stay free, for KV and a probe.
export const MAX_OPEN = 4;

const UNREACHED = new Set([521, 523, 525, 526, 530]);

/**
 * What a status says of the region that was asked. Meanings: Cloudflare's "5xx errors"; 522 can
 * also come after the connection, so that it proves nothing.
 *
 * @param {number} status
 * @returns {Verdict}
 */
export function verdictOf(status) {
  if (status < 502) return 'answered';
  if (UNREACHED.has(status)) return 'unreached';
  if (status === 522) return 'lost';
  if (status >= 520 && status <= 529) return 'broken';
  if (status <= 504) return 'unavailable';
  return 'answered';
}

/** @type {(method: string, hasBody: boolean) => Kind} */
export function kindOf(method, hasBody) {
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
 * Asks regions in turn until one answers.
 *
 * A failure from which the request may move on starts the next region at once. With
 * `hedgeAfterMs`, the next is started beside the ones that are still silent after that time; the
 * first answer wins, and the others are cancelled.
 *
 * @param {Region[]} regions best first, at least one
 * @param {(region: Region, signal?: AbortSignal) => Promise<Outcome>} ask rejects only for what is
 *   not the region's fault
 * @param {object} rules
 * @param {number} rules.hedgeAfterMs 0: never
 * @param {(verdict: Verdict) => boolean} rules.mayMoveOn
 * @param {(region: Region) => void} rules.onSilence told of each region that is hedged
 * @returns {Promise<{outcome: Outcome, attempts: number}>} the answer; where there is none, the
 *   last refusal by a region's ingress, else the last failure
 */
export function askInTurn(regions, ask, { hedgeAfterMs, mayMoveOn, onSilence }) {
  const hedges = hedgeAfterMs > 0 && regions.length > 1;
  /** @type {Set<AbortController | undefined>} */
  const open = new Set();
  /** @type {Outcome | undefined} */
  let failure;
  let attempts = 0;
  let finished = false;
  /** @type {number | null} */
  let timer = null;

  return new Promise((resolve, reject) => {
    const start = () => {
      clearTimeout(timer);
      const region = regions[attempts];
      attempts += 1;
      // The first goes without a signal, which costs a request 7 %: should it lose, it is closed when
      // it answers, or else with the visitor's request.
      const controller = attempts > 1 ? new AbortController() : undefined;
      open.add(controller);
      ask(region, controller?.signal).then((outcome) => {
        open.delete(controller);
        settle(outcome);
      }, stop);
      if (hedges && attempts < regions.length) timer = setTimeout(hedge, hedgeAfterMs);
    };

    const hedge = () => {
      onSilence(regions[attempts - 1]);
      if (open.size < MAX_OPEN) start();
    };

    /** @param {Outcome} outcome */
    const settle = (outcome) => {
      if (finished) {
        discard(outcome);
      } else if (!mayMoveOn(outcome.verdict)) {
        finish(outcome);
      } else {
        keep(outcome);
        if (attempts < regions.length) start();
        else if (open.size === 0) finish(/** @type {Outcome} */ (failure));
      }
    };

    /** @param {Outcome} outcome */
    const keep = (outcome) => {
      if (failure?.verdict === 'unavailable' && outcome.verdict !== 'unavailable') {
        discard(outcome);
      } else {
        if (failure) discard(failure);
        failure = outcome;
      }
    };

    /** @param {Outcome} outcome */
    const finish = (outcome) => {
      end();
      if (failure && failure !== outcome) discard(failure);
      resolve({ outcome, attempts });
    };

    /** @param {unknown} error */
    const stop = (error) => {
      end();
      reject(error);
    };

    const end = () => {
      finished = true;
      clearTimeout(timer);
      for (const controller of open) controller?.abort();
    };

    start();
  });
}

/** @param {Outcome} outcome one that nobody reads: its connection is given back */
function discard({ response }) {
  if (response?.webSocket) {
    response.webSocket.accept();
    response.webSocket.close();
  }
  response?.body?.cancel().catch(() => {});
}
