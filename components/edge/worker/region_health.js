/** @import {HealthRecord, Region} from './types.js' */

// Should the cron stop, a verdict that nobody confirmed for so long no longer holds a region back,
// and what requests meet decides again.
const PROBE_HOLDS_MS = 3_600_000;

// KV keeps a value at least as long on each machine; more reads would bring nothing newer.
const REFRESH_MS = 60_000;

/**
 * The cron asks from one place only. So its verdict is checked from here: it is `doubted`, and holds
 * nothing back, while this isolate's own requests are answered; `believed`; or `overruled` by the
 * health path's answer.
 *
 * @typedef {{since: string, confirmedAt: number, checkedAt: number,
 *   state: 'doubted' | 'believed' | 'overruled'}} Verdict
 */

/** What this isolate knows of the regions: what its own requests met, and the probes' verdicts. */
export class RegionHealth {
  /** @type {Map<string, number>} region → ms since the epoch until which it is held back */
  #downUntil = new Map();
  /** @type {Map<string, Verdict>} region → what the cron's probe says, where it says down */
  #verdicts = new Map();
  /** @type {Map<string, number>} region → ms since the epoch of its last sign of life */
  #seenAt = new Map();
  /** @type {Map<string, number>} region → ms since the epoch at which its silence was looked into */
  #checkedAt = new Map();
  #refreshedAt = -Infinity;
  /** Whether the probes' verdicts were ever read. */
  hasRead = false;
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
    if (this.#downUntil.size === 0 && this.#verdicts.size === 0) return regions;
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

  /** @type {(name: string, now: number) => boolean} */
  #isProbedDown(name, now) {
    const verdict = this.#verdicts.get(name);
    return verdict?.state === 'believed' && now - verdict.confirmedAt < PROBE_HOLDS_MS;
  }

  /** @type {(name: string, now: number, first: boolean, mayTry: boolean) => boolean} */
  #isHeldBack(name, now, first, mayTry) {
    if (this.#isProbedDown(name, now)) return true;
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

  /** @type {(record: HealthRecord, now: number) => void} */
  adopt(record, now) {
    this.hasRead = true;
    const before = this.#verdicts;
    this.#verdicts = new Map();
    for (const [name, { up, since, confirmed }] of Object.entries(record)) {
      if (up) continue;
      const known = before.get(name);
      const answers = now - (this.#seenAt.get(name) ?? -Infinity) < this.#downMs;
      /** @type {Verdict} */
      const verdict =
        known?.since === since
          ? known
          : { since, confirmedAt: 0, checkedAt: -Infinity, state: answers ? 'doubted' : 'believed' };
      this.#verdicts.set(name, { ...verdict, confirmedAt: Date.parse(confirmed ?? since) });
    }
  }

  /**
   * Whether the cron's verdict on a region is to be checked from here; says so once per `downMs`.
   *
   * @type {(name: string, now: number) => boolean}
   */
  verdictDue(name, now) {
    if (this.#verdicts.size === 0) return false;
    const verdict = this.#verdicts.get(name);
    if (!verdict || now - verdict.checkedAt < this.#downMs) return false;
    verdict.checkedAt = now;
    return true;
  }

  /** @type {(name: string, up: boolean) => void} what the health path says from here */
  judge(name, up) {
    const verdict = this.#verdicts.get(name);
    if (verdict) verdict.state = up ? 'overruled' : 'believed';
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

  /** An answer of the region itself, to whom it may be. @type {(name: string, now: number) => void} */
  seen(name, now) {
    this.#seenAt.set(name, now);
  }

  /**
   * Whether a region's silence is to be looked into, as one of its requests waits; says so once per
   * `everyMs`.
   *
   * @type {(name: string, now: number, silentMs: number, everyMs: number) => boolean}
   */
  checkDue(name, now, silentMs, everyMs) {
    if (now - (this.#seenAt.get(name) ?? -Infinity) <= silentMs) return false;
    if (now - (this.#checkedAt.get(name) ?? -Infinity) < everyMs) return false;
    this.#checkedAt.set(name, now);
    return true;
  }

  /**
   * Whether the region gives no sign of life, although its health path was asked so long ago.
   *
   * @type {(name: string, now: number, askedMs: number) => boolean}
   */
  isSilent(name, now, askedMs) {
    const checkedAt = this.#checkedAt.get(name);
    if (checkedAt === undefined || now - checkedAt < askedMs) return false;
    return checkedAt > (this.#seenAt.get(name) ?? -Infinity);
  }

  /** @type {(name: string, now: number) => boolean} */
  isDown(name, now) {
    return (this.#downUntil.get(name) ?? 0) > now || this.#isProbedDown(name, now);
  }

  /** @type {(name: string, now: number) => string} for the status page */
  describe(name, now) {
    const verdict = this.#verdicts.get(name);
    if (verdict?.state === 'overruled') return 'up, whatever the cron found';
    const until = this.#downUntil.get(name);
    if (until === undefined) return 'up';
    return until > now ? `down for ${Math.ceil((until - now) / 1000)} s` : 'half-open';
  }
}
