// One plane of a block (block.ts), forward and backward: normalization by numbers that are known, activation, pooling.
import { Block } from './block';
import { addGradientSums } from './gradient-sums';
import { loadPart, storePart, total } from './lanes';
import { applyRun } from './moments';
import { planeFactor, planeHigh, planeRest } from './normalization';
import { PART } from './normalization-layout';
import { averageColumns, averageOfPairs, averageScatter, isTwoByTwo, maximumColumns, maximumScatter } from './pooling';
import { scratch } from './scratch';
import { resetSums, sumOfFirst, sumOfSecond } from './two-sums';

const RECTIFIED: i32 = 1;
const LEAKY: i32 = 2;
const MAXIMUM: i32 = 1;
const AVERAGE: i32 = 2;

@inline
function activated(v: v128, activation: i32, leak: v128): v128 {
  if (activation == RECTIFIED) return f32x4.pmax(v, f32x4.splat(0));
  return v128.bitselect(f32x4.mul(v, leak), v, f32x4.lt(v, f32x4.splat(0)));
}

@inline
function activatedOne(v: f32, activation: i32, leak: f32): f32 {
  if (activation == 0 || !(v < 0)) return v;
  return activation == RECTIFIED ? 0 : v * leak;
}

@inline
function activate(y: usize, count: i32, activation: i32, leak: f32): void {
  const factor = f32x4.splat(leak);
  const end = y + ((<usize>count & ~3) << 2);
  for (; y < end; y += 16) v128.store(y, activated(v128.load(y), activation, factor));
  for (let left = count & 3; left > 0; --left) {
    store<f32>(y, activatedOne(load<f32>(y), activation, leak));
    y += 4;
  }
}

/** y = max((x - high) factor + rest, 0). */
function rectifyRun(x: usize, y: usize, count: i32, high: f32, factor: f32, rest: f32): void {
  const h = f32x4.splat(high);
  const f = f32x4.splat(factor);
  const r = f32x4.splat(rest);
  const zero = f32x4.splat(0);
  let left = count;
  for (; left >= 8; left -= 8) {
    const y0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r);
    const y1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x, 16), h), f), r);
    v128.store(y, f32x4.pmax(y0, zero));
    v128.store(y, f32x4.pmax(y1, zero), 16);
    x += 32;
    y += 32;
  }
  if (left >= 4) {
    v128.store(y, f32x4.pmax(f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r), zero));
    x += 16;
    y += 16;
    left -= 4;
  }
  if (left > 0) storePart(y, f32x4.pmax(f32x4.add(f32x4.mul(f32x4.sub(loadPart(x, left), h), f), r), zero), left);
}

/** Normalization, where there is one, and activation of `count` elements; y may be x. */
function transform(b: Block, x: usize, y: usize, count: i32): void {
  if (b.normalized) {
    if (b.activation == RECTIFIED) {
      rectifyRun(x, y, count, planeHigh, planeFactor, planeRest);
      return;
    }
    applyRun(x, y, count, planeHigh, planeFactor, planeRest);
  } else if (y != x) memory.copy(y, x, <usize>count << 2);
  if (b.activation) activate(y, count, b.activation, b.leak);
}

/**
 * Normalized, activated and pooled by 2 by 2 windows with stride 2. What comes before the pooling only ever rises, or with a
 * negative scale only ever falls, also as rounded numbers: the element that wins in x wins, and it alone is computed.
 */
function maximumTwoByTwoForward(b: Block, plane: usize, to: usize): void {
  const h = f32x4.splat(planeHigh);
  const f = f32x4.splat(planeFactor);
  const r = f32x4.splat(planeRest);
  const leak = f32x4.splat(b.leak);
  const zero = f32x4.splat(0);
  const rising = planeFactor >= 0;
  const line = <usize>b.height << 2;
  let y = to;
  for (let d = 0; d < b.outDepth; ++d) {
    for (let w = 0; w < b.outWidth; ++w) {
      let left = plane + <usize>(2 * w + b.width * d) * line;
      let right = left + line;
      let i = 0;
      for (; i + 4 <= b.outHeight; i += 4) {
        const a0 = v128.load(left);
        const a1 = v128.load(left, 16);
        const b0 = v128.load(right);
        const b1 = v128.load(right, 16);
        let best: v128;
        if (rising) {
          const m0 = f32x4.pmax(a0, b0);
          const m1 = f32x4.pmax(a1, b1);
          best = f32x4.pmax(v128.shuffle<f32>(m0, m1, 0, 2, 4, 6), v128.shuffle<f32>(m0, m1, 1, 3, 5, 7));
        } else {
          const m0 = f32x4.pmin(a0, b0);
          const m1 = f32x4.pmin(a1, b1);
          best = f32x4.pmin(v128.shuffle<f32>(m0, m1, 0, 2, 4, 6), v128.shuffle<f32>(m0, m1, 1, 3, 5, 7));
        }
        best = f32x4.add(f32x4.mul(f32x4.sub(best, h), f), r);
        if (b.activation == RECTIFIED) best = f32x4.pmax(best, zero);
        else if (b.activation == LEAKY) best = activated(best, LEAKY, leak);
        v128.store(y, best);
        left += 32;
        right += 32;
        y += 16;
      }
      for (; i < b.outHeight; ++i) {
        const p = load<f32>(left);
        const q = load<f32>(left, 4);
        const s = load<f32>(right);
        const t = load<f32>(right, 4);
        const best = rising ? max<f32>(max<f32>(p, q), max<f32>(s, t)) : min<f32>(min<f32>(p, q), min<f32>(s, t));
        store<f32>(y, activatedOne((best - planeHigh) * planeFactor + planeRest, b.activation, b.leak));
        left += 8;
        right += 8;
        y += 4;
      }
    }
  }
}

