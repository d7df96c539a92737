// Gradient of a convolution for its filters that reads patches in place: for step 1 in the direction h and few channels, or few
// filters and any step, where copying every patch costs more than it saves. Arrays, geometry and partial sums as in convolution-gradient.ts.
//
// The image of a group, with zeros around it, is copied once for a few lines of dy (a band); the products of a tap are those
// of two sets of lines. Lines of dy are multiples of 4 long: where they are not, they are copied with zeros behind them.
import { FilterGradientFields } from './convolution-fields';
import { scratch } from '../scratch';
import { copyPhases } from './convolution-direct';
import { copyFloats, sumLanes, zeroFloats } from '../products/tile';

/** Most taps times channels of a group: the offsets of so many are kept. */
const MOST_TAPS: i32 = 4096;

@unmanaged export class FilterGradientDirectBlock extends FilterGradientFields {
  stepH: i32; // the blocks of other kernels of this gradient end before it
}

// 4 taps, whose lines of the image begin at base + offsets, times 2 filters, whose lines of dy begin at y0 and y1: sums over
// `lines` lines of `vectors` times 4 positions, lane by lane, then over lanes.
function dotLines(base: usize, offsets: usize, stepX: usize, y0: usize, y1: usize, stepY: usize, lines: i32, vectors: i32, to: usize, toColumn: usize, accumulate: bool): void {
  let s00 = f32x4.splat(0);
  let s10 = s00;
  let s20 = s00;
  let s30 = s00;
  let s01 = s00;
  let s11 = s00;
  let s21 = s00;
  let s31 = s00;
  let a0 = base + load<usize>(offsets, 0 * sizeof<usize>());
  let a1 = base + load<usize>(offsets, 1 * sizeof<usize>());
  let a2 = base + load<usize>(offsets, 2 * sizeof<usize>());
  let a3 = base + load<usize>(offsets, 3 * sizeof<usize>());
  const length = (vectors as usize) << 4;
  stepX -= length;
  stepY -= length;
  for (; lines > 0; lines--) {
    for (let i = vectors; i > 0; i--) {
      const g0 = v128.load(y0);
      const g1 = v128.load(y1);
      let x = v128.load(a0);
      s00 = f32x4.add(s00, f32x4.mul(x, g0));
      s01 = f32x4.add(s01, f32x4.mul(x, g1));
      x = v128.load(a1);
      s10 = f32x4.add(s10, f32x4.mul(x, g0));
      s11 = f32x4.add(s11, f32x4.mul(x, g1));
      x = v128.load(a2);
      s20 = f32x4.add(s20, f32x4.mul(x, g0));
      s21 = f32x4.add(s21, f32x4.mul(x, g1));
      x = v128.load(a3);
      s30 = f32x4.add(s30, f32x4.mul(x, g0));
      s31 = f32x4.add(s31, f32x4.mul(x, g1));
      y0 += 16;
      y1 += 16;
      a0 += 16;
      a1 += 16;
      a2 += 16;
      a3 += 16;
    }
    y0 += stepY;
    y1 += stepY;
    a0 += stepX;
    a1 += stepX;
    a2 += stepX;
    a3 += stepX;
  }
  const sum0 = sumLanes(s00, s10, s20, s30);
  const sum1 = sumLanes(s01, s11, s21, s31);
  v128.store(to, accumulate ? f32x4.add(v128.load(to), sum0) : sum0);
  to += toColumn;
  v128.store(to, accumulate ? f32x4.add(v128.load(to), sum1) : sum1);
}

