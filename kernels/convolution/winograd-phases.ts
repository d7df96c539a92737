// Convolution by Winograd's minimal filtering with five points in each dimension, single precision: the formula of
// convolution.ts with 5 / (m r) of its multiplications in each dimension, for what F(4x4, 3x3) in winograd.ts does not
// compute. A tile of m = 3 or 4 positions of y comes from 5 of x and r = 6 - m taps:
//
//   m = 3   longer filters are cut into runs of three taps. A run begins one tile after the run before, so that all of
//           them read the same transformed tiles, and their sum is transformed back once.
//   m = 4   two taps: what is left of a filter with 3 or 4 taps of a convolution with step 2, whose image is cut into
//           phases, the positions that leave the same remainder modulo 2. Phases of the image are channels here. In a
//           transposed convolution it is y that is cut into phases; those are filters here.
//
// The polynomials are evaluated at -5/4, -1/2, 1/2, 5/4 and infinity: the errors are then close to those of the sum
// itself (rounding errors relative to it by Barabasz, Anderson, Soodhalter, Gregg, "Error Analysis and Improving the
// Accuracy of Winograd Convolution for Deep Neural Networks", 2020, who search such points). A column is the tiles that
// follow each other along h; columns follow each other along w, then over observations. Between the kernels values lie as
//   image   [tiles of a column, channels, 25, groups, columns], tiles and columns with those that later runs of taps read
//   filters [4, runs of taps, channels, panels of 4 filters, 25, groups]
// with the 25 numbers of a tile h first, channels after each other within a phase, runs h first, then w. All other arrays are as in convolution.ts.
import { direct8x4 } from './convolution-direct';
import { scratch } from '../scratch';
import { copyFloats, copyLine, transpose4 } from '../products/tile';

const POINTS: i32 = 25;

/** Bytes of a point of the filters: a cache line more than they need, so that the points lie in different sets. */
@inline
function pointBytes(panels: i32, terms: i32): usize {
  return (((panels * terms) as usize) << 4) + 64;
}

/** Place of a phase among those of the image: where the last of its taps is missing, it lies at the beginning or the end. */
@inline
function placeOf(phaseH: i32, phaseW: i32, phasesW: i32): i32 {
  return phaseH == 0 ? phasesW - 1 - phaseW : phasesW + phaseW;
}

@unmanaged class PhaseFiltersBlock {
  weights: usize;
  transformed: usize;
  filters: i32; // per group
  channels: i32; // per group
  groups: i32;
  phasesXH: i32; // of the image
  phasesXW: i32;
  phasesYH: i32;
  phasesYW: i32;
  tapsH: i32;
  tapsW: i32;
  runsH: i32;
  runsW: i32;
  runTaps: i32; // 2 or 3
  firstH: i32; // tap of phase 0 that reads the first of five values; that of the next value is `stepH` further
  firstW: i32;
  stepH: i32;
  stepW: i32;
  strideH: i32; // elements of weights
  strideW: i32;
  strideChannel: i32;
  strideFilter: i32;
  strideGroup: i32;
}

// The five values G g of two or three; `g2` is zero where there are two.
@inline
function filterPoints(g0: v128, g1: v128, g2: v128, last: v128, to: usize, line: usize): void {
  const even = f32x4.mul(f32x4.add(g0, f32x4.mul(g2, f32x4.splat(0.25))), f32x4.splat(16.0 / 21.0));
  const wide = f32x4.mul(f32x4.add(g0, f32x4.mul(g2, f32x4.splat(1.5625))), f32x4.splat(32.0 / 105.0));
  const odd = f32x4.mul(g1, f32x4.splat(8.0 / 21.0));
  v128.store(to, f32x4.add(even, odd));
  v128.store(to + line, f32x4.sub(even, odd));
  v128.store(to + 2 * line, f32x4.add(odd, wide));
  v128.store(to + 3 * line, f32x4.sub(odd, wide));
  v128.store(to + 4 * line, last);
}

// One tap of four filters of channel c, by four places and steps.
@inline
function fourTaps(at: usize, c: usize): v128 {
  let taps = v128.load32_zero(load<usize>(at) + c * load<usize>(at, 144));
  taps = v128.load_lane<f32>(load<usize>(at, 4) + c * load<usize>(at, 148), taps, 1);
  taps = v128.load_lane<f32>(load<usize>(at, 8) + c * load<usize>(at, 152), taps, 2);
  return v128.load_lane<f32>(load<usize>(at, 12) + c * load<usize>(at, 156), taps, 3);
}

