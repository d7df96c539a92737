// Softmax over the channels and its gradient. Arrays are float32 [inner, channels, outer], column-major: inner is the
// product of the dimensions before the channels, outer of those behind them.
import { exp } from './math';

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

@inline
function loadPart(address: usize, count: i32): v128 {
  if (count >= 4) return v128.load(address);
  let lanes = v128.load32_zero(address);
  if (count > 1) lanes = v128.load_lane<f32>(address + 4, lanes, 1);
  if (count > 2) lanes = v128.load_lane<f32>(address + 8, lanes, 2);
  return lanes;
}

@inline
function storePart(address: usize, lanes: v128, count: i32): void {
  if (count >= 4) {
    v128.store(address, lanes);
    return;
  }
  v128.store_lane<f32>(address, lanes, 0);
  if (count > 1) v128.store_lane<f32>(address + 4, lanes, 1);
  if (count > 2) v128.store_lane<f32>(address + 8, lanes, 2);
}

@inline
function validLanes(count: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/** The last two lanes in front. */
@inline
function upper(lanes: v128): v128 {
  return v128.shuffle<f32>(lanes, lanes, 2, 3, 2, 3);
}

/** Lane sums of a pair of float64 vectors: lanes 0 + 1, then 2 + 3, then both. */
@inline
function totalOf(low: v128, high: v128): f64 {
  return (
    f64x2.extract_lane(low, 0) +
    f64x2.extract_lane(low, 1) +
    (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1))
  );
}

@inline
function splat64to32(low: v128, high: v128): v128 {
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
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
        const lanes = loadPart(row + (<usize>c << 2), rest);
        most = larger(most, v128.bitselect(lanes, f32x4.splat(-Infinity), validLanes(rest)));
      }
      most = larger(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
      most = larger(most, v128.shuffle<f32>(most, most, 1, 0, 3, 2));
      let low = f64x2.splat(0);
      let high = f64x2.splat(0);
      for (c = 0; c < channels; c += 4) {
        const left = channels - c;
        const at = row + (<usize>c << 2);
        let e = exp(f32x4.sub(loadPart(at, left), most));
        if (left < 4) e = v128.and(e, validLanes(left));
        low = f64x2.add(low, f64x2.promote_low_f32x4(e));
        high = f64x2.add(high, f64x2.promote_low_f32x4(upper(e)));
        storePart(at + offset, e, left);
      }
      const sum = totalOf(low, high);
      const factor = f32x4.splat(<f32>(1.0 / sum));
      for (c = 0; c < channels; c += 4) {
        const left = channels - c;
        const at = row + (<usize>c << 2);
        storePart(at + offset, f32x4.mul(loadPart(at + offset, left), factor), left);
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
      most = larger(most, loadPart(at, lanes));
      at += step;
    }
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    at = column;
    for (let c = 0; c < channels; ++c) {
      const e = exp(f32x4.sub(loadPart(at, lanes), most));
      low = f64x2.add(low, f64x2.promote_low_f32x4(e));
      high = f64x2.add(high, f64x2.promote_low_f32x4(upper(e)));
      storePart(at + offset, e, lanes);
      at += step;
    }
    const factor = splat64to32(f64x2.div(f64x2.splat(1), low), f64x2.div(f64x2.splat(1), high));
    at = column;
    for (let c = 0; c < channels; ++c) {
      storePart(at + offset, f32x4.mul(loadPart(at + offset, lanes), factor), lanes);
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
        const product = f32x4.mul(loadPart(b.dy + at, left), loadPart(b.y + at, left));
        low = f64x2.add(low, f64x2.promote_low_f32x4(product));
        high = f64x2.add(high, f64x2.promote_low_f32x4(upper(product)));
      }
      const mean = f32x4.splat(<f32>totalOf(low, high));
      for (let c = 0; c < channels; c += 4) {
        const left = channels - c;
        const at = row + (<usize>c << 2);
        storePart(b.dx + at, f32x4.mul(loadPart(b.y + at, left), f32x4.sub(loadPart(b.dy + at, left), mean)), left);
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
      const product = f32x4.mul(loadPart(b.dy + at, lanes), loadPart(b.y + at, lanes));
      low = f64x2.add(low, f64x2.promote_low_f32x4(product));
      high = f64x2.add(high, f64x2.promote_low_f32x4(upper(product)));
      at += step;
    }
    const mean = splat64to32(low, high);
    at = column;
    for (let c = 0; c < channels; ++c) {
      storePart(b.dx + at, f32x4.mul(loadPart(b.y + at, lanes), f32x4.sub(loadPart(b.dy + at, lanes), mean)), lanes);
      at += step;
    }
    item += lanes;
  }
}
