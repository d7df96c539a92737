// How the normalization kernels see their arrays: normalization.ts describes it. The functions take the block of any of
// them, as all name these fields alike: inner, channels, observations, outer, groupChannels, scale, offset.
import { SCRATCH_BYTES } from './scratch';

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

/** Whether groups can go four at a time. */
@inline
export function inColumns<B>(b: B): bool {
  return b.inner == 1 && b.groupChannels == 1 && b.outer > 1;
}

/** Rows of sixteen columns that fit into working memory, once and twice, behind what the functions below use of it. */
export const PACKED_ROWS: i32 = (SCRATCH_BYTES - 256) / 64;
export const PACKED_ROWS_TWICE: i32 = PACKED_ROWS / 2;

/** Sixteen columns, a cache line of every row, from or to a place where the lines are neighbours. */
export function moveColumns(from: usize, fromApart: usize, to: usize, toApart: usize, rows: i32): void {
  for (let i = 0; i < rows; ++i) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
    from += fromApart;
    to += toApart;
  }
}
