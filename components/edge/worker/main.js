/** @import {Config, Env} from './types.js' */
import { parseConfig } from './config.js';
import { withoutEmptyBody } from './forwarding.js';
import { log } from './log.js';
import { pages } from './pages.js';
import { readRecord, runProbes } from './probe.js';
import { proxy } from './proxy.js';
import { RegionHealth } from './region_health.js';
import { Sites } from './sites.js';
import { STATUS_PATH, statusPage } from './status.js';

/** @typedef {{config: Config, problems: string[], health: RegionHealth, sites: Sites}} Edge */

/** @type {Edge | undefined} one for each isolate */
let edge;

/**
 * @param {Env} env
 * @returns {Edge}
 */
function edgeOf(env) {
  if (!edge) {
    const { config, problems } = parseConfig(env.CONFIG);
    edge = { config, problems, health: new RegionHealth(config.downMs), sites: new Sites(config) };
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
          known,
        );
      }
      return await proxy(request, hasBody, env, ctx, known);
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
