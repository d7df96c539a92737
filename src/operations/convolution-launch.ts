import type { KernelBlock, WasmBackend } from '../backends/wasm/backend.js'
import {
  type ConvolutionGeometry,
  extents,
  inDimensions,
  negative,
  product,
  type Triple,
} from './convolution-geometry.js'
import type { Addresses, ImplicitProduct } from './implicit-product.js'
import {
  launchWinograd,
  launchWinogradFilterGradient,
  winogradApplies,
  winogradGradientApplies,
} from './winograd-launch.js'
import {
  type LinesGradientCut,
  linesCut,
  linesGradientCut,
  linesGradientMemory,
  withLines,
  withLinesGradient,
} from './winograd-lines-launch.js'
import { launchByPhases, phaseCut, phasesOfConvolution, phasesOfTranspose } from './winograd-phases-launch.js'
import { tileItems, tilesApply, tilesGradientCut, withTiles, withTilesGradient } from './winograd-tiles-launch.js'

// Launches the kernels of kernels/convolution*.ts. How the work is cut depends on sizes alone.

/** Positions per work item, fixed in the kernels. */
const BLOCK_POSITIONS = 96
const GRADIENT_POSITIONS = 288
const GRADIENT_K = 192
const GRADIENT_FILTERS = 128
const MOST_FILTERS = 512
/** Up to so many filters per group patches are read in place: copying them would cost more than it saves. */
const FEW_FILTERS = 32
/** What the working memory of a thread holds for kernels/convolution-direct.ts. */
const MOST_OFFSETS = 4096
const MOST_BAND = 3 * 2 ** 17
/** Floats of a band of the gradient for filters: a second-level cache holds it beside two planes of dy. */
const MOST_GRADIENT_BAND = 2 ** 16
/** Work items that keep the threads of any usual machine busy. */
const ENOUGH_ITEMS = 32

/** A convolution with a window of one element that moves by one is one over a line. */
function flattened(g: ConvolutionGeometry): ConvolutionGeometry {
  const pointwise = [0, 1, 2].every(
    (d) => g.taps[d] === 1 && g.stride[d] === 1 && g.before[d] === 0 && g.image[d] === g.output[d],
  )
  return pointwise ? { ...g, image: [product(g.image), 1, 1], output: [product(g.output), 1, 1] } : g
}

/** Y = convolution of X with the weights, plus bias. */
export function launchConvolve(wasm: WasmBackend, geometry: ConvolutionGeometry, at: Addresses): void {
  const p = convolutionProduct(geometry)
  if (phasesApply(geometry, p)) launchByPhases(wasm, at, phasesOfConvolution(geometry))
  else launchProduct(wasm, at, p)
}

/** About 5 by 5 taps go through transforms of tiles, with fewer multiplications. */
function phasesApply(geometry: ConvolutionGeometry, p: ImplicitProduct): boolean {
  return !tilesApply(p) && phaseCut(phasesOfConvolution(geometry)) !== undefined
}

/** A kernel of a convolution that can run observation by observation, for blocks. */
export interface ConvolutionByObservation {
  readonly kernel: 'convolveDirect' | 'convolveLines' | 'convolveTiles'
  /** Its block. */
  readonly address: number
  /** Its work items in an observation. */
  readonly items: number
}

/** Calls `use` where such a kernel is the one for this convolution; else returns false. */
export function withConvolutionByObservation(
  wasm: WasmBackend,
  geometry: ConvolutionGeometry,
  at: Addresses,
  use: (convolution: ConvolutionByObservation) => void,
): boolean {
  const p = convolutionProduct(geometry)
  if (isEmpty(p) || winogradApplies(p) || phasesApply(geometry, p)) return false
  if (tilesApply(p)) {
    withTiles(wasm, at, p, (block) =>
      wasm.withBlock('convolveTiles', block, (address) =>
        use({ kernel: 'convolveTiles', address, items: tileItems(p) }),
      ),
    )
    return true
  }
  const lines = linesCut(p)
  if (lines) {
    const items = bandItems(p, lines) / p.observations
    withLines(wasm, at, p, lines, (block) =>
      wasm.withBlock('convolveLines', block, (address) => use({ kernel: 'convolveLines', address, items })),
    )
    return true
  }
  const direct = directCut(p)
  if (!direct) return false
  const items = bandItems(p, direct) / p.observations
  withPackedFilters(wasm, at, p, (block) =>
    wasm.withBlock('convolveDirect', { ...block, ...direct }, (address) =>
      use({ kernel: 'convolveDirect', address, items }),
    ),
  )
  return true
}

