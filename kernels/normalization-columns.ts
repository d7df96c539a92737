// Normalization where the runs of a plane are short and lie apart, with T and U dimensions behind: neighbouring columns of
// memory, those of neighbouring groups, go through all rows together, so that memory is read and written a page after the
// other and vectors run across columns. A column has its own two sums, float32 over at most ROWS rows, then float64; a
// group's are those of its columns in their order.
//
//   row      [inner, groups], the runs of all groups: what lies between two elements of a column
//   fold     as many rows are joined to one longer row, where a row is short; a group then has `fold` times the columns
//   block    `together` groups, of which all columns go together
//   part     `rows` (joined) rows of a block
//
// With one part, a block is measured and written while it is in the cache. Else parts are measured, joined in their order
// and written by three kernels. Sizes decide (src/operations/normalization-columns.ts), never the number of threads. Formulas
// and precision are those of normalization.ts and normalization-gradient.ts.
import { joinHalves, loadPart, loadUpTo, maskPart, storePart, storeUpTo, upperHalf } from './lanes';
import { channelLanes, loadTriples, storeTriples } from './normalization-layout';
import { scratch } from './scratch';

/** Most columns of a block. The host decides by it. */
const COLUMNS: i32 = 2048;
/** Rows until float32 sums are emptied. */
const ROWS: i32 = 16;
/** Rows from which a shift is found, at least. */
const SAMPLE: i32 = 4;

// working memory, in bytes behind `scratch`: one number per column or group each
const SHIFTS: usize = 0;
const FIRSTS: usize = SHIFTS + (COLUMNS + 16) * 4;
const SECONDS: usize = FIRSTS + (COLUMNS + 16) * 8;
const HIGHS: usize = SECONDS + (COLUMNS + 16) * 8;
const FACTORS: usize = HIGHS + (COLUMNS + 16) * 4;
const SLOPES: usize = FACTORS + (COLUMNS + 16) * 4;
const RESTS: usize = SLOPES + (COLUMNS + 16) * 4;
const TRIPLES: usize = RESTS + (COLUMNS + 16) * 4;

@unmanaged
class ColumnNormalization {
  x: usize;
  /** The result; may be x itself. */
  y: usize;
  /** One number per channel; 0 stands for all ones. */
  scale: usize;
  /** One number per channel; 0 stands for all zeros. */
  offset: usize;
  /** [3, groups], as in normalization.ts. */
  statistics: usize;
  /** With several parts, float64 [groups rounded up to a multiple of 4, 2, parts]: means and squares. */
  partials: usize;
  inner: i32;
  channels: i32;
  groups: i32;
  /** Rows, before any are joined. */
  outer: i32;
  fold: i32;
  together: i32;
  rows: i32;
  parts: i32;
  epsilon: f32;
}

@unmanaged
class ColumnNormalizationGradient {
  x: usize;
  dy: usize;
  /** The result; may be dy itself. */
  dx: usize;
  /** One number per channel; 0 stands for all ones. */
  scale: usize;
  /** [3, groups], as the forward pass left it. */
  statistics: usize;
  /** [2, groups]: the sums of dy and of dy xhat. */
  planeSums: usize;
  /** With several parts, float64 [groups rounded up to a multiple of 4, 2, parts]: sums of dy and dy (x - high). */
  partials: usize;
  inner: i32;
  channels: i32;
  groups: i32;
  outer: i32;
  fold: i32;
  together: i32;
  rows: i32;
  parts: i32;
}

// ---------------------------------------------------------------- where a part is

// of the part chosen last
let firstGroup: i32 = 0;
let groups: i32 = 0;
let columns: i32 = 0;
/** Whole rows, and columns of the row behind them that is not. */
let rows: i32 = 0;
let lastColumns: i32 = 0;
/** Elements of a group. */
let count: f64 = 0;
/** Bytes from the beginning of the array, and from one row to the next. */
let start: usize = 0;
let apart: usize = 0;

