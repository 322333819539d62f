// Tables and properties of the region table's order, without a runtime.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../../components/edge/worker/config.js';
import { readFileSync } from 'node:fs';
import { locate } from '../../../../components/edge/worker/places.js';
import { candidates } from '../../../../components/edge/worker/routing.js';

const US = { name: 'us', host: 'us.example.com', lat: 40.73, lon: -74.17 };
const EU = { name: 'eu', host: 'eu.example.com', lat: 50.11, lon: 8.68 };
const APAC = { name: 'apac', host: 'apac.example.com', lat: 1.35, lon: 103.82 };

const DENVER = { country: 'US', continent: 'NA', latitude: '39.74', longitude: '-104.98' };
const MADRID = { country: 'ES', continent: 'EU', latitude: '40.42', longitude: '-3.70' };
const TOKYO = { country: 'JP', continent: 'AS', latitude: '35.68', longitude: '139.69' };
const FIJI = { country: 'FJ', continent: 'OC', latitude: '-18.14', longitude: '178.44' };

function table(...regions) {
  const { config, problems } = parseConfig({ regions });
  assert.deepEqual(problems, []);
  return config.regions;
}

function names(regions, cf, visitor = '203.0.113.1') {
  return candidates(regions, cf, visitor).regions.map((region) => region.name).join(' ');
}

const visitors = Array.from({ length: 2000 }, (_, i) => `203.0.${i >> 8}.${i & 255}`);
const shareOf = (name, regions, cf) =>
  visitors.filter((visitor) => names(regions, cf, visitor).split(' ')[0] === name).length / 20;

const plain = table(US, EU, APAC);

for (const [what, regions, cf, expected] of [
  ['distance', plain, DENVER, 'us eu apac'],
  ['distance', plain, MADRID, 'eu us apac'],
  ['distance', plain, TOKYO, 'apac eu us'],
  ['distance over the date line', table(US, EU, { ...APAC, lat: 21.3, lon: -157.9 }), FIJI, 'apac us eu'],
  ['numbers instead of strings', plain, { latitude: 40.42, longitude: -3.7 }, 'eu us apac'],
  ['no cf', plain, undefined, 'us eu apac'],
  ['cf null', plain, null, 'us eu apac'],
  ['empty cf', plain, {}, 'us eu apac'],
  ['Tor, near its exit', plain, { ...TOKYO, country: 'T1' }, 'apac eu us'],
  ['unknown country', plain, { ...TOKYO, country: 'XX' }, 'apac eu us'],
  ['Tor, no continent of its own', table(US, EU, { ...APAC, continents: ['EU'] }), { ...MADRID, country: 'T1' }, 'eu us apac'],
  ['Tor, no coordinates', plain, { country: 'T1', continent: 'T1', colo: 'NRT' }, 'apac eu us'],
  ['a country alone', plain, { country: 'DE', continent: 'EU' }, 'eu us apac'],
  ['a country alone, table by the alphabet', table(APAC, EU, US), { country: 'DE' }, 'eu us apac'],
  ['a continent alone', table(APAC, EU, US), { continent: 'NA' }, 'us eu apac'],
  ['a country before the continent', plain, { country: 'JP', continent: 'EU' }, 'apac eu us'],
  ['a country of no table', table(APAC, EU, US), { country: 'ZZ', continent: 'EU' }, 'eu us apac'],
  ['the data centre alone', table(APAC, EU, US), { colo: 'FRA' }, 'eu us apac'],
  ['a data centre of no table', table(APAC, EU, US), { colo: 'ZZZ' }, 'apac eu us'],
  ['latitude alone', plain, { latitude: '1' }, 'us eu apac'],
  ['latitude empty', plain, { latitude: '', longitude: '' }, 'us eu apac'],
  ['country before distance', table(US, EU, { ...APAC, countries: ['ES'] }), MADRID, 'apac eu us'],
  ['continent before distance', table({ ...US, continents: ['EU'] }, EU, APAC), MADRID, 'us eu apac'],
  ['country before continent', table({ ...US, continents: ['EU'] }, EU, { ...APAC, countries: ['ES'] }), MADRID, 'apac us eu'],
  ['distance within a country', table({ ...APAC, countries: ['US'] }, { ...US, countries: ['US'] }, EU), DENVER, 'us apac eu'],
  ['country without coordinates', table(US, EU, { ...APAC, countries: ['JP'] }), { country: 'JP' }, 'apac eu us'],
  ['continent without country', table(US, EU, { ...APAC, continents: ['AS'] }), { continent: 'AS' }, 'apac eu us'],
  ['drain', table(US, { ...EU, drain: true }, APAC), MADRID, 'us apac'],
  ['all drained', table({ ...US, drain: true }), DENVER, ''],
  ['strict', table(US, { ...EU, strict: true }, APAC), MADRID, 'eu'],
  ['strict takes others in', table(US, { ...EU, strict: true }, APAC), DENVER, 'us eu apac'],
  ['strict and drained', table(US, { ...EU, strict: true, drain: true }, APAC), MADRID, ''],
  ['strict pair by continent', table(US, { ...EU, strict: true, continents: ['EU'] }, { ...APAC, strict: true, continents: ['EU'] }), MADRID, 'eu apac'],
  ['strict, other without a claim', table({ ...US, strict: true }, { ...EU, strict: true, continents: ['EU'] }, APAC), MADRID, 'eu'],
  ['strict by distance alone', table({ ...US, strict: true }, { ...EU, strict: true }, APAC), MADRID, 'eu'],
  ['strict first in the table, no cf', table({ ...US, strict: true }, EU, APAC), undefined, 'us eu apac'],
  ['strict by the data centre', table({ ...US, strict: true }, EU, APAC), { colo: 'EWR' }, 'us eu apac'],
  ['strict, Tor', table({ ...US, strict: true }, EU, APAC), { ...DENVER, country: 'T1' }, 'us eu apac'],
  ['strict by the country alone', table({ ...US, strict: true }, EU, APAC), { country: 'US' }, 'us'],
  ['strict by a claimed continent', table(US, { ...EU, strict: true, continents: ['AN'] }, APAC), { continent: 'AN' }, 'eu'],
  ['strict, its canary is not', table(US, { ...EU, name: 'eu-canary', host: 'eu-canary.example.com', weight: 5 }, { ...EU, strict: true }), MADRID, 'eu'],
  ['weight 0 backs up only', table({ ...US, weight: 0 }, EU, APAC), DENVER, 'eu us apac'],
]) {
  test(`${what}: ${expected || 'none'}`, () => assert.equal(names(regions, cf), expected));
}

