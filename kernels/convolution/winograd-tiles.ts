// Convolution with filters of 4 or 5 by 4 or 5 taps and step 1 by Winograd's minimal filtering F(4x4, 5x5), single precision:
// the formula of convolution.ts with 64 products for 4 by 4 positions of y, which come from 8 by 8 of x, instead of 400. The
// transforms of winograd-points.ts in both dimensions; rounding errors are some 10 times those of convolution.ts.
//
// Made for few channels, where sums are short: 12 tiles are transformed, multiplied with four filters at a time and transformed
// back while all of it is in a first-level cache. Lanes are four tiles that follow each other along h, then along w. Channels
// are summed by threes in registers, what does not fill a three first. Between the functions values lie as
//   filters  [channels of a run, 4, 64, panels of 4 filters, runs of channels, groups]
//   image    [channels of a run, 3 vectors of tiles, 64, runs of channels]
//   products [64, 3 vectors of tiles, 4 filters]
// with the 64 numbers of a tile along w first, then along h.
import { scratch } from '../scratch';
import { copyFloats, copyLine } from '../products/tile';
import { filterPoints, imagePoints, POINTS } from './winograd-points';

const SQUARE: i32 = 64;
/** Tiles that are computed together, in vectors of 4. */
const TILES: i32 = 12;
const VECTORS: i32 = 3;

@unmanaged class TileFiltersBlock {
  weights: usize;
  transformed: usize;
  filters: i32; // per group
  channels: i32; // per group
  groups: i32;
  tapsH: i32;
  tapsW: i32;
  first: i32; // where tap (0, 0) lies, in elements; the strides below are elements too
  strideH: i32;
  strideW: i32;
  strideChannel: i32;
  strideFilter: i32;
  strideGroup: i32;
}

/** Channels of the run that begins with channel c. */
@inline
export function runFrom(c: i32, channels: i32): i32 {
  return c == 0 && channels % 3 > 0 ? channels % 3 : 3;
}

/**
 * transformed = G g G' of every channel and filter, zero for filters beyond the last; rounded once. Work item: one panel of 4
 * filters of one group. Preconditions: none on alignment.
 */
export function tileFilters(b: TileFiltersBlock, begin: i32, end: i32): void {
  const panels = (b.filters + 3) >> 2;
  const half = scratch; // [8, 5 taps along w]
  const full = half + 40 * 8;
  const strideH = <usize>b.strideH << 2;
  const strideW = <usize>b.strideW << 2;
  for (let item = begin; item < end; ++item) {
    const group = item / panels;
    const panel = item % panels;
    const width = min(b.filters - 4 * panel, 4);
    const from = b.weights + (<usize>(b.first + group * b.strideGroup + 4 * panel * b.strideFilter) << 2);
    let to = b.transformed + (<usize>(group * panels * b.channels) << 10);
    for (let c0 = 0, run = 0; c0 < b.channels; c0 += run) {
      run = runFrom(c0, b.channels);
      const place = to + (<usize>(panel * run) << 10);
      for (let c = 0; c < run; ++c)
        for (let f = 0; f < 4; ++f) {
          const taps = from + (<usize>((c0 + c) * b.strideChannel + f * b.strideFilter) << 2);
          for (let w = 0; w < 5; ++w) {
            const at = taps + <usize>w * strideW;
            const used = f < width && w < b.tapsW;
            const g0 = used ? <f64>load<f32>(at) : 0;
            const g1 = used && b.tapsH > 1 ? <f64>load<f32>(at + strideH) : 0;
            const g2 = used && b.tapsH > 2 ? <f64>load<f32>(at + 2 * strideH) : 0;
            const g3 = used && b.tapsH > 3 ? <f64>load<f32>(at + 3 * strideH) : 0;
            const g4 = used && b.tapsH > 4 ? <f64>load<f32>(at + 4 * strideH) : 0;
            filterPoints(g0, g1, g2, g3, g4, half + <usize>w * 64, 8);
          }
          for (let h: usize = 0; h < 64; h += 8) {
            const at = half + h;
            filterPoints(load<f64>(at), load<f64>(at, 64), load<f64>(at, 128), load<f64>(at, 192), load<f64>(at, 256), full + 8 * h, 8);
          }
          for (let p = 0; p < SQUARE; ++p)
            store<f32>(place + (<usize>((p * 4 + f) * run + c) << 2), <f32>load<f64>(full + (<usize>p << 3)));
        }
      to += <usize>(panels * run) << 10;
    }
  }
}

