/** @import {Env, Kind, Outcome, Place, Region} from './types.js' */
/** @import {Edge} from './main.js' */
/** @import {KnownSite} from './sites.js' */
import { pin, pinnedRegion } from './affinity.js';
import { askInTurn, kindOf, movesOn, verdictOf } from './failover.js';
import { bodyToSend, isCloudflares, isNamed, labelled, originHeaders } from './forwarding.js';
import { log } from './log.js';
import { add, FAILED_ATTEMPTS, HEDGES, NOBODY } from './metrics.js';
import { pages } from './pages.js';
import { checkApplication, checkFailure, checkSilence, checkVerdict } from './probe.js';
import { candidates } from './routing.js';

/**
 * Hands a visitor's request on to the regions, and the answer to him.
 *
 * @param {Request} request
 * @param {boolean} hasBody
 * @param {Env} env
 * @param {ExecutionContext} ctx
 * @param {Edge} edge
 */
export async function proxy(request, hasBody, env, ctx, edge) {
  const { method, headers } = request;
  const visitor = headers.get('cf-connecting-ip');
  const site = edge.sites.of(headers.get('host') ?? '');
  if (site.maintenance) return pages.maintenance(env, edge.config.maintenanceRetryAfter);
  const safeMethod = method === 'GET' || method === 'HEAD';
  const keyed = site.retryIdempotencyKey && !safeMethod && headers.has('idempotency-key');
  const kind = kindOf(method, hasBody, keyed);
  const place = /** @type {Place | undefined} */ (request.cf);
  const eligible = candidates(site.regions, place, visitor ?? '');
  const { affinitySeconds, responseHeaders } = edge.config;
  const pinned = affinitySeconds > 0 ? pinnedRegion(eligible.regions, headers) : undefined;
  const wanted = pinned
    ? [pinned, ...eligible.regions.filter((region) => region !== pinned)]
    : eligible.regions;
  const now = Date.now();
  check(wanted, site, env, ctx, edge, now);
  const safe = kind === 'safe';
  const well = site.outliers.order(wanted, now, safe && !site.healthPath);
  const regions = edge.health.order(well, now, safe);
  if (regions.length === 0) {
    log('no_region', { strict: eligible.strict });
    return pages.allDown(env, eligible.strict);
  }
  const attempts = new Attempts(request, hasBody, kind, site, env, ctx, edge);
  if (hasBody && regions.length > 1) attempts.body = await bodyToSend(request);
  const canRepeat = !hasBody || attempts.body instanceof ArrayBuffer;
  attempts.headers = originHeaders(headers, visitor, env);
  attempts.strict = eligible.strict;

  const { outcome, attempts: count } = await askInTurn(
    regions,
    (region, signal) => attempts.ask(region, signal),
    {
      hedgeAfterMs: safe ? site.hedgeAfterMs : 0,
      // Of an outage that is known one pass is enough.
      again: !edge.health.isDown(regions[0].name, now),
      mayMoveOn: (verdict, others) =>
        canRepeat && movesOn(verdict, kind, site.retryOn5xx && attempts.mayRepeat(others)),
      mayHedge: (region, startedAt, waits, others) => {
        const may = attempts.mayHedge(region, startedAt, waits, others);
        if (may && edge.metrics) add(site, region.name, HEDGES, 1);
        return may;
      },
    },
  );
  const once = kind === 'once';
  const response = answerOf(outcome, once);
  if (edge.metrics && env.METRICS) {
    const given = response ? outcome.region.name : NOBODY;
    const at = Date.now();
    edge.metrics.answered(site, given, wanted[0].name, response?.status ?? 503, at - now);
    edge.metrics.tick(env.METRICS, place?.colo ?? '', ctx, at);
  }
  if (!response) return excuse(outcome, count, once, eligible.strict, env);
  const { region, verdict } = outcome;
  const moved = affinitySeconds > 0 && verdict === 'answered' && region !== pinned;
  const cookie = moved ? pin(region, affinitySeconds) : undefined;
  return labelled(response, region, count, responseHeaders, now, cookie);
}

