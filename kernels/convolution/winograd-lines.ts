// Convolution with filters of four or more taps in the direction h, step and spacing 1 there, by Winograd's minimal
// filtering F(4, 5) along h, single precision: the same formula as convolution.ts with two products for each position and
// run of five taps instead of five. A tile of 4 positions comes from 8 neighbours of a line of x:
//
//   y = A' [ sum over channels and the taps of w and d of (G g) .* (B' x) ]
//
// The transforms are those of winograd-points.ts; rounding errors are some 3 times those of convolution.ts.
//
// More than five taps are several parts: four taps each, the last one up to five. Part p of a tile reads what the first part
// of the tile p places further reads, so that x is transformed once. Between the functions the values lie as
//   filters [4, parts, tapsW, tapsD, channels, panels of 4 filters, 8, groups of filters]
//   image   [tiles of a line, lines of a band, tapsD, channels of a run, 8]
// Tiles of neighbouring lines lie side by side, and with step 1 in the direction w a vector may run over several lines.
import { loadUpTo, storeTurned, storeUpTo } from '../lanes';
import { scratch } from '../scratch';
import { copyLine, zeroFloats } from '../products/tile';
import { filterPoints, imagePoints, POINTS } from './winograd-points';

/** Most taps of a run of channels: the offsets of so many are kept. */
const MOST_TAPS: i32 = 1024;
/** Most filters per group, for their biases. */
const MOST_FILTERS: i32 = 512;
/** Longest line of an image with its zeros. */
const MOST_HEIGHT: i32 = 8192;

@unmanaged class LineFiltersBlock {
  weights: usize;
  transformed: usize;
  filters: i32; // per group of filters
  channels: i32; // per group of filters
  groups: i32;
  tapsH: i32;
  tapsW: i32;
  tapsD: i32;
  first: i32; // where tap (0, 0, 0) lies, in elements; the strides below are elements too
  strideH: i32;
  strideW: i32;
  strideD: i32;
  strideChannel: i32;
  strideFilter: i32;
  strideGroup: i32;
}

/** Into how many parts the taps of the direction h are cut. */
@inline
export function partsOf(tapsH: i32): i32 {
  return max((tapsH + 2) >> 2, 1);
}

/** Taps of a part. */
@inline
export function tapsOfPart(tapsH: i32, part: i32): i32 {
  return part + 1 == partsOf(tapsH) ? tapsH - 4 * part : 4;
}

/**
 * transformed = G g of every run of taps and filter, zero for filters beyond the last; rounded once. Work item: one panel of 4
 * filters of one group. Preconditions: none on alignment.
 */
export function lineFilters(b: LineFiltersBlock, begin: i32, end: i32): void {
  const panels = (b.filters + 3) >> 2;
  const parts = partsOf(b.tapsH);
  const k = b.channels * b.tapsD * b.tapsW * parts;
  const next = <usize>(panels * k) << 4; // from point to point
  const strideH = <usize>b.strideH << 2;
  const points = scratch;
  for (let item = begin; item < end; ++item) {
    const group = item / panels;
    const panel = item % panels;
    const width = min(b.filters - 4 * panel, 4);
    const from = b.weights + (<usize>(b.first + group * b.strideGroup + 4 * panel * b.strideFilter) << 2);
    let to = b.transformed + <usize>(group * POINTS) * next + (<usize>(panel * k) << 4);
    for (let c = 0; c < b.channels; ++c)
      for (let d = 0; d < b.tapsD; ++d)
        for (let w = 0; w < b.tapsW; ++w)
          for (let part = 0; part < parts; ++part) {
            const taps = tapsOfPart(b.tapsH, part);
            for (let f = 0; f < 4; ++f) {
              const at = from +
                (<usize>(c * b.strideChannel + d * b.strideD + w * b.strideW + f * b.strideFilter) << 2) + <usize>(4 * part) * strideH;
              const used = f < width ? taps : 0;
              const g0 = used > 0 ? <f64>load<f32>(at) : 0;
              const g1 = used > 1 ? <f64>load<f32>(at + strideH) : 0;
              const g2 = used > 2 ? <f64>load<f32>(at + 2 * strideH) : 0;
              const g3 = used > 3 ? <f64>load<f32>(at + 3 * strideH) : 0;
              const g4 = used > 4 ? <f64>load<f32>(at + 4 * strideH) : 0;
              filterPoints(g0, g1, g2, g3, g4, points, 8);
              for (let p: usize = 0; p < <usize>POINTS; ++p) store<f32>(to + p * next + (f << 2), <f32>load<f64>(points + (p << 3)));
            }
            to += 16;
          }
  }
}

