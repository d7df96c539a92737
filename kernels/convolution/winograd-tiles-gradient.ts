// Gradient of a convolution for its filters with the tiles of winograd-tiles.ts: of every 4 by 4 positions of dy and the 8 by 8
// values of x that they meet, 64 products take the place of 400.
//
//   dg = G' [ sum over tiles and observations of (A dy A') .* (B' x B) ] G
//
// Up to 48 tiles of an observation are transformed together: all channels of x, then two filters of dy at a time. Between the
// functions values lie as
//   image [channels of a run, vectors of tiles, 64, runs of channels]
//   dy    [2, vectors of tiles, 64]
//   sums  [2, channels of a run, 64, runs of channels, pairs of filters]: vectors while observations are added, then numbers
import { FilterGradientFields } from './convolution-fields';
import { scratch } from '../scratch';
import { copyFloats, sumLanes } from '../products/tile';
import { filterGradient, positionPoints } from './winograd-points';
import { findTiles, runFrom, Tile, transformTiles } from './winograd-tiles';

const SQUARE: i32 = 64;
/** Most vectors of tiles that are transformed together. */
const VECTORS: i32 = 12;
/** Bytes in front of the image: descriptions of tiles, lines and half of a transform. */
const FRONT: usize = 4096;

/**
 * Two dimensions: sizes, steps and spacings along d are 1; at most 5 taps; lines is unused. partials: splits * groups * 64 * channels *
 * filters2 floats.
 */
@unmanaged export class TilesGradientBlock extends FilterGradientFields {}

/** A y A' of four tiles, whose lines of 4 floats are s0 .. s3 bytes apart from a0 .. a3 on; `half` is memory for 32 vectors. */
export function tilePositions(a0: usize, s0: usize, a1: usize, s1: usize, a2: usize, s2: usize, a3: usize, s3: usize, half: usize, to: usize, pitch: usize): void {
  for (let at = half, end = half + 64; at < end; at += 16) {
    const x0 = v128.load(a0);
    const x1 = v128.load(a1);
    const x2 = v128.load(a2);
    const x3 = v128.load(a3);
    const low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
    const high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
    const low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
    const high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
    const y0 = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
    const y1 = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
    const y2 = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
    const y3 = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
    positionPoints(y0, y1, y2, y3, at, 64);
    a0 += s0;
    a1 += s1;
    a2 += s2;
    a3 += s3;
  }
  for (let at = half, end = half + 512; at < end; at += 64) {
    positionPoints(v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48), to, pitch);
    to += 8 * pitch;
  }
}

/** The first line of the positions of a tile: in place, or a copy at `copy` with zeros where there are none. */
@inline
function linesOf(plane: usize, height: i32, tile: Tile, copy: usize): usize {
  if (tile.high == 4 && tile.wide == 4) return plane + tile.place;
  memory.fill(copy, 0, 64);
  if (tile.high > 0)
    for (let w = 0; w < tile.wide; ++w) copyFloats(copy + (<usize>w << 4), plane + tile.place + (<usize>(w * height) << 2), tile.high);
  return copy;
}

@inline
function isWhole(tile: Tile): bool {
  return tile.high == 4 && tile.wide == 4;
}

/** A y A' of four tiles of a plane of dy. */
@inline
function transformPositions(plane: usize, height: i32, tiles: usize, space: usize, to: usize, pitch: usize): void {
  const t0 = changetype<Tile>(tiles);
  const t1 = changetype<Tile>(tiles + offsetof<Tile>());
  const t2 = changetype<Tile>(tiles + 2 * offsetof<Tile>());
  const t3 = changetype<Tile>(tiles + 3 * offsetof<Tile>());
  const line = <usize>height << 2;
  tilePositions(
    linesOf(plane, height, t0, space),
    isWhole(t0) ? line : 16,
    linesOf(plane, height, t1, space + 64),
    isWhole(t1) ? line : 16,
    linesOf(plane, height, t2, space + 128),
    isWhole(t2) ? line : 16,
    linesOf(plane, height, t3, space + 192),
    isWhole(t3) ? line : 16,
    space + 1024,
    to,
    pitch,
  );
}

@inline
function put(to: usize, sum: v128, more: bool): void {
  v128.store(to, more ? f32x4.add(v128.load(to), sum) : sum);
}