test('the order of the stack file, where nothing is known', () => {
  const { config, problems } = parseConfig({ regions: [APAC, EU, US], defaultRegions: ['us', 'eu'] });
  assert.deepEqual(problems, []);
  assert.equal(names(config.site.regions, undefined), 'us eu apac');
  assert.equal(names(config.site.regions, TOKYO), 'apac eu us');
});

test('every country of ISO 3166-1 lies somewhere', () => {
  const source = readFileSync(new URL('../../../../infra/settings/countries.py', import.meta.url), 'utf8');
  const codes = new Set(source.match(/_CODES = """([\sA-Z]+)"""/)[1].trim().split(/\s+/));
  assert.ok(codes.size > 200, String(codes.size));
  for (const country of codes) {
    const at = locate({ country });
    assert.ok(at && Math.abs(at.lat) <= 90 && Math.abs(at.lon) <= 180, country);
  }
});

test('a canary takes its share, and stays the first to back up', () => {
  const regions = table({ ...EU, name: 'canary', host: 'canary.example.com', weight: 5 }, US, EU, APAC);
  assert.ok(Math.abs(shareOf('canary', regions, MADRID) - 5) < 2);
  assert.ok(Math.abs(shareOf('eu', regions, MADRID) - 95) < 2);
  assert.equal(shareOf('canary', regions, DENVER), 0);
  const other = visitors.find((visitor) => names(regions, MADRID, visitor).startsWith('eu'));
  assert.equal(names(regions, MADRID, other), 'eu canary us apac');
});

test('weights of regions in one place are their shares', () => {
  const regions = table({ ...EU, weight: 70 }, { ...EU, name: 'eu-2', host: 'eu-2.example.com', weight: 30 }, US);
  assert.ok(Math.abs(shareOf('eu', regions, MADRID) - 70) < 4);
  assert.ok(Math.abs(shareOf('eu-2', regions, MADRID) - 30) < 4);
});

test('a network of IPv6 stays together', () => {
  const regions = table({ ...EU, weight: 50 }, { ...EU, name: 'eu-2', host: 'eu-2.example.com', weight: 50 });
  const first = (visitor) => names(regions, MADRID, visitor).split(' ')[0];
  const found = new Set();
  for (let i = 0; i < 64; i += 1) {
    const net = `2001:db8:0:${i.toString(16)}`;
    const homes = new Set(['::1', ':1:2:3:4', ':ffff:0:0:9'].map((host) => first(net + host)));
    homes.add(first(`2001:0db8:0000:${i.toString(16).padStart(4, '0')}::7`));
    assert.equal(homes.size, 1, net);
    found.add([...homes][0]);
  }
  assert.equal(found.size, 2);
  assert.equal(first('::1'), first('0:0:0:0:0:0:0:2'));
});

test('a visitor without an address is no canary', () => {
  const canary = { ...EU, name: 'canary', host: 'canary.example.com', weight: 40 };
  assert.equal(names(table(canary, EU, US), MADRID, ''), 'eu canary us');
  assert.equal(names(table({ ...EU, weight: 70 }, { ...canary, weight: 30 }, US), MADRID, ''), 'eu canary us');
});

test('a visitor stays where he is', () => {
  const regions = table({ ...EU, weight: 50 }, { ...EU, name: 'eu-2', host: 'eu-2.example.com', weight: 50 });
  for (const visitor of visitors.slice(0, 100)) {
    assert.equal(names(regions, MADRID, visitor), names(regions, MADRID, visitor));
  }
  assert.ok(new Set(visitors.map((visitor) => names(regions, MADRID, visitor))).size === 2);
});

