import type { Task } from '../task.js'
import type { Row } from './row.js'

const batch = 128

function epoch(data: (Task & { kind: 'epoch' })['data'], images: number): Pick<Row, 'size' | 'task' | 'work'> {
  return {
    size: `${images} digits in random order, batch ${batch}`,
    task: { kind: 'epoch', data, images, batch },
    work: { amount: images, unit: 'images' },
  }
}

function epochRow(name: string, data: (Task & { kind: 'epoch' })['data']): Row {
  return { name, ...epoch(data, 60000), quick: epoch(data, 100 * batch), tolerance: 1e-2 }
}

/** The page's network, outputs copied to the caller in neither case. */
export const networkRows: readonly Row[] = [
  {
    name: 'network-train',
    size: `training step, batch ${batch}`,
    task: { kind: 'network', pass: 'train', batch },
    work: { amount: batch, unit: 'images' },
    tolerance: 1e-2,
  },
  {
    name: 'network-predict',
    size: `prediction, batch ${batch}`,
    task: { kind: 'network', pass: 'predict', batch },
    work: { amount: batch, unit: 'images' },
    tolerance: 1e-3,
  },
  epochRow('epoch', 'bytes'),
  epochRow('epoch-numbers', 'numbers'),
]