/** One element normalized and activated. */
@inline
function transformed(b: Block, x: f32): f32 {
  return activatedOne((x - planeHigh) * planeFactor + planeRest, b.activation, b.leak);
}

/** Normalized, activated and averaged over 2 by 2 windows with stride 2. */
function averageTwoByTwoForward(b: Block, plane: usize, to: usize): void {
  const h = f32x4.splat(planeHigh);
  const f = f32x4.splat(planeFactor);
  const r = f32x4.splat(planeRest);
  const leak = f32x4.splat(b.leak);
  const zero = f32x4.splat(0);
  const line = <usize>b.height << 2;
  const activation = b.activation;
  let y = to;
  for (let d = 0; d < b.outDepth; ++d) {
    for (let w = 0; w < b.outWidth; ++w) {
      let left = plane + <usize>(2 * w + b.width * d) * line;
      let right = left + line;
      let i = 0;
      for (; i + 4 <= b.outHeight; i += 4) {
        let a0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(left), h), f), r);
        let a1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(left, 16), h), f), r);
        let b0 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(right), h), f), r);
        let b1 = f32x4.add(f32x4.mul(f32x4.sub(v128.load(right, 16), h), f), r);
        if (activation == RECTIFIED) {
          a0 = f32x4.pmax(a0, zero);
          a1 = f32x4.pmax(a1, zero);
          b0 = f32x4.pmax(b0, zero);
          b1 = f32x4.pmax(b1, zero);
        } else if (activation == LEAKY) {
          a0 = activated(a0, LEAKY, leak);
          a1 = activated(a1, LEAKY, leak);
          b0 = activated(b0, LEAKY, leak);
          b1 = activated(b1, LEAKY, leak);
        }
        v128.store(y, averageOfPairs(a0, a1, b0, b1));
        left += 32;
        right += 32;
        y += 16;
      }
      for (; i < b.outHeight; ++i) {
        let sum = transformed(b, load<f32>(left)) + transformed(b, load<f32>(left, 4));
        sum = sum + transformed(b, load<f32>(right)) + transformed(b, load<f32>(right, 4));
        store<f32>(y, sum * 0.25);
        left += 8;
        right += 8;
        y += 4;
      }
    }
  }
}

/** Bytes of what the windows leave of a plane. */
@inline
export function windows(b: Block): usize {
  return (<usize>b.outHeight * <usize>b.outWidth * <usize>b.outDepth) << 2;
}

/** Bytes of a plane of the result. */
@inline
export function resultBytes(b: Block): usize {
  return b.pooling ? windows(b) : <usize>b.inner << 2;
}

/** y of one plane at `x`, whose normalization is prepared; `to` is where it goes. */
export function finishPlane(b: Block, x: usize, to: usize): void {
  if (b.pooling == 0) {
    transform(b, x, to, b.inner);
    return;
  }
  const columns = b.outWidth * b.outDepth;
  if (b.pooling == MAXIMUM) {
    if (b.normalized && isTwoByTwo(b)) {
      maximumTwoByTwoForward(b, x, to);
      return;
    }
    if (!b.normalized) {
      // an activation only ever rises: it can wait until there is less to do
      maximumColumns(b, x, to, 0, 0, columns);
      if (b.activation) activate(to, columns * b.outHeight, b.activation, b.leak);
      return;
    }
  }
  if (b.pooling == AVERAGE && b.normalized && isTwoByTwo(b)) {
    averageTwoByTwoForward(b, x, to);
    return;
  }
  transform(b, x, scratch, b.inner);
  if (b.pooling == MAXIMUM) maximumColumns(b, scratch, to, 0, 0, columns);
  else averageColumns(b, scratch, to, 0, columns);
}

