import { convolutionRows } from './convolution.js'
import { networkRows } from './network.js'
import { normalizationRows } from './normalization.js'
import { productRows } from './products.js'
import type { Row } from './row.js'
import { styleRows } from './style.js'

export const rows: readonly Row[] = [
  ...networkRows,
  ...styleRows,
  ...productRows,
  ...convolutionRows,
  ...normalizationRows,
]
