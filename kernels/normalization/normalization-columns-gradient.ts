// Normalization, backward, of what normalization-columns.ts normalizes, cut the same way. Formulas and precision are those of
// normalization-gradient.ts.
import {
  apart, blocksOf, choosePart, columns, count, expand, FACTORS, FIRSTS, firstGroup, groups, HIGHS, keepPartials, lastColumns,
  partialBytes, readStatistics, RESTS, rows, SECONDS, SLOPES, spreadShifts, start, sumPart, TRIPLES,
} from './columns';
import { loadUpTo, storeUpTo } from '../lanes';
import { channelLanes } from './normalization-layout';
import { scratch } from '../scratch';

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

/** The sums of dy and dy (x - high) of every group of the part, at FIRSTS and SECONDS. */
function sumGradientPart(b: ColumnNormalizationGradient): void {
  for (let g = 0; g < groups; ++g)
    store<f32>(scratch + HIGHS + (<usize>g << 2), load<f32>(b.statistics + <usize>(firstGroup + g) * 12));
  spreadShifts(b.inner, b.fold);
  sumPart(b.x + start, b.dy + start, b.inner, b.fold);
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

/** Two rows of dx, in the first `width` columns, whole vectors. */
export function writeGradientColumns(x: usize, dy: usize, dx: usize, width: i32): void {
  const nextX = x + apart;
  const nextDy = dy + apart;
  const nextDx = dx + apart;
  const bytes = <usize>width << 2;
  for (let c: usize = 0; c < bytes; c += 16) {
    const h = v128.load(scratch + c, HIGHS);
    const f = v128.load(scratch + c, FACTORS);
    const s = v128.load(scratch + c, SLOPES);
    const r = v128.load(scratch + c, RESTS);
    const d0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x + c), h), s), r);
    const d1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(nextX + c), h), s), r);
    const dx0 = f32x4.add(f32x4.mul(v128.load(dy + c), f), d0);
    const dx1 = f32x4.add(f32x4.mul(v128.load(nextDy + c), f), d1);
    v128.store(dx + c, dx0);
    v128.store(nextDx + c, dx1);
  }
}

/** `n` rows of dx in columns from..to, row by row. */
function writeGradientRest(x: usize, dy: usize, dx: usize, from: i32, to: i32, n: i32): void {
  for (; from < to; from += 4) {
    const left = to - from;
    let c = <usize>from << 2;
    const at = scratch + c;
    for (let row = 0; row < n; ++row) {
      const d = f32x4.sub(loadUpTo(x + c, left), v128.load(at, HIGHS));
      const slanted = f32x4.add(f32x4.mul(d, v128.load(at, SLOPES)), v128.load(at, RESTS));
      storeUpTo(dx + c, f32x4.add(f32x4.mul(loadUpTo(dy + c, left), v128.load(at, FACTORS)), slanted), left);
      c += apart;
    }
  }
}

/** dx of the part, its last rows first: those of x and dy may still be in the cache. */
function writeGradientPart(b: ColumnNormalizationGradient): void {
  const whole = columns & ~3;
  let row = rows & ~1;
  let at = start + <usize>rows * apart;
  writeGradientRest(b.x + at, b.dy + at, b.dx + at, 0, lastColumns, 1);
  at = start + <usize>row * apart;
  writeGradientRest(b.x + at, b.dy + at, b.dx + at, 0, columns, rows - row);
  for (; row > 0; row -= 2) {
    at -= 2 * apart;
    writeGradientColumns(b.x + at, b.dy + at, b.dx + at, whole);
    writeGradientRest(b.x + at, b.dy + at, b.dx + at, whole, columns, 2);
  }
}

/** Backward; with several parts, its first step. Work item: one part of a block, blocks first. */
export function normalizeColumnsGradient(b: ColumnNormalizationGradient, begin: i32, end: i32): void {
  for (let item = begin; item < end; ++item) {
    choosePart(b, item);
    sumGradientPart(b);
    if (b.parts > 1) {
      keepPartials(b.partials, b.groups, item / blocksOf(b));
      continue;
    }
    writeSums(b);
    prepareGradient(b, count);
    writeGradientPart(b);
  }
}

/** Backward, second step. Work item: one block. Joins its partials into planeSums. */
export function normalizeColumnsGradientJoin(b: ColumnNormalizationGradient, begin: i32, end: i32): void {
  const next = partialBytes(b.groups);
  for (let block = begin; block < end; ++block) {
    choosePart(b, block);
    memory.fill(scratch + FIRSTS, 0, TRIPLES - FIRSTS);
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
  const last = blocksOf(b) * b.parts - 1;
  const all = <f64>b.inner * <f64>b.outer;
  for (let item = begin; item < end; ++item) {
    choosePart(b, last - item);
    prepareGradient(b, all);
    writeGradientPart(b);
  }
}
