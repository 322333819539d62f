/** @import {Env} from './types.js' */
/** @import {Edge} from './main.js' */
import { probeAll, readRecord } from './probe.js';

export const STATUS_PATH = '/.edge/status';

/**
 * The operators' page, as JSON. Regions are probed while it is made.
 *
 * @param {Request} request
 * @param {Env & {STATUS_TOKEN: string}} env
 * @param {Edge} edge
 */
export async function statusPage(request, env, { config, health, sites }) {
  const headers = { 'cache-control': 'no-store' };
  if (!(await isAuthorized(request, env.STATUS_TOKEN))) {
    return new Response('Send the header "Authorization: Bearer <STATUS_TOKEN>".\n', {
      status: 401,
      headers: { ...headers, 'www-authenticate': 'Bearer' },
    });
  }
  const probes = await probeAll(config, env);
  const now = Date.now();
  /** @type {unknown} */
  let recorded = 'no HEALTH namespace is bound';
  if (env.HEALTH) recorded = await readRecord(env.HEALTH).catch((error) => String(error));
  return Response.json(
    {
      colo: request.cf?.colo ?? null,
      time: new Date(now).toISOString(),
      hedgeAfterMs: config.site.hedgeAfterMs,
      retryOn5xx: config.site.retryOn5xx,
      regions: config.regions.map((region) => ({
        ...region,
        isolate: health.describe(region.name, now),
        applications: Object.fromEntries(
          sites.all().map(({ host, outliers }) => [host, outliers.describe(region.name, now)]),
        ),
        probe: probes.get(region),
      })),
      recorded,
    },
    { headers },
  );
}

/** @type {(request: Request, token: string) => Promise<boolean>} */
async function isAuthorized(request, token) {
  const given = request.headers.get('authorization') ?? '';
  const [a, b] = await Promise.all(
    [given, `Bearer ${token}`].map((text) =>
      crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)),
    ),
  );
  return crypto.subtle.timingSafeEqual(a, b);
}
