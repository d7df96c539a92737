import { NetworkError } from '../errors.js'
import { copyLayer, defaultNameOf, isLayer, type Layer } from '../layers/layer.js'
import { layerArray } from '../layers/layer-array.js'

/**
 * Names for layers in order: a given name stays; layers without one are called after their kind, `conv`, or `conv_1`,
 * `conv_2`, ... where several layers of a kind have none. A name that is taken is passed over.
 *
 * Errors: a {@link NetworkError} for a name given twice and for one with a slash, which separates layer and input in
 * `'cat/in2'`. Source: MATLAB, `dlnetwork`.
 */
export function layerNames(layers: readonly Layer[], takenBefore: Iterable<string>, call: string): string[] {
  const taken = new Set(takenBefore)
  for (const { name } of layers) {
    if (name === '') continue
    if (taken.has(name))
      throw new NetworkError({
        call,
        expects: 'a name of its own for each layer',
        got: `'${name}' twice`,
        remedy: 'Give one of the layers another name, or none to have one made.',
      })
    if (name.includes('/'))
      throw new NetworkError({
        call,
        expects: 'names of layers without a slash',
        got: `'${name}'`,
        remedy: `A slash separates layer and input, as in 'cat/in2'. Use '${name.replaceAll('/', '_')}'.`,
      })
    taken.add(name)
  }
  const unnamed = new Map<string, number>()
  for (const layer of layers)
    if (layer.name === '') {
      const kind = defaultNameOf(layer)
      unnamed.set(kind, (unnamed.get(kind) ?? 0) + 1)
    }
  const nextNumber = new Map<string, number>()
  return layers.map((layer) => {
    if (layer.name !== '') return layer.name
    const kind = defaultNameOf(layer)
    let name = kind
    if (unnamed.get(kind)! > 1 || taken.has(kind)) {
      let number = nextNumber.get(kind) ?? 1
      while (taken.has(`${kind}_${number}`)) number++
      nextNumber.set(kind, number + 1)
      name = `${kind}_${number}`
    }
    taken.add(name)
    return name
  })
}

/** Copies of what users give as a layer or layers, named beside the others of their network. */
export function namedCopies(layers: unknown, others: readonly Layer[], call: string): Layer[] {
  const list = layerArray(isLayer(layers) ? [layers] : (layers as readonly Layer[]))
  const names = layerNames(
    list,
    others.map((layer) => layer.name),
    call,
  )
  return Array.from(list, (layer, i) => {
    const copy = copyLayer(layer)
    copy.name = names[i]!
    return copy
  })
}