/**
 * B' x B of four tiles, whose lines of 8 floats are s0 .. s3 bytes apart from a0 .. a3 on; points are `pitch` bytes apart. `half`
 * is memory for 64 vectors. Exported, as the other parts below, so that each keeps the registers to itself.
 */
export function tileImages(a0: usize, s0: usize, a1: usize, s1: usize, a2: usize, s2: usize, a3: usize, s3: usize, half: usize, to: usize, pitch: usize): void {
  for (let at = half, end = half + 128; at < end; at += 16) {
    let x0 = v128.load(a0);
    let x1 = v128.load(a1);
    let x2 = v128.load(a2);
    let x3 = v128.load(a3);
    let low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
    let high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
    let low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
    let high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
    const d0 = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
    const d1 = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
    const d2 = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
    const d3 = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
    x0 = v128.load(a0, 16);
    x1 = v128.load(a1, 16);
    x2 = v128.load(a2, 16);
    x3 = v128.load(a3, 16);
    low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
    high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
    low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
    high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
    const d4 = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
    const d5 = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
    const d6 = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
    const d7 = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
    imagePoints(d0, d1, d2, d3, d4, d5, d6, d7, at, 128);
    a0 += s0;
    a1 += s1;
    a2 += s2;
    a3 += s3;
  }
  for (let at = half, end = half + 1024; at < end; at += 128) {
    imagePoints(
      v128.load(at),
      v128.load(at, 16),
      v128.load(at, 32),
      v128.load(at, 48),
      v128.load(at, 64),
      v128.load(at, 80),
      v128.load(at, 96),
      v128.load(at, 112),
      to,
      pitch,
    );
    to += 8 * pitch;
  }
}

/** Where the next of a run of tiles is read, and what of it is there. */
@unmanaged export class Tile {
  /** Bytes from the beginning of a plane of x to the tile's first line. */
  from: i32;
  /** 1: all 8 by 8 are there. */
  inside: i32;
  /** Coordinates of the first. */
  h: i32;
  w: i32;
  /** Bytes from the first position of a plane of y; how many positions there are along h and w. */
  place: i32;
  high: i32;
  wide: i32;
}

/** Describes `count` tiles from tile `first` of an observation on; where there are no more, tiles without positions. */
export function findTiles<B>(b: B, first: i32, count: i32, strideWY: i32, to: usize): void {
  const tilesH = (b.heightY + 3) >> 2;
  const all = tilesH * ((b.widthY + 3) >> 2);
  for (let t = 0; t < count; ++t) {
    const tile = changetype<Tile>(to + <usize>t * offsetof<Tile>());
    const there = first + t < all;
    const index = there ? first + t : all - 1;
    const h = 4 * (index % tilesH);
    const w = 4 * (index / tilesH);
    tile.h = h + b.offsetH;
    tile.w = w + b.offsetW;
    tile.from = (tile.w * b.heightX + tile.h) << 2;
    tile.inside = tile.h >= 0 && tile.w >= 0 && tile.h + 8 <= b.heightX && tile.w + 8 <= b.widthX ? 1 : 0;
    tile.place = (w * strideWY + h) << 2;
    tile.high = there ? min(b.heightY - h, 4) : 0;
    tile.wide = there ? min(b.widthY - w, 4) : 0;
  }
}

/** The first line of a tile of a plane of x: in place, or a copy at `copy` with zeros around the plane. */
@inline
function linesOf<B>(b: B, plane: usize, tile: Tile, copy: usize): usize {
  if (tile.inside) return plane + tile.from;
  for (let i = 0; i < 8; ++i) {
    const w = tile.w + i;
    const to = copy + (<usize>i << 5);
    if (w >= 0 && w < b.widthX) copyLine(to, plane + (<usize>(w * b.heightX) << 2), tile.h, b.heightX, 8);
    else memory.fill(to, 0, 32);
  }
  return copy;
}

