// Convolution with 3 by 3 filters and step 1 by Winograd's minimal filtering F(4x4, 3x3), single precision: the same
// formula as convolution.ts with a quarter of its multiplications. 4 by 4 positions of y come from 6 by 6 of x:
//
//   y = A' [ sum over channels of (G w G') .* (B' x B) ] A
//
// Source: Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. The polynomials are evaluated at 0, -r,
// r, -2 r, 2 r and infinity with r = sqrt(1/2), instead of r = 1 there: numbers then stay of one size and rounding errors
// are smaller (Barabasz, Anderson, Soodhalter, Gregg, "Error Analysis and Improving the Accuracy of Winograd Convolution
// for Deep Neural Networks", 2020). They are some 3 times those of convolution.ts.
//
// A third dimension, d, is summed like channels: a term is one tap of d of one channel, and the image of a term is the plane of
// the channel which that tap reads. Step and spacing along d are any.
//
// Four tiles that follow each other along h form a group, one lane for each; up to 24 groups form a block. Groups are
// numbered along h first, then along w, then d, then over observations. Between the kernels the values lie as
//   filters [4, terms, panels of 4 filters, 36, groups of filters]
//   image   [96 tiles, terms, 36, groups of filters, blocks]
// with the 36 numbers of a tile h first. All other arrays are as in convolution.ts.
import { storeTurned } from '../lanes';
import { scratch } from '../scratch';
import { copyFloats, copyLine, runLength, tile, zeroFloats } from '../products/tile';

const POINTS: i32 = 36;
const BLOCK_TILES: i32 = 96;

/** Bytes of a point of the filters: a cache line more than they need, so that the 36 points lie in different sets. */
@inline
function pointBytes(panels: i32, terms: i32): usize {
  return (((panels * terms) as usize) << 4) + 64;
}

@unmanaged class WinogradFiltersBlock {
  weights: usize;
  transformed: usize;
  filters: i32; // per group of filters
  channels: i32; // per group of filters
  groups: i32;
  tapsD: i32;
  first: i32; // where tap (0, 0, 0) lies, in elements; the strides below are elements too
  strideH: i32;
  strideW: i32;
  strideD: i32;
  strideChannel: i32;
  strideFilter: i32;
  strideGroup: i32;
}

// The six values G g of three.
@inline
function filterPoints(g0: v128, g1: v128, g2: v128, to: usize, line: usize): void {
  const p = f32x4.add(f32x4.mul(g0, f32x4.splat(-2.0 / 3.0)), f32x4.mul(g2, f32x4.splat(-1.0 / 3.0)));
  const q = f32x4.mul(g1, f32x4.splat(1.4142135623730951 / 3.0));
  const r = f32x4.add(f32x4.mul(g0, f32x4.splat(1.0 / 6.0)), f32x4.mul(g2, f32x4.splat(1.0 / 3.0)));
  const s = f32x4.mul(g1, f32x4.splat(1.4142135623730951 / 6.0));
  v128.store(to, g0);
  v128.store(to + line, f32x4.sub(p, q));
  v128.store(to + 2 * line, f32x4.add(p, q));
  v128.store(to + 3 * line, f32x4.add(r, s));
  v128.store(to + 4 * line, f32x4.sub(r, s));
  v128.store(to + 5 * line, g2);
}

// One tap of four filters, `offset` bytes from where they begin; 0 where there is no filter.
@inline
function fourTaps(at0: usize, at1: usize, at2: usize, at3: usize, offset: usize): v128 {
  let taps = v128.load32_zero(at0 + offset);
  if (at1) taps = v128.load_lane<f32>(at1 + offset, taps, 1);
  if (at2) taps = v128.load_lane<f32>(at2 + offset, taps, 2);
  if (at3) taps = v128.load_lane<f32>(at3 + offset, taps, 3);
  return taps;
}

/**
 * transformed = G w G' of every channel and filter, zero for filters beyond the last. Work item: one panel of 4 filters
 * of one group of filters. Preconditions: none on alignment. Filters are the lanes, so that there is no tail.
 */
