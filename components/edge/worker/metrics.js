/** @import {KnownSite, Sites} from './sites.js' */
import { pause } from './failover.js';
import { log } from './log.js';

// A visitor's request only adds to numbers; one of each window writes them down, after its answer.
const WINDOW_MS = 10_000;

// Should that one have ended early, the next request finds the window older than this.
const OVERDUE_MS = 15_000;

// Analytics Engine takes 25 points of one request; the others go with the next window.
const MAX_POINTS = 25;

/** Upper ends of the latency's classes, in milliseconds; the last class has none. */
const LATENCIES_MS = [50, 100, 250, 500, 1000, 2500, 5000];

// Which number is which: double1 is the first.
export const REQUESTS = 0;
export const FAILED_ATTEMPTS = 1;
export const HEDGES = 2;
export const FAILOVERS = 3;
export const SERVER_ERRORS = 4;
const LATENCY_MS = 5;
const NUMBERS = 6 + LATENCIES_MS.length + 1;

/** In place of a region's name, where the Worker answered itself. */
export const NOBODY = 'none';

/** What visitors met, counted in this isolate, and written to Analytics Engine. */
export class Metrics {
  #sites;
  #openedAt = -Infinity;

  /** @param {Sites} sites */
  constructor(sites) {
    this.#sites = sites;
  }

  /**
   * Counts an answer, and sees to it that it is written.
   *
   * @param {KnownSite} site
   * @param {string} name the region that gave the answer, or NOBODY
   * @param {string} first the region that the visitor was to get
   * @param {number} status
   * @param {number} ms until the answer's headers were there
   */
  answered(site, name, first, status, ms) {
    const numbers = numbersOf(site, name);
    numbers[REQUESTS] += 1;
    if (status >= 500) numbers[SERVER_ERRORS] += 1;
    numbers[LATENCY_MS] += ms;
    let latency = 0;
    while (ms > LATENCIES_MS[latency]) latency += 1;
    numbers[LATENCY_MS + 1 + latency] += 1;
    if (name !== first) add(site, first, FAILOVERS, 1);
  }

  /**
   * Writes what is due, without letting the visitor wait.
   *
   * @type {(dataset: AnalyticsEngineDataset, colo: string, ctx: ExecutionContext, now: number) =>
   *   void}
   */
  tick(dataset, colo, ctx, now) {
    const age = now - this.#openedAt;
    if (age < OVERDUE_MS) return;
    if (age < Infinity) this.#write(dataset, colo);
    this.#openedAt = now;
    ctx.waitUntil(pause(WINDOW_MS).then(() => this.#write(dataset, colo)));
  }

  /** @type {(dataset: AnalyticsEngineDataset, colo: string) => void} */
  #write(dataset, colo) {
    this.#openedAt = -Infinity;
    try {
      this.#writeSome(dataset, colo);
    } catch (error) {
      log('metrics_not_written', { error: String(error) });
    }
  }

  /** @type {(dataset: AnalyticsEngineDataset, colo: string) => void} */
  #writeSome(dataset, colo) {
    let room = MAX_POINTS;
    for (const { host, counts } of this.#sites.all()) {
      for (const [name, numbers] of counts) {
        if (room === 0) return;
        room -= 1;
        counts.delete(name);
        dataset.writeDataPoint({ indexes: [name], blobs: [host, name, colo], doubles: numbers });
      }
    }
  }
}

/** @type {(site: KnownSite, name: string) => number[]} */
function numbersOf({ counts }, name) {
  let numbers = counts.get(name);
  if (!numbers) counts.set(name, (numbers = Array(NUMBERS).fill(0)));
  return numbers;
}

/** @type {(site: KnownSite, name: string, which: number, amount: number) => void} */
export function add(site, name, which, amount) {
  numbersOf(site, name)[which] += amount;
}
