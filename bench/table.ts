import { type ContenderName, contenderNames } from './contender-process.js'
import type { Results } from './measure.js'
import type { Row } from './rows/row.js'

export interface Line {
  readonly row: Row
  readonly threads: number
  readonly results: Results
}

/** Whether outputs' memory was reused. */
type Way = 'reusing' | 'asCalled'

/** The lines as a Markdown table: dlnet's time and rate, and every other library's time as a multiple of it. */
export function table(lines: readonly Line[]): string {
  const names = contenderNames.filter((name) => lines.some(({ results }) => results[name]))
  return columns(lines, names, 'reusing')
}

/** Start-up times and bytes: one line each, with its goal. */
export function tableOfFootprints(
  measured: readonly {
    readonly name: string
    readonly size: string
    readonly goal: string
    readonly cells: Readonly<Partial<Record<ContenderName, string>>>
  }[],
): string {
  const names = contenderNames.filter((name) => measured.some(({ cells }) => cells[name]))
  const body = measured.map(({ name, size, goal, cells }) => [name, size, goal, ...names.map((n) => cells[n] ?? '')])
  return aligned([['row', 'what', 'goal', ...names], ...body])
}

/** The lines and libraries for which leaving the outputs' memory to the library is another call; `''` without any. */
export function tableAsCalled(lines: readonly Line[]): string {
  const other = ({ results }: Line, name: ContenderName) => {
    const result = results[name]
    return result?.outcome === 'timed' && result.reusing !== result.asCalled
  }
  const names = contenderNames.filter((name) => lines.some((line) => other(line, name)))
  const chosen = lines.filter((line) => names.some((name) => other(line, name)))
  return chosen.length === 0 ? '' : columns(chosen, ['dlnet', ...names], 'asCalled')
}

function columns(lines: readonly Line[], names: readonly ContenderName[], way: Way): string {
  const titles = names.map((name) => (name === 'copy' ? 'memcpy' : name))
  const rows = lines.map((line) => [
    line.row.name,
    line.row.size,
    String(line.threads),
    ...names.map((name) => cell(name, line, way)),
  ])
  return aligned([['row', 'size', 'threads', ...titles], ...rows])
}

function cell(name: ContenderName, { row, threads, results }: Line, way: Way): string {
  const result = results[name]
  switch (result?.outcome) {
    case undefined:
      return ''
    case 'unsupported':
      return '-'
    case 'failed':
    case 'not installed':
      return result.outcome
    case 'differs':
      return `differs: ${result.output} by ${result.difference.toExponential(0)}`
    case 'timed': {
      const { median } = result[way]
      const own = results.dlnet
      if (name === 'dlnet') return `${number(median)} ms, ${rate(row, median)}`
      const ratio = own?.outcome === 'timed' ? `, ${(median / own[way].median).toFixed(2)}x` : ''
      const fewer = result.threads < threads ? ` (${result.threads} thread)` : ''
      return `${number(median)} ms${ratio}${fewer}`
    }
  }
}

/** Why cells are empty: one line for each library and reason, with the rows it concerns. */
export function reasons(lines: readonly Line[]): string[] {
  const found = new Map<string, Set<string>>()
  for (const { row, results } of lines)
    for (const name of contenderNames) {
      const result = results[name]
      if (result?.outcome !== 'unsupported' && result?.outcome !== 'failed') continue
      const key = `${name === 'copy' ? 'memcpy' : name}, ${result.outcome}: ${result.because}`
      found.set(key, (found.get(key) ?? new Set()).add(row.name))
    }
  return [...found].map(([key, rows]) => `${key} (${[...rows].join(', ')})`)
}

export function rate({ work }: Row, milliseconds: number): string {
  return `${number((work.amount / milliseconds) * 1e3)} ${work.unit}/s`
}

/** Three digits that count, without an exponent. */
function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) => `| ${row.map((text, i) => text.padEnd(widths[i]!)).join(' | ')} |`
  const [head, ...rest] = rows
  return [line(head!), line(widths.map((width) => '-'.repeat(width))), ...rest.map(line)].join('\n')
}