/** The eight values B' x of each of the `tiles` first tiles of a line, for each point `pitch` bytes further; of three more tiles at the end. */
export function transformLine(line: usize, tiles: i32, to: usize, pitch: usize): void {
  for (let i = 0; i < tiles; i += 4) {
    const x0 = v128.load(line, 0);
    const x1 = v128.load(line, 16);
    const x2 = v128.load(line, 32);
    const x3 = v128.load(line, 48);
    const low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
    const high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
    const low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
    const high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
    const d0 = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
    const d1 = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
    const d2 = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
    const d3 = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
    const d4 = v128.shuffle<f32>(d0, v128.load(line, 64), 1, 2, 3, 4);
    const d5 = v128.shuffle<f32>(d1, v128.load(line, 68), 1, 2, 3, 4);
    const d6 = v128.shuffle<f32>(d2, v128.load(line, 72), 1, 2, 3, 4);
    const d7 = v128.shuffle<f32>(d3, v128.load(line, 76), 1, 2, 3, 4);
    imagePoints(d0, d1, d2, d3, d4, d5, d6, d7, to, pitch);
    line += 64;
    to += 16;
  }
}

/**
 * Of 8 tiles and 4 filters: start + sums over k of image[u + offset(k)] w[k], two vectors for each filter, 256 bytes apart.
 * Exported so that it stays a function: as part of its caller, accumulators do not all stay in registers.
 */
export function lineProducts(u: usize, offsets: usize, w: usize, k: i32, start: usize, to: usize): void {
  let s00 = v128.load32_splat(start, 0);
  let s01 = s00;
  let s10 = v128.load32_splat(start, 4);
  let s11 = s10;
  let s20 = v128.load32_splat(start, 8);
  let s21 = s20;
  let s30 = v128.load32_splat(start, 12);
  let s31 = s30;
  for (; k > 0; k--) {
    const at = u + load<usize>(offsets);
    const x0 = v128.load(at, 0);
    const x1 = v128.load(at, 16);
    let y = v128.load32_splat(w, 0);
    s00 = f32x4.add(s00, f32x4.mul(x0, y));
    s01 = f32x4.add(s01, f32x4.mul(x1, y));
    y = v128.load32_splat(w, 4);
    s10 = f32x4.add(s10, f32x4.mul(x0, y));
    s11 = f32x4.add(s11, f32x4.mul(x1, y));
    y = v128.load32_splat(w, 8);
    s20 = f32x4.add(s20, f32x4.mul(x0, y));
    s21 = f32x4.add(s21, f32x4.mul(x1, y));
    y = v128.load32_splat(w, 12);
    s30 = f32x4.add(s30, f32x4.mul(x0, y));
    s31 = f32x4.add(s31, f32x4.mul(x1, y));
    offsets += sizeof<usize>();
    w += 16;
  }
  v128.store(to, s00, 0);
  v128.store(to, s01, 16);
  v128.store(to, s10, 256);
  v128.store(to, s11, 272);
  v128.store(to, s20, 512);
  v128.store(to, s21, 528);
  v128.store(to, s30, 768);
  v128.store(to, s31, 784);
}

