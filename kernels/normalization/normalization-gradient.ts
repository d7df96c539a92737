// The gradient of the normalization family. Arrays, groups, parts and the order of sums are those of normalization.ts.
//
// With g = dy scale_c and the means over the group,
//   dx = (g - mean(g) - xhat mean(g xhat)) / sqrt(var + epsilon)
//   dscale_c = sum(dy xhat), doffset_c = sum(dy) over all planes of the channel.
import {
  addGradientSums,
  addGradientSumsBeside,
  applyGradientRun,
} from './gradient-sums';
import { groupsPerObservation, normalizationParts, PART, scaleOf, stride } from './normalization-layout';
import { scratch } from '../scratch';
import { resetSums, sumOfFirst, sumOfSecond } from './two-sums';

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

/** Sums of dy and dy (x - shift) over elements from..to of a plane. */
function sumGradients(b: NormalizationGradient, plane: i32, from: i32, to: i32, shift: f32): void {
  const apart = stride(b);
  const start = (<usize>plane * <usize>b.inner) << 2;
  resetSums();
  let i = from;
  while (i < to) {
    const r = i / b.inner;
    const first = i - r * b.inner;
    const n = min(b.inner - first, to - i);
    const at = start + <usize>r * apart + (<usize>first << 2);
    addGradientSums(b.x + at, b.dy + at, n, shift);
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

/** What x of a group is shifted by in sums: nothing where the mean lies within two deviations of 0 and cancels nothing. */
@inline
function sumShift(b: NormalizationGradient, group: i32): f32 {
  const at = b.statistics + <usize>group * 12;
  const high = load<f32>(at);
  return abs<f32>(high * load<f32>(at, 8)) <= 2 ? 0 : high;
}

/** sum(dy (x - high)) from sum(dy (x - shift)). */
@inline
function shiftedBack(b: NormalizationGradient, group: i32, shift: f32, first: f64, second: f64): f64 {
  return second - (<f64>load<f32>(b.statistics + <usize>group * 12) - <f64>shift) * first;
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
export function setGroupMeans(gradient: f64, projection: f64): void {
  meanGradient = gradient;
  meanProjection = projection;
}

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
  const high = load<f32>(at);
  let rest = -inverse * meanGradient - <f64>load<f32>(at, 4) * slope;
  gradientHigh = high;
  if (abs<f64>(<f64>high * inverse) <= 2) {
    // as in the forward pass
    rest -= <f64>high * slope;
    gradientHigh = 0;
  }
  gradientFactor = <f32>(inverse * <f64>scaleOf(b, channel));
  gradientSlope = <f32>slope;
  gradientRest = <f32>rest;
}

/** Groups begin..end, each without gaps: sums over a group while the one before it, still in the cache, is turned into dx. */
function gradientNeighbours(b: NormalizationGradient, begin: i32, end: i32): void {
  const count = b.inner;
  const bytes = <usize>count << 2;
  const xEnd = b.x + <usize>end * bytes;
  let at = <usize>begin * bytes;
  let shift = sumShift(b, begin);
  let first: f64 = 0;
  let second: f64 = 0;
  for (let from = 0; from < count; from += PART) {
    sumGradients(b, begin, from, min(from + PART, count), shift);
    first += sumOfFirst;
    second += sumOfSecond;
  }
  for (let group = begin; group < end; ++group) {
    writePlaneSums(b, group, group, first, shiftedBack(b, group, shift, first, second));
    averageGroup(b, group);
    prepareBackward(b, group, group % b.channels);
    if (group + 1 == end) {
      applyGradientRun(b.x + at, b.dy + at, b.dx + at, count, gradientHigh, gradientFactor, gradientSlope, gradientRest);
      return;
    }
    shift = sumShift(b, group + 1);
    first = 0;
    second = 0;
    for (let from = 0; from < count; from += PART) {
      const here = at + (<usize>from << 2);
      const next = here + bytes;
      resetSums();
      addGradientSumsBeside(
        b.x + next,
        b.dy + next,
        min(PART, count - from),
        shift,
        b.x + here,
        b.dy + here,
        b.dx + here,
        gradientHigh,
        gradientFactor,
        gradientSlope,
        gradientRest,
        xEnd,
      );
      first += sumOfFirst;
      second += sumOfSecond;
    }
    at += bytes;
  }
}

/**
 * Backward. Work item: one group; ranges of them are counted from the last one, as the forward pass read those last. Reads x, dy,
 * scale, statistics; writes dx and planeSums.
 */
export function normalizeGradient(b: NormalizationGradient, begin: i32, end: i32): void {
  const perObservation = groupsPerObservation(b);
  const count = b.inner * b.outer;
  const apart = stride(b);
  const groups = perObservation * b.observations;
  const lowest = groups - end;
  const behind = groups - begin;
  if (b.outer == 1 && b.groupChannels == 1) {
    gradientNeighbours(b, lowest, behind);
    return;
  }
  for (let group = lowest; group < behind; ++group) {
    const shift = sumShift(b, group);
    const firstPlane = group * b.groupChannels;
    const firstChannel = (group % perObservation) * b.groupChannels;
    for (let c = 0; c < b.groupChannels; ++c) {
      let first: f64 = 0;
      let second: f64 = 0;
      for (let from = 0; from < count; from += PART) {
        sumGradients(b, firstPlane + c, from, min(from + PART, count), shift);
        first += sumOfFirst;
        second += sumOfSecond;
      }
      writePlaneSums(b, firstPlane + c, group, first, shiftedBack(b, group, shift, first, second));
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
    sumGradients(b, plane, from, min(from + PART, count), sumShift(b, plane / b.groupChannels));
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
    const shift = sumShift(b, group);
    for (let c = 0; c < b.groupChannels; ++c) {
      let at = b.partials + ((<usize>(firstPlane + c) * <usize>parts) << 4);
      let first: f64 = 0;
      let second: f64 = 0;
      for (let part = 0; part < parts; ++part) {
        first += load<f64>(at);
        second += load<f64>(at, 8);
        at += 16;
      }
      writePlaneSums(b, firstPlane + c, group, first, shiftedBack(b, group, shift, first, second));
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

/**
 * Backward, last step. Work item: one part of one plane (parts first), counted from the last one as in normalizeApply. Reads x, dy,
 * coefficients; writes dx.
 */
export function normalizeGradientApply(b: NormalizationGradient, begin: i32, end: i32): void {
  const count = b.inner * b.outer;
  const parts = normalizationParts(count);
  const apart = stride(b);
  const last = b.channels * b.observations * parts - 1;
  for (let item = last - begin; item > last - end; --item) {
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

/** Channels whose sums are kept at once: of an observation they fill neighbouring lines of the cache. */
const CHANNELS_TOGETHER: i32 = 64;

/** dscale and doffset: sums over observations in their order, in float64. Work item: one channel. */
export function normalizeParameterGradient(b: NormalizationParameters, begin: i32, end: i32): void {
  const next = <usize>b.channels << 3;
  for (let first = begin; first < end; first += CHANNELS_TOGETHER) {
    const count = min(CHANNELS_TOGETHER, end - first);
    const behind = scratch + (<usize>count << 4);
    memory.fill(scratch, 0, <usize>count << 4);
    let row = b.planeSums + (<usize>first << 3);
    for (let n = 0; n < b.observations; ++n) {
      let at = row;
      for (let sums = scratch; sums < behind; sums += 16) {
        v128.store(sums, f64x2.add(v128.load(sums), f64x2.promote_low_f32x4(v128.load64_zero(at))));
        at += 8;
      }
      row += next;
    }
    for (let c = 0; c < count; ++c) {
      const sums = scratch + (<usize>c << 4);
      const place = <usize>(first + c) << 2;
      store<f32>(b.doffset + place, <f32>load<f64>(sums));
      store<f32>(b.dscale + place, <f32>load<f64>(sums, 8));
    }
  }
}