/** A convolution as a product of implicit matrices. */
export function convolutionProduct(geometry: ConvolutionGeometry): ImplicitProduct {
  const g = flattened(geometry)
  const taps = product(g.taps)
  const perFilter = taps * g.channels
  return {
    observations: g.observations,
    groups: g.groups,
    channels: g.channels,
    filters: g.filters,
    source: g.image,
    positions: g.output,
    taps: g.taps,
    step: g.stride,
    spacing: g.dilation,
    offset: negative(g.before),
    first: 0,
    strides: [1, g.output[0], g.output[0] * g.output[1]],
    plane: product(g.output),
    weights: {
      first: 0,
      strides: [1, g.taps[0], g.taps[0] * g.taps[1]],
      channel: taps,
      filter: perFilter,
      group: perFilter * g.filters,
    },
  }
}

/**
 * Y = adjoint of the convolution applied to X, plus bias. Positions of Y that leave the same remainder modulo the stride
 * meet the same taps, so each remainder is one convolution with those taps and stride 1.
 */
export function launchConvolveTransposed(wasm: WasmBackend, geometry: ConvolutionGeometry, at: Addresses): void {
  const g = flattened(geometry)
  if (launchByPhases(wasm, at, phasesOfTranspose(g))) return
  const taps = product(g.taps)
  const tapStrides = [1, g.taps[0], g.taps[0] * g.taps[1]] as const
  const strides = [1, g.image[0], g.image[0] * g.image[1]] as const
  const phases = ([0, 1, 2] as const).map((d) => remainders(g, d))
  for (const depth of phases[2]!)
    for (const width of phases[1]!)
      for (const height of phases[0]!) {
        const phase = [height, width, depth] as const
        const each = (value: (p: Phase, d: 0 | 1 | 2) => number): Triple => [
          value(height, 0),
          value(width, 1),
          value(depth, 2),
        ]
        launchProduct(wasm, at, {
          observations: g.observations,
          groups: g.groups,
          channels: g.filters,
          filters: g.channels,
          source: g.output,
          positions: each((p) => p.positions),
          taps: each((p) => p.taps),
          step: [1, 1, 1],
          spacing: each((p) => p.spacing),
          offset: each((p) => p.offset),
          first: phase.reduce((sum, p, d) => sum + p.remainder * strides[d]!, 0),
          strides: each((_, d) => g.stride[d] * strides[d]),
          plane: product(g.image),
          weights: {
            first: phase.reduce((sum, p, d) => sum + p.firstTap * tapStrides[d]!, 0),
            strides: each((p, d) => p.tapStep * tapStrides[d]),
            channel: taps * g.channels,
            filter: taps,
            group: taps * g.channels * g.filters,
          },
        })
      }
}

/** Positions `remainder + stride u` of one dimension: the taps that meet them, and where those taps read. */
interface Phase {
  readonly remainder: number
  readonly positions: number
  readonly taps: number
  readonly firstTap: number
  readonly tapStep: number
  readonly offset: number
  readonly spacing: number
}

