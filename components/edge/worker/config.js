/** @import {Config, OutlierDetection, Region, Site} from './types.js' */

const CONTINENTS = new Set(['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA']);

// A request and a cron run ask every region at most twice; the free plan allows 50 subrequests.
const MAX_REGIONS = 20;

const RESPONSE_HEADERS = ['region', 'server-timing', 'none'];

const DEFAULTS = {
  hedgeAfterMs: 3000,
  retryOn5xx: true,
  retryIdempotencyKey: false,
  maintenance: false,
  healthPath: '/healthz',
  downMs: 10_000,
};

/** @type {OutlierDetection} */
const OUTLIERS = {
  consecutiveGatewayFailure: 5,
  failurePercentageThreshold: 50,
  failurePercentageRequestVolume: 20,
  maxEjectionPercent: 50,
  baseEjectionMs: 30_000,
};

/**
 * Checks the CONFIG binding.
 *
 * @param {unknown} raw value of the binding
 * @returns {{config: Config, problems: string[]}} `config` may be used only if there are no problems
 */
export function parseConfig(raw) {
  /** @type {string[]} */
  const problems = [];
  const table = isRecord(raw) ? raw : {};
  if (!isRecord(raw)) problems.push(`CONFIG must be a JSON object, got ${show(raw)}`);

  const entries = Array.isArray(table.regions) ? table.regions : [];
  if (entries.length === 0) problems.push('CONFIG.regions must be a list of at least one region');
  if (entries.length > MAX_REGIONS) {
    problems.push(
      `CONFIG.regions has ${entries.length} regions, at most ${MAX_REGIONS} are allowed`,
    );
  }
  const regions = entries.map((entry, index) =>
    parseRegion(entry, `CONFIG.regions[${index}]`, problems),
  );
  for (const key of /** @type {const} */ (['name', 'host'])) {
    const values = regions.map((region) => region[key]);
    for (const value of new Set(values.filter((v, i) => values.indexOf(v) !== i))) {
      problems.push(`CONFIG.regions has ${key} ${show(value)} more than once`);
    }
  }

  const check = checker(table, 'CONFIG', problems);
  const names = regions.map((region) => region.name);
  /** @param {unknown} value */
  const isRegion = (value) => names.includes(/** @type {string} */ (value));
  /** @type {string[]} */
  const first = check('defaultRegions', [], isListOf(isRegion), `a list out of ${names.join(' ')}`);
  const rest = regions.filter((region) => !first.includes(region.name));
  const ordered = [...first.flatMap((name) => regions.filter((r) => r.name === name)), ...rest];
  /** @type {Site} */
  const site = { regions: ordered, ...hostOptions(check, { ...DEFAULTS, healthPath: undefined }) };
  /** @type {[string, Record<string, unknown>][]} */
  const hosts = Object.entries(check('hosts', {}, isRecord, 'an object of hosts'));
  return {
    problems,
    config: {
      regions,
      strict: regions.some((region) => region.strict),
      site,
      hosts: new Map(
        hosts.map(([host, raw]) => [host, parseHost(raw, `CONFIG.hosts.${host}`, site, problems)]),
      ),
      outlierDetection: parseOutliers(
        check('outlierDetection', {}, isRecord, 'an object'),
        problems,
      ),
      healthPath: check('healthPath', DEFAULTS.healthPath, isPath, 'a path that begins with /'),
      downMs: check(
        'downMs',
        DEFAULTS.downMs,
        isWithin(1, 600_000),
        'milliseconds from 1 to 600000',
      ),
      maintenanceRetryAfter: check(
        'maintenanceRetryAfter',
        3600,
        isWithin(1, 604_800),
        'seconds from 1 to 604800',
      ),
      affinitySeconds: check(
        'affinitySeconds',
        0,
        isWithin(0, 2_592_000),
        'seconds from 0 (no cookie) to 2592000',
      ),
      responseHeaders: check(
        'responseHeaders',
        RESPONSE_HEADERS[0],
        (value) => RESPONSE_HEADERS.includes(/** @type {string} */ (value)),
        `one of ${RESPONSE_HEADERS.join(' ')}`,
      ),
    },
  };
}

/** @typedef {(key: string, fallback: any, valid: (value: unknown) => boolean, wanted: string) => any} Check */

/** @type {(check: Check, defaults: Omit<Site, 'regions'>) => Omit<Site, 'regions'>} */
const hostOptions = (check, { hedgeAfterMs, retryOn5xx, retryIdempotencyKey, maintenance }) => ({
  hedgeAfterMs: check(
    'hedgeAfterMs',
    hedgeAfterMs,
    isWithin(0, 18_000),
    'milliseconds from 0 (never) to 18000',
  ),
  retryOn5xx: check('retryOn5xx', retryOn5xx, isBoolean, 'true or false'),
  retryIdempotencyKey: check(
    'retryIdempotencyKey',
    retryIdempotencyKey,
    isBoolean,
    'true or false',
  ),
  maintenance: check('maintenance', maintenance, isBoolean, 'true or false'),
});