/** g times the derivative of the activation where its input was (x - high) factor + rest, or x without normalization. */
function maskRun(b: Block, x: usize, g: usize, to: usize, count: i32): void {
  const h = f32x4.splat(b.normalized ? planeHigh : 0);
  const f = f32x4.splat(b.normalized ? planeFactor : 1);
  const r = f32x4.splat(b.normalized ? planeRest : 0);
  const zero = f32x4.splat(0);
  const leak = f32x4.splat(b.leak);
  const whole = count & ~3;
  if (b.activation == RECTIFIED) {
    for (let i = 0; i < whole; i += 4) {
      const v = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r);
      v128.store(to, v128.and(v128.load(g), f32x4.gt(v, zero)));
      x += 16;
      g += 16;
      to += 16;
    }
  } else {
    for (let i = 0; i < whole; i += 4) {
      const v = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), h), f), r);
      const d = v128.load(g);
      v128.store(to, v128.bitselect(f32x4.mul(d, leak), d, f32x4.lt(v, zero)));
      x += 16;
      g += 16;
      to += 16;
    }
  }
  for (let i = whole; i < count; ++i) {
    const v = b.normalized ? (load<f32>(x) - planeHigh) * planeFactor + planeRest : load<f32>(x);
    const d = load<f32>(g);
    store<f32>(to, b.activation == RECTIFIED ? (v > 0 ? d : 0) : v < 0 ? d * b.leak : d);
    x += 4;
    g += 4;
    to += 4;
  }
}

// the sums of the gradient g of a plane and of g (x - high), where high is the nearest float to the mean
export let firstSum: f64 = 0;
export let secondSum: f64 = 0;

/**
 * The gradient g with respect to the normalized plane, from that of its 2 by 2 windows, written to `to` in full, with its two
 * sums taken over the windows.
 */
function maximumTwoByTwoBackward(b: Block, plane: usize, dy: usize, to: usize, high: f32): void {
  const h = f32x4.splat(planeHigh);
  const f = f32x4.splat(planeFactor);
  const r = f32x4.splat(planeRest);
  const mean = f32x4.splat(high);
  // x times its sign: the largest wins; with a scale of 0 all are equal, and the first wins
  const sign = f32x4.splat(planeFactor > 0 ? 1 : planeFactor < 0 ? -1 : 0);
  const leak = f32x4.splat(b.leak);
  const zero = f32x4.splat(0);
  const line = <usize>b.height << 2;
  const whole = b.outHeight & ~3;
  if (b.outHeight * 2 < b.height || b.outWidth * 2 < b.width) memory.fill(to, 0, <usize>b.inner << 2);
  let first: f64 = 0;
  let second: f64 = 0;
  for (let d = 0; d < b.outDepth; ++d) {
    for (let w = 0; w < b.outWidth; ++w) {
      const at = <usize>(2 * w + b.width * d) * line;
      let left = plane + at;
      let right = left + line;
      let leftTo = to + at;
      let rightTo = leftTo + line;
      let a = zero;
      let q = zero;
      for (let i = 0; i < whole; i += 4) {
        const a0 = v128.load(left);
        const a1 = v128.load(left, 16);
        const b0 = v128.load(right);
        const b1 = v128.load(right, 16);
        let x = v128.shuffle<f32>(a0, a1, 0, 2, 4, 6);
        const x1 = v128.shuffle<f32>(a0, a1, 1, 3, 5, 7);
        const x2 = v128.shuffle<f32>(b0, b1, 0, 2, 4, 6);
        const x3 = v128.shuffle<f32>(b0, b1, 1, 3, 5, 7);
        let best = f32x4.mul(x, sign);
        const s1 = f32x4.mul(x1, sign);
        const s2 = f32x4.mul(x2, sign);
        const s3 = f32x4.mul(x3, sign);
        const m1 = f32x4.gt(s1, best);
        best = f32x4.pmax(best, s1);
        const m2 = f32x4.gt(s2, best);
        best = f32x4.pmax(best, s2);
        const m3 = f32x4.gt(s3, best);
        x = v128.bitselect(x1, x, m1);
        x = v128.bitselect(x2, x, m2);
        x = v128.bitselect(x3, x, m3);
        let g = v128.load(dy);
        if (b.activation) {
          const v = f32x4.add(f32x4.mul(f32x4.sub(x, h), f), r);
          g = b.activation == RECTIFIED
            ? v128.and(g, f32x4.gt(v, zero))
            : v128.bitselect(f32x4.mul(g, leak), g, f32x4.lt(v, zero));
        }
        a = f32x4.add(a, g);
        q = f32x4.add(q, f32x4.mul(g, f32x4.sub(x, mean)));
        const g3 = v128.and(g, m3);
        g = v128.andnot(g, m3);
        const g2 = v128.and(g, m2);
        g = v128.andnot(g, m2);
        const g1 = v128.and(g, m1);
        g = v128.andnot(g, m1);
        v128.store(leftTo, v128.shuffle<f32>(g, g1, 0, 4, 1, 5));
        v128.store(leftTo, v128.shuffle<f32>(g, g1, 2, 6, 3, 7), 16);
        v128.store(rightTo, v128.shuffle<f32>(g2, g3, 0, 4, 1, 5));
        v128.store(rightTo, v128.shuffle<f32>(g2, g3, 2, 6, 3, 7), 16);
        dy += 16;
        left += 32;
        right += 32;
        leftTo += 32;
        rightTo += 32;
      }
      first += total(a);
      second += total(q);
      const one: f32 = planeFactor > 0 ? 1 : planeFactor < 0 ? -1 : 0;
      for (let i = whole; i < b.outHeight; ++i) {
        let place: usize = 0;
        let x = load<f32>(left);
        if (load<f32>(left, 4) * one > x * one) {
          place = 4;
          x = load<f32>(left, 4);
        }
        if (load<f32>(right) * one > x * one) {
          place = line;
          x = load<f32>(right);
        }
        if (load<f32>(right, 4) * one > x * one) {
          place = line + 4;
          x = load<f32>(right, 4);
        }
        let g = load<f32>(dy);
        const v = (x - planeHigh) * planeFactor + planeRest;
        if (b.activation == RECTIFIED) g = v > 0 ? g : 0;
        else if (b.activation == LEAKY && v < 0) g *= b.leak;
        first += <f64>g;
        second += <f64>g * <f64>(x - high);
        store<f32>(leftTo, 0);
        store<f32>(leftTo, 0, 4);
        store<f32>(rightTo, 0);
        store<f32>(rightTo, 0, 4);
        store<f32>(leftTo + place, g);
        dy += 4;
        left += 8;
        right += 8;
        leftTo += 8;
        rightTo += 8;
      }
    }
  }
  firstSum = first;
  secondSum = second;
}