/** Blocks first, then parts. */
function choosePart<B>(b: B, item: i32): void {
  const blocks = (b.groups + b.together - 1) / b.together;
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
function expand(place: usize, inner: i32, fold: i32): void {
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

/** The sums of each group, in order, from those of its columns: those of joined rows, then those of a run. */
function reduce(place: usize, inner: i32, fold: i32): void {
  const base = scratch + place;
  const width = groups * inner;
  let more = base + (<usize>width << 3);
  for (let k = 1; k < fold; ++k) {
    let at = base;
    let left = width;
    for (; left >= 2; left -= 2) {
      v128.store(at, f64x2.add(v128.load(at), v128.load(more)));
      at += 16;
      more += 16;
    }
    if (left > 0) {
      store<f64>(at, load<f64>(at) + load<f64>(more));
      more += 8;
    }
  }
  if (inner == 1) return;
  let at = base;
  for (let g = 0; g < groups; ++g) {
    let pair = f64x2.splat(0);
    let left = inner;
    for (; left >= 2; left -= 2) {
      pair = f64x2.add(pair, v128.load(at));
      at += 16;
    }
    let total = f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
    if (left > 0) {
      total += load<f64>(at);
      at += 8;
    }
    store<f64>(base + (<usize>g << 3), total);
  }
}

// ---------------------------------------------------------------- sums

@inline
function empty(at: usize, a: v128): void {
  v128.store(at, f64x2.add(v128.load(at), f64x2.promote_low_f32x4(a)));
  v128.store(at, f64x2.add(v128.load(at, 16), f64x2.promote_low_f32x4(upperHalf(a))), 16);
}

/**
 * Adds at most ROWS rows, `apart` bytes from one another, to the sums of all columns: of d and d², or dy and dy d, where
 * d = x - shift. All rows, in as many pages, are read at once.
 */
@inline
function addRows(
  x: usize,
  dy: usize,
  apart: usize,
  columns: i32,
  rows: i32,
  gradient: bool,
): void {
  let shifts = scratch + SHIFTS;
  let firsts = scratch + FIRSTS;
  let seconds = scratch + SECONDS;
  let left = columns;
  for (; left >= 16; left -= 16) {
    const s0 = v128.load(shifts);
    const s1 = v128.load(shifts, 16);
    const s2 = v128.load(shifts, 32);
    const s3 = v128.load(shifts, 48);
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let a2 = f32x4.splat(0);
    let a3 = f32x4.splat(0);
    let q0 = f32x4.splat(0);
    let q1 = f32x4.splat(0);
    let q2 = f32x4.splat(0);
    let q3 = f32x4.splat(0);
    let at = x;
    let atDy = dy;
    for (let r = 0; r < rows; ++r) {
      const x0 = v128.load(at);
      const x1 = v128.load(at, 16);
      const x2 = v128.load(at, 32);
      const x3 = v128.load(at, 48);
      const d0 = f32x4.sub(x0, s0);
      const d1 = f32x4.sub(x1, s1);
      const d2 = f32x4.sub(x2, s2);
      const d3 = f32x4.sub(x3, s3);
      const g0 = gradient ? v128.load(atDy) : d0;
      const g1 = gradient ? v128.load(atDy, 16) : d1;
      const g2 = gradient ? v128.load(atDy, 32) : d2;
      const g3 = gradient ? v128.load(atDy, 48) : d3;
      a0 = f32x4.add(a0, g0);
      a1 = f32x4.add(a1, g1);
      a2 = f32x4.add(a2, g2);
      a3 = f32x4.add(a3, g3);
      q0 = f32x4.add(q0, f32x4.mul(g0, d0));
      q1 = f32x4.add(q1, f32x4.mul(g1, d1));
      q2 = f32x4.add(q2, f32x4.mul(g2, d2));
      q3 = f32x4.add(q3, f32x4.mul(g3, d3));
      at += apart;
      atDy += apart;
    }
    empty(firsts, a0);
    empty(firsts + 32, a1);
    empty(firsts + 64, a2);
    empty(firsts + 96, a3);
    empty(seconds, q0);
    empty(seconds + 32, q1);
    empty(seconds + 64, q2);
    empty(seconds + 96, q3);
    x += 64;
    dy += 64;
    shifts += 64;
    firsts += 128;
    seconds += 128;
  }
  for (; left > 0; left -= 4) {
    const s = v128.load(shifts);
    // behind the columns of a row that is not whole lie others
    const mask = maskPart(left);
    let a = f32x4.splat(0);
    let q = f32x4.splat(0);
    let at = x;
    let atDy = dy;
    for (let r = 0; r < rows; ++r) {
      const d = v128.and(f32x4.sub(loadUpTo(at, left), s), mask);
      const g = gradient ? loadUpTo(atDy, left) : d;
      a = f32x4.add(a, g);
      q = f32x4.add(q, f32x4.mul(g, d));
      at += apart;
      atDy += apart;
    }
    empty(firsts, a);
    empty(seconds, q);
    x += 16;
    dy += 16;
    shifts += 16;
    firsts += 32;
    seconds += 32;
  }
}

function addForward(x: usize, step: usize, width: i32, n: i32): void {
  addRows(x, 0, step, width, n, false);
}

function addGradient(x: usize, dy: usize, step: usize, width: i32, n: i32): void {
  addRows(x, dy, step, width, n, true);
}

@inline
function emptySums(): void {
  memory.fill(scratch + FIRSTS, 0, <usize>(columns + 3) << 3);
  memory.fill(scratch + SECONDS, 0, <usize>(columns + 3) << 3);
}

/** The two sums of every group of the part of x. */
function sumPart(x: usize, inner: i32, fold: i32): void {
  emptySums();
  for (let row = 0; row < rows; row += ROWS) addForward(x + <usize>row * apart, apart, columns, min(ROWS, rows - row));
  if (lastColumns > 0) addForward(x + <usize>rows * apart, apart, lastColumns, 1);
  reduce(FIRSTS, inner, fold);
  reduce(SECONDS, inner, fold);
}

/** Shifts of the groups of the part, in order, to its columns. */
@inline
function spreadShifts(inner: i32, fold: i32): void {
  memory.copy(scratch + SHIFTS, scratch + HIGHS, <usize>groups << 2);
  expand(SHIFTS, inner, fold);
}

/** Mean and squared deviations of every group of the part, at FIRSTS and SECONDS. */
function measurePart(x: usize, inner: i32, fold: i32): void {
  // shifts: means over a few rows spread over all, near enough to the mean of all but for outliers
  const sample = min(SAMPLE, rows);
  const n = f64x2.splat(count);
  const samples = f64x2.splat(1 / (<f64>sample * <f64>inner * <f64>fold));
  memory.fill(scratch + SHIFTS, 0, <usize>(columns + 3) << 2);
  emptySums();
  addForward(x, <usize>(rows / sample) * apart, columns, sample);
  reduce(FIRSTS, inner, fold);
  for (let g = 0; g < groups; g += 2) {
    const mean = f64x2.mul(v128.load(scratch + (<usize>g << 3), FIRSTS), samples);
    v128.store_lane<u64>(scratch + HIGHS + (<usize>g << 2), f32x4.demote_f64x2_zero(mean), 0);
  }
  spreadShifts(inner, fold);
  sumPart(x, inner, fold);
  if (moveShifts(n)) {
    spreadShifts(inner, fold);
    sumPart(x, inner, fold);
  }
  for (let g = 0; g < groups; g += 2) {
    const at = scratch + (<usize>g << 3);
    const first = v128.load(at, FIRSTS);
    const delta = f64x2.div(first, n);
    const shift = f64x2.promote_low_f32x4(v128.load64_zero(scratch + (<usize>g << 2), HIGHS));
    v128.store(at, f64x2.add(shift, delta), FIRSTS);
    v128.store(at, f64x2.pmax(f64x2.sub(v128.load(at, SECONDS), f64x2.mul(first, delta)), f64x2.splat(0)), SECONDS);
  }
}

/** Moves the shifts that are more than three deviations from their means there; whether there was one. */
function moveShifts(n: v128): bool {
  let far = false;
  for (let g = 0; g < groups; g += 2) {
    const at = scratch + (<usize>g << 3);
    const first = v128.load(at, FIRSTS);
    const delta = f64x2.div(first, n);
    const moved = f64x2.mul(first, delta);
    const mask = f64x2.gt(moved, f64x2.mul(f64x2.splat(9), f64x2.sub(v128.load(at, SECONDS), moved)));
    if (v128.any_true(mask)) {
      const place = scratch + HIGHS + (<usize>g << 2);
      const shift = v128.load64_zero(place);
      const mean = f32x4.demote_f64x2_zero(f64x2.add(f64x2.promote_low_f32x4(shift), delta));
      v128.store_lane<u64>(place, v128.bitselect(mean, shift, v128.shuffle<i32>(mask, mask, 0, 2, 0, 2)), 0);
      far = true;
    }
  }
  return far;
}

// ---------------------------------------------------------------- forward

/** Statistics of the groups of the block, from means and squares at FIRSTS and SECONDS. */
function writeStatistics(b: ColumnNormalization, all: f64): void {
  const n = f64x2.splat(all);
  const added = f64x2.splat(<f64>b.epsilon * all);
  const one = f64x2.splat(1);
  for (let g = 0; g < groups; g += 4) {
    const at = scratch + (<usize>g << 3);
    const mean = v128.load(at, FIRSTS);
    const mean2 = v128.load(at, FIRSTS + 16);
    const high = joinHalves(mean, mean2);
    const low = joinHalves(
      f64x2.sub(mean, f64x2.promote_low_f32x4(high)),
      f64x2.sub(mean2, f64x2.promote_low_f32x4(upperHalf(high))),
    );
    // an infinite mean has no rest
    const finite = f32x4.eq(f32x4.sub(high, high), f32x4.splat(0));
    const inverse = joinHalves(
      f64x2.sqrt(f64x2.div(n, f64x2.add(v128.load(at, SECONDS), added))),
      f64x2.sqrt(f64x2.div(n, f64x2.add(v128.load(at, SECONDS + 16), added))),
    );
    const to = b.statistics + <usize>(firstGroup + g) * 12;
    if (groups - g >= 4) storeTriples(to, high, v128.and(low, finite), inverse);
    else {
      storeTriples(scratch + TRIPLES, high, v128.and(low, finite), inverse);
      memory.copy(to, scratch + TRIPLES, <usize>(groups - g) * 12);
    }
  }
}

/** The statistics of four groups, or as many as are left, as three vectors at TRIPLES. */
@inline
function readStatistics(statistics: usize, g: i32): void {
  const from = statistics + <usize>(firstGroup + g) * 12;
  if (groups - g >= 4) loadTriples(from, scratch + TRIPLES);
  else {
    memory.copy(scratch + TRIPLES + 48, from, <usize>(groups - g) * 12);
    loadTriples(scratch + TRIPLES + 48, scratch + TRIPLES);
  }
}

/** What turns the columns of the block into y: (x - high) factor + rest. */
function prepareColumns(b: ColumnNormalization): void {
  for (let g = 0; g < groups; g += 4) {
    readStatistics(b.statistics, g);
    const channel = (firstGroup + g) % b.channels;
    const at = scratch + (<usize>g << 2);
    const factor = f32x4.mul(v128.load(scratch, TRIPLES + 32), channelLanes(b.scale, channel, b.channels, 1));
    const rest = f32x4.mul(v128.load(scratch, TRIPLES + 16), factor);
    v128.store(at, v128.load(scratch, TRIPLES), HIGHS);
    v128.store(at, factor, FACTORS);
    v128.store(at, f32x4.sub(channelLanes(b.offset, channel, b.channels, 0), rest), RESTS);
  }
  expand(HIGHS, b.inner, b.fold);
  expand(FACTORS, b.inner, b.fold);
  expand(RESTS, b.inner, b.fold);
}

@inline
function writeColumn(x: usize, y: usize, h: v128, f: v128, r: v128, left: i32): void {
  storeUpTo(y, f32x4.add(f32x4.mul(f32x4.sub(loadUpTo(x, left), h), f), r), left);
}

/** One to four rows of y. */
@inline
function writeRows(x: usize, y: usize, width: i32, four: bool): void {
  let at = scratch;
  const end = scratch + (<usize>(width & ~3) << 2);
  const second = apart;
  const third: usize = 2 * apart;
  const fourth: usize = 3 * apart;
  for (; at < end; at += 16) {
    const h = v128.load(at, HIGHS);
    const f = v128.load(at, FACTORS);
    const r = v128.load(at, RESTS);
    const y0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r);
    if (four) {
      const y1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + second), h), f), r);
      const y2 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + third), h), f), r);
      const y3 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + fourth), h), f), r);
      v128.store(y + second, y1);
      v128.store(y + third, y2);
      v128.store(y + fourth, y3);
    }
    v128.store(y, y0);
    x += 16;
    y += 16;
  }
  const left = width & 3;
  if (left > 0) {
    const h = v128.load(at, HIGHS);
    const f = v128.load(at, FACTORS);
    const r = v128.load(at, RESTS);
    writeColumn(x, y, h, f, r, left);
    if (four) {
      writeColumn(x + second, y + second, h, f, r, left);
      writeColumn(x + third, y + third, h, f, r, left);
      writeColumn(x + fourth, y + fourth, h, f, r, left);
    }
  }
}