/** A generator of numbers from 0 to 1 that a failing case can be repeated with (mulberry32). */
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

test('properties, on random tables and visitors', () => {
  const continents = ['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA'];
  const countries = ['US', 'ES', 'JP', 'FJ', 'DE', 'XX', 'T1'];
  for (let seed = 0; seed < 3000; seed += 1) {
    const next = numbers(seed);
    const pick = (list) => list[Math.floor(next() * list.length)];
    const maybe = (value) => (next() < 0.5 ? value : undefined);
    const regions = table(...Array.from({ length: 1 + Math.floor(next() * 6) }, (_, i) => ({
      name: `r${i}`,
      host: `r${i}.example.com`,
      lat: next() * 180 - 90,
      lon: next() * 360 - 180,
      countries: next() < 0.3 ? [pick(countries.slice(0, 5))] : [],
      continents: next() < 0.3 ? [pick(continents)] : [],
      weight: next() < 0.3 ? Math.floor(next() * 101) : 100,
      drain: next() < 0.2,
      strict: next() < 0.2,
    })));
    const cf = maybe({
      country: maybe(pick(countries)),
      continent: maybe(pick(continents)),
      latitude: maybe(String(next() * 180 - 90)),
      longitude: maybe(String(next() * 360 - 180)),
    });
    const { regions: found, strict } = candidates(regions, cf, `198.51.100.${seed % 256}`);
    const open = regions.filter((region) => !region.drain);
    assert.ok(found.every((region) => open.includes(region)), `seed ${seed}: drained or unknown`);
    assert.equal(new Set(found).size, found.length, `seed ${seed}: twice`);
    if (strict) assert.ok(found.every((region) => region.strict), `seed ${seed}: left strict`);
    else assert.equal(found.length, open.length, `seed ${seed}: some left out`);
    assert.deepEqual(candidates(regions, cf, `198.51.100.${seed % 256}`).regions, found, `seed ${seed}`);
  }
});

for (const [what, raw, problem] of [
  ['no CONFIG', undefined, 'CONFIG must be a JSON object, got undefined'],
  ['text', '{}', 'CONFIG must be a JSON object, got "{}"'],
  ['no regions', {}, 'CONFIG.regions must be a list of at least one region'],
  ['no host', { regions: [{ ...US, host: undefined }] }, 'CONFIG.regions[0].host must be a host name, got undefined'],
  ['latitude', { regions: [US, { ...EU, lat: 91 }] }, 'CONFIG.regions[1].lat must be degrees from -90 to 90, got 91'],
  ['latitude as text', { regions: [{ ...US, lat: '40' }] }, 'CONFIG.regions[0].lat must be degrees from -90 to 90, got "40"'],
  ['country', { regions: [{ ...US, countries: ['us'] }] }, 'CONFIG.regions[0].countries must be a list of two-letter codes, upper case, got ["us"]'],
  ['continent', { regions: [{ ...US, continents: ['XX'] }] }, 'CONFIG.regions[0].continents must be a list out of AF AN AS EU NA OC SA, got ["XX"]'],
  ['twice', { regions: [US, { ...EU, name: 'us' }] }, 'CONFIG.regions has name "us" more than once'],
  ['timer', { regions: [US], hedgeAfterMs: 19000 }, 'CONFIG.hedgeAfterMs must be milliseconds from 0 (never) to 18000, got 19000'],
  ['host’s region', { regions: [US], hosts: { 'a.example': { regions: ['eu'] } } }, 'CONFIG.hosts.a.example.regions must be a list out of us, got ["eu"]'],
  ['host’s path', { regions: [US], hosts: { 'a.example': { healthPath: 1 } } }, 'CONFIG.hosts.a.example.healthPath must be a path that begins with /, got 1'],
  ['ejection', { regions: [US], outlierDetection: { maxEjectionPercent: 101 } }, 'CONFIG.outlierDetection.maxEjectionPercent must be percent from 0 to 100, got 101'],
  ['affinity', { regions: [US], affinitySeconds: -1 }, 'CONFIG.affinitySeconds must be seconds from 0 (no cookie) to 2592000, got -1'],
  ['response headers', { regions: [US], responseHeaders: 'all' }, 'CONFIG.responseHeaders must be one of region server-timing none, got "all"'],
  ['path', { regions: [US], healthPath: 'healthz' }, 'CONFIG.healthPath must be a path that begins with /, got "healthz"'],
]) {
  test(`malformed: ${what}`, () => assert.ok(parseConfig(raw).problems.includes(problem), parseConfig(raw).problems.join('\n')));
}

test('more regions than subrequests allow', () => {
  const regions = Array.from({ length: 21 }, (_, i) => ({ ...US, name: `r${i}`, host: `r${i}.example.com` }));
  assert.deepEqual(parseConfig({ regions }).problems, ['CONFIG.regions has 21 regions, at most 20 are allowed']);
});