/** The same for 6 taps and one filter. */
function dotLine(base: usize, offsets: usize, stepX: usize, y: usize, stepY: usize, lines: i32, vectors: i32, to: usize, accumulate: bool): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let s4 = s0;
  let s5 = s0;
  let a0 = base + load<usize>(offsets, 0 * sizeof<usize>());
  let a1 = base + load<usize>(offsets, 1 * sizeof<usize>());
  let a2 = base + load<usize>(offsets, 2 * sizeof<usize>());
  let a3 = base + load<usize>(offsets, 3 * sizeof<usize>());
  let a4 = base + load<usize>(offsets, 4 * sizeof<usize>());
  let a5 = base + load<usize>(offsets, 5 * sizeof<usize>());
  const length = (vectors as usize) << 4;
  for (; lines > 0; lines--) {
    for (let i: usize = 0; i < length; i += 16) {
      const g = v128.load(y + i);
      s0 = f32x4.add(s0, f32x4.mul(v128.load(a0 + i), g));
      s1 = f32x4.add(s1, f32x4.mul(v128.load(a1 + i), g));
      s2 = f32x4.add(s2, f32x4.mul(v128.load(a2 + i), g));
      s3 = f32x4.add(s3, f32x4.mul(v128.load(a3 + i), g));
      s4 = f32x4.add(s4, f32x4.mul(v128.load(a4 + i), g));
      s5 = f32x4.add(s5, f32x4.mul(v128.load(a5 + i), g));
    }
    y += stepY;
    a0 += stepX;
    a1 += stepX;
    a2 += stepX;
    a3 += stepX;
    a4 += stepX;
    a5 += stepX;
  }
  const sum = sumLanes(s0, s1, s2, s3);
  const rest = sumLanes(s4, s5, s4, s5);
  v128.store(to, accumulate ? f32x4.add(v128.load(to), sum) : sum);
  v128.store64_lane(to, accumulate ? f32x4.add(v128.load64_zero(to, 16), rest) : rest, 0, 16);
}

/** Floats of a phase of a line of the band, as in convolution-direct.ts. */
@inline
function phaseLength<B>(b: B): i32 {
  return (((b.heightY + 3) & ~3) + ((b.tapsH - 1) * b.spacingH) / b.stepH + 3) & ~3;
}

/** Floats of a line of the band. */
@inline
function bandHeight<B>(b: B): i32 {
  return phaseLength(b) * b.stepH;
}

/** Lines of the band for every channel and tap of the direction d. */
@inline
function bandWidth<B>(b: B): i32 {
  return (b.lines - 1) * b.stepW + (b.tapsW - 1) * b.spacingW + 1;
}

/** Bytes of the partial sums of a group. */
@inline
export function directSums<B>(b: B): usize {
  const k4 = (b.tapsH * b.tapsW * b.tapsD * b.channels + 3) & ~3;
  return <usize>((b.filters + 1) & ~1) * <usize>k4 << 2;
}

/** Where each row k reads in the band, in bytes; rows up to a multiple of 4 or 6 read anywhere. Returns what is behind. */
export function directOffsets<B>(b: B, to: usize): usize {
  const height = bandHeight(b);
  const width = bandWidth(b);
  const phase = phaseLength(b);
  let at = to;
  for (let c = 0; c < b.channels; c++)
    for (let d = 0; d < b.tapsD; d++)
      for (let w = 0; w < b.tapsW; w++)
        for (let h = 0; h < b.tapsH; h++) {
          const tap = h * b.spacingH;
          store<usize>(at, (((c * b.tapsD + d) * width + w * b.spacingW) * height + tap % b.stepH * phase + tap / b.stepH) << 2);
          at += sizeof<usize>();
        }
  for (let i = 0; i < 5; i++) {
    store<usize>(at, 0);
    at += sizeof<usize>();
  }
  return (at + 63) & ~63;
}

/** Bands of an observation: along w first, then along d. */
@inline
export function bandsOf<B>(b: B): i32 {
  return ((b.widthY + b.lines - 1) / b.lines) * b.depthY;
}

/** Bands of an observation that a part of the work takes whole: one where there are more parts than observations, else all. */
@inline
export function bandsTogether<B>(b: B): i32 {
  return b.splits > b.observations ? 1 : bandsOf(b);
}

/** The first band, over all observations, of part `split` of the work. */
@inline
export function firstBand<B>(b: B, split: i32): i32 {
  const together = bandsTogether(b);
  const all = (bandsOf(b) / together) * b.observations;
  return <i32>((<i64>split * <i64>all) / <i64>b.splits) * together;
}

/**
 * Adds to `partial`, or begins it with, the products of bands `from` to `until` of one group of one observation: `image` is its
 * first channel, `dy` its first filter, `offsets` from directOffsets, `band` memory for the band and the lines of dy.
 */
