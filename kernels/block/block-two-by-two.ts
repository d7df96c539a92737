// Planes of a block (block.ts) that are normalized, activated and pooled by 2 by 2 windows with stride 2: in registers from the
// first to the last, forward and backward.
import { Block } from './block-layout';
import { activated, activatedOne, LEAKY, RECTIFIED } from './block-activation';
import { total } from '../lanes';
import { planeFactor, planeHigh, planeRest } from '../normalization/normalization';
import { averageOfPairs } from '../pooling/average-pooling';

/**
 * Normalized, activated and pooled by 2 by 2 windows with stride 2. What comes before the pooling only ever rises, or with a
 * negative scale only ever falls, also as rounded numbers: the element that wins in x wins, and it alone is computed.
 */
export function maximumTwoByTwoForward(b: Block, plane: usize, to: usize): void {
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
export function averageTwoByTwoForward(b: Block, plane: usize, to: usize): void {
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

// results of maximumTwoByTwoBackward: the sums of the gradient g of a plane and of g (x - high)
export let firstOfWindows: f64 = 0;
export let secondOfWindows: f64 = 0;

/**
 * The gradient g with respect to the normalized plane, from that of its 2 by 2 windows, written to `to` in full, with its two
 * sums taken over the windows.
 */
export function maximumTwoByTwoBackward(b: Block, plane: usize, dy: usize, to: usize, high: f32): void {
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
  firstOfWindows = first;
  secondOfWindows = second;
}
