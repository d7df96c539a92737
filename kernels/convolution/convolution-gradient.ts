// Gradients of a convolution for its filters and its bias, single precision. Arrays and geometry as in convolution.ts.
import { scratch } from '../scratch';
import { findRuns, packPatches } from './patches';
import { copyFloats, sumLanes, zeroFloats } from '../products/tile';

/** Positions of a block in the gradient for the filters: the longest run of products summed in one register. */
const GRADIENT_POSITIONS: i32 = 288;
/** Most rows k and columns f of filters that one work item of the gradient for the filters owns. */
const GRADIENT_K: i32 = 192;
const GRADIENT_FILTERS: i32 = 128;

@unmanaged class FilterGradientBlock {
  x: usize;
  dy: usize; // [h, w, d, filters, groups, observations]
  partials: usize; // splits * groups * filters2 * k4 floats: filters rounded up to 2, k to a multiple of 4
  observations: i32;
  groups: i32;
  channels: i32; // per group
  filters: i32; // per group
  heightX: i32;
  widthX: i32;
  depthX: i32;
  heightY: i32;
  widthY: i32;
  depthY: i32;
  tapsH: i32;
  tapsW: i32;
  tapsD: i32;
  stepH: i32;
  stepW: i32;
  stepD: i32;
  spacingH: i32;
  spacingW: i32;
  spacingD: i32;
  offsetH: i32;
  offsetW: i32;
  offsetD: i32;
  splits: i32; // into how many partial sums the positions are cut; a function of the sizes alone
}

// 4 lines of patches times 2 lines of dy, lines GRADIENT_POSITIONS floats apart: sums over `count` positions (a multiple
// of 4), lane by lane, then over lanes.
function dotTile(a: usize, b: usize, count: i32, to: usize, toColumn: usize, accumulate: bool): void {
  let s00 = f32x4.splat(0);
  let s10 = s00;
  let s20 = s00;
  let s30 = s00;
  let s01 = s00;
  let s11 = s00;
  let s21 = s00;
  let s31 = s00;
  for (; count > 0; count -= 4) {
    const y0 = v128.load(b);
    const y1 = v128.load(b, GRADIENT_POSITIONS * 4);
    let x = v128.load(a);
    s00 = f32x4.add(s00, f32x4.mul(x, y0));
    s01 = f32x4.add(s01, f32x4.mul(x, y1));
    x = v128.load(a, GRADIENT_POSITIONS * 4);
    s10 = f32x4.add(s10, f32x4.mul(x, y0));
    s11 = f32x4.add(s11, f32x4.mul(x, y1));
    x = v128.load(a, GRADIENT_POSITIONS * 8);
    s20 = f32x4.add(s20, f32x4.mul(x, y0));
    s21 = f32x4.add(s21, f32x4.mul(x, y1));
    x = v128.load(a, GRADIENT_POSITIONS * 12);
    s30 = f32x4.add(s30, f32x4.mul(x, y0));
    s31 = f32x4.add(s31, f32x4.mul(x, y1));
    a += 16;
    b += 16;
  }
  const sum0 = sumLanes(s00, s10, s20, s30);
  const sum1 = sumLanes(s01, s11, s21, s31);
  v128.store(to, accumulate ? f32x4.add(v128.load(to), sum0) : sum0);
  to += toColumn;
  v128.store(to, accumulate ? f32x4.add(v128.load(to), sum1) : sum1);
}

/**
 * partials[k, f, g, s] = sum over the positions u and observations n of part s of patches[u n, k, g] dy[u, f, g, n].
 * Work item: up to 192 rows k and 128 filters of one group in one of `splits` equal parts of the blocks of 288
 * positions; items run over the parts first, then over rows, filters and groups.
 * Preconditions: addresses of floats; counts of taps and filters of 1 or more; 1 <= splits. Without any position the
 * partial sums are zero. `partials` is laid out with k rounded up to a multiple of 4 and f to a multiple of 2.
 * Tails: patches and dy are completed with zeros, both in positions and in rows.
 * Order of summation: four lanes over 288 positions, the lanes, then block after block; it depends on sizes alone.
 */