/**
 * What one of the site's hosts has of its own.
 *
 * @type {(raw: unknown, where: string, site: Site, problems: string[]) => Site}
 */
function parseHost(raw, where, site, problems) {
  if (!isRecord(raw)) problems.push(`${where} must be an object, got ${show(raw)}`);
  const check = checker(isRecord(raw) ? raw : {}, where, problems);
  const names = site.regions.map((region) => region.name);
  /** @param {unknown} value */
  const isRegion = (value) => names.includes(/** @type {string} */ (value));
  /** @type {string[]} */
  const serving = check('regions', names, isListOf(isRegion), `a list out of ${names.join(' ')}`);
  return {
    ...hostOptions(check, site),
    regions: site.regions.filter((region) => serving.includes(region.name)),
    healthPath: check(
      'healthPath',
      undefined,
      (value) => value === undefined || isPath(value),
      'a path that begins with /',
    ),
  };
}

/** @type {(raw: Record<string, unknown>, problems: string[]) => OutlierDetection} */
function parseOutliers(raw, problems) {
  const check = checker(raw, 'CONFIG.outlierDetection', problems);
  const percent = isWithin(0, 100);
  const keys = /** @type {const} */ ([
    ['consecutiveGatewayFailure', isWithin(1, 1000), 'a number from 1 to 1000'],
    ['failurePercentageThreshold', percent, 'percent from 0 to 100'],
    ['failurePercentageRequestVolume', isWithin(1, 1e6), 'a number from 1 to 1000000'],
    ['maxEjectionPercent', percent, 'percent from 0 to 100'],
    ['baseEjectionMs', isWithin(1, 600_000), 'milliseconds from 1 to 600000'],
  ]);
  const entries = keys.map(([key, valid, wanted]) => [key, check(key, OUTLIERS[key], valid, wanted)]);
  return Object.fromEntries(entries);
}

/**
 * @param {unknown} raw
 * @param {string} where
 * @param {string[]} problems
 * @returns {Region}
 */
function parseRegion(raw, where, problems) {
  if (!isRecord(raw)) problems.push(`${where} must be an object, got ${show(raw)}`);
  const check = checker(isRecord(raw) ? raw : {}, where, problems);
  return {
    name: check('name', undefined, isLabel, 'lower-case letters, digits and hyphens'),
    host: check('host', undefined, isHost, 'a host name'),
    lat: check('lat', undefined, isWithin(-90, 90), 'degrees from -90 to 90'),
    lon: check('lon', undefined, isWithin(-180, 180), 'degrees from -180 to 180'),
    countries: check(
      'countries',
      [],
      isListOf(isCountry),
      'a list of two-letter codes, upper case',
    ),
    continents: check(
      'continents',
      [],
      isListOf(isContinent),
      `a list out of ${[...CONTINENTS].join(' ')}`,
    ),
    weight: check('weight', 100, isWithin(0, 100), 'percent from 0 to 100'),
    drain: check('drain', false, isBoolean, 'true or false'),
    strict: check('strict', false, isBoolean, 'true or false'),
  };
}

/**
 * @param {Record<string, unknown>} table
 * @param {string} where
 * @param {string[]} problems
 * @returns {Check}
 */
function checker(table, where, problems) {
  return (key, fallback, valid, wanted) => {
    const value = table[key] ?? fallback;
    if (!valid(value)) problems.push(`${where}.${key} must be ${wanted}, got ${show(value)}`);
    return value;
  };
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
const isRecord = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
/** @param {unknown} value */
const isBoolean = (value) => typeof value === 'boolean';
/** @param {unknown} value */
const isLabel = (value) =>
  typeof value === 'string' && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(value);
/** @param {unknown} value */
const isHost = (value) => typeof value === 'string' && /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(value);
/** @param {unknown} value */
const isPath = (value) => typeof value === 'string' && /^\/[^\s#]*$/.test(value);
/** @param {unknown} value */
const isCountry = (value) => typeof value === 'string' && /^[A-Z]{2}$/.test(value);
/** @param {unknown} value */
const isContinent = (value) => CONTINENTS.has(/** @type {string} */ (value));
/** @type {(low: number, high: number) => (value: unknown) => boolean} */
const isWithin = (low, high) => (value) =>
  typeof value === 'number' && value >= low && value <= high;
/** @type {(valid: (value: unknown) => boolean) => (value: unknown) => boolean} */
const isListOf = (valid) => (value) => Array.isArray(value) && value.every(valid);
/** @param {unknown} value */
const show = (value) => JSON.stringify(value)?.slice(0, 80) ?? String(value);
