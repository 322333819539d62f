/**
 * Writes worker.js, the one module that is uploaded: the modules one after another, without their
 * imports. `--check` says whether worker.js is in step with them.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const MODULES = [
  'log',
  'config',
  'places',
  'routing',
  'region_health',
  'outliers',
  'sites',
  'failover',
  'metrics',
  'forwarding',
  'pages',
  'probe',
  'affinity',
  'proxy',
  'status_page',
  'status',
  'main',
];
const here = new URL('./', import.meta.url);
/** @param {string} name */
const read = (name) => readFileSync(new URL(name, here), 'utf8');

/** @param {string} name */
function section(name) {
  const code = read(`${name}.js`)
    .replace(/^import .* from '.*';\n/gm, '')
    .replace(/^\/\*\* @import .*\*\/\n/gm, '')
    .replace(/^export (?!default)/gm, '')
    .trim();
  if (/^import|^export (?!default)/m.test(code))
    throw new Error(`${name}.js: keep each import on one line`);
  return `// ---- ${name}.js ----\n\n${code}\n`;
}

const joined = [read('head.txt'), ...MODULES.map(section)].join('\n');

if (!process.argv.includes('--check')) {
  writeFileSync(new URL('worker.js', here), joined);
} else if (joined !== read('worker.js')) {
  console.error(
    'components/edge/worker/worker.js is out of step: run `node components/edge/worker/join.mjs`',
  );
  process.exitCode = 1;
}
