// The gradient of the normalization family. Arrays, groups, parts and the order of sums are those of normalization.ts.
//
// With g = dy scale_c and the means over the group,
//   dx = (g - mean(g) - xhat mean(g xhat)) / sqrt(var + epsilon)
//   dscale_c = sum(dy xhat), doffset_c = sum(dy) over all planes of the channel.
import { loadPart, maskPart, storePart, total, upperHalf } from './lanes';
import {
  groupsPerObservation,
  inColumns,
  moveColumns,
  normalizationParts,
  PACKED_ROWS_TWICE,
  PART,
  scaleOf,
  stride,
} from './normalization-layout';
import { scratch } from './scratch';

@unmanaged
class NormalizationGradient {
  x: usize;
  dy: usize;
  /** The result; may be dy itself. */
  dx: usize;
  /** One number per channel; 0 stands for all ones. */
  scale: usize;
  /** [3, groups], as the forward pass left it. */
  statistics: usize;
  /** [2, planes]: the sums of dy and of dy xhat over each plane. */
  planeSums: usize;
  /** Kernels in steps: float64 [2, parts, planes]. Else unused. */
  partials: usize;
  /** Kernels in steps: float32 [4, planes], what turns dy and x into dx. Else unused. */
  coefficients: usize;
  inner: i32;
  channels: i32;
  observations: i32;
  outer: i32;
  groupChannels: i32;
}

// results of the functions below; each thread has its own instance
export let sumOfFirst: f64 = 0;
export let sumOfSecond: f64 = 0;

export function resetGradientSums(): void {
  sumOfFirst = 0;
  sumOfSecond = 0;
}

/** Adds the sums of dy and of dy (x - high) over `count` neighbouring elements. */
export function addGradientSums(x: usize, dy: usize, count: i32, high: f32): void {
  const s = f32x4.splat(high);
  let first: f64 = sumOfFirst;
  let second: f64 = sumOfSecond;
  let left = count;
  while (left >= 16) {
    let steps = min(left >> 4, 32);
    left -= steps << 4;
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let a2 = f32x4.splat(0);
    let a3 = f32x4.splat(0);
    let q0 = f32x4.splat(0);
    let q1 = f32x4.splat(0);
    let q2 = f32x4.splat(0);
    let q3 = f32x4.splat(0);
    while (steps > 0) {
      const g0 = v128.load(dy);
      const g1 = v128.load(dy, 16);
      const g2 = v128.load(dy, 32);
      const g3 = v128.load(dy, 48);
      a0 = f32x4.add(a0, g0);
      a1 = f32x4.add(a1, g1);
      a2 = f32x4.add(a2, g2);
      a3 = f32x4.add(a3, g3);
      q0 = f32x4.add(q0, f32x4.mul(g0, f32x4.sub(v128.load(x), s)));
      q1 = f32x4.add(q1, f32x4.mul(g1, f32x4.sub(v128.load(x, 16), s)));
      q2 = f32x4.add(q2, f32x4.mul(g2, f32x4.sub(v128.load(x, 32), s)));
      q3 = f32x4.add(q3, f32x4.mul(g3, f32x4.sub(v128.load(x, 48), s)));
      x += 64;
      dy += 64;
      --steps;
    }
    first += total(f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)));
    second += total(f32x4.add(f32x4.add(q0, q1), f32x4.add(q2, q3)));
  }
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
    first += total(a);
    second += total(q);
  }
  sumOfFirst = first;
  sumOfSecond = second;
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

/** Sums of dy and dy (x - high) over elements from..to of a plane. */
function sumGradients(b: NormalizationGradient, plane: i32, from: i32, to: i32, high: f32): void {
  const apart = stride(b);
  const start = (<usize>plane * <usize>b.inner) << 2;
  sumOfFirst = 0;
  sumOfSecond = 0;
  let i = from;
  while (i < to) {
    const r = i / b.inner;
    const first = i - r * b.inner;
    const n = min(b.inner - first, to - i);
    const at = start + <usize>r * apart + (<usize>first << 2);
    addGradientSums(b.x + at, b.dy + at, n, high);
    i += n;
  }
}

