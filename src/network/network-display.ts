import { displayObject, displaySize, displayTable } from '../array/display.js'
import type { DlArray } from '../array/dlarray.js'
import { numel } from '../array/format.js'
import { formatShort } from '../array/number-display.js'
import { printing } from '../autodiff/containers.js'
import { argumentError, isObject } from '../errors.js'
import { isInputLayer } from '../layers/layer.js'
import type { Connection, LayerGraph } from './layer-graph.js'
import type { NetworkDataLayout } from './network-data-layout.js'

// Networks as MATLAB prints them.

/** One row of `net.learnables` or `net.state`. */
export interface ParameterRow {
  readonly layer: string
  readonly parameter: string
  /** Undefined until the network is initialized. */
  readonly value: DlArray | undefined
}

/** What printing needs of a network. */
export interface PrintedNetwork {
  readonly connections: readonly Connection[]
  readonly learnables: readonly ParameterRow[]
  readonly state: readonly ParameterRow[]
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  readonly initialized: boolean
  /** @internal */
  readonly content: {
    readonly graph: LayerGraph
    readonly layouts: readonly NetworkDataLayout[] | undefined
  }
}

export function displayNetwork(net: PrintedNetwork): string {
  const { layers } = net.content.graph
  const count = layers.length
  const className = count === 1 ? layers[0]!.className : 'Layer'
  const names = (list: readonly string[]) => (list.length === 0 ? '{}' : formatShort(list))
  return displayObject({
    className: 'dlnetwork',
    groups: [
      {
        rows: [
          ['Layers', `[${count}×1 nnet.cnn.layer.${className}]`],
          ['Connections', `[${net.connections.length}×2 table]`],
          ['Learnables', `[${net.learnables.length}×3 table]`],
          ['State', `[${net.state.length}×3 table]`],
          ['InputNames', names(net.inputNames)],
          ['OutputNames', names(net.outputNames)],
          ['Initialized', formatShort(net.initialized)],
        ],
      },
    ],
    footer: 'View summary with summary.',
  })
}

/**
 * A summary of a network as text: whether it is initialized, the number of learnable elements, and its inputs.
 *
 * Source: MATLAB, `summary`.
 */
export function summary(net: PrintedNetwork): string {
  if (!isObject(net) || !isObject(net.content))
    throw argumentError('summary', 'a dlnetwork', net, 'Give what dlnetwork, trainnet or loadNetwork returns.')
  const blocks = [`   Initialized: ${net.initialized}`]
  if (net.initialized) {
    const elements = net.learnables.reduce((sum, { value }) => sum + (value ? numel(value.size) : 0), 0)
    blocks.push(`   Number of learnables: ${abbreviated(elements)}`)
  }
  if (net.inputNames.length > 0) {
    const layers = new Map(net.content.graph.layers.map((layer) => [layer.name, layer]))
    const width = Math.max(...net.inputNames.map((name) => name.length)) + 2
    const lines = net.inputNames.map((name, i) => {
      const layer = layers.get(name.split('/')[0]!)!
      // What enters an input layer is in its description, before what it does with it.
      const layout = net.content.layouts?.[i]
      const what = isInputLayer(layer)
        ? layer.description.replace(/ with \S+ normalization$/, '')
        : layout
          ? displaySize(layout.size, layout.dims)
          : 'unknown'
      return `      ${i + 1}   ${`'${name}'`.padEnd(width)}   ${what}`
    })
    blocks.push(['   Inputs:', ...lines].join('\n'))
  }
  return blocks.join('\n\n')
}

/** `61.7k` for 61,706: one decimal, dropped where it is 0. */
function abbreviated(count: number): string {
  const units = ['', 'k', 'M', 'G']
  let value = count
  let unit = 0
  // 999,950 is 1M already, not 1000k.
  while (unit < units.length - 1 && value >= (unit === 0 ? 1000 : 999.95)) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1).replace(/\.0$/, '')}${units[unit]}`
}

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** A list that prints as a table, copies of it too, and is an ordinary list otherwise. */
function printedAs<T>(rows: T[], text: (rows: readonly T[]) => string): T[] {
  const print = { value: () => text(rows), enumerable: false }
  const again = { value: (copy: T[]) => printedAs(copy, text), enumerable: false }
  return Object.defineProperties(rows, { toString: print, [inspect]: print, [printing]: again })
}

export function parameterTable<Row extends ParameterRow>(rows: Row[]): Row[] {
  return printedAs(rows, (all) =>
    displayTable(
      ['Layer', 'Parameter', 'Value'],
      all.map(({ layer, parameter, value }) => [
        `"${layer}"`,
        `"${parameter}"`,
        value ? `{${value.size.join('×')} dlarray}` : '{0×0 double}',
      ]),
    ),
  )
}

export function connectionTable(rows: Connection[]): Connection[] {
  return printedAs(rows, (all) =>
    displayTable(
      ['Source', 'Destination'],
      all.map(({ source, destination }) => [`'${source}'`, `'${destination}'`]),
    ),
  )
}
