import { bytesMoved, elements, type Task } from '../task.js'
import { rows } from './all.js'
import type { Row } from './row.js'

/** A row and where it stands in the chart. */
export interface ScalingRow {
  readonly row: Row
  readonly series: 'train by batch' | 'predict by batch' | 'predict by extent' | 'instancenorm' | 'roofline'
  /** Observations, rows and columns of a picture, megabytes of a tensor, or floating-point operations a byte. */
  readonly x: number
  /** Of the whole call: pictures, pixels, GB or GFLOP. */
  readonly amount: number
  /** What a point of the roofline is. */
  readonly label?: string
}

const batches = [1, 4, 16, 64, 256, 512]
const extents = [16, 32, 64, 128, 256, 512, 1024]
/** Pictures of an extent: 16, but no more pixels than 16 of 256x256 have. */
const pictures = (extent: number) => Math.max(1, Math.min(16, (16 * 256 ** 2) / extent ** 2))

function network(pass: 'train' | 'predict', batch: number, extent: number): Row {
  return {
    name: `scaling-${pass}-${extent}x${extent}x${batch}`,
    size: `${extent}x${extent}, batch ${batch}`,
    task: { kind: 'network', pass, batch, extent },
    work: { amount: batch, unit: 'images' },
    tolerance: 1e-2,
  }
}

function normalization(size: readonly number[]): ScalingRow {
  const task: Task = { kind: 'instancenorm', pass: 'forward', size, format: 'SSCB' }
  const amount = bytesMoved(task)! / 1e9
  const row: Row = {
    name: `scaling-instancenorm-${size.join('x')}`,
    size: size.join('x'),
    task,
    work: { amount, unit: 'GB' },
    tolerance: 1e-3,
  }
  return { row, series: 'instancenorm', x: (4 * elements(size)) / 1e6, amount }
}

/** Operations and least bytes of rows that are measured anyway. Sums: mean, square, sum, factor, shift. */
function roofline(): ScalingRow[] {
  const image = 2 * 20 * 75 * 576 + 5 * 20 * 576 + 2 * 10 * 2880
  const points: readonly (readonly [name: string, label: string, flop: number, bytes: number])[] = [
    ['instancenorm-forward-134MB', 'instance norm', 5 * 32 * 64 * 128 ** 2, 8 * 32 * 64 * 128 ** 2],
    ['network-predict', 'predict', 128 * image, 4 * 128 * 3 * 28 ** 2],
    ['convolution-page-forward', '5x5 convolution', 128 * 2 * 20 * 75 * 576, 4 * 128 * (3 * 28 ** 2 + 20 * 576)],
    ['convolution-3x3-forward', '3x3 convolution', 2 * 4 * 64 * 576 * 128 ** 2, 2 * 4 * 4 * 64 * 128 ** 2],
    ['matmul', 'matrix product', 2 * 1024 ** 3, 3 * 4 * 1024 ** 2],
  ]
  return points.map(([name, label, flop, bytes]) => ({
    row: rows.find((row) => row.name === name)!,
    series: 'roofline',
    x: flop / bytes,
    amount: flop / 1e9,
    label,
  }))
}

export const scalingRows: readonly ScalingRow[] = [
  ...batches.flatMap((batch): ScalingRow[] => [
    { row: network('train', batch, 28), series: 'train by batch', x: batch, amount: batch },
    { row: network('predict', batch, 28), series: 'predict by batch', x: batch, amount: batch },
  ]),
  ...extents.map((extent): ScalingRow => {
    const batch = pictures(extent)
    return {
      row: network('predict', batch, extent),
      series: 'predict by extent',
      x: extent,
      amount: batch * extent ** 2,
    }
  }),
  ...batches.map((batch) => normalization([28, 28, 20, batch])),
  ...extents.map((extent) => normalization([extent, extent, 32, pictures(extent)])),
  ...roofline(),
]
