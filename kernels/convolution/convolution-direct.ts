// Convolution that reads patches in place, single precision: the same formula, arrays and packed filters as in
// convolution.ts. A band of lines of the image is copied once, with its zeros around it, and every tap reads it at its own
// offset. With few filters per group (depthwise convolutions, the last layer of an image generator) copying every patch would
// cost more than the arithmetic. With steps along h a line is copied by phases, so that neighbouring positions read neighbours.
import { ConvolutionFields } from './convolution-fields';
import { scratch } from '../scratch';
import { copyLine, zeroFloats } from '../products/tile';

/** Most taps of a run of channels that is summed in registers: the offsets of so many are kept. */
const MOST_TAPS: i32 = 4096;
/** Most filters per group. */
const MOST_FILTERS: i32 = 64;

@unmanaged export class ConvolveDirectBlock extends ConvolutionFields {
  lines: i32; // lines of y (along h) per work item
  runChannels: i32; // channels whose taps are summed in registers
}

// Sums over k of band[base + offset(k) + i] w[k] for 8 positions i of each of 3 lines `next` bytes apart, for one filter: written
// to lines `line` bytes apart after adding the float at `bias`, or, where that is 0, the destination. So many times `tiles`, each
// `along` bytes further. Six sums: the engine loads what a loop needs before it multiplies, and eight would not all stay in registers.
export function directLines(base: usize, next: usize, offsets: usize, w: usize, k: i32, to: usize, line: usize, bias: usize, tiles: i32, along: usize): void {
  const lastOffset = offsets + (k as usize) * sizeof<usize>();
  for (; tiles > 0; tiles--) {
    let s00 = f32x4.splat(0);
    let s01 = s00;
    let s10 = s00;
    let s11 = s00;
    let s20 = s00;
    let s21 = s00;
    for (let o = offsets, v = w; o < lastOffset; o += sizeof<usize>(), v += 16) {
      const at = base + load<usize>(o);
      const y = v128.load32_splat(v);
      s00 = f32x4.add(s00, f32x4.mul(v128.load(at), y));
      s01 = f32x4.add(s01, f32x4.mul(v128.load(at, 16), y));
      const at1 = at + next;
      s10 = f32x4.add(s10, f32x4.mul(v128.load(at1), y));
      s11 = f32x4.add(s11, f32x4.mul(v128.load(at1, 16), y));
      const at2 = at1 + next;
      s20 = f32x4.add(s20, f32x4.mul(v128.load(at2), y));
      s21 = f32x4.add(s21, f32x4.mul(v128.load(at2, 16), y));
    }
    const t1 = to + line;
    const t2 = t1 + line;
    if (bias) {
      const y = v128.load32_splat(bias);
      v128.store(to, f32x4.add(y, s00));
      v128.store(to, f32x4.add(y, s01), 16);
      v128.store(t1, f32x4.add(y, s10));
      v128.store(t1, f32x4.add(y, s11), 16);
      v128.store(t2, f32x4.add(y, s20));
      v128.store(t2, f32x4.add(y, s21), 16);
    } else {
      v128.store(to, f32x4.add(v128.load(to), s00));
      v128.store(to, f32x4.add(v128.load(to, 16), s01), 16);
      v128.store(t1, f32x4.add(v128.load(t1), s10));
      v128.store(t1, f32x4.add(v128.load(t1, 16), s11), 16);
      v128.store(t2, f32x4.add(v128.load(t2), s20));
      v128.store(t2, f32x4.add(v128.load(t2, 16), s21), 16);
    }
    base += along;
    to += along;
  }
}

