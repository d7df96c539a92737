import type { ArrayInfo } from '../array/dlarray.js'
import { OptionError } from '../errors.js'
import type { LayerDefinition } from './layer-definition.js'
import { held, isArrayValue, type PropertyDefinition, shown } from './property.js'

// What a layer is: a kind and the values of its properties, which only this file keeps, and what any layer can be asked.

/** A layer of a network: what every kind has. Properties of its own are named as in MATLAB, in camelCase. */
export interface Layer {
  /** Default `''`: networks give names to layers without one. */
  name: string
  readonly numInputs: number
  readonly inputNames: readonly string[]
  readonly numOutputs: number
  readonly outputNames: readonly string[]
  /** MATLAB's class: `'InstanceNormalizationLayer'`. */
  readonly className: string
  /** The type column of a printed layer array: `'Instance Normalization'`. */
  readonly typeName: string
  /** The description column. */
  readonly description: string
  toString(): string
}

/** The option that every layer function has. */
export interface LayerOptions {
  /** Name of the layer; default `''`, which a network replaces. */
  readonly name?: string
}

/** Behind every layer: its kind and the values of its properties. */
interface Interior {
  readonly kind: Kind
  readonly values: Record<string, unknown>
}

/** What layers of one kind have in common. */
export type Kind = LayerDefinition<Layer> & {
  readonly stored: readonly PropertyDefinition[]
  readonly prototype: object
}

const interiors = new WeakMap<object, Interior>()

/** A layer over these values, which become its own. */
export function layerOf<L extends Layer>(kind: Kind, values: Record<string, unknown>): L {
  const layer = Object.create(kind.prototype) as L
  interiors.set(layer, { kind, values })
  return layer
}

/** For the files beside this one: what they change in the values is not checked. */
export function interiorOf(layer: Layer): Interior {
  const interior = interiors.get(layer)
  if (!interior)
    throw new OptionError({
      call: 'layer',
      expects: 'a layer',
      got: shown(layer),
      remedy: 'Make one with a layer function, such as reluLayer().',
    })
  return interior
}

/** True for what layer functions return. */
export function isLayer(value: unknown): value is Layer {
  return typeof value === 'object' && value !== null && interiors.has(value)
}

/**
 * All properties of a layer with their values, in MATLAB's order.
 *
 * Source: MATLAB, `properties`.
 */
export function properties(layer: Layer): Record<string, unknown> {
  const { kind, values } = interiorOf(layer)
  const own = Object.fromEntries(kind.stored.filter(({ hidden }) => !hidden).map(({ name }) => [name, values[name]]))
  const { numInputs, inputNames, numOutputs, outputNames } = layer
  return { ...own, numInputs, inputNames, numOutputs, outputNames }
}

/** `layer 'conv' (2-D Convolution: 20 5×5 convolutions ...)`: how messages name a layer. */
export function layerLabel({ name, typeName, description }: Layer): string {
  const isSame = typeName.toLowerCase() === description.toLowerCase()
  return `layer '${name}' (${isSame ? typeName : `${typeName}: ${description}`})`
}

/** What a network calls layers of this kind that have no name: `'conv'`. */
export function defaultNameOf(layer: Layer): string {
  return interiorOf(layer).kind.defaultName
}

/** True for layers that data enters the network through. */
export function isInputLayer(layer: Layer): boolean {
  return interiorOf(layer).kind.inputInfo !== undefined
}

/** One observation's description of the data an input layer takes; undefined for other layers and where sizes are open. */
export function inputInfo(layer: Layer): ArrayInfo | undefined {
  return interiorOf(layer).kind.inputInfo?.(layer)
}

/** A layer of the same kind with the same values, to be changed on its own; arrays share their memory until replaced. */
export function copyLayer<L extends Layer>(layer: L): L {
  const { kind, values } = interiorOf(layer)
  const copied = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, isArrayValue(value) ? held(value) : value]),
  )
  return layerOf(kind, copied)
}

/** @internal The stored values of a layer that differ from its kind's defaults. */
export function storedValues(layer: Layer): Record<string, unknown> {
  const { kind, values } = interiorOf(layer)
  return Object.fromEntries(
    Object.entries(values).filter(
      ([name, value]) => value !== kind.stored.find((property) => property.name === name)?.default,
    ),
  )
}

/** @internal The value of a property, hidden ones included. */
export function storedValue(layer: Layer, name: string): unknown {
  return interiorOf(layer).values[name]
}

/** @internal Replaces values without the checks of assignment: for sizes and statistics found in the data. */
export function replaceValues(layer: Layer, replaced: Readonly<Record<string, unknown>>): void {
  Object.assign(interiorOf(layer).values, replaced)
}