/** The 4 positions A' m of each of 4 tiles, tile after tile; m are 8 vectors 32 bytes apart. */
@inline
function outputTiles(m: usize, to: usize): void {
  const m7 = v128.load(m, 224);
  let p = v128.load(m, 32);
  let q = v128.load(m, 64);
  const s1 = f32x4.add(p, q);
  const d1 = f32x4.sub(p, q);
  p = v128.load(m, 96);
  q = v128.load(m, 128);
  const s2 = f32x4.add(p, q);
  const d2 = f32x4.sub(p, q);
  p = v128.load(m, 160);
  q = v128.load(m, 192);
  const s3 = f32x4.add(p, q);
  const d3 = f32x4.sub(p, q);
  const y0 = f32x4.add(f32x4.add(v128.load(m), s1), f32x4.add(s2, s3));
  const y1 = f32x4.add(d1, f32x4.add(f32x4.mul(f32x4.splat(2), d2), f32x4.mul(f32x4.splat(0.5), d3)));
  const y2 = f32x4.add(s1, f32x4.add(f32x4.mul(f32x4.splat(4), s2), f32x4.mul(f32x4.splat(0.25), s3)));
  const y3 = f32x4.add(f32x4.add(d1, m7), f32x4.add(f32x4.mul(f32x4.splat(8), d2), f32x4.mul(f32x4.splat(0.125), d3)));
  storeTurned(to, 16, y0, y1, y2, y3);
}

/** Tiles of a line of the transformed image. */
@inline
export function tilesOfLine<B>(b: B): i32 {
  return ((b.heightY + 3) >> 2) + partsOf(b.tapsH) - 1;
}

/** Lines of the band for every channel and tap of the direction d. */
@inline
export function bandLines<B>(b: B): i32 {
  return (b.lines - 1) * b.stepW + (b.tapsW - 1) * b.spacingW + 1;
}

/** Bytes from a point of the band to the next: not a multiple of a page, whose addresses collide in a first-level cache. */
@inline
export function bandPitch<B>(b: B, channels: i32): usize {
  const bytes = (<usize>(channels * b.tapsD * bandLines(b) * tilesOfLine(b) + 16) * 4 + 63) & ~63;
  return bytes & 1023 ? bytes : bytes + 64;
}

/**
 * Where each k of a run of channels reads in a point of the band, in bytes: the taps of a line, then of w and d, then channels.
 */
export function bandOffsets<B>(b: B, channels: i32, to: usize): void {
  const tiles = tilesOfLine(b);
  const parts = partsOf(b.tapsH);
  const width = bandLines(b);
  for (let c = 0; c < channels; ++c)
    for (let d = 0; d < b.tapsD; ++d)
      for (let w = 0; w < b.tapsW; ++w)
        for (let part = 0; part < parts; ++part) {
          store<usize>(to, <usize>(((c * b.tapsD + d) * width + w * b.spacingW) * tiles + part) << 2);
          to += sizeof<usize>();
        }
}

/**
 * The transformed lines of `channels` planes from `image` on that `lines` lines of y from (w0, d0) on read; `line` is memory
 * for one line with its zeros.
 */
export function transformBand<B>(b: B, image: usize, channels: i32, w0: i32, d0: i32, lines: i32, line: usize, band: usize, pitch: usize): void {
  const tiles = tilesOfLine(b);
  const width = bandLines(b);
  const height = 4 * ((tiles + 3) & ~3) + 8;
  const used = (lines - 1) * b.stepW + (b.tapsW - 1) * b.spacingW + 1;
  const plane = <usize>(b.heightX * b.widthX * b.depthX) << 2;
  for (let c = 0; c < channels; ++c)
    for (let d = 0; d < b.tapsD; ++d) {
      const depth = d0 * b.stepD + d * b.spacingD + b.offsetD;
      for (let i = 0; i < used; ++i) {
        const to = band + (<usize>(((c * b.tapsD + d) * width + i) * tiles) << 2);
        const w = w0 * b.stepW + b.offsetW + i;
        if (depth < 0 || depth >= b.depthX || w < 0 || w >= b.widthX) {
          for (let p = 0; p < POINTS; ++p) zeroFloats(to + <usize>p * pitch, tiles);
        } else {
          copyLine(line, image + <usize>c * plane + (<usize>((depth * b.widthX + w) * b.heightX) << 2), b.offsetH, b.heightX, height);
          transformLine(line, tiles, to, pitch);
        }
      }
    }
}

