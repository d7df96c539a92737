// How the normalization kernels see their arrays: normalization.ts describes it. The functions take the block of any of
// them, as all name these fields alike: inner, channels, observations, outer, groupChannels, scale, offset.

/** Elements of a part: 64 KiB, so that with its result it stays in a second-level cache. */
export const PART: i32 = 16384;

/** Parts of `count` elements. The host sizes `partials` by it. */
export function normalizationParts(count: i32): i32 {
  return (count + PART - 1) / PART;
}

/** Bytes from one run of a plane to the next. */
@inline
export function stride<B>(b: B): usize {
  return (<usize>b.inner * <usize>b.channels * <usize>b.observations) << 2;
}

@inline
export function groupsPerObservation<B>(b: B): i32 {
  return b.channels / b.groupChannels;
}

@inline
export function groupAddress<B>(base: usize, b: B, group: i32): usize {
  return base + ((<usize>group * <usize>b.groupChannels * <usize>b.inner) << 2);
}

@inline
export function scaleOf<B>(b: B, channel: i32): f32 {
  return b.scale ? load<f32>(b.scale + (<usize>channel << 2)) : 1;
}

@inline
export function offsetOf<B>(b: B, channel: i32): f32 {
  return b.offset ? load<f32>(b.offset + (<usize>channel << 2)) : 0;
}

/** a0 b0 c0 a1 ... from a, b and c. */
@inline
export function storeTriples(to: usize, a: v128, b: v128, c: v128): void {
  const ca = v128.shuffle<f32>(c, a, 0, 2, 5, 7); // c0 c2 a1 a3
  v128.store(to, v128.shuffle<f32>(v128.shuffle<f32>(a, b, 0, 4, 1, 5), ca, 0, 1, 4, 6));
  v128.store(to, v128.shuffle<f32>(v128.shuffle<f32>(b, c, 1, 1, 5, 5), v128.shuffle<f32>(a, b, 2, 2, 6, 6), 0, 2, 4, 6), 16);
  v128.store(to, v128.shuffle<f32>(ca, v128.shuffle<f32>(b, c, 2, 6, 3, 7), 1, 3, 6, 7), 32);
}

/** The inverse of storeTriples: three vectors at `to`. */
@inline
export function loadTriples(from: usize, to: usize): void {
  const p = v128.load(from); // a0 b0 c0 a1
  const q = v128.load(from, 16); // b1 c1 a2 b2
  const r = v128.load(from, 32); // c2 a3 b3 c3
  v128.store(to, v128.shuffle<f32>(p, v128.shuffle<f32>(q, r, 2, 2, 5, 5), 0, 3, 4, 6));
  v128.store(to, v128.shuffle<f32>(v128.shuffle<f32>(p, q, 1, 1, 4, 4), v128.shuffle<f32>(q, r, 3, 3, 6, 6), 0, 2, 4, 6), 16);
  v128.store(to, v128.shuffle<f32>(v128.shuffle<f32>(p, q, 2, 2, 5, 5), r, 0, 2, 4, 7), 32);
}

/** One number per plane: those of four neighbouring channels, the first of which follow the last. */
@inline
export function channelLanes(base: usize, channel: i32, channels: i32, absent: f32): v128 {
  if (base == 0) return f32x4.splat(absent);
  const at = base + (<usize>channel << 2);
  if (channel + 4 <= channels) return v128.load(at);
  const second = (channel + 1) % channels;
  const third = (channel + 2) % channels;
  const fourth = (channel + 3) % channels;
  let lanes = v128.load32_zero(at);
  lanes = v128.load_lane<f32>(base + (<usize>second << 2), lanes, 1);
  lanes = v128.load_lane<f32>(base + (<usize>third << 2), lanes, 2);
  return v128.load_lane<f32>(base + (<usize>fourth << 2), lanes, 3);
}
