// Ejection, its share, its length, the way back, and the tokens of hedges: without a runtime.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../../../components/edge/worker/config.js';
import { Outliers } from '../../../../components/edge/worker/outliers.js';

const NAMES = ['us', 'eu', 'apac'];
const { config } = parseConfig({
  regions: NAMES.map((name) => ({ name, host: `${name}.example.com`, lat: 0, lon: 0 })),
});
const { regions } = config;

function outliers(rules = {}, count = 3) {
  const told = [];
  const found = new Outliers({ ...config.outlierDetection, ...rules }, count, (...what) => told.push(what));
  return { found, told };
}
const fail = (found, name, times, now = 0) => {
  for (let i = 0; i < times; i += 1) found.failed(name, now);
};
const order = (found, now, mayTry = false, random = 0.5) =>
  found.order(regions, now, mayTry, () => random).map((region) => region.name).join(' ');

for (const [what, failures, rules, expected] of [
  ['four in a row are not enough', [['us', 4]], {}, 'us eu apac'],
  ['five in a row are', [['us', 5]], {}, 'eu apac us'],
  ['as many as the table says', [['us', 2]], { consecutiveGatewayFailure: 2 }, 'eu apac us'],
  ['one of three at most', [['us', 5], ['eu', 5]], {}, 'eu apac us'],
  ['two of three where the table allows it', [['us', 5], ['eu', 5]], { maxEjectionPercent: 67 }, 'apac us eu'],
]) {
  test(what, () => {
    const { found } = outliers(rules);
    for (const [name, times] of failures) fail(found, name, times);
    assert.equal(order(found, 1), expected);
  });
}

for (const [what, count, rules, ejected] of [
  ['the only region is never ejected', 1, {}, false],
  ['one of two may be', 2, {}, true],
  ['one at least, whatever the percentage', 3, { maxEjectionPercent: 0 }, true],
]) {
  test(what, () => {
    const { found } = outliers(rules, count);
    fail(found, 'us', 5);
    assert.equal(found.isEjected('us'), ejected);
  });
}

for (const [what, good, bad, seconds, ejected] of [
  ['half of twenty', 10, 10, 0.1, true],
  ['less than half', 12, 8, 0.1, false],
  ['too few to count', 9, 10, 0.1, false],
  ['too long ago to count', 10, 10, 1.5, false],
]) {
  test(`share of failures: ${what}`, () => {
    const { found } = outliers();
    for (let i = 0; i < good + bad; i += 1) {
      const now = i * seconds * 1000;
      if (i % 2 === 0 && i / 2 < good) found.answered('us', now, now, true);
      else if (i % 2 === 1 && i / 2 < bad) found.failed('us', now);
      else if (good > bad) found.answered('us', now, now, true);
      else found.failed('us', now);
    }
    assert.equal(found.isEjected('us'), ejected);
  });
}

test('the way back: one tries, then its share grows', () => {
  const { found, told } = outliers();
  fail(found, 'us', 5, 0);
  assert.deepEqual(told, [['us', 'gateway failures in a row', 30_000]]);
  assert.equal(order(found, 29_999, true), 'eu apac us');
  // Only one that may be repeated tries, and only one.
  assert.equal(order(found, 30_001, false), 'eu apac us');
  assert.equal(order(found, 30_001, true), 'us eu apac');
  assert.equal(order(found, 30_002, true), 'eu apac us');
  // An answer to a request from before proves nothing.
  found.answered('us', 100, 30_003, true);
  assert.equal(found.isEjected('us'), true);
  found.answered('us', 30_001, 30_010, true);
  assert.equal(found.isEjected('us'), false);
  for (const [after, random, expected] of [
    [100, 0.09, 'us eu apac'],
    [100, 0.11, 'eu apac us'],
    [15_000, 0.49, 'us eu apac'],
    [15_000, 0.51, 'eu apac us'],
    [30_000, 0.99, 'us eu apac'],
  ]) {
    assert.equal(order(found, 30_010 + after, false, random), expected, `${after} ms, ${random}`);
  }
});

test('who fails again stays away longer, up to five minutes', () => {
  const { found, told } = outliers();
  fail(found, 'us', 5, 0);
  let now = 0;
  for (let i = 0; i < 12; i += 1) {
    now += told.at(-1)[2];
    assert.equal(order(found, now, true), 'us eu apac');
    found.failed('us', now);
  }
  const lengths = told.map(([, , ms]) => ms / 1000);
  assert.deepEqual(lengths.slice(0, 4), [30, 60, 90, 120]);
  assert.equal(lengths.at(-1), 300);
});

test('no answers: five requests, for twice the hedge time', () => {
  const { found } = outliers();
  for (let i = 0; i < 5; i += 1) found.overdue('us', i, 1000 + i, 1000, true);
  assert.equal(found.isEjected('us'), false);
  found.overdue('us', 0, 2000, 1000, false);
  assert.equal(found.isEjected('us'), true);
});

test('no answers: one to anybody takes it back', () => {
  const { found } = outliers();
  for (let i = 0; i < 50; i += 1) {
    found.overdue('us', i * 100, 1000 + i * 100, 1000, true);
    if (i % 4 === 0) found.answered('us', i * 100, 1000 + i * 100, false);
  }
  assert.equal(found.isEjected('us'), false);
});

test('tokens: slow answers use them up, quick ones bring them back', () => {
  const { found } = outliers();
  const hedged = [];
  for (let i = 0; i < 20; i += 1) {
    found.overdue('us', i, i + 1000, 1000, true);
    hedged.push(found.hasTokens('us'));
    found.answered('us', i, i + 1500, false);
  }
  assert.equal(hedged.filter(Boolean).length, 4);
  for (let i = 0; i < 1000; i += 1) found.answered('us', i, i, true);
  found.overdue('us', 0, 1000, 1000, true);
  assert.equal(found.hasTokens('us'), true);
});

test('tokens: one in ten of a region that is mostly quick', () => {
  const { found } = outliers();
  let hedges = 0;
  for (let i = 0; i < 10_000; i += 1) {
    if (i % 5 === 0) {
      found.overdue('us', i, i, 1000, true);
      if (found.hasTokens('us')) hedges += 1;
      found.answered('us', i, i, false);
    } else found.answered('us', i, i, true);
  }
  assert.ok(hedges <= 0.1 * 10_000 + 5, `${hedges}`);
});

test('the health path ejects and brings back', () => {
  const { found } = outliers();
  assert.equal(found.checkDue('us', 0), true);
  assert.equal(found.checkDue('us', 59_999), false);
  assert.equal(found.checkDue('us', 60_000), true);
  found.eject('us', 60_000, 'health path');
  assert.equal(order(found, 60_001), 'eu apac us');
  assert.equal(found.checkDue('us', 89_999), false);
  assert.equal(found.checkDue('us', 90_000), true, 'when its time is over');
  assert.equal(found.checkDue('us', 90_001), false);
  found.readmit('us', 90_100);
  assert.equal(order(found, 90_101, false, 0.05), 'us eu apac');
});
