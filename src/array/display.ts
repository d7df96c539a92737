/** Text of arrays, objects and tables, as MATLAB's command window shows them. Nothing ends with a line break. */

import { shortLayout } from './number-display.js'

export interface ArrayDisplay {
  /** The variable: the text then begins with `name =`. */
  readonly name?: string
  readonly size: readonly number[]
  /** One label per dimension, `''` where the array has no format. */
  readonly dims: string
  readonly underlyingType: 'single' | 'double' | 'logical'
  /** Column-major values. Only the elements that are shown are read. */
  readonly values: ArrayLike<number>
  /** Arrays with more elements than this are abbreviated. Default 1000. */
  readonly limit?: number
}

/** Characters in a line of MATLAB's command window. */
const LINE_WIDTH = 80
const DEFAULT_LIMIT = 1000

/** What is kept of each dimension of an abbreviated array; half from the beginning, half from the end. */
const SHOWN_ROWS = 20
const SHOWN_COLUMNS = 16
const SHOWN_PAGES = 8

/** Two stretches of indices, [0, head) and [tail, count), with `omitted` indices between them. */
interface Excerpt {
  readonly head: number
  readonly tail: number
  readonly count: number
  readonly omitted: number
}

/**
 * An array as MATLAB shows a `dlarray`: the sizes with their labels, the type unless it is double, then the values of
 * each page in `format short`, in blocks of columns that fit 80 characters.
 *
 * Arrays with more than `limit` elements keep the first and last rows, columns and pages; a line says how many are left
 * out. Layouts and factors are those of the elements shown. Source: MATLAB pages "dlarray" and "format".
 */
export function displayArray(array: ArrayDisplay): string {
  const lines = array.name === undefined ? [] : [`${array.name} =`]
  lines.push(`  ${displaySize(array.size, array.dims)} ${typePrefix(array.underlyingType)}dlarray`, '')
  const [rows = 1, columns = 1, ...pageSize] = array.size
  const elements = array.size.reduce((product, extent) => product * extent, 1)
  if (elements === 0) return [...lines, '     []'].join('\n')

  const limit = array.limit ?? DEFAULT_LIMIT
  const isAbbreviated = elements > limit
  const shownRows = excerpt(rows, isAbbreviated ? SHOWN_ROWS : rows)
  const shownColumns = excerpt(columns, isAbbreviated ? SHOWN_COLUMNS : columns)
  const pages = elements / (rows * columns)
  const shownElements = (rows - shownRows.omitted) * (columns - shownColumns.omitted)
  const pagesInLimit = Math.min(Math.max(2, Math.floor(limit / shownElements)), SHOWN_PAGES)
  const shownPages = excerpt(pages, isAbbreviated ? pagesInLimit : pages)

  const isLogical = array.underlyingType === 'logical'
  const pageLines = (page: number) =>
    displayPage(array.values, page * rows * columns, shownRows, shownColumns, isLogical)
  if (pageSize.length === 0) return [...lines, ...pageLines(0)].join('\n')

  let isFirst = true
  for (const page of indices(shownPages)) {
    if (!isFirst) lines.push('', '')
    if (page === shownPages.tail && shownPages.omitted > 0) lines.push(leftOut(shownPages.omitted, 'page'), '', '')
    lines.push(`(:,:,${subscripts(page, pageSize).join(',')}) =`, '', ...pageLines(page))
    isFirst = false
  }
  return lines.join('\n')
}

/** Sizes with their labels: `3(S) × 2(S) × 1(T)`, or `3×2×1` where the array has no format. */
export function displaySize(size: readonly number[], dims: string): string {
  if (dims !== '') return size.map((extent, index) => `${extent}(${dims.charAt(index)})`).join(' × ')
  const padded = size.length >= 2 ? size : [...size, ...[1, 1].slice(size.length)]
  return padded.join('×')
}

function typePrefix(underlyingType: ArrayDisplay['underlyingType']): string {
  return underlyingType === 'double' ? '' : `${underlyingType} `
}

function excerpt(count: number, shown: number): Excerpt {
  if (count <= shown) return { head: count, tail: count, count, omitted: 0 }
  const head = Math.ceil(shown / 2)
  const tail = count - Math.floor(shown / 2)
  return { head, tail, count, omitted: tail - head }
}

function* indices(kept: Excerpt): Generator<number> {
  for (let index = 0; index < kept.head; index++) yield index
  for (let index = kept.tail; index < kept.count; index++) yield index
}

function leftOut(count: number, unit: 'row' | 'column' | 'page'): string {
  return `  ... ${count} ${unit}${count === 1 ? '' : 's'} left out ...`
}

