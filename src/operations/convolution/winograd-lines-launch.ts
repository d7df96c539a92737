import type { KernelBlock, WasmBackend } from '../../backends/wasm/backend.js'
import { type Addresses, forwards, type ImplicitProduct } from '../products/implicit-product.js'
import { bandSplits, type GradientCut } from './band-splits.js'
import { filterFields, type GradientAddresses, gradientFields, productFields } from './convolution-fields.js'
import type { ConvolutionGeometry } from './convolution-geometry.js'

// Launches the kernels of kernels/convolution/winograd-lines*.ts: filters of four or more taps along h with fewer multiplications.

const POINTS = 8
/** What the kernels have room for. */
const MOST_ROWS = 1024
const MOST_HEIGHT = 8192
const MOST_FILTERS = 512
/** Longest sum of products. */
const MOST_RUN = 256
/** Bytes of a band: a second-level cache holds it beside planes of y. */
const MOST_BAND = 2 ** 19
/** Bytes of filters from which on several groups of tiles share those of a point. */
const CACHED_FILTERS = 2 ** 14
const TOGETHER = 3
/** Work items that keep the threads of any usual machine busy. */
const ENOUGH_ITEMS = 32

/** How work for kernels/convolution/winograd-lines.ts is cut. */
export interface LinesCut {
  readonly lines: number
  readonly runChannels: number
  readonly together: number
}

/** Into how many parts taps along h are cut. */
export function partsOf(tapsH: number): number {
  return Math.max(1, Math.floor((tapsH + 2) / 4))
}

/** Tiles of a line of the transformed image. */
export function tilesOfLine(height: number, tapsH: number): number {
  return Math.ceil(height / 4) + partsOf(tapsH) - 1
}

/** Undefined where a band would not fit. */
export function linesCut(p: ImplicitProduct): LinesCut | undefined {
  const [height, width, depth] = p.positions
  const { taps, channels, filters } = p
  const tiles = tilesOfLine(height, taps[0])
  const rows = partsOf(taps[0]) * taps[1] * taps[2]
  if (filters > MOST_FILTERS || rows > MOST_ROWS || 4 * tiles + 24 > MOST_HEIGHT) return undefined
  const reach = (taps[1] - 1) * Math.abs(p.spacing[1]) + 1
  const lineBytes = 4 * POINTS * tiles * taps[2]
  // Few lines share little of a band.
  const few = Math.min(width, 8)
  const fitting = Math.floor(MOST_BAND / (lineBytes * ((few - 1) * p.step[1] + reach)))
  if (fitting < 1) return undefined
  const runChannels = Math.min(channels, fitting, Math.max(1, Math.floor(MOST_RUN / rows)))
  const shared = Math.ceil((width * depth * p.groups * p.observations) / ENOUGH_ITEMS)
  const cached = (MOST_BAND / (lineBytes * runChannels) - reach) / p.step[1] + 1
  const filterBytes = 4 * POINTS * rows * runChannels * filters
  return {
    lines: Math.max(1, Math.floor(Math.min(width, shared, cached))),
    runChannels,
    together: filterBytes > CACHED_FILTERS ? TOGETHER : 1,
  }
}

/** Calls `use` with the block of the kernel convolveLines. */
export function withLines<B>(
  wasm: WasmBackend,
  at: Addresses,
  product: ImplicitProduct,
  cut: LinesCut,
  use: (block: KernelBlock<'convolveLines'>) => B,
): B {
  const p = forwards(product)
  const panels = Math.ceil(p.filters / 4)
  const k = p.channels * partsOf(p.taps[0]) * p.taps[1] * p.taps[2]
  return wasm.withTemporary(16 * POINTS * k * panels * p.groups, (transformed) => {
    wasm.launch(
      'lineFilters',
      { transformed, ...filterFields(at, p) },
      { items: panels * p.groups, grain: Math.max(1, Math.ceil(512 / k)) },
    )
    return use({ transformed, ...productFields(at, p), ...cut })
  })
}

/** Undefined where a band would not fit. */
export function linesGradientCut(g: ConvolutionGeometry): GradientCut | undefined {
  const { taps, channels } = g
  const [height] = g.output
  const tiles = tilesOfLine(height, taps[0])
  if (channels * partsOf(taps[0]) * taps[1] * taps[2] > MOST_ROWS || 4 * tiles + 24 > MOST_HEIGHT) return undefined
  const reach = (taps[1] - 1) * g.dilation[1] + 1
  const lineFloats = POINTS * channels * taps[2] * tiles
  const outputFloats = 2 * POINTS * (tiles + 3)
  const most = (MOST_BAND / 4 - lineFloats * (reach - g.stride[1])) / (lineFloats * g.stride[1] + outputFloats)
  return bandSplits(g, Math.floor(most))
}

/** Working memory of the kernel, in bytes. */
export function linesGradientMemory(g: ConvolutionGeometry, { lines }: GradientCut): number {
  const tiles = tilesOfLine(g.output[0], g.taps[0])
  const width = (lines - 1) * g.stride[1] + (g.taps[1] - 1) * g.dilation[1] + 1
  const floats = POINTS * (g.channels * g.taps[2] * width * tiles + 2 * lines * (tiles + 3))
  return 4 * (floats + MOST_HEIGHT + MOST_ROWS) + 8192
}

/** Has `use` compute partial sums with a block of the kernel convolveLinesGradient, and joins them. */
export function withLinesGradient(
  wasm: WasmBackend,
  g: ConvolutionGeometry,
  at: GradientAddresses,
  cut: GradientCut,
  use: (block: KernelBlock<'convolveLinesGradient'>) => void,
): void {
  const rows = g.channels * g.taps[1] * g.taps[2]
  const sums = 2 * Math.ceil(g.filters / 2) * 4 * Math.ceil((rows * partsOf(g.taps[0])) / 4)
  wasm.withTemporary(4 * POINTS * cut.splits * g.groups * sums, (partials) => {
    use({ partials, ...gradientFields(at, g), lines: cut.lines, splits: cut.splits })
    wasm.launch(
      'combineLinesGradient',
      {
        partials,
        gradient: at.dWeights,
        rows,
        tapsH: g.taps[0],
        filters: g.filters,
        groups: g.groups,
        splits: cut.splits,
      },
      { items: g.filters * g.groups, grain: Math.max(1, Math.ceil(2048 / (rows * cut.splits))) },
    )
  })
}
