/** @import {HealthRecord, Region} from './types.js' */

// A probe's verdict is written only when it changes. Should the cron stop, a verdict this old no
// longer holds a region back, and what requests meet decides again.
const PROBE_HOLDS_MS = 3_600_000;

// KV keeps a value at least as long on each machine; more reads would bring nothing newer.
const REFRESH_MS = 60_000;

/** What this isolate knows of the regions: what its own requests met, and the probes' verdicts. */
export class RegionHealth {
  /** @type {Map<string, number>} region → ms since the epoch until which it is held back */
  #downUntil = new Map();
  /** @type {Map<string, number>} region → ms since the epoch since which probes fail */
  #probedDown = new Map();
  /** @type {Map<string, number>} region → ms since the epoch of its last sign of life */
  #seenAt = new Map();
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
    return (this.#downUntil.get(name) ?? 0) > now || this.#probedDown.has(name);
  }

  /** @type {(name: string, now: number) => string} for the status page */
  describe(name, now) {
    const until = this.#downUntil.get(name);
    if (until === undefined) return 'up';
    return until > now ? `down for ${Math.ceil((until - now) / 1000)} s` : 'half-open';
  }
}
