// Sums of d and d² with d = x - shift over neighbouring elements, alone and while another run of as many elements is
// scaled and written. Four float32 accumulators of four lanes each are emptied into float64 after 32 additions; that order
// depends on the number of elements only, so both ways give the same bits.
//
// Memory is read from two pages at once: a processor's prefetcher follows a page at a time, and two keep more lines on
// their way. Scaling one run while the next is measured lets reads from memory go on beside the writes.
import { loadPart, maskPart, storePart, totalOf, upperHalf } from './lanes';

/** Bytes of a page, which prefetchers do not look beyond. */
const PAGE: usize = 4096;
/** Elements of two pages. */
const TWO_PAGES: i32 = 2048;

// results of the functions below; each thread has its own instance
export let sumOfFirst: f64 = 0;
export let sumOfSecond: f64 = 0;

export function resetMoments(): void {
  sumOfFirst = 0;
  sumOfSecond = 0;
}

// what turns x into y while another run is measured: y = (x - high) factor + rest
let high: v128 = f32x4.splat(0);
let factor: v128 = f32x4.splat(0);
let rest: v128 = f32x4.splat(0);

// sums in float64 over whole blocks: two lanes of low and two of high parts
let firstLow: v128 = f64x2.splat(0);
let firstHigh: v128 = f64x2.splat(0);
let secondLow: v128 = f64x2.splat(0);
let secondHigh: v128 = f64x2.splat(0);

@inline
function emptyAccumulators(a: v128, q: v128): void {
  firstLow = f64x2.add(firstLow, f64x2.promote_low_f32x4(a));
  firstHigh = f64x2.add(firstHigh, f64x2.promote_low_f32x4(upperHalf(a)));
  secondLow = f64x2.add(secondLow, f64x2.promote_low_f32x4(q));
  secondHigh = f64x2.add(secondHigh, f64x2.promote_low_f32x4(upperHalf(q)));
}

/** At most 32 steps of two vectors at x and two at x + gap, `advance` bytes from one step to the next. */
@inline
function addBlock(x: usize, steps: i32, gap: usize, advance: usize, s: v128, shifted: bool): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let q0 = f32x4.splat(0);
  let q1 = f32x4.splat(0);
  let q2 = f32x4.splat(0);
  let q3 = f32x4.splat(0);
  if (shifted) {
    while (steps > 0) {
      const d0 = f32x4.sub(v128.load(x), s);
      const d1 = f32x4.sub(v128.load(x, 16), s);
      const d2 = f32x4.sub(v128.load(x + gap), s);
      const d3 = f32x4.sub(v128.load(x + gap, 16), s);
      a0 = f32x4.add(a0, d0);
      a1 = f32x4.add(a1, d1);
      a2 = f32x4.add(a2, d2);
      a3 = f32x4.add(a3, d3);
      q0 = f32x4.add(q0, f32x4.mul(d0, d0));
      q1 = f32x4.add(q1, f32x4.mul(d1, d1));
      q2 = f32x4.add(q2, f32x4.mul(d2, d2));
      q3 = f32x4.add(q3, f32x4.mul(d3, d3));
      x += advance;
      --steps;
    }
  } else {
    while (steps > 0) {
      const d0 = v128.load(x);
      const d1 = v128.load(x, 16);
      const d2 = v128.load(x + gap);
      const d3 = v128.load(x + gap, 16);
      a0 = f32x4.add(a0, d0);
      a1 = f32x4.add(a1, d1);
      a2 = f32x4.add(a2, d2);
      a3 = f32x4.add(a3, d3);
      q0 = f32x4.add(q0, f32x4.mul(d0, d0));
      q1 = f32x4.add(q1, f32x4.mul(d1, d1));
      q2 = f32x4.add(q2, f32x4.mul(d2, d2));
      q3 = f32x4.add(q3, f32x4.mul(d3, d3));
      x += advance;
      --steps;
    }
  }
  emptyAccumulators(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)), f32x4.add(f32x4.add(q0, q1), f32x4.add(q2, q3)));
}