export function convolveFilterGradient(block: FilterGradientBlock, begin: i32, end: i32): void {
  const filters = block.filters;
  const plane = block.heightY * block.widthY * block.depthY;
  const positions = plane * block.observations;
  const blocks = (positions + GRADIENT_POSITIONS - 1) / GRADIENT_POSITIONS;
  const k = block.tapsH * block.tapsW * block.tapsD * block.channels;
  const k4 = (k + 3) & ~3;
  const filters2 = (filters + 1) & ~1;
  const rowBlocks = (k + GRADIENT_K - 1) / GRADIENT_K;
  const filterBlocks = (filters + GRADIENT_FILTERS - 1) / GRADIENT_FILTERS;
  const line: usize = GRADIENT_POSITIONS * 4;
  const patches = scratch;
  const gradients = patches + (GRADIENT_K as usize) * line;
  const runs = gradients + (GRADIENT_FILTERS as usize) * line;
  const planes = block.channels * block.groups;
  const planeX = ((block.heightX * block.widthX * block.depthX) as usize) << 2;
  for (let item = begin; item < end; item++) {
    const split = item % block.splits;
    let rest = item / block.splits;
    const k0 = (rest % rowBlocks) * GRADIENT_K;
    rest /= rowBlocks;
    const filter0 = (rest % filterBlocks) * GRADIENT_FILTERS;
    const group = rest / filterBlocks;
    const rows = min(k - k0, GRADIENT_K);
    const columns = min(filters - filter0, GRADIENT_FILTERS);
    const rows4 = (rows + 3) & ~3;
    const columns2 = (columns + 1) & ~1;
    const to = block.partials +
      ((((split * block.groups + group) as usize) * (filters2 as usize) + (filter0 as usize)) * (k4 as usize) +
        (k0 as usize) << 2);
    const toColumn = (k4 as usize) << 2;
    const image = block.x + ((group * block.channels) as usize) * planeX;
    const firstBlock = ((split as i64) * (blocks as i64) / (block.splits as i64)) as i32;
    const lastBlock = (((split + 1) as i64) * (blocks as i64) / (block.splits as i64)) as i32;
    if (firstBlock == lastBlock) {
      for (let f = 0; f < columns2; f++) zeroFloats(to + (f as usize) * toColumn, rows4);
      continue;
    }
    for (let i = rows; i < rows4; i++) zeroFloats(patches + (i as usize) * line, GRADIENT_POSITIONS);
    if (columns2 > columns) zeroFloats(gradients + (columns as usize) * line, GRADIENT_POSITIONS);
    for (let at = firstBlock; at < lastBlock; at++) {
      const first = at * GRADIENT_POSITIONS;
      const count = min(positions - first, GRADIENT_POSITIONS);
      const padded = (count + 3) & ~3;
      const runCount = findRuns(runs, first, count, block.heightY, block.widthY, block.depthY);
      packPatches(runs, runCount, image, block.channels, block.heightX, block.widthX, block.depthX, planes,
        block.tapsH, block.tapsW, block.tapsD, block.stepH, block.stepW, block.stepD,
        block.spacingH, block.spacingW, block.spacingD, block.offsetH, block.offsetW, block.offsetD,
        k0, rows, patches, line, count, padded);
      for (let place = 0; place < count; ) {
        const n = (first + place) / plane;
        const u = first + place - n * plane;
        const length = min(plane - u, count - place);
        let from = block.dy +
          ((((n * block.groups + group) as usize) * (filters as usize) + (filter0 as usize)) * (plane as usize) +
            (u as usize) << 2);
        let lineOf = gradients + (place << 2);
        for (let f = 0; f < columns; f++) {
          copyFloats(lineOf, from, length);
          from += plane << 2;
          lineOf += line;
        }
        place += length;
      }
      if (padded > count)
        for (let f = 0; f < columns; f++)
          zeroFloats(gradients + (f as usize) * line + ((count as usize) << 2), padded - count);
      for (let i = 0; i < rows4; i += 4)
        for (let f = 0; f < columns2; f += 2)
          dotTile(patches + (i as usize) * line, gradients + (f as usize) * line, padded,
            to + (f as usize) * toColumn + (i << 2), toColumn, at > firstBlock);
    }
  }
}