/** MATLAB's subscripts of a page, from 1. */
function subscripts(page: number, pageSize: readonly number[]): number[] {
  let rest = page
  return pageSize.map((extent) => {
    const subscript = (rest % extent) + 1
    rest = Math.floor(rest / extent)
    return subscript
  })
}

function displayPage(
  values: ArrayLike<number>,
  offset: number,
  rows: Excerpt,
  columns: Excerpt,
  isLogical: boolean,
): string[] {
  const shown = new Map<number, number[]>()
  for (const column of indices(columns)) {
    shown.set(
      column,
      Array.from(indices(rows), (row) => values[offset + column * rows.count + row]!),
    )
  }
  const layout = shortLayout([...shown.values()].flat(), isLogical)
  const perBlock = Math.max(1, Math.floor(LINE_WIDTH / layout.width))
  const blocks: [number, number][] = []
  for (const [begin, end] of [
    [0, columns.head],
    [columns.tail, columns.count],
  ] as const) {
    for (let first = begin; first < end; first += perBlock) blocks.push([first, Math.min(first + perBlock, end)])
  }

  const lines = layout.factorLine === undefined ? [] : [layout.factorLine, '']
  for (const [index, [begin, end]] of blocks.entries()) {
    if (index > 0) lines.push('')
    if (begin === columns.tail && columns.omitted > 0) lines.push(leftOut(columns.omitted, 'column'), '')
    if (blocks.length > 1) lines.push(columnHeading(begin + 1, end), '')
    const block = Array.from({ length: end - begin }, (_, column) => shown.get(begin + column)!)
    for (let row = 0; row < rows.count - rows.omitted; row++) {
      if (row === rows.head && rows.omitted > 0) lines.push(leftOut(rows.omitted, 'row'))
      lines.push(block.map((column) => layout.format(column[row]!)).join(''))
    }
  }
  return lines
}

function columnHeading(first: number, last: number): string {
  return first === last ? `  Column ${first}` : `  Columns ${first} through ${last}`
}

export interface ObjectDisplay {
  /** The variable: the text then begins with `name =`. */
  readonly name?: string
  readonly className: string
  readonly groups: readonly PropertyGroup[]
  /** The closing line, such as `View summary with summary.` */
  readonly footer?: string
}

export interface PropertyGroup {
  readonly title?: string
  /** Labels and already formatted values; a value of several lines continues under its first. */
  readonly rows: readonly (readonly [label: string, text: string])[]
}

/** An object as MATLAB shows it: its class, then `label: value` rows with all labels ending in the same column. */
export function displayObject(object: ObjectDisplay): string {
  const lines = object.name === undefined ? [] : [`${object.name} =`]
  lines.push(`  ${object.className} with properties:`)
  const labelWidth = Math.max(0, ...object.groups.flatMap((group) => group.rows.map(([label]) => label.length)))
  const continuation = `\n${' '.repeat(labelWidth + 6)}`
  for (const group of object.groups) {
    lines.push('')
    if (group.title !== undefined) lines.push(`   ${group.title}`)
    for (const [label, text] of group.rows) {
      lines.push(`    ${label.padStart(labelWidth)}: ${text.replaceAll('\n', continuation)}`)
    }
  }
  if (object.footer !== undefined) lines.push('', `  ${object.footer}`)
  return lines.join('\n')
}

export interface TableColumn {
  readonly name: string
  /** Text is `left` (the default), numbers are `right`. */
  readonly align?: 'left' | 'right'
}

/**
 * A table as MATLAB shows it: the number of rows and variables, centred headings over a rule of underscores, and the
 * cells (already formatted text) below.
 */
export function displayTable(
  columns: readonly (string | TableColumn)[],
  rows: readonly (readonly string[])[],
  options: { readonly name?: string } = {},
): string {
  const described = columns.map((column) => (typeof column === 'string' ? { name: column } : column))
  const widths = described.map(({ name }, index) =>
    Math.max(name.length, ...rows.map((row) => (row[index] ?? '').length)),
  )
  const line = (cells: readonly string[]) => `    ${cells.join('    ')}`.trimEnd()
  const size = `${rows.length}×${columns.length} ${rows.length === 0 ? 'empty ' : ''}table`
  const lines = options.name === undefined ? [`  ${size}`, ''] : [`${options.name}=${size}`]
  lines.push(
    line(described.map(({ name }, index) => centred(name, widths[index]!))),
    line(widths.map((width) => '_'.repeat(width))),
  )
  if (rows.length > 0) lines.push('')
  for (const row of rows) {
    lines.push(
      line(
        described.map(({ align }, index) => {
          const cell = row[index] ?? ''
          return align === 'right' ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!)
        }),
      ),
    )
  }
  return lines.join('\n')
}

/** An odd blank goes to the right. */
function centred(text: string, width: number): string {
  return text.padStart(text.length + Math.floor((width - text.length) / 2)).padEnd(width)
}
