import type { Triple } from './convolution-geometry.js'

/** Where the arrays of a convolution lie in the heap; a bias at 0 is none. */
export interface Addresses {
  readonly X: number
  readonly weights: number
  readonly bias: number
  readonly Y: number
}

/** One product of implicit matrices, as kernels/convolution.ts describes it. */
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
