import { type ConvolutionShape, outputExtent, type Task } from '../task.js'
import type { Row } from './row.js'

type Pass = (Task & { kind: 'convolution' })['pass']

const passes: readonly (readonly [pass: Pass, label: string])[] = [
  ['forward', 'forward'],
  ['inputGradient', 'input-gradient'],
  ['filterGradient', 'filter-gradient'],
]

function convolutions(label: string, shape: ConvolutionShape): Row[] {
  const { observations, channels, extent, filters, filterExtent } = shape
  const amount = (2 * observations * filters * channels * filterExtent ** 2 * outputExtent(shape) ** 2) / 1e9
  const size = `${filterExtent}x${filterExtent} ${channels}->${filters}, ${extent}x${extent}, batch ${observations}`
  return passes.map(([pass, passLabel]) => ({
    name: `convolution-${label}-${passLabel}`,
    size,
    task: { kind: 'convolution', pass, ...shape },
    work: { amount, unit: 'GFLOP' },
    tolerance: 1e-3,
  }))
}

export const productRows: readonly Row[] = [
  {
    name: 'matmul',
    size: '1024x1024x1024',
    task: { kind: 'matmul', extent: 1024 },
    work: { amount: (2 * 1024 ** 3) / 1e9, unit: 'GFLOP' },
    tolerance: 1e-3,
  },
  ...convolutions('page', { observations: 128, channels: 3, extent: 28, filters: 20, filterExtent: 5, padding: 0 }),
  ...convolutions('3x3', { observations: 4, channels: 64, extent: 128, filters: 64, filterExtent: 3, padding: 1 }),
]
