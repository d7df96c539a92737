// What follows a convolution as one pass over each plane while it is in the cache: normalization, ReLU or leaky ReLU, maximum
// or average pooling, each of which may be missing; and the way back.
//
// x is float32 [inner, channels, observations] with inner = height * width * depth of the pooling, y likewise with what the
// windows leave. Precision and order of sums are those of normalization.ts, windows those of pooling/: with statistics of
// an observation's own, the result has the same bits as the steps one after the other.
//
// Normalized are groups of `groupChannels` neighbouring channels of an observation, each group as it is measured: instance,
// group and layer normalization. Or each channel across all observations: batch normalization, whose statistics are given, or
// measured by a kernel before (plane by plane; what the planes of a channel say is joined in the order of observations).
//
// Backward reads x, dy and the statistics. Which element of a window won is found again from x instead of being kept, and the
// sums over a plane are taken where the gradient is not zero.
import { ACROSS, Block, WITHIN } from './block-layout';
import {
  firstSum,
  finishPlane,
  gradientAt,
  gradientPlane,
  resultBytes,
  secondSum,
  sumGradientPlane,
  sumPlane,
} from './block-plane';
import { applyGradientRun } from '../normalization/gradient-sums';
import {
  joinedMean,
  joinedSquares,
  joinMeasured,
  measureGroup,
  measureRun,
  prepareForward,
  writeStatistics,
} from '../normalization/normalization';
import {
  averageGroup,
  gradientFactor,
  gradientHigh,
  gradientRest,
  gradientSlope,
  prepareBackward,
  setGroupMeans,
  writePlaneSums,
} from '../normalization/normalization-gradient';
import { groupsPerObservation, scaleOf } from '../normalization/normalization-layout';

/** One group of planes of x, at `x`, forward; `to` is where its result goes. */
function groupForward(b: Block, group: i32, x: usize, to: usize): void {
  if (b.normalized == WITHIN) measureGroup(b, x, group);
  const plane = <usize>b.inner << 2;
  const result = resultBytes(b);
  const first = group * b.groupChannels;
  for (let c = 0; c < b.groupChannels; ++c) {
    const channel = (first + c) % b.channels;
    if (b.normalized) prepareForward(b, b.normalized == WITHIN ? group : channel, channel);
    finishPlane(b, x + <usize>c * plane, to + <usize>c * result);
  }
}

/** The planes of observation n, at `x`, forward. */
export function observationForward(b: Block, n: i32, x: usize): void {
  const plane = <usize>b.inner << 2;
  const result = resultBytes(b);
  const groups = groupsPerObservation(b);
  const to = b.y + <usize>n * <usize>b.channels * result;
  for (let g = 0; g < groups; ++g) {
    const first = <usize>g * <usize>b.groupChannels;
    groupForward(b, n * groups + g, x + first * plane, to + first * result);
  }
}

/**
 * Forward. Work item: one group of channels of one observation. Reads x; writes y and, within observations, statistics. With
 * pooling a plane fits a thread's working memory.
 */
export function blockForward(b: Block, begin: i32, end: i32): void {
  const bytes = (<usize>b.inner * <usize>b.groupChannels) << 2;
  const result = resultBytes(b) * <usize>b.groupChannels;
  for (let group = begin; group < end; ++group)
    groupForward(b, group, b.x + <usize>group * bytes, b.y + <usize>group * result);
}

@inline
function measurePlane(b: Block, plane: i32, x: usize): void {
  measureRun(x, b.inner);
  const at = b.partials + (<usize>plane << 4);
  store<f64>(at, joinedMean);
  store<f64>(at, joinedSquares, 8);
}

/** Measures the planes of observation n, at `x`. */
export function observationMeasure(b: Block, n: i32, x: usize): void {
  const plane = <usize>b.inner << 2;
  for (let c = 0; c < b.channels; ++c) measurePlane(b, n * b.channels + c, x + <usize>c * plane);
}

/** Across observations, first step. Work item: one plane. Reads x; writes its partials. */
export function blockMeasure(b: Block, begin: i32, end: i32): void {
  const bytes = <usize>b.inner << 2;
  for (let plane = begin; plane < end; ++plane) measurePlane(b, plane, b.x + <usize>plane * bytes);
}

/** A new value joined to the old one, where there is one. */
@inline
function joinedTo(dataset: usize, at: usize, value: f64, decay: f32): f32 {
  if (!dataset) return <f32>value;
  const old = <f64>load<f32>(dataset + at);
  return <f32>(old + <f64>decay * (value - old));
}

/** Across observations, second step. Work item: one channel. Joins partials into statistics, mu and sigmaSq. */
export function blockJoin(b: Block, begin: i32, end: i32): void {
  const next = <usize>b.channels << 4;
  const count = <f64>b.inner;
  for (let c = begin; c < end; ++c) {
    let at = b.partials + (<usize>c << 4);
    for (let n = 0; n < b.observations; ++n) {
      joinMeasured(n == 0, count, load<f64>(at), load<f64>(at, 8));
      at += next;
    }
    writeStatistics(b, c);
    const place = <usize>c << 2;
    const variance = joinedSquares / (count * <f64>b.observations);
    store<f32>(b.mu + place, joinedTo(b.datasetMu, place, joinedMean, b.meanDecay));
    store<f32>(b.sigmaSq + place, joinedTo(b.datasetSigmaSq, place, variance, b.varianceDecay));
  }
}