/** y of the part. */
function writePart(b: ColumnNormalization): void {
  let x = b.x + start;
  let y = b.y + start;
  let left = rows;
  for (; left >= 4; left -= 4) {
    writeRows(x, y, columns, true);
    x += 4 * apart;
    y += 4 * apart;
  }
  for (; left >= 0; --left) {
    writeRows(x, y, left > 0 ? columns : lastColumns, false);
    x += apart;
    y += apart;
  }
}

@inline
function partialsAt(partials: usize, groups: i32, part: i32): usize {
  return partials + ((<usize>part * <usize>((groups + 3) & ~3)) << 4);
}

/** Forward; with several parts, its first step. Work item: one part of a block, blocks first. */
export function normalizeColumns(b: ColumnNormalization, begin: i32, end: i32): void {
  const blocks = (b.groups + b.together - 1) / b.together;
  for (let item = begin; item < end; ++item) {
    choosePart(b, item);
    measurePart(b.x + start, b.inner, b.fold);
    if (b.parts > 1) {
      keepPartials(partialsAt(b.partials, b.groups, item / blocks), b.groups);
      continue;
    }
    writeStatistics(b, count);
    prepareColumns(b);
    writePart(b);
  }
}

/** The two numbers of every group of the part to its place among all of their part. */
@inline
function keepPartials(partials: usize, all: i32): void {
  const at = partials + (<usize>firstGroup << 3);
  const bytes = <usize>groups << 3;
  memory.copy(at, scratch + FIRSTS, bytes);
  memory.copy(at + (<usize>((all + 3) & ~3) << 3), scratch + SECONDS, bytes);
}