/** Sums of g and g (x - high), part by part. */
export function sumPlane(x: usize, g: usize, count: i32, high: f32): void {
  firstSum = 0;
  secondSum = 0;
  for (let from = 0; from < count; from += PART) {
    resetSums();
    const at = <usize>from << 2;
    addGradientSums(x + at, g + at, min(PART, count - from), high);
    firstSum += sumOfFirst;
    secondSum += sumOfSecond;
  }
}

/** Where the gradient of a plane lies after `gradientPlane`: at dy itself where nothing changes it. */
@inline
export function gradientAt(b: Block, dy: usize, to: usize): usize {
  return b.pooling || b.activation ? to : dy;
}

/**
 * The gradient g with respect to the normalized plane, whose normalization is prepared: to `to`, unless it is dy; with it,
 * where wanted, its sums.
 */
export function gradientPlane(b: Block, x: usize, dy: usize, to: usize, high: f32, summed: bool): void {
  const inner = b.inner;
  if (b.pooling == MAXIMUM && b.normalized && isTwoByTwo(b)) {
    maximumTwoByTwoBackward(b, x, dy, to, high);
    return;
  }
  if (b.pooling == MAXIMUM) {
    const places = scratch + (<usize>inner << 2);
    if (b.normalized) transform(b, x, scratch, inner);
    const columns = b.outWidth * b.outDepth;
    maximumColumns(b, b.normalized ? scratch : x, places + windows(b), places, 0, columns);
    maximumScatter(b, to, dy, places);
  } else if (b.pooling == AVERAGE) averageScatter(b, to, dy);
  if (b.activation) maskRun(b, x, b.pooling ? to : dy, to, inner);
  if (summed) sumPlane(x, gradientAt(b, dy, to), inner, high);
}

/** The sums of the gradient with respect to the normalized plane; it itself stays in the working memory. */
export function sumGradientPlane(b: Block, x: usize, dy: usize, high: f32): void {
  if (b.pooling) {
    // behind what gradientPlane uses itself
    gradientPlane(b, x, dy, scratch + (<usize>b.inner << 2) + 2 * windows(b), high, true);
    return;
  }
  if (!b.activation) {
    sumPlane(x, dy, b.inner, high);
    return;
  }
  let first: f64 = 0;
  let second: f64 = 0;
  for (let from = 0; from < b.inner; from += PART) {
    const at = <usize>from << 2;
    const count = min(PART, b.inner - from);
    maskRun(b, x + at, dy + at, scratch, count);
    sumPlane(x + at, scratch, count, high);
    first += firstSum;
    second += secondSum;
  }
  firstSum = first;
  secondSum = second;
}