/** @type {(outcome: Outcome, once: boolean) => boolean} whether no region can have had the request */
const wasUnreachable = ({ verdict }, once) =>
  verdict === 'unreached' || (verdict === 'lost' && !once);

/** @type {(outcome: Outcome, once: boolean) => Response | undefined} what a region says */
const answerOf = (outcome, once) => (wasUnreachable(outcome, once) ? undefined : outcome.response);

/**
 * What the visitor gets where no region says anything.
 *
 * @param {Outcome} outcome of the last attempt
 * @param {number} attempts
 * @param {boolean} once whether the request may have been carried out and can't be repeated
 * @param {boolean} strict
 * @param {Env} env
 */
function excuse(outcome, attempts, once, strict, env) {
  const { region, response, error } = outcome;
  response?.body?.cancel().catch(() => {});
  if (!wasUnreachable(outcome, once)) return pages.unclear(env);
  log('all_down', { attempts, strict, last: region.name, error: error && String(error) });
  return pages.allDown(env, strict);
}

/**
 * Looks, in the background, into what is due.
 *
 * @type {(regions: Region[], site: KnownSite, env: Env, ctx: ExecutionContext, edge: Edge,
 *   now: number) => void}
 */
function check(regions, { host, healthPath, outliers }, env, ctx, { config, health }, now) {
  regions.forEach((region, i) => {
    const { name } = region;
    if (health.verdictDue(name, now)) ctx.waitUntil(checkVerdict(region, config, env, health));
    if (!healthPath || !(i === 0 || outliers.isEjected(name))) return;
    if (outliers.checkDue(name, now)) {
      ctx.waitUntil(checkApplication(region, host, healthPath, env, outliers));
    }
  });
}

/** The attempts of one request at its regions, and what they teach this isolate. */
class Attempts {
  /** @type {ArrayBuffer | ReadableStream | undefined} */
  body;
  /** @type {Headers | undefined} */
  headers;
  /** Whether no other region's answer may be had, nor this one's be given to others. */
  strict = false;
  /** @type {Set<string> | undefined} regions asked in place of one that is ejected */
  #rescues;
  /** Whether a failure was looked into already. */
  #checked = false;
  #request;
  #hasBody;
  #kind;
  #site;
  #env;
  #ctx;
  #edge;

  /**
   * @param {Request} request
   * @param {boolean} hasBody
   * @param {Kind} kind
   * @param {KnownSite} site
   * @param {Env} env
   * @param {ExecutionContext} ctx
   * @param {Edge} edge
   */
  constructor(request, hasBody, kind, site, env, ctx, edge) {
    this.#request = request;
    this.#hasBody = hasBody;
    this.#kind = kind;
    this.#site = site;
    this.#env = env;
    this.#ctx = ctx;
    this.#edge = edge;
  }