/** planeSums of a plane from its two sums: sum(dy xhat) = inverse (sum(dy (x - high)) - low sum(dy)). */
@inline
export function writePlaneSums<B>(b: B, plane: i32, group: i32, first: f64, second: f64): void {
  const statistics = b.statistics + <usize>group * 12;
  const at = b.planeSums + (<usize>plane << 3);
  store<f32>(at, <f32>first);
  store<f32>(at, <f32>(<f64>load<f32>(statistics, 8) * (second - <f64>load<f32>(statistics, 4) * first)), 4);
}

// what turns dy and x of a plane into dx: dy gradientFactor + (x - gradientHigh) gradientSlope + gradientRest
export let gradientHigh: f32 = 0;
export let gradientFactor: f32 = 0;
export let gradientSlope: f32 = 0;
export let gradientRest: f32 = 0;

// mean(g) and mean(g xhat) of a group
let meanGradient: f64 = 0;
let meanProjection: f64 = 0;

@inline
export function averageGroup<B>(b: B, group: i32): void {
  const firstChannel = (group % groupsPerObservation(b)) * b.groupChannels;
  let at = b.planeSums + ((<usize>group * <usize>b.groupChannels) << 3);
  meanGradient = 0;
  meanProjection = 0;
  for (let c = 0; c < b.groupChannels; ++c) {
    const scale = <f64>scaleOf(b, firstChannel + c);
    meanGradient += scale * <f64>load<f32>(at);
    meanProjection += scale * <f64>load<f32>(at, 4);
    at += 8;
  }
  const count = <f64>b.inner * <f64>b.groupChannels * <f64>b.outer;
  meanGradient /= count;
  meanProjection /= count;
}

/** dx = dy gradientFactor + (x - gradientHigh) gradientSlope + gradientRest. */
@inline
export function prepareBackward<B>(b: B, group: i32, channel: i32): void {
  const at = b.statistics + <usize>group * 12;
  const inverse = <f64>load<f32>(at, 8);
  const slope = -inverse * inverse * meanProjection;
  gradientHigh = load<f32>(at);
  gradientFactor = <f32>(inverse * <f64>scaleOf(b, channel));
  gradientSlope = <f32>slope;
  gradientRest = <f32>(-inverse * meanGradient - <f64>load<f32>(at, 4) * slope);
}