// The same for 12 positions of a line and 3 filters, 64 bytes apart, without a start.
function direct12x3(base: usize, offsets: usize, w: usize, k: i32, to: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s02 = s00;
  let s10 = s00;
  let s11 = s00;
  let s12 = s00;
  let s20 = s00;
  let s21 = s00;
  let s22 = s00;
  for (; k > 0; k--) {
    const at = base + load<usize>(offsets);
    const x0 = v128.load(at, 0);
    const x1 = v128.load(at, 16);
    const x2 = v128.load(at, 32);
    let y = v128.load32_splat(w, 0);
    s00 = f32x4.add(s00, f32x4.mul(x0, y));
    s01 = f32x4.add(s01, f32x4.mul(x1, y));
    s02 = f32x4.add(s02, f32x4.mul(x2, y));
    y = v128.load32_splat(w, 4);
    s10 = f32x4.add(s10, f32x4.mul(x0, y));
    s11 = f32x4.add(s11, f32x4.mul(x1, y));
    s12 = f32x4.add(s12, f32x4.mul(x2, y));
    y = v128.load32_splat(w, 8);
    s20 = f32x4.add(s20, f32x4.mul(x0, y));
    s21 = f32x4.add(s21, f32x4.mul(x1, y));
    s22 = f32x4.add(s22, f32x4.mul(x2, y));
    offsets += sizeof<usize>();
    w += 16;
  }
  v128.store(to, s00, 0);
  v128.store(to, s01, 16);
  v128.store(to, s02, 32);
  v128.store(to, s10, 64);
  v128.store(to, s11, 80);
  v128.store(to, s12, 96);
  v128.store(to, s20, 128);
  v128.store(to, s21, 144);
  v128.store(to, s22, 160);
}

