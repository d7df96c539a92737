// Gradient of a convolution with 3 by 3 filters and step 1 for its filters, by the transforms of winograd.ts, single
// precision. From y = A' [(G w G') .* (B' x B)] A follows, summed over tiles and observations,
//
//   dw = G' [ sum (A dy A') .* (B' x B) ] G
//
// with a quarter of the multiplications of the plain gradient. Tiles, groups, blocks and layouts are those of winograd.ts:
//   image    [96 tiles, channels, 36, groups of filters, blocks], from winogradImage
//   output   [96 tiles, filters, 36, groups of filters, blocks]
//   products [terms rounded up to 4, filters rounded up to 2, 36, groups of filters]
import { scratch } from '../scratch';
import { copyFloats, copyLine, sumLanes, transpose4 } from '../products/tile';

const POINTS: i32 = 36;
const BLOCK_TILES: i32 = 96;
const BLOCK_GROUPS: i32 = 24;

@unmanaged class WinogradOutputGradientBlock {
  dy: usize;
  transformed: usize;
  observations: i32;
  planes: i32; // filters times groups of filters
  filters: i32; // per group of filters
  height: i32;
  width: i32;
  tilesH: i32; // groups of 4 tiles along h
  tilesW: i32; // tiles along w
  tilesD: i32; // positions along d
  firstBlock: i32; // blocks handled by this call lie at the beginning of `transformed`
}

// The six values A s of four vectors `line` bytes apart.
@inline
function outputPoints(from: usize, line: usize, to: usize, toLine: usize): void {
  const s0 = v128.load(from);
  const s1 = v128.load(from + line);
  const s2 = v128.load(from + 2 * line);
  const s3 = v128.load(from + 3 * line);
  const p = f32x4.add(s0, f32x4.mul(s2, f32x4.splat(0.5)));
  const q = f32x4.add(
    f32x4.mul(s1, f32x4.splat(0.7071067811865476)), f32x4.mul(s3, f32x4.splat(0.3535533905932738)));
  const r = f32x4.add(s0, f32x4.add(s2, s2));
  const s = f32x4.add(
    f32x4.mul(s1, f32x4.splat(1.4142135623730951)), f32x4.mul(s3, f32x4.splat(2.8284271247461903)));
  v128.store(to, s0);
  v128.store(to + toLine, f32x4.add(p, q));
  v128.store(to + 2 * toLine, f32x4.sub(p, q));
  v128.store(to + 3 * toLine, f32x4.add(r, s));
  v128.store(to + 4 * toLine, f32x4.sub(r, s));
  v128.store(to + 5 * toLine, s3);
}

/**
 * transformed = A dy A' of every tile. Work item: one filter of one block. Preconditions: addresses of floats. Outside of
 * its positions dy is zero; groups of a block beyond the last are left as they are, and never read.
 */
