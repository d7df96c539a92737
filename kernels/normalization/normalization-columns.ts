// Normalization, forward, where the runs of a plane are short and lie apart, with T and U dimensions behind: columns.ts says
// how they are gone through. With one part, a block is measured and written before the next. Else parts are measured, joined
// in their order and written by three kernels. Sizes decide (src/operations/normalization/normalization-columns.ts), never the number of
// threads. Formulas and precision are those of normalization.ts.
import {
  apart, blocksOf, choosePart, columns, count, expand, FACTORS, FIRSTS, firstGroup, groups, HIGHS, keepPartials, lastColumns,
  partialBytes, readStatistics, RESTS, rows, sampleMeans, SECONDS, spreadShifts, start, sumPart, TRIPLES,
} from './columns';
import { joinHalves, loadUpTo, storeUpTo, upperHalf } from '../lanes';
import { channelLanes, storeTriples } from './normalization-layout';
import { scratch } from '../scratch';

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

// ---------------------------------------------------------------- statistics

/** Mean and squared deviations of every group of the part, at FIRSTS and SECONDS. */
function measurePart(x: usize, inner: i32, fold: i32): void {
  // shifts: means over a few elements, near enough to the mean of all but for outliers
  const n = f64x2.splat(count);
  sampleMeans(x, inner);
  spreadShifts(inner, fold);
  sumPart(x, 0, inner, fold);
  if (moveShifts(n)) {
    spreadShifts(inner, fold);
    sumPart(x, 0, inner, fold);
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

// ---------------------------------------------------------------- y

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

/** Four rows of y, in the first `width` columns, whole vectors. */
export function writeColumns(x: usize, y: usize, width: i32): void {
  const x1 = x + apart;
  const x2 = x1 + apart;
  const x3 = x2 + apart;
  const y1 = y + apart;
  const y2 = y1 + apart;
  const y3 = y2 + apart;
  const bytes = <usize>width << 2;
  for (let c: usize = 0; c < bytes; c += 16) {
    const h = v128.load(scratch + c, HIGHS);
    const f = v128.load(scratch + c, FACTORS);
    const r = v128.load(scratch + c, RESTS);
    const row0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + c), h), f), r);
    const row1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x1 + c), h), f), r);
    const row2 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x2 + c), h), f), r);
    const row3 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x3 + c), h), f), r);
    v128.store(y + c, row0);
    v128.store(y1 + c, row1);
    v128.store(y2 + c, row2);
    v128.store(y3 + c, row3);
  }
}

/** `n` rows of y in columns from..to, row by row. */
function writeRest(x: usize, y: usize, from: i32, to: i32, n: i32): void {
  for (; from < to; from += 4) {
    let c = <usize>from << 2;
    const at = scratch + c;
    const h = v128.load(at, HIGHS);
    const f = v128.load(at, FACTORS);
    const r = v128.load(at, RESTS);
    for (let row = 0; row < n; ++row) {
      const lanes = loadUpTo(x + c, to - from);
      storeUpTo(y + c, f32x4.add(f32x4.mul(f32x4.sub(lanes, h), f), r), to - from);
      c += apart;
    }
  }
}

/** y of the part, its last rows first: those of x may still be in the cache. */
function writePart(b: ColumnNormalization): void {
  const whole = columns & ~3;
  let row = rows & ~3;
  let at = start + <usize>rows * apart;
  writeRest(b.x + at, b.y + at, 0, lastColumns, 1);
  at = start + <usize>row * apart;
  writeRest(b.x + at, b.y + at, 0, columns, rows - row);
  for (; row > 0; row -= 4) {
    at -= 4 * apart;
    writeColumns(b.x + at, b.y + at, whole);
    writeRest(b.x + at, b.y + at, whole, columns, 4);
  }
}

// ---------------------------------------------------------------- kernels

/** Forward; with several parts, its first step. Work item: one part of a block, blocks first. */
export function normalizeColumns(b: ColumnNormalization, begin: i32, end: i32): void {
  for (let item = begin; item < end; ++item) {
    choosePart(b, item);
    measurePart(b.x + start, b.inner, b.fold);
    if (b.parts > 1) {
      keepPartials(b.partials, b.groups, item / blocksOf(b));
      continue;
    }
    writeStatistics(b, count);
    prepareColumns(b);
    writePart(b);
  }
}

/** Forward, second step. Work item: one block. Joins its partials into statistics. */
export function normalizeColumnsJoin(b: ColumnNormalization, begin: i32, end: i32): void {
  const next = partialBytes(b.groups);
  for (let block = begin; block < end; ++block) {
    choosePart(b, block);
    const bytes = <usize>groups << 3;
    let partial = b.partials + (<usize>firstGroup << 3);
    memory.copy(scratch + FIRSTS, partial, bytes);
    memory.copy(scratch + SECONDS, partial + next, bytes);
    let joined = count;
    for (let part = 1; part < b.parts; ++part) {
      partial += 2 * next;
      choosePart(b, block + part * blocksOf(b));
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
 * Forward, last step. Work item: one part of a block, blocks first; the last part, which is still in the cache, before the
 * others. Reads x and statistics; writes y.
 */
export function normalizeColumnsApply(b: ColumnNormalization, begin: i32, end: i32): void {
  const last = blocksOf(b) * b.parts - 1;
  for (let item = begin; item < end; ++item) {
    choosePart(b, last - item);
    prepareColumns(b);
    writePart(b);
  }
}
