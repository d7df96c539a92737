// Normalization where the runs of a plane are short and lie apart (T and U dimensions behind short S ones): a few hundred
// neighbouring columns of memory, the runs of neighbouring groups, go through all rows together. A column has its own two
// sums: float32 over at most ROWS rows, then float64 in memory; a group's are those of its `inner` columns in their order.
// So nothing depends on which groups go together. Lines of memory are read in order and, where they fit, kept together in
// working memory for the second pass: rows that lie a power of two apart would push one another out of the cache.
import { loadPart, loadUpTo, storePart, storeUpTo, upperHalf } from './lanes';
import { offsetOf, scaleOf } from './normalization-layout';
import { scratch, SCRATCH_BYTES } from './scratch';

/** Most columns that go together. */
export const COLUMNS: i32 = 512;
/** Longest run that is treated as columns; longer ones are read as they are. */
const LONGEST_RUN: i32 = 128;
/** Fewer columns than this are not worth being kept: they are read again. */
const LEAST_COLUMNS: i32 = 128;
/** Rows until float32 sums are emptied; with so many, COLUMNS columns stay in a first-level cache. */
const ROWS: i32 = 16;

// working memory, in bytes behind `scratch`: one number per column each
const SHIFTS: usize = 0;
const FIRSTS: usize = SHIFTS + COLUMNS * 4;
const SECONDS: usize = FIRSTS + COLUMNS * 8;
const HIGHS: usize = SECONDS + COLUMNS * 8;
const FACTORS: usize = HIGHS + COLUMNS * 4;
const SLOPES: usize = FACTORS + COLUMNS * 4;
const RESTS: usize = SLOPES + COLUMNS * 4;
const PACKED: usize = RESTS + COLUMNS * 4 + 128;
/** Elements kept for the second pass: five eighths of working memory, which leaves room in a second-level cache. */
const PACKED_ELEMENTS: i32 = SCRATCH_BYTES / 32 * 5;

/** Whether planes are treated as columns. */
@inline
export function areColumns<B>(b: B): bool {
  return b.outer > 1 && b.groupChannels == 1 && b.inner > 0 && b.inner <= LONGEST_RUN;
}

/** Groups that go together, of an array or of `arrays` arrays at once. */
@inline
export function groupsTogether<B>(b: B, arrays: i32): i32 {
  const kept = PACKED_ELEMENTS / arrays / b.outer - 16;
  const columns = kept >= max(LEAST_COLUMNS, b.inner) ? min(kept & ~15, COLUMNS) : COLUMNS;
  return max(1, columns / b.inner);
}

/** Whether so many columns fit into working memory. */
@inline
export function areKept<B>(b: B, columns: i32, arrays: i32): bool {
  return pitchOf(columns) * <usize>b.outer * <usize>arrays <= <usize>PACKED_ELEMENTS << 2;
}

/**
 * Bytes of a row of so many columns in working memory, which ends in a whole vector. A line more: rows of x and dx often lie
 * whole pages apart, and a processor takes addresses that are equal within their pages for the same until it knows better.
 */
@inline
function pitchOf(columns: i32): usize {
  return (<usize>((columns + 3) >> 2) << 4) + 64;
}

@inline
export function setShift(group: i32, inner: i32, shift: f32): void {
  setColumns(SHIFTS, group, inner, shift);
}

@inline
export function shiftOfGroup(group: i32, inner: i32): f32 {
  return load<f32>(scratch + SHIFTS + (<usize>(group * inner) << 2));
}

@inline
function setColumns(place: usize, group: i32, inner: i32, value: f32): void {
  let at = scratch + place + (<usize>(group * inner) << 2);
  if (inner < 4) {
    for (let i = 0; i < inner; ++i) {
      store<f32>(at, value);
      at += 4;
    }
    return;
  }
  const values = f32x4.splat(value);
  const last = at + (<usize>(inner - 4) << 2);
  for (; at < last; at += 16) v128.store(at, values);
  v128.store(last, values);
}

/** What turns the columns of a group into the result. */
@inline
export function setCoefficients(group: i32, inner: i32, high: f32, factor: f32, rest: f32): void {
  setColumns(HIGHS, group, inner, high);
  setColumns(FACTORS, group, inner, factor);
  setColumns(RESTS, group, inner, rest);
}

/** Backward: what x - high is multiplied by. */
@inline
export function setSlope(group: i32, inner: i32, slope: f32): void {
  setColumns(SLOPES, group, inner, slope);
}

// the sums of the group reduced last
export let groupFirst: f64 = 0;
export let groupSecond: f64 = 0;

/** The sums of a group: even columns, odd columns, then both. */
export function reduceGroup(group: i32, inner: i32): void {
  let at = scratch + FIRSTS + (<usize>(group * inner) << 3);
  if (inner == 1) {
    groupFirst = load<f64>(at);
    groupSecond = load<f64>(at, SECONDS - FIRSTS);
    return;
  }
  let first = f64x2.splat(0);
  let second = f64x2.splat(0);
  let left = inner;
  for (; left >= 2; left -= 2) {
    first = f64x2.add(first, v128.load(at));
    second = f64x2.add(second, v128.load(at, SECONDS - FIRSTS));
    at += 16;
  }
  groupFirst = f64x2.extract_lane(first, 0) + f64x2.extract_lane(first, 1);
  groupSecond = f64x2.extract_lane(second, 0) + f64x2.extract_lane(second, 1);
  if (left > 0) {
    groupFirst += load<f64>(at);
    groupSecond += load<f64>(at, SECONDS - FIRSTS);
  }
}