/** Gradient of groups group ... group + 3, whose rows are at x, dy and dx, `apart` bytes from one another. */
function normalizeGradientColumns(b: NormalizationGradient, group: i32, firstX: usize, firstDy: usize, dx: usize, apart: usize): void {
  const sums = scratch;
  for (let lane = 0; lane < 4; ++lane)
    store<f32>(sums + (<usize>lane << 2), load<f32>(b.statistics + <usize>(group + lane) * 12));
  const high = v128.load(sums);
  let firstLow = f64x2.splat(0);
  let firstHigh = f64x2.splat(0);
  let secondLow = f64x2.splat(0);
  let secondHigh = f64x2.splat(0);
  let x = firstX;
  let dy = firstDy;
  for (let from = 0; from < b.outer; from += PART) {
    const rows = min(PART, b.outer - from);
    let aLow = f64x2.splat(0);
    let aHigh = f64x2.splat(0);
    let qLow = f64x2.splat(0);
    let qHigh = f64x2.splat(0);
    for (let i = 0; i < rows; ++i) {
      const g = v128.load(dy);
      const q = f32x4.mul(g, f32x4.sub(v128.load(x), high));
      aLow = f64x2.add(aLow, f64x2.promote_low_f32x4(g));
      aHigh = f64x2.add(aHigh, f64x2.promote_low_f32x4(upperHalf(g)));
      qLow = f64x2.add(qLow, f64x2.promote_low_f32x4(q));
      qHigh = f64x2.add(qHigh, f64x2.promote_low_f32x4(upperHalf(q)));
      x += apart;
      dy += apart;
    }
    firstLow = f64x2.add(firstLow, aLow);
    firstHigh = f64x2.add(firstHigh, aHigh);
    secondLow = f64x2.add(secondLow, qLow);
    secondHigh = f64x2.add(secondHigh, qHigh);
  }
  v128.store(sums, firstLow);
  v128.store(sums, firstHigh, 16);
  v128.store(sums, secondLow, 32);
  v128.store(sums, secondHigh, 48);
  const coefficients = scratch + 64;
  for (let lane = 0; lane < 4; ++lane) {
    const sum = sums + (<usize>lane << 3);
    writePlaneSums(b, group + lane, group + lane, load<f64>(sum), load<f64>(sum, 32));
    averageGroup(b, group + lane);
    prepareBackward(b, group + lane, (group + lane) % b.channels);
    const at = coefficients + (<usize>lane << 2);
    store<f32>(at, gradientFactor);
    store<f32>(at, gradientSlope, 16);
    store<f32>(at, gradientRest, 32);
  }
  const factor = v128.load(coefficients);
  const slope = v128.load(coefficients, 16);
  const rest = v128.load(coefficients, 32);
  x = firstX;
  dy = firstDy;
  for (let o = 0; o < b.outer; ++o) {
    const d = f32x4.add(f32x4.mul(f32x4.sub(v128.load(x), high), slope), rest);
    v128.store(dx, f32x4.add(f32x4.mul(v128.load(dy), factor), d));
    x += apart;
    dy += apart;
    dx += apart;
  }
}

/** Backward. Work item: one group. Reads x, dy, scale, statistics; writes dx and planeSums. */
export function normalizeGradient(b: NormalizationGradient, begin: i32, end: i32): void {
  const perObservation = groupsPerObservation(b);
  const count = b.inner * b.outer;
  const apart = stride(b);
  const columns = inColumns(b);
  for (let group = begin; group < end; ++group) {
    if (columns && group + 16 <= end && b.outer <= PACKED_ROWS_TWICE) {
      const packedX = scratch + 256;
      const packedDy = packedX + (<usize>b.outer << 6);
      const at = <usize>group << 2;
      moveColumns(b.x + at, apart, packedX, 64, b.outer);
      moveColumns(b.dy + at, apart, packedDy, 64, b.outer);
      for (let q = 0; q < 4; ++q) {
        const lanes = <usize>q << 4;
        normalizeGradientColumns(b, group + 4 * q, packedX + lanes, packedDy + lanes, packedDy + lanes, 64);
      }
      moveColumns(packedDy, 64, b.dx + at, apart, b.outer);
      group += 15;
      continue;
    }
    if (columns && group + 4 <= end) {
      const at = <usize>group << 2;
      normalizeGradientColumns(b, group, b.x + at, b.dy + at, b.dx + at, apart);
      group += 3;
      continue;
    }
    const high = load<f32>(b.statistics + <usize>group * 12);
    const firstPlane = group * b.groupChannels;
    const firstChannel = (group % perObservation) * b.groupChannels;
    for (let c = 0; c < b.groupChannels; ++c) {
      let first: f64 = 0;
      let second: f64 = 0;
      for (let from = 0; from < count; from += PART) {
        sumGradients(b, firstPlane + c, from, min(from + PART, count), high);
        first += sumOfFirst;
        second += sumOfSecond;
      }
      writePlaneSums(b, firstPlane + c, group, first, second);
    }
    averageGroup(b, group);
    for (let c = 0; c < b.groupChannels; ++c) {
      prepareBackward(b, group, firstChannel + c);
      let at = (<usize>(firstPlane + c) * <usize>b.inner) << 2;
      for (let o = 0; o < b.outer; ++o) {
        applyGradientRun(b.x + at, b.dy + at, b.dx + at, b.inner, gradientHigh, gradientFactor, gradientSlope, gradientRest);
        at += apart;
      }
    }
  }
}