/** Forward, second step. Work item: one block. Joins its partials into statistics. */
export function normalizeColumnsJoin(b: ColumnNormalization, begin: i32, end: i32): void {
  const next = <usize>((b.groups + 3) & ~3) << 3;
  for (let block = begin; block < end; ++block) {
    choosePart(b, block);
    const bytes = <usize>groups << 3;
    let partial = b.partials + (<usize>firstGroup << 3);
    memory.copy(scratch + FIRSTS, partial, bytes);
    memory.copy(scratch + SECONDS, partial + next, bytes);
    let joined = count;
    for (let part = 1; part < b.parts; ++part) {
      partial += 2 * next;
      choosePart(b, block + part * ((b.groups + b.together - 1) / b.together));
      const all = joined + count;
      const weight = f64x2.splat(count / all);
      const both = f64x2.splat((joined * count) / all);
      for (let g = 0; g < groups; g += 2) {
        const at = scratch + (<usize>g << 3);
        const from = partial + (<usize>g << 3);
        const mean = v128.load(at, FIRSTS);
        const distance = f64x2.sub(v128.load(from), mean);
        v128.store(at, f64x2.add(mean, f64x2.mul(distance, weight)), FIRSTS);
        const squares = f64x2.add(v128.load(from + next), f64x2.mul(f64x2.mul(distance, distance), both));
        v128.store(at, f64x2.add(v128.load(at, SECONDS), squares), SECONDS);
      }
      joined = all;
    }
    writeStatistics(b, joined);
  }
}