@inline
function empty(at: usize, a: v128): void {
  v128.store(at, f64x2.add(v128.load(at), f64x2.promote_low_f32x4(a)));
  v128.store(at, f64x2.add(v128.load(at, 16), f64x2.promote_low_f32x4(upperHalf(a))), 16);
}

/**
 * Adds `rows` rows, `apart` bytes from one another, to the sums of all columns: of d and d², or dy and dy d, d = x - shift.
 * With `keep`, copies x to `to` and dy to `toDy`, rows `pitch` bytes apart. Rows of as many pages are read at once.
 */
@inline
function addRows(
  x: usize,
  dy: usize,
  apart: usize,
  columns: i32,
  rows: i32,
  gradient: bool,
  keep: bool,
  to: usize,
  toDy: usize,
  pitch: usize,
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
    let keptX = to;
    let keptDy = toDy;
    for (let r = 0; r < rows; ++r) {
      const x0 = v128.load(at);
      const x1 = v128.load(at, 16);
      const x2 = v128.load(at, 32);
      const x3 = v128.load(at, 48);
      if (keep) {
        v128.store(keptX, x0);
        v128.store(keptX, x1, 16);
        v128.store(keptX, x2, 32);
        v128.store(keptX, x3, 48);
        keptX += pitch;
      }
      const d0 = f32x4.sub(x0, s0);
      const d1 = f32x4.sub(x1, s1);
      const d2 = f32x4.sub(x2, s2);
      const d3 = f32x4.sub(x3, s3);
      const g0 = gradient ? v128.load(atDy) : d0;
      const g1 = gradient ? v128.load(atDy, 16) : d1;
      const g2 = gradient ? v128.load(atDy, 32) : d2;
      const g3 = gradient ? v128.load(atDy, 48) : d3;
      if (keep && gradient) {
        v128.store(keptDy, g0);
        v128.store(keptDy, g1, 16);
        v128.store(keptDy, g2, 32);
        v128.store(keptDy, g3, 48);
        keptDy += pitch;
      }
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
    to += 64;
    toDy += 64;
    shifts += 64;
    firsts += 128;
    seconds += 128;
  }
  for (; left > 0; left -= 4) {
    const s = v128.load(shifts);
    let a = f32x4.splat(0);
    let q = f32x4.splat(0);
    let at = x;
    let atDy = dy;
    let keptX = to;
    let keptDy = toDy;
    for (let r = 0; r < rows; ++r) {
      const value = loadUpTo(at, left);
      const d = f32x4.sub(value, s);
      const g = gradient ? loadUpTo(atDy, left) : d;
      if (keep) {
        // a row in working memory ends in a whole vector
        v128.store(keptX, value);
        if (gradient) v128.store(keptDy, g);
        keptX += pitch;
        keptDy += pitch;
      }
      a = f32x4.add(a, g);
      q = f32x4.add(q, f32x4.mul(g, d));
      at += apart;
      atDy += apart;
    }
    empty(firsts, a);
    empty(seconds, q);
    x += 16;
    dy += 16;
    to += 16;
    toDy += 16;
    shifts += 16;
    firsts += 32;
    seconds += 32;
  }
}

/** Sums of all columns over all rows of x; keeps the rows if `keep`. Shifts must be set. */
export function sumColumns(x: usize, apart: usize, columns: i32, outer: i32, keep: bool): void {
  memory.fill(scratch + FIRSTS, 0, 2 * (SECONDS - FIRSTS));
  const pitch = pitchOf(columns);
  let kept = scratch + PACKED;
  for (let row = 0; row < outer; row += ROWS) {
    const rows = min(ROWS, outer - row);
    if (keep) addRows(x, 0, apart, columns, rows, false, true, kept, 0, pitch);
    else addRows(x, 0, apart, columns, rows, false, false, 0, 0, 0);
    x += <usize>rows * apart;
    kept += <usize>rows * pitch;
  }
}

/** Rows from which a shift is found: their mean lies within two deviations of the mean of all, but for outliers. */
const SAMPLE: i32 = 8;

/** Shifts groups by their mean over a few rows spread over all. */
export function findShifts(x: usize, apart: usize, groups: i32, inner: i32, outer: i32): void {
  memory.fill(scratch, 0, HIGHS);
  const rows = min(SAMPLE, outer);
  addRows(x, 0, <usize>(outer / rows) * apart, groups * inner, rows, false, false, 0, 0, 0);
  const count = <f64>rows * <f64>inner;
  for (let g = 0; g < groups; ++g) {
    reduceGroup(g, inner);
    setShift(g, inner, <f32>(groupFirst / count));
  }
}

