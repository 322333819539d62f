/** @import {Env, Region, ResponseHeaders} from './types.js' */
import { pause } from './failover.js';

const REGION = 'x-edge-region';
const ATTEMPTS = 'x-edge-attempts';

// A body up to this size is read before it is sent, so that it can be sent again.
const REPLAY_BYTES = 65_536;

// One whose length isn't said is waited for so long; then it is sent as it comes.
const WHOLE_WITHIN_MS = 100;

/**
 * The headers that the region is to see, where they differ from the visitor's: the edge's own names
 * can't be forged, and x-real-ip, of which Cloudflare makes CF-Connecting-IP in subrequests of the
 * same zone, is the visitor's address. Cloudflare sets it already, and a copy of the headers costs
 * a tenth of a request.
 *
 * @param {Headers} visitors
 * @param {string | null} address the visitor's
 * @param {Env} env
 * @returns {Headers | undefined} undefined: the visitor's as they are
 */
export function originHeaders(visitors, address, env) {
  const forged = visitors.has(REGION) || visitors.has(ATTEMPTS);
  if (!forged && !env.ORIGIN_SECRET && visitors.get('x-real-ip') === address) return undefined;

  const headers = new Headers(visitors);
  headers.delete(REGION);
  headers.delete(ATTEMPTS);
  if (address) headers.set('x-real-ip', address);
  else headers.delete('x-real-ip');
  addOriginSecret(headers, env);
  return headers;
}

/** @type {(headers: Headers, env: Env) => void} */
export function addOriginSecret(headers, { ORIGIN_SECRET, ORIGIN_SECRET_HEADER }) {
  if (ORIGIN_SECRET && ORIGIN_SECRET_HEADER) headers.set(ORIGIN_SECRET_HEADER, ORIGIN_SECRET);
}

/**
 * The same request, without the empty body that Content-Length: 0 makes of none: such a stream could
 * be sent once only.
 *
 * @param {Request} request
 */
export function withoutEmptyBody(request) {
  if (request.body === null || request.headers.get('content-length') !== '0') return request;
  const { url, method, headers, cf } = request;
  return new Request(url, { method, headers, cf, redirect: 'manual' });
}

/**
 * The request's body: as a whole where it is small enough to be sent more than once; undefined where
 * it can only be sent as it comes.
 *
 * @param {Request} request
 * @returns {Promise<ArrayBuffer | ReadableStream | undefined>} a stream where its first part was
 *   read in vain
 */
export async function bodyToSend(request) {
  // A visitor may send GET with a body, and it passes as a stream; with another it can't be made.
  if (request.body === null || request.method === 'GET' || request.method === 'HEAD') {
    return undefined;
  }
  const length = request.headers.get('content-length');
  if (length === null) return chunked(request.body);
  return Number(length) <= REPLAY_BYTES ? request.arrayBuffer() : undefined;
}

/**
 * A body that doesn't say how long it is: as a whole if it ends soon, and small.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @returns {Promise<ArrayBuffer | ReadableStream>}
 */
async function chunked(body) {
  const reader = body.getReader();
  /** @type {Uint8Array[]} */
  const parts = [];
  let size = 0;
  const late = pause(WHOLE_WITHIN_MS);
  for (;;) {
    const reading = reader.read();
    const read = await Promise.race([reading, late]);
    if (read?.done) return new Blob(parts).arrayBuffer();
    if (read) {
      parts.push(read.value);
      size += read.value.byteLength;
      if (size <= REPLAY_BYTES) continue;
    }
    return continued(parts, reader, body, read ? undefined : reading);
  }
}

/**
 * What was read of a body, and the rest as it comes.
 *
 * @param {Uint8Array[]} parts
 * @param {ReadableStreamDefaultReader<Uint8Array>} reader
 * @param {ReadableStream<Uint8Array>} body
 * @param {Promise<ReadableStreamReadResult<Uint8Array>> | undefined} reading what is awaited already
 */
function continued(parts, reader, body, reading) {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  const copy = async () => {
    try {
      for (const part of parts) await writer.write(part);
      const next = await reading;
      if (next?.value) await writer.write(next.value);
      reader.releaseLock();
      writer.releaseLock();
      await (next?.done ? writable.close() : body.pipeTo(writable));
    } catch (error) {
      // Whoever reads it is told; so is the visitor.
      await writable.abort(error).catch(() => {});
    }
  };
  copy();
  return readable;
}

/** @type {(response: Response, region: Region) => boolean} */
export const isNamed = (response, region) => response.headers.get(REGION) === region.name;

/**
 * Whether Cloudflare made this error page: only then it has the header (Cloudflare's docs, "Error
 * diagnostic headers").
 *
 * @param {Response} response
 */
export const isCloudflares = (response) => response.headers.has('cf-error-type');

/**
 * The region's answer as it is, saying which region gave it as far as it shall.
 *
 * @param {Response} response
 * @param {Region} region
 * @param {number} attempts
 * @param {ResponseHeaders} how
 * @param {number} startedAt ms since the epoch
 * @param {string} [cookie] value of Set-Cookie
 */
export function labelled(response, region, attempts, how, startedAt, cookie) {
  const { headers } = response;
  // As our ingress answers. A copy of the answer costs some percent of a request.
  const asItIs =
    how === 'none'
      ? !headers.has(REGION) && !headers.has(ATTEMPTS)
      : how === 'region' && attempts === 1 && isNamed(response, region);
  if (asItIs && !cookie) return response;
  let answer;
  try {
    answer = new Response(response.body, response);
  } catch {
    return response; // a status that Response can't be made with, 999 for one
  }
  if (cookie) answer.headers.append('set-cookie', cookie);
  if (how === 'none') {
    answer.headers.delete(REGION);
    answer.headers.delete(ATTEMPTS);
    return answer;
  }
  answer.headers.set(REGION, region.name);
  if (attempts > 1) answer.headers.set(ATTEMPTS, String(attempts));
  if (how === 'server-timing') {
    const ms = Date.now() - startedAt;
    const which = `${region.name}, attempt ${attempts}`;
    answer.headers.append('server-timing', `edge;dur=${ms};desc="${which}"`);
  }
  return answer;
}