  /** @type {(region: Region, signal?: AbortSignal) => Promise<Outcome>} */
  async ask(region, signal) {
    /** @type {RequestInit<RequestInitCfProperties>} */
    const init = { cf: { resolveOverride: region.host } };
    if (this.headers) init.headers = this.headers;
    if (signal) init.signal = signal;
    if (this.body) init.body = this.body;
    if (this.strict) init.cache = 'no-store';
    const startedAt = Date.now();
    try {
      const response = await fetch(this.#request, init);
      return this.#learn(region, response, startedAt);
    } catch (error) {
      if (error instanceof TypeError) throw error;
      if (!signal?.aborted) {
        const { method } = this.#request;
        log('failed', { region: region.name, verdict: 'lost', error: String(error), method });
        this.#countFailure(region);
        // With a body it may be the visitor's own connection that broke.
        if (this.#hasBody) this.#lookInto(region, -1);
        else this.#markDown(region);
      }
      return { region, verdict: 'lost', error };
    }
  }

  /** @type {(region: Region, response: Response, startedAt: number) => Outcome} */
  #learn(region, response, startedAt) {
    const { status } = response;
    const { health } = this.#edge;
    const { outliers, hedgeAfterMs } = this.#site;
    const { name } = region;
    const now = Date.now();
    const verdict =
      status < 502
        ? 'answered'
        : verdictOf(status, isNamed(response, region), isCloudflares(response), this.#kind);
    if (verdict === 'answered' || verdict === 'unavailable') {
      health.markUp(name);
      health.seen(name, now);
    }
    if (verdict === 'answered') {
      const quick = hedgeAfterMs === 0 || now - startedAt < hedgeAfterMs;
      if (quick && this.#rescues?.has(name)) outliers.pay(name, 1);
      outliers.answered(name, startedAt, now, quick);
      return { region, verdict, response };
    }
    if (verdict === 'unavailable') outliers.failed(name, now);
    else if (verdict !== 'broken') this.#markDown(region);
    log('failed', { region: name, verdict, status, method: this.#request.method });
    this.#countFailure(region);
    return { region, verdict, response };
  }

  /**
   * Holds a region back whose connection failed. It may have been one of its nodes: so whoever meets
   * it first has the health path asked, once in a request.
   *
   * @param {Region} region
   */
  #markDown(region) {
    const { health, config } = this.#edge;
    const now = Date.now();
    const known = health.isDown(region.name, now);
    health.markDown(region.name, now);
    if (known || this.#checked) return;
    this.#checked = true;
    const timeoutMs = Math.max(this.#site.hedgeAfterMs, 1000);
    this.#ctx.waitUntil(checkFailure(region, config, this.#env, health, timeoutMs));
  }

  /** @param {Region} region */
  #countFailure({ name }) {
    if (this.#edge.metrics) add(this.#site, name, FAILED_ATTEMPTS, 1);
  }

  /**
   * Asks the health path of a region that gave no sign of life for so long.
   *
   * @type {(region: Region, silentMs: number) => void}
   */
  #lookInto(region, silentMs) {
    const { health, config } = this.#edge;
    const timeoutMs = Math.max(this.#site.hedgeAfterMs, 1000);
    if (!health.checkDue(region.name, Date.now(), silentMs, timeoutMs)) return;
    this.#ctx.waitUntil(checkSilence(region, config, this.#env, health, timeoutMs));
  }

  /** Whether any of these may be asked for what another's ingress refused. @param {Region[]} others */
  mayRepeat(others) {
    return others.some(({ name }) => this.#site.outliers.hasTokens(name));
  }

  /**
   * Whether the next region may be asked beside one that is silent.
   *
   * A dead region's visitors all move on. A region that lives and is slow, or everybody is, would
   * only be made slower: there tokens limit it, those of the region that is slow and those of the
   * one that is to be asked.
   *
   * @type {(region: Region, startedAt: number, waits: number, others: Region[]) => boolean}
   */
  mayHedge(region, startedAt, waits, others) {
    const { health } = this.#edge;
    const { outliers, hedgeAfterMs } = this.#site;
    const { name } = region;
    const now = Date.now();
    this.#lookInto(region, hedgeAfterMs / 4);
    if (waits < 2) return false;
    outliers.overdue(name, startedAt, now, hedgeAfterMs, waits === 2);
    if (health.isDown(name, now) || health.isSilent(name, now, 0.4 * hedgeAfterMs)) return true;
    const [next] = others;
    if (health.isDown(next.name, now) || !outliers.hasTokens(next.name)) return false;
    if (outliers.isEjected(name)) {
      this.#rescues = (this.#rescues ?? new Set()).add(next.name);
      outliers.pay(next.name, -1);
      return true;
    }
    // Each would be a subscription of its own, in every region.
    if (this.#request.headers.get('accept')?.includes('text/event-stream')) return false;
    return outliers.hasTokens(name);
  }
}