/**
 * transformed = G w G' of every run of taps, zero for filters beyond the last. Work item: one panel of 4 filters of one
 * group, phases of y counted as filters. Preconditions: none on alignment. Filters are the lanes, so that there is no tail.
 */
export function phaseFilters(block: PhaseFiltersBlock, begin: i32, end: i32): void {
  const phasesY = block.phasesYH * block.phasesYW;
  const phasesX = block.phasesXH * block.phasesXW;
  const runs = block.runsH * block.runsW;
  const filters = block.filters * phasesY;
  const panels = (filters + 3) >> 2;
  const r = block.runTaps;
  const last = (r - 1) as usize;
  const terms = block.channels * phasesX * runs;
  const next = pointBytes(panels, terms);
  const strideChannel = (block.strideChannel as usize) << 2;
  const half = scratch; // 3 (w) times 5 (h) vectors
  const places = half + 15 * 16; // of each lane of 3 (w) times 3 (h) taps: where it lies for the first channel
  const steps = places + 36 * 4; // from channel to channel
  const zero = steps + 36 * 4;
  store<f32>(zero, 0);
  for (let at = places; at < steps; at += 4) {
    store<usize>(at, zero);
    store<usize>(at + 36 * 4, 0);
  }
  for (let item = begin; item < end; item++) {
    const group = item / panels;
    const panel = item % panels;
    const weights = block.weights + ((group * block.strideGroup) << 2);
    const first = block.transformed + (group as usize) * POINTS * next + (((panel * terms) as usize) << 4);
    for (let term = 0; term < phasesX * runs; term++) {
      const runH = term % block.runsH;
      const runW = term / block.runsH % block.runsW;
      const phaseH = term / runs % block.phasesXH;
      const phaseW = term / runs / block.phasesXH;
      const place = placeOf(phaseH, phaseW, block.phasesXW) as usize;
      for (let lane = 0; lane < 4; lane++) {
        const index = 4 * panel + lane;
        const firstH = block.firstH + phaseH + index % block.phasesYH;
        const firstW = block.firstW + phaseW + index / block.phasesYH % block.phasesYW;
        for (let w = 0; w < r; w++)
          for (let h = 0; h < r; h++) {
            const tapH = firstH + (runH * r + h) * block.stepH;
            const tapW = firstW + (runW * r + w) * block.stepW;
            const inside = index < filters && tapH >= 0 && tapH < block.tapsH && tapW >= 0 && tapW < block.tapsW;
            const at = places + (((3 * w + h) * 4 + lane) << 2);
            store<usize>(at, inside ? weights +
              ((index / phasesY * block.strideFilter + tapW * block.strideW + tapH * block.strideH) << 2) : zero);
            store<usize>(at + 36 * 4, inside ? strideChannel : 0);
          }
      }
      for (let c: usize = 0; c < (block.channels as usize); c++) {
        for (let w: usize = 0; w < 3; w++) {
          const at = places + w * 48;
          const g0 = fourTaps(at, c);
          const g1 = fourTaps(at + 16, c);
          const g2 = fourTaps(at + 32, c);
          filterPoints(g0, g1, g2, r == 3 ? g2 : g1, half + w * 80, 16);
        }
        const to = first + (((place * (block.channels as usize) + c) * (runs as usize) + term % runs) << 4);
        for (let i: usize = 0; i < 5; i++) {
          const at = half + (i << 4);
          filterPoints(v128.load(at, 0), v128.load(at, 80), v128.load(at, 160), v128.load(at + last * 80), to + i * next,
            5 * next);
        }
      }
    }
  }
}

@unmanaged class PhaseImageBlock {
  x: usize;
  transformed: usize;
  planes: i32; // channels times groups
  channels: i32; // per group
  height: i32;
  width: i32;
  phasesH: i32;
  phasesW: i32;
  offsetH: i32; // where the first tile begins
  offsetW: i32;
  extent: i32; // m: positions from tile to tile
  tilesH: i32; // tiles of a column, a multiple of 4
  columns: i32; // of an observation
  firstColumn: i32; // columns handled by this call lie at the beginning of `transformed`
}