/** The same sums of the rows kept before. */
export function sumKeptColumns(columns: i32, outer: i32): void {
  sumColumns(scratch + PACKED, pitchOf(columns), columns, outer, false);
}

/** Sums of all columns over all rows of dy and dy (x - shift); keeps the rows of both if `keep`. Shifts must be set. */
export function sumGradientColumns(x: usize, dy: usize, apart: usize, columns: i32, outer: i32, keep: bool): void {
  memory.fill(scratch + FIRSTS, 0, 2 * (SECONDS - FIRSTS));
  const pitch = pitchOf(columns);
  let kept = scratch + PACKED;
  const second = <usize>outer * pitch;
  for (let row = 0; row < outer; row += ROWS) {
    const rows = min(ROWS, outer - row);
    if (keep) addRows(x, dy, apart, columns, rows, true, true, kept, kept + second, pitch);
    else addRows(x, dy, apart, columns, rows, true, false, 0, 0, 0);
    x += <usize>rows * apart;
    dy += <usize>rows * apart;
    kept += <usize>rows * pitch;
  }
}

/** y = (x - high) factor + rest with the coefficients of every column. */
export function applyColumns(from: usize, to: usize, apart: usize, columns: i32, outer: i32, kept: bool): void {
  let row = kept ? scratch + PACKED : from;
  const rowApart = kept ? pitchOf(columns) : apart;
  let left = outer;
  // four rows, in as many pages, at once
  for (; left >= 4; left -= 4) {
    let x = row;
    let y = to;
    let at = scratch;
    for (let more = columns; more > 0; more -= 4) {
      const h = v128.load(at, HIGHS);
      const f = v128.load(at, FACTORS);
      const r = v128.load(at, RESTS);
      const second = x + rowApart;
      const third = second + rowApart;
      const secondY = y + apart;
      const thirdY = secondY + apart;
      if (more >= 4) {
        const y0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r);
        const y1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(second), h), f), r);
        const y2 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(third), h), f), r);
        const y3 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(third + rowApart), h), f), r);
        v128.store(y, y0);
        v128.store(secondY, y1);
        v128.store(thirdY, y2);
        v128.store(thirdY + apart, y3);
      } else {
        storePart(y, f32x4.add(f32x4.mul(f32x4.sub(loadPart(x, more), h), f), r), more);
        storePart(secondY, f32x4.add(f32x4.mul(f32x4.sub(loadPart(second, more), h), f), r), more);
        storePart(thirdY, f32x4.add(f32x4.mul(f32x4.sub(loadPart(third, more), h), f), r), more);
        storePart(thirdY + apart, f32x4.add(f32x4.mul(f32x4.sub(loadPart(third + rowApart, more), h), f), r), more);
      }
      x += 16;
      y += 16;
      at += 16;
    }
    row += 4 * rowApart;
    to += 4 * apart;
  }
  for (; left > 0; --left) {
    let x = row;
    let y = to;
    let at = scratch;
    for (let more = columns; more > 0; more -= 4) {
      const d = f32x4.sub(loadUpTo(x, more), v128.load(at, HIGHS));
      storeUpTo(y, f32x4.add(f32x4.mul(d, v128.load(at, FACTORS)), v128.load(at, RESTS)), more);
      x += 16;
      y += 16;
      at += 16;
    }
    row += rowApart;
    to += apart;
  }
}

/** dx = dy factor + (x - high) slope + rest with the coefficients of every column. */
export function applyGradientColumns(fromX: usize, fromDy: usize, to: usize, apart: usize, columns: i32, outer: i32, kept: bool): void {
  const rowApart = kept ? pitchOf(columns) : apart;
  let rowX = kept ? scratch + PACKED : fromX;
  let rowDy = kept ? rowX + <usize>outer * rowApart : fromDy;
  for (let left = outer; left > 0; ) {
    // two rows, in as many pages, at once
    const both = left >= 2;
    let x = rowX;
    let dy = rowDy;
    let dx = to;
    let at = scratch;
    for (let more = columns; more > 0; more -= 4) {
      const h = v128.load(at, HIGHS);
      const f = v128.load(at, FACTORS);
      const s = v128.load(at, SLOPES);
      const r = v128.load(at, RESTS);
      const d0 = f32x4.add(f32x4.mul(f32x4.sub(loadUpTo(x, more), h), s), r);
      const dx0 = f32x4.add(f32x4.mul(loadUpTo(dy, more), f), d0);
      if (both) {
        const d1 = f32x4.add(f32x4.mul(f32x4.sub(loadUpTo(x + rowApart, more), h), s), r);
        const dx1 = f32x4.add(f32x4.mul(loadUpTo(dy + rowApart, more), f), d1);
        storeUpTo(dx + apart, dx1, more);
      }
      storeUpTo(dx, dx0, more);
      x += 16;
      dy += 16;
      dx += 16;
      at += 16;
    }
    const rows = both ? 2 : 1;
    left -= rows;
    rowX += <usize>rows * rowApart;
    rowDy += <usize>rows * rowApart;
    to += <usize>rows * apart;
  }
}
