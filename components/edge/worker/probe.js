/** @import {Config, Env, HealthRecord, Probe, Region} from './types.js' */
/** @import {Outliers} from './outliers.js' */
/** @import {RegionHealth} from './region_health.js' */
import { MAX_OPEN } from './failover.js';
import { addOriginSecret } from './forwarding.js';
import { log } from './log.js';

const KEY = 'regions';
const PROBE_TIMEOUT_MS = 5000;

// A verdict that nobody confirms for an hour is ignored. Written each minute, an outage of a day
// would use up the free plan's 1000 writes.
const CONFIRM_EVERY_MS = 1_200_000;

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
export function probe(region, config, env, timeoutMs = PROBE_TIMEOUT_MS) {
  return ask(`https://${region.host}${config.healthPath}`, env, timeoutMs);
}

/**
 * @param {string} url
 * @param {Env} env
 * @param {number} timeoutMs
 * @param {RequestInitCfProperties} [cf]
 * @returns {Promise<Probe>}
 */
async function ask(url, env, timeoutMs, cf) {
  const headers = new Headers({ 'user-agent': 'edgefleet-probe', 'cache-control': 'no-cache' });
  addOriginSecret(headers, env);
  const startedAt = Date.now();
  try {
    const response = await fetch(url, {
      cf,
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
export async function probeAll(config, env) {
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
 * @type {(region: Region, config: Config, env: Env, health: RegionHealth, timeoutMs: number) =>
 *   Promise<void>}
 */
export async function checkSilence(region, config, env, health, timeoutMs) {
  const result = await probe(region, config, env, timeoutMs);
  log('silence_checked', { region: region.name, ...result });
  if (result.up) health.seen(region.name, Date.now());
  else health.markDown(region.name, Date.now());
}

/**
 * Tells a dead region from one of its nodes, which look alike to a request whose connection failed:
 * a region whose health path answers is up again at once.
 *
 * @type {(region: Region, config: Config, env: Env, health: RegionHealth, timeoutMs: number) =>
 *   Promise<void>}
 */
export async function checkFailure(region, config, env, health, timeoutMs) {
  const result = await probe(region, config, env, timeoutMs);
  log('failure_checked', { region: region.name, ...result });
  if (!result.up) return;
  health.seen(region.name, Date.now());
  health.markUp(region.name);
}

/**
 * Checks the cron's verdict from this place.
 *
 * @type {(region: Region, config: Config, env: Env, health: RegionHealth) => Promise<void>}
 */
export async function checkVerdict(region, config, env, health) {
  const result = await probe(region, config, env);
  log('verdict_checked', { region: region.name, ...result });
  health.judge(region.name, result.up);
}

/**
 * Asks the application's health path in a region, under the site's host. Only where a visitor's
 * request is being answered: elsewhere resolveOverride has no zone to work in. What fails is asked
 * a second time.
 *
 * @type {(region: Region, host: string, path: string, env: Env, outliers: Outliers) =>
 *   Promise<void>}
 */
export async function checkApplication(region, host, path, env, outliers) {
  const url = `https://${host}${path}`;
  const cf = { resolveOverride: region.host };
  let result = await ask(url, env, PROBE_TIMEOUT_MS, cf);
  if (!result.up) result = await ask(url, env, PROBE_TIMEOUT_MS, cf);
  if (!result.up) log('application_checked', { region: region.name, host, ...result });
  if (result.up) outliers.readmit(region.name, Date.now());
  else outliers.eject(region.name, Date.now(), 'health path');
}

/**
 * One run of the cron trigger: probes every region, twice where the first probe fails, logs each
 * result, and writes the record if a region came, went, or changed between up and down, and from
 * time to time while one is down.
 *
 * @param {Config} config
 * @param {Env} env
 * @returns {Promise<HealthRecord>} the record as it now is; empty without a namespace, because
 *   then no later run would reach this isolate to take a verdict back
 */
export async function runProbes(config, env) {
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
  const now = new Date().toISOString();
  return Object.fromEntries(
    [...results].map(([{ name }, { up, detail }]) => {
      const known = before[name];
      if (known?.up !== up) return [name, { up, since: now, detail }];
      const age = Date.parse(now) - Date.parse(known.confirmed ?? known.since);
      return [name, up || age < CONFIRM_EVERY_MS ? known : { ...known, confirmed: now }];
    }),
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
export async function readRecord(namespace) {
  return (await namespace.get(KEY, { type: 'json' })) ?? {};
}
