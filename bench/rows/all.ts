import { networkRows } from './network.js'
import { normalizationRows } from './normalization.js'
import { productRows } from './products.js'
import type { Row } from './row.js'

export const rows: readonly Row[] = [...networkRows, ...productRows, ...normalizationRows]