/** As addBlock over x; beside it y = (other - high) factor + rest over the elements of `other` at the same places. */
@inline
function addBlockBeside(x: usize, steps: i32, gap: usize, advance: usize, s: v128, shifted: bool, other: usize, y: usize): void {
  const h = high;
  const f = factor;
  const r = rest;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let q0 = f32x4.splat(0);
  let q1 = f32x4.splat(0);
  let q2 = f32x4.splat(0);
  let q3 = f32x4.splat(0);
  if (shifted) {
    while (steps > 0) {
      const d0 = f32x4.sub(v128.load(x), s);
      const d1 = f32x4.sub(v128.load(x, 16), s);
      const d2 = f32x4.sub(v128.load(x + gap), s);
      const d3 = f32x4.sub(v128.load(x + gap, 16), s);
      a0 = f32x4.add(a0, d0);
      a1 = f32x4.add(a1, d1);
      a2 = f32x4.add(a2, d2);
      a3 = f32x4.add(a3, d3);
      q0 = f32x4.add(q0, f32x4.mul(d0, d0));
      q1 = f32x4.add(q1, f32x4.mul(d1, d1));
      q2 = f32x4.add(q2, f32x4.mul(d2, d2));
      q3 = f32x4.add(q3, f32x4.mul(d3, d3));
      const y0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(other), h), f), r);
      const y1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(other, 16), h), f), r);
      const y2 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(other + gap), h), f), r);
      const y3 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(other + gap, 16), h), f), r);
      v128.store(y, y0);
      v128.store(y, y1, 16);
      v128.store(y + gap, y2);
      v128.store(y + gap, y3, 16);
      x += advance;
      other += advance;
      y += advance;
      --steps;
    }
  } else {
    while (steps > 0) {
      const d0 = v128.load(x);
      const d1 = v128.load(x, 16);
      const d2 = v128.load(x + gap);
      const d3 = v128.load(x + gap, 16);
      a0 = f32x4.add(a0, d0);
      a1 = f32x4.add(a1, d1);
      a2 = f32x4.add(a2, d2);
      a3 = f32x4.add(a3, d3);
      q0 = f32x4.add(q0, f32x4.mul(d0, d0));
      q1 = f32x4.add(q1, f32x4.mul(d1, d1));
      q2 = f32x4.add(q2, f32x4.mul(d2, d2));
      q3 = f32x4.add(q3, f32x4.mul(d3, d3));
      const y0 = f32x4.add(f32x4.mul(v128.load(other), f), r);
      const y1 = f32x4.add(f32x4.mul(v128.load(other, 16), f), r);
      const y2 = f32x4.add(f32x4.mul(v128.load(other + gap), f), r);
      const y3 = f32x4.add(f32x4.mul(v128.load(other + gap, 16), f), r);
      v128.store(y, y0);
      v128.store(y, y1, 16);
      v128.store(y + gap, y2);
      v128.store(y + gap, y3, 16);
      x += advance;
      other += advance;
      y += advance;
      --steps;
    }
  }
  emptyAccumulators(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)), f32x4.add(f32x4.add(q0, q1), f32x4.add(q2, q3)));
}

@inline
function startBlocks(): void {
  firstLow = f64x2.splat(0);
  firstHigh = f64x2.splat(0);
  secondLow = f64x2.splat(0);
  secondHigh = f64x2.splat(0);
}

/** Adds what is left, less than 16 elements, and the sums of the blocks. */
@inline
function finishBlocks(x: usize, left: i32, s: v128): void {
  if (left > 0) {
    let a = f32x4.splat(0);
    let q = f32x4.splat(0);
    for (; left >= 4; left -= 4) {
      const d = f32x4.sub(v128.load(x), s);
      a = f32x4.add(a, d);
      q = f32x4.add(q, f32x4.mul(d, d));
      x += 16;
    }
    if (left > 0) {
      const d = v128.and(f32x4.sub(loadPart(x, left), s), maskPart(left));
      a = f32x4.add(a, d);
      q = f32x4.add(q, f32x4.mul(d, d));
    }
    emptyAccumulators(a, q);
  }
  sumOfFirst += totalOf(firstLow, firstHigh);
  sumOfSecond += totalOf(secondLow, secondHigh);
}

