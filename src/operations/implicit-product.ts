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