export function winogradFilters(block: WinogradFiltersBlock, begin: i32, end: i32): void {
  const panels = (block.filters + 3) >> 2;
  const half = scratch; // 3 (w) times 6 (h) vectors
  const terms = block.channels * block.tapsD;
  const next = pointBytes(panels, terms);
  const strideH = (block.strideH as usize) << 2;
  const strideW = (block.strideW as usize) << 2;
  const strideFilter = (block.strideFilter as usize) << 2;
  for (let item = begin; item < end; item++) {
    const group = item / panels;
    const panel = item % panels;
    const width = min(block.filters - 4 * panel, 4);
    const from = block.weights +
      ((block.first + group * block.strideGroup + 4 * panel * block.strideFilter) << 2);
    const to = block.transformed + (group as usize) * POINTS * next + (((panel * terms) as usize) << 4);
    for (let term = 0; term < terms; term++) {
      // along h: half[w][i], then along w. Filters beyond the last are zero.
      const at0 = from + ((term / block.tapsD * block.strideChannel + term % block.tapsD * block.strideD) << 2);
      const at1 = width > 1 ? at0 + strideFilter : 0;
      const at2 = width > 2 ? at0 + 2 * strideFilter : 0;
      const at3 = width > 3 ? at0 + 3 * strideFilter : 0;
      for (let w: usize = 0; w < 3; w++) {
        const line = w * strideW;
        filterPoints(fourTaps(at0, at1, at2, at3, line), fourTaps(at0, at1, at2, at3, line + strideH),
          fourTaps(at0, at1, at2, at3, line + 2 * strideH), half + w * 96, 16);
      }
      for (let i: usize = 0; i < 6; i++) {
        const at = half + (i << 4);
        filterPoints(v128.load(at, 0), v128.load(at, 96), v128.load(at, 192), to + (term << 4) + i * next, 6 * next);
      }
    }
  }
}

@unmanaged class WinogradImageBlock {
  x: usize;
  transformed: usize;
  observations: i32;
  planes: i32; // channels times groups of filters
  channels: i32; // per group of filters
  tapsD: i32;
  height: i32;
  width: i32;
  depth: i32;
  tilesH: i32; // groups of 4 tiles along h
  tilesW: i32; // tiles along w
  tilesD: i32; // positions of y along d
  stepD: i32;
  spacingD: i32;
  offsetH: i32;
  offsetW: i32;
  offsetD: i32;
  blockGroups: i32; // groups of tiles per block, at most 24
  firstBlock: i32; // blocks handled by this call lie at the beginning of `transformed`
}

// The six values B' d of six vectors.
@inline
function imagePoints(d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, to: usize, line: usize): void {
  const middle = f32x4.splat(2.5);
  const a = f32x4.sub(d4, f32x4.add(d2, d2));
  const b = f32x4.mul(f32x4.splat(0.7071067811865476), f32x4.sub(d3, f32x4.add(d1, d1)));
  const c = f32x4.sub(d4, f32x4.mul(f32x4.splat(0.5), d2));
  const e = f32x4.mul(f32x4.splat(1.4142135623730951), f32x4.sub(d3, f32x4.mul(f32x4.splat(0.5), d1)));
  v128.store(to, f32x4.add(f32x4.sub(d0, f32x4.mul(middle, d2)), d4));
  v128.store(to + line, f32x4.add(a, b));
  v128.store(to + 2 * line, f32x4.sub(a, b));
  v128.store(to + 3 * line, f32x4.add(c, e));
  v128.store(to + 4 * line, f32x4.sub(c, e));
  v128.store(to + 5 * line, f32x4.add(f32x4.sub(d1, f32x4.mul(middle, d3)), d5));
}

/**
 * transformed = B' x B of every tile. Work item: one term of one block. Preconditions: addresses of floats. Outside of
 * the image x is zero; groups of a block beyond the last are left as they are, and never read.
 */
