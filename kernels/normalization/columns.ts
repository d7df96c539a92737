// Neighbouring columns of memory, those of neighbouring groups, that go through all rows together: so a page of memory is read
// or written as a whole before the next, and vectors run across columns. What the forward and the backward pass of
// normalization share: where a part is, its two sums, and a group's numbers for each of its columns.
//
//   row      [inner, groups], the runs of all groups: what lies between two elements of a column
//   fold     as many rows are joined to one longer row, where a row is short; a group then has `fold` times the columns
//   block    `together` groups, of which all columns go together: a page of every row, since a part of one costs as much time
//   part     `rows` (joined) rows of a block
//
// Four rows are added to the sums at once: the accumulators are in memory. They are float32 over at most ROWS rows, then
// a group's columns are added in their order, in float64.
import { loadPart, loadUpTo, maskPart, total, totalOf, upperHalf } from '../lanes';
import { loadTriples } from './normalization-layout';
import { scratch } from '../scratch';

/** Most columns of a block: a page. The host decides by it. */
const COLUMNS: i32 = 1024;
/** Rows until float32 sums are emptied: sixteen additions of four rows each. */
const ROWS: i32 = 64;

// Working memory, in bytes behind `scratch`: one number per column or group each. A line more than a page apart, so that those
// of a column do not meet in one set of a cache.
const SINGLES: usize = (COLUMNS + 16) * 4;
const DOUBLES: usize = 2 * SINGLES;
/** What is subtracted from x before it is summed. */
export const SHIFTS: usize = 0;
export const HIGHS: usize = SHIFTS + SINGLES;
export const FACTORS: usize = HIGHS + SINGLES;
export const SLOPES: usize = FACTORS + SINGLES;
export const RESTS: usize = SLOPES + SINGLES;
const ADDED: usize = RESTS + SINGLES;
const ADDED_PRODUCTS: usize = ADDED + SINGLES;
/** The two sums of each group, in float64. */
export const FIRSTS: usize = ADDED_PRODUCTS + SINGLES;
export const SECONDS: usize = FIRSTS + DOUBLES;
export const TRIPLES: usize = SECONDS + DOUBLES;

// ---------------------------------------------------------------- where a part is

// of the part chosen last
export let firstGroup: i32 = 0;
export let groups: i32 = 0;
export let columns: i32 = 0;
/** Whole rows, and columns of the row behind them that is not. */
export let rows: i32 = 0;
export let lastColumns: i32 = 0;
/** Elements of a group. */
export let count: f64 = 0;
/** Bytes from the beginning of the array, and from one row to the next. */
export let start: usize = 0;
export let apart: usize = 0;

@inline
export function blocksOf<B>(b: B): i32 {
  return (b.groups + b.together - 1) / b.together;
}

/** Blocks first, then parts. */
export function choosePart<B>(b: B, item: i32): void {
  const blocks = blocksOf(b);
  const part = item / blocks;
  const width = b.inner * b.groups;
  const wholeRows = b.outer / b.fold;
  const row = part * b.rows;
  firstGroup = (item - part * blocks) * b.together;
  groups = min(b.together, b.groups - firstGroup);
  columns = groups * b.inner * b.fold;
  const last = part + 1 == b.parts;
  rows = last ? wholeRows - row : b.rows;
  const lastRows = last ? b.outer - wholeRows * b.fold : 0;
  lastColumns = lastRows * groups * b.inner;
  count = (<f64>rows * <f64>b.fold + <f64>lastRows) * <f64>b.inner;
  apart = (<usize>width * <usize>b.fold) << 2;
  start = <usize>row * apart + ((<usize>firstGroup * <usize>b.inner) << 2);
}

// ---------------------------------------------------------------- groups and columns

/** Gives all columns of a group its number, which is the group's in order before. */
export function expand(place: usize, inner: i32, fold: i32): void {
  const base = scratch + place;
  if (inner > 1) {
    for (let g = groups - 1; g >= 0; --g) {
      const value = load<f32>(base + (<usize>g << 2));
      let at = base + (<usize>(g * inner) << 2);
      let left = inner;
      for (; left >= 4; left -= 4) {
        v128.store(at, f32x4.splat(value));
        at += 16;
      }
      for (; left > 0; --left) {
        store<f32>(at, value);
        at += 4;
      }
    }
  }
  const bytes = <usize>(groups * inner) << 2;
  for (let k = 1; k < fold; ++k) memory.copy(base + <usize>k * bytes, base, bytes);
}

// ---------------------------------------------------------------- sums

/** Adds to the accumulators of the column at `at`: s0 and p0 to s3 and p3 are four rows' numbers, and their products. */
@inline
function addFour(at: usize, s0: v128, s1: v128, s2: v128, s3: v128, p0: v128, p1: v128, p2: v128, p3: v128): void {
  v128.store(at, f32x4.add(v128.load(at, ADDED), f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3))), ADDED);
  v128.store(
    at,
    f32x4.add(v128.load(at, ADDED_PRODUCTS), f32x4.add(f32x4.add(p0, p1), f32x4.add(p2, p3))),
    ADDED_PRODUCTS,
  );
}