/** Adds the sums of d and of d² over `count` neighbouring elements, d = x - shift. */
export function addMoments(x: usize, count: i32, shift: f32): void {
  const s = f32x4.splat(shift);
  let left = count;
  startBlocks();
  for (; left >= TWO_PAGES; left -= TWO_PAGES) {
    for (let part: usize = 0; part < PAGE; part += PAGE / 4) addBlock(x + part, 32, PAGE, 32, s, shift != 0);
    x += 2 * PAGE;
  }
  while (left >= 16) {
    const steps = min(left >> 4, 32);
    addBlock(x, steps, 32, 64, s, shift != 0);
    x += <usize>steps << 6;
    left -= steps << 4;
  }
  finishBlocks(x, left, s);
}

/** As addMoments; beside it y = (other - high) factor + rest over `count` neighbouring elements of `other`. */
export function addMomentsBeside(
  x: usize,
  count: i32,
  shift: f32,
  other: usize,
  y: usize,
  otherHigh: f32,
  otherFactor: f32,
  otherRest: f32,
): void {
  const s = f32x4.splat(shift);
  const shifted = shift != 0 || otherHigh != 0;
  let left = count;
  high = f32x4.splat(otherHigh);
  factor = f32x4.splat(otherFactor);
  rest = f32x4.splat(otherRest);
  startBlocks();
  for (; left >= TWO_PAGES; left -= TWO_PAGES) {
    for (let part: usize = 0; part < PAGE; part += PAGE / 4)
      addBlockBeside(x + part, 32, PAGE, 32, s, shifted, other + part, y + part);
    x += 2 * PAGE;
    other += 2 * PAGE;
    y += 2 * PAGE;
  }
  while (left >= 16) {
    const steps = min(left >> 4, 32);
    addBlockBeside(x, steps, 32, 64, s, shifted, other, y);
    const bytes = <usize>steps << 6;
    x += bytes;
    other += bytes;
    y += bytes;
    left -= steps << 4;
  }
  finishBlocks(x, left, s);
  applyRun(other, y, left, otherHigh, otherFactor, otherRest);
}

/** y = (x - high) factor + rest over `count` neighbouring elements. */
export function applyRun(x: usize, y: usize, count: i32, high: f32, factor: f32, rest: f32): void {
  const h = f32x4.splat(high);
  const f = f32x4.splat(factor);
  const r = f32x4.splat(rest);
  let left = count;
  if (high == 0) {
    for (; left >= 16; left -= 16) {
      const y0 = f32x4.add(f32x4.mul(v128.load(x), f), r);
      const y1 = f32x4.add(f32x4.mul(v128.load(x, 16), f), r);
      const y2 = f32x4.add(f32x4.mul(v128.load(x, 32), f), r);
      const y3 = f32x4.add(f32x4.mul(v128.load(x, 48), f), r);
      v128.store(y, y0);
      v128.store(y, y1, 16);
      v128.store(y, y2, 32);
      v128.store(y, y3, 48);
      x += 64;
      y += 64;
    }
  }
  for (; left >= 16; left -= 16) {
    const y0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r);
    const y1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x, 16), h), f), r);
    const y2 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x, 32), h), f), r);
    const y3 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x, 48), h), f), r);
    v128.store(y, y0);
    v128.store(y, y1, 16);
    v128.store(y, y2, 32);
    v128.store(y, y3, 48);
    x += 64;
    y += 64;
  }
  for (; left >= 4; left -= 4) {
    v128.store(y, f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r));
    x += 16;
    y += 16;
  }
  if (left > 0) storePart(y, f32x4.add(f32x4.mul(f32x4.sub(loadPart(x, left), h), f), r), left);
}
