// A convolution and what follows it (block.ts), observation by observation: what the convolution makes is still in the cache
// when it is normalized, and, where nobody reads it later, never leaves the working memory of a thread. Backward likewise
// the gradient with respect to it.
import { observationBackward, observationForward, observationMeasure } from './block';
import { Block } from './block-layout';
import { resultBytes } from './block-plane';
import { ConvolveDirectBlock, convolveDirectTo } from '../convolution/convolution-direct';
import { bandsOf, directOffsets, directProducts, directSums, FilterGradientDirectBlock } from '../convolution/convolution-gradient-direct';
import { SCRATCH_BYTES, scratch } from '../scratch';
import { convolveLinesTo, LinesBlock } from '../convolution/winograd-lines';
import { clearBand, gradientOffsets, lineGradientProducts, LinesGradientBlock, lineGradientSums } from '../convolution/winograd-lines-gradient';
import { convolveTilesTo, TilesBlock } from '../convolution/winograd-tiles';
import { finishTileGradient, tileGradientProducts, TilesGradientBlock, tileGradientSums } from '../convolution/winograd-tiles-gradient';

const LINES: i32 = 1;
const TILES: i32 = 2;

@unmanaged
class BlockConvolution {
  /** The block of convolveDirect or convolveLines, of convolveFilterGradientDirect or convolveLinesGradient. */
  convolution: usize;
  /** The block of blockForward or blockBackward. */
  tail: usize;
  /** Work items of the convolution in an observation. */
  items: i32;
  /** 1: what lies between the two is written to x forward, to dx backward. */
  kept: i32;
  /** Forward. 1: planes are only measured, as blockMeasure does; what follows needs the statistics of all. */
  measured: i32;
  /** Which convolution: 0 reads patches in place, 1 transforms lines (winograd-lines.ts), 2 tiles (winograd-tiles.ts). */
  transforms: i32;
}

/** What an observation's planes take behind the rest of a thread's working memory. */
@inline
function behind(bytes: usize): usize {
  return scratch + SCRATCH_BYTES - ((bytes + 63) & ~63);
}

/**
 * Work item: one observation. Preconditions: those of the two kernels; unless kept, the planes of an observation take at most
 * 384 KB.
 */
export function blockConvolveForward(b: BlockConvolution, begin: i32, end: i32): void {
  const tail = changetype<Block>(b.tail);
  const bytes = (<usize>tail.inner * <usize>tail.channels) << 2;
  for (let n = begin; n < end; ++n) {
    const z = b.kept ? tail.x + <usize>n * bytes : behind(bytes);
    const first = n * b.items;
    const y = z - <usize>n * bytes;
    if (b.transforms == TILES) convolveTilesTo(changetype<TilesBlock>(b.convolution), first, first + b.items, y);
    else if (b.transforms == LINES) convolveLinesTo(changetype<LinesBlock>(b.convolution), first, first + b.items, y);
    else convolveDirectTo(changetype<ConvolveDirectBlock>(b.convolution), first, first + b.items, y);
    if (b.measured) observationMeasure(tail, n, z);
    else observationForward(tail, n, z);
  }
}

/**
 * The gradient of the tail, and of the convolution for its filters as partial sums. Work item: one of `splits` equal parts of
 * the observations. Preconditions: those of the two kernels; a plane, twice the larger of it and its windows, an
 * observation's planes unless kept, and the band fit in the working memory together.
 */
export function blockConvolveBackward(b: BlockConvolution, begin: i32, end: i32): void {
  // all three blocks have the same fields
  const convolution = changetype<FilterGradientDirectBlock>(b.convolution);
  const lines = changetype<LinesGradientBlock>(b.convolution);
  const tiles = changetype<TilesGradientBlock>(b.convolution);
  const transforms = b.transforms;
  const tail = changetype<Block>(b.tail);
  const plane = <usize>tail.inner << 2;
  const bytes = plane * <usize>tail.channels;
  const result = resultBytes(tail);
  // in front of it is what the tail uses
  const offsets = scratch + ((plane + 2 * max(plane, result) + 63) & ~63);
  let space = offsets;
  let sums: usize = 0;
  if (transforms == TILES) sums = <usize>tileGradientSums(tiles) << 2;
  else if (transforms == LINES) {
    space = gradientOffsets(lines, offsets);
    clearBand(lines, space);
    sums = lineGradientSums(lines);
  } else {
    space = directOffsets(convolution, offsets);
    sums = directSums(convolution);
  }
  const groups = convolution.groups;
  const planeX = ((convolution.heightX * convolution.widthX * convolution.depthX) as usize) << 2;
  for (let split = begin; split < end; ++split) {
    const from = ((split as i64) * (convolution.observations as i64) / (convolution.splits as i64)) as i32;
    const until = (((split + 1) as i64) * (convolution.observations as i64) / (convolution.splits as i64)) as i32;
    for (let n = from; n < until; ++n) {
      const dz = b.kept ? tail.dx + <usize>n * bytes : behind(bytes);
      const dy = tail.dy + <usize>n * <usize>tail.channels * result;
      observationBackward(tail, n, tail.x + <usize>n * bytes, dy, dz);
      for (let group = 0; group < groups; ++group) {
        const image = convolution.x + ((n * groups + group) * convolution.channels as usize) * planeX;
        const dzGroup = dz + <usize>(group * convolution.filters) * plane;
        const to = convolution.partials + <usize>(split * groups + group) * sums;
        if (transforms == TILES) tileGradientProducts(tiles, image, dzGroup, group, space, n == from);
        else if (transforms == LINES) lineGradientProducts(lines, image, dzGroup, 0, bandsOf(lines), to, offsets, space, n == from);
        else directProducts(convolution, image, dzGroup, 0, bandsOf(convolution), to, offsets, space, n == from);
      }
    }
    if (transforms == TILES) finishTileGradient(tiles, space, convolution.partials + <usize>(split * groups) * sums);
  }
}
