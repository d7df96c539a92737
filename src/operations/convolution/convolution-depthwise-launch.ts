import type { WasmBackend } from '../../backends/wasm/backend.js'
import { type Addresses, forwards, type ImplicitProduct } from '../products/implicit-product.js'
import type { GradientAddresses } from './convolution-fields.js'
import { type ConvolutionGeometry, negative, product, type Triple } from './convolution-geometry.js'

// Launches the kernels of kernels/convolution/convolution-depthwise*.ts: planes on their own, with a filter of 3 by 3 taps each.

/** Planes that are lanes together. */
const LANES = 4
/** Work items that keep the threads of any usual machine busy. */
const ENOUGH_ITEMS = 32
/** Lines of a band at least, where there are as many: neighbours read two lines of each other. */
const FEW_LINES = 4
/** Vectors of a band and of what is made of it: a first-level cache holds them. */
const BAND_VECTORS = 2 ** 11
/** Those that the working memory of a thread holds, with room for the lines around a band. */
const MOST_VECTORS = 2 ** 16
/** Partial sums of a plane: nine, in vectors of four. */
const SUMS = 12

/** Lines of y of a band, of which there are enough for all threads. */
function linesOf([heightX, widthX]: Triple, [heightY, widthY]: Triple, panels = ENOUGH_ITEMS): number {
  const vectors = heightX * widthX + heightY * widthY
  const bands = Math.max(Math.ceil(vectors / BAND_VECTORS), Math.ceil(ENOUGH_ITEMS / panels))
  return Math.ceil(widthY / Math.min(bands, Math.ceil(widthY / FEW_LINES)))
}

/** Whether planes are convolved on their own, and bands fit; `longest` is the longer of the lines of x and y with their borders. */
function takes(
  groups: number,
  perGroup: number,
  taps: Triple,
  x: Triple,
  y: Triple,
  step: Triple,
  longest: number,
): boolean {
  const planar = taps[2] === 1 && x[2] === 1 && y[2] === 1 && step[2] === 1
  const alone = groups > 1 && perGroup === 1 && taps[0] === 3 && taps[1] === 3
  return planar && alone && (linesOf(x, y) * (step[1] + 1) + 6) * longest <= MOST_VECTORS
}

/** Whether a product convolves planes on their own. */
export function depthwiseTakes(p: ImplicitProduct): boolean {
  const { source, positions, step, spacing, strides } = p
  const neighbours = Math.abs(spacing[0]) === 1 && Math.abs(spacing[1]) === 1 && p.offset[2] === 0
  const dense = strides[0] === 1 && strides[1] === positions[0]
  const longest = (positions[0] - 1) * step[0] + 3
  return neighbours && dense && takes(p.groups, p.channels * p.filters, p.taps, source, positions, step, longest)
}

/** Whether the adjoint of a convolution with steps does. */
export function spreadTakes({ output, image, stride, dilation, before, ...g }: ConvolutionGeometry): boolean {
  const steps = stride[0] * stride[1] > 1 && dilation[0] === 1 && dilation[1] === 1 && before[2] === 0
  const some = product(image) * product(output) * g.observations > 0
  const longest = Math.max((output[0] - 1) * stride[0] + 3, image[0] + before[0])
  return steps && some && takes(g.groups, g.channels * g.filters, g.taps, output, image, stride, longest)
}

/** Fields that the kernels have in common. */
function planes(count: number, x: Triple, y: Triple, [stepH, stepW]: Triple, [offsetH, offsetW]: Triple) {
  const [heightX, widthX] = x
  const [heightY, widthY] = y
  return { planes: count, heightX, widthX, heightY, widthY, stepH, stepW, offsetH, offsetW }
}

export function launchDepthwise(wasm: WasmBackend, at: Addresses, backwards: ImplicitProduct): void {
  const { observations, groups, source, positions, step, offset, weights } = forwards(backwards)
  const panels = Math.ceil(groups / LANES) * observations
  const lines = linesOf(source, positions, panels)
  wasm.launch(
    'convolveDepthwise',
    {
      x: at.X,
      weights: at.weights,
      bias: at.bias,
      y: at.Y,
      ...planes(groups, source, positions, step, offset),
      first: weights.first,
      strideH: weights.strides[0],
      strideW: weights.strides[1],
      stridePlane: weights.group,
      lines,
    },
    { items: panels * Math.ceil(positions[1] / lines) },
  )
}

/** Y = adjoint of the convolution applied to X, plus bias. */
export function launchDepthwiseSpread(wasm: WasmBackend, at: Addresses, g: ConvolutionGeometry): void {
  const panels = Math.ceil(g.groups / LANES) * g.observations
  const lines = linesOf(g.output, g.image, panels)
  wasm.launch(
    'spreadDepthwise',
    {
      x: at.X,
      weights: at.weights,
      bias: at.bias,
      y: at.Y,
      ...planes(g.groups, g.output, g.image, g.stride, negative(g.before)),
      first: 0,
      strideH: 1,
      strideW: 3,
      stridePlane: 9,
      lines,
    },
    { items: panels * Math.ceil(g.image[1] / lines) },
  )
}

/** dWeights = gradient of the convolution of X for its weights, where dY is the gradient of its output. */
export function launchDepthwiseGradient(wasm: WasmBackend, g: ConvolutionGeometry, at: GradientAddresses): void {
  const { groups, observations } = g
  const panels = Math.ceil(groups / LANES)
  const splits = Math.min(observations, Math.ceil(ENOUGH_ITEMS / panels))
  wasm.withTemporary(4 * SUMS * 2 * Math.ceil(groups / 2) * splits, (partials) => {
    wasm.launch(
      'convolveDepthwiseGradient',
      {
        x: at.X,
        dy: at.dY,
        partials,
        observations,
        ...planes(groups, g.image, g.output, g.stride, negative(g.before)),
        lines: linesOf(g.image, g.output),
        splits,
      },
      { items: panels * splits, grain: 1 },
    )
    wasm.launch(
      'combineFilterGradient',
      { partials, gradient: at.dWeights, k: 9, filters: groups, groups: 1, splits },
      { items: groups, grain: Math.max(1, Math.ceil(2048 / splits)) },
    )
  })
}
