import type { DlArray } from '../array/dlarray.js'
import { interiorOf, type Layer } from './layer.js'
import { parameterProperties } from './layer-parameters.js'

interface Property {
  readonly values: Readonly<Record<string, unknown>>
  readonly name: string
}

/** What layers compute with: parameters, of which others of their size may take the place, and all else. */
export class LayerContent {
  readonly #parameters: Property[] = []
  readonly #others: (Property & { readonly value: unknown })[] = []

  /** The content of layers as it is now. */
  constructor(layers: readonly Layer[]) {
    for (const layer of layers) {
      const { values } = interiorOf(layer)
      const parameters = parameterProperties(layer)
      for (const [name, value] of Object.entries(values))
        if (parameters.includes(name)) this.#parameters.push({ values, name })
        else this.#others.push({ values, name, value })
    }
  }

  /** The learnables and the state that the layers have by now. */
  parameters(): DlArray[] {
    const found: DlArray[] = []
    for (const { values, name } of this.#parameters) {
      const value = values[name]
      if (value !== undefined) found.push(value as DlArray)
    }
    return found
  }

  /** Whether all else is what it was. */
  isUnchanged(): boolean {
    for (const { values, name, value } of this.#others) if (values[name] !== value) return false
    return true
  }
}