/** Sums over tiles for a run of channels and two filters, point by point, lane by lane. */
@inline
function sumProducts(run: i32, u: usize, g: usize, vectors: i32, to: usize, more: bool): void {
  for (let p = SQUARE; p > 0; p--) {
    let s00 = f32x4.splat(0);
    let s01 = s00;
    let s10 = s00;
    let s11 = s00;
    let s20 = s00;
    let s21 = s00;
    for (let i = vectors; i > 0; i--) {
      const g0 = v128.load(g);
      const g1 = v128.load(g, 16);
      let x = v128.load(u);
      s00 = f32x4.add(s00, f32x4.mul(x, g0));
      s01 = f32x4.add(s01, f32x4.mul(x, g1));
      if (run > 1) {
        x = v128.load(u, 16);
        s10 = f32x4.add(s10, f32x4.mul(x, g0));
        s11 = f32x4.add(s11, f32x4.mul(x, g1));
      }
      if (run > 2) {
        x = v128.load(u, 32);
        s20 = f32x4.add(s20, f32x4.mul(x, g0));
        s21 = f32x4.add(s21, f32x4.mul(x, g1));
      }
      u += <usize>run << 4;
      g += 32;
    }
    put(to, s00, more);
    put(to + 16, s01, more);
    if (run > 1) {
      put(to + 32, s10, more);
      put(to + 48, s11, more);
    }
    if (run > 2) {
      put(to + 64, s20, more);
      put(to + 80, s21, more);
    }
    to += <usize>run << 5;
  }
}

export function sumProducts1(u: usize, g: usize, vectors: i32, to: usize, more: bool): void {
  sumProducts(1, u, g, vectors, to, more);
}

export function sumProducts2(u: usize, g: usize, vectors: i32, to: usize, more: bool): void {
  sumProducts(2, u, g, vectors, to, more);
}

export function sumProducts3(u: usize, g: usize, vectors: i32, to: usize, more: bool): void {
  sumProducts(3, u, g, vectors, to, more);
}

/** Partial sums of a group, in numbers. */
@inline
export function tileGradientSums<B>(b: B): i32 {
  return SQUARE * b.channels * ((b.filters + 1) & ~1);
}

/** Vectors of tiles that are transformed together. */
@inline
function vectorsTogether<B>(b: B): i32 {
  const all = (((b.heightY + 3) >> 2) * ((b.widthY + 3) >> 2) + 3) >> 2;
  const parts = (all + VECTORS - 1) / VECTORS;
  return (all + parts - 1) / parts;
}

/**
 * Adds to the sums of a group, or begins them with, the products of one observation: `image` is its first channel, `dy` its
 * first filter, `space` working memory whose end are the sums of all groups.
 */
export function tileGradientProducts<B>(b: B, image: usize, dy: usize, group: i32, space: usize, first: bool): void {
  const channels = b.channels;
  const filters = b.filters;
  const tilesInAll = ((b.heightY + 3) >> 2) * ((b.widthY + 3) >> 2);
  const together = vectorsTogether(b);
  const planeX = <usize>(b.heightX * b.widthX) << 2;
  const planeY = <usize>(b.heightY * b.widthY) << 2;
  const tiles = space;
  const half = tiles + FRONT / 2;
  const transformed = tiles + FRONT;
  const outputs = transformed + (<usize>(channels * together) << 10);
  const sums = outputs + (<usize>(2 * together) << 10) + (<usize>(group * tileGradientSums(b)) << 4);
  for (let tile = 0; tile < tilesInAll; tile += 4 * together) {
    const vectors = min((tilesInAll - tile + 3) >> 2, together);
    const more = !first || tile > 0;
    findTiles(b, tile, 4 * vectors, b.heightY, tiles);
    for (let c0 = 0, run = 0; c0 < channels; c0 += run) {
      run = runFrom(c0, channels);
      const to = transformed + (<usize>(c0 * vectors) << 10);
      for (let c = 0; c < run; ++c)
        for (let v = 0; v < vectors; ++v)
          transformTiles(b, image + <usize>(c0 + c) * planeX, tiles + <usize>(4 * v) * offsetof<Tile>(), half, to + (<usize>(v * run + c) << 4), <usize>(run * vectors) << 4);
    }
    let to = sums;
    for (let f = 0; f < filters; f += 2) {
      for (let j = 0; j < 2; ++j) {
        // without a second filter the first one stands in: nobody reads that sum
        const plane = dy + <usize>min(f + j, filters - 1) * planeY;
        for (let v = 0; v < vectors; ++v)
          transformPositions(plane, b.heightY, tiles + <usize>(4 * v) * offsetof<Tile>(), half, outputs + (<usize>(2 * v + j) << 4), <usize>vectors << 5);
      }
      for (let c0 = 0, run = 0; c0 < channels; c0 += run) {
        run = runFrom(c0, channels);
        const u = transformed + (<usize>(c0 * vectors) << 10);
        if (run == 3) sumProducts3(u, outputs, vectors, to, more);
        else if (run == 2) sumProducts2(u, outputs, vectors, to, more);
        else sumProducts1(u, outputs, vectors, to, more);
        to += <usize>(2 * run) << 10;
      }
    }
  }
}