export function winogradOutputGradient(block: WinogradOutputGradientBlock, begin: i32, end: i32): void {
  const lines = scratch; // 4 lines of 16 floats
  const half = lines + 4 * 64; // 6 lines of 16 floats
  const turned = half + 6 * 64; // 4 vectors
  const points = turned + 64; // 36 lines of 96 floats
  const plane = ((block.height * block.width) as usize) << 2;
  const groups = block.tilesH * block.tilesW * block.tilesD * block.observations;
  for (let item = begin; item < end; item++) {
    const filter = item % block.planes;
    const at = item / block.planes;
    const first = (block.firstBlock + at) * BLOCK_GROUPS;
    const count = min(groups - first, BLOCK_GROUPS);
    for (let g = 0; g < count; g++) {
      const index = first + g;
      const h0 = 16 * (index % block.tilesH);
      const rest = index / block.tilesH;
      const w0 = 4 * (rest % block.tilesW);
      const slice = rest / block.tilesW;
      const dy = block.dy +
        (((slice / block.tilesD * block.planes + filter) * block.tilesD + slice % block.tilesD) as usize) * plane;
      for (let j = 0; j < 4; j++) {
        const w = w0 + j;
        if (w < block.width) copyLine(lines + (j << 6), dy + ((w * block.height) << 2), h0, block.height, 16);
        else memory.fill(lines + (j << 6), 0, 64);
      }
      for (let i: usize = 0; i < 64; i += 16) outputPoints(lines + i, 64, half + i, 64);
      for (let j: usize = 0; j < 6; j++) {
        const line = half + (j << 6);
        transpose4(line, line + 16, line + 32, line + 48, turned, 16);
        outputPoints(turned, 16, points + j * (6 * BLOCK_TILES * 4) + (g << 4), BLOCK_TILES * 4);
      }
    }
    const group = filter / block.filters;
    const to = block.transformed +
      ((at * (block.planes / block.filters) + group) as usize) * (POINTS * BLOCK_TILES * 4) * block.filters +
      (filter % block.filters) * (BLOCK_TILES * 4);
    for (let p = 0; p < POINTS; p++)
      copyFloats(to + (p as usize) * (BLOCK_TILES * 4) * block.filters, points + p * (BLOCK_TILES * 4), 4 * count);
  }
}

@unmanaged class WinogradGradientProductBlock {
  image: usize; // followed by 3 lines of 96 floats that may be read
  output: usize; // followed by 1 line of 96 floats that may be read
  products: usize;
  terms: i32; // channels of a group of filters times taps of d
  filters: i32; // per group of filters
  groups: i32;
  tiles: i32; // tiles in all blocks of this call, a multiple of 4
  accumulate: i32; // 1: add to products
}

// 4 lines of a times 2 lines of b, lines BLOCK_TILES floats apart: sums over `count` tiles, lane by lane, then over lanes.
function dotTile(a: usize, b: usize, count: i32, to: usize, toColumn: usize, accumulate: bool): void {
  let s00 = f32x4.splat(0);
  let s10 = s00;
  let s20 = s00;
  let s30 = s00;
  let s01 = s00;
  let s11 = s00;
  let s21 = s00;
  let s31 = s00;
  for (; count > 0; count -= 4) {
    const y0 = v128.load(b);
    const y1 = v128.load(b, BLOCK_TILES * 4);
    let x = v128.load(a);
    s00 = f32x4.add(s00, f32x4.mul(x, y0));
    s01 = f32x4.add(s01, f32x4.mul(x, y1));
    x = v128.load(a, BLOCK_TILES * 4);
    s10 = f32x4.add(s10, f32x4.mul(x, y0));
    s11 = f32x4.add(s11, f32x4.mul(x, y1));
    x = v128.load(a, BLOCK_TILES * 8);
    s20 = f32x4.add(s20, f32x4.mul(x, y0));
    s21 = f32x4.add(s21, f32x4.mul(x, y1));
    x = v128.load(a, BLOCK_TILES * 12);
    s30 = f32x4.add(s30, f32x4.mul(x, y0));
    s31 = f32x4.add(s31, f32x4.mul(x, y1));
    a += 16;
    b += 16;
  }
  const sum0 = sumLanes(s00, s10, s20, s30);
  const sum1 = sumLanes(s01, s11, s21, s31);
  v128.store(to, accumulate ? f32x4.add(v128.load(to), sum0) : sum0);
  to += toColumn;
  v128.store(to, accumulate ? f32x4.add(v128.load(to), sum1) : sum1);
}

/**
 * products (+)= sum over tiles of image times output, point by point. Work item: one of the 36 points of one group of
 * filters. Preconditions: addresses of floats, room for terms rounded up to 4 and filters to 2.
 * Order of summation: four lanes over the tiles of a block, the lanes, then block after block.
 */