/** B' x B of four tiles of a plane of x; `space` is memory for 2048 bytes. */
@inline
export function transformTiles<B>(b: B, plane: usize, tiles: usize, space: usize, to: usize, pitch: usize): void {
  const t0 = changetype<Tile>(tiles);
  const t1 = changetype<Tile>(tiles + offsetof<Tile>());
  const t2 = changetype<Tile>(tiles + 2 * offsetof<Tile>());
  const t3 = changetype<Tile>(tiles + 3 * offsetof<Tile>());
  const line = <usize>b.heightX << 2;
  tileImages(
    linesOf(b, plane, t0, space),
    t0.inside ? line : 32,
    linesOf(b, plane, t1, space + 256),
    t1.inside ? line : 32,
    linesOf(b, plane, t2, space + 512),
    t2.inside ? line : 32,
    linesOf(b, plane, t3, space + 768),
    t3.inside ? line : 32,
    space + 1024,
    to,
    pitch,
  );
}

/** Three vectors of one point of a filter: sums over `run` channels, added to what is there where `more` says so. */
@inline
function productsOf(run: i32, x00: v128, x01: v128, x02: v128, x10: v128, x11: v128, x12: v128, x20: v128, x21: v128, x22: v128, w: usize, to: usize, more: bool): void {
  let y = v128.load32_splat(w);
  let s0 = f32x4.mul(x00, y);
  let s1 = f32x4.mul(x10, y);
  let s2 = f32x4.mul(x20, y);
  if (run > 1) {
    y = v128.load32_splat(w, 4);
    s0 = f32x4.add(s0, f32x4.mul(x01, y));
    s1 = f32x4.add(s1, f32x4.mul(x11, y));
    s2 = f32x4.add(s2, f32x4.mul(x21, y));
  }
  if (run > 2) {
    y = v128.load32_splat(w, 8);
    s0 = f32x4.add(s0, f32x4.mul(x02, y));
    s1 = f32x4.add(s1, f32x4.mul(x12, y));
    s2 = f32x4.add(s2, f32x4.mul(x22, y));
  }
  v128.store(to, more ? f32x4.add(v128.load(to), s0) : s0);
  v128.store(to, more ? f32x4.add(v128.load(to, 1024), s1) : s1, 1024);
  v128.store(to, more ? f32x4.add(v128.load(to, 2048), s2) : s2, 2048);
}

/** Products of 12 tiles and 4 filters over a run of channels. */
@inline
function tileProducts(run: i32, u: usize, w: usize, to: usize, more: bool): void {
  for (const end = to + 1024; to < end; to += 16) {
    const x00 = v128.load(u);
    const x01 = run > 1 ? v128.load(u, 16) : x00;
    const x02 = run > 2 ? v128.load(u, 32) : x00;
    const x10 = run > 2 ? v128.load(u, 48) : run > 1 ? v128.load(u, 32) : v128.load(u, 16);
    const x11 = run > 2 ? v128.load(u, 64) : run > 1 ? v128.load(u, 48) : x00;
    const x12 = run > 2 ? v128.load(u, 80) : x00;
    const x20 = run > 2 ? v128.load(u, 96) : run > 1 ? v128.load(u, 64) : v128.load(u, 32);
    const x21 = run > 2 ? v128.load(u, 112) : run > 1 ? v128.load(u, 80) : x00;
    const x22 = run > 2 ? v128.load(u, 128) : x00;
    const next = <usize>run << 2;
    productsOf(run, x00, x01, x02, x10, x11, x12, x20, x21, x22, w, to, more);
    productsOf(run, x00, x01, x02, x10, x11, x12, x20, x21, x22, w + next, to + 3072, more);
    productsOf(run, x00, x01, x02, x10, x11, x12, x20, x21, x22, w + 2 * next, to + 6144, more);
    productsOf(run, x00, x01, x02, x10, x11, x12, x20, x21, x22, w + 3 * next, to + 9216, more);
    u += <usize>(run * VECTORS) << 4;
    w += 4 * next;
  }
}

export function tileProducts1(u: usize, w: usize, to: usize): void {
  tileProducts(1, u, w, to, false);
}

export function tileProducts2(u: usize, w: usize, to: usize): void {
  tileProducts(2, u, w, to, false);
}

export function tileProducts3(u: usize, w: usize, to: usize): void {
  tileProducts(3, u, w, to, false);
}

export function tileProductsMore(u: usize, w: usize, to: usize): void {
  tileProducts(3, u, w, to, true);
}