function remainders(g: ConvolutionGeometry, d: 0 | 1 | 2): Phase[] {
  const stride = g.stride[d]
  const dilation = g.dilation[d]
  // Tap t meets position p when p + before - t dilation is a multiple of the stride, so every tapStep-th tap does.
  const tapStep = stride / greatestCommonDivisor(stride, dilation)
  const phases: Phase[] = []
  for (let remainder = 0; remainder < Math.min(stride, g.image[d]); remainder++) {
    const positions = Math.ceil((g.image[d] - remainder) / stride)
    const candidates = Array.from({ length: Math.min(tapStep, g.taps[d]) }, (_, t) => t)
    const firstTap = candidates.find((t) => (remainder + g.before[d] - t * dilation) % stride === 0)
    phases.push(
      firstTap === undefined
        ? { remainder, positions, taps: 0, firstTap: 0, tapStep, offset: 0, spacing: 0 }
        : {
            remainder,
            positions,
            taps: Math.floor((g.taps[d] - 1 - firstTap) / tapStep) + 1,
            firstTap,
            tapStep,
            offset: (remainder + g.before[d] - firstTap * dilation) / stride,
            spacing: (-dilation * tapStep) / stride,
          },
    )
  }
  return phases
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

function isEmpty(p: ImplicitProduct): boolean {
  return product(p.positions) * p.observations * p.filters * p.groups === 0
}

function launchProduct(wasm: WasmBackend, at: Addresses, p: ImplicitProduct): void {
  if (isEmpty(p)) return
  if (winogradApplies(p)) {
    launchWinograd(wasm, at, p)
    return
  }
  if (tilesApply(p)) {
    withTiles(wasm, at, p, (block) => wasm.launch('convolveTiles', block, { items: tileItems(p) * p.observations }))
    return
  }
  const lines = linesCut(p)
  if (lines) {
    withLines(wasm, at, p, lines, (block) => wasm.launch('convolveLines', block, { items: bandItems(p, lines) }))
    return
  }
  const direct = directCut(p)
  withPackedFilters(wasm, at, p, (block) => {
    if (direct) {
      wasm.launch('convolveDirect', { ...block, ...direct }, { items: bandItems(p, direct) })
      return
    }
    const positionBlocks = Math.ceil((product(p.positions) * p.observations) / BLOCK_POSITIONS)
    const blockFilters = filtersPerItem(p.filters, positionBlocks * p.groups)
    const items = positionBlocks * Math.ceil(p.filters / blockFilters) * p.groups
    wasm.launch('convolve', { ...block, blockFilters }, { items })
  })
}

/** Work items of the kernels that read bands. */
function bandItems(p: ImplicitProduct, { lines }: { readonly lines: number }): number {
  return Math.ceil(p.positions[1] / lines) * p.positions[2] * p.groups * p.observations
}

/** Calls `use` with what the blocks of both kernels have in common. */
function withPackedFilters<B>(
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
      {
        weights: at.weights,
        packed,
        filters: p.filters,
        channels: p.channels,
        groups: p.groups,
        ...inDimensions('taps', p.taps),
        first: p.weights.first,
        ...inDimensions('stride', p.weights.strides),
        strideChannel: p.weights.channel,
        strideFilter: p.weights.filter,
        strideGroup: p.weights.group,
      },
      // Packing 64 panels takes less time than waking a thread unless filters are large.
      { items: panels * p.groups, grain: Math.max(1, Math.ceil(4096 / Math.max(k, 1))) },
    )
    return use({
      x: at.X,
      packed,
      bias: at.bias,
      y: at.Y,
      observations: p.observations,
      groups: p.groups,
      channels: p.channels,
      filters: p.filters,
      ...extents('X', p.source),
      ...extents('Y', p.positions),
      ...inDimensions('taps', p.taps),
      ...inDimensions('step', p.step),
      ...inDimensions('spacing', p.spacing),
      ...inDimensions('offset', p.offset),
      firstY: p.first,
      strideHY: p.strides[0],
      strideWY: p.strides[1],
      strideDY: p.strides[2],
      planeY: p.plane,
    })
  })
}

type PackedProduct = Omit<KernelBlock<'convolve'>, 'blockFilters'>

