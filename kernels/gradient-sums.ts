// Sums of dy and dy d with d = x - high over neighbouring elements, alone and while another run of as many elements is turned
// into dx. Order of additions, pages and accumulators are as in moments.ts: two accumulators of four lanes each, emptied
// into float64 after 32 additions.
import { loadPart, maskPart, storePart, totalOf, upperHalf } from './lanes';

/** Bytes of a page, which prefetchers do not look beyond. */
const PAGE: usize = 4096;
/** Elements of two pages. */
const TWO_PAGES: i32 = 2048;
/** Steps of sixteen elements until accumulators are emptied. */
const STEPS: i32 = 16;

// results of the functions below; each thread has its own instance
export let sumOfFirst: f64 = 0;
export let sumOfSecond: f64 = 0;

export function resetGradientSums(): void {
  sumOfFirst = 0;
  sumOfSecond = 0;
}

// what turns another run into dx: dx = dy factor + (x - high) slope + rest
let high: v128 = f32x4.splat(0);
let factor: v128 = f32x4.splat(0);
let slope: v128 = f32x4.splat(0);
let rest: v128 = f32x4.splat(0);

// sums in float64 over whole blocks: two lanes of low and two of high parts
let firstLow: v128 = f64x2.splat(0);
let firstHigh: v128 = f64x2.splat(0);
let secondLow: v128 = f64x2.splat(0);
let secondHigh: v128 = f64x2.splat(0);

@inline
function startBlocks(): void {
  firstLow = f64x2.splat(0);
  firstHigh = f64x2.splat(0);
  secondLow = f64x2.splat(0);
  secondHigh = f64x2.splat(0);
}

@inline
function emptyAccumulators(a: v128, q: v128): void {
  firstLow = f64x2.add(firstLow, f64x2.promote_low_f32x4(a));
  firstHigh = f64x2.add(firstHigh, f64x2.promote_low_f32x4(upperHalf(a)));
  secondLow = f64x2.add(secondLow, f64x2.promote_low_f32x4(q));
  secondHigh = f64x2.add(secondHigh, f64x2.promote_low_f32x4(upperHalf(q)));
}

/** Steps of two vectors at x and dy and two `gap` bytes behind them, `advance` bytes from one step to the next. */
@inline
function addBlock(x: usize, dy: usize, steps: i32, gap: usize, advance: usize, s: v128, shifted: bool): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let q0 = f32x4.splat(0);
  let q1 = f32x4.splat(0);
  if (shifted) {
    while (steps > 0) {
      const g0 = v128.load(dy);
      const g1 = v128.load(dy, 16);
      const g2 = v128.load(dy + gap);
      const g3 = v128.load(dy + gap, 16);
      a0 = f32x4.add(a0, g0);
      a1 = f32x4.add(a1, g1);
      a0 = f32x4.add(a0, g2);
      a1 = f32x4.add(a1, g3);
      q0 = f32x4.add(q0, f32x4.mul(g0, f32x4.sub(v128.load(x), s)));
      q1 = f32x4.add(q1, f32x4.mul(g1, f32x4.sub(v128.load(x, 16), s)));
      q0 = f32x4.add(q0, f32x4.mul(g2, f32x4.sub(v128.load(x + gap), s)));
      q1 = f32x4.add(q1, f32x4.mul(g3, f32x4.sub(v128.load(x + gap, 16), s)));
      x += advance;
      dy += advance;
      --steps;
    }
  } else {
    while (steps > 0) {
      const g0 = v128.load(dy);
      const g1 = v128.load(dy, 16);
      const g2 = v128.load(dy + gap);
      const g3 = v128.load(dy + gap, 16);
      a0 = f32x4.add(a0, g0);
      a1 = f32x4.add(a1, g1);
      a0 = f32x4.add(a0, g2);
      a1 = f32x4.add(a1, g3);
      q0 = f32x4.add(q0, f32x4.mul(g0, v128.load(x)));
      q1 = f32x4.add(q1, f32x4.mul(g1, v128.load(x, 16)));
      q0 = f32x4.add(q0, f32x4.mul(g2, v128.load(x + gap)));
      q1 = f32x4.add(q1, f32x4.mul(g3, v128.load(x + gap, 16)));
      x += advance;
      dy += advance;
      --steps;
    }
  }
  emptyAccumulators(f32x4.add(a0, a1), f32x4.add(q0, q1));
}