/** A' m A of four tiles, plus bias, written to y where the tiles lie; `half` is memory for 32 vectors. */
export function tileOutputs(m: usize, half: usize, bias: f32, tiles: usize, y: usize, strideW: usize): void {
  for (let to = half, end = half + 128; to < end; to += 16) {
    let p = v128.load(m, 16);
    let q = v128.load(m, 32);
    const s1 = f32x4.add(p, q);
    const d1 = f32x4.sub(p, q);
    p = v128.load(m, 48);
    q = v128.load(m, 64);
    const s2 = f32x4.add(p, q);
    const d2 = f32x4.sub(p, q);
    p = v128.load(m, 80);
    q = v128.load(m, 96);
    const s3 = f32x4.add(p, q);
    const d3 = f32x4.sub(p, q);
    v128.store(to, f32x4.add(f32x4.add(v128.load(m), s1), f32x4.add(s2, s3)));
    v128.store(to, f32x4.add(d1, f32x4.add(f32x4.mul(f32x4.splat(2), d2), f32x4.mul(f32x4.splat(0.5), d3))), 128);
    v128.store(to, f32x4.add(s1, f32x4.add(f32x4.mul(f32x4.splat(4), s2), f32x4.mul(f32x4.splat(0.25), s3))), 256);
    const last = f32x4.add(f32x4.mul(f32x4.splat(8), d2), f32x4.mul(f32x4.splat(0.125), d3));
    v128.store(to, f32x4.add(f32x4.add(d1, v128.load(m, 112)), last), 384);
    m += 128;
  }
  const t0 = changetype<Tile>(tiles);
  const t1 = changetype<Tile>(tiles + offsetof<Tile>());
  const t2 = changetype<Tile>(tiles + 2 * offsetof<Tile>());
  const t3 = changetype<Tile>(tiles + 3 * offsetof<Tile>());
  const whole = t0.high == 4 && t0.wide == 4 && t1.high == 4 && t1.wide == 4 && t2.high == 4 && t2.wide == 4 && t3.high == 4 && t3.wide == 4;
  const y0 = y + t0.place;
  const y1 = y + t1.place;
  const y2 = y + t2.place;
  const y3 = y + t3.place;
  // what the second point gets goes to all positions alike
  const added = f32x4.splat(bias);
  let place: usize = 0;
  for (let w = 0; w < 4; ++w) {
    let p = f32x4.add(v128.load(half, 16), added);
    let q = v128.load(half, 32);
    const s1 = f32x4.add(p, q);
    const d1 = f32x4.sub(p, q);
    p = v128.load(half, 48);
    q = v128.load(half, 64);
    const s2 = f32x4.add(p, q);
    const d2 = f32x4.sub(p, q);
    p = v128.load(half, 80);
    q = v128.load(half, 96);
    const s3 = f32x4.add(p, q);
    const d3 = f32x4.sub(p, q);
    const z0 = f32x4.add(f32x4.add(v128.load(half), s1), f32x4.add(s2, s3));
    const z1 = f32x4.add(d1, f32x4.add(f32x4.mul(f32x4.splat(2), d2), f32x4.mul(f32x4.splat(0.5), d3)));
    const z2 = f32x4.add(s1, f32x4.add(f32x4.mul(f32x4.splat(4), s2), f32x4.mul(f32x4.splat(0.25), s3)));
    const last = f32x4.add(f32x4.mul(f32x4.splat(8), d2), f32x4.mul(f32x4.splat(0.125), d3));
    const z3 = f32x4.add(f32x4.add(d1, v128.load(half, 112)), last);
    const low01 = v128.shuffle<f32>(z0, z1, 0, 4, 1, 5);
    const high01 = v128.shuffle<f32>(z0, z1, 2, 6, 3, 7);
    const low23 = v128.shuffle<f32>(z2, z3, 0, 4, 1, 5);
    const high23 = v128.shuffle<f32>(z2, z3, 2, 6, 3, 7);
    p = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
    q = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
    const r = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
    const s = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
    if (whole) {
      v128.store(y0 + place, p);
      v128.store(y1 + place, q);
      v128.store(y2 + place, r);
      v128.store(y3 + place, s);
    } else {
      v128.store(half, p);
      v128.store(half, q, 16);
      v128.store(half, r, 32);
      v128.store(half, s, 48);
      if (w < t0.wide) copyFloats(y0 + place, half, t0.high);
      if (w < t1.wide) copyFloats(y1 + place, half + 16, t1.high);
      if (w < t2.wide) copyFloats(y2 + place, half + 32, t2.high);
      if (w < t3.wide) copyFloats(y3 + place, half + 48, t3.high);
    }
    half += 128;
    place += strideW;
  }
}

