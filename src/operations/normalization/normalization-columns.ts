import type { WasmBackend } from '../../backends/wasm/backend.js'
import type { Grouping, NormalizationAddresses, NormalizationGradientAddresses } from './normalization.js'

// How arrays whose runs are short and lie apart are cut for kernels/normalization/normalization-columns.ts: by their sizes only.

/** The longest run that goes this way; longer ones fill vectors of their own. */
const LONGEST_RUN = 128
/** Most columns of a block, a page of memory; the kernels have working memory for as many. */
const COLUMNS = 1024
/** Blocks that are enough for threads to share; with fewer, blocks are cut into parts. */
const ENOUGH_BLOCKS = 8
/** Joined rows, at least. */
const LEAST_ROWS = 16
/** Elements of a part: not so few that what is done once for each shows, nor so many that threads wait for one another. */
const PART = { least: 2 ** 15, most: 2 ** 17, turns: 16 }

export interface Columns {
  readonly groups: number
  readonly fold: number
  readonly together: number
  readonly rows: number
  readonly parts: number
}

/** How an array is cut; undefined where it goes another way. */
export function columnsOf({ inner, channels, observations, outer, groupChannels }: Grouping): Columns | undefined {
  if (outer < 2 || groupChannels > 1 || inner === 0 || inner > LONGEST_RUN) return undefined
  const groups = channels * observations
  const row = groups * inner
  const elements = row * outer
  const blocks = Math.ceil(groups / Math.floor(COLUMNS / inner))
  const together = Math.ceil(groups / blocks)
  const fold = Math.max(1, Math.min(Math.floor(COLUMNS / row), Math.floor(outer / LEAST_ROWS)))
  const wholeRows = Math.floor(outer / fold)
  if (elements <= PART.least || blocks >= ENOUGH_BLOCKS) return { groups, fold, together, rows: wholeRows, parts: 1 }
  const part = Math.min(PART.most, Math.max(PART.least, elements / PART.turns))
  const rows = Math.min(wholeRows, Math.max(LEAST_ROWS, Math.round(part / (together * inner * fold))))
  return { groups, fold, together, rows, parts: Math.ceil(wholeRows / rows) }
}

function blocksOf({ groups, together }: Columns): number {
  return Math.ceil(groups / together)
}

/** Bytes of what the parts of all groups say; the kernels read whole vectors. */
function partialBytes({ groups, parts }: Columns): number {
  return 16 * 4 * Math.ceil(groups / 4) * parts + 16
}

function cutOf(grouping: Grouping, { groups, fold, together, rows, parts }: Columns) {
  const { inner, channels, outer } = grouping
  return { inner, channels, outer, groups, fold, together, rows, parts, partials: 0 }
}

/** As launchNormalization. */
export function launchColumns(
  wasm: WasmBackend,
  addresses: NormalizationAddresses,
  grouping: Grouping,
  columns: Columns,
): void {
  const block = { ...addresses, ...cutOf(grouping, columns), epsilon: grouping.epsilon }
  const blocks = blocksOf(columns)
  const items = blocks * columns.parts
  if (columns.parts === 1) {
    wasm.launch('normalizeColumns', block, { items, grain: 1 })
    return
  }
  wasm.withTemporary(partialBytes(columns), (partials) => {
    const stepped = { ...block, partials }
    wasm.launch('normalizeColumns', stepped, { items, grain: 1 })
    wasm.launch('normalizeColumnsJoin', stepped, { items: blocks, grain: 1 })
    wasm.launch('normalizeColumnsApply', stepped, { items, grain: 1 })
  })
}

/** dx and planeSums. */
export function launchColumnsGradient(
  wasm: WasmBackend,
  addresses: Omit<NormalizationGradientAddresses, 'dscale' | 'doffset'> & { readonly planeSums: number },
  grouping: Grouping,
  columns: Columns,
): void {
  const block = { ...addresses, ...cutOf(grouping, columns) }
  const blocks = blocksOf(columns)
  const items = blocks * columns.parts
  if (columns.parts === 1) {
    wasm.launch('normalizeColumnsGradient', block, { items, grain: 1 })
    return
  }
  wasm.withTemporary(partialBytes(columns), (partials) => {
    const stepped = { ...block, partials }
    wasm.launch('normalizeColumnsGradient', stepped, { items, grain: 1 })
    wasm.launch('normalizeColumnsGradientJoin', stepped, { items: blocks, grain: 1 })
    wasm.launch('normalizeColumnsGradientApply', stepped, { items, grain: 1 })
  })
}