// Sums over k of band[base + offset(k) + i] w[k, j] for 8 positions i of a line and 4 filters j, written to columns `column` bytes
// apart after adding the 4 floats at `bias`, or, where that is 0, the destination.
export function direct8x4(base: usize, offsets: usize, w: usize, k: i32, to: usize, column: usize, bias: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  for (; k > 0; k--) {
    const at = base + load<usize>(offsets);
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
  const c1 = to + column;
  const c2 = c1 + column;
  const c3 = c2 + column;
  if (bias) {
    let y = v128.load32_splat(bias, 0);
    v128.store(to, f32x4.add(y, s00), 0);
    v128.store(to, f32x4.add(y, s01), 16);
    y = v128.load32_splat(bias, 4);
    v128.store(c1, f32x4.add(y, s10), 0);
    v128.store(c1, f32x4.add(y, s11), 16);
    y = v128.load32_splat(bias, 8);
    v128.store(c2, f32x4.add(y, s20), 0);
    v128.store(c2, f32x4.add(y, s21), 16);
    y = v128.load32_splat(bias, 12);
    v128.store(c3, f32x4.add(y, s30), 0);
    v128.store(c3, f32x4.add(y, s31), 16);
  } else {
    v128.store(to, f32x4.add(v128.load(to, 0), s00), 0);
    v128.store(to, f32x4.add(v128.load(to, 16), s01), 16);
    v128.store(c1, f32x4.add(v128.load(c1, 0), s10), 0);
    v128.store(c1, f32x4.add(v128.load(c1, 16), s11), 16);
    v128.store(c2, f32x4.add(v128.load(c2, 0), s20), 0);
    v128.store(c2, f32x4.add(v128.load(c2, 16), s21), 16);
    v128.store(c3, f32x4.add(v128.load(c3, 0), s30), 0);
    v128.store(c3, f32x4.add(v128.load(c3, 16), s31), 16);
  }
}

/** y = (first ? bias : y) + sums for `count` positions, `stride` bytes apart. */
@inline
function finish(sums: usize, bias: f32, y: usize, stride: usize, count: i32, first: bool): void {
  let i = 0;
  if (stride == 4) {
    const start = f32x4.splat(bias);
    for (; i + 4 <= count; i += 4) {
      v128.store(y, f32x4.add(first ? start : v128.load(y), v128.load(sums)));
      y += 16;
      sums += 16;
    }
  }
  for (; i < count; i++) {
    store<f32>(y, (first ? bias : load<f32>(y)) + load<f32>(sums));
    y += stride;
    sums += 4;
  }
}

/** Lines of a tile of up to two filters. */
const LINES: i32 = 3;

/** Positions of a tile along h: of one or two filters those of 3 lines, or, where there are fewer, one line three times as long. */
@inline
function tileHeight<B>(b: B): i32 {
  if (b.filters > 3) return 8;
  return b.filters == 3 ? 12 : b.lines < LINES ? 8 * LINES : 8;
}

/** Floats of a phase of a line of the band: the positions that leave the same remainder modulo stepH follow each other. */
@inline
function phaseLength<B>(b: B): i32 {
  const tile = tileHeight(b);
  return ((b.heightY + tile - 1) / tile * tile + ((b.tapsH - 1) * abs(b.spacingH)) / b.stepH + 3) & ~3;
}

/** A line of x from h on, zeros around it, by phases. `line` is memory for it. */
@inline
export function copyPhases(to: usize, from: usize, h: i32, height: i32, step: i32, length: i32, line: usize): void {
  if (step == 1) {
    copyLine(to, from, h, height, length);
    return;
  }
  copyLine(line, from, h, height, step * length);
  const next = (length as usize) << 2;
  if (step == 2) {
    for (const end = to + next; to < end; to += 16) {
      const low = v128.load(line);
      const high = v128.load(line, 16);
      v128.store(to, v128.shuffle<f32>(low, high, 0, 2, 4, 6));
      v128.store(to + next, v128.shuffle<f32>(low, high, 1, 3, 5, 7));
      line += 32;
    }
    return;
  }
  for (const end = to + next; to < end; to += 4)
    for (let phase = 0, at = to; phase < step; phase++, at += next, line += 4) store<f32>(at, load<f32>(line));
}

/**
 * The convolution of convolution.ts. Work item: `lines` neighbouring lines of y, with all filters of one group, of one
 * observation; items run over the lines first, then over d, groups and observations.
 * Preconditions: addresses of floats; at most 64 filters, with stepH > 1 at most 3; 1 or more taps in every dimension;
 * runChannels * taps of h, w and d <= 4096; the band, runChannels * tapsD * ((lines - 1) stepW + (tapsW - 1) |spacingW| + 1)
 * lines of stepH phases, and for stepH > 1 one line more, fit in 1.5 MB of working memory.
 * Tails: a line is computed in tiles of 8 positions, of up to 2 filters in 3 lines or with 24 positions, of 3 filters with 12; what is beyond y is not stored, or, where
 * sums are complete at once, the last tile begins earlier and computes some positions again.
 * Order of summation: k ascending in runs of `runChannels` channels, each run summed from zero and added to y, which
 * starts as the bias; it depends on the numbers of taps and channels alone.
 */
export function convolveDirect(block: ConvolveDirectBlock, begin: i32, end: i32): void {
  convolveDirectTo(block, begin, end, block.y);
}

/** The same with y elsewhere. */
export function convolveDirectTo(block: ConvolveDirectBlock, begin: i32, end: i32, y: usize): void {
  const filters = block.filters;
  const tapsH = block.tapsH;
  const tapsW = block.tapsW;
  const tapsD = block.tapsD;
  const taps = tapsH * tapsW * tapsD;
  const k = taps * block.channels;
  const lineBlocks = (block.widthY + block.lines - 1) / block.lines;
  const sums = scratch;
  const zeros = sums + 256;
  const biases = zeros + 16;
  const offsets = biases + MOST_FILTERS * 4;
  const phase = phaseLength(block);
  const height = phase * block.stepH;
  const row = offsets + MOST_TAPS * sizeof<usize>();
  const band = block.stepH == 1 ? row : row + ((height as usize) << 2);
  const firstH = block.offsetH + min((tapsH - 1) * block.spacingH, 0);
  const belowW = min((tapsW - 1) * block.spacingW, 0);
  const width = (block.lines - 1) * block.stepW + (tapsW - 1) * abs(block.spacingW) + 1;
  // Where each tap of a run of channels reads, in bytes.
  for (let c = 0, at = offsets; c < min(block.runChannels, block.channels); c++)
    for (let d = 0; d < tapsD; d++)
      for (let w = 0; w < tapsW; w++)
        for (let h = 0; h < tapsH; h++) {
          const line = (c * tapsD + d) * width + w * block.spacingW - belowW;
          const tap = h * block.spacingH - (firstH - block.offsetH);
          store<usize>(at, (line * height + tap % block.stepH * phase + tap / block.stepH) << 2);
          at += sizeof<usize>();
        }
  memory.fill(zeros, 0, 16);
  const planeX = ((block.heightX * block.widthX * block.depthX) as usize) << 2;
  const planeY = (block.planeY as usize) << 2;
  const strideH = (block.strideHY as usize) << 2;
  const strideW = (block.strideWY as usize) << 2;
  const next = ((block.stepW * height) as usize) << 2;
  const panels = (filters + 3) >> 2;
  const few = filters < 3;
  const tile = tileHeight(block);
  const long = tile == 8 * LINES;
  const together = few && !long ? LINES : 1;
  // from each line of a tile to the next, in the band and in y
  const tileNext: usize = long ? 32 : next;
  const tileLine: usize = long ? 32 : strideW;
  const along: usize = long ? 32 * LINES : 32;
  const complete = block.runChannels >= block.channels;
  for (let item = begin; item < end; item++) {
    const w0 = (item % lineBlocks) * block.lines;
    let rest = item / lineBlocks;
    const d0 = rest % block.depthY;
    rest /= block.depthY;
    const group = rest % block.groups;
    const lines = min(block.widthY - w0, block.lines);
    for (let f = 0; f < filters; f++)
      store<f32>(biases + (f << 2), block.bias ? load<f32>(block.bias + ((group * filters + f) << 2)) : 0);
    const image = block.x + ((rest * block.channels) as usize) * planeX;
    const output = y + ((rest * filters) as usize) * planeY +
      ((block.firstY + w0 * block.strideWY + d0 * block.strideDY) << 2);
    const filterPanels = block.packed + (((group * panels) as usize) * (k as usize) << 4);
    const used = (lines - 1) * block.stepW + (tapsW - 1) * abs(block.spacingW) + 1;
    for (let c0 = 0; c0 < block.channels; c0 += block.runChannels) {
      const channels = min(block.channels - c0, block.runChannels);
      for (let c = 0; c < channels; c++)
        for (let d = 0; d < tapsD; d++) {
          const depth = d0 * block.stepD + d * block.spacingD + block.offsetD;
          for (let i = 0; i < used; i++) {
            const to = band + ((((c * tapsD + d) * width + i) * height) << 2);
            const w = w0 * block.stepW + block.offsetW + belowW + i;
            if (depth < 0 || depth >= block.depthX || w < 0 || w >= block.widthX) zeroFloats(to, height);
            else {
              const line = image + ((c0 + c) as usize) * planeX + (((depth * block.widthX + w) * block.heightX) << 2);
              copyPhases(to, line, firstH, block.heightX, block.stepH, phase, row);
            }
          }
        }
      const run = channels * taps;
      const first = c0 == 0;
      const again = few && complete && strideH == 4;
      for (let l = 0; l < lines; l += together) {
        const line = again ? max(min(l, lines - together), 0) : l;
        const wide = min(lines - line, together);
        for (let i = 0; i < block.heightY; ) {
          const h = again ? max(min(i, block.heightY - tile), 0) : i;
          const base = band + ((line * block.stepW * height + h) << 2);
          const count = min(block.heightY - h, tile);
          const whole = count == tile && wide == together && strideH == 4;
          const at = output + ((line * block.strideWY + h * block.strideHY) << 2);
          if (few) {
            const tiles = whole ? (block.heightY - h) / tile : 1;
            for (let f = 0; f < filters; f++) {
              const w = filterPanels + ((c0 * taps) << 4) + (f << 2);
              let to = at + (f as usize) * planeY;
              if (whole) {
                directLines(base, tileNext, offsets, w, run, to, tileLine, first ? biases + (f << 2) : 0, tiles, along);
                continue;
              }
              directLines(base, tileNext, offsets, w, run, sums, 32, zeros, 1, 0);
              for (let j = 0; j < wide; j++, to += strideW)
                finish(sums + (j << 5), load<f32>(biases + (f << 2)), to, strideH, count, first);
            }
            i += tiles * tile;
            continue;
          }
          i += tile;
          if (filters == 3) {
            direct12x3(base, offsets, filterPanels + ((c0 * taps) << 4), run, sums);
            let to = at;
            for (let j = 0; j < 3; j++, to += planeY)
              finish(sums + (j << 6), load<f32>(biases + (j << 2)), to, strideH, count, first);
            continue;
          }
          for (let f = 0; f < filters; f += 4) {
            const w = filterPanels + (((f >> 2) * k + c0 * taps) << 4);
            let to = at + (f as usize) * planeY;
            if (whole && f + 4 <= filters) {
              direct8x4(base, offsets, w, run, to, planeY, first ? biases + (f << 2) : 0);
              continue;
            }
            direct8x4(base, offsets, w, run, sums, 64, zeros);
            for (let j = 0, wide = min(filters - f, 4); j < wide; j++, to += planeY)
              finish(sums + (j << 6), load<f32>(biases + ((f + j) << 2)), to, strideH, count, first);
          }
        }
      }
    }
  }
}
