import type { KernelBlock, WasmBackend } from '../../backends/wasm/backend.js'
import { type Addresses, forwards, type ImplicitProduct } from '../products/implicit-product.js'
import { filterFields, type GradientAddresses, gradientFields, productFields } from './convolution-fields.js'
import type { ConvolutionGeometry, Triple } from './convolution-geometry.js'

// Launches the kernels of kernels/convolution/winograd-tiles*.ts: filters of about 5 by 5 taps with a sixth of the multiplications.

const SQUARE = 64
/** Tiles of a work item. */
export const TILES = 12
/** Most vectors of tiles of the gradient that are transformed together. */
const VECTORS = 12
/** Bytes of a thread's working memory that the gradient may take. */
const MOST_GRADIENT_BYTES = 2 ** 19
/** Work items that keep the threads of any usual machine busy. */
const ENOUGH_ITEMS = 32

/** Tiles of 4 by 4 positions. */
export function tilesOf([height, width]: Triple): number {
  return Math.ceil(height / 4) * Math.ceil(width / 4)
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
      { transformed, ...filterFields(at, p) },
      { items: panels * p.groups, grain: Math.max(1, Math.ceil(16 / p.channels)) },
    )
    return use({ transformed, ...productFields(at, p) })
  })
}

/** How work for kernels/convolution/winograd-tiles-gradient.ts is cut. */
export interface TilesGradientCut {
  readonly splits: number
  /** Bytes of a thread's working memory that it needs. */
  readonly memory: number
}

/** Undefined where the sums of all groups would not fit. */
export function tilesGradientCut(g: ConvolutionGeometry): TilesGradientCut | undefined {
  const { channels, filters, groups } = g
  const vectors = Math.ceil(tilesOf(g.output) / 4)
  const together = Math.ceil(vectors / Math.ceil(vectors / VECTORS))
  const memory = 4096 + 1024 * ((channels + 2) * together + groups * channels * 2 * Math.ceil(filters / 2))
  return memory > MOST_GRADIENT_BYTES ? undefined : { splits: Math.min(g.observations, ENOUGH_ITEMS), memory }
}

/** Has `use` compute partial sums with a block of the kernel convolveTilesGradient, and joins them. */
export function withTilesGradient(
  wasm: WasmBackend,
  g: ConvolutionGeometry,
  at: GradientAddresses,
  splits: number,
  use: (block: KernelBlock<'convolveTilesGradient'>) => void,
): void {
  const { channels, filters, groups } = g
  wasm.withTemporary(4 * SQUARE * splits * groups * channels * 2 * Math.ceil(filters / 2), (partials) => {
    use({ partials, ...gradientFields(at, g), lines: 0, splits })
    wasm.launch(
      'combineTilesGradient',
      { partials, gradient: at.dWeights, channels, filters, groups, tapsH: g.taps[0], tapsW: g.taps[1], splits },
      { items: filters * groups, grain: Math.max(1, Math.ceil(256 / (channels * splits))) },
    )
  })
}
