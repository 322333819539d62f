/** @import {Place} from './types.js' */

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
export const isHidden = ({ country }) => country === 'T1' || country === 'XX';

/**
 * Where a visitor is, as well as Cloudflare says it: his coordinates, else his country's, else his
 * continent's, else those of the data centre that he came to.
 *
 * @param {Place} place
 * @returns {Located | undefined} degrees; `isVisitors` is false where it is only where his
 *   connection comes from: the best for latency, but no claim on him
 */
export function locate(place) {
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