export function winogradGradientProduct(block: WinogradGradientProductBlock, begin: i32, end: i32): void {
  const terms = block.terms;
  const filters = block.filters;
  const column = (((terms + 3) & ~3) as usize) << 2;
  const blocks = (block.tiles + BLOCK_TILES - 1) / BLOCK_TILES;
  for (let item = begin; item < end; item++) {
    const group = item / POINTS;
    const point = item % POINTS;
    const to = block.products + (item as usize) * (((filters + 1) & ~1) as usize) * column;
    for (let at = 0; at < blocks; at++) {
      const count = min(block.tiles - at * BLOCK_TILES, BLOCK_TILES);
      const line = (((at * block.groups + group) * POINTS + point) as usize) * (BLOCK_TILES * 4);
      const image = block.image + line * terms;
      const output = block.output + line * filters;
      for (let c = 0; c < terms; c += 4)
        for (let f = 0; f < filters; f += 2)
          dotTile(image + c * (BLOCK_TILES * 4), output + f * (BLOCK_TILES * 4), count,
            to + (f as usize) * column + (c << 2), column, block.accumulate || at > 0);
    }
  }
}

@unmanaged class WinogradFilterGradientBlock {
  products: usize;
  gradient: usize; // [3, 3, taps of d, channels, filters, groups of filters]
  terms: i32; // channels times taps of d
  filters: i32;
  groups: i32;
}

// The three values G' m of six vectors `line` bytes apart.
@inline
function tapGradients(from: usize, line: usize, to: usize, toLine: usize): void {
  const m1 = v128.load(from + line);
  const m2 = v128.load(from + 2 * line);
  const m3 = v128.load(from + 3 * line);
  const m4 = v128.load(from + 4 * line);
  const a = f32x4.add(m1, m2);
  const b = f32x4.sub(m2, m1);
  const c = f32x4.add(m3, m4);
  const d = f32x4.sub(m3, m4);
  v128.store(to, f32x4.add(f32x4.sub(v128.load(from), f32x4.mul(a, f32x4.splat(2.0 / 3.0))),
    f32x4.mul(c, f32x4.splat(1.0 / 6.0))));
  v128.store(to + toLine, f32x4.add(f32x4.mul(b, f32x4.splat(1.4142135623730951 / 3.0)),
    f32x4.mul(d, f32x4.splat(1.4142135623730951 / 6.0))));
  v128.store(to + 2 * toLine, f32x4.add(f32x4.mul(f32x4.sub(c, a), f32x4.splat(1.0 / 3.0)), v128.load(from + 5 * line)));
}

/**
 * gradient = G' products G. Work item: one filter of one group of filters. Preconditions: addresses of floats.
 * Tails: terms are the lanes; those beyond the last are not stored.
 */
export function winogradFilterGradient(block: WinogradFilterGradientBlock, begin: i32, end: i32): void {
  const terms = block.terms;
  const filters = block.filters;
  const column = (((terms + 3) & ~3) as usize) << 2;
  const point = column * (((filters + 1) & ~1) as usize);
  const half = scratch; // 6 (w) times 3 (h) vectors
  const taps = half + 18 * 16; // 3 (w) times 3 (h) vectors
  for (let item = begin; item < end; item++) {
    const group = item / filters;
    const products = block.products + (group as usize) * POINTS * point + ((item % filters) as usize) * column;
    const to = block.gradient + (((item * terms) as usize) * 9 << 2);
    for (let c = 0; c < terms; c += 4) {
      const from = products + (c << 2);
      for (let j: usize = 0; j < 6; j++) tapGradients(from + 6 * j * point, point, half + j * 48, 16);
      for (let i: usize = 0; i < 48; i += 16) tapGradients(half + i, 48, taps + i, 48);
      for (let lane = 0, wide = min(terms - c, 4); lane < wide; lane++)
        for (let t = 0; t < 9; t++)
          store<f32>(to + (((c + lane) * 9 + t) << 2), load<f32>(taps + (t << 4) + (lane << 2)));
    }
  }
}
