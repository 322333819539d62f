// Cloudflare's network between a Worker (or a visitor of a host without one) and the origin,
// emulated: `node egress.mjs FOLDER`. It resolves the proxied name, connects from addresses of
// Cloudflare's, shows the zone's client certificate, and answers 52x and 530 where the origin
// doesn't. What it knows is FOLDER/zone.json, read again on SIGHUP. docs/facts/cloudflare.md has
// what is known of the original: 19 s for a connection, one retry at another address and only where
// nothing was sent, 100 s for an answer.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Agent, request as ask } from 'node:https';
import { createSecureContext } from 'node:tls';

const CONNECT_MS = 19_000;
const ANSWER_MS = 100_000;
const HOPS = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'cf-ew-via']);
const folder = process.argv[2];
const SOURCES = 4;
let zone;
let agents;
let context;

function read() {
  const fresh = JSON.parse(readFileSync(`${folder}/zone.json`, 'utf8'));
  // Connections that stand keep the certificate that they were made with.
  for (const agent of agents?.values() ?? []) setTimeout(() => agent.destroy(), ANSWER_MS).unref();
  agents = new Map();
  zone = fresh;
  const [cert, key] = zone.client ?? [];
  context = createSecureContext({ ca: zone.ca, cert, key });
}

// Connections are kept by origin and by which of the zone's sources they come from: of each family
// SOURCES of them to one origin, so that all of them come up among several origins.
function agentOf(address) {
  const sources = address.includes(':') ? zone.sources6 : zone.sources4;
  const first = [...address].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7);
  const localAddress = sources[(first + Math.floor(Math.random() * SOURCES)) % sources.length];
  const name = `${address} ${localAddress}`;
  if (!agents.has(name)) {
    agents.set(name, new Agent({ keepAlive: true, timeout: 50_000, localAddress }));
  }
  return agents.get(name);
}

function addressesOf(host) {
  const name = zone.aliases[host] ?? host;
  return [...(zone.addresses[name] ?? [])].sort(() => Math.random() - 0.5);
}

// Cloudflare's "5xx errors".
function statusOf(error, secure) {
  if (error.slow) return secure ? 524 : 522;
  if (secure) return 520;
  switch (error.code) {
    case 'ECONNREFUSED': return 521;
    case 'ETIMEDOUT': return 522;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH': return 523;
    case 'ECONNRESET':
    case 'EPIPE': return error.connected ? 525 : 522;
    default: return /certificate|CERT|self.signed|altname/i.test(`${error.code} ${error.message}`) ? 526 : 525;
  }
}

function fail(response, status, detail) {
  if (response.headersSent || response.destroyed) return response.destroy();
  const headers = { 'cf-error-type': String(status), 'cf-error-origin': 'edge', 'x-twin-detail': detail };
  response.writeHead(status, headers);
  response.end(`error code: ${status}\n`);
}

function serve(incoming, response) {
  const { method, url } = incoming;
  const { host, 'x-cf-blob': blob, ...rest } = incoming.headers;
  const asked = (blob && JSON.parse(blob).resolveOverride) || host;
  const addresses = addressesOf(asked);
  if (addresses.length === 0) return fail(response, 530, `1016 ${asked}`);
  const headers = { host };
  for (const [name, value] of Object.entries(rest)) if (!HOPS.has(name)) headers[name] = value;
  // As Cloudflare does in subrequests of one zone.
  if (headers['x-real-ip']) headers['cf-connecting-ip'] = headers['x-real-ip'];
  delete headers['x-real-ip'];
  headers['cf-ray'] ??= `${Math.random().toString(16).slice(2, 14)}-TWN`;
  headers['cf-worker'] = zone.name;
  const hasBody = 'content-length' in headers || 'transfer-encoding' in incoming.headers;
  let over = false;
  let current;
  response.on('close', () => { over = true; if (!response.writableFinished) current?.destroy(); });

  function attempt(address, others) {
    let secure = false;
    let connected = false;
    const options = {
      method, path: url, headers, host: address, port: 443, servername: host,
      agent: agentOf(address), rejectUnauthorized: zone.strict, secureContext: context,
    };
    const outgoing = ask(options);
    current = outgoing;
    const slow = () => outgoing.destroy(Object.assign(new Error('slow'), { slow: true }));
    let timer = setTimeout(slow, CONNECT_MS);
    const sendBody = () => {
      clearTimeout(timer);
      timer = setTimeout(slow, ANSWER_MS);
      if (hasBody) incoming.pipe(outgoing); else outgoing.end();
    };
    outgoing.on('socket', (socket) => {
      if (outgoing.reusedSocket) { secure = true; sendBody(); return; }
      socket.once('connect', () => { connected = true; });
      socket.once('secureConnect', () => { secure = true; sendBody(); });
    });
    outgoing.on('response', (answer) => {
      clearTimeout(timer);
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
      answer.on('aborted', () => response.destroy());
    });
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      if (over) return;
      error.connected = connected;
      const status = statusOf(error, secure);
      if (!secure && others.length > 0) return attempt(others[0], []);
      fail(response, status, `${address} ${error.code ?? error.message}`);
    });
  }
  attempt(addresses[0], addresses.slice(1, 2));
}

read();
process.on('SIGHUP', read);
const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, serve);
server.listen(8788, '127.0.0.1', () => console.log('ready'));