/** As addBlock; beside it the elements of another run at the same places are turned into dx. */
@inline
function addBlockBeside(
  x: usize,
  dy: usize,
  steps: i32,
  gap: usize,
  advance: usize,
  s: v128,
  shifted: bool,
  otherX: usize,
  otherDy: usize,
  dx: usize,
): void {
  const h = high;
  const f = factor;
  const t = slope;
  const r = rest;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let q0 = f32x4.splat(0);
  let q1 = f32x4.splat(0);
  if (shifted) {
    while (steps > 0) {
      const g0 = v128.load(dy);
      const g1 = v128.load(dy, 16);
      const g2 = v128.load(dy + gap);
      const g3 = v128.load(dy + gap, 16);
      a0 = f32x4.add(a0, g0);
      a1 = f32x4.add(a1, g1);
      a0 = f32x4.add(a0, g2);
      a1 = f32x4.add(a1, g3);
      q0 = f32x4.add(q0, f32x4.mul(g0, f32x4.sub(v128.load(x), s)));
      q1 = f32x4.add(q1, f32x4.mul(g1, f32x4.sub(v128.load(x, 16), s)));
      q0 = f32x4.add(q0, f32x4.mul(g2, f32x4.sub(v128.load(x + gap), s)));
      q1 = f32x4.add(q1, f32x4.mul(g3, f32x4.sub(v128.load(x + gap, 16), s)));
      const y0 = f32x4.add(f32x4.mul(v128.load(otherDy), f), f32x4.add(f32x4.mul(f32x4.sub(v128.load(otherX), h), t), r));
      const y1 = f32x4.add(f32x4.mul(v128.load(otherDy, 16), f), f32x4.add(f32x4.mul(f32x4.sub(v128.load(otherX, 16), h), t), r));
      const y2 = f32x4.add(f32x4.mul(v128.load(otherDy + gap), f), f32x4.add(f32x4.mul(f32x4.sub(v128.load(otherX + gap), h), t), r));
      const y3 = f32x4.add(f32x4.mul(v128.load(otherDy + gap, 16), f), f32x4.add(f32x4.mul(f32x4.sub(v128.load(otherX + gap, 16), h), t), r));
      v128.store(dx, y0);
      v128.store(dx, y1, 16);
      v128.store(dx + gap, y2);
      v128.store(dx + gap, y3, 16);
      otherX += advance;
      otherDy += advance;
      dx += advance;
      x += advance;
      dy += advance;
      --steps;
    }
  } else {
    while (steps > 0) {
      const g0 = v128.load(dy);
      const g1 = v128.load(dy, 16);
      const g2 = v128.load(dy + gap);
      const g3 = v128.load(dy + gap, 16);
      a0 = f32x4.add(a0, g0);
      a1 = f32x4.add(a1, g1);
      a0 = f32x4.add(a0, g2);
      a1 = f32x4.add(a1, g3);
      q0 = f32x4.add(q0, f32x4.mul(g0, v128.load(x)));
      q1 = f32x4.add(q1, f32x4.mul(g1, v128.load(x, 16)));
      q0 = f32x4.add(q0, f32x4.mul(g2, v128.load(x + gap)));
      q1 = f32x4.add(q1, f32x4.mul(g3, v128.load(x + gap, 16)));
      const y0 = f32x4.add(f32x4.mul(v128.load(otherDy), f), f32x4.add(f32x4.mul(v128.load(otherX), t), r));
      const y1 = f32x4.add(f32x4.mul(v128.load(otherDy, 16), f), f32x4.add(f32x4.mul(v128.load(otherX, 16), t), r));
      const y2 = f32x4.add(f32x4.mul(v128.load(otherDy + gap), f), f32x4.add(f32x4.mul(v128.load(otherX + gap), t), r));
      const y3 = f32x4.add(f32x4.mul(v128.load(otherDy + gap, 16), f), f32x4.add(f32x4.mul(v128.load(otherX + gap, 16), t), r));
      v128.store(dx, y0);
      v128.store(dx, y1, 16);
      v128.store(dx + gap, y2);
      v128.store(dx + gap, y3, 16);
      otherX += advance;
      otherDy += advance;
      dx += advance;
      x += advance;
      dy += advance;
      --steps;
    }
  }
  emptyAccumulators(f32x4.add(a0, a1), f32x4.add(q0, q1));
}

