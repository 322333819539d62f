/*
 * edgefleet's edge Worker. Joined from the modules beside it: edit those, then run
 * `node components/edge/worker/join.mjs`. docs/edge.md says what it does.
 *
 * Bindings:
 *
 *   CONFIG (json; required; at most 5 KB, Cloudflare's limit for one variable)
 *     regions       list of 1 to 20
 *       name        shown in x-edge-region: lower-case letters, digits, hyphens
 *       host        proxied host of the region in the same zone
 *       lat, lon    degrees
 *       countries   ISO 3166-1 codes served first from here; default none
 *       continents  out of AF AN AS EU NA OC SA; default none
 *       weight      percent of the visitors for whom it comes first that it takes; default 100
 *       drain       true: gets no visitors; default false
 *       strict      true: its visitors go nowhere else; default false
 *     defaultRegions  names, in the order used where a visitor's place isn't known; default: that
 *                   of the list
 *     hedgeAfterMs  how long a region may be silent before the next is asked as well; default
 *                   3000, 0: never
 *     retryOn5xx    502, 503, 504 move on, too; default true
 *     retryIdempotencyKey  what has the header Idempotency-Key may be sent again; default false
 *     healthPath    asked under the regions' own names; default /healthz
 *     maintenance   true: the page of maintenance instead of any region; default false
 *     maintenanceRetryAfter  seconds, its Retry-After; default 3600
 *     affinitySeconds  a cookie keeps a visitor in his region for so long; default 0: no cookie
 *     responseHeaders  region (x-edge-region, default), server-timing (that, too) or none
 *     hosts         by name of a host, what differs there: hedgeAfterMs, retryOn5xx,
 *                   retryIdempotencyKey, maintenance, regions (names; default all), healthPath (the application's; default none)
 *     outlierDetection  consecutiveGatewayFailure 5, failurePercentageThreshold 50,
 *                   failurePercentageRequestVolume 20, maxEjectionPercent 50, baseEjectionMs 30000
 *     downMs        how long a failure holds a region back; default 10000, up to half more by jitter
 *   HEALTH (KV namespace; without it isolates know only what their own requests met)
 *   METRICS (Analytics Engine; without it nothing is counted)
 *   STATUS_TOKEN (secret; without it /.edge/status is a path like any other)
 *   PAGE_MAINTENANCE, PAGE_UNAVAILABLE, PAGE_UNCLEAR, PAGE_ERROR (text; HTML of the site's own)
 *   ORIGIN_SECRET (secret) and ORIGIN_SECRET_HEADER (text): a header for the origin; both or none
 */

// ---- log.js ----

/**
 * Workers Logs makes fields of an object, and only of one given as it is.
 *
 * @type {(event: string, fields: Record<string, unknown>) => void}
 */
function log(event, fields) {
  console.log({ event, ...fields });
}