/** The mean that sums are shifted by. */
@inline
function highOf(b: Block, group: i32): f32 {
  return b.normalized ? load<f32>(b.statistics + <usize>group * 12) : 0;
}

/** The sums of the gradient of a plane, found by gradientPlane or sumGradientPlane. */
@inline
function keepSums(b: Block, plane: i32, group: i32): void {
  if (b.normalized) {
    writePlaneSums(b, plane, group, firstSum, secondSum);
    return;
  }
  store<f32>(b.planeSums + (<usize>plane << 3), <f32>firstSum);
  store<f32>(b.planeSums + (<usize>plane << 3), 0, 4);
}

/** dx of a plane from the gradient that gradientPlane has left. */
@inline
function applyPlane(b: Block, plane: i32, x: usize, dy: usize, to: usize): void {
  const from = gradientAt(b, dy, to);
  applyGradientRun(x, from, to, b.inner, gradientHigh, gradientFactor, gradientSlope, gradientRest);
  if (b.biasSums) {
    sumPlane(to, to, b.inner, 0);
    const at = b.biasSums + (<usize>plane << 3);
    store<f32>(at, <f32>firstSum);
    store<f32>(at, 0, 4);
  }
}

/** One plane across observations, backward: in one step where the statistics are constants, else the second of two. */
function planeAcross(b: Block, plane: i32, x: usize, dy: usize, to: usize): void {
  const channel = plane % b.channels;
  prepareForward(b, channel, channel);
  if (b.dscale) {
    gradientPlane(b, x, dy, to, highOf(b, channel), false);
    const at = <usize>channel << 2;
    const share = <f64>scaleOf(b, channel) / (<f64>b.inner * <f64>b.observations);
    setGroupMeans(share * <f64>load<f32>(b.doffset + at), share * <f64>load<f32>(b.dscale + at));
  } else {
    gradientPlane(b, x, dy, to, highOf(b, channel), true);
    keepSums(b, plane, channel);
    setGroupMeans(0, 0);
  }
  prepareBackward(b, channel, channel);
  applyPlane(b, plane, x, dy, to);
}

/** One group of planes backward: the gradient with respect to x goes to `to`, the sums of each plane to planeSums. */
function groupBackward(b: Block, group: i32, x: usize, dy: usize, to: usize): void {
  if (b.normalized == ACROSS) {
    planeAcross(b, group, x, dy, to);
    return;
  }
  const plane = <usize>b.inner << 2;
  const result = resultBytes(b);
  const first = group * b.groupChannels;
  const high = highOf(b, group);
  for (let c = 0; c < b.groupChannels; ++c) {
    const place = <usize>c * plane;
    const from = dy + <usize>c * result;
    if (b.normalized) prepareForward(b, group, (first + c) % b.channels);
    gradientPlane(b, x + place, from, to + place, high, true);
    keepSums(b, first + c, group);
    if (!b.normalized && gradientAt(b, from, to) != to) memory.copy(to, from, plane);
  }
  if (!b.normalized) return;
  averageGroup(b, group);
  for (let c = 0; c < b.groupChannels; ++c) {
    const place = <usize>c * plane;
    prepareBackward(b, group, (first + c) % b.channels);
    applyPlane(b, first + c, x + place, dy + <usize>c * result, to + place);
  }
}

/** The planes of observation n backward: x, dy and dx of it lie at `x`, `dy` and `to`. */
export function observationBackward(b: Block, n: i32, x: usize, dy: usize, to: usize): void {
  const plane = <usize>b.inner << 2;
  const result = resultBytes(b);
  const groups = groupsPerObservation(b);
  for (let g = 0; g < groups; ++g) {
    const first = <usize>g * <usize>b.groupChannels;
    groupBackward(b, n * groups + g, x + first * plane, dy + first * result, to + first * plane);
  }
}

/** Backward. Work item: as forward. Reads x, dy, scale, offset, statistics; writes dx and planeSums. */
export function blockBackward(b: Block, begin: i32, end: i32): void {
  const bytes = (<usize>b.inner * <usize>b.groupChannels) << 2;
  const result = resultBytes(b) * <usize>b.groupChannels;
  for (let group = begin; group < end; ++group) {
    const at = <usize>group * bytes;
    groupBackward(b, group, b.x + at, b.dy + <usize>group * result, b.dx + at);
  }
}

/** Across observations, the step before: planeSums, from which come dscale and doffset. Work item: one plane. */
export function blockGradientSums(b: Block, begin: i32, end: i32): void {
  const bytes = <usize>b.inner << 2;
  const result = resultBytes(b);
  for (let plane = begin; plane < end; ++plane) {
    const channel = plane % b.channels;
    prepareForward(b, channel, channel);
    sumGradientPlane(b, b.x + <usize>plane * bytes, b.dy + <usize>plane * result, highOf(b, channel));
    keepSums(b, plane, channel);
  }
}