/**
 * Forward, last step; also normalization with given statistics. Work item: one part of a block, blocks first; the last part,
 * which is still in the cache, before the others. Reads x and statistics; writes y.
 */
export function normalizeColumnsApply(b: ColumnNormalization, begin: i32, end: i32): void {
  const last = ((b.groups + b.together - 1) / b.together) * b.parts - 1;
  for (let item = begin; item < end; ++item) {
    choosePart(b, last - item);
    prepareColumns(b);
    writePart(b);
  }
}

// ---------------------------------------------------------------- backward

/** The sums of dy and dy (x - high) of every group of the part, at FIRSTS and SECONDS. */
function sumGradientPart(b: ColumnNormalizationGradient): void {
  for (let g = 0; g < groups; ++g)
    store<f32>(scratch + HIGHS + (<usize>g << 2), load<f32>(b.statistics + <usize>(firstGroup + g) * 12));
  spreadShifts(b.inner, b.fold);
  emptySums();
  for (let row = 0; row < rows; row += ROWS) {
    const at = start + <usize>row * apart;
    addGradient(b.x + at, b.dy + at, apart, columns, min(ROWS, rows - row));
  }
  if (lastColumns > 0) {
    const at = start + <usize>rows * apart;
    addGradient(b.x + at, b.dy + at, apart, lastColumns, 1);
  }
  reduce(FIRSTS, b.inner, b.fold);
  reduce(SECONDS, b.inner, b.fold);
}

