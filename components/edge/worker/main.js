/** @import {Config, Env} from './types.js' */
import { parseConfig } from './config.js';
import { pause } from './failover.js';
import { withoutEmptyBody } from './forwarding.js';
import { log } from './log.js';
import { Metrics } from './metrics.js';
import { pages } from './pages.js';
import { readRecord, runProbes } from './probe.js';
import { proxy } from './proxy.js';
import { RegionHealth } from './region_health.js';
import { Sites } from './sites.js';
import { STATUS_PATH, statusPage } from './status.js';

/**
 * @typedef {{config: Config, problems: string[], health: RegionHealth, sites: Sites,
 *   metrics?: Metrics}} Edge
 */

/** @type {Edge | undefined} one for each isolate */
let edge;

/**
 * @param {Env} env
 * @returns {Edge}
 */
function edgeOf(env) {
  if (!edge) {
    const { config, problems } = parseConfig(env.CONFIG);
    const sites = new Sites(config);
    const metrics = env.METRICS && new Metrics(sites);
    edge = { config, problems, health: new RegionHealth(config.downMs), sites, metrics };
  }
  return edge;
}

/** @satisfies {ExportedHandler<Env>} */
const handler = {
  async fetch(visitors, env, ctx) {
    const request = withoutEmptyBody(visitors);
    const hasBody = request.body !== null;
    const known = edgeOf(env);
    const { config, problems, health } = known;
    if (problems.length > 0) {
      log('misconfigured', { problems });
      return pages.misconfigured(env);
    }
    // What passes through reaches a region by the host's own record, hence never a strict one's.
    const passesThrough = !hasBody && !config.strict;
    if (passesThrough) ctx.passThroughOnException();
    try {
      if (env.HEALTH) await refreshed(env.HEALTH, health, request.method, ctx);
      if (
        env.STATUS_TOKEN &&
        request.url.includes(STATUS_PATH) &&
        new URL(request.url).pathname === STATUS_PATH
      ) {
        return await statusPage(
          request,
          { ...env, STATUS_TOKEN: env.STATUS_TOKEN },
          known,
        );
      }
      return await proxy(request, hasBody, env, ctx, known);
    } catch (error) {
      log('exception', { error: String(error), stack: /** @type {Error} */ (error)?.stack });
      if (passesThrough) throw error;
      return pages.broken(env);
    }
  },

  async scheduled(_event, env) {
    const { config, problems, health } = edgeOf(env);
    if (problems.length > 0) log('misconfigured', { problems });
    else health.adopt(await runProbes(config, env), Date.now());
  },
};

export default handler;

// A request that can't be sent twice waits so long for what others know, in a new isolate.
const FIRST_READ_MS = 250;

/**
 * Reads the probes' verdicts where they are due, without letting anybody wait for them.
 *
 * @type {(namespace: KVNamespace, health: RegionHealth, method: string, ctx: ExecutionContext) =>
 *   Promise<void> | void}
 */
function refreshed(namespace, health, method, ctx) {
  const waits = !health.hasRead && method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS';
  if (!health.refreshDue(Date.now()) && !waits) return;
  const reading = refresh(namespace, health);
  ctx.waitUntil(reading);
  if (waits) return Promise.race([reading, pause(FIRST_READ_MS)]);
}

/** @type {(namespace: KVNamespace, health: RegionHealth) => Promise<void>} */
async function refresh(namespace, health) {
  try {
    health.adopt(await readRecord(namespace), Date.now());
  } catch (error) {
    log('health_not_read', { error: String(error) });
    health.adopt({}, Date.now());
  }
}
