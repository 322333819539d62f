const MISCONFIGURED =
  'This site’s edge router is not configured correctly. Its operators find why in the Worker’s log.';
const BROKEN = 'Something went wrong at the edge of this site.';
const ALL_DOWN = 'This site can’t be reached at the moment. Please try again shortly.';
const STRICT_DOWN =
  'The region that serves you can’t be reached at the moment, and your requests aren’t sent to ' +
  'another. Please try again shortly.';
const UNCLEAR =
  'The connection was lost before an answer came. Your request may have been carried out or not: ' +
  'check before you send it again.';

/** Seconds after which a visitor may try again; about as long as a region is held back. */
const RETRY_AFTER = 10;

export const pages = {
  misconfigured: () => page(500, MISCONFIGURED),
  broken: () => page(500, BROKEN),
  unclear: () => page(502, UNCLEAR),
  /** @param {boolean} strict */
  allDown: (strict) =>
    page(503, strict ? STRICT_DOWN : ALL_DOWN, { 'retry-after': String(RETRY_AFTER) }),
};

/** @type {(status: number, text: string, headers?: Record<string, string>) => Response} */
function page(status, text, headers = {}) {
  const html = `<!doctype html><meta charset="utf-8"><title>${status}</title><p>${text}</p>\n`;
  const type = 'text/html; charset=utf-8';
  return new Response(html, {
    status,
    headers: { 'content-type': type, 'cache-control': 'no-store', ...headers },
  });
}