export function directProducts<B>(b: B, image: usize, dy: usize, from: i32, until: i32, partial: usize, offsets: usize, band: usize, first: bool): void {
  const height = bandHeight(b);
  const width = bandWidth(b);
  const k = b.tapsH * b.tapsW * b.tapsD * b.channels;
  const toColumn = (((k + 3) & ~3) as usize) << 2;
  const planeX = ((b.heightX * b.widthX * b.depthX) as usize) << 2;
  const planeY = ((b.heightY * b.widthY * b.depthY) as usize) << 2;
  const padded = (b.heightY + 3) & ~3;
  const copied = padded != b.heightY;
  const lineY = (padded as usize) << 2;
  const copies = band + (((b.channels * b.tapsD * width * height) as usize) << 2);
  const stepX = ((b.stepW * height) as usize) << 2;
  const lineBlocks = (b.widthY + b.lines - 1) / b.lines;
  for (let at = from; at < until; ++at) {
    const d0 = at / lineBlocks;
    const w0 = at % lineBlocks * b.lines;
    const lines = min(b.widthY - w0, b.lines);
    const used = (lines - 1) * b.stepW + (b.tapsW - 1) * b.spacingW + 1;
    for (let c = 0; c < b.channels; c++)
      for (let d = 0; d < b.tapsD; d++) {
        const depth = d0 * b.stepD + d * b.spacingD + b.offsetD;
        for (let i = 0; i < used; i++) {
          const to = band + ((((c * b.tapsD + d) * width + i) * height) << 2);
          const w = w0 * b.stepW + b.offsetW + i;
          if (depth < 0 || depth >= b.depthX || w < 0 || w >= b.widthX) zeroFloats(to, height);
          else copyPhases(to, image + (c as usize) * planeX + (((depth * b.widthX + w) * b.heightX) << 2), b.offsetH, b.heightX, b.stepH, phaseLength(b), copies);
        }
      }
    const positions = dy + (((d0 * b.widthY + w0) * b.heightY) << 2);
    for (let f = 0; f < b.filters; f += 2) {
      const two = f + 1 < b.filters;
      let y0 = positions + (f as usize) * planeY;
      let y1 = y0 + planeY;
      if (copied) {
        for (let i = 0, at = copies, all = two ? 2 * lines : lines; i < all; i++) {
          copyFloats(at, (i < lines ? y0 : y1) + (((i < lines ? i : i - lines) * b.heightY) << 2), b.heightY);
          zeroFloats(at + (b.heightY << 2), padded - b.heightY);
          at += lineY;
        }
        y0 = copies;
        y1 = copies + (lines as usize) * lineY;
      }
      const to = partial + (f as usize) * toColumn;
      const begun = !first || at > from;
      if (two)
        for (let i = 0; i < k; i += 4)
          dotLines(band, offsets + (i as usize) * sizeof<usize>(), stepX, y0, y1, lineY, lines, padded >> 2, to + (i << 2), toColumn, begun);
      else
        for (let i = 0; i < k; i += 6)
          dotLine(band, offsets + (i as usize) * sizeof<usize>(), stepX, y0, lineY, lines, padded >> 2, to + (i << 2), begun);
    }
  }
}

/**
 * Partial sums as in convolveFilterGradient. Work item: one group in one of `splits` equal parts of the observations, or of
 * their bands where there are fewer observations; items run over the parts first.
 * Preconditions: spacings of 1 or more; at most 4096 taps times channels; the band and two sets of lines of
 * dy, channels * tapsD * ((lines - 1) stepW + (tapsW - 1) spacingW + 1) lines of stepH phases and 2 lines * (heightY rounded up
 * to 4) floats, and for stepH > 1 one line more, fit in 1.5 MB of working memory; 1 <= splits <= bands of all observations.
 * Order of summation: lane by lane over the lines that share a band, the lanes, then band after band.
 */
export function convolveFilterGradientDirect(b: FilterGradientDirectBlock, begin: i32, end: i32): void {
  const sums = directSums(b);
  const offsets = scratch;
  const band = directOffsets(b, offsets);
  const bands = bandsOf(b);
  const together = bandsTogether(b);
  const planeX = ((b.heightX * b.widthX * b.depthX) as usize) << 2;
  const planeY = ((b.heightY * b.widthY * b.depthY) as usize) << 2;
  for (let item = begin; item < end; item++) {
    const split = item % b.splits;
    const group = item / b.splits;
    const to = b.partials + <usize>(split * b.groups + group) * sums;
    const first = firstBand(b, split);
    const last = firstBand(b, split + 1);
    for (let at = first, until = 0; at < last; at = until) {
      until = at + together;
      const n = at / bands;
      const place = n * b.groups + group;
      directProducts(b, b.x + ((place * b.channels) as usize) * planeX, b.dy + ((place * b.filters) as usize) * planeY, at - n * bands,
        until - n * bands, to, offsets, band, at == first);
    }
  }
}
