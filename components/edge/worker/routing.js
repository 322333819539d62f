/** @import {Place, Region} from './types.js' */
import { isHidden, locate } from './places.js';

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
export function candidates(regions, cf, visitor) {
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
