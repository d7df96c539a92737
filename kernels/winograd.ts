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
// Four tiles that follow each other along h form a group, one lane for each; 24 groups form a block. Groups are numbered
// along h first, then along w, then over observations. Between the kernels the values lie as
//   filters  [4, channels, panels of 4 filters, 36, groups of filters]
//   image    [96 tiles, channels, 36, groups of filters, blocks]
//   products [96 tiles, 36, filters, groups of filters, blocks]
// with the 36 numbers of a tile h first. All other arrays are as in convolution.ts.
import { scratch } from './scratch';
import { copyFloats, copyLine, runLength, tile, transpose4 } from './tile';

const POINTS: i32 = 36;
const BLOCK_TILES: i32 = 96;
const BLOCK_GROUPS: i32 = 24;

@unmanaged class WinogradFiltersBlock {
  weights: usize;
  transformed: usize;
  filters: i32; // per group of filters
  channels: i32; // per group of filters
  groups: i32;
  first: i32; // where tap (0, 0) lies, in elements; the strides below are elements too
  strideH: i32;
  strideW: i32;
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

/**
 * transformed = G w G' of every channel and filter, zero for filters beyond the last. Work item: one panel of 4 filters
 * of one group of filters. Preconditions: none on alignment. Filters are the lanes, so that there is no tail.
 */
export function winogradFilters(block: WinogradFiltersBlock, begin: i32, end: i32): void {
  const panels = (block.filters + 3) >> 2;
  const taps = scratch;
  const half = taps + 9 * 16;
  const next = ((panels * block.channels) as usize) << 4; // from point to point
  for (let item = begin; item < end; item++) {
    const group = item / panels;
    const panel = item % panels;
    const width = min(block.filters - 4 * panel, 4);
    const from = block.weights +
      ((block.first + group * block.strideGroup + 4 * panel * block.strideFilter) << 2);
    const to = block.transformed + (group as usize) * POINTS * next + (((panel * block.channels) as usize) << 4);
    for (let c = 0; c < block.channels; c++) {
      for (let w = 0; w < 3; w++)
        for (let h = 0; h < 3; h++)
          for (let f = 0; f < 4; f++) {
            const at = from + ((c * block.strideChannel + w * block.strideW + h * block.strideH + f * block.strideFilter) << 2);
            store<f32>(taps + ((3 * w + h) << 4) + (f << 2), f < width ? load<f32>(at) : 0);
          }
      // along h: half[w][i], then along w.
      for (let w: usize = 0; w < 3; w++) {
        const at = taps + w * 48;
        filterPoints(v128.load(at, 0), v128.load(at, 16), v128.load(at, 32), half + w * 96, 16);
      }
      for (let i: usize = 0; i < 6; i++) {
        const at = half + (i << 4);
        filterPoints(v128.load(at, 0), v128.load(at, 96), v128.load(at, 192), to + (c << 4) + i * next, 6 * next);
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
  height: i32;
  width: i32;
  tilesH: i32; // groups of 4 tiles along h
  tilesW: i32; // tiles along w
  offsetH: i32;
  offsetW: i32;
  firstBlock: i32; // blocks handled by this call lie at the beginning of `transformed`
}

// The six values B' d of six vectors `line` bytes apart.
@inline
function imagePoints(from: usize, line: usize, to: usize, toLine: usize): void {
  const d0 = v128.load(from);
  const d1 = v128.load(from + line);
  const d2 = v128.load(from + 2 * line);
  const d3 = v128.load(from + 3 * line);
  const d4 = v128.load(from + 4 * line);
  const d5 = v128.load(from + 5 * line);
  const middle = f32x4.splat(2.5);
  const a = f32x4.sub(d4, f32x4.add(d2, d2));
  const b = f32x4.mul(f32x4.splat(0.7071067811865476), f32x4.sub(d3, f32x4.add(d1, d1)));
  const c = f32x4.sub(d4, f32x4.mul(f32x4.splat(0.5), d2));
  const e = f32x4.mul(f32x4.splat(1.4142135623730951), f32x4.sub(d3, f32x4.mul(f32x4.splat(0.5), d1)));
  v128.store(to, f32x4.add(f32x4.sub(d0, f32x4.mul(middle, d2)), d4));
  v128.store(to + toLine, f32x4.add(a, b));
  v128.store(to + 2 * toLine, f32x4.sub(a, b));
  v128.store(to + 3 * toLine, f32x4.add(c, e));
  v128.store(to + 4 * toLine, f32x4.sub(c, e));
  v128.store(to + 5 * toLine, f32x4.add(f32x4.sub(d1, f32x4.mul(middle, d3)), d5));
}

/**
 * transformed = B' x B of every tile. Work item: one channel of one block. Preconditions: addresses of floats. Outside of
 * the image x is zero; groups of a block beyond the last are left as they are, and never read.
 */
export function winogradImage(block: WinogradImageBlock, begin: i32, end: i32): void {
  const lines = scratch; // 6 lines of 20 floats
  const half = lines + 6 * 80;
  const turned = half + 6 * 80; // 8 vectors
  const points = turned + 128; // 36 lines of 96 floats
  const plane = ((block.height * block.width) as usize) << 2;
  const groups = block.tilesH * block.tilesW * block.observations;
  for (let item = begin; item < end; item++) {
    const channel = item % block.planes;
    const at = item / block.planes;
    const first = (block.firstBlock + at) * BLOCK_GROUPS;
    const count = min(groups - first, BLOCK_GROUPS);
    for (let g = 0; g < count; g++) {
      const index = first + g;
      const h0 = 16 * (index % block.tilesH) + block.offsetH;
      const rest = index / block.tilesH;
      const w0 = 4 * (rest % block.tilesW) + block.offsetW;
      const image = block.x + ((rest / block.tilesW * block.planes + channel) as usize) * plane;
      for (let j = 0; j < 6; j++) {
        const w = w0 + j;
        const to = lines + j * 80;
        const inside = w >= 0 && w < block.width;
        if (inside && h0 >= 0 && h0 + 20 <= block.height) copyFloats(to, image + ((w * block.height + h0) << 2), 20);
        else if (inside) copyLine(to, image + ((w * block.height) << 2), h0, block.height, 20);
        else memory.fill(to, 0, 80);
      }
      for (let i: usize = 0; i < 80; i += 16) imagePoints(lines + i, 80, half + i, 80);
      for (let j: usize = 0; j < 6; j++) {
        const line = half + j * 80;
        transpose4(line, line + 16, line + 32, line + 48, turned, 16);
        transpose4(line + 16, line + 32, line + 48, line + 64, turned + 64, 16);
        imagePoints(turned, 16, points + j * (6 * BLOCK_TILES * 4) + (g << 4), BLOCK_TILES * 4);
      }
    }
    const group = channel / block.channels;
    const to = block.transformed +
      ((at * (block.planes / block.channels) + group) as usize) * (POINTS * BLOCK_TILES * 4) * block.channels +
      (channel % block.channels) * (BLOCK_TILES * 4);
    for (let p = 0; p < POINTS; p++)
      copyFloats(to + (p as usize) * (BLOCK_TILES * 4) * block.channels, points + p * (BLOCK_TILES * 4), 4 * count);
  }
}

@unmanaged class WinogradProductBlock {
  image: usize;
  filters: usize;
  products: usize;
  channels: i32; // per group of filters
  numFilters: i32; // per group of filters
  groups: i32;
  tiles: i32; // tiles in all blocks of this call, a multiple of 4
}

/**
 * products = sum over channels of image times filters, point by point. Work item: one of the 36 points of one group of
 * filters of one block; items run over points first, then over groups of filters, then over blocks.
 * Preconditions: addresses of floats. Tails: tiles are rounded up to 8 within the block, filters to 4 by the caller's
 * allocation (`products` has room for whole panels). Order of summation: channels ascending in runs of at most 256.
 */
export function winogradProduct(block: WinogradProductBlock, begin: i32, end: i32): void {
  const channels = block.channels;
  const panels = (block.numFilters + 3) >> 2;
  const column = POINTS * BLOCK_TILES * 4;
  const run = runLength(channels);
  const zeros = scratch;
  memory.fill(zeros, 0, 16);
  for (let item = begin; item < end; item++) {
    const point = item % POINTS;
    const rest = item / POINTS;
    const group = rest % block.groups;
    const count = min(block.tiles - rest / block.groups * BLOCK_TILES, BLOCK_TILES);
    const image = block.image + ((rest * POINTS + point) as usize) * ((channels * BLOCK_TILES) << 2);
    const filters = block.filters + ((group * POINTS + point) as usize) * ((panels * channels) << 4);
    const to = block.products + ((rest * panels) as usize) * (4 * column) + point * (BLOCK_TILES * 4);
    for (let c = 0; c < channels; c += run) {
      const k = min(run, channels - c);
      for (let t = 0; t < count; t += 8) {
        const rows = image + ((c * BLOCK_TILES + t) << 2);
        for (let f = 0; f < panels; f++)
          tile(rows, filters + ((f * channels + c) << 4), k, to + (f as usize) * (4 * column) + (t << 2), column,
            c == 0 ? zeros : 0);
      }
    }
  }
}

@unmanaged class WinogradOutputBlock {
  products: usize;
  bias: usize; // filters times groups floats, or 0
  y: usize;
  observations: i32;
  planes: i32; // filters times groups of filters
  filters: i32; // per group of filters
  height: i32; // positions computed, along h and w
  width: i32;
  tilesH: i32;
  tilesW: i32;
  firstY: i32; // element of y where position (0, 0) lies
  strideWY: i32; // elements of y between neighbours along w; along h they lie side by side
  planeY: i32;
  firstBlock: i32;
}

// The four values A' m of six vectors `line` bytes apart.
@inline
function outputPositions(from: usize, line: usize, to: usize, toLine: usize): void {
  const m1 = v128.load(from + line);
  const m2 = v128.load(from + 2 * line);
  const m3 = v128.load(from + 3 * line);
  const m4 = v128.load(from + 4 * line);
  const a = f32x4.add(m1, m2);
  const b = f32x4.sub(m1, m2);
  const c = f32x4.add(m3, m4);
  const d = f32x4.sub(m3, m4);
  v128.store(to, f32x4.add(f32x4.add(v128.load(from), a), c));
  v128.store(to + toLine, f32x4.add(
    f32x4.mul(b, f32x4.splat(0.7071067811865476)), f32x4.mul(d, f32x4.splat(1.4142135623730951))));
  v128.store(to + 2 * toLine, f32x4.add(f32x4.mul(a, f32x4.splat(0.5)), f32x4.add(c, c)));
  v128.store(to + 3 * toLine, f32x4.add(
    f32x4.add(f32x4.mul(b, f32x4.splat(0.3535533905932738)), f32x4.mul(d, f32x4.splat(2.8284271247461903))),
    v128.load(from + 5 * line)));
}

/**
 * y = A' products A + bias. Work item: one filter of one block. Preconditions: addresses of floats.
 * Tails: positions beyond the height or width are computed and not stored.
 */
export function winogradOutput(block: WinogradOutputBlock, begin: i32, end: i32): void {
  const half = scratch; // 6 (w) times 4 (h) vectors
  const full = half + 24 * 16; // 4 (h) times 4 (w) vectors
  const line = full + 16 * 16; // 16 floats
  const groups = block.tilesH * block.tilesW * block.observations;
  const padded = (block.filters + 3) & ~3;
  const filterGroups = block.planes / block.filters;
  for (let item = begin; item < end; item++) {
    const plane = item % block.planes;
    const at = item / block.planes;
    const group = plane / block.filters;
    const first = (block.firstBlock + at) * BLOCK_GROUPS;
    const count = min(groups - first, BLOCK_GROUPS);
    const products = block.products +
      (((at * filterGroups + group) * padded + plane % block.filters) as usize) * (POINTS * BLOCK_TILES * 4);
    const bias = f32x4.splat(block.bias ? load<f32>(block.bias + (plane << 2)) : 0);
    for (let g = 0; g < count; g++) {
      const index = first + g;
      const h0 = 16 * (index % block.tilesH);
      const rest = index / block.tilesH;
      const w0 = 4 * (rest % block.tilesW);
      const to = block.y + ((rest / block.tilesW * block.planes + plane) as usize) * ((block.planeY as usize) << 2) +
        ((block.firstY + w0 * block.strideWY + h0) << 2);
      for (let j: usize = 0; j < 6; j++)
        outputPositions(products + (g << 4) + j * (6 * BLOCK_TILES * 4), BLOCK_TILES * 4, half + j * 64, 16);
      for (let i: usize = 0; i < 64; i += 16) outputPositions(half + i, 64, full + i, 64);
      const high = min(block.height - h0, 16);
      const wide = min(block.width - w0, 4);
      // full[w][h] is a vector over the four tiles; turned, the sixteen positions along h follow each other.
      for (let j = 0; j < wide; j++) {
        const from = full + (j << 6);
        for (let i: usize = 0; i < 64; i += 16) v128.store(from + i, f32x4.add(v128.load(from + i), bias));
        const y = to + ((j * block.strideWY) << 2);
        if (high == 16) transpose4(from, from + 16, from + 32, from + 48, y, 16);
        else {
          transpose4(from, from + 16, from + 32, from + 48, line, 16);
          copyFloats(y, line, high);
        }
      }
    }
  }
}