/** Writes the sums of all groups to `to`, lanes added. */
export function finishTileGradient<B>(b: B, space: usize, to: usize): void {
  let at = space + FRONT + (<usize>((b.channels + 2) * vectorsTogether(b)) << 10);
  for (let left = b.groups * tileGradientSums(b); left > 0; left -= 4) {
    v128.store(to, sumLanes(v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48)));
    at += 64;
    to += 16;
  }
}

/**
 * Partial sums for combineTilesGradient. Work item: one of `splits` equal parts of the observations.
 * Preconditions: two dimensions, steps and spacings 1, at most 5 taps in each; the working memory holds
 * 4096 + 1024 (channels + 2) * vectors + 1024 groups * channels * filters2 bytes, vectors at most 12; 1 <= splits <= observations.
 * Order of summation: lane by lane over the tiles of an observation that are transformed together, then those and
 * observations one after the other, then the lanes.
 */
export function convolveTilesGradient(b: TilesGradientBlock, begin: i32, end: i32): void {
  const planeX = <usize>(b.heightX * b.widthX) << 2;
  const planeY = <usize>(b.heightY * b.widthY) << 2;
  for (let split = begin; split < end; ++split) {
    const from = ((split as i64) * (b.observations as i64) / (b.splits as i64)) as i32;
    const until = (((split + 1) as i64) * (b.observations as i64) / (b.splits as i64)) as i32;
    for (let n = from; n < until; ++n)
      for (let group = 0; group < b.groups; ++group) {
        const place = n * b.groups + group;
        tileGradientProducts(b, b.x + <usize>(place * b.channels) * planeX, b.dy + <usize>(place * b.filters) * planeY, group, scratch, n == from);
      }
    finishTileGradient(b, scratch, b.partials + (<usize>(split * b.groups * tileGradientSums(b)) << 2));
  }
}

@unmanaged class CombineTilesGradientBlock {
  partials: usize;
  gradient: usize;
  channels: i32;
  filters: i32;
  groups: i32;
  tapsH: i32;
  tapsW: i32;
  splits: i32;
}

/** gradient = G' sums G, the partial sums added in their order. Work item: one filter of one group. */
export function combineTilesGradient(b: CombineTilesGradientBlock, begin: i32, end: i32): void {
  const sums = scratch;
  const each = tileGradientSums(b);
  const apart = <usize>(b.groups * each) << 2;
  for (let item = begin; item < end; ++item) {
    const f = item % b.filters;
    const base = b.partials + (<usize>((item / b.filters) * each + (f >> 1) * 2 * b.channels * SQUARE + (f & 1)) << 2);
    let to = b.gradient + (<usize>(item * b.channels * b.tapsH * b.tapsW) << 2);
    for (let c0 = 0, run = 0; c0 < b.channels; c0 += run) {
      run = runFrom(c0, b.channels);
      for (let c = 0; c < run; ++c) {
        for (let p = 0; p < SQUARE; ++p) {
          let at = base + (<usize>(2 * c0 * SQUARE + 2 * (p * run + c)) << 2);
          let sum: f32 = 0;
          for (let s = 0; s < b.splits; ++s) {
            sum += load<f32>(at);
            at += apart;
          }
          store<f64>(sums + (<usize>p << 3), <f64>sum);
        }
        for (let h: usize = 0; h < 512; h += 64) filterGradient(sums + h, 8);
        for (let w = 0; w < b.tapsW; ++w) {
          filterGradient(sums + (<usize>w << 3), 64);
          for (let h = 0; h < b.tapsH; ++h) {
            store<f32>(to, <f32>load<f64>(sums + (<usize>(8 * h + w) << 3)));
            to += 4;
          }
        }
      }
    }
  }
}
