// Gradient of a convolution for its filters with the points of winograd-lines.ts: of every tile of 4 positions of dy and the 8
// neighbours of x that it meets, 8 products take the place of 20.
//
//   dg = G' [ sum over tiles and observations of (A dy) .* (B' x) ]
//
// Tiles of dy lie as those of x do, with zeros where a line of x has more tiles, so that the products of a point are those of
// two long runs. Arrays and geometry are as in convolution-gradient.ts.
import { FilterGradientFields } from './convolution-fields';
import { bandsOf, bandsTogether, firstBand } from './convolution-gradient-direct';
import { scratch } from '../scratch';
import { copyFloats, sumLanes, zeroFloats } from '../products/tile';
import { bandOffsets, bandPitch, partsOf, tapsOfPart, tilesOfLine, transformBand } from './winograd-lines';
import { filterGradient, POINTS, positionPoints } from './winograd-points';

/** Most taps times channels of a group: the offsets of so many are kept. */
const MOST_TAPS: i32 = 1024;
/** Longest line of an image with its zeros. */
const MOST_HEIGHT: i32 = 8192;

/** spacingH is 1. partials: splits * groups * 8 * filters2 * k4 floats, k without the taps of h. */
@unmanaged export class LinesGradientBlock extends FilterGradientFields {}

/**
 * The eight values A y of the first `tiles` tiles of 4 floats from `line` on, for each point `pitch` bytes further; of up to 3
 * more tiles at the end.
 */
export function evaluateTiles(line: usize, tiles: i32, to: usize, pitch: usize): void {
  for (let i = 0; i < tiles; i += 4) {
    const x0 = v128.load(line, 0);
    const x1 = v128.load(line, 16);
    const x2 = v128.load(line, 32);
    const x3 = v128.load(line, 48);
    const low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
    const high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
    const low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
    const high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
    const y0 = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
    const y1 = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
    const y2 = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
    const y3 = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
    positionPoints(y0, y1, y2, y3, to, pitch);
    line += 64;
    to += 16;
  }
}

/**
 * 4 rows of the image, which begin at base + offsets, times 2 filters, which begin at y0 and y1: sums over `rows` rows of
 * `vectors` times 4 tiles, lane by lane, then over lanes.
 */