// The five values B' d of five, `line` bytes apart.
@inline
function imagePoints(d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, to: usize, line: usize): void {
  const narrow = f32x4.splat(0.25);
  const wide = f32x4.splat(1.5625);
  const p = f32x4.sub(f32x4.mul(wide, d1), d3);
  const q = f32x4.mul(f32x4.splat(0.5), f32x4.sub(f32x4.mul(wide, d0), d2));
  v128.store(to, f32x4.add(q, p));
  v128.store(to + line, f32x4.sub(q, p));
  const r = f32x4.sub(d3, f32x4.mul(narrow, d1));
  const even = f32x4.sub(d2, f32x4.mul(narrow, d0));
  const s = f32x4.mul(f32x4.splat(1.25), even);
  v128.store(to + 2 * line, f32x4.add(r, s));
  v128.store(to + 3 * line, f32x4.sub(r, s));
  v128.store(to + 4 * line, f32x4.sub(f32x4.sub(d4, f32x4.mul(narrow, d2)), f32x4.mul(wide, even)));
}

/**
 * transformed = B' x B of every tile of every phase. Work item: one channel of one column. Preconditions: addresses of
 * floats; 10 (tilesH + 4) extent phasesH floats and 8 (tilesH + 4) fit in 2 MB. Outside of the image x is zero.
 */
export function phaseImage(block: PhaseImageBlock, begin: i32, end: i32): void {
  const extent = block.extent;
  const tilesH = block.tilesH as usize;
  const phasesH = block.phasesH;
  const phasesW = block.phasesW;
  const apart = (extent * phasesH) as usize; // positions of x from tile to tile
  const length = apart * (tilesH + 4);
  const line = length << 2;
  const phaseLine = (tilesH + 4) << 2;
  const lines = scratch;
  const cut = lines + 5 * line + 64; // lines by the remainder of the position modulo `apart`
  const channels = block.channels * phasesH * phasesW;
  const tileLine = tilesH << 2;
  const point = (channels as usize) * tileLine;
  const plane = ((block.height * block.width) as usize) << 2;
  for (let item = begin; item < end; item++) {
    const at = item / block.planes;
    const channel = item % block.planes;
    const column = (block.firstColumn + at) % block.columns;
    const image = block.x + (((block.firstColumn + at) / block.columns * block.planes + channel) as usize) * plane;
    const group = channel / block.channels;
    const to = block.transformed + ((at * (block.planes / block.channels) + group) as usize) * POINTS * point +
      ((channel % block.channels) as usize) * tileLine;
    for (let phaseW = 0; phaseW < phasesW; phaseW++) {
      for (let i = 0, to = lines; i < 5; i++, to += line) {
        const w = phasesW * (extent * column + i) + phaseW + block.offsetW;
        if (w < 0 || w >= block.width) memory.fill(to, 0, line);
        else copyLine(to, image + ((w * block.height) << 2), block.offsetH, block.height, length as i32);
      }
      for (let h: usize = 0; h < line; h += 16) {
        const from = lines + h;
        imagePoints(v128.load(from), v128.load(from + line), v128.load(from + 2 * line), v128.load(from + 3 * line),
          v128.load(from + 4 * line), from, line);
      }
      for (let i: usize = 0; i < 5; i++) {
        const row = apart << 2;
        for (let h: usize = 0, from = lines + i * line; h < phaseLine; h += 16, from += 4 * row)
          for (let remainder: usize = 0; remainder < apart; remainder += 4) {
            const first = from + (remainder << 2);
            transpose4(first, first + row, first + 2 * row, first + 3 * row, cut + remainder * phaseLine + h, phaseLine);
          }
        for (let phaseH = 0; phaseH < phasesH; phaseH++) {
          const next = (phasesH as usize) * phaseLine;
          const d0 = cut + (phaseH as usize) * phaseLine;
          const d3 = extent == 3 ? d0 + 4 : d0 + 3 * next;
          const d4 = extent == 3 ? d0 + next + 4 : d0 + 4;
          const points = to + 5 * i * point +
            ((placeOf(phaseH, phaseW, phasesW) * block.channels) as usize) * tileLine;
          for (let t: usize = 0; t < tileLine; t += 16)
            imagePoints(v128.load(d0 + t), v128.load(d0 + next + t), v128.load(d0 + 2 * next + t), v128.load(d3 + t),
              v128.load(d4 + t), points + t, point);
        }
      }
    }
  }
}

