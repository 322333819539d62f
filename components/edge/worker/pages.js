/** @import {Env} from './types.js' */
const MISCONFIGURED =
  'This site’s edge router is not configured correctly. Its operators find why in the Worker’s log.';
const BROKEN = 'Something went wrong at the edge of this site.';
const ALL_DOWN = 'This site can’t be reached at the moment. Please try again shortly.';
const STRICT_DOWN =
  'The region that serves you can’t be reached at the moment, and your requests aren’t sent to ' +
  'another. Please try again shortly.';
const MAINTENANCE = 'This site is being worked on. Please come again later.';
const UNCLEAR =
  'The connection was lost before an answer came. Your request may have been carried out or not: ' +
  'check before you send it again.';

/** Seconds after which a visitor may try again; about as long as a region is held back. */
const RETRY_AFTER = 10;

export const pages = {
  /** @param {Env} env */
  misconfigured: (env) => page(500, MISCONFIGURED, env.PAGE_ERROR),
  /** @param {Env} env */
  broken: (env) => page(500, BROKEN, env.PAGE_ERROR),
  /** @param {Env} env */
  unclear: (env) => page(502, UNCLEAR, env.PAGE_UNCLEAR),
  /** @type {(env: Env, strict: boolean) => Response} */
  allDown: (env, strict) =>
    page(503, strict ? STRICT_DOWN : ALL_DOWN, env.PAGE_UNAVAILABLE, RETRY_AFTER),
  /** @type {(env: Env, retryAfter: number) => Response} */
  maintenance: (env, retryAfter) => page(503, MAINTENANCE, env.PAGE_MAINTENANCE, retryAfter),
};

/** @type {(status: number, text: string, own?: string, retryAfter?: number) => Response} */
function page(status, text, own, retryAfter) {
  const html =
    own ?? `<!doctype html><meta charset="utf-8"><title>${status}</title><p>${text}</p>\n`;
  const headers = new Headers({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
  });
  if (retryAfter) headers.set('retry-after', String(retryAfter));
  return new Response(html, { status, headers });
}
