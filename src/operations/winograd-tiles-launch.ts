import type { KernelBlock, WasmBackend } from '../backends/wasm/backend.js'
import {
  type ConvolutionGeometry,
  extents,
  inDimensions,
  negative,
  product,
  type Triple,
} from './convolution-geometry.js'
import { type Addresses, forwards, type ImplicitProduct } from './implicit-product.js'

// Launches the kernels of kernels/winograd-tiles*.ts: filters of about 5 by 5 taps with a sixth of the multiplications.

const SQUARE = 64
const TILES = 12
const MOST_TAPS = 5
const MOST_CHANNELS = 100
/** Most vectors of tiles of the gradient that are transformed together. */
const VECTORS = 12
/** Bytes of a thread's working memory that the gradient may take. */
const MOST_GRADIENT_BYTES = 2 ** 19
/** What transforms of a tile cost, counted in multiplications: for each channel of x, at edges with zeros; for each filter. */
const TILE_OF_X = 1000
const TILE_OF_Y = 150
/** Least gain over plain sums, and over those with fewer products along h alone, that is worth the rounding errors. */
const LEAST_GAIN = 1.5
/** Work items that keep the threads of any usual machine busy. */
const ENOUGH_ITEMS = 32

function tilesOf([height, width]: Triple): number {
  return Math.ceil(height / 4) * Math.ceil(width / 4)
}

/** Whether the transforms of tiles gain enough over plain sums; `tiles` is how many are computed. */
function pays(positions: Triple, taps: Triple, channels: number, filters: number, tiles: number): boolean {
  const panels = 4 * Math.ceil(filters / 4)
  const cost = tiles * (SQUARE * channels * panels + TILE_OF_X * channels + TILE_OF_Y * panels)
  return product(positions) * product(taps) * channels * panels >= LEAST_GAIN * cost
}

/** Whether the kernel convolveTiles is the one for a product. */
export function tilesApply(p: ImplicitProduct): boolean {
  const { taps, positions, channels, filters } = p
  const planar = taps[2] === 1 && positions[2] === 1 && p.source[2] === 1 && p.offset[2] === 0
  const neighbours = ([0, 1] as const).every(
    (d) => p.step[d] === 1 && (Math.abs(p.spacing[d]) === 1 || taps[d] === 1) && taps[d] <= MOST_TAPS,
  )
  if (!planar || !neighbours || p.strides[0] !== 1 || channels === 0 || channels > MOST_CHANNELS) return false
  return pays(positions, taps, channels, filters, TILES * Math.ceil(tilesOf(positions) / TILES))
}

/** Work items of the kernel in an observation. */
export function tileItems(p: ImplicitProduct): number {
  return Math.ceil(tilesOf(p.positions) / TILES) * p.groups
}

/** Calls `use` with the block of the kernel convolveTiles. */
export function withTiles<B>(
  wasm: WasmBackend,
  at: Addresses,
  product: ImplicitProduct,
  use: (block: KernelBlock<'convolveTiles'>) => B,
): B {
  const p = forwards(product)
  const panels = Math.ceil(p.filters / 4)
  return wasm.withTemporary(16 * SQUARE * p.channels * panels * p.groups, (transformed) => {
    wasm.launch(
      'tileFilters',
      {
        weights: at.weights,
        transformed,
        filters: p.filters,
        channels: p.channels,
        groups: p.groups,
        tapsH: p.taps[0],
        tapsW: p.taps[1],
        first: p.weights.first,
        strideH: p.weights.strides[0],
        strideW: p.weights.strides[1],
        strideChannel: p.weights.channel,
        strideFilter: p.weights.filter,
        strideGroup: p.weights.group,
      },
      { items: panels * p.groups, grain: Math.max(1, Math.ceil(16 / p.channels)) },
    )
    return use({
      x: at.X,
      transformed,
      bias: at.bias,
      y: at.Y,
      observations: p.observations,
      groups: p.groups,
      channels: p.channels,
      filters: p.filters,
      heightX: p.source[0],
      widthX: p.source[1],
      heightY: p.positions[0],
      widthY: p.positions[1],
      offsetH: p.offset[0],
      offsetW: p.offset[1],
      firstY: p.first,
      strideWY: p.strides[1],
      planeY: p.plane,
    })
  })
}

/** How work for kernels/winograd-tiles-gradient.ts is cut. */
export interface TilesGradientCut {
  readonly splits: number
  /** Bytes of a thread's working memory that it needs. */
  readonly memory: number
}

/** Undefined where the kernel does not apply or would not pay. */
export function tilesGradientCut(g: ConvolutionGeometry): TilesGradientCut | undefined {
  const { taps, output, channels, filters, groups, observations } = g
  const planar = taps[2] === 1 && output[2] === 1 && g.image[2] === 1 && g.before[2] === 0
  const neighbours = ([0, 1] as const).every(
    (d) => g.stride[d] === 1 && (g.dilation[d] === 1 || taps[d] === 1) && taps[d] <= MOST_TAPS,
  )
  if (!planar || !neighbours || channels === 0 || observations < ENOUGH_ITEMS / 4) return undefined
  const vectors = Math.ceil(tilesOf(output) / 4)
  const together = Math.ceil(vectors / Math.ceil(vectors / VECTORS))
  const memory = 4096 + 1024 * ((channels + 2) * together + groups * channels * 2 * Math.ceil(filters / 2))
  if (memory > MOST_GRADIENT_BYTES || !pays(output, taps, channels, filters, 4 * vectors)) return undefined
  return { splits: Math.min(observations, ENOUGH_ITEMS), memory }
}

/** Has `use` compute partial sums with a block of the kernel convolveTilesGradient, and joins them. */
export function withTilesGradient(
  wasm: WasmBackend,
  g: ConvolutionGeometry,
  at: { readonly X: number; readonly dY: number; readonly dWeights: number },
  splits: number,
  use: (block: KernelBlock<'convolveTilesGradient'>) => void,
): void {
  const { channels, filters, groups } = g
  const { stepH: _, ...step } = inDimensions('step', g.stride)
  wasm.withTemporary(4 * SQUARE * splits * groups * channels * 2 * Math.ceil(filters / 2), (partials) => {
    use({
      x: at.X,
      dy: at.dY,
      partials,
      observations: g.observations,
      groups,
      channels,
      filters,
      ...extents('X', g.image),
      ...extents('Y', g.output),
      ...inDimensions('taps', g.taps),
      ...step,
      ...inDimensions('spacing', g.dilation),
      ...inDimensions('offset', negative(g.before)),
      lines: 0,
      splits,
    })
    wasm.launch(
      'combineTilesGradient',
      { partials, gradient: at.dWeights, channels, filters, groups, tapsH: g.taps[0], tapsW: g.taps[1], splits },
      { items: filters * groups, grain: Math.max(1, Math.ceil(256 / (channels * splits))) },
    )
  })
}