@unmanaged export class TilesBlock {
  x: usize;
  transformed: usize; // from tileFilters
  bias: usize; // filters * groups floats, or 0
  y: usize;
  observations: i32;
  groups: i32;
  channels: i32; // per group
  filters: i32; // per group
  heightX: i32;
  widthX: i32;
  heightY: i32;
  widthY: i32;
  offsetH: i32;
  offsetW: i32;
  firstY: i32; // element of y where position (0, 0) lies
  strideWY: i32; // elements of y between neighbours along w; along h they lie side by side
  planeY: i32; // elements of y in one channel
}

/**
 * The convolution of convolution.ts in two dimensions with step and spacing 1. Work item: 12 tiles, with all filters of one group,
 * of one observation; items run over the tiles first, then over groups and observations.
 * Preconditions: addresses of floats; at most 100 channels.
 * Tails: tiles and filters beyond the last are computed and not stored.
 * Order of summation: for each point channels ascending, by threes.
 */
export function convolveTiles(b: TilesBlock, begin: i32, end: i32): void {
  convolveTilesTo(b, begin, end, b.y);
}

/** The same with y elsewhere. */
export function convolveTilesTo(b: TilesBlock, begin: i32, end: i32, y: usize): void {
  const channels = b.channels;
  const filters = b.filters;
  const panels = (filters + 3) >> 2;
  const parts = (((b.heightY + 3) >> 2) * ((b.widthY + 3) >> 2) + TILES - 1) / TILES;
  const tiles = scratch;
  const space = tiles + 512;
  const products = space + 2048;
  const image = products + 4 * VECTORS * 1024;
  const planeX = <usize>(b.heightX * b.widthX) << 2;
  const planeY = <usize>b.planeY << 2;
  for (let item = begin; item < end; ++item) {
    const rest = item / parts;
    const group = rest % b.groups;
    findTiles(b, (item % parts) * TILES, TILES, b.strideWY, tiles);
    let plane = b.x + <usize>(rest * channels) * planeX;
    for (let c0 = 0, run = 0; c0 < channels; c0 += run) {
      run = runFrom(c0, channels);
      const to = image + <usize>(c0 * VECTORS) * 1024;
      for (let c = 0; c < run; ++c) {
        for (let v = 0; v < VECTORS; ++v)
          transformTiles(b, plane, tiles + <usize>(4 * v) * offsetof<Tile>(), space, to + (<usize>(v * run + c) << 4), <usize>(run * VECTORS) << 4);
        plane += planeX;
      }
    }
    const output = y + <usize>(rest * filters) * planeY + (<usize>b.firstY << 2);
    const transformed = b.transformed + (<usize>(group * panels * channels) << 10);
    for (let panel = 0; panel < panels; ++panel) {
      for (let c0 = 0, run = 0; c0 < channels; c0 += run) {
        run = runFrom(c0, channels);
        const u = image + <usize>(c0 * VECTORS) * 1024;
        const w = transformed + (<usize>(panels * c0 + panel * run) << 10);
        if (c0 > 0) tileProductsMore(u, w, products);
        else if (run == 3) tileProducts3(u, w, products);
        else if (run == 2) tileProducts2(u, w, products);
        else tileProducts1(u, w, products);
      }
      for (let f = 4 * panel, until = min(f + 4, filters); f < until; ++f) {
        const bias: f32 = b.bias ? load<f32>(b.bias + (<usize>(group * filters + f) << 2)) : 0;
        const m = products + <usize>(f & 3) * (VECTORS * 1024);
        for (let v = 0; v < VECTORS; ++v)
          tileOutputs(m + (<usize>v << 10), space, bias, tiles + <usize>(4 * v) * offsetof<Tile>(), output + <usize>f * planeY, <usize>b.strideWY << 2);
      }
    }
  }
}
