import type { Row } from './row.js'

const batch = 128

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
]
