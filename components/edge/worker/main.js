/** @import {Config, Env, Outcome, Place, Region} from './types.js' */
import { parseConfig } from './config.js';
import { askInTurn, kindOf, movesOn, verdictOf } from './failover.js';
import { isCloudflares, isNamed, labelled, originHeaders, replayableBody, withoutEmptyBody } from './forwarding.js';
import { log } from './log.js';
import { pages } from './pages.js';
import { checkSilence, readRecord, runProbes } from './probe.js';
import { RegionHealth } from './region_health.js';
import { candidates } from './routing.js';
import { STATUS_PATH, statusPage } from './status.js';

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