/** Adds d and d² of four rows, d = x - shift, in the first `width` columns, whole vectors. */
export function addColumns(x: usize, width: i32): void {
  const x1 = x + apart;
  const x2 = x1 + apart;
  const x3 = x2 + apart;
  const bytes = <usize>width << 2;
  for (let c: usize = 0; c < bytes; c += 16) {
    const shift = v128.load(scratch + c, SHIFTS);
    const d0 = f32x4.sub(v128.load(x + c), shift);
    const d1 = f32x4.sub(v128.load(x1 + c), shift);
    const d2 = f32x4.sub(v128.load(x2 + c), shift);
    const d3 = f32x4.sub(v128.load(x3 + c), shift);
    addFour(scratch + c, d0, d1, d2, d3, f32x4.mul(d0, d0), f32x4.mul(d1, d1), f32x4.mul(d2, d2), f32x4.mul(d3, d3));
  }
}

/** As addColumns: dy and dy d. */
export function addGradientColumns(x: usize, dy: usize, width: i32): void {
  const x1 = x + apart;
  const x2 = x1 + apart;
  const x3 = x2 + apart;
  const dy1 = dy + apart;
  const dy2 = dy1 + apart;
  const dy3 = dy2 + apart;
  const bytes = <usize>width << 2;
  for (let c: usize = 0; c < bytes; c += 16) {
    const shift = v128.load(scratch + c, SHIFTS);
    const g0 = v128.load(dy + c);
    const g1 = v128.load(dy1 + c);
    const g2 = v128.load(dy2 + c);
    const g3 = v128.load(dy3 + c);
    const p0 = f32x4.mul(g0, f32x4.sub(v128.load(x + c), shift));
    const p1 = f32x4.mul(g1, f32x4.sub(v128.load(x1 + c), shift));
    const p2 = f32x4.mul(g2, f32x4.sub(v128.load(x2 + c), shift));
    const p3 = f32x4.mul(g3, f32x4.sub(v128.load(x3 + c), shift));
    addFour(scratch + c, g0, g1, g2, g3, p0, p1, p2, p3);
  }
}

/** As both, without dy where that is 0: less than four rows, row by row. */
function addRest(x: usize, dy: usize, width: i32, n: i32): void {
  for (let from = 0; from < width; from += 4) {
    const left = width - from;
    const c = <usize>from << 2;
    const at = scratch + c;
    // behind the columns of a row that is not whole lie others
    const mask = maskPart(left);
    const shift = v128.load(at, SHIFTS);
    let first = v128.load(at, ADDED);
    let second = v128.load(at, ADDED_PRODUCTS);
    let offset = c;
    for (let r = 0; r < n; ++r) {
      const d = v128.and(f32x4.sub(loadUpTo(x + offset, left), shift), mask);
      const g = dy ? loadUpTo(dy + offset, left) : d;
      first = f32x4.add(first, g);
      second = f32x4.add(second, f32x4.mul(g, d));
      offset += apart;
    }
    v128.store(at, first, ADDED);
    v128.store(at, second, ADDED_PRODUCTS);
  }
}

/** As both, in the one to three last columns at `c`: in the same order, so that it does not matter where a block ends. */
function addLastColumns(x: usize, dy: usize, c: usize, left: i32): void {
  const shift = v128.load(scratch + c, SHIFTS);
  const d0 = f32x4.sub(loadPart(x + c, left), shift);
  const d1 = f32x4.sub(loadPart(x + apart + c, left), shift);
  const d2 = f32x4.sub(loadPart(x + 2 * apart + c, left), shift);
  const d3 = f32x4.sub(loadPart(x + 3 * apart + c, left), shift);
  const g0 = dy ? loadPart(dy + c, left) : d0;
  const g1 = dy ? loadPart(dy + apart + c, left) : d1;
  const g2 = dy ? loadPart(dy + 2 * apart + c, left) : d2;
  const g3 = dy ? loadPart(dy + 3 * apart + c, left) : d3;
  addFour(scratch + c, g0, g1, g2, g3, f32x4.mul(g0, d0), f32x4.mul(g1, d1), f32x4.mul(g2, d2), f32x4.mul(g3, d3));
}

/** Adds four rows. */
@inline
function addRows(x: usize, dy: usize): void {
  const whole = columns & ~3;
  if (dy) addGradientColumns(x, dy, whole);
  else addColumns(x, whole);
  if (whole < columns) addLastColumns(x, dy, <usize>whole << 2, columns - whole);
}

