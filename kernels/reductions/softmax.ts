// Softmax over the channels and its gradient. Arrays are float32 [inner, channels, outer], column-major: inner is the
// product of the dimensions before the channels, outer of those behind them.
import { joinHalves, loadUpTo, maskPart, storeUpTo, totalOf, upperHalf } from '../lanes';
import { exp } from '../math';

@unmanaged
class Softmax {
  x: usize;
  /** Forward: the result. Gradient: what the forward pass gave. */
  y: usize;
  dy: usize;
  dx: usize;
  inner: i32;
  channels: i32;
}

/** The larger of both; NaN where either is one. */
@inline
function larger(a: v128, b: v128): v128 {
  return f32x4.max(a, b);
}

/**
 * y_c = exp(x_c - max) / sum_c exp(x_c - max). Work item: one (inner, outer) pair, inner first. Sums in float64, channel
 * after channel (inner > 1), or four lanes of channels that are joined at the end (inner = 1); y has relative errors
 * below 4e-7. A NaN among the channels makes all of them NaN. y may be x itself.
 */
export function softmax(b: Softmax, begin: i32, end: i32): void {
  const channels = b.channels;
  const offset = b.y - b.x;
  if (b.inner == 1) {
    for (let item = begin; item < end; ++item) {
      const row = b.x + ((<usize>item * <usize>channels) << 2);
      let most = f32x4.splat(-Infinity);
      let c = 0;
      for (; c + 4 <= channels; c += 4) most = larger(most, v128.load(row + (<usize>c << 2)));
      const rest = channels - c;
      if (rest > 0) {
        const lanes = loadUpTo(row + (<usize>c << 2), rest);
        most = larger(most, v128.bitselect(lanes, f32x4.splat(-Infinity), maskPart(rest)));
      }
      most = larger(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
      most = larger(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
      let low = f64x2.splat(0);
      let high = f64x2.splat(0);
      for (c = 0; c < channels; c += 4) {
        const left = channels - c;
        const at = row + (<usize>c << 2);
        let e = exp(f32x4.sub(loadUpTo(at, left), most));
        if (left < 4) e = v128.and(e, maskPart(left));
        low = f64x2.add(low, f64x2.promote_low_f32x4(e));
        high = f64x2.add(high, f64x2.promote_low_f32x4(upperHalf(e)));
        storeUpTo(at + offset, e, left);
      }
      const sum = totalOf(low, high);
      const factor = f32x4.splat(<f32>(1.0 / sum));
      for (c = 0; c < channels; c += 4) {
        const left = channels - c;
        const at = row + (<usize>c << 2);
        storeUpTo(at + offset, f32x4.mul(loadUpTo(at + offset, left), factor), left);
      }
    }
    return;
  }
  const step = <usize>b.inner << 2;
  let item = begin;
  while (item < end) {
    const outer = item / b.inner;
    const i = item - outer * b.inner;
    const lanes = min(4, min(b.inner - i, end - item));
    const column = b.x + ((<usize>outer * <usize>b.inner * <usize>channels + <usize>i) << 2);
    let most = f32x4.splat(-Infinity);
    let at = column;
    for (let c = 0; c < channels; ++c) {
      most = larger(most, loadUpTo(at, lanes));
      at += step;
    }
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    at = column;
    for (let c = 0; c < channels; ++c) {
      const e = exp(f32x4.sub(loadUpTo(at, lanes), most));
      low = f64x2.add(low, f64x2.promote_low_f32x4(e));
      high = f64x2.add(high, f64x2.promote_low_f32x4(upperHalf(e)));
      storeUpTo(at + offset, e, lanes);
      at += step;
    }
    const factor = joinHalves(f64x2.div(f64x2.splat(1), low), f64x2.div(f64x2.splat(1), high));
    at = column;
    for (let c = 0; c < channels; ++c) {
      storeUpTo(at + offset, f32x4.mul(loadUpTo(at + offset, lanes), factor), lanes);
      at += step;
    }
    item += lanes;
  }
}

/** dx_c = y_c (dy_c - sum_c dy_c y_c). Work items and order of sums as in the forward pass. dx may be dy. */
export function softmaxGradient(b: Softmax, begin: i32, end: i32): void {
  const channels = b.channels;
  if (b.inner == 1) {
    for (let item = begin; item < end; ++item) {
      const row = (<usize>item * <usize>channels) << 2;
      let low = f64x2.splat(0);
      let high = f64x2.splat(0);
      for (let c = 0; c < channels; c += 4) {
        const left = channels - c;
        const at = row + (<usize>c << 2);
        const product = f32x4.mul(loadUpTo(b.dy + at, left), loadUpTo(b.y + at, left));
        low = f64x2.add(low, f64x2.promote_low_f32x4(product));
        high = f64x2.add(high, f64x2.promote_low_f32x4(upperHalf(product)));
      }
      const mean = f32x4.splat(<f32>totalOf(low, high));
      for (let c = 0; c < channels; c += 4) {
        const left = channels - c;
        const at = row + (<usize>c << 2);
        storeUpTo(b.dx + at, f32x4.mul(loadUpTo(b.y + at, left), f32x4.sub(loadUpTo(b.dy + at, left), mean)), left);
      }
    }
    return;
  }
  const step = <usize>b.inner << 2;
  let item = begin;
  while (item < end) {
    const outer = item / b.inner;
    const i = item - outer * b.inner;
    const lanes = min(4, min(b.inner - i, end - item));
    const column = (<usize>outer * <usize>b.inner * <usize>channels + <usize>i) << 2;
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let at = column;
    for (let c = 0; c < channels; ++c) {
      const product = f32x4.mul(loadUpTo(b.dy + at, lanes), loadUpTo(b.y + at, lanes));
      low = f64x2.add(low, f64x2.promote_low_f32x4(product));
      high = f64x2.add(high, f64x2.promote_low_f32x4(upperHalf(product)));
      at += step;
    }
    const mean = joinHalves(low, high);
    at = column;
    for (let c = 0; c < channels; ++c) {
      storeUpTo(b.dx + at, f32x4.mul(loadUpTo(b.y + at, lanes), f32x4.sub(loadUpTo(b.dy + at, lanes), mean)), lanes);
      at += step;
    }
    item += lanes;
  }
}
