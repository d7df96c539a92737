import type { Row } from './row.js'

const folder = '../shared/models/style'

/** A feed-forward style-transfer network on one photograph: 9x9 and 3x3 convolutions, five residual blocks, two transposed. */
export const styleRows: readonly Row[] = [
  {
    name: 'style-predict',
    size: 'style network, 256x256, batch 1',
    task: {
      kind: 'style',
      model: `${folder}/udnie.onnx`,
      picture: `${folder}/stata256.png`,
      expected: `${folder}/udnie_stata.expected.png`,
    },
    // Multiplications and additions of its 16 convolutions.
    work: { amount: 16.5, unit: 'GFLOP' },
    tolerance: 1e-3,
  },
]