export function tileProducts(base: usize, offsets: usize, stepX: usize, y0: usize, y1: usize, stepY: usize, rows: i32, vectors: i32, to: usize, toColumn: usize, accumulate: bool): void {
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
  for (; rows > 0; rows--) {
    for (let i: usize = 0, end = <usize>vectors << 4; i < end; i += 16) {
      const g0 = v128.load(y0 + i);
      const g1 = v128.load(y1 + i);
      let x = v128.load(a0 + i);
      s00 = f32x4.add(s00, f32x4.mul(x, g0));
      s01 = f32x4.add(s01, f32x4.mul(x, g1));
      x = v128.load(a1 + i);
      s10 = f32x4.add(s10, f32x4.mul(x, g0));
      s11 = f32x4.add(s11, f32x4.mul(x, g1));
      x = v128.load(a2 + i);
      s20 = f32x4.add(s20, f32x4.mul(x, g0));
      s21 = f32x4.add(s21, f32x4.mul(x, g1));
      x = v128.load(a3 + i);
      s30 = f32x4.add(s30, f32x4.mul(x, g0));
      s31 = f32x4.add(s31, f32x4.mul(x, g1));
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

/** Rows k of a group: taps of w and d, parts of those of h, and channels. */
@inline
function rowsOf<B>(b: B): i32 {
  return partsOf(b.tapsH) * b.tapsW * b.tapsD * b.channels;
}

/** Tiles of dy from a line to the next: vectors run over lines with step 1, else each line has whole vectors. */
@inline
function tilesApart<B>(b: B): i32 {
  const tiles = tilesOfLine(b);
  return b.stepW == 1 ? tiles : (tiles + 3) & ~3;
}

/** Bytes of the partial sums of a group. */
@inline
export function lineGradientSums<B>(b: B): usize {
  return (<usize>(POINTS * ((b.filters + 1) & ~1)) * <usize>((rowsOf(b) + 3) & ~3)) << 2;
}

/** What the functions below need in front of the band; returns where it begins. */
export function gradientOffsets<B>(b: B, offsets: usize): usize {
  const k = rowsOf(b);
  bandOffsets(b, b.channels, offsets);
  for (let i = k; i < ((k + 3) & ~3); ++i) store<usize>(offsets + <usize>i * sizeof<usize>(), 0);
  return offsets + ((<usize>((k + 3) & ~3) * sizeof<usize>() + 63) & ~63);
}

/** Makes what no tile of the band is an ordinary number. `space` is what gradientOffsets returned. */
export function clearBand<B>(b: B, space: usize): void {
  memory.fill(space + MOST_HEIGHT * 4, 0, <usize>POINTS * bandPitch(b, b.channels));
}

/**
 * Adds to `partial`, or begins it with, the products of bands `from` to `until` of one group of one observation: `image` is its
 * first channel, `dy` its first filter; `offsets` and `space` as gradientOffsets and clearBand left them.
 */
export function lineGradientProducts<B>(b: B, image: usize, dy: usize, from: i32, until: i32, partial: usize, offsets: usize, space: usize, first: bool): void {
  const tiles = tilesOfLine(b);
  const wanted = (b.heightY + 3) >> 2;
  const apart = tilesApart(b);
  const k = rowsOf(b);
  const toColumn = <usize>((k + 3) & ~3) << 2;
  const nextPoint = <usize>((b.filters + 1) & ~1) * toColumn;
  const planeY = <usize>(b.heightY * b.widthY * b.depthY) << 2;
  const line = space;
  const band = line + MOST_HEIGHT * 4;
  const pitch = bandPitch(b, b.channels);
  const outputs = band + <usize>POINTS * pitch; // two filters of dy
  const outputPitch = (<usize>(b.lines * apart + 8) * 4 + 63) & ~63;
  const second = <usize>POINTS * outputPitch;
  const stepX = <usize>(b.stepW * tiles) << 2;
  const dense = apart == wanted && (b.heightY & 3) == 0;
  const lineBlocks = (b.widthY + b.lines - 1) / b.lines;
  for (let at = from; at < until; ++at) {
    const d0 = at / lineBlocks;
    const w0 = at % lineBlocks * b.lines;
    const lines = min(b.widthY - w0, b.lines);
    const positions = dy + (<usize>((d0 * b.widthY + w0) * b.heightY) << 2);
    const begun = !first || at > from;
    const rows = b.stepW == 1 ? 1 : lines;
    const vectors = b.stepW == 1 ? (lines * tiles + 3) >> 2 : apart >> 2;
    transformBand(b, image, b.channels, w0, d0, lines, line, band, pitch);
    for (let f = 0; f < b.filters; f += 2) {
      const filters = min(b.filters - f, 2);
      for (let j = 0; j < filters; ++j) {
        const plane = positions + <usize>(f + j) * planeY;
        const to = outputs + <usize>j * second;
        if (dense && ((lines * wanted) & 3) == 0) {
          evaluateTiles(plane, lines * wanted, to, outputPitch);
          continue;
        }
        for (let i = 0; i < lines; ++i) {
          copyFloats(line, plane + (<usize>(i * b.heightY) << 2), b.heightY);
          zeroFloats(line + (<usize>b.heightY << 2), 4 * ((apart + 3) & ~3) - b.heightY);
          evaluateTiles(line, apart, to + (<usize>(i * apart) << 2), outputPitch);
        }
        // the last vector has no more tiles than there are
        for (let p = 0; p < POINTS; ++p) zeroFloats(to + <usize>p * outputPitch + (<usize>(lines * apart) << 2), 4);
      }
      for (let p = 0; p < POINTS; ++p) {
        const y0 = outputs + <usize>p * outputPitch;
        // without a second filter the first one stands in: nobody reads that sum
        const y1 = filters > 1 ? y0 + second : y0;
        const u = band + <usize>p * pitch;
        const to = partial + <usize>p * nextPoint + <usize>f * toColumn;
        for (let i = 0; i < k; i += 4)
          tileProducts(u, offsets + <usize>i * sizeof<usize>(), stepX, y0, y1, <usize>apart << 2, rows, vectors, to + (<usize>i << 2), toColumn, begun);
      }
    }
  }
}

/**
 * Partial sums for combineLinesGradient. Work item: one group in one of `splits` equal parts of the observations, or of their
 * bands where there are fewer observations; items run over the parts first.
 * Preconditions: step and spacing 1 along h, spacings of 1 or more; parts * tapsW * tapsD * channels <= 1024; lines of x with
 * their zeros of at most 8192 floats; the band, 8 bandPitch, and 16 * (lines * (heightY / 4 + parts + 3) + 24) floats fit in
 * 1.5 MB of working memory; 1 <= splits <= bands of all observations.
 * Order of summation: lane by lane over the tiles that share a band, the lanes, then band after band.
 */
export function convolveLinesGradient(b: LinesGradientBlock, begin: i32, end: i32): void {
  const offsets = scratch;
  const space = gradientOffsets(b, offsets);
  clearBand(b, space);
  const bands = bandsOf(b);
  const together = bandsTogether(b);
  const sums = lineGradientSums(b);
  const planeX = <usize>(b.heightX * b.widthX * b.depthX) << 2;
  const planeY = <usize>(b.heightY * b.widthY * b.depthY) << 2;
  for (let item = begin; item < end; ++item) {
    const split = item % b.splits;
    const group = item / b.splits;
    const to = b.partials + <usize>(split * b.groups + group) * sums;
    const first = firstBand(b, split);
    const last = firstBand(b, split + 1);
    for (let at = first, until = 0; at < last; at = until) {
      until = at + together;
      const n = at / bands;
      const place = n * b.groups + group;
      lineGradientProducts(b, b.x + <usize>(place * b.channels) * planeX, b.dy + <usize>(place * b.filters) * planeY, at - n * bands,
        until - n * bands, to, offsets, space, at == first);
    }
  }
}

@unmanaged class CombineLinesGradientBlock {
  partials: usize;
  gradient: usize;
  rows: i32; // taps of w and d times channels
  tapsH: i32;
  filters: i32;
  groups: i32;
  splits: i32;
}

/** gradient = G' of the partial sums added in their order. Work item: one filter of one group. */
export function combineLinesGradient(b: CombineLinesGradientBlock, begin: i32, end: i32): void {
  const parts = partsOf(b.tapsH);
  const k = b.rows * parts;
  const k4 = (k + 3) & ~3;
  const filters2 = (b.filters + 1) & ~1;
  const point = <usize>(filters2 * k4) << 2;
  const part = <usize>(b.groups * POINTS) * point;
  const sums = scratch; // a vector for each point
  const points = sums + 128;
  for (let item = begin; item < end; ++item) {
    const group = item / b.filters;
    const from = b.partials + <usize>(group * POINTS) * point + (<usize>((item % b.filters) * k4) << 2);
    const to = b.gradient + (<usize>(item * b.rows * b.tapsH) << 2);
    for (let i = 0; i < k; i += 4) {
      for (let p: usize = 0; p < <usize>POINTS; ++p) {
        let at = from + p * point + (<usize>i << 2);
        let sum = v128.load(at);
        for (let s = 1; s < b.splits; ++s) {
          at += part;
          sum = f32x4.add(sum, v128.load(at));
        }
        v128.store(sums + (p << 4), sum);
      }
      for (let j = i; j < min(i + 4, k); ++j) {
        const at = sums + (<usize>(j - i) << 2);
        const tap = j % parts;
        const taps = tapsOfPart(b.tapsH, tap);
        const g = to + (<usize>((j / parts) * b.tapsH + 4 * tap) << 2);
        for (let p: usize = 0; p < <usize>POINTS; ++p) store<f64>(points + (p << 3), <f64>load<f32>(at + (p << 4)));
        filterGradient(points, 8);
        for (let t: usize = 0; t < <usize>taps; ++t) store<f32>(g + (t << 2), <f32>load<f64>(points + (t << 3)));
      }
    }
  }
}
