import type { Addresses, ImplicitProduct } from '../products/implicit-product.js'
import { type ConvolutionGeometry, extents, inDimensions, negative } from './convolution-geometry.js'

// What the blocks of several kernels have in common; a kernel takes those of the fields that it declares.

/** Where the arrays of a gradient for filters lie in the heap. */
export interface GradientAddresses {
  readonly X: number
  readonly dY: number
  readonly dWeights: number
}

/** For kernels that pack or transform filters. */
export function filterFields({ weights }: Addresses, p: ImplicitProduct) {
  return {
    weights,
    filters: p.filters,
    channels: p.channels,
    groups: p.groups,
    ...inDimensions('taps', p.taps),
    first: p.weights.first,
    ...inDimensions('stride', p.weights.strides),
    strideChannel: p.weights.channel,
    strideFilter: p.weights.filter,
    strideGroup: p.weights.group,
  }
}

/** For kernels that compute a product from packed or transformed filters. */
export function productFields({ X, bias, Y }: Addresses, p: ImplicitProduct) {
  return {
    x: X,
    bias,
    y: Y,
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
  }
}

/** For kernels that sum a gradient for filters. */
export function gradientFields({ X, dY }: GradientAddresses, g: ConvolutionGeometry) {
  return {
    x: X,
    dy: dY,
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
  }
}