/** How work for kernels/convolution-direct.ts is cut; undefined where that kernel does not apply or would not pay. */
function directCut(p: ImplicitProduct): { lines: number; runChannels: number } | undefined {
  const taps = product(p.taps)
  const [height, width, depth] = p.positions
  if (p.filters > (p.step[0] === 1 ? FEW_FILTERS : 3) || taps < 2 || p.channels === 0) return undefined
  const padded = 8 * Math.ceil(height / 8)
  // With few filters even half-used tiles are faster; otherwise copying is, unless next to nothing is wasted.
  if (height < (p.filters <= 4 ? 0.4 : 0.95) * padded) return undefined
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

/** As many filters as possible share one packed block of patches, as long as there is work for several threads. */
function filtersPerItem(filters: number, otherItems: number): number {
  const blocks = Math.max(Math.ceil(filters / MOST_FILTERS), Math.min(ENOUGH_ITEMS / otherItems, filters / 16))
  return 4 * Math.ceil(filters / (4 * Math.ceil(blocks)))
}

/** dWeights = gradient of the convolution of X for its weights, where dY is the gradient of its output. */
export function launchFilterGradient(
  wasm: WasmBackend,
  geometry: ConvolutionGeometry,
  at: { readonly X: number; readonly dY: number; readonly dWeights: number },
): void {
  const g = flattened(geometry)
  if (g.observations > 0 && winogradGradientApplies(g)) {
    launchWinogradFilterGradient(wasm, g, at)
    return
  }
  const k = product(g.taps) * g.channels
  const blocks = Math.ceil((product(g.output) * g.observations) / GRADIENT_POSITIONS)
  const parts = Math.ceil(k / GRADIENT_K) * Math.ceil(g.filters / GRADIENT_FILTERS) * g.groups
  if (parts === 0) return
  const splits = Math.max(1, Math.min(blocks, Math.ceil(ENOUGH_ITEMS / parts)))
  const cut = filterGradientCut(g)
  if (cut) {
    const work = { items: cut.splits * (cut.kernel === 'convolveTilesGradient' ? 1 : g.groups), grain: 1 }
    withFilterGradient(wasm, g, at, cut, (sums) => {
      if (sums.kernel === 'convolveTilesGradient') wasm.launch(sums.kernel, sums.block, work)
      else if (sums.kernel === 'convolveLinesGradient') wasm.launch(sums.kernel, sums.block, work)
      else wasm.launch(sums.kernel, sums.block, work)
    })
    return
  }
  const partialBytes = 4 * splits * g.groups * 2 * Math.ceil(g.filters / 2) * 4 * Math.ceil(k / 4)
  wasm.withTemporary(partialBytes, (partials) => {
    wasm.launch(
      'convolveFilterGradient',
      {
        x: at.X,
        dy: at.dY,
        partials,
        observations: g.observations,
        groups: g.groups,
        channels: g.channels,
        filters: g.filters,
        ...extents('X', g.image),
        ...extents('Y', g.output),
        ...inDimensions('taps', g.taps),
        ...inDimensions('step', g.stride),
        ...inDimensions('spacing', g.dilation),
        ...inDimensions('offset', negative(g.before)),
        splits,
      },
      { items: parts * splits },
    )
    wasm.launch(
      'combineFilterGradient',
      { partials, gradient: at.dWeights, k, filters: g.filters, groups: g.groups, splits },
      { items: g.filters * g.groups, grain: Math.max(1, Math.ceil(16384 / (k * splits))) },
    )
  })
}

/** How work for a kernel that sums the gradient observation by observation is cut. */
export interface FilterGradientCut {
  readonly kernel: 'convolveFilterGradientDirect' | 'convolveLinesGradient' | 'convolveTilesGradient'
  readonly lines: number
  readonly splits: number
  /** Bytes of a thread's working memory that it needs. */
  readonly memory: number
}

/** Undefined where no such kernel applies or would pay. */
export function filterGradientCut(g: ConvolutionGeometry): FilterGradientCut | undefined {
  if (winogradGradientApplies(g)) return undefined
  const tiles = tilesGradientCut(g)
  if (tiles) return { kernel: 'convolveTilesGradient', lines: 0, ...tiles }
  const lines = linesGradientCut(g)
  if (lines) return { kernel: 'convolveLinesGradient', ...lines, memory: linesGradientMemory(g, lines) }
  const direct = directGradientCut(g)
  return (
    direct && { kernel: 'convolveFilterGradientDirect', ...direct, memory: 4 * (MOST_GRADIENT_BAND + 4 * MOST_OFFSETS) }
  )
}

/** Undefined where the kernel of kernels/convolution-gradient-direct.ts does not apply or would not pay. */
function directGradientCut(g: ConvolutionGeometry): LinesGradientCut | undefined {
  const taps = product(g.taps)
  const [height, width] = g.output
  const padded = 4 * Math.ceil(height / 4)
  if (g.stride[0] !== 1 || taps < 2 || g.channels === 0 || taps * g.channels > MOST_OFFSETS) return undefined
  if (g.observations * g.groups < ENOUGH_ITEMS / 4 || height < 0.85 * padded) return undefined
  const lineFloats = g.channels * g.taps[2] * (padded + (g.taps[0] - 1) * g.dilation[0])
  const reach = (g.taps[1] - 1) * g.dilation[1] + 1
  const cached = (MOST_GRADIENT_BAND - lineFloats * (reach - g.stride[1])) / (lineFloats * g.stride[1] + 2 * padded)
  if (cached < 4) return undefined
  const splits = Math.min(g.observations, Math.ceil(ENOUGH_ITEMS / g.groups))
  return { lines: Math.min(width, Math.floor(cached)), splits }
}

/** A kernel with its block. */
type FilterGradientSums = {
  readonly [K in FilterGradientCut['kernel']]: { readonly kernel: K; readonly block: KernelBlock<K> }
}[FilterGradientCut['kernel']]

/** Has `use` compute partial sums of the gradient by the kernel that the cut names, and joins them. */
export function withFilterGradient(
  wasm: WasmBackend,
  g: ConvolutionGeometry,
  at: { readonly X: number; readonly dY: number; readonly dWeights: number },
  cut: FilterGradientCut,
  use: (sums: FilterGradientSums) => void,
): void {
  const { kernel, lines, splits } = cut
  if (kernel === 'convolveTilesGradient') {
    withTilesGradient(wasm, g, at, splits, (block) => use({ kernel, block }))
    return
  }
  if (kernel === 'convolveLinesGradient') {
    withLinesGradient(wasm, g, at, cut, (block) => use({ kernel, block }))
    return
  }
  const k = product(g.taps) * g.channels
  const bytes = 4 * splits * g.groups * 2 * Math.ceil(g.filters / 2) * 4 * Math.ceil(k / 4)
  wasm.withTemporary(bytes, (partials) => {
    use({ kernel, block: { x: at.X, dy: at.dY, partials, ...directGradientFields(g), lines, splits } })
    wasm.launch(
      'combineFilterGradient',
      { partials, gradient: at.dWeights, k, filters: g.filters, groups: g.groups, splits },
      { items: g.filters * g.groups, grain: Math.max(1, Math.ceil(16384 / (k * splits))) },
    )
  })
}

/** The geometry as kernels/convolution-gradient-direct.ts wants it. */
function directGradientFields(g: ConvolutionGeometry) {
  const { stepH: _, ...step } = inDimensions('step', g.stride)
  return {
    observations: g.observations,
    groups: g.groups,
    channels: g.channels,
    filters: g.filters,
    ...extents('X', g.image),
    ...extents('Y', g.output),
    ...inDimensions('taps', g.taps),
    ...step,
    ...inDimensions('spacing', g.dilation),
    ...inDimensions('offset', negative(g.before)),
  }
}

/** gradient[c] = sum of dY over everything but channels. */
export function launchBiasGradient(
  wasm: WasmBackend,
  at: { readonly dY: number; readonly gradient: number },
  plane: number,
  channels: number,
  observations: number,
): void {
  const grain = Math.max(1, Math.ceil(32768 / Math.max(plane * observations, 1)))
  wasm.launch(
    'biasGradient',
    { dy: at.dY, gradient: at.gradient, plane, channels, observations },
    { items: channels, grain },
  )
}