@unmanaged class PhaseConvolveBlock {
  image: usize;
  transformed: usize; // filters
  bias: usize; // filters times groups floats, or 0
  y: usize;
  channels: i32; // per group, phases of x counted
  filters: i32; // per group
  groups: i32;
  runsH: i32;
  runsW: i32;
  phasesH: i32; // of y
  phasesW: i32;
  skipH: i32; // positions before the first of y
  skipW: i32;
  extent: i32;
  tilesH: i32; // tiles of a column in `image`
  columns: i32; // of an observation in `image`
  height: i32; // of y
  width: i32;
  tiles: i32; // tiles of a column that y needs, a multiple of 8
  columnsY: i32; // columns of an observation that y needs
  firstColumn: i32; // of y, over all observations
  count: i32; // columns of y in this call
  together: i32; // columns per work item
  part: i32; // filters per work item, phases counted; a multiple of 4 and of the phases
  runChannels: i32; // channels that are summed in registers
  // At the point infinity the last tap counts alone: channels of phases that lack it are left out.
  endH: i32; // first of them at infinity along h
  beginW: i32; // those between are there at infinity along w
  endW: i32;
}

// The m values A' of five vectors `from` line bytes apart, `to` next bytes apart.
@inline
function outputPositions(from: usize, line: usize, to: usize, next: usize, extent: i32): void {
  const m0 = v128.load(from);
  const m1 = v128.load(from + line);
  const m2 = v128.load(from + 2 * line);
  const m3 = v128.load(from + 3 * line);
  const last = v128.load(from + 4 * line);
  const a = f32x4.add(m0, m1);
  const b = f32x4.sub(m0, m1);
  const c = f32x4.add(m2, m3);
  const d = f32x4.sub(m2, m3);
  v128.store(to, f32x4.add(a, c));
  v128.store(to + next, f32x4.add(f32x4.mul(b, f32x4.splat(0.5)), f32x4.mul(d, f32x4.splat(1.25))));
  const square = f32x4.add(f32x4.mul(a, f32x4.splat(0.25)), f32x4.mul(c, f32x4.splat(1.5625)));
  if (extent == 3) v128.store(to + 2 * next, f32x4.add(square, last));
  else {
    v128.store(to + 2 * next, square);
    v128.store(to + 3 * next,
      f32x4.add(f32x4.add(f32x4.mul(b, f32x4.splat(0.125)), f32x4.mul(d, f32x4.splat(1.953125))), last));
  }
}

/**
 * y = A' [sum over channels and runs of taps of image times filters] A + bias. Work item: `part` filters of one group of
 * `together` columns; items run over the filters first, then over the groups, then over the columns.
 * Preconditions: addresses of floats; `together` times `part` times 25 times `tiles` floats fit in 1 MB, two by two lines
 * of y and 20 (tiles + 1) floats in 512 kB; runChannels runsH runsW <= 4096. Tails: positions beyond y are not stored.
 * Order of summation: channels ascending, runs within a channel, in registers for `runChannels` channels at a time.
 */
