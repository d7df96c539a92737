import type { KernelBlock, WasmBackend } from '../../backends/wasm/backend.js'
import {
  type Addresses,
  convolutionProduct,
  flattened,
  type ImplicitProduct,
  isEmpty,
  transposedProducts,
} from '../products/implicit-product.js'
import {
  chooseFilterGradient,
  choosePhases,
  chooseProduct,
  chooseTransposedPhases,
  type FilterGradientCut,
} from './convolution-choice.js'
import {
  launchDepthwise,
  launchDepthwiseGradient,
  launchDepthwiseSpread,
  spreadTakes,
} from './convolution-depthwise-launch.js'
import { bandItems, withPackedFilters } from './convolution-direct-launch.js'
import { type GradientAddresses, gradientFields } from './convolution-fields.js'
import { type ConvolutionGeometry, product } from './convolution-geometry.js'
import { launchWinograd, launchWinogradFilterGradient } from './winograd-launch.js'
import { withLines, withLinesGradient } from './winograd-lines-launch.js'
import { launchByPhases } from './winograd-phases-launch.js'
import { tileItems, withTiles, withTilesGradient } from './winograd-tiles-launch.js'

// Launches the kernels of kernels/convolution/convolution*.ts and winograd*.ts, those that convolution-choice.ts chooses. How the work is cut
// depends on sizes alone.

/** Positions per work item, fixed in the kernels. */
const BLOCK_POSITIONS = 96
const GRADIENT_POSITIONS = 288
const GRADIENT_K = 192
const GRADIENT_FILTERS = 128
const MOST_FILTERS = 512
/** Work items that keep the threads of any usual machine busy. */
const ENOUGH_ITEMS = 32

/** Y = convolution of X with the weights, plus bias. */
export function launchConvolve(wasm: WasmBackend, geometry: ConvolutionGeometry, at: Addresses): void {
  const p = convolutionProduct(geometry)
  const choice = choosePhases(geometry, p)
  if (choice) launchByPhases(wasm, at, choice.phases, choice.cut)
  else launchProduct(wasm, at, p)
}

/** Y = adjoint of the convolution applied to X, plus bias. */
export function launchConvolveTransposed(wasm: WasmBackend, geometry: ConvolutionGeometry, at: Addresses): void {
  if (spreadTakes(geometry)) {
    launchDepthwiseSpread(wasm, at, geometry)
    return
  }
  const choice = chooseTransposedPhases(flattened(geometry))
  if (choice) launchByPhases(wasm, at, choice.phases, choice.cut)
  else for (const p of transposedProducts(geometry)) launchProduct(wasm, at, p)
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
  if (isEmpty(p) || choosePhases(geometry, p)) return false
  const choice = chooseProduct(p)
  switch (choice.family) {
    case 'tiles':
      withTiles(wasm, at, p, (block) =>
        wasm.withBlock('convolveTiles', block, (address) =>
          use({ kernel: 'convolveTiles', address, items: tileItems(p) }),
        ),
      )
      return true
    case 'lines': {
      const items = bandItems(p, choice.cut) / p.observations
      withLines(wasm, at, p, choice.cut, (block) =>
        wasm.withBlock('convolveLines', block, (address) => use({ kernel: 'convolveLines', address, items })),
      )
      return true
    }
    case 'direct': {
      const items = bandItems(p, choice.cut) / p.observations
      withPackedFilters(wasm, at, p, (block) =>
        wasm.withBlock('convolveDirect', { ...block, ...choice.cut }, (address) =>
          use({ kernel: 'convolveDirect', address, items }),
        ),
      )
      return true
    }
    default:
      return false
  }
}

function launchProduct(wasm: WasmBackend, at: Addresses, p: ImplicitProduct): void {
  if (isEmpty(p)) return
  const choice = chooseProduct(p)
  switch (choice.family) {
    case 'depthwise':
      launchDepthwise(wasm, at, p)
      return
    case 'winograd':
      launchWinograd(wasm, at, p)
      return
    case 'tiles':
      withTiles(wasm, at, p, (block) => wasm.launch('convolveTiles', block, { items: tileItems(p) * p.observations }))
      return
    case 'lines': {
      const work = { items: bandItems(p, choice.cut) }
      withLines(wasm, at, p, choice.cut, (block) => wasm.launch('convolveLines', block, work))
      return
    }
    case 'direct': {
      const work = { items: bandItems(p, choice.cut) }
      withPackedFilters(wasm, at, p, (block) => wasm.launch('convolveDirect', { ...block, ...choice.cut }, work))
      return
    }
    case 'patches': {
      const positionBlocks = Math.ceil((product(p.positions) * p.observations) / BLOCK_POSITIONS)
      const blockFilters = filtersPerItem(p.filters, positionBlocks * p.groups)
      const items = positionBlocks * Math.ceil(p.filters / blockFilters) * p.groups
      withPackedFilters(wasm, at, p, (block) => wasm.launch('convolve', { ...block, blockFilters }, { items }))
    }
  }
}

