/** @import {Region} from './types.js' */

// Cookies of this prefix come over TLS only, and from no other host (RFC 6265bis, 4.1.3.2).
const COOKIE = '__Host-edge-region';
const PINNED = new RegExp(`(?:^|;\\s*)${COOKIE}=([a-z0-9-]+)`);

/**
 * The region that a visitor's cookie names, where he may still get it.
 *
 * @param {Region[]} regions those that may serve him
 * @param {Headers} headers the visitor's
 */
export function pinnedRegion(regions, headers) {
  const name = PINNED.exec(headers.get('cookie') ?? '')?.[1];
  // Weight 0 takes a canary's visitors back, whatever they hold.
  return name && regions.find((region) => region.name === name && region.weight > 0);
}

/** @type {(region: Region, seconds: number) => string} value of Set-Cookie */
export const pin = ({ name }, seconds) =>
  `${COOKIE}=${name}; Max-Age=${seconds}; Path=/; Secure; HttpOnly; SameSite=Lax`;