/** Adds what is left, less than 16 elements, and the sums of the blocks. */
@inline
function finishBlocks(x: usize, dy: usize, left: i32, s: v128): void {
  if (left > 0) {
    let a = f32x4.splat(0);
    let q = f32x4.splat(0);
    for (; left >= 4; left -= 4) {
      const g = v128.load(dy);
      a = f32x4.add(a, g);
      q = f32x4.add(q, f32x4.mul(g, f32x4.sub(v128.load(x), s)));
      x += 16;
      dy += 16;
    }
    if (left > 0) {
      // lanes beyond the end hold 0 in dy
      const g = loadPart(dy, left);
      a = f32x4.add(a, g);
      q = f32x4.add(q, v128.and(f32x4.mul(g, f32x4.sub(loadPart(x, left), s)), maskPart(left)));
    }
    emptyAccumulators(a, q);
  }
  sumOfFirst += totalOf(firstLow, firstHigh);
  sumOfSecond += totalOf(secondLow, secondHigh);
}

/** Adds the sums of dy and of dy (x - shift) over `count` neighbouring elements. */
export function addGradientSums(x: usize, dy: usize, count: i32, shift: f32): void {
  const s = f32x4.splat(shift);
  let left = count;
  startBlocks();
  for (; left >= TWO_PAGES; left -= TWO_PAGES) {
    for (let part: usize = 0; part < PAGE; part += STEPS * 32)
      addBlock(x + part, dy + part, STEPS, PAGE, 32, s, shift != 0);
    x += 2 * PAGE;
    dy += 2 * PAGE;
  }
  while (left >= 16) {
    const steps = min(left >> 4, STEPS);
    addBlock(x, dy, steps, 32, 64, s, shift != 0);
    x += <usize>steps << 6;
    dy += <usize>steps << 6;
    left -= steps << 4;
  }
  finishBlocks(x, dy, left, s);
}

/** As addGradientSums; beside it `count` neighbouring elements of another run are turned into dx as applyGradientRun does. */
export function addGradientSumsBeside(
  x: usize,
  dy: usize,
  count: i32,
  shift: f32,
  otherX: usize,
  otherDy: usize,
  dx: usize,
  otherHigh: f32,
  otherFactor: f32,
  otherSlope: f32,
  otherRest: f32,
): void {
  const s = f32x4.splat(shift);
  const shifted = shift != 0 || otherHigh != 0;
  let left = count;
  high = f32x4.splat(otherHigh);
  factor = f32x4.splat(otherFactor);
  slope = f32x4.splat(otherSlope);
  rest = f32x4.splat(otherRest);
  startBlocks();
  for (; left >= TWO_PAGES; left -= TWO_PAGES) {
    for (let part: usize = 0; part < PAGE; part += STEPS * 32)
      addBlockBeside(x + part, dy + part, STEPS, PAGE, 32, s, shifted, otherX + part, otherDy + part, dx + part);
    x += 2 * PAGE;
    dy += 2 * PAGE;
    otherX += 2 * PAGE;
    otherDy += 2 * PAGE;
    dx += 2 * PAGE;
  }
  while (left >= 16) {
    const steps = min(left >> 4, STEPS);
    addBlockBeside(x, dy, steps, 32, 64, s, shifted, otherX, otherDy, dx);
    const bytes = <usize>steps << 6;
    x += bytes;
    dy += bytes;
    otherX += bytes;
    otherDy += bytes;
    dx += bytes;
    left -= steps << 4;
  }
  finishBlocks(x, dy, left, s);
  applyGradientRun(otherX, otherDy, dx, left, otherHigh, otherFactor, otherSlope, otherRest);
}

/** dx = dy factor + (x - high) slope + rest over `count` neighbouring elements. */
export function applyGradientRun(x: usize, dy: usize, dx: usize, count: i32, high: f32, factor: f32, slope: f32, rest: f32): void {
  const h = f32x4.splat(high);
  const f = f32x4.splat(factor);
  const s = f32x4.splat(slope);
  const r = f32x4.splat(rest);
  let left = count;
  for (; left >= 8; left -= 8) {
    const d0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), s), r);
    const d1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x, 16), h), s), r);
    const y0 = f32x4.add(f32x4.mul(v128.load(dy), f), d0);
    const y1 = f32x4.add(f32x4.mul(v128.load(dy, 16), f), d1);
    v128.store(dx, y0);
    v128.store(dx, y1, 16);
    x += 32;
    dy += 32;
    dx += 32;
  }
  if (left >= 4) {
    const d = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), s), r);
    v128.store(dx, f32x4.add(f32x4.mul(v128.load(dy), f), d));
    x += 16;
    dy += 16;
    dx += 16;
    left -= 4;
  }
  if (left > 0) {
    const d = f32x4.add(f32x4.mul(f32x4.sub(loadPart(x, left), h), s), r);
    storePart(dx, f32x4.add(f32x4.mul(loadPart(dy, left), f), d), left);
  }
}
