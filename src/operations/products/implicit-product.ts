import { type ConvolutionGeometry, negative, product, type Triple } from '../convolution/convolution-geometry.js'

/** Where the arrays of a convolution lie in the heap; a bias at 0 is none. */
export interface Addresses {
  readonly X: number
  readonly weights: number
  readonly bias: number
  readonly Y: number
}

/** One product of implicit matrices, as kernels/convolution/convolution.ts describes it. */
export interface ImplicitProduct {
  readonly observations: number
  readonly groups: number
  readonly channels: number
  readonly filters: number
  readonly source: Triple
  readonly positions: Triple
  readonly taps: Triple
  readonly step: Triple
  readonly spacing: Triple
  readonly offset: Triple
  /** Element of Y of the first position, elements between positions, elements per channel. */
  readonly first: number
  readonly strides: Triple
  readonly plane: number
  readonly weights: {
    readonly first: number
    readonly strides: Triple
    readonly channel: number
    readonly filter: number
    readonly group: number
  }
}

/** The same product with spacings of 1 or more: a filter that is read backwards is a turned filter read forwards. */
export function forwards(p: ImplicitProduct): ImplicitProduct {
  const turned = (d: 0 | 1 | 2) => p.spacing[d] < 0
  const each = (value: (d: 0 | 1 | 2) => number): Triple => [value(0), value(1), value(2)]
  const last = (d: 0 | 1 | 2) => (turned(d) ? p.taps[d] - 1 : 0)
  const { strides } = p.weights
  return {
    ...p,
    spacing: each((d) => Math.abs(p.spacing[d])),
    offset: each((d) => p.offset[d] + last(d) * p.spacing[d]),
    weights: {
      ...p.weights,
      first: p.weights.first + last(0) * strides[0] + last(1) * strides[1] + last(2) * strides[2],
      strides: each((d) => (turned(d) ? -strides[d] : strides[d])),
    },
  }
}

/** A convolution with a window of one element that moves by one is one over a line. */
export function flattened(g: ConvolutionGeometry): ConvolutionGeometry {
  const pointwise = [0, 1, 2].every(
    (d) => g.taps[d] === 1 && g.stride[d] === 1 && g.before[d] === 0 && g.image[d] === g.output[d],
  )
  return pointwise ? { ...g, image: [product(g.image), 1, 1], output: [product(g.output), 1, 1] } : g
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
 * The adjoint of a convolution as products. Positions of Y that leave the same remainder modulo the stride meet the same taps, so
 * each remainder is one convolution with those taps and stride 1.
 */
export function transposedProducts(geometry: ConvolutionGeometry): ImplicitProduct[] {
  const g = flattened(geometry)
  const taps = product(g.taps)
  const tapStrides = [1, g.taps[0], g.taps[0] * g.taps[1]] as const
  const strides = [1, g.image[0], g.image[0] * g.image[1]] as const
  const products: ImplicitProduct[] = []
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
        products.push({
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
  return products
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

/** Whether there is nothing to compute. */
export function isEmpty(p: ImplicitProduct): boolean {
  return product(p.positions) * p.observations * p.filters * p.groups === 0
}