@unmanaged export class LinesBlock {
  x: usize;
  transformed: usize; // from lineFilters
  bias: usize; // filters * groups floats, or 0
  y: usize;
  observations: i32;
  groups: i32;
  channels: i32; // per group
  filters: i32; // per group
  heightX: i32;
  widthX: i32;
  depthX: i32;
  heightY: i32; // positions computed by this call
  widthY: i32;
  depthY: i32;
  tapsH: i32;
  tapsW: i32;
  tapsD: i32;
  stepW: i32;
  stepD: i32;
  spacingW: i32; // spacings are 1 or more
  spacingD: i32;
  offsetH: i32;
  offsetW: i32;
  offsetD: i32;
  firstY: i32; // element of y where position (0, 0, 0) lies
  strideWY: i32; // elements of y between neighbouring positions; along h they lie side by side
  strideDY: i32;
  planeY: i32; // elements of y in one channel
  lines: i32; // lines of y (along h) per work item
  runChannels: i32; // channels transformed together
  together: i32; // times 8 tiles that share the filters of a point
}

/**
 * The convolution of convolution.ts with stepH = spacingH = 1. Work item: `lines` neighbouring lines of y, with all filters of
 * one group, of one observation; items run over the lines first, then over d, groups and observations.
 * Preconditions: addresses of floats; at most 512 filters; runChannels * parts * tapsW * tapsD <= 1024; lines of x with
 * their zeros of at most 8192 floats; the band, 8 bandPitch, and 32 together * (filters rounded up to 4) * 8 bytes fit in
 * 1.5 MB of working memory.
 * Tails: tiles beyond the last are computed and not stored.
 * Order of summation: point by point, k ascending in runs of `runChannels` channels, each of them transformed and added to
 * y, which starts as the bias.
 */
export function convolveLines(b: LinesBlock, begin: i32, end: i32): void {
  convolveLinesTo(b, begin, end, b.y);
}

