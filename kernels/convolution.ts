// Convolution in one to three dimensions as a product of implicit matrices, single precision. One geometry serves
// the convolution, its transpose (the gradient for the image) and the gradient for the filters:
//
//   y[u, f, g, n] = bias[f + F g] + sum over c, t of w[t, c, f, g] x[u step + t spacing + offset, c + C g, n]
//
// for u, t, step, spacing, offset with a value for each of the dimensions h, w, d; x is zero outside of itself.
// All arrays are column-major: x is [h, w, d, C, groups, N], y likewise with F. Fewer dimensions are sizes 1.
//
//   convolution              step = stride, spacing = dilation, offset = -padding
//   transpose, stride 1      x and y exchange their roles, spacing = -dilation, offset = padding
//   transpose, stride s      one call for each remainder r of the position modulo s (in every dimension): of the taps
//                            only those that meet the remainder, y written with strides of s
//
// The left operand of the product, patches[position, k] with k running over the taps (h fastest) and then the channels,
// exists only as one packed block in the working memory of a thread.
import { scratch } from './scratch';
import { BLOCK_K, BLOCK_ROWS, copyFloats, runLength, sumLanes, tile, tileColumn, zeroFloats } from './tile';

/** Positions of a block in the gradient for the filters: the longest run of products summed in one register. */
const GRADIENT_POSITIONS: i32 = 288;
/** Most rows k and columns f of filters that one work item of the gradient for the filters owns. */
const GRADIENT_K: i32 = 192;
const GRADIENT_FILTERS: i32 = 128;
/** Most filters per work item of the convolution. */
const MOST_FILTERS: i32 = 512;

