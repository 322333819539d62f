/** @import {Env, HealthRecord, Probe, Region} from './types.js' */
/** @import {Edge} from './main.js' */
import { probeAll, readRecord } from './probe.js';
import { statusHtml } from './status_page.js';

export const STATUS_PATH = '/.edge/status';

/**
 * @typedef {Region & {isolate: string, applications: Record<string, string>, probe?: Probe}}
 *   RegionReport
 * @typedef {{colo: string | null, time: string, hedgeAfterMs: number, retryOn5xx: boolean,
 *   maintenance: string[], regions: RegionReport[], recorded: string | HealthRecord}} Report
 */

/**
 * The operators' page: HTML for browsers, else JSON. Regions are probed while it is made.
 *
 * @param {Request} request
 * @param {Env & {STATUS_TOKEN: string}} env
 * @param {Edge} edge
 */
export async function statusPage(request, env, edge) {
  const headers = { 'cache-control': 'no-store', vary: 'accept, authorization' };
  const asHtml = request.headers.get('accept')?.includes('text/html') ?? false;
  if (!(await isAuthorized(request, env.STATUS_TOKEN))) {
    // A browser asks its user for the password, and sends it the other way.
    const scheme = asHtml ? 'Basic realm="edge status; the token is the password"' : 'Bearer';
    return new Response('Send the header "Authorization: Bearer <STATUS_TOKEN>".\n', {
      status: 401,
      headers: { ...headers, 'www-authenticate': scheme },
    });
  }
  const report = await reportOf(request, env, edge);
  if (!asHtml) return Response.json(report, { headers });
  return new Response(statusHtml(report), {
    headers: {
      ...headers,
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
    },
  });
}

/** @type {(request: Request, env: Env, edge: Edge) => Promise<Report>} */
async function reportOf(request, env, { config, health, sites }) {
  const probes = await probeAll(config, env);
  const now = Date.now();
  const closed = [...config.hosts].filter(([, site]) => site.maintenance).map(([host]) => host);
  /** @type {Report['recorded']} */
  let recorded = 'no HEALTH namespace is bound';
  if (env.HEALTH) recorded = await readRecord(env.HEALTH).catch((error) => String(error));
  return {
    colo: /** @type {string | undefined} */ (request.cf?.colo) ?? null,
    time: new Date(now).toISOString(),
    hedgeAfterMs: config.site.hedgeAfterMs,
    retryOn5xx: config.site.retryOn5xx,
    maintenance: config.site.maintenance ? ['all hosts that say nothing else', ...closed] : closed,
    regions: config.regions.map((region) => ({
      ...region,
      isolate: health.describe(region.name, now),
      applications: Object.fromEntries(
        sites.all().map(({ host, outliers }) => [host, outliers.describe(region.name, now)]),
      ),
      probe: probes.get(region),
    })),
    recorded,
  };
}

/** @type {(request: Request, token: string) => Promise<boolean>} */
async function isAuthorized(request, token) {
  const given = bearer(request.headers.get('authorization') ?? '');
  const [a, b] = await Promise.all(
    [given, `Bearer ${token}`].map((text) =>
      crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)),
    ),
  );
  return crypto.subtle.timingSafeEqual(a, b);
}

/** A browser's way to say it, with any name. @type {(given: string) => string} */
function bearer(given) {
  if (!given.startsWith('Basic ')) return given;
  try {
    return `Bearer ${atob(given.slice(6)).replace(/^[^:]*:/, '')}`;
  } catch {
    return '';
  }
}
