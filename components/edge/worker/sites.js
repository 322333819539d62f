/** @import {Config, Site} from './types.js' */
import { log } from './log.js';
import { Outliers } from './outliers.js';

// Cloudflare sends only the hosts that have a route; elsewhere anybody may name any.
const MAX_SITES = 100;

/**
 * One of the site's hosts: what the table says of it, and what its requests found out.
 *
 * @typedef {Site & {host: string, outliers: Outliers, counts: Map<string, number[]>}} KnownSite
 */

export class Sites {
  /** @type {Map<string, KnownSite>} */
  #sites = new Map();
  #config;

  /** @param {Config} config */
  constructor(config) {
    this.#config = config;
  }

  /** @type {(host: string) => KnownSite} */
  of(host) {
    return this.#sites.get(host) ?? this.#make(host);
  }

  /** @type {() => KnownSite[]} */
  all() {
    return [...this.#sites.values()];
  }

  /** @type {(host: string) => KnownSite} */
  #make(host) {
    const site = this.#config.hosts.get(host) ?? this.#config.site;
    const serving = site.regions.filter((region) => !region.drain).length;
    const outliers = new Outliers(this.#config.outlierDetection, serving, (region, cause, ms) =>
      log('ejected', { region, host, cause, ms }),
    );
    const known = { ...site, host, outliers, counts: new Map() };
    if (this.#sites.size < MAX_SITES) this.#sites.set(host, known);
    return known;
  }
}
