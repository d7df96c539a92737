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
import { ConvolutionFields } from './convolution-fields';
import { scratch } from '../scratch';
import { findRuns, packPatches, RUN_BYTES } from './patches';
import { BLOCK_K, BLOCK_ROWS, runLength, tile, tileColumn } from '../products/tile';

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

@unmanaged class ConvolveBlock extends ConvolutionFields {
  blockFilters: i32; // filters per work item, a multiple of 4, at most 512
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
  const runs = places + BLOCK_ROWS * 4;
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
    const runCount = findRuns(runs, first, count, block.heightY, block.widthY, block.depthY);
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
        packPatches(runs, runCount, image, block.channels, block.heightX, block.widthX, block.depthX, planes,
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