export function winogradImage(block: WinogradImageBlock, begin: i32, end: i32): void {
  const lines = scratch; // 6 lines of 20 floats
  const half = lines + 6 * 80;
  const points = half + 6 * 80 + 64; // 36 lines of 96 floats
  const column = (block.height as usize) << 2;
  const plane = (block.width as usize) * column;
  const groups = block.tilesH * block.tilesW * block.tilesD * block.observations;
  const terms = block.channels * block.tapsD;
  const all = block.planes * block.tapsD;
  for (let item = begin; item < end; item++) {
    const term = item % all;
    const channel = term / block.tapsD;
    const tapD = term % block.tapsD * block.spacingD + block.offsetD;
    const at = item / all;
    const first = (block.firstBlock + at) * block.blockGroups;
    const count = min(groups - first, block.blockGroups);
    for (let g = 0; g < count; g++) {
      const index = first + g;
      const h0 = 16 * (index % block.tilesH) + block.offsetH;
      const rest = index / block.tilesH;
      const w0 = 4 * (rest % block.tilesW) + block.offsetW;
      const slice = rest / block.tilesW;
      const d = slice % block.tilesD * block.stepD + tapD;
      const there = d >= 0 && d < block.depth;
      const image = block.x + (((slice / block.tilesD * block.planes + channel) * block.depth + d) as usize) * plane;
      let from = image + (w0 as usize) * column + (h0 << 2);
      let line = column;
      if (!there || w0 < 0 || w0 + 6 > block.width || h0 < 0 || h0 + 20 > block.height) {
        from = lines;
        line = 80;
        for (let j = 0; j < 6; j++) {
          const w = w0 + j;
          if (there && w >= 0 && w < block.width) copyLine(lines + j * 80, image + (w as usize) * column, h0, block.height, 20);
          else zeroFloats(lines + j * 80, 20);
        }
      }
      for (let i: usize = 0; i < 80; i += 16) {
        const d = from + i;
        imagePoints(v128.load(d), v128.load(d + line), v128.load(d + 2 * line), v128.load(d + 3 * line),
          v128.load(d + 4 * line), v128.load(d + 5 * line), half + i, 80);
      }
      for (let j: usize = 0; j < 6; j++) {
        // Four positions of each of five tiles, turned round: lanes are tiles.
        const x = half + j * 80;
        const x0 = v128.load(x, 0);
        const x1 = v128.load(x, 16);
        const x2 = v128.load(x, 32);
        const x3 = v128.load(x, 48);
        const x4 = v128.load(x, 64);
        const low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
        const high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
        const low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
        const high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
        const d0 = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
        const d1 = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
        const d2 = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
        const d3 = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
        imagePoints(d0, d1, d2, d3, v128.shuffle<f32>(d0, x4, 1, 2, 3, 4), v128.shuffle<f32>(d1, x4, 1, 2, 3, 5),
          points + j * (6 * BLOCK_TILES * 4) + (g << 4), BLOCK_TILES * 4);
      }
    }
    let to = block.transformed +
      ((at * (block.planes / block.channels) + term / terms) as usize) * (POINTS * BLOCK_TILES * 4) * terms +
      (term % terms) * (BLOCK_TILES * 4);
    for (let p = points, last = points + POINTS * (BLOCK_TILES * 4); p < last; p += BLOCK_TILES * 4) {
      for (let i: usize = 0; i < ((count as usize) << 4); i += 16) v128.store(to + i, v128.load(p + i));
      to += (terms as usize) * (BLOCK_TILES * 4);
    }
  }
}

@unmanaged class WinogradConvolveBlock {
  image: usize;
  transformed: usize; // filters
  bias: usize; // filters times groups floats, or 0
  y: usize;
  observations: i32;
  terms: i32; // channels of a group of filters times taps of d
  filters: i32; // per group of filters
  groups: i32;
  height: i32; // positions computed, along h and w
  width: i32;
  tilesH: i32;
  tilesW: i32;
  tilesD: i32; // positions along d
  firstY: i32; // element of y where position (0, 0, 0) lies
  strideWY: i32; // elements of y between neighbours along w; along h they lie side by side
  strideDY: i32;
  planeY: i32;
  blockGroups: i32; // groups of tiles per block, at most 24
  firstBlock: i32; // blocks handled by this call lie at the beginning of `image`
  part: i32; // filters per work item, a multiple of 4, at most 32
}

// The four values A' m: of m0, m1 +- m2, m3 +- m4 and m5.
@inline
function sum0(m0: v128, a: v128, c: v128): v128 {
  return f32x4.add(f32x4.add(m0, a), c);
}

@inline
function sum1(b: v128, d: v128): v128 {
  return f32x4.add(f32x4.mul(b, f32x4.splat(0.7071067811865476)), f32x4.mul(d, f32x4.splat(1.4142135623730951)));
}

@inline
function sum2(a: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(a, f32x4.splat(0.5)), f32x4.add(c, c));
}

@inline
function sum3(b: v128, d: v128, m5: v128): v128 {
  return f32x4.add(f32x4.add(f32x4.mul(b, f32x4.splat(0.3535533905932738)), f32x4.mul(d, f32x4.splat(2.8284271247461903))), m5);
}

/**
 * y = A' [sum over terms of image times filters, point by point] A + bias. Work item: `part` filters of one group of
 * filters of one block; items run over the filters first, then over the groups of filters, then over the blocks.
 * Preconditions: addresses of floats. Tails: tiles are rounded up to 8 within the block, filters to 4; positions beyond
 * the height or width are computed and not stored. Order of summation: terms ascending in runs of at most 256.
 */
