import { type DlArray, isdlarray } from '../array/dlarray.js'
import { DimensionError, NetworkError } from '../errors.js'
import { type Layer, layerLabel, properties } from '../layers/layer.js'
import { checkState, learnablesOf, setLearnable, setState, stateOf } from '../layers/layer-parameters.js'
import { type LayerGraph, layerNamed } from './layer-graph.js'
import type { ParameterRow } from './network-display.js'

// The parameters of a graph's layers as lists, and others in their place.

/** A learnable parameter of an initialized network, with its factors. */
export interface Parameter {
  readonly layer: string
  readonly parameter: string
  readonly value: DlArray
  readonly learnRateFactor: number
  readonly l2Factor: number
}

/** By number of the layer, parameters that stand in for the layer's own. */
export type Overrides = ReadonlyMap<number, Readonly<Record<string, DlArray>>>

/** Every array that the layers hold: parameters, state and statistics. */
export function graphArrays(graph: LayerGraph): DlArray[] {
  return graph.layers.flatMap((layer) => Object.values(properties(layer)).filter(isdlarray))
}

/** `learnables` or `state`, in the order of the layers. */
export function parameterRows(
  graph: LayerGraph,
  overrides: Overrides | undefined,
  parametersOf: (layer: Layer) => readonly { readonly name: string; readonly value: DlArray | undefined }[],
): ParameterRow[] {
  const rows: ParameterRow[] = []
  graph.layers.forEach((layer, number) => {
    for (const { name, value } of parametersOf(layer))
      rows.push({ layer: layer.name, parameter: name, value: overrides?.get(number)?.[name] ?? value })
  })
  return rows
}

/** The learnables with their factors. Throws a {@link NetworkError} for one that is empty. */
export function learnableList(graph: LayerGraph, overrides: Overrides | undefined): Parameter[] {
  return graph.layers.flatMap((layer, number) =>
    learnablesOf(layer).map(({ name, value: own, learnRateFactor, l2Factor }) => {
      const value = overrides?.get(number)?.[name] ?? own
      if (!value)
        throw new NetworkError({
          call: layerLabel(layer),
          expects: `${name} to be initialized`,
          got: 'an empty one',
          remedy: 'Use what net.initialize(X) returns.',
        })
      return { layer: layer.name, parameter: name, value, learnRateFactor, l2Factor }
    }),
  )
}

/** Every layer's parameters by name: learnables as `replace` gives them, in order, and state as it is. */
function parametersWith(graph: LayerGraph, replace: (value: DlArray) => DlArray): Overrides {
  const all = new Map<number, Record<string, DlArray>>()
  graph.layers.forEach((layer, number) => {
    const own: Record<string, DlArray> = {}
    for (const { name, value } of learnablesOf(layer)) if (value) own[name] = replace(value)
    for (const { name, value } of stateOf(layer)) if (value) own[name] = value
    all.set(number, own)
  })
  return all
}

/** Arrays in place of the learnables of an initialized network, in order. */
export function parametersFrom(graph: LayerGraph, values: readonly DlArray[], call: string): Overrides {
  let next = 0
  const all = parametersWith(graph, () => values[next++]!)
  if (next !== values.length) throw wrongCount(next, values, call)
  return all
}

function wrongCount(expected: number, values: readonly DlArray[], call: string): DimensionError {
  return new DimensionError({
    call,
    expects: `${expected} arrays, one for each learnable parameter`,
    got: String(values.length),
    remedy: 'Give them in the order of parameterList.',
  })
}

/** Gives all learnables new values, in order, and frees the old ones. */
export function replaceLearnables(graph: LayerGraph, values: readonly DlArray[], call: string): void {
  const rows = parameterRows(graph, undefined, learnablesOf)
  if (rows.length !== values.length) throw wrongCount(rows.length, values, call)
  replaceRows(
    graph,
    rows.map((row, i) => ({ ...row, value: values[i] })),
    'learnables',
  )
}

/**
 * Replaces the parameters listed and frees the old arrays; none is replaced when one does not fit. Throws a
 * {@link NetworkError} for rows that are not the network's, an {@link OptionError} for values that state cannot have.
 */
export function replaceRows(graph: LayerGraph, rows: readonly ParameterRow[], table: 'learnables' | 'state'): void {
  const problem = (got: string) =>
    new NetworkError({
      call: `dlnetwork.${table}`,
      expects: "a list of { layer, parameter, value } like the network's own, the values dlarrays",
      got,
      remedy: `Take net.${table} and replace values.`,
    })
  if (!Array.isArray(rows)) throw problem(typeof rows)
  const before = parameterRows(graph, undefined, table === 'learnables' ? learnablesOf : stateOf)
  const pairs = (rows as readonly ParameterRow[]).map((row) => {
    const old = before.find((one) => one.layer === row?.layer && one.parameter === row.parameter)
    if (!old) throw problem(`'${row?.layer}/${row?.parameter}', which the network does not have`)
    const { value } = row
    if (!isdlarray(value)) throw problem(`${typeof value} for '${row.layer}/${row.parameter}'`)
    if (old.value && old.value.numel !== value.numel)
      throw problem(`${value.numel} elements for the ${old.value.numel} of '${row.layer}/${row.parameter}'`)
    const layer = graph.layers[layerNamed(graph, old.layer, 'dlnetwork')]!
    if (table === 'state') checkState(layer, old.parameter, value)
    return { layer, old, value }
  })
  const set = table === 'learnables' ? setLearnable : setState
  for (const { layer, old, value } of pairs) {
    set(layer, old.parameter, value)
    if (old.value !== value) old.value?.dispose()
  }
}