/** As many filters as possible share one packed block of patches, as long as there is work for several threads. */
function filtersPerItem(filters: number, otherItems: number): number {
  const blocks = Math.max(Math.ceil(filters / MOST_FILTERS), Math.min(ENOUGH_ITEMS / otherItems, filters / 16))
  return 4 * Math.ceil(filters / (4 * Math.ceil(blocks)))
}

/** dWeights = gradient of the convolution of X for its weights, where dY is the gradient of its output. */
export function launchFilterGradient(wasm: WasmBackend, geometry: ConvolutionGeometry, at: GradientAddresses): void {
  const g = flattened(geometry)
  const choice = chooseFilterGradient(g)
  if (choice.family === 'winograd') launchWinogradFilterGradient(wasm, g, at)
  else if (choice.family === 'depthwise') launchDepthwiseGradient(wasm, g, at)
  else if (choice.family === 'patches') launchPatchesGradient(wasm, g, at)
  else {
    const work = { items: choice.splits * (choice.family === 'tiles' ? 1 : g.groups), grain: 1 }
    withFilterGradient(wasm, g, at, choice, (sums) => {
      if (sums.kernel === 'convolveTilesGradient') wasm.launch(sums.kernel, sums.block, work)
      else if (sums.kernel === 'convolveLinesGradient') wasm.launch(sums.kernel, sums.block, work)
      else wasm.launch(sums.kernel, sums.block, work)
    })
  }
}

function launchPatchesGradient(wasm: WasmBackend, g: ConvolutionGeometry, at: GradientAddresses): void {
  const blocks = Math.ceil((product(g.output) * g.observations) / GRADIENT_POSITIONS)
  const k = product(g.taps) * g.channels
  const parts = Math.ceil(k / GRADIENT_K) * Math.ceil(g.filters / GRADIENT_FILTERS) * g.groups
  if (parts === 0) return
  const splits = Math.max(1, Math.min(blocks, Math.ceil(ENOUGH_ITEMS / parts)))
  withPartials(wasm, g, at, splits, (partials) =>
    wasm.launch('convolveFilterGradient', { partials, ...gradientFields(at, g), splits }, { items: parts * splits }),
  )
}

/** Has `use` compute partial sums for all taps and channels, and joins them. */
function withPartials(
  wasm: WasmBackend,
  { taps, channels, filters, groups }: ConvolutionGeometry,
  { dWeights: gradient }: GradientAddresses,
  splits: number,
  use: (partials: number) => void,
): void {
  const k = product(taps) * channels
  wasm.withTemporary(4 * splits * groups * 2 * Math.ceil(filters / 2) * 4 * Math.ceil(k / 4), (partials) => {
    use(partials)
    wasm.launch(
      'combineFilterGradient',
      { partials, gradient, k, filters, groups, splits },
      { items: filters * groups, grain: Math.max(1, Math.ceil(16384 / (k * splits))) },
    )
  })
}

/** A kernel with its block. */
type FilterGradientSums = {
  readonly [K in FilterGradientKernel]: { readonly kernel: K; readonly block: KernelBlock<K> }
}[FilterGradientKernel]

type FilterGradientKernel = 'convolveFilterGradientDirect' | 'convolveLinesGradient' | 'convolveTilesGradient'

/** Has `use` compute partial sums of the gradient by the kernel of the cut's family, and joins them. */
export function withFilterGradient(
  wasm: WasmBackend,
  g: ConvolutionGeometry,
  at: GradientAddresses,
  cut: FilterGradientCut,
  use: (sums: FilterGradientSums) => void,
): void {
  const { family, lines, splits } = cut
  if (family === 'tiles') {
    withTilesGradient(wasm, g, at, splits, (block) => use({ kernel: 'convolveTilesGradient', block }))
    return
  }
  if (family === 'lines') {
    withLinesGradient(wasm, g, at, cut, (block) => use({ kernel: 'convolveLinesGradient', block }))
    return
  }
  const kernel = 'convolveFilterGradientDirect'
  withPartials(wasm, g, at, splits, (partials) =>
    use({ kernel, block: { partials, ...gradientFields(at, g), lines, splits } }),
  )
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
