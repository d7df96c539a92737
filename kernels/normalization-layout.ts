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
