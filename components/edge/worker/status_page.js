/** @import {Report, RegionReport} from './status.js' */
import { locate } from './places.js';

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
export function statusHtml(report) {
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
