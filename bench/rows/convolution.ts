import { type ConvolutionShape, convolutionSizes, elements, type Task } from '../task.js'
import type { Row } from './row.js'

type Pass = (Task & { kind: 'convolution' })['pass']

const passes: readonly (readonly [pass: Pass, label: string])[] = [
  ['forward', 'forward'],
  ['inputGradient', 'input-gradient'],
  ['filterGradient', 'filter-gradient'],
]

/** Multiplications and additions of plain sums: every weight meets each position of the smaller image once. */
function gigaflops(shape: ConvolutionShape): number {
  const { x, weights, y } = convolutionSizes(shape)
  const positions = shape.observations * elements((shape.transposed ? x : y).slice(2))
  return (2 * positions * elements(weights)) / 1e9
}

function convolutions(label: string, shape: ConvolutionShape): Row[] {
  const { observations, channels, extent, filters, filterExtent, stride = 1, groups = 1, dimensions = 2 } = shape
  const over = (value: number) => Array(dimensions).fill(value).join('x')
  const size = [
    `${over(filterExtent)} ${channels}->${filters}, ${over(extent)}`,
    stride > 1 && `stride ${stride}`,
    groups > 1 && `${groups} groups`,
    `batch ${observations}`,
  ]
  return passes.map(([pass, passLabel]) => ({
    name: `convolution-${label}-${passLabel}`,
    size: size.filter(Boolean).join(', '),
    task: { kind: 'convolution', pass, ...shape },
    work: { amount: gigaflops(shape), unit: 'GFLOP' },
    tolerance: 1e-3,
  }))
}

export const convolutionRows: readonly Row[] = [
  ...convolutions('page', { observations: 128, channels: 3, extent: 28, filters: 20, filterExtent: 5, padding: 0 }),
  ...convolutions('3x3', { observations: 4, channels: 64, extent: 128, filters: 64, filterExtent: 3, padding: 1 }),
  ...convolutions('9x9', { observations: 4, channels: 3, extent: 128, filters: 32, filterExtent: 9, padding: 4 }),
  ...convolutions('1d', {
    observations: 8,
    channels: 64,
    extent: 4096,
    filters: 64,
    filterExtent: 5,
    padding: 2,
    dimensions: 1,
  }),
  ...convolutions('3d', {
    observations: 2,
    channels: 32,
    extent: 32,
    filters: 32,
    filterExtent: 3,
    padding: 1,
    dimensions: 3,
  }),
  ...convolutions('stride', {
    observations: 8,
    channels: 64,
    extent: 56,
    filters: 128,
    filterExtent: 3,
    padding: 1,
    stride: 2,
  }),
  ...convolutions('transposed', {
    observations: 4,
    channels: 128,
    extent: 32,
    filters: 64,
    filterExtent: 4,
    padding: 1,
    stride: 2,
    transposed: true,
  }),
  ...convolutions('grouped', {
    observations: 4,
    channels: 128,
    extent: 56,
    filters: 128,
    filterExtent: 3,
    padding: 1,
    groups: 4,
  }),
  ...convolutions('depthwise', {
    observations: 8,
    channels: 128,
    extent: 56,
    filters: 128,
    filterExtent: 3,
    padding: 1,
    groups: 128,
  }),
  ...convolutions('depthwise-stride', {
    observations: 8,
    channels: 128,
    extent: 56,
    filters: 128,
    filterExtent: 3,
    padding: 1,
    stride: 2,
    groups: 128,
  }),
]
