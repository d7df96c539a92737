import type { KernelBlock, WasmBackend } from '../../backends/wasm/backend.js'
import type { Addresses, ImplicitProduct } from '../products/implicit-product.js'
import { bandSplits, type GradientCut } from './band-splits.js'
import { filterFields, productFields } from './convolution-fields.js'
import { type ConvolutionGeometry, product } from './convolution-geometry.js'

// Cuts work for kernels/convolution/convolution-direct.ts and convolution-gradient-direct.ts, which read patches in place, and fills their blocks.

/** What the working memory of a thread holds for kernels/convolution/convolution-direct.ts. */
const MOST_OFFSETS = 4096
const MOST_BAND = 3 * 2 ** 17
/** Floats of a band of the gradient for filters: a second-level cache holds it beside two planes of dy. */
const MOST_GRADIENT_BAND = 2 ** 16
/** Work items that keep the threads of any usual machine busy. */
const ENOUGH_ITEMS = 32

/** How work for kernels/convolution/convolution-direct.ts is cut. */
export interface DirectCut {
  readonly lines: number
  readonly runChannels: number
}

/** Undefined where a band would not fit. */
export function directCut(p: ImplicitProduct): DirectCut | undefined {
  const taps = product(p.taps)
  const [height, width, depth] = p.positions
  const runChannels = Math.max(1, Math.min(p.channels, Math.floor(256 / taps)))
  const reachH = Math.floor(((p.taps[0] - 1) * Math.abs(p.spacing[0])) / p.step[0])
  const lineFloats = runChannels * p.taps[2] * p.step[0] * (24 * Math.ceil(height / 24) + 4 * Math.ceil(reachH / 4))
  const reach = (p.taps[1] - 1) * Math.abs(p.spacing[1]) + 1
  // With a step a line is copied before it is cut into phases.
  if (runChannels * taps > MOST_OFFSETS || lineFloats * (reach + (p.step[0] > 1 ? 1 : 0)) > MOST_BAND) return undefined
  // Many lines share more of the band; few leave work for every thread and stay in the cache.
  const cached = (MOST_BAND / 4 / lineFloats - reach) / p.step[1] + 1
  const shared = Math.ceil((width * depth * p.groups * p.observations) / ENOUGH_ITEMS)
  return { lines: Math.max(1, Math.floor(Math.min(width, shared, cached))), runChannels }
}

/** Work items of the kernels that read bands. */
export function bandItems(p: ImplicitProduct, { lines }: { readonly lines: number }): number {
  return Math.ceil(p.positions[1] / lines) * p.positions[2] * p.groups * p.observations
}

/** Calls `use` with what the blocks of both kernels have in common. */
export function withPackedFilters<B>(
  wasm: WasmBackend,
  at: Addresses,
  p: ImplicitProduct,
  use: (block: PackedProduct) => B,
): B {
  const panels = Math.ceil(p.filters / 4)
  const k = product(p.taps) * p.channels
  return wasm.withTemporary(Math.max(16 * k * panels * p.groups, 16), (packed) => {
    wasm.launch(
      'packFilters',
      { packed, ...filterFields(at, p) },
      // Packing 64 panels takes less time than waking a thread unless filters are large.
      { items: panels * p.groups, grain: Math.max(1, Math.ceil(4096 / Math.max(k, 1))) },
    )
    return use({ packed, ...productFields(at, p) })
  })
}

export type PackedProduct = Omit<KernelBlock<'convolve'>, 'blockFilters'>

/** Bytes of a thread's working memory that the gradient needs. */
export const directGradientMemory = 4 * (MOST_GRADIENT_BAND + 4 * MOST_OFFSETS)

/** Undefined where a band would not fit. */
export function directGradientCut(g: ConvolutionGeometry): GradientCut | undefined {
  const taps = product(g.taps)
  if (taps * g.channels > MOST_OFFSETS) return undefined
  const padded = 4 * Math.ceil(g.output[0] / 4)
  const phase = 4 * Math.ceil((padded + Math.floor(((g.taps[0] - 1) * g.dilation[0]) / g.stride[0])) / 4)
  const lineFloats = g.channels * g.taps[2] * g.stride[0] * phase
  const reach = (g.taps[1] - 1) * g.dilation[1] + 1
  const cached = (MOST_GRADIENT_BAND - lineFloats * (reach - g.stride[1])) / (lineFloats * g.stride[1] + 2 * padded)
  return cached < 4 ? undefined : bandSplits(g, Math.floor(cached))
}