/** planeSums of the groups of the block, from what is at FIRSTS and SECONDS: inverse (sum(dy (x - high)) - low sum(dy)). */
function writeSums(b: ColumnNormalizationGradient): void {
  for (let g = 0; g < groups; ++g) {
    const at = scratch + (<usize>g << 3);
    const statistics = b.statistics + <usize>(firstGroup + g) * 12;
    const to = b.planeSums + (<usize>(firstGroup + g) << 3);
    const first = load<f64>(at, FIRSTS);
    const second = load<f64>(at, SECONDS) - <f64>load<f32>(statistics, 4) * first;
    store<f32>(to, <f32>first);
    store<f32>(to, <f32>(<f64>load<f32>(statistics, 8) * second), 4);
  }
}

/** What turns the columns of the block into dx: dy factor + (x - high) slope + rest. */
function prepareGradient(b: ColumnNormalizationGradient, all: f64): void {
  const reciprocal = f32x4.splat(<f32>(-1.0 / all));
  for (let g = 0; g < groups; g += 4) {
    readStatistics(b.statistics, g);
    const channel = (firstGroup + g) % b.channels;
    const at = scratch + (<usize>g << 2);
    const inverse = v128.load(scratch, TRIPLES + 32);
    const factor = f32x4.mul(inverse, channelLanes(b.scale, channel, b.channels, 1));
    const mean = f32x4.mul(factor, reciprocal);
    const from = b.planeSums + (<usize>(firstGroup + g) << 3);
    const p = v128.load(from);
    const q = groups - g > 2 ? v128.load(from, 16) : p;
    const slope = f32x4.mul(f32x4.mul(v128.shuffle<f32>(p, q, 1, 3, 5, 7), inverse), mean);
    const rest = f32x4.mul(v128.shuffle<f32>(p, q, 0, 2, 4, 6), mean);
    v128.store(at, v128.load(scratch, TRIPLES), HIGHS);
    v128.store(at, factor, FACTORS);
    v128.store(at, slope, SLOPES);
    v128.store(at, f32x4.sub(rest, f32x4.mul(v128.load(scratch, TRIPLES + 16), slope)), RESTS);
  }
  expand(HIGHS, b.inner, b.fold);
  expand(FACTORS, b.inner, b.fold);
  expand(SLOPES, b.inner, b.fold);
  expand(RESTS, b.inner, b.fold);
}