// ---- config.js ----

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
function parseConfig(raw) {
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

// ---- places.js ----

// Where most people of a country live, in whole degrees: for visitors of whom Cloudflare knows the
// country only. Among continents a few degrees decide nothing.
const COUNTRY_PLACES =
  'AD42,2 AE25,55 AF34,68 AG17,-62 AI18,-63 AL41,20 AM40,44 AO-10,14 AQ-78,166 AR-34,-61 AS-14,-171 ' +
  'AT48,15 AU-34,148 AW13,-70 AX60,20 AZ40,49 BA44,18 BB13,-60 BD24,90 BE51,4 BF12,-2 BG42,24 ' +
  'BH26,51 BI-3,30 BJ7,2 BL18,-63 BM32,-65 BN5,115 BO-17,-66 BQ12,-68 BR-20,-46 BS25,-77 BT27,90 ' +
  'BV-54,3 BW-24,26 BY54,28 BZ17,-88 CA46,-80 CC-12,97 CD-4,20 CF5,18 CG-4,15 CH47,8 CI6,-5 CK-21,-160 ' +
  'CL-33,-71 CM5,11 CN33,114 CO5,-75 CR10,-84 CU23,-81 CV15,-24 CW12,-69 CX-10,106 CY35,33 CZ50,15 ' +
  'DE51,10 DJ12,43 DK56,11 DM15,-61 DO19,-70 DZ36,3 EC-1,-79 EE59,25 EG30,31 EH25,-14 ER15,39 ' +
  'ES40,-3 ET9,39 FI61,25 FJ-18,178 FK-52,-58 FM7,158 FO62,-7 FR47,3 GA0,10 GB52,-1 GD12,-62 GE42,44 ' +
  'GF5,-53 GG49,-3 GH6,-1 GI36,-5 GL64,-52 GM13,-16 GN10,-12 GP16,-62 GQ3,10 GR38,23 GS-54,-37 ' +
  'GT15,-91 GU13,145 GW12,-15 GY7,-58 HK22,114 HM-53,73 HN15,-87 HR45,16 HT19,-72 HU47,19 ID-7,110 ' +
  'IE53,-7 IL32,35 IM54,-5 IN22,79 IO-7,72 IQ33,44 IR34,52 IS64,-22 IT43,12 JE49,-2 JM18,-77 JO32,36 ' +
  'JP36,138 KE-1,37 KG42,74 KH12,105 KI1,173 KM-12,43 KN17,-63 KP39,126 KR37,128 KW29,48 KY19,-81 ' +
  'KZ46,73 LA18,103 LB34,36 LC14,-61 LI47,10 LK7,80 LR6,-11 LS-29,28 LT55,24 LU50,6 LV57,24 LY32,15 ' +
  'MA33,-7 MC44,7 MD47,29 ME42,19 MF18,-63 MG-19,47 MH7,171 MK42,21 ML13,-7 MM19,96 MN48,107 MO22,114 ' +
  'MP15,146 MQ15,-61 MR18,-15 MS17,-62 MT36,14 MU-20,57 MV4,73 MW-14,34 MX20,-99 MY4,102 MZ-20,35 ' +
  'NA-22,17 NC-22,166 NE14,6 NF-29,168 NG9,7 NI12,-86 NL52,5 NO60,10 NP28,85 NR-1,167 NU-19,-170 ' +
  'NZ-39,175 OM23,58 PA9,-80 PE-11,-77 PF-18,-149 PG-6,145 PH13,122 PK31,72 PL52,19 PM47,-56 PN-25,-130 ' +
  'PR18,-66 PS32,35 PT40,-8 PW7,134 PY-25,-57 QA25,51 RE-21,56 RO45,25 RS44,21 RU55,45 RW-2,30 SA24,45 ' +
  'SB-9,160 SC-5,55 SD15,32 SE59,16 SG1,104 SH-16,-6 SI46,15 SJ78,16 SK48,19 SL8,-12 SM44,12 SN15,-17 ' +
  'SO3,45 SR6,-55 SS6,31 ST0,7 SV14,-89 SX18,-63 SY35,37 SZ-26,31 TC22,-72 TD11,16 TF-49,70 TG7,1 ' +
  'TH14,101 TJ38,69 TK-9,-172 TL-9,126 TM38,59 TN36,10 TO-21,-175 TR40,32 TT10,-61 TV-9,179 TW24,121 ' +
  'TZ-6,36 UA49,31 UG1,32 UM19,167 US39,-91 UY-34,-56 UZ41,67 VA42,12 VC13,-61 VE10,-67 VG18,-65 ' +
  'VI18,-65 VN16,107 VU-17,168 WF-13,-176 WS-14,-172 XK43,21 YE15,45 YT-13,45 ZA-28,28 ZM-14,28 ZW-19,30';

const CONTINENT_PLACES = 'AF5,20 AN-78,0 AS25,95 EU49,12 NA39,-92 OC-33,148 SA-18,-55';

// Cloudflare's larger data centres, by the codes of their airports, in whole degrees. Both tables are
// written down from what is generally known, not read from a list.
const COLO_PLACES =
  'ACC6,0 ADL-35,139 AKL-37,175 ALA43,77 AMM32,36 AMS52,5 ARN60,18 ATH38,24 ATL34,-84 BAH26,51 BCN41,2 ' +
  'BEG45,20 BEY34,35 BKK14,101 BLR13,78 BNE-27,153 BOG5,-74 BOM19,73 BOS42,-71 BRU51,4 BUD47,19 ' +
  'CAI30,31 CDG49,3 CGK-6,107 CMB7,80 CMN33,-8 CPH56,13 CPT-34,19 DAC24,90 DEL29,77 DEN40,-105 DFW33,-97 ' +
  'DKR15,-17 DME55,38 DOH25,52 DTW42,-83 DUB53,-6 DUS51,7 DXB25,55 EVN40,44 EWR41,-74 EZE-35,-59 ' +
  'FCO42,12 FOR-4,-39 FRA50,9 GIG-23,-43 GRU-23,-46 GVA46,6 HAM54,10 HAN21,106 HEL60,25 HKG22,114 ' +
  'HNL21,-158 HYD17,78 IAD39,-77 IAH30,-95 ICN37,126 IST41,29 JED22,39 JNB-26,28 KBP50,31 KHI25,67 ' +
  'KIX34,135 KTM28,85 KUL3,102 LAX34,-118 LHR51,0 LIM-12,-77 LIS39,-9 LOS7,3 MAA13,80 MAD40,-4 MAN53,-2 ' +
  'MCI39,-95 MCT24,58 MEL-38,145 MEX19,-99 MIA26,-80 MNL15,121 MRS43,5 MSP45,-93 MUC48,12 MXP46,9 ' +
  'NBO-1,37 NRT36,140 ORD42,-88 OSL60,11 OTP45,26 PDX46,-123 PER-32,116 PHL40,-75 PHX33,-112 PRG50,14 ' +
  'PTY9,-79 RIX57,24 RUH25,47 SCL-33,-71 SEA47,-122 SGN11,107 SIN1,104 SJC37,-122 SLC41,-112 SOF43,23 ' +
  'SVO56,37 SYD-34,151 TBS42,45 TLL59,25 TLV32,35 TPE25,121 TUN37,10 UIO0,-78 VIE48,17 VNO55,25 WAW52,21 ' +
  'YUL45,-74 YVR49,-123 YYZ44,-80 ZRH47,9';

/** @typedef {{lat: number, lon: number, isVisitors: boolean}} Located */

/** @type {Map<string, Map<string, [number, number]>>} */
const read = new Map();

/** @type {(table: string, key: string | null | undefined) => [number, number] | undefined} */
function find(table, key) {
  if (!key) return undefined;
  let rows = read.get(table);
  if (!rows) {
    rows = new Map();
    for (const [, name, lat, lon] of table.matchAll(/([A-Z]+)(-?\d+),(-?\d+)/g)) {
      rows.set(name, [Number(lat), Number(lon)]);
    }
    read.set(table, rows);
  }
  return rows.get(key);
}

/** T1 is Tor and XX unknown: the rest of cf says where the exit is. @param {Place} place */
const isHidden = ({ country }) => country === 'T1' || country === 'XX';

/**
 * Where a visitor is, as well as Cloudflare says it: his coordinates, else his country's, else his
 * continent's, else those of the data centre that he came to.
 *
 * @param {Place} place
 * @returns {Located | undefined} degrees; `isVisitors` is false where it is only where his
 *   connection comes from: the best for latency, but no claim on him
 */
function locate(place) {
  const lat = parseFloat(/** @type {string} */ (place.latitude));
  const lon = parseFloat(/** @type {string} */ (place.longitude));
  const hidden = isHidden(place);
  if (Number.isFinite(lat) && Number.isFinite(lon)) return { lat, lon, isVisitors: !hidden };
  const own = hidden
    ? undefined
    : (find(COUNTRY_PLACES, place.country) ?? find(CONTINENT_PLACES, place.continent));
  const found = own ?? find(COLO_PLACES, place.colo);
  return found && { lat: found[0], lon: found[1], isVisitors: own !== undefined };
}

// ---- routing.js ----

const BY_COUNTRY = 0;
const BY_CONTINENT = 1;
const BY_DISTANCE = 2;

const RADIANS = Math.PI / 180;

/**
 * The regions that may serve a visitor, best first.
 *
 * Order: regions that name the visitor's country, regions that name the continent, the others;
 * within each by distance, then by the table. Of the regions that come first, `weight` picks one
 * by the visitor's address, so that a visitor stays where he is.
 *
 * A visitor who could come first to a strict region gets strict regions only: those he could come
 * first to, and those that name his country or continent in the same way. Not one whose place isn't
 * known: the table's order alone binds nobody.
 *
 * @param {Region[]} regions the table
 * @param {Place | null | undefined} cf
 * @param {string} visitor the visitor's address
 * @returns {{regions: Region[], strict: boolean}} without drained regions; may be empty
 */
function candidates(regions, cf, visitor) {
  const { ranked, isPlaced } = rank(regions, cf);
  const firsts = takesFirst(ranked);
  const home = isPlaced ? firsts.find(({ region }) => region.strict) : undefined;
  const eligible = home
    ? ranked.filter(
        (r) =>
          r.region.strict &&
          (firsts.includes(r) || (r.rule === home.rule && r.rule !== BY_DISTANCE)),
      )
    : ranked;
  const open = eligible.map((r) => r.region).filter((region) => !region.drain);
  return { regions: weighted(open, visitor), strict: home !== undefined };
}

/**
 * @typedef {{region: Region, rule: number, distance: number}} Ranked
 * @param {Region[]} regions
 * @param {Place | null | undefined} cf
 * @returns {{ranked: Ranked[], isPlaced: boolean}} whether the visitor's own place is known
 */
function rank(regions, cf) {
  const place = cf ?? {};
  const at = locate(place);
  const named = isHidden(place) ? {} : place;
  const ranked = regions
    .map((region) => ({
      region,
      rule: rule(region, named),
      distance: at ? distance(at.lat, at.lon, region.lat, region.lon) : 0,
    }))
    .sort((a, b) => a.rule - b.rule || a.distance - b.distance);
  return { ranked, isPlaced: at?.isVisitors === true || ranked[0]?.rule < BY_DISTANCE };
}

/**
 * @param {Region} region
 * @param {Place} place
 */
function rule(region, place) {
  if (place.country && region.countries.includes(place.country)) return BY_COUNTRY;
  if (place.continent && region.continents.includes(place.continent)) return BY_CONTINENT;
  return BY_DISTANCE;
}

/**
 * Haversine of the angle between two points, given in degrees: 0 at one point, 1 at its antipode,
 * growing with the distance.
 *
 * @type {(lat1: number, lon1: number, lat2: number, lon2: number) => number}
 */
function distance(lat1, lon1, lat2, lon2) {
  const dLat = Math.sin(((lat2 - lat1) * RADIANS) / 2);
  const dLon = Math.sin(((lon2 - lon1) * RADIANS) / 2);
  return dLat * dLat + Math.cos(lat1 * RADIANS) * Math.cos(lat2 * RADIANS) * dLon * dLon;
}

/**
 * The regions among which weights pick: from the best on, until all visitors are taken.
 *
 * @param {Ranked[]} ranked
 */
function takesFirst(ranked) {
  let taken = 0;
  return ranked.filter(({ region }) => {
    const reached = taken < 100;
    taken += region.weight;
    return reached && region.weight > 0;
  });
}

/**
 * Moves the region that takes this visitor to the front; the others back it up in their order.
 *
 * @param {Region[]} regions
 * @param {string} visitor
 */
function weighted(regions, visitor) {
  if (regions.length < 2 || regions[0].weight === 100) return regions;
  // Whoever has no address is no canary.
  let share = visitor ? percentile(network(visitor)) : heaviest(regions);
  for (const region of regions) {
    if (share < region.weight) return [region, ...regions.filter((other) => other !== region)];
    share -= region.weight;
  }
  return regions;
}

/**
 * A number that the region of the most weight takes, of those that share the visitors.
 *
 * @param {Region[]} regions
 */
function heaviest(regions) {
  let taken = 0;
  let found = 0;
  let most = 0;
  for (const { weight } of regions) {
    if (taken >= 100) break;
    if (weight > most) [found, most] = [taken, weight];
    taken += weight;
  }
  return found;
}

/**
 * What of an address stays the same: of IPv6 the first 64 bits, as the rest changes from day to day
 * (RFC 8981).
 *
 * @param {string} address
 */
function network(address) {
  if (!address.includes(':')) return address;
  const [head, tail] = address.split('::').map((part) => (part ? part.split(':') : []));
  const zeros = tail ? Array(Math.max(0, 8 - head.length - tail.length)).fill('0') : [];
  const groups = [...head, ...zeros, ...(tail ?? [])];
  return groups.slice(0, 4).map((group) => parseInt(group, 16)).join(':');
}

/**
 * A stable number from 0 to 99 for an address (FNV-1a, finished as in MurmurHash3: addresses
 * differ in their last digits only).
 *
 * @param {string} visitor
 */
function percentile(visitor) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < visitor.length; i += 1) {
    hash = Math.imul(hash ^ visitor.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % 100;
}

// ---- region_health.js ----

// Should the cron stop, a verdict that nobody confirmed for so long no longer holds a region back,
// and what requests meet decides again.
const PROBE_HOLDS_MS = 3_600_000;

// KV keeps a value at least as long on each machine; more reads would bring nothing newer.
const REFRESH_MS = 60_000;

/**
 * The cron asks from one place only. So its verdict is checked from here: it is `doubted`, and holds
 * nothing back, while this isolate's own requests are answered; `believed`; or `overruled` by the
 * health path's answer.
 *
 * @typedef {{since: string, confirmedAt: number, checkedAt: number,
 *   state: 'doubted' | 'believed' | 'overruled'}} Verdict
 */

/** What this isolate knows of the regions: what its own requests met, and the probes' verdicts. */
class RegionHealth {
  /** @type {Map<string, number>} region → ms since the epoch until which it is held back */
  #downUntil = new Map();
  /** @type {Map<string, Verdict>} region → what the cron's probe says, where it says down */
  #verdicts = new Map();
  /** @type {Map<string, number>} region → ms since the epoch of its last sign of life */
  #seenAt = new Map();
  /** @type {Map<string, number>} region → ms since the epoch at which its silence was looked into */
  #checkedAt = new Map();
  #refreshedAt = -Infinity;
  /** Whether the probes' verdicts were ever read. */
  hasRead = false;
  #downMs;

  /** @param {number} downMs how long a failure holds a region back, before jitter */
  constructor(downMs) {
    this.#downMs = downMs;
  }

  /**
   * Puts regions that are down last: they are still tried when nothing else is left.
   *
   * When a region's time is over it is half-open: one request is let through to it, and it stays
   * held back for the others until that one has found it alive.
   *
   * @param {Region[]} regions best first
   * @param {number} now ms since the epoch
   * @param {boolean} mayTry whether this request may be the one that is let through
   */
  order(regions, now, mayTry) {
    if (this.#downUntil.size === 0 && this.#verdicts.size === 0) return regions;
    /** @type {Region[]} */
    const up = [];
    /** @type {Region[]} */
    const down = [];
    for (const region of regions) {
      if (this.#isHeldBack(region.name, now, up.length === 0, mayTry)) down.push(region);
      else up.push(region);
    }
    return [...up, ...down];
  }

  /** @type {(name: string, now: number) => boolean} */
  #isProbedDown(name, now) {
    const verdict = this.#verdicts.get(name);
    return verdict?.state === 'believed' && now - verdict.confirmedAt < PROBE_HOLDS_MS;
  }

  /** @type {(name: string, now: number, first: boolean, mayTry: boolean) => boolean} */
  #isHeldBack(name, now, first, mayTry) {
    if (this.#isProbedDown(name, now)) return true;
    const until = this.#downUntil.get(name);
    if (until === undefined) return false;
    if (until > now) return true;
    if (!first) return false;
    if (mayTry) this.markDown(name, now);
    return !mayTry;
  }

  /** @type {(name: string, now: number) => void} */
  markDown(name, now) {
    // Jitter, so that isolates don't all try a region in the same moment.
    this.#downUntil.set(name, now + this.#downMs * (1 + Math.random() / 2));
  }

  /** @param {string} name */
  markUp(name) {
    if (this.#downUntil.size > 0) this.#downUntil.delete(name);
  }

  /** @type {(record: HealthRecord, now: number) => void} */
  adopt(record, now) {
    this.hasRead = true;
    const before = this.#verdicts;
    this.#verdicts = new Map();
    for (const [name, { up, since, confirmed }] of Object.entries(record)) {
      if (up) continue;
      const known = before.get(name);
      const answers = now - (this.#seenAt.get(name) ?? -Infinity) < this.#downMs;
      /** @type {Verdict} */
      const verdict =
        known?.since === since
          ? known
          : { since, confirmedAt: 0, checkedAt: -Infinity, state: answers ? 'doubted' : 'believed' };
      this.#verdicts.set(name, { ...verdict, confirmedAt: Date.parse(confirmed ?? since) });
    }
  }

  /**
   * Whether the cron's verdict on a region is to be checked from here; says so once per `downMs`.
   *
   * @type {(name: string, now: number) => boolean}
   */
  verdictDue(name, now) {
    if (this.#verdicts.size === 0) return false;
    const verdict = this.#verdicts.get(name);
    if (!verdict || now - verdict.checkedAt < this.#downMs) return false;
    verdict.checkedAt = now;
    return true;
  }

  /** @type {(name: string, up: boolean) => void} what the health path says from here */
  judge(name, up) {
    const verdict = this.#verdicts.get(name);
    if (verdict) verdict.state = up ? 'overruled' : 'believed';
  }

  /**
   * Whether the probes' verdicts are to be read again; says so once per interval.
   *
   * @param {number} now ms since the epoch
   */
  refreshDue(now) {
    if (now - this.#refreshedAt < REFRESH_MS) return false;
    this.#refreshedAt = now;
    return true;
  }

  /** An answer of the region itself, to whom it may be. @type {(name: string, now: number) => void} */
  seen(name, now) {
    this.#seenAt.set(name, now);
  }

  /**
   * Whether a region's silence is to be looked into, as one of its requests waits; says so once per
   * `everyMs`.
   *
   * @type {(name: string, now: number, silentMs: number, everyMs: number) => boolean}
   */
  checkDue(name, now, silentMs, everyMs) {
    if (now - (this.#seenAt.get(name) ?? -Infinity) <= silentMs) return false;
    if (now - (this.#checkedAt.get(name) ?? -Infinity) < everyMs) return false;
    this.#checkedAt.set(name, now);
    return true;
  }

  /**
   * Whether the region gives no sign of life, although its health path was asked so long ago.
   *
   * @type {(name: string, now: number, askedMs: number) => boolean}
   */
  isSilent(name, now, askedMs) {
    const checkedAt = this.#checkedAt.get(name);
    if (checkedAt === undefined || now - checkedAt < askedMs) return false;
    return checkedAt > (this.#seenAt.get(name) ?? -Infinity);
  }

  /** @type {(name: string, now: number) => boolean} */
  isDown(name, now) {
    return (this.#downUntil.get(name) ?? 0) > now || this.#isProbedDown(name, now);
  }

  /** @type {(name: string, now: number) => string} for the status page */
  describe(name, now) {
    const verdict = this.#verdicts.get(name);
    if (verdict?.state === 'overruled') return 'up, whatever the cron found';
    const until = this.#downUntil.get(name);
    if (until === undefined) return 'up';
    return until > now ? `down for ${Math.ceil((until - now) / 1000)} s` : 'half-open';
  }
}

// ---- outliers.js ----

// Envoy's outlier detection, by its own words:
// envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/outlier_detection.proto
const INTERVAL_MS = 10_000;
const MAX_EJECTION_MS = 300_000;
const SLOW_START_MS = 30_000;
const MIN_SHARE = 0.1;

// gRPC's throttle of retries and hedges (grpc/proposal, A6): a failure costs a token, an answer
// gives back a part of one, and nothing is sent twice below half of them.
const TOKENS = 10;
const TOKEN_RATIO = 0.1;

// An active check that finds the application up or down holds for so long.
const CHECK_EVERY_MS = 60_000;

/** What is known of a region's application. Times are ms since the epoch. */
class Backend {
  tokens = TOKENS;
  /** Gateway failures since the last answer. */
  consecutive = 0;
  /** Requests that got no answer in time while nobody else got one either, and since when. */
  overdue = 0;
  silentSince = Infinity;
  answeredAt = -Infinity;
  windowAt = -Infinity;
  total = 0;
  failures = 0;
  /** 0: not ejected. Once it has passed, the application is to be tried. */
  ejectedUntil = 0;
  ejections = 0;
  triedAt = Infinity;
  returnedAt = -Infinity;
  checkedAt = -Infinity;
}

/**
 * The regions' applications behind one of the site's hosts, as this isolate's requests found them.
 *
 * An application may be dead behind an ingress that lives: then the region is ejected for this
 * host, and comes back by slow start.
 */
class Outliers {
  /** @type {Map<string, Backend>} */
  #backends = new Map();
  /** @type {Set<string>} those that are ejected, or in slow start */
  #marked = new Set();
  #rules;
  #allowed;
  #told;

  /**
   * @param {OutlierDetection} rules
   * @param {number} regions how many serve this host
   * @param {(region: string, cause: string, ms: number) => void} told of each ejection
   */
  constructor(rules, regions, told) {
    this.#rules = rules;
    this.#allowed =
      regions < 2 ? 0 : Math.max(1, Math.floor((regions * rules.maxEjectionPercent) / 100));
    this.#told = told;
  }

  /** @param {string} name */
  #of(name) {
    let backend = this.#backends.get(name);
    if (!backend) this.#backends.set(name, (backend = new Backend()));
    return backend;
  }

  /** @type {(name: string, startedAt: number, now: number, quick: boolean) => void} */
  answered(name, startedAt, now, quick) {
    const backend = this.#of(name);
    backend.consecutive = backend.overdue = 0;
    backend.silentSince = Infinity;
    backend.answeredAt = now;
    if (quick && backend.tokens < TOKENS) {
      backend.tokens = Math.min(TOKENS, backend.tokens + TOKEN_RATIO);
    }
    count(backend, now, 0);
    // One that was asked before the ejection proves nothing.
    if (backend.ejectedUntil > 0 && startedAt >= backend.triedAt) this.readmit(name, now);
  }

  /** A 502, 503 or 504 of the region's ingress. @type {(name: string, now: number) => void} */
  failed(name, now) {
    const backend = this.#of(name);
    const { consecutiveGatewayFailure, failurePercentageThreshold, failurePercentageRequestVolume } =
      this.#rules;
    backend.consecutive += 1;
    backend.overdue = 0;
    backend.silentSince = Infinity;
    backend.answeredAt = now;
    backend.tokens = Math.max(0, backend.tokens - 1);
    count(backend, now, 1);
    if (backend.triedAt < Infinity) this.eject(name, now, 'failed again');
    else if (backend.consecutive >= consecutiveGatewayFailure) {
      this.eject(name, now, 'gateway failures in a row');
    } else if (
      backend.total >= failurePercentageRequestVolume &&
      backend.failures * 100 >= backend.total * failurePercentageThreshold
    ) {
      this.eject(name, now, 'share of gateway failures');
    }
  }

  /**
   * A request has waited for `hedgeMs`, or half of that more each time this is called again.
   *
   * @type {(name: string, startedAt: number, now: number, hedgeMs: number, first: boolean) => void}
   */
  overdue(name, startedAt, now, hedgeMs, first) {
    const backend = this.#of(name);
    if (first) backend.tokens = Math.max(0, backend.tokens - 1);
    if (backend.answeredAt >= startedAt) return;
    if (first) backend.overdue += 1;
    backend.silentSince = Math.min(backend.silentSince, startedAt);
    // Longer than the first may take: where all answers are slow, they come after a while.
    if (
      backend.overdue >= this.#rules.consecutiveGatewayFailure &&
      now - backend.silentSince >= 2 * hedgeMs
    ) {
      this.eject(name, now, 'no answers');
    }
  }

  /** Whether the region may be asked beside another, or after it. @param {string} name */
  hasTokens(name) {
    return this.#of(name).tokens > TOKENS / 2;
  }

  /** @type {(name: string, tokens: number) => void} taken (negative), or given back */
  pay(name, tokens) {
    const backend = this.#of(name);
    backend.tokens = Math.min(TOKENS, backend.tokens + tokens);
  }

  /** @type {(name: string, now: number, cause: string) => void} */
  eject(name, now, cause) {
    const backend = this.#of(name);
    const again = backend.triedAt < Infinity;
    if (backend.ejectedUntil > 0 && !again) return;
    const others = [...this.#backends.values()].filter(
      (other) => other !== backend && other.ejectedUntil > 0,
    );
    if (others.length >= this.#allowed) return;
    const { baseEjectionMs } = this.#rules;
    backend.ejections = now - backend.returnedAt < MAX_EJECTION_MS || again ? backend.ejections + 1 : 1;
    const ms = Math.min(baseEjectionMs * backend.ejections, Math.max(MAX_EJECTION_MS, baseEjectionMs));
    backend.ejectedUntil = now + ms;
    backend.triedAt = Infinity;
    this.#marked.add(name);
    this.#told(name, cause, ms);
  }

  /** @type {(name: string, now: number) => void} */
  readmit(name, now) {
    const backend = this.#of(name);
    if (backend.ejectedUntil === 0) return;
    Object.assign(backend, { ejectedUntil: 0, triedAt: Infinity, returnedAt: now, tokens: TOKENS });
    Object.assign(backend, { consecutive: 0, overdue: 0, silentSince: Infinity, windowAt: -Infinity });
  }

  /** @param {string} name */
  isEjected(name) {
    return this.#marked.has(name) && this.#of(name).ejectedUntil > 0;
  }

  /**
   * Puts ejected regions last. When an ejection is over, one request tries the application while
   * the others keep away; then its share grows from a tenth to all within half a minute.
   *
   * @param {Region[]} regions best first
   * @param {number} now
   * @param {boolean} mayTry whether this request may be the one that tries
   * @param {() => number} [random] from 0 to 1
   */
  order(regions, now, mayTry, random = Math.random) {
    if (this.#marked.size === 0) return regions;
    /** @type {Region[]} */
    const well = [];
    /** @type {Region[]} */
    const held = [];
    for (const region of regions) {
      const tries = mayTry && well.length === 0;
      (this.#isHeld(region.name, now, tries, random) ? held : well).push(region);
    }
    return [...well, ...held];
  }

  /** @type {(name: string, now: number, tries: boolean, random: () => number) => boolean} */
  #isHeld(name, now, tries, random) {
    if (!this.#marked.has(name)) return false;
    const backend = this.#of(name);
    if (backend.ejectedUntil > 0) {
      if (backend.ejectedUntil > now || !tries) return true;
      backend.ejectedUntil = now + this.#rules.baseEjectionMs;
      backend.triedAt = now;
      return false;
    }
    const share = (now - backend.returnedAt) / SLOW_START_MS;
    if (share >= 1) this.#marked.delete(name);
    return random() >= Math.max(MIN_SHARE, share);
  }

  /**
   * Whether the application's health path is to be asked; says so once per interval, and once
   * when an ejection is over.
   *
   * @type {(name: string, now: number) => boolean}
   */
  checkDue(name, now) {
    const backend = this.#of(name);
    const over = backend.ejectedUntil > 0 && backend.ejectedUntil <= now;
    if (now - backend.checkedAt < CHECK_EVERY_MS && !over) return false;
    backend.checkedAt = now;
    // Meanwhile nobody tries it.
    if (over) backend.ejectedUntil = now + this.#rules.baseEjectionMs;
    return true;
  }

  /** @type {(name: string, now: number) => string} for the status page */
  describe(name, now) {
    const backend = this.#of(name);
    if (backend.ejectedUntil > now) {
      return `ejected for ${Math.ceil((backend.ejectedUntil - now) / 1000)} s`;
    }
    if (backend.ejectedUntil > 0) return 'to be tried';
    return now - backend.returnedAt < SLOW_START_MS ? 'slow start' : 'well';
  }
}

/** @type {(backend: Backend, now: number, failures: number) => void} */
function count(backend, now, failures) {
  if (now - backend.windowAt > INTERVAL_MS) {
    Object.assign(backend, { windowAt: now, total: 0, failures: 0 });
  }
  backend.total += 1;
  backend.failures += failures;
}

// ---- sites.js ----

// Cloudflare sends only the hosts that have a route; elsewhere anybody may name any.
const MAX_SITES = 100;

/**
 * One of the site's hosts: what the table says of it, and what its requests found out.
 *
 * @typedef {Site & {host: string, outliers: Outliers, counts: Map<string, number[]>}} KnownSite
 */

class Sites {
  /** @type {Map<string, KnownSite>} */
  #sites = new Map();
  #config;

  /** @param {Config} config */
  constructor(config) {
    this.#config = config;
  }

  /** @type {(host: string) => KnownSite} */
  of(host) {
    return this.#sites.get(host) ?? this.#make(host);
  }

  /** @type {() => KnownSite[]} */
  all() {
    return [...this.#sites.values()];
  }

  /** @type {(host: string) => KnownSite} */
  #make(host) {
    const site = this.#config.hosts.get(host) ?? this.#config.site;
    const serving = site.regions.filter((region) => !region.drain).length;
    const outliers = new Outliers(this.#config.outlierDetection, serving, (region, cause, ms) =>
      log('ejected', { region, host, cause, ms }),
    );
    const known = { ...site, host, outliers, counts: new Map() };
    if (this.#sites.size < MAX_SITES) this.#sites.set(host, known);
    return known;
  }
}

// ---- failover.js ----

// The runtime opens at most six connections a request; two stay free, for KV and a probe.
const MAX_OPEN = 4;

// Regions may die one after another under a request, each back before the next goes: if all failed
// within this time, they are asked once more.
const AGAIN_WITHIN_MS = 3000;
const AGAIN_AFTER_MS = 250;

const UNREACHED = new Set([521, 523, 525, 526, 530]);

/**
 * What a status says of the region that was asked. Meanings: Cloudflare's "5xx errors"; 522 can
 * also come after the connection, so that it proves nothing.
 *
 * An application may relay such a status after it has done its work. What the region's ingress
 * named was answered; and only what Cloudflare made itself proves that no origin had the request.
 *
 * @param {number} status
 * @param {boolean} named whether the answer carries the region's own name
 * @param {boolean} made whether Cloudflare made the answer
 * @param {Kind} kind
 * @returns {Verdict}
 */
function verdictOf(status, named, made, kind) {
  if (status < 502) return 'answered';
  if (status <= 504) return 'unavailable';
  if (status < 520 || status > 530 || named) return 'answered';
  if (UNREACHED.has(status)) return made || kind !== 'once' ? 'unreached' : 'broken';
  return status === 522 ? 'lost' : 'broken';
}

/** @type {(method: string, hasBody: boolean, keyed: boolean) => Kind} */
function kindOf(method, hasBody, keyed) {
  // The application itself knows a second one by its key.
  if (keyed) return 'idempotent';
  if (hasBody) return 'once';
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return 'safe';
  return method === 'PUT' || method === 'DELETE' ? 'idempotent' : 'once';
}

/** @type {(verdict: Verdict, kind: Kind, retryOn5xx: boolean) => boolean} */
function movesOn(verdict, kind, retryOn5xx) {
  if (verdict === 'answered') return false;
  if (verdict === 'unreached') return true;
  if (kind === 'once') return false;
  return verdict === 'unavailable' ? retryOn5xx : true;
}

/**
 * @typedef {object} Rules
 * @property {number} hedgeAfterMs 0: never
 * @property {boolean} again whether all may be asked once more
 * @property {(verdict: Verdict, others: Region[]) => boolean} mayMoveOn
 * @property {(region: Region, startedAt: number, waits: number, others: Region[]) => boolean}
 *   mayHedge asked after each half of `hedgeAfterMs` that a region is silent, with their number: may
 *   another be asked beside it? Never after the first.
 */

/**
 * Asks regions in turn until one answers.
 *
 * A failure from which the request may move on starts the next region at once. With
 * `hedgeAfterMs`, the next is started beside the ones that are still silent after that time, where
 * `mayHedge` says so; the first answer wins, and the others are cancelled.
 *
 * @param {Region[]} regions best first, at least one
 * @param {(region: Region, signal?: AbortSignal) => Promise<Outcome>} ask rejects only for what is
 *   not the region's fault
 * @param {Rules} rules
 * @returns {Promise<{outcome: Outcome, attempts: number}>} the answer; where there is none, the
 *   last refusal by a region's ingress, else the last failure
 */
async function askInTurn(regions, ask, rules) {
  // Without a signal, which costs a request some percent: should the first lose, it is closed when
  // it answers, or else with the visitor's request.
  const startedAt = Date.now();
  const pending = ask(regions[0]);
  const outcome = await within(regions.length > 1 ? rules.hedgeAfterMs / 2 : 0, pending);
  // Nearly every request ends here.
  if (outcome && !rules.mayMoveOn(outcome.verdict, regions.slice(1))) {
    return { outcome, attempts: 1 };
  }
  return askOthers(regions, ask, rules, { region: regions[0], startedAt, pending }, outcome);
}

/**
 * @typedef {{region: Region, startedAt: number, pending: Promise<Outcome>,
 *   controller?: AbortController}} Attempt
 * @param {Region[]} regions
 * @param {(region: Region, signal: AbortSignal) => Promise<Outcome>} ask
 * @param {Rules} rules
 * @param {Attempt} first the attempt at the first region
 * @param {Outcome | undefined} outcome its failure; undefined if it is silent
 */
async function askOthers(regions, ask, rules, first, outcome) {
  const { hedgeAfterMs, mayMoveOn, mayHedge } = rules;
  /** @type {Map<Region, Attempt>} */
  const open = new Map([[first.region, first]]);
  /** @type {Outcome | undefined} */
  let failure;
  let attempts = 1;
  let latest = first;
  let waits = 0;

  const start = () => {
    const region = regions[attempts % regions.length];
    const controller = new AbortController();
    const startedAt = Date.now();
    latest = { region, startedAt, controller, pending: ask(region, controller.signal) };
    open.set(region, latest);
    attempts += 1;
    waits = 0;
  };

  for (;;) {
    if (outcome) {
      open.delete(outcome.region);
      if (!mayMoveOn(outcome.verdict, regions.slice(attempts))) {
        cancel(open);
        if (failure) discard(failure);
        return { outcome, attempts };
      }
      failure = laterOf(failure, outcome);
      const again =
        rules.again &&
        (failure.verdict === 'lost' || failure.verdict === 'unreached') &&
        attempts < 2 * regions.length &&
        Date.now() - first.startedAt < AGAIN_WITHIN_MS;
      if (attempts < regions.length) start();
      else if (open.size === 0 && again) {
        // Not all visitors of an outage in the same moment.
        if (attempts === regions.length) await pause(Math.random() * AGAIN_AFTER_MS);
        start();
      } else if (open.size === 0) return { outcome: failure, attempts };
    } else {
      waits += 1;
      const others = regions.slice(attempts);
      if (mayHedge(latest.region, latest.startedAt, waits, others)) start();
    }
    const hedges = attempts < regions.length && open.size < MAX_OPEN;
    const pendings = Array.from(open.values(), ({ pending }) => pending);
    outcome = await within(hedges ? hedgeAfterMs / 2 : 0, Promise.race(pendings));
  }
}

/** @type {(ms: number) => Promise<void>} */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * What is awaited, or undefined if it isn't there within so many milliseconds; 0: no limit.
 *
 * @type {(limitMs: number, pending: Promise<Outcome>) => Promise<Outcome | undefined>}
 */
function within(limitMs, pending) {
  if (limitMs === 0) return pending;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, limitMs);
    pending.then((outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    }, reject);
  });
}

/**
 * A refusal by a region's ingress tells more than a connection that failed.
 *
 * @type {(before: Outcome | undefined, outcome: Outcome) => Outcome}
 */
function laterOf(before, outcome) {
  if (!before) return outcome;
  const keepBefore = before.verdict === 'unavailable' && outcome.verdict !== 'unavailable';
  discard(keepBefore ? outcome : before);
  return keepBefore ? before : outcome;
}

/** @param {Map<Region, Attempt>} open those that lost */
function cancel(open) {
  for (const { controller, pending } of open.values()) {
    controller?.abort();
    pending.then(discard, () => {});
  }
}

/** @param {Outcome} outcome one that nobody reads: its connection is given back */
function discard({ response }) {
  if (response?.webSocket) {
    response.webSocket.accept();
    response.webSocket.close();
  }
  response?.body?.cancel().catch(() => {});
}

// ---- metrics.js ----

// A visitor's request only adds to numbers; one of each window writes them down, after its answer.
const WINDOW_MS = 10_000;

// Should that one have ended early, the next request finds the window older than this.
const OVERDUE_MS = 15_000;

// Analytics Engine takes 25 points of one request; the others go with the next window.
const MAX_POINTS = 25;

/** Upper ends of the latency's classes, in milliseconds; the last class has none. */
const LATENCIES_MS = [50, 100, 250, 500, 1000, 2500, 5000];

// Which number is which: double1 is the first.
const REQUESTS = 0;
const FAILED_ATTEMPTS = 1;
const HEDGES = 2;
const FAILOVERS = 3;
const SERVER_ERRORS = 4;
const LATENCY_MS = 5;
const NUMBERS = 6 + LATENCIES_MS.length + 1;

/** In place of a region's name, where the Worker answered itself. */
const NOBODY = 'none';

/** What visitors met, counted in this isolate, and written to Analytics Engine. */
class Metrics {
  #sites;
  #openedAt = -Infinity;

  /** @param {Sites} sites */
  constructor(sites) {
    this.#sites = sites;
  }

  /**
   * Counts an answer, and sees to it that it is written.
   *
   * @param {KnownSite} site
   * @param {string} name the region that gave the answer, or NOBODY
   * @param {string} first the region that the visitor was to get
   * @param {number} status
   * @param {number} ms until the answer's headers were there
   */
  answered(site, name, first, status, ms) {
    const numbers = numbersOf(site, name);
    numbers[REQUESTS] += 1;
    if (status >= 500) numbers[SERVER_ERRORS] += 1;
    numbers[LATENCY_MS] += ms;
    let latency = 0;
    while (ms > LATENCIES_MS[latency]) latency += 1;
    numbers[LATENCY_MS + 1 + latency] += 1;
    if (name !== first) add(site, first, FAILOVERS, 1);
  }

  /**
   * Writes what is due, without letting the visitor wait.
   *
   * @type {(dataset: AnalyticsEngineDataset, colo: string, ctx: ExecutionContext, now: number) =>
   *   void}
   */
  tick(dataset, colo, ctx, now) {
    const age = now - this.#openedAt;
    if (age < OVERDUE_MS) return;
    if (age < Infinity) this.#write(dataset, colo);
    this.#openedAt = now;
    ctx.waitUntil(pause(WINDOW_MS).then(() => this.#write(dataset, colo)));
  }

  /** @type {(dataset: AnalyticsEngineDataset, colo: string) => void} */
  #write(dataset, colo) {
    this.#openedAt = -Infinity;
    try {
      this.#writeSome(dataset, colo);
    } catch (error) {
      log('metrics_not_written', { error: String(error) });
    }
  }

  /** @type {(dataset: AnalyticsEngineDataset, colo: string) => void} */
  #writeSome(dataset, colo) {
    let room = MAX_POINTS;
    for (const { host, counts } of this.#sites.all()) {
      for (const [name, numbers] of counts) {
        if (room === 0) return;
        room -= 1;
        counts.delete(name);
        dataset.writeDataPoint({ indexes: [name], blobs: [host, name, colo], doubles: numbers });
      }
    }
  }
}

/** @type {(site: KnownSite, name: string) => number[]} */
function numbersOf({ counts }, name) {
  let numbers = counts.get(name);
  if (!numbers) counts.set(name, (numbers = Array(NUMBERS).fill(0)));
  return numbers;
}

/** @type {(site: KnownSite, name: string, which: number, amount: number) => void} */
function add(site, name, which, amount) {
  numbersOf(site, name)[which] += amount;
}

// ---- forwarding.js ----

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
function originHeaders(visitors, address, env) {
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
function addOriginSecret(headers, { ORIGIN_SECRET, ORIGIN_SECRET_HEADER }) {
  if (ORIGIN_SECRET && ORIGIN_SECRET_HEADER) headers.set(ORIGIN_SECRET_HEADER, ORIGIN_SECRET);
}

/**
 * The same request, without the empty body that Content-Length: 0 makes of none: such a stream could
 * be sent once only.
 *
 * @param {Request} request
 */
function withoutEmptyBody(request) {
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
async function bodyToSend(request) {
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
const isNamed = (response, region) => response.headers.get(REGION) === region.name;

/**
 * Whether Cloudflare made this error page: only then it has the header (Cloudflare's docs, "Error
 * diagnostic headers").
 *
 * @param {Response} response
 */
const isCloudflares = (response) => response.headers.has('cf-error-type');

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
function labelled(response, region, attempts, how, startedAt, cookie) {
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

// ---- pages.js ----

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

const pages = {
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

// ---- probe.js ----

const KEY = 'regions';
const PROBE_TIMEOUT_MS = 5000;

// A verdict that nobody confirms for an hour is ignored. Written each minute, an outage of a day
// would use up the free plan's 1000 writes.
const CONFIRM_EVERY_MS = 1_200_000;

/**
 * Asks a region's health path under the region's own name: cron has no route zone, so that
 * resolveOverride doesn't work there.
 *
 * @param {Region} region
 * @param {Config} config
 * @param {Env} env
 * @param {number} [timeoutMs]
 * @returns {Promise<Probe>} up if the status is 2xx or 3xx
 */
function probe(region, config, env, timeoutMs = PROBE_TIMEOUT_MS) {
  return ask(`https://${region.host}${config.healthPath}`, env, timeoutMs);
}

/**
 * @param {string} url
 * @param {Env} env
 * @param {number} timeoutMs
 * @param {RequestInitCfProperties} [cf]
 * @returns {Promise<Probe>}
 */
async function ask(url, env, timeoutMs, cf) {
  const headers = new Headers({ 'user-agent': 'edgefleet-probe', 'cache-control': 'no-cache' });
  addOriginSecret(headers, env);
  const startedAt = Date.now();
  try {
    const response = await fetch(url, {
      cf,
      headers,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    response.body?.cancel().catch(() => {});
    const up = response.status >= 200 && response.status < 400;
    return { up, detail: `status ${response.status}`, ms: Date.now() - startedAt };
  } catch (error) {
    return { up: false, detail: String(error), ms: Date.now() - startedAt };
  }
}

/**
 * @param {Config} config
 * @param {Env} env
 * @returns {Promise<Map<Region, Probe>>}
 */
async function probeAll(config, env) {
  /** @type {Map<Region, Probe>} */
  const results = new Map();
  for (let i = 0; i < config.regions.length; i += MAX_OPEN) {
    const batch = config.regions.slice(i, i + MAX_OPEN);
    const found = await Promise.all(batch.map((region) => probe(region, config, env)));
    batch.forEach((region, j) => results.set(region, found[j]));
  }
  return results;
}

/**
 * Tells a dead region from a slow URL, which look alike to a request that waits: a region whose
 * health path is silent as well is down.
 *
 * @type {(region: Region, config: Config, env: Env, health: RegionHealth, timeoutMs: number) =>
 *   Promise<void>}
 */
async function checkSilence(region, config, env, health, timeoutMs) {
  const result = await probe(region, config, env, timeoutMs);
  log('silence_checked', { region: region.name, ...result });
  if (result.up) health.seen(region.name, Date.now());
  else health.markDown(region.name, Date.now());
}

/**
 * Tells a dead region from one of its nodes, which look alike to a request whose connection failed:
 * a region whose health path answers is up again at once.
 *
 * @type {(region: Region, config: Config, env: Env, health: RegionHealth, timeoutMs: number) =>
 *   Promise<void>}
 */
async function checkFailure(region, config, env, health, timeoutMs) {
  const result = await probe(region, config, env, timeoutMs);
  log('failure_checked', { region: region.name, ...result });
  if (!result.up) return;
  health.seen(region.name, Date.now());
  health.markUp(region.name);
}

/**
 * Checks the cron's verdict from this place.
 *
 * @type {(region: Region, config: Config, env: Env, health: RegionHealth) => Promise<void>}
 */
async function checkVerdict(region, config, env, health) {
  const result = await probe(region, config, env);
  log('verdict_checked', { region: region.name, ...result });
  health.judge(region.name, result.up);
}

/**
 * Asks the application's health path in a region, under the site's host. Only where a visitor's
 * request is being answered: elsewhere resolveOverride has no zone to work in. What fails is asked
 * a second time.
 *
 * @type {(region: Region, host: string, path: string, env: Env, outliers: Outliers) =>
 *   Promise<void>}
 */
async function checkApplication(region, host, path, env, outliers) {
  const url = `https://${host}${path}`;
  const cf = { resolveOverride: region.host };
  let result = await ask(url, env, PROBE_TIMEOUT_MS, cf);
  if (!result.up) result = await ask(url, env, PROBE_TIMEOUT_MS, cf);
  if (!result.up) log('application_checked', { region: region.name, host, ...result });
  if (result.up) outliers.readmit(region.name, Date.now());
  else outliers.eject(region.name, Date.now(), 'health path');
}

/**
 * One run of the cron trigger: probes every region, twice where the first probe fails, logs each
 * result, and writes the record if a region came, went, or changed between up and down, and from
 * time to time while one is down.
 *
 * @param {Config} config
 * @param {Env} env
 * @returns {Promise<HealthRecord>} the record as it now is; empty without a namespace, because
 *   then no later run would reach this isolate to take a verdict back
 */
async function runProbes(config, env) {
  const results = await probeAll(config, env);
  const doubtful = config.regions.filter((region) => !results.get(region)?.up);
  const second = await probeAll({ ...config, regions: doubtful }, env);
  for (const [region, result] of second) results.set(region, result);

  for (const [region, result] of results) {
    log('probe', { region: region.name, ...result, drain: region.drain });
  }
  return env.HEALTH ? writeChanges(env.HEALTH, results) : {};
}

/** @type {(results: Map<Region, Probe>, before: HealthRecord) => HealthRecord} */
function recordOf(results, before) {
  const now = new Date().toISOString();
  return Object.fromEntries(
    [...results].map(([{ name }, { up, detail }]) => {
      const known = before[name];
      if (known?.up !== up) return [name, { up, since: now, detail }];
      const age = Date.parse(now) - Date.parse(known.confirmed ?? known.since);
      return [name, up || age < CONFIRM_EVERY_MS ? known : { ...known, confirmed: now }];
    }),
  );
}

/** @type {(namespace: KVNamespace, results: Map<Region, Probe>) => Promise<HealthRecord>} */
async function writeChanges(namespace, results) {
  try {
    const before = await readRecord(namespace);
    const after = recordOf(results, before);
    const names = Object.keys(after);
    const same =
      names.length === Object.keys(before).length &&
      names.every((name) => after[name] === before[name]);
    if (!same) await namespace.put(KEY, JSON.stringify(after));
    return after;
  } catch (error) {
    log('health_not_written', { error: String(error) });
    return {};
  }
}

/**
 * @param {KVNamespace} namespace
 * @returns {Promise<HealthRecord>} empty before the first run
 */
async function readRecord(namespace) {
  return (await namespace.get(KEY, { type: 'json' })) ?? {};
}

// ---- affinity.js ----

// Cookies of this prefix come over TLS only, and from no other host (RFC 6265bis, 4.1.3.2).
const COOKIE = '__Host-edge-region';
const PINNED = new RegExp(`(?:^|;\\s*)${COOKIE}=([a-z0-9-]+)`);

/**
 * The region that a visitor's cookie names, where he may still get it.
 *
 * @param {Region[]} regions those that may serve him
 * @param {Headers} headers the visitor's
 */
function pinnedRegion(regions, headers) {
  const name = PINNED.exec(headers.get('cookie') ?? '')?.[1];
  // Weight 0 takes a canary's visitors back, whatever they hold.
  return name && regions.find((region) => region.name === name && region.weight > 0);
}

/** @type {(region: Region, seconds: number) => string} value of Set-Cookie */
const pin = ({ name }, seconds) =>
  `${COOKIE}=${name}; Max-Age=${seconds}; Path=/; Secure; HttpOnly; SameSite=Lax`;

// ---- proxy.js ----

/**
 * Hands a visitor's request on to the regions, and the answer to him.
 *
 * @param {Request} request
 * @param {boolean} hasBody
 * @param {Env} env
 * @param {ExecutionContext} ctx
 * @param {Edge} edge
 */
async function proxy(request, hasBody, env, ctx, edge) {
  const { method, headers } = request;
  const visitor = headers.get('cf-connecting-ip');
  const site = edge.sites.of(headers.get('host') ?? '');
  if (site.maintenance) return pages.maintenance(env, edge.config.maintenanceRetryAfter);
  const safeMethod = method === 'GET' || method === 'HEAD';
  const keyed = site.retryIdempotencyKey && !safeMethod && headers.has('idempotency-key');
  const kind = kindOf(method, hasBody, keyed);
  const place = /** @type {Place | undefined} */ (request.cf);
  const eligible = candidates(site.regions, place, visitor ?? '');
  const { affinitySeconds, responseHeaders } = edge.config;
  const pinned = affinitySeconds > 0 ? pinnedRegion(eligible.regions, headers) : undefined;
  const wanted = pinned
    ? [pinned, ...eligible.regions.filter((region) => region !== pinned)]
    : eligible.regions;
  const now = Date.now();
  check(wanted, site, env, ctx, edge, now);
  const safe = kind === 'safe';
  const well = site.outliers.order(wanted, now, safe && !site.healthPath);
  const regions = edge.health.order(well, now, safe);
  if (regions.length === 0) {
    log('no_region', { strict: eligible.strict });
    return pages.allDown(env, eligible.strict);
  }
  const attempts = new Attempts(request, hasBody, kind, site, env, ctx, edge);
  if (hasBody && regions.length > 1) attempts.body = await bodyToSend(request);
  const canRepeat = !hasBody || attempts.body instanceof ArrayBuffer;
  attempts.headers = originHeaders(headers, visitor, env);
  attempts.strict = eligible.strict;

  const { outcome, attempts: count } = await askInTurn(
    regions,
    (region, signal) => attempts.ask(region, signal),
    {
      hedgeAfterMs: safe ? site.hedgeAfterMs : 0,
      // Of an outage that is known one pass is enough.
      again: !edge.health.isDown(regions[0].name, now),
      mayMoveOn: (verdict, others) =>
        canRepeat && movesOn(verdict, kind, site.retryOn5xx && attempts.mayRepeat(others)),
      mayHedge: (region, startedAt, waits, others) => {
        const may = attempts.mayHedge(region, startedAt, waits, others);
        if (may && edge.metrics) add(site, region.name, HEDGES, 1);
        return may;
      },
    },
  );
  const once = kind === 'once';
  const response = answerOf(outcome, once);
  if (edge.metrics && env.METRICS) {
    const given = response ? outcome.region.name : NOBODY;
    const at = Date.now();
    edge.metrics.answered(site, given, wanted[0].name, response?.status ?? 503, at - now);
    edge.metrics.tick(env.METRICS, place?.colo ?? '', ctx, at);
  }
  if (!response) return excuse(outcome, count, once, eligible.strict, env);
  const { region, verdict } = outcome;
  const moved = affinitySeconds > 0 && verdict === 'answered' && region !== pinned;
  const cookie = moved ? pin(region, affinitySeconds) : undefined;
  return labelled(response, region, count, responseHeaders, now, cookie);
}

/** @type {(outcome: Outcome, once: boolean) => boolean} whether no region can have had the request */
const wasUnreachable = ({ verdict }, once) =>
  verdict === 'unreached' || (verdict === 'lost' && !once);

/** @type {(outcome: Outcome, once: boolean) => Response | undefined} what a region says */
const answerOf = (outcome, once) => (wasUnreachable(outcome, once) ? undefined : outcome.response);

/**
 * What the visitor gets where no region says anything.
 *
 * @param {Outcome} outcome of the last attempt
 * @param {number} attempts
 * @param {boolean} once whether the request may have been carried out and can't be repeated
 * @param {boolean} strict
 * @param {Env} env
 */
function excuse(outcome, attempts, once, strict, env) {
  const { region, response, error } = outcome;
  response?.body?.cancel().catch(() => {});
  if (!wasUnreachable(outcome, once)) return pages.unclear(env);
  log('all_down', { attempts, strict, last: region.name, error: error && String(error) });
  return pages.allDown(env, strict);
}

/**
 * Looks, in the background, into what is due.
 *
 * @type {(regions: Region[], site: KnownSite, env: Env, ctx: ExecutionContext, edge: Edge,
 *   now: number) => void}
 */
function check(regions, { host, healthPath, outliers }, env, ctx, { config, health }, now) {
  regions.forEach((region, i) => {
    const { name } = region;
    if (health.verdictDue(name, now)) ctx.waitUntil(checkVerdict(region, config, env, health));
    if (!healthPath || !(i === 0 || outliers.isEjected(name))) return;
    if (outliers.checkDue(name, now)) {
      ctx.waitUntil(checkApplication(region, host, healthPath, env, outliers));
    }
  });
}

/** The attempts of one request at its regions, and what they teach this isolate. */
class Attempts {
  /** @type {ArrayBuffer | ReadableStream | undefined} */
  body;
  /** @type {Headers | undefined} */
  headers;
  /** Whether no other region's answer may be had, nor this one's be given to others. */
  strict = false;
  /** @type {Set<string> | undefined} regions asked in place of one that is ejected */
  #rescues;
  /** Whether a failure was looked into already. */
  #checked = false;
  #request;
  #hasBody;
  #kind;
  #site;
  #env;
  #ctx;
  #edge;

  /**
   * @param {Request} request
   * @param {boolean} hasBody
   * @param {Kind} kind
   * @param {KnownSite} site
   * @param {Env} env
   * @param {ExecutionContext} ctx
   * @param {Edge} edge
   */
  constructor(request, hasBody, kind, site, env, ctx, edge) {
    this.#request = request;
    this.#hasBody = hasBody;
    this.#kind = kind;
    this.#site = site;
    this.#env = env;
    this.#ctx = ctx;
    this.#edge = edge;
  }

  /** @type {(region: Region, signal?: AbortSignal) => Promise<Outcome>} */
  async ask(region, signal) {
    /** @type {RequestInit<RequestInitCfProperties>} */
    const init = { cf: { resolveOverride: region.host } };
    if (this.headers) init.headers = this.headers;
    if (signal) init.signal = signal;
    if (this.body) init.body = this.body;
    if (this.strict) init.cache = 'no-store';
    const startedAt = Date.now();
    try {
      const response = await fetch(this.#request, init);
      return this.#learn(region, response, startedAt);
    } catch (error) {
      if (error instanceof TypeError) throw error;
      if (!signal?.aborted) {
        const { method } = this.#request;
        log('failed', { region: region.name, verdict: 'lost', error: String(error), method });
        this.#countFailure(region);
        // With a body it may be the visitor's own connection that broke.
        if (this.#hasBody) this.#lookInto(region, -1);
        else this.#markDown(region);
      }
      return { region, verdict: 'lost', error };
    }
  }

  /** @type {(region: Region, response: Response, startedAt: number) => Outcome} */
  #learn(region, response, startedAt) {
    const { status } = response;
    const { health } = this.#edge;
    const { outliers, hedgeAfterMs } = this.#site;
    const { name } = region;
    const now = Date.now();
    const verdict =
      status < 502
        ? 'answered'
        : verdictOf(status, isNamed(response, region), isCloudflares(response), this.#kind);
    if (verdict === 'answered' || verdict === 'unavailable') {
      health.markUp(name);
      health.seen(name, now);
    }
    if (verdict === 'answered') {
      const quick = hedgeAfterMs === 0 || now - startedAt < hedgeAfterMs;
      if (quick && this.#rescues?.has(name)) outliers.pay(name, 1);
      outliers.answered(name, startedAt, now, quick);
      return { region, verdict, response };
    }
    if (verdict === 'unavailable') outliers.failed(name, now);
    else if (verdict !== 'broken') this.#markDown(region);
    log('failed', { region: name, verdict, status, method: this.#request.method });
    this.#countFailure(region);
    return { region, verdict, response };
  }

  /**
   * Holds a region back whose connection failed. It may have been one of its nodes: so whoever meets
   * it first has the health path asked, once in a request.
   *
   * @param {Region} region
   */
  #markDown(region) {
    const { health, config } = this.#edge;
    const now = Date.now();
    const known = health.isDown(region.name, now);
    health.markDown(region.name, now);
    if (known || this.#checked) return;
    this.#checked = true;
    const timeoutMs = Math.max(this.#site.hedgeAfterMs, 1000);
    this.#ctx.waitUntil(checkFailure(region, config, this.#env, health, timeoutMs));
  }

  /** @param {Region} region */
  #countFailure({ name }) {
    if (this.#edge.metrics) add(this.#site, name, FAILED_ATTEMPTS, 1);
  }

  /**
   * Asks the health path of a region that gave no sign of life for so long.
   *
   * @type {(region: Region, silentMs: number) => void}
   */
  #lookInto(region, silentMs) {
    const { health, config } = this.#edge;
    const timeoutMs = Math.max(this.#site.hedgeAfterMs, 1000);
    if (!health.checkDue(region.name, Date.now(), silentMs, timeoutMs)) return;
    this.#ctx.waitUntil(checkSilence(region, config, this.#env, health, timeoutMs));
  }

  /** Whether any of these may be asked for what another's ingress refused. @param {Region[]} others */
  mayRepeat(others) {
    return others.some(({ name }) => this.#site.outliers.hasTokens(name));
  }

  /**
   * Whether the next region may be asked beside one that is silent.
   *
   * A dead region's visitors all move on. A region that lives and is slow, or everybody is, would
   * only be made slower: there tokens limit it, those of the region that is slow and those of the
   * one that is to be asked.
   *
   * @type {(region: Region, startedAt: number, waits: number, others: Region[]) => boolean}
   */
  mayHedge(region, startedAt, waits, others) {
    const { health } = this.#edge;
    const { outliers, hedgeAfterMs } = this.#site;
    const { name } = region;
    const now = Date.now();
    this.#lookInto(region, hedgeAfterMs / 4);
    if (waits < 2) return false;
    outliers.overdue(name, startedAt, now, hedgeAfterMs, waits === 2);
    if (health.isDown(name, now) || health.isSilent(name, now, 0.4 * hedgeAfterMs)) return true;
    const [next] = others;
    if (health.isDown(next.name, now) || !outliers.hasTokens(next.name)) return false;
    if (outliers.isEjected(name)) {
      this.#rescues = (this.#rescues ?? new Set()).add(next.name);
      outliers.pay(next.name, -1);
      return true;
    }
    // Each would be a subscription of its own, in every region.
    if (this.#request.headers.get('accept')?.includes('text/event-stream')) return false;
    return outliers.hasTokens(name);
  }
}

// ---- status_page.js ----

// The continents' outlines in whole degrees, as an SVG path: x is the longitude, y the latitude
// turned round. Natural Earth's 110m land (public domain), simplified to 1.6 degrees.
const LAND =
  'M50,14l-3,11-3,0-1-4 1-5 5-4zM144,14l9,12-4,12-8,0-4-3 1-2-2,2-5-4-14,4-2-6-1-7 7-2 5-6 10-2' +
  '-1,3 5,3 2-7zM134,1l1,2 3-1 7,2 6,6-6-2-7,0 0-3-7-4zM106,6l-11-11 2,0 7,5zM118-2l-3,6-5-1 0-' +
  '5 7-5 2,2zM141-37l-5,4-5-1 0,3-2-2 10-5 1-3zM-3-59l4,8-7,1 3-4-3-3zM180-69l10,3-3,2-7-2-3,1 ' +
  '2,3-15,2-2,5-5,4-1-6 8-6-9,4-13,0-7,4 6,3-3,6-10,6 1,5-3,1-1-6-4,1 1-2-4,2 4,2-3,2 3,7-6,5-1' +
  '0,3 3,7-4,4-5-4-1,4 5,8-6-7-1-9-3,1-3-7-11,7-2,8-5-13-7-4-9-1-9-4 4,6 4-2 4,4-5,5-12,4-8-17-' +
  '1,2-2-2 11,18 8,1-12,16 1,11-5,4 0,4-9,10-8,0-6-16 1-9-4-8 1-4-3-1-4-2-11,2-9-8 0-10 8-11 3-' +
  '3 16-1 0,3 9,4 3-3 12,2 2-6-8,0-2-2 16-3-5-3 2-2-5,3-3-3-2,6-6,1-1,4-2-6-7-4 5,6-2,2-7-6-6,1' +
  '-5,6-7,0 0-6 8-1-4-5 13-5 1-3 2-1 0,4 9,0 2-3 2,0-1-2 6-1-8-1 4-4-1-1-6,3 1,3-3,4-3,1-3-4-4,' +
  '0-1-3 14-8 9-1 12,3-7,1 4,3 7-2-1-3 3,2 15-3 8,2-2-3 3-2 3,1-1,6 3-2-2-3 2-2 6,1 0-2 23-4 10' +
  ',2-5,2 18,0 4,3 9-2zM-91-69l4,2 4-3 2,2-12,6-2,3 3,2 10,2 2,4 0-4 3-2-1-5 4,0 6,4 3-2 9,8-10' +
  ',2-5,3 6-2 1,3 4,0-5,2 1-1-3,0-9,8 0-2 0,3-5,5 1,6-4-5-13,2 1,9 9-3-2,6 6,1 2,6 4,0 5-3 0,3 ' +
  '2-3 8,1 11,7 1,4 10,3 5,4-6,15-7,3-6,9-4,0 1,3-8,4 2,2-4,3 1,1-2,5-3,2-4-2 5-32-11-14 0-5 4-' +
  '5-1-4-3,1-6-6-16-5-11-14 5,9-3-2-12-15-1-8 2,1 0-2-11-9-13-3-5,2 1-2-14,7 8-5-9-2 5-4-7-1 6,' +
  '0-5-2 10-3 48,4 13,0 1-5zM-114-73l9,0 4,3-6,1-9,0 4-1-7-2zM-87-73l15,1 10,5-2,2-4-1 3,3-4-1 ' +
  '3,2-13-3 6-3-16-2-1-2zM58-71l-7-1 10-4 8-1-11,3-3,2zM-68-83l6,1-15,3-3,2 2,0-10-1 3,0-3,0 3-' +
  '1-2-1 5,0-10-2zM-27-84l6,1-10,1 19,1-8,1 2,0-2,1 2,2-4,0 3,3-6,2 3,1-4,1 4,0-18,5-3,5-3-1-8-' +
  '5 3-4-4,0 4-1-5-1-1-3-16-3 13-4z';

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; --up: #1a7f37; --down: #cf222e; --other: #9a6700 }
@media (prefers-color-scheme: dark) { :root { --up: #3fb950; --down: #f85149; --other: #d29922 } }
body { max-width: 75rem; margin: 1.5rem auto; padding: 0 1rem }
svg { width: 100%; height: auto }
.land { fill: currentColor; opacity: .15 }
.here { fill: none; stroke: currentColor }
text { font-size: 6px; fill: currentColor }
.up { color: var(--up); fill: var(--up) } .down { color: var(--down); fill: var(--down) }
.other { color: var(--other); fill: var(--other) }
div { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #8884 }`;

/** @typedef {{word: string, look: 'up' | 'down' | 'other'}} State */

/**
 * What is said of a region in a word: the worst that is known.
 *
 * @type {(region: RegionReport) => State}
 */
function stateOf({ probe, drain, isolate, applications }) {
  if (probe && !probe.up) return { word: 'down', look: 'down' };
  if (drain) return { word: 'drains', look: 'other' };
  if (isolate.startsWith('down') || isolate === 'half-open') {
    return { word: 'held back', look: 'other' };
  }
  const well = Object.values(applications).every((said) => said === 'well' || said === 'slow start');
  return well ? { word: 'up', look: 'up' } : { word: 'ejected', look: 'other' };
}

/**
 * The operators' page as HTML: a map and a table. It fetches nothing.
 *
 * @param {Report} report
 */
function statusHtml(report) {
  const { regions, colo, time, maintenance } = report;
  const rows = regions.map((region) => ({ region, state: stateOf(region) }));
  const up = rows.filter(({ state }) => state.look === 'up').length;
  const closed = maintenance.length > 0 ? `<p class="other">In maintenance: ${text(maintenance.join(', '))}</p>` : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="60"><title>${up} of ${regions.length} regions up</title>
<style>${STYLE}</style></head><body>
<h1>${up} of ${regions.length} regions up</h1>
<p>As seen from ${text(colo ?? 'an unknown data centre')} at ${text(time)}; asked again each minute.</p>
${closed}
${map(rows, colo)}
<div><table><thead><tr><th>region<th>state<th>health path, from here<th>cron’s record<th>requests found<th>applications<th>gets</tr></thead>
<tbody>${rows.map((row) => line(row, report.recorded)).join('')}</tbody></table></div>
${typeof report.recorded === 'string' ? `<p>${text(report.recorded)}</p>` : ''}
</body></html>
`;
}

/** @typedef {{region: RegionReport, state: State}} Row */

/** @type {(rows: Row[], colo: string | null) => string} */
function map(rows, colo) {
  const here = colo ? locate({ colo }) : undefined;
  const dots = rows.map(({ region: { name, lat, lon }, state: { word, look } }) => {
    const [anchor, x] = lon > 120 ? ['end', lon - 5] : ['start', lon + 5];
    return `<g><title>${text(name)}: ${word}</title><circle class="${look}" cx="${lon}" cy="${-lat}" r="3"/>
<text x="${x}" y="${2 - lat}" text-anchor="${anchor}">${text(name)}</text></g>`;
  });
  const ring = here && `<circle class="here" cx="${here.lon}" cy="${-here.lat}" r="5"><title>here</title></circle>`;
  return `<svg viewBox="-180 -84 360 142" role="img" aria-label="map of the regions">
<path class="land" d="${LAND}"/>
${ring ?? ''}${dots.join('')}</svg>`;
}

/** @type {(row: Row, recorded: Report['recorded']) => string} */
function line({ region, state }, recorded) {
  const { name, host, probe, isolate, applications, weight, strict, drain } = region;
  const known = typeof recorded === 'string' ? undefined : recorded[name];
  const record = known ? `${known.up ? 'up' : 'down'} since ${known.since}: ${known.detail}` : '';
  const apps = Object.entries(applications).map(([site, said]) => `${text(site)}: ${text(said)}`);
  const gets = [`${drain ? 0 : weight} %`, ...(strict ? ['strict'] : []), ...region.countries, ...region.continents];
  const cells = [
    `${text(name)}<br><small>${text(host)}</small>`,
    `<b class="${state.look}">${state.word}</b>`,
    text(probe ? `${probe.detail}, ${probe.ms} ms` : ''),
    text(record),
    text(isolate),
    apps.join('<br>'),
    text(gets.join(', ')),
  ];
  return `<tr>${cells.map((cell) => `<td>${cell}`).join('')}</tr>\n`;
}

/** @type {Record<string, string>} */
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** @type {(value: string) => string} any text, as text of HTML */
const text = (value) => value.replace(/[&<>"']/g, (found) => ESCAPES[found]);

// ---- status.js ----

const STATUS_PATH = '/.edge/status';

/**
 * @typedef {Region & {isolate: string, applications: Record<string, string>, probe?: Probe}}
 *   RegionReport
 * @typedef {{colo: string | null, time: string, hedgeAfterMs: number, retryOn5xx: boolean,
 *   maintenance: string[], regions: RegionReport[], recorded: string | HealthRecord}} Report
 */

/**
 * The operators' page: HTML for browsers, else JSON. Regions are probed while it is made.
 *
 * @param {Request} request
 * @param {Env & {STATUS_TOKEN: string}} env
 * @param {Edge} edge
 */
async function statusPage(request, env, edge) {
  const headers = { 'cache-control': 'no-store', vary: 'accept, authorization' };
  const asHtml = request.headers.get('accept')?.includes('text/html') ?? false;
  if (!(await isAuthorized(request, env.STATUS_TOKEN))) {
    // A browser asks its user for the password, and sends it the other way.
    const scheme = asHtml ? 'Basic realm="edge status; the token is the password"' : 'Bearer';
    return new Response('Send the header "Authorization: Bearer <STATUS_TOKEN>".\n', {
      status: 401,
      headers: { ...headers, 'www-authenticate': scheme },
    });
  }
  const report = await reportOf(request, env, edge);
  if (!asHtml) return Response.json(report, { headers });
  return new Response(statusHtml(report), {
    headers: {
      ...headers,
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
    },
  });
}

/** @type {(request: Request, env: Env, edge: Edge) => Promise<Report>} */
async function reportOf(request, env, { config, health, sites }) {
  const probes = await probeAll(config, env);
  const now = Date.now();
  const closed = [...config.hosts].filter(([, site]) => site.maintenance).map(([host]) => host);
  /** @type {Report['recorded']} */
  let recorded = 'no HEALTH namespace is bound';
  if (env.HEALTH) recorded = await readRecord(env.HEALTH).catch((error) => String(error));
  return {
    colo: /** @type {string | undefined} */ (request.cf?.colo) ?? null,
    time: new Date(now).toISOString(),
    hedgeAfterMs: config.site.hedgeAfterMs,
    retryOn5xx: config.site.retryOn5xx,
    maintenance: config.site.maintenance ? ['all hosts that say nothing else', ...closed] : closed,
    regions: config.regions.map((region) => ({
      ...region,
      isolate: health.describe(region.name, now),
      applications: Object.fromEntries(
        sites.all().map(({ host, outliers }) => [host, outliers.describe(region.name, now)]),
      ),
      probe: probes.get(region),
    })),
    recorded,
  };
}

/** @type {(request: Request, token: string) => Promise<boolean>} */
async function isAuthorized(request, token) {
  const given = bearer(request.headers.get('authorization') ?? '');
  const [a, b] = await Promise.all(
    [given, `Bearer ${token}`].map((text) =>
      crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)),
    ),
  );
  return crypto.subtle.timingSafeEqual(a, b);
}

/** A browser's way to say it, with any name. @type {(given: string) => string} */
function bearer(given) {
  if (!given.startsWith('Basic ')) return given;
  try {
    return `Bearer ${atob(given.slice(6)).replace(/^[^:]*:/, '')}`;
  } catch {
    return '';
  }
}

// ---- main.js ----

/**
 * @typedef {{config: Config, problems: string[], health: RegionHealth, sites: Sites,
 *   metrics?: Metrics}} Edge
 */

/** @type {Edge | undefined} one for each isolate */
let edge;

/**
 * @param {Env} env
 * @returns {Edge}
 */
function edgeOf(env) {
  if (!edge) {
    const { config, problems } = parseConfig(env.CONFIG);
    const sites = new Sites(config);
    const metrics = env.METRICS && new Metrics(sites);
    edge = { config, problems, health: new RegionHealth(config.downMs), sites, metrics };
  }
  return edge;
}

/** @satisfies {ExportedHandler<Env>} */
const handler = {
  async fetch(visitors, env, ctx) {
    const request = withoutEmptyBody(visitors);
    const hasBody = request.body !== null;
    const known = edgeOf(env);
    const { config, problems, health } = known;
    if (problems.length > 0) {
      log('misconfigured', { problems });
      return pages.misconfigured(env);
    }
    // What passes through reaches a region by the host's own record, hence never a strict one's.
    const passesThrough = !hasBody && !config.strict;
    if (passesThrough) ctx.passThroughOnException();
    try {
      if (env.HEALTH) await refreshed(env.HEALTH, health, request.method, ctx);
      if (
        env.STATUS_TOKEN &&
        request.url.includes(STATUS_PATH) &&
        new URL(request.url).pathname === STATUS_PATH
      ) {
        return await statusPage(
          request,
          { ...env, STATUS_TOKEN: env.STATUS_TOKEN },
          known,
        );
      }
      return await proxy(request, hasBody, env, ctx, known);
    } catch (error) {
      log('exception', { error: String(error), stack: /** @type {Error} */ (error)?.stack });
      if (passesThrough) throw error;
      return pages.broken(env);
    }
  },

  async scheduled(_event, env) {
    const { config, problems, health } = edgeOf(env);
    if (problems.length > 0) log('misconfigured', { problems });
    else health.adopt(await runProbes(config, env), Date.now());
  },
};

export default handler;

// A request that can't be sent twice waits so long for what others know, in a new isolate.
const FIRST_READ_MS = 250;

/**
 * Reads the probes' verdicts where they are due, without letting anybody wait for them.
 *
 * @type {(namespace: KVNamespace, health: RegionHealth, method: string, ctx: ExecutionContext) =>
 *   Promise<void> | void}
 */
function refreshed(namespace, health, method, ctx) {
  const waits = !health.hasRead && method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS';
  if (!health.refreshDue(Date.now()) && !waits) return;
  const reading = refresh(namespace, health);
  ctx.waitUntil(reading);
  if (waits) return Promise.race([reading, pause(FIRST_READ_MS)]);
}

/** @type {(namespace: KVNamespace, health: RegionHealth) => Promise<void>} */
async function refresh(namespace, health) {
  try {
    health.adopt(await readRecord(namespace), Date.now());
  } catch (error) {
    log('health_not_read', { error: String(error) });
    health.adopt({}, Date.now());
  }
}