/** The same with y elsewhere. */
export function convolveLinesTo(b: LinesBlock, begin: i32, end: i32, y: usize): void {
  const filters = b.filters;
  const panels = (filters + 3) >> 2;
  const parts = partsOf(b.tapsH);
  const taps = parts * b.tapsW * b.tapsD;
  const k = taps * b.channels;
  const tiles = tilesOfLine(b);
  const wanted = (b.heightY + 3) >> 2;
  const lineBlocks = (b.widthY + b.lines - 1) / b.lines;
  const runChannels = min(b.runChannels, b.channels);
  const pitch = bandPitch(b, runChannels);
  const zeros = scratch;
  const biases = zeros + 16;
  const places = biases + MOST_FILTERS * 4; // of 8 tiles: where they go, and how many positions they have
  const turned = places + 8 * 8; // 8 tiles of 4 positions
  const offsets = turned + 128;
  const line = offsets + MOST_TAPS * sizeof<usize>();
  const products = line + MOST_HEIGHT * 4;
  const share = b.together << 3;
  const band = products + (<usize>(b.together * panels) << 10);
  memory.fill(zeros, 0, 16);
  // what lies behind the last tile is read and must be an ordinary number
  memory.fill(band, 0, <usize>POINTS * pitch);
  bandOffsets(b, runChannels, offsets);
  const planeX = <usize>(b.heightX * b.widthX * b.depthX) << 2;
  const planeY = <usize>b.planeY << 2;
  const nextPoint = <usize>(panels * k) << 4;
  // with step 1 the tiles of all lines are one row
  const rowStep = b.stepW == 1 ? 0 : b.stepW * tiles;
  const dense = tiles == wanted && (b.heightY & 3) == 0 && b.strideWY == b.heightY;
  for (let item = begin; item < end; ++item) {
    const w0 = (item % lineBlocks) * b.lines;
    let rest = item / lineBlocks;
    const d0 = rest % b.depthY;
    rest /= b.depthY;
    const group = rest % b.groups;
    const lines = min(b.widthY - w0, b.lines);
    for (let f = 0; f < 4 * panels; ++f)
      store<f32>(biases + (f << 2), b.bias && f < filters ? load<f32>(b.bias + (<usize>(group * filters + f) << 2)) : 0);
    const image = b.x + <usize>(rest * b.channels) * planeX;
    const output = y + <usize>(rest * filters) * planeY + (<usize>(b.firstY + w0 * b.strideWY + d0 * b.strideDY) << 2);
    const transformed = b.transformed + <usize>(group * POINTS) * nextPoint;
    const rows = rowStep ? lines : 1;
    const rowTiles = rowStep ? tiles : lines * tiles;
    for (let c0 = 0; c0 < b.channels; c0 += runChannels) {
      const channels = min(b.channels - c0, runChannels);
      transformBand(b, image + <usize>c0 * planeX, channels, w0, d0, lines, line, band, pitch);
      const run = channels * taps;
      for (let row = 0; row < rows; ++row)
        for (let first = 0; first < rowTiles; first += share) {
          const groupsOf8 = min((rowTiles - first + 7) >> 3, b.together);
          for (let p = 0; p < POINTS; ++p) {
            const u = band + <usize>p * pitch + (<usize>(row * rowStep + first) << 2);
            const w = transformed + <usize>p * nextPoint + (<usize>(c0 * taps) << 4);
            // what point 1 gets goes to all positions alike
            const biased = p == 1 && c0 == 0;
            for (let panel = 0; panel < panels; ++panel) {
              const to = products + (<usize>(panel * b.together) << 10) + (<usize>p << 5);
              const start = biased ? biases + (<usize>panel << 4) : zeros;
              for (let i = 0; i < groupsOf8; ++i)
                lineProducts(u + (<usize>i << 5), offsets, w + (<usize>(panel * k) << 4), run, start, to + (<usize>i << 10));
            }
          }
          for (let i = 0; i < groupsOf8; ++i) {
            const tile = first + 8 * i;
            const count = min(rowTiles - tile, 8);
            const whole = dense && count == 8 && c0 == 0;
            if (!whole)
              for (let t = 0, w = (tile / tiles) + row, h = tile % tiles; t < 8; ++t) {
                store<i32>(places + (t << 3), (w * b.strideWY + 4 * h) << 2);
                store<i32>(places + (t << 3), t < count ? max(min(b.heightY - 4 * h, 4), 0) : 0, 4);
                if (++h == tiles) {
                  h = 0;
                  ++w;
                }
              }
            for (let f = 0; f < filters; ++f) {
              const m = products + (<usize>((f >> 2) * b.together + i) << 10) + (<usize>(f & 3) << 8);
              const plane = output + <usize>f * planeY;
              if (whole) {
                const to = plane + (<usize>(row * b.heightY + 4 * tile) << 2);
                outputTiles(m, to);
                outputTiles(m + 16, to + 64);
                continue;
              }
              outputTiles(m, turned);
              outputTiles(m + 16, turned + 64);
              for (let t = 0; t < 8; ++t) {
                const positions = load<i32>(places + (t << 3), 4);
                if (positions == 0) continue;
                const to = plane + <usize>load<i32>(places + (t << 3));
                let value = v128.load(turned + (t << 4));
                if (c0 > 0) value = f32x4.add(value, loadUpTo(to, positions));
                storeUpTo(to, value, positions);
              }
            }
          }
        }
    }
  }
}
