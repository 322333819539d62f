// Visitors of the site: `node visitors.mjs FILE`, which says who they are, how many requests, how
// often and by which seed. Each request is one line of the file `out`, a JSON list:
// [sent (ms since the epoch), place, family, method, path, status, region, attempts, ms, detail]
// status 0: no answer, or not all of it. Nobody asks twice.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request as ask } from 'node:https';

const plan = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const ca = readFileSync(plan.ca, 'utf8');
const PATIENCE_MS = 60_000;
// They come little by little: connections have yet to be made, and programs to warm up.
const ALL_MS = 20_000;

// mulberry32: small, and the same everywhere.
let state = plan.seed >>> 0;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const pick = (list) => list[Math.floor(random() * list.length)];

const agents = new Map();
function agentOf(source) {
  if (!agents.has(source)) {
    agents.set(source, new Agent({ keepAlive: true, timeout: 30_000, ca, localAddress: source }));
  }
  return agents.get(source);
}

let lines = [];
function flush() {
  if (lines.length > 0) appendFileSync(plan.out, lines.join(''));
  lines = [];
}

let sent = 0;
let open = 0;
function visit() {
  const place = pick(plan.places);
  const family = random() < 0.5 ? 4 : 6;
  const source = pick(place[`sources${family}`]);
  const method = random() < plan.posts ? 'POST' : 'GET';
  const path = method === 'POST' ? `/orders/${plan.run}-${sent}` : `/page/${sent}`;
  const headers = { host: plan.host, 'user-agent': 'twin' };
  const body = method === 'POST' ? `order ${sent}` : undefined;
  if (body) headers['content-length'] = body.length;
  const at = Date.now();
  const began = performance.now();
  let told = false;
  const tell = (status, region, attempts, detail) => {
    if (told) return;
    told = true;
    open -= 1;
    const ms = Math.round((performance.now() - began) * 10) / 10;
    const row = [at, place.name, family, method, path, status, region, attempts, ms, detail];
    lines.push(`${JSON.stringify(row)}\n`);
  };
  sent += 1;
  open += 1;
  const asking = ask({
    method, path, headers, host: pick(plan[`addresses${family}`]), port: 443,
    servername: plan.host, agent: agentOf(source), localAddress: source,
  }, (answer) => {
    const { 'x-edge-region': region = '', 'x-edge-attempts': attempts = '1' } = answer.headers;
    let text = '';
    answer.on('data', (chunk) => { if (answer.statusCode >= 400) text += chunk; });
    const of = (status, detail) => tell(status, region, Number(attempts), detail);
    answer.on('end', () => of(answer.statusCode, text.replace(/<[^>]*>|\s+/g, ' ').trim().slice(0, 160)));
    answer.on('error', (error) => of(0, `broken off after the headers: ${error.message}`));
    answer.on('aborted', () => of(0, 'broken off after the headers'));
  });
  asking.setTimeout(PATIENCE_MS, () => asking.destroy(new Error('no answer in 60 s')));
  asking.on('error', (error) => tell(0, '', 0, `no answer: ${error.message}`));
  asking.end(body);
}

writeFileSync(plan.out, '');
const began = performance.now();
let due = 0;
let stopping = false;
process.on('SIGTERM', () => { stopping = true; });
const timer = setInterval(() => {
  const now = performance.now() - began;
  while (!stopping && sent < plan.requests && due <= now) {
    // No more than these at once: a visitor who waits doesn't ask again.
    if (open < plan.atOnce) visit();
    const share = Math.min(1, 0.1 + now / ALL_MS);
    due += (-Math.log(1 - random()) * 1000) / (plan.rate * share);
  }
  flush();
  if ((stopping || sent >= plan.requests) && open === 0) {
    clearInterval(timer);
    flush();
    console.log('done');
    process.exit(0);
  }
}, 5);
console.log('ready');
