// One plane of a block (block.ts), forward and backward: normalization by numbers that are known, activation, pooling.
import { Block } from './block-layout';
import { activate, RECTIFIED, rectifyRun } from './block-activation';
import {
  averageTwoByTwoForward,
  firstOfWindows,
  maximumTwoByTwoBackward,
  maximumTwoByTwoForward,
  secondOfWindows,
} from './block-two-by-two';
import { addGradientSums } from '../normalization/gradient-sums';
import { applyRun } from '../normalization/moments';
import { planeFactor, planeHigh, planeRest } from '../normalization/normalization';
import { PART } from '../normalization/normalization-layout';
import { averageColumns, averageScatter } from '../pooling/average-pooling';
import { maximumColumns, maximumScatter } from '../pooling/maximum-pooling';
import { isTwoByTwo } from '../pooling/windows';
import { scratch } from '../scratch';
import { resetSums, sumOfFirst, sumOfSecond } from '../normalization/two-sums';

const MAXIMUM: i32 = 1;
const AVERAGE: i32 = 2;

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
    firstSum = firstOfWindows;
    secondSum = secondOfWindows;
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