@unmanaged class PackFiltersBlock {
  weights: usize;
  packed: usize; // groups * panels * k * 4 floats, panels = ceil(filters / 4), k = tapsH tapsW tapsD channels
  filters: i32;
  channels: i32;
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

/**
 * packed[j, k, panel, group] = w[k, 4 panel + j, group], zero where there is no such filter: the right operand of the
 * product, for `convolve`. Work item: one panel of 4 filters of one group.
 * Preconditions: none on alignment or sizes. Nothing is rounded.
 */
export function packFilters(block: PackFiltersBlock, begin: i32, end: i32): void {
  const panels = (block.filters + 3) >> 2;
  const stepH = (block.strideH as usize) << 2;
  for (let item = begin; item < end; item++) {
    const group = item / panels;
    const filter = (item % panels) << 2;
    const width = min(block.filters - filter, 4);
    const k = block.tapsH * block.tapsW * block.tapsD * block.channels;
    let to = block.packed + (((item as usize) * (k as usize)) << 4);
    const strideFilter = (block.strideFilter as usize) << 2;
    const base = block.weights +
      ((block.first as usize + (group as usize) * (block.strideGroup as usize)) << 2) + (filter as usize) * strideFilter;
    for (let c = 0; c < block.channels; c++)
      for (let d = 0; d < block.tapsD; d++)
        for (let w = 0; w < block.tapsW; w++) {
          let from = base + ((c * block.strideChannel + d * block.strideD + w * block.strideW) << 2);
          for (let h = 0; h < block.tapsH; h++) {
            store<f32>(to, load<f32>(from), 0);
            store<f32>(to, width > 1 ? load<f32>(from + strideFilter) : 0, 4);
            store<f32>(to, width > 2 ? load<f32>(from + 2 * strideFilter) : 0, 8);
            store<f32>(to, width > 3 ? load<f32>(from + 3 * strideFilter) : 0, 12);
            from += stepH;
            to += 16;
          }
        }
  }
}

@unmanaged class ConvolveBlock {
  x: usize;
  packed: usize; // from packFilters
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
  stepH: i32;
  stepW: i32;
  stepD: i32;
  spacingH: i32;
  spacingW: i32;
  spacingD: i32;
  offsetH: i32;
  offsetW: i32;
  offsetD: i32;
  firstY: i32; // element of y where position (0, 0, 0) lies
  strideHY: i32; // elements of y between neighbouring positions
  strideWY: i32;
  strideDY: i32;
  planeY: i32; // elements of y in one channel
  blockFilters: i32; // filters per work item, a multiple of 4, at most 512
}

// Runs of positions that lie side by side in one line of y, for the block of positions in hand.
// Each run is 8 integers: place in the block, length, h of its first position, w, d (already as coordinates in x
// before spacing is added), observation, and two spare.
const RUN_BYTES: usize = 32;

let runs: usize = 0; // where the runs of this thread lie
let runCount: i32 = 0;

function findRuns(first: i32, count: i32, height: i32, width: i32, depth: i32): void {
  let h = first % height;
  let rest = first / height;
  let w = rest % width;
  rest /= width;
  let d = rest % depth;
  let n = rest / depth;
  let place = 0;
  let run = runs;
  runCount = 0;
  while (place < count) {
    const length = min(height - h, count - place);
    store<i32>(run, place, 0);
    store<i32>(run, length, 4);
    store<i32>(run, h, 8);
    store<i32>(run, w, 12);
    store<i32>(run, d, 16);
    store<i32>(run, n, 20);
    run += RUN_BYTES;
    runCount++;
    place += length;
    h = 0;
    if (++w == width) {
      w = 0;
      if (++d == depth) {
        d = 0;
        n++;
      }
    }
  }
}

/** Lines k0 .. k0+k of the patches of the runs in hand: line k at to + k * line bytes, one float per position. */
function packPatches(
  x: usize, channels: i32, heightX: i32, widthX: i32, depthX: i32, planes: i32,
  tapsH: i32, tapsW: i32, tapsD: i32, stepH: i32, stepW: i32, stepD: i32,
  spacingH: i32, spacingW: i32, spacingD: i32, offsetH: i32, offsetW: i32, offsetD: i32,
  k0: i32, k: i32, to: usize, line: usize, count: i32, padded: i32,
): void {
  const planeBytes = ((heightX * widthX * depthX) as usize) << 2;
  const tap0 = k0 % tapsH;
  let rest = k0 / tapsH;
  const tapW0 = rest % tapsW;
  rest /= tapsW;
  const tapD0 = rest % tapsD;
  const c0 = rest / tapsD;
  for (let r = 0, run = runs; r < runCount; r++, run += RUN_BYTES) {
    const length = load<i32>(run, 4);
    const firstH = load<i32>(run, 8) * stepH + offsetH;
    const firstW = load<i32>(run, 12) * stepW + offsetW;
    const firstD = load<i32>(run, 16) * stepD + offsetD;
    // Whether every tap of every position of the run is inside in the direction h.
    const reach = firstH + (tapsH - 1) * spacingH;
    const last = (length - 1) * stepH;
    const inside = min(firstH, reach) >= 0 && max(firstH, reach) + last < heightX;
    const image = x + (load<i32>(run, 20) as usize) * (planes as usize) * planeBytes;
    let at = to + ((load<i32>(run, 0) as usize) << 2);
    let left = k;
    let tapH = tap0;
    let tapW = tapW0;
    let tapD = tapD0;
    let plane = image + (c0 as usize) * planeBytes;
    while (left > 0) {
      const taps = min(tapsH - tapH, left);
      const w = firstW + tapW * spacingW;
      const d = firstD + tapD * spacingD;
      if (w < 0 || w >= widthX || d < 0 || d >= depthX) {
        for (let t = 0; t < taps; t++) {
          zeroFloats(at, length);
          at += line;
        }
      } else {
        const row = plane + (((d * widthX + w) * heightX) << 2);
        let h = firstH + tapH * spacingH;
        if (inside && stepH == 1) {
          let from = row + (h << 2);
          const next = spacingH << 2;
          if (length >= 4) {
            const final = ((length - 4) as usize) << 2;
            for (let t = 0; t < taps; t++) {
              for (let i: usize = 0; i < final; i += 16) v128.store(at + i, v128.load(from + i));
              v128.store(at + final, v128.load(from + final));
              from += next;
              at += line;
            }
          } else {
            for (let t = 0; t < taps; t++) {
              for (let i = 0; i < length; i++) store<f32>(at + (i << 2), load<f32>(from + (i << 2)));
              from += next;
              at += line;
            }
          }
        } else {
          for (let t = 0; t < taps; t++) {
            // Positions lo..hi of the run are inside: 0 <= h + i stepH < heightX.
            let lo = h >= 0 ? 0 : (-h + stepH - 1) / stepH;
            let hi = h < heightX ? (heightX - 1 - h) / stepH + 1 : 0;
            lo = min(lo, length);
            hi = max(min(hi, length), lo);
            if (lo > 0) zeroFloats(at, lo);
            if (stepH == 1) {
              if (hi > lo) copyFloats(at + (lo << 2), row + ((h + lo) << 2), hi - lo);
            } else {
              let from = row + ((h + lo * stepH) << 2);
              const next = stepH << 2;
              for (let i = lo; i < hi; i++) {
                store<f32>(at + (i << 2), load<f32>(from));
                from += next;
              }
            }
            if (hi < length) zeroFloats(at + (hi << 2), length - hi);
            h += spacingH;
            at += line;
          }
        }
      }
      left -= taps;
      tapH = 0;
      if (++tapW == tapsW) {
        tapW = 0;
        if (++tapD == tapsD) {
          tapD = 0;
          plane += planeBytes;
        }
      }
    }
  }
  if (padded > count)
    for (let i = 0, at = to + ((count as usize) << 2); i < k; i++, at += line) zeroFloats(at, padded - count);
}

/**
 * The formula at the top of this file. Work item: 96 successive positions (of all observations together, so that small
 * images fill their tiles) times `blockFilters` filters of one group; items run over the positions first, then over the
 * blocks of filters, then over the groups.
 * Preconditions: addresses of floats (alignment 4 is enough); blockFilters a multiple of 4 in 4..512; counts of taps may
 * be 0, which gives the bias alone; y does not overlap the other arrays.
 * Tails: patches are completed with zeros to 8 positions, filters to 4; a tile whose 8 positions do not lie side by side
 * in y, or that is not full, goes through working memory. Order of summation: k ascending in runs of at most 256, each
 * run summed from zero and added to y, which starts as the bias; it depends on the number of taps and channels alone.
 */
export function convolve(block: ConvolveBlock, begin: i32, end: i32): void {
  const filters = block.filters;
  const plane = block.heightY * block.widthY * block.depthY;
  const positions = plane * block.observations;
  const positionBlocks = (positions + BLOCK_ROWS - 1) / BLOCK_ROWS;
  const filterBlocks = (filters + block.blockFilters - 1) / block.blockFilters;
  const taps = block.tapsH * block.tapsW * block.tapsD;
  const k = taps * block.channels;
  const run = runLength(k);
  const patches = scratch;
  const partial = patches + BLOCK_ROWS * BLOCK_K * 4;
  const bias = partial + 128;
  const places = bias + MOST_FILTERS * 4;
  runs = places + BLOCK_ROWS * 4;
  const planes = block.channels * block.groups;
  const planeX = ((block.heightX * block.widthX * block.depthX) as usize) << 2;
  const planeY = (block.planeY as usize) << 2;
  for (let item = begin; item < end; item++) {
    const first = (item % positionBlocks) * BLOCK_ROWS;
    const filter0 = ((item / positionBlocks) % filterBlocks) * block.blockFilters;
    const group = item / positionBlocks / filterBlocks;
    const count = min(positions - first, BLOCK_ROWS);
    const columns = min(filters - filter0, block.blockFilters);
    const padded = (count + 7) & ~7;
    findRuns(first, count, block.heightY, block.widthY, block.depthY);
    // Where each position lies in y, in bytes from the plane of the first filter of the first observation.
    for (let r = 0, at = runs, place = places; r < runCount; r++, at += RUN_BYTES) {
      let y = ((load<i32>(at, 20) as usize) * (filters as usize) * (block.groups as usize)) * planeY +
        ((block.firstY + load<i32>(at, 8) * block.strideHY + load<i32>(at, 12) * block.strideWY +
          load<i32>(at, 16) * block.strideDY) << 2);
      for (let i = load<i32>(at, 4); i > 0; i--) {
        store<usize>(place, y);
        place += sizeof<usize>();
        y += block.strideHY << 2;
      }
    }
    for (let j = 0, padding = (columns + 3) & ~3; j < padding; j++)
      store<f32>(bias + (j << 2), block.bias && j < columns
        ? load<f32>(block.bias + ((group * filters + filter0 + j) << 2)) : 0);
    const output = block.y + ((group * filters + filter0) as usize) * planeY;
    const panels = block.packed +
      (((group as usize) * (((filters + 3) >> 2) as usize) + ((filter0 >> 2) as usize)) * (k as usize) << 4);
    const image = block.x + ((group * block.channels) as usize) * planeX;
    let k0 = 0;
    do {
      const lines = min(run, k - k0);
      if (lines > 0)
        packPatches(image, block.channels, block.heightX, block.widthX, block.depthX, planes,
          block.tapsH, block.tapsW, block.tapsD, block.stepH, block.stepW, block.stepD,
          block.spacingH, block.spacingW, block.spacingD, block.offsetH, block.offsetW, block.offsetD,
          k0, lines, patches, BLOCK_ROWS * 4, count, padded);
      for (let i = 0; i < count; i += 8) {
        const rows = patches + (i << 2);
        const height = min(count - i, 8);
        const place = places + (i << 2);
        const y0 = load<usize>(place);
        const together = height == 8 && load<usize>(place, 28) - y0 == 28;
        for (let j = 0; j < columns; j += 4) {
          const panel = panels + (((j >> 2) as usize) * (k as usize) + (k0 as usize) << 4);
          const width = min(columns - j, 4);
          const to = output + (j as usize) * planeY;
          const start = k0 == 0 ? bias + (j << 2) : 0;
          if (filters == 1 && together) {
            tileColumn(rows, panel, lines, to + y0, start);
            continue;
          }
          if (width == 4 && together) {
            tile(rows, panel, lines, to + y0, planeY, start);
            continue;
          }
          if (!start) memory.fill(partial, 0, 128);
          if (filters == 1) tileColumn(rows, panel, lines, partial, start);
          else tile(rows, panel, lines, partial, 32, start);
          for (let f = 0; f < width; f++)
            for (let r = 0; r < height; r++) {
              const at = to + (f as usize) * planeY + load<usize>(place + (r << 2));
              const value = load<f32>(partial + (((f << 3) + r) << 2));
              store<f32>(at, start ? value : load<f32>(at) + value);
            }
        }
      }
      k0 += run;
    } while (k0 < k);
  }
}

@unmanaged class FilterGradientBlock {
  x: usize;
  dy: usize; // [h, w, d, filters, groups, observations]
  partials: usize; // splits * groups * filters2 * k4 floats: filters rounded up to 2, k to a multiple of 4
  observations: i32;
  groups: i32;
  channels: i32; // per group
  filters: i32; // per group
  heightX: i32;
  widthX: i32;
  depthX: i32;
  heightY: i32;
  widthY: i32;
  depthY: i32;
  tapsH: i32;
  tapsW: i32;
  tapsD: i32;
  stepH: i32;
  stepW: i32;
  stepD: i32;
  spacingH: i32;
  spacingW: i32;
  spacingD: i32;
  offsetH: i32;
  offsetW: i32;
  offsetD: i32;
  splits: i32; // into how many partial sums the positions are cut; a function of the sizes alone
}

// 4 lines of patches times 2 lines of dy, lines GRADIENT_POSITIONS floats apart: sums over `count` positions (a multiple
// of 4), lane by lane, then over lanes.
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
    const y1 = v128.load(b, GRADIENT_POSITIONS * 4);
    let x = v128.load(a);
    s00 = f32x4.add(s00, f32x4.mul(x, y0));
    s01 = f32x4.add(s01, f32x4.mul(x, y1));
    x = v128.load(a, GRADIENT_POSITIONS * 4);
    s10 = f32x4.add(s10, f32x4.mul(x, y0));
    s11 = f32x4.add(s11, f32x4.mul(x, y1));
    x = v128.load(a, GRADIENT_POSITIONS * 8);
    s20 = f32x4.add(s20, f32x4.mul(x, y0));
    s21 = f32x4.add(s21, f32x4.mul(x, y1));
    x = v128.load(a, GRADIENT_POSITIONS * 12);
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
 * partials[k, f, g, s] = sum over the positions u and observations n of part s of patches[u n, k, g] dy[u, f, g, n].
 * Work item: up to 192 rows k and 128 filters of one group in one of `splits` equal parts of the blocks of 288
 * positions; items run over the parts first, then over rows, filters and groups.
 * Preconditions: addresses of floats; counts of taps and filters of 1 or more; 1 <= splits. Without any position the
 * partial sums are zero. `partials` is laid out with k rounded up to a multiple of 4 and f to a multiple of 2.
 * Tails: patches and dy are completed with zeros, both in positions and in rows.
 * Order of summation: four lanes over 288 positions, the lanes, then block after block; it depends on sizes alone.
 */
export function convolveFilterGradient(block: FilterGradientBlock, begin: i32, end: i32): void {
  const filters = block.filters;
  const plane = block.heightY * block.widthY * block.depthY;
  const positions = plane * block.observations;
  const blocks = (positions + GRADIENT_POSITIONS - 1) / GRADIENT_POSITIONS;
  const k = block.tapsH * block.tapsW * block.tapsD * block.channels;
  const k4 = (k + 3) & ~3;
  const filters2 = (filters + 1) & ~1;
  const rowBlocks = (k + GRADIENT_K - 1) / GRADIENT_K;
  const filterBlocks = (filters + GRADIENT_FILTERS - 1) / GRADIENT_FILTERS;
  const line: usize = GRADIENT_POSITIONS * 4;
  const patches = scratch;
  const gradients = patches + (GRADIENT_K as usize) * line;
  runs = gradients + (GRADIENT_FILTERS as usize) * line;
  const planes = block.channels * block.groups;
  const planeX = ((block.heightX * block.widthX * block.depthX) as usize) << 2;
  for (let item = begin; item < end; item++) {
    const split = item % block.splits;
    let rest = item / block.splits;
    const k0 = (rest % rowBlocks) * GRADIENT_K;
    rest /= rowBlocks;
    const filter0 = (rest % filterBlocks) * GRADIENT_FILTERS;
    const group = rest / filterBlocks;
    const rows = min(k - k0, GRADIENT_K);
    const columns = min(filters - filter0, GRADIENT_FILTERS);
    const rows4 = (rows + 3) & ~3;
    const columns2 = (columns + 1) & ~1;
    const to = block.partials +
      ((((split * block.groups + group) as usize) * (filters2 as usize) + (filter0 as usize)) * (k4 as usize) +
        (k0 as usize) << 2);
    const toColumn = (k4 as usize) << 2;
    const image = block.x + ((group * block.channels) as usize) * planeX;
    const firstBlock = ((split as i64) * (blocks as i64) / (block.splits as i64)) as i32;
    const lastBlock = (((split + 1) as i64) * (blocks as i64) / (block.splits as i64)) as i32;
    if (firstBlock == lastBlock) {
      for (let f = 0; f < columns2; f++) zeroFloats(to + (f as usize) * toColumn, rows4);
      continue;
    }
    for (let i = rows; i < rows4; i++) zeroFloats(patches + (i as usize) * line, GRADIENT_POSITIONS);
    if (columns2 > columns) zeroFloats(gradients + (columns as usize) * line, GRADIENT_POSITIONS);
    for (let at = firstBlock; at < lastBlock; at++) {
      const first = at * GRADIENT_POSITIONS;
      const count = min(positions - first, GRADIENT_POSITIONS);
      const padded = (count + 3) & ~3;
      findRuns(first, count, block.heightY, block.widthY, block.depthY);
      packPatches(image, block.channels, block.heightX, block.widthX, block.depthX, planes,
        block.tapsH, block.tapsW, block.tapsD, block.stepH, block.stepW, block.stepD,
        block.spacingH, block.spacingW, block.spacingD, block.offsetH, block.offsetW, block.offsetD,
        k0, rows, patches, line, count, padded);
      for (let place = 0; place < count; ) {
        const n = (first + place) / plane;
        const u = first + place - n * plane;
        const length = min(plane - u, count - place);
        let from = block.dy +
          ((((n * block.groups + group) as usize) * (filters as usize) + (filter0 as usize)) * (plane as usize) +
            (u as usize) << 2);
        let lineOf = gradients + (place << 2);
        for (let f = 0; f < columns; f++) {
          copyFloats(lineOf, from, length);
          from += plane << 2;
          lineOf += line;
        }
        place += length;
      }
      if (padded > count)
        for (let f = 0; f < columns; f++)
          zeroFloats(gradients + (f as usize) * line + ((count as usize) << 2), padded - count);
      for (let i = 0; i < rows4; i += 4)
        for (let f = 0; f < columns2; f += 2)
          dotTile(patches + (i as usize) * line, gradients + (f as usize) * line, padded,
            to + (f as usize) * toColumn + (i << 2), toColumn, at > firstBlock);
    }
  }
}

@unmanaged class CombineFilterGradientBlock {
  partials: usize; // from convolveFilterGradient
  gradient: usize; // [k, filters, groups]
  k: i32;
  filters: i32;
  groups: i32;
  splits: i32;
}

/**
 * gradient[k, f, g] = sum over s of partials[k, f, g, s], s ascending from the first part.
 * Work item: one filter of one group. Preconditions: as written by convolveFilterGradient.
 * Tails: the last k that do not fill 4 lanes are summed one by one, in the same order.
 */
export function combineFilterGradient(block: CombineFilterGradientBlock, begin: i32, end: i32): void {
  const k4 = ((block.k + 3) & ~3) as usize;
  const filters2 = (block.filters + 1) & ~1;
  const part = (((block.groups * filters2) as usize) * k4) << 2;
  for (let item = begin; item < end; item++) {
    const row = (item / block.filters) * filters2 + (item % block.filters);
    let from = block.partials + (((row as usize) * k4) << 2);
    let to = block.gradient + (((item as usize) * (block.k as usize)) << 2);
    let i = 0;
    for (; i + 4 <= block.k; i += 4) {
      let sum = v128.load(from);
      for (let s = 1, at = from + part; s < block.splits; s++, at += part) sum = f32x4.add(sum, v128.load(at));
      v128.store(to, sum);
      from += 16;
      to += 16;
    }
    for (; i < block.k; i++) {
      let sum = load<f32>(from);
      for (let s = 1, at = from + part; s < block.splits; s++, at += part) sum += load<f32>(at);
      store<f32>(to, sum);
      from += 4;
      to += 4;
    }
  }
}

@unmanaged class BiasGradientBlock {
  dy: usize; // [plane, channels, observations]
  gradient: usize; // channels floats
  plane: i32;
  channels: i32;
  observations: i32;
}

/**
 * gradient[c] = sum over p, n of dy[p, c, n]. Work item: one channel.
 * Preconditions: addresses of floats. Tails: the last p that do not fill 16 are summed one by one.
 * Order of summation: each plane in 4 accumulators of 4 lanes, then (0+1)+(2+3) and its lanes (0+2)+(1+3), then the
 * tail; planes are added in the order of the observations.
 */
export function biasGradient(block: BiasGradientBlock, begin: i32, end: i32): void {
  const plane = block.plane;
  for (let c = begin; c < end; c++) {
    let total: f32 = 0;
    for (let n = 0; n < block.observations; n++) {
      let at = block.dy + ((((n * block.channels + c) as usize) * (plane as usize)) << 2);
      let s0 = f32x4.splat(0);
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      let i = 0;
      for (; i + 16 <= plane; i += 16) {
        s0 = f32x4.add(s0, v128.load(at, 0));
        s1 = f32x4.add(s1, v128.load(at, 16));
        s2 = f32x4.add(s2, v128.load(at, 32));
        s3 = f32x4.add(s3, v128.load(at, 48));
        at += 64;
      }
      const s = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
      let sum: f32 = (f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 2)) +
        (f32x4.extract_lane(s, 1) + f32x4.extract_lane(s, 3));
      for (; i < plane; i++) {
        sum += load<f32>(at);
        at += 4;
      }
      total += sum;
    }
    store<f32>(block.gradient + ((c as usize) << 2), total);
  }
}