export function phaseConvolve(block: PhaseConvolveBlock, begin: i32, end: i32): void {
  const channels = block.channels;
  const groups = block.groups;
  const runsH = block.runsH;
  const runsW = block.runsW;
  const phasesH = block.phasesH;
  const phasesW = block.phasesW;
  const extent = block.extent;
  const tilesH = block.tilesH;
  const columns = block.columns;
  const tiles = block.tiles;
  const height = block.height;
  const width = block.width;
  const runs = runsH * runsW;
  const terms = channels * runs;
  const phases = phasesH * phasesW;
  const filters = block.filters * phases;
  const panels = (filters + 3) >> 2;
  const parts = (filters + block.part - 1) / block.part;
  const line = (tiles as usize) << 2;
  const offsets = scratch;
  const zeros = offsets + 4096 * sizeof<usize>();
  const products = zeros + 64;
  const half = products + ((block.together * block.part) as usize) * POINTS * line; // m (w) times 5 (h) lines
  const whole = half + 20 * line; // m (w) times phasesH lines of positions along h
  const row = (extent as usize) << 2;
  const wholeLine = (extent as usize) * line + 64;
  const woven = whole + ((extent * phasesH) as usize) * wholeLine;
  const filterBytes = (POINTS as usize) * line;
  const filterPoint = pointBytes(panels, terms);
  const plane = (tilesH as usize) << 2;
  const point = plane * (channels as usize);
  const columnBytes = point * ((groups * POINTS) as usize);
  memory.fill(zeros, 0, 16);
  for (let c = 0, at = offsets; c < min(block.runChannels, channels); c++)
    for (let w = 0; w < runsW; w++)
      for (let h = 0; h < runsH; h++) {
        store<usize>(at, (w as usize) * columnBytes + (c as usize) * plane + (h << 2));
        at += sizeof<usize>();
      }
  const origin = block.firstColumn / block.columnsY * columns + block.firstColumn % block.columnsY;
  for (let item = begin; item < end; item++) {
    const filter0 = item % parts * block.part;
    const group = item / parts % groups;
    const first = item / parts / groups * block.together;
    const count = min(block.count - first, block.together);
    const wide = min(filters - filter0, block.part);
    for (let p = 0; p < POINTS; p++) {
      const low = p >= 20 ? block.beginW : 0;
      const high = min(p % 5 == 4 ? block.endH : channels, p >= 20 ? block.endW : channels);
      for (let i = 0; i < count; i++) {
        const column = block.firstColumn + first + i;
        const at = column / block.columnsY * columns + column % block.columnsY - origin;
        const from = block.image + (((at * groups + group) * POINTS + p) as usize) * point;
        for (let f = 0; f < wide; f += 4) {
          const w = block.transformed +
            ((group * POINTS + p) as usize) * filterPoint + ((((filter0 + f) >> 2) * terms) << 4);
          const to = products + (((i * block.part + f) * POINTS + p) as usize) * line;
          for (let c = low; c < high; c += block.runChannels) {
            const k = min(high - c, block.runChannels) * runs;
            const base = from + (c as usize) * plane;
            for (let t: usize = 0; t < line; t += 32)
              direct8x4(base + t, offsets, w + ((c * runs) << 4), k, to + t, filterBytes, c == low ? zeros : 0);
          }
        }
      }
    }
    for (let i = 0; i < count; i++) {
      const column = block.firstColumn + first + i;
      const w0 = column % block.columnsY * extent;
      for (let f = 0; f < wide; f += phases) {
        const filter = (filter0 + f) / phases + group * block.filters;
        const bias = f32x4.splat(block.bias ? load<f32>(block.bias + (filter << 2)) : 0);
        const to = block.y +
          ((column / block.columnsY * block.filters * groups + filter) as usize) * (((height * width) as usize) << 2);
        for (let phaseW = 0; phaseW < phasesW; phaseW++) {
          for (let phaseH = 0; phaseH < phasesH; phaseH++) {
            const from = products + ((i * block.part + f + phaseW * phasesH + phaseH) as usize) * filterBytes;
            for (let t: usize = 0; t < 5 * line; t += 16)
              outputPositions(from + t, 5 * line, half + t, 5 * line, extent);
            for (let w = 0; w < extent; w++) {
              const lines = half + (w as usize) * (5 * line);
              let to = whole + ((w * phasesH + phaseH) as usize) * wholeLine;
              for (let t: usize = 0; t < line; t += 16) {
                outputPositions(lines + t, line, woven, 16, extent);
                transpose4(woven, woven + 16, woven + 32, woven + 48, to, row);
                to += 4 * row;
              }
            }
          }
          for (let w = 0; w < extent; w++) {
            const place = (w0 + w) * phasesW + phaseW - block.skipW;
            if (place < 0 || place >= width) continue;
            let from = whole + ((w * phasesH) as usize) * wholeLine;
            if (phasesH == 2) {
              for (let t: usize = 0; t < wholeLine - 64; t += 16) {
                const even = v128.load(from + t);
                const odd = v128.load(from + wholeLine + t);
                v128.store(woven + 2 * t, v128.shuffle<f32>(even, odd, 0, 4, 1, 5));
                v128.store(woven + 2 * t, v128.shuffle<f32>(even, odd, 2, 6, 3, 7), 16);
              }
              from = woven;
            }
            if (block.bias)
              for (let h = 0; h < height + block.skipH; h += 4)
                v128.store(from + (h << 2), f32x4.add(v128.load(from + (h << 2)), bias));
            copyFloats(to + ((place * height) << 2), from + (block.skipH << 2), height);
          }
        }
      }
    }
  }
}