export function winogradConvolve(block: WinogradConvolveBlock, begin: i32, end: i32): void {
  const terms = block.terms;
  const filters = block.filters;
  const panels = (filters + 3) >> 2;
  const parts = (filters + block.part - 1) / block.part;
  const groups = block.tilesH * block.tilesW * block.tilesD * block.observations;
  const blockGroups = block.blockGroups;
  const run = runLength(terms);
  const zeros = scratch;
  const half = zeros + 64; // 4 (w) times 6 (h) vectors
  const line = half + 24 * 16; // 16 floats
  const products = line + 64;
  const filterBytes = POINTS * BLOCK_TILES * 4;
  const point: usize = 6 * BLOCK_TILES * 4; // from point to point along w
  memory.fill(zeros, 0, 16);
  for (let item = begin; item < end; item++) {
    const filter0 = item % parts * block.part;
    const rest = item / parts;
    const group = rest % block.groups;
    const first = (block.firstBlock + rest / block.groups) * blockGroups;
    const count = min(groups - first, blockGroups);
    const wide = min(filters - filter0, block.part);
    for (let p = 0; p < POINTS; p++) {
      const image = block.image + ((rest * POINTS + p) as usize) * ((terms * BLOCK_TILES) << 2);
      const from = block.transformed + ((group * POINTS + p) as usize) * pointBytes(panels, terms) +
        ((((filter0 >> 2) * terms) as usize) << 4);
      const to = products + p * (BLOCK_TILES * 4);
      for (let c = 0; c < terms; c += run) {
        const k = min(run, terms - c);
        for (let t = 0; t < 4 * count; t += 8) {
          const rows = image + ((c * BLOCK_TILES + t) << 2);
          for (let f = 0; f < wide; f += 4)
            tile(rows, from + (((f >> 2) * terms + c) << 4), k, to + f * filterBytes + (t << 2), filterBytes,
              c == 0 ? zeros : 0);
        }
      }
    }
    for (let f = 0; f < wide; f++) {
      const plane = group * filters + filter0 + f;
      const bias = f32x4.splat(block.bias ? load<f32>(block.bias + (plane << 2)) : 0);
      for (let g = 0; g < count; g++) {
        const index = first + g;
        const h0 = 16 * (index % block.tilesH);
        const column = index / block.tilesH;
        const w0 = 4 * (column % block.tilesW);
        const slice = column / block.tilesW;
        const to = block.y + ((slice / block.tilesD * block.groups * filters + plane) as usize) * ((block.planeY as usize) << 2) +
          ((block.firstY + slice % block.tilesD * block.strideDY + w0 * block.strideWY + h0) << 2);
        const from = products + f * filterBytes + (g << 4);
        for (let i: usize = 0; i < 6; i++) {
          const m = from + i * (BLOCK_TILES * 4);
          const a = f32x4.add(v128.load(m + point), v128.load(m + 2 * point));
          const b = f32x4.sub(v128.load(m + point), v128.load(m + 2 * point));
          const c = f32x4.add(v128.load(m + 3 * point), v128.load(m + 4 * point));
          const d = f32x4.sub(v128.load(m + 3 * point), v128.load(m + 4 * point));
          const at = half + (i << 4);
          v128.store(at, sum0(v128.load(m), a, c), 0);
          v128.store(at, sum1(b, d), 96);
          v128.store(at, sum2(a, c), 192);
          v128.store(at, sum3(b, d, v128.load(m + 5 * point)), 288);
        }
        const high = min(block.height - h0, 16);
        for (let j: usize = 0, tall = min(block.width - w0, 4) as usize; j < tall; j++) {
          const m = half + j * 96;
          const a = f32x4.add(v128.load(m, 16), v128.load(m, 32));
          const b = f32x4.sub(v128.load(m, 16), v128.load(m, 32));
          const c = f32x4.add(v128.load(m, 48), v128.load(m, 64));
          const d = f32x4.sub(v128.load(m, 48), v128.load(m, 64));
          const y0 = f32x4.add(sum0(v128.load(m), a, c), bias);
          const y1 = f32x4.add(sum1(b, d), bias);
          const y2 = f32x4.add(sum2(a, c), bias);
          const y3 = f32x4.add(sum3(b, d, v128.load(m, 80)), bias);
          const y = to + j * ((block.strideWY as usize) << 2);
          // Lanes are tiles; turned round, the sixteen positions along h follow each other.
          const at = high == 16 ? y : line;
          storeTurned(at, 16, y0, y1, y2, y3);
          if (high < 16) copyFloats(y, line, high);
        }
      }
    }
  }
}