/** One or two rows of dx. */
@inline
function writeGradientRows(x: usize, dy: usize, dx: usize, width: i32, two: bool): void {
  let at = scratch;
  const next = apart;
  const end = scratch + (<usize>(width & ~3) << 2);
  for (; at < end; at += 16) {
    const h = v128.load(at, HIGHS);
    const f = v128.load(at, FACTORS);
    const s = v128.load(at, SLOPES);
    const r = v128.load(at, RESTS);
    const d0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), s), r);
    const dx0 = f32x4.add(f32x4.mul(v128.load(dy), f), d0);
    if (two) {
      const d1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + next), h), s), r);
      v128.store(dx + next, f32x4.add(f32x4.mul(v128.load(dy + next), f), d1));
    }
    v128.store(dx, dx0);
    x += 16;
    dy += 16;
    dx += 16;
  }
  const left = width & 3;
  if (left > 0) {
    const last: i32 = two ? 1 : 0;
    for (let row = 0; row <= last; ++row) {
      const d = f32x4.sub(loadPart(x, left), v128.load(at, HIGHS));
      const slanted = f32x4.add(f32x4.mul(d, v128.load(at, SLOPES)), v128.load(at, RESTS));
      storePart(dx, f32x4.add(f32x4.mul(loadPart(dy, left), v128.load(at, FACTORS)), slanted), left);
      x += next;
      dy += next;
      dx += next;
    }
  }
}

/** dx of the part. */
function writeGradientPart(b: ColumnNormalizationGradient): void {
  let at = start;
  let left = rows;
  for (; left >= 2; left -= 2) {
    writeGradientRows(b.x + at, b.dy + at, b.dx + at, columns, true);
    at += 2 * apart;
  }
  for (; left >= 0; --left) {
    writeGradientRows(b.x + at, b.dy + at, b.dx + at, left > 0 ? columns : lastColumns, false);
    at += apart;
  }
}

/** Backward; with several parts, its first step. Work item: one part of a block, blocks first. */
export function normalizeColumnsGradient(b: ColumnNormalizationGradient, begin: i32, end: i32): void {
  const blocks = (b.groups + b.together - 1) / b.together;
  for (let item = begin; item < end; ++item) {
    choosePart(b, item);
    sumGradientPart(b);
    if (b.parts > 1) {
      keepPartials(partialsAt(b.partials, b.groups, item / blocks), b.groups);
      continue;
    }
    writeSums(b);
    prepareGradient(b, count);
    writeGradientPart(b);
  }
}

/** Backward, second step. Work item: one block. Joins its partials into planeSums. */
export function normalizeColumnsGradientJoin(b: ColumnNormalizationGradient, begin: i32, end: i32): void {
  const next = <usize>((b.groups + 3) & ~3) << 3;
  for (let block = begin; block < end; ++block) {
    choosePart(b, block);
    emptySums();
    let partial = b.partials + (<usize>firstGroup << 3);
    for (let part = 0; part < b.parts; ++part) {
      for (let g = 0; g < groups; g += 2) {
        const at = scratch + (<usize>g << 3);
        const from = partial + (<usize>g << 3);
        v128.store(at, f64x2.add(v128.load(at, FIRSTS), v128.load(from)), FIRSTS);
        v128.store(at, f64x2.add(v128.load(at, SECONDS), v128.load(from + next)), SECONDS);
      }
      partial += 2 * next;
    }
    writeSums(b);
  }
}

/** Backward, last step. Work item: one part of a block, as for normalizeColumnsApply. Reads x, dy, planeSums; writes dx. */
export function normalizeColumnsGradientApply(b: ColumnNormalizationGradient, begin: i32, end: i32): void {
  const last = ((b.groups + b.together - 1) / b.together) * b.parts - 1;
  const all = <f64>b.inner * <f64>b.outer;
  for (let item = begin; item < end; ++item) {
    choosePart(b, last - item);
    prepareGradient(b, all);
    writeGradientPart(b);
  }
}