@unmanaged class CombineFilterGradientBlock {
  partials: usize; // from convolveFilterGradient
  gradient: usize; // [k, filters, groups]
  k: i32;
  filters: i32;
  groups: i32;
  splits: i32;
}

/**
 * gradient[k, f, g] = sum over s of partials[k, f, g, s], s ascending from the first part.
 * Work item: one filter of one group. Preconditions: as written by convolveFilterGradient.
 * Tails: the last k that do not fill 4 lanes are summed one by one, in the same order.
 */
export function combineFilterGradient(block: CombineFilterGradientBlock, begin: i32, end: i32): void {
  const k4 = ((block.k + 3) & ~3) as usize;
  const filters2 = (block.filters + 1) & ~1;
  const part = (((block.groups * filters2) as usize) * k4) << 2;
  for (let item = begin; item < end; item++) {
    const row = (item / block.filters) * filters2 + (item % block.filters);
    let from = block.partials + (((row as usize) * k4) << 2);
    let to = block.gradient + (((item as usize) * (block.k as usize)) << 2);
    let i = 0;
    for (; i + 4 <= block.k; i += 4) {
      let sum = v128.load(from);
      for (let s = 1, at = from + part; s < block.splits; s++, at += part) sum = f32x4.add(sum, v128.load(at));
      v128.store(to, sum);
      from += 16;
      to += 16;
    }
    for (; i < block.k; i++) {
      let sum = load<f32>(from);
      for (let s = 1, at = from + part; s < block.splits; s++, at += part) sum += load<f32>(at);
      store<f32>(to, sum);
      from += 4;
      to += 4;
    }
  }
}

@unmanaged class BiasGradientBlock {
  dy: usize; // [plane, channels, observations]
  gradient: usize; // channels floats
  plane: i32;
  channels: i32;
  observations: i32;
}

/**
 * gradient[c] = sum over p, n of dy[p, c, n]. Work item: one channel.
 * Preconditions: addresses of floats. Tails: the last p that do not fill 16 are summed one by one.
 * Order of summation: each plane in 4 accumulators of 4 lanes, then (0+1)+(2+3) and its lanes (0+2)+(1+3), then the
 * tail; planes are added in the order of the observations.
 */
export function biasGradient(block: BiasGradientBlock, begin: i32, end: i32): void {
  const plane = block.plane;
  for (let c = begin; c < end; c++) {
    let total: f32 = 0;
    for (let n = 0; n < block.observations; n++) {
      let at = block.dy + ((((n * block.channels + c) as usize) * (plane as usize)) << 2);
      let s0 = f32x4.splat(0);
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      let i = 0;
      for (; i + 16 <= plane; i += 16) {
        s0 = f32x4.add(s0, v128.load(at, 0));
        s1 = f32x4.add(s1, v128.load(at, 16));
        s2 = f32x4.add(s2, v128.load(at, 32));
        s3 = f32x4.add(s3, v128.load(at, 48));
        at += 64;
      }
      const s = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
      let sum: f32 = (f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 2)) +
        (f32x4.extract_lane(s, 1) + f32x4.extract_lane(s, 3));
      for (; i < plane; i++) {
        sum += load<f32>(at);
        at += 4;
      }
      total += sum;
    }
    store<f32>(block.gradient + ((c as usize) << 2), total);
  }
}