/** Backward, first step. Work item: one part of one plane (parts first). Writes its two sums to partials. */
export function normalizeGradientSums(b: NormalizationGradient, begin: i32, end: i32): void {
  const count = b.inner * b.outer;
  const parts = normalizationParts(count);
  for (let item = begin; item < end; ++item) {
    const plane = item / parts;
    const from = (item - plane * parts) * PART;
    const high = load<f32>(b.statistics + <usize>(plane / b.groupChannels) * 12);
    sumGradients(b, plane, from, min(from + PART, count), high);
    const at = b.partials + (<usize>item << 4);
    store<f64>(at, sumOfFirst);
    store<f64>(at, sumOfSecond, 8);
  }
}

/** Backward, second step. Work item: one group. Joins partials into planeSums; writes coefficients. */
export function normalizeGradientJoin(b: NormalizationGradient, begin: i32, end: i32): void {
  const parts = normalizationParts(b.inner * b.outer);
  const perObservation = groupsPerObservation(b);
  for (let group = begin; group < end; ++group) {
    const firstPlane = group * b.groupChannels;
    for (let c = 0; c < b.groupChannels; ++c) {
      let at = b.partials + ((<usize>(firstPlane + c) * <usize>parts) << 4);
      let first: f64 = 0;
      let second: f64 = 0;
      for (let part = 0; part < parts; ++part) {
        first += load<f64>(at);
        second += load<f64>(at, 8);
        at += 16;
      }
      writePlaneSums(b, firstPlane + c, group, first, second);
    }
    averageGroup(b, group);
    for (let c = 0; c < b.groupChannels; ++c) {
      prepareBackward(b, group, (group % perObservation) * b.groupChannels + c);
      const at = b.coefficients + (<usize>(firstPlane + c) << 4);
      store<f32>(at, gradientHigh);
      store<f32>(at, gradientFactor, 4);
      store<f32>(at, gradientSlope, 8);
      store<f32>(at, gradientRest, 12);
    }
  }
}

/** Backward, last step. Work item: one part of one plane (parts first). Reads x, dy, coefficients; writes dx. */
export function normalizeGradientApply(b: NormalizationGradient, begin: i32, end: i32): void {
  const count = b.inner * b.outer;
  const parts = normalizationParts(count);
  const apart = stride(b);
  for (let item = begin; item < end; ++item) {
    const plane = item / parts;
    const coefficients = b.coefficients + (<usize>plane << 4);
    const start = (<usize>plane * <usize>b.inner) << 2;
    let i = (item - plane * parts) * PART;
    const to = min(i + PART, count);
    while (i < to) {
      const r = i / b.inner;
      const first = i - r * b.inner;
      const n = min(b.inner - first, to - i);
      const at = start + <usize>r * apart + (<usize>first << 2);
      applyGradientRun(
        b.x + at,
        b.dy + at,
        b.dx + at,
        n,
        load<f32>(coefficients),
        load<f32>(coefficients, 4),
        load<f32>(coefficients, 8),
        load<f32>(coefficients, 12),
      );
      i += n;
    }
  }
}

@unmanaged
class NormalizationParameters {
  /** [2, channels, observations], as the backward kernels leave it. */
  planeSums: usize;
  /** One number per channel each. */
  dscale: usize;
  doffset: usize;
  channels: i32;
  observations: i32;
}

/** dscale and doffset: sums over observations in their order, in float64. Work item: one channel. */
export function normalizeParameterGradient(b: NormalizationParameters, begin: i32, end: i32): void {
  for (let c = begin; c < end; ++c) {
    let at = b.planeSums + (<usize>c << 3);
    let offset: f64 = 0;
    let scale: f64 = 0;
    for (let n = 0; n < b.observations; ++n) {
      offset += <f64>load<f32>(at);
      scale += <f64>load<f32>(at, 4);
      at += <usize>b.channels << 3;
    }
    store<f32>(b.doffset + (<usize>c << 2), <f32>offset);
    store<f32>(b.dscale + (<usize>c << 2), <f32>scale);
  }
}