/** Adds the float32 sums of as many columns as a row has to the groups' float64 sums. */
@inline
function addToGroups(from: usize, to: usize, inner: i32): void {
  if (inner == 1) {
    const end = from + (<usize>groups << 2);
    for (; from < end; from += 16) {
      const a = v128.load(from);
      v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(a)));
      v128.store(to, f64x2.add(v128.load(to, 16), f64x2.promote_low_f32x4(upperHalf(a))), 16);
      to += 32;
    }
    return;
  }
  for (let g = 0; g < groups; ++g) {
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let left = inner;
    for (; left > 3; left -= 4) {
      const a = v128.load(from);
      low = f64x2.add(low, f64x2.promote_low_f32x4(a));
      high = f64x2.add(high, f64x2.promote_low_f32x4(upperHalf(a)));
      from += 16;
    }
    if (left > 0) {
      const a = loadPart(from, left);
      low = f64x2.add(low, f64x2.promote_low_f32x4(a));
      high = f64x2.add(high, f64x2.promote_low_f32x4(upperHalf(a)));
      from += <usize>left << 2;
    }
    store<f64>(to, load<f64>(to) + totalOf(low, high));
    to += 8;
  }
}

/** Empties the accumulators into the groups' sums: those of joined rows one after the other. */
function empty(inner: i32, fold: i32): void {
  const width = <usize>(groups * inner) << 2;
  let at = scratch + ADDED;
  for (let k = 0; k < fold; ++k) {
    addToGroups(at, scratch + FIRSTS, inner);
    addToGroups(at + (ADDED_PRODUCTS - ADDED), scratch + SECONDS, inner);
    at += width;
  }
  memory.fill(scratch + ADDED, 0, 2 * SINGLES);
}

/** The sums of d and d² of every group of the part of x, at FIRSTS and SECONDS; those of dy and dy d where dy is not 0. */
export function sumPart(x: usize, dy: usize, inner: i32, fold: i32): void {
  memory.fill(scratch + FIRSTS, 0, <usize>(groups + 3) << 3);
  memory.fill(scratch + SECONDS, 0, <usize>(groups + 3) << 3);
  memory.fill(scratch + ADDED, 0, 2 * SINGLES);
  let added = 0;
  let left = rows;
  for (; left >= 4; left -= 4) {
    if (added == ROWS) {
      empty(inner, fold);
      added = 0;
    }
    addRows(x, dy);
    x += 4 * apart;
    if (dy) dy += 4 * apart;
    added += 4;
  }
  if (left > 0) addRest(x, dy, columns, left);
  if (lastColumns > 0) addRest(x + <usize>left * apart, dy ? dy + <usize>left * apart : 0, lastColumns, 1);
  empty(inner, fold);
}

/** Means over a few elements of every group of the part, at HIGHS: of up to four rows spread over all, up to four of a run. */
export function sampleMeans(x: usize, inner: i32): void {
  const step = <usize>max(1, rows >> 2) * apart;
  const sample = min(4, rows);
  const run = <usize>inner << 2;
  const share: f32 = <f32>(1.0 / <f64>(inner < 4 ? sample : 4 * sample));
  for (let g = 0; g < groups; ++g) {
    let sum: f32 = 0;
    let at = x;
    for (let r = 0; r < sample; ++r) {
      sum += inner < 4 ? load<f32>(at) : <f32>total(v128.load(at));
      at += step;
    }
    store<f32>(scratch + HIGHS + (<usize>g << 2), sum * share);
    x += run;
  }
}

/** The numbers at HIGHS, in the order of groups, as shifts of the columns. */
export function spreadShifts(inner: i32, fold: i32): void {
  memory.copy(scratch + SHIFTS, scratch + HIGHS, <usize>groups << 2);
  expand(SHIFTS, inner, fold);
}

/** The statistics of four groups, or as many as are left, as three vectors at TRIPLES. */
export function readStatistics(statistics: usize, g: i32): void {
  const from = statistics + <usize>(firstGroup + g) * 12;
  if (groups - g >= 4) loadTriples(from, scratch + TRIPLES);
  else {
    memory.copy(scratch + TRIPLES + 48, from, <usize>(groups - g) * 12);
    loadTriples(scratch + TRIPLES + 48, scratch + TRIPLES);
  }
}

// ---------------------------------------------------------------- parts

/** Bytes from the first to the second numbers of a part. */
@inline
export function partialBytes(groups: i32): usize {
  return <usize>((groups + 3) & ~3) << 3;
}

/** The two numbers of every group of the part to its place among all of their part. */
export function keepPartials(partials: usize, all: i32, part: i32): void {
  const next = partialBytes(all);
  const at = partials + 2 * <usize>part * next + (<usize>firstGroup << 3);
  const bytes = <usize>groups << 3;
  memory.copy(at, scratch + FIRSTS, bytes);
  memory.copy(at + next, scratch + SECONDS, bytes);
}
