import type { Row } from './row.js'

export const productRows: readonly Row[] = [
  {
    name: 'matmul',
    size: '1024x1024x1024',
    task: { kind: 'matmul', extent: 1024 },
    work: { amount: (2 * 1024 ** 3) / 1e9, unit: 'GFLOP' },
    tolerance: 1e-3,
  },
]
