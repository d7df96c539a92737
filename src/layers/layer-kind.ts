import * as v from 'valibot'
import { displayObject, type PropertyGroup } from '../array/display.js'
import { type DisplayValue, formatShort } from '../array/number-display.js'
import { OptionError } from '../errors.js'
import { interiorOf, isLayer, type Kind, type Layer, layerOf, properties } from './layer.js'
import { matlabName, readArguments } from './layer-arguments.js'
import type { LayerDefinition } from './layer-definition.js'
import { accepts, isArrayValue, type PropertyDefinition, settable } from './property.js'

// Turns definitions into kinds of layers, and gives their layers what users touch: checked properties and the display.

/** A kind of layer: makes layers from what users write, and from values kept in a file. */
export interface LayerKind<L extends Layer = Layer> {
  readonly className: string
  /** The properties whose values a layer keeps. */
  readonly propertyNames: readonly string[]
  /** Reads the arguments of the layer function. */
  create(given: readonly unknown[]): L
  /** A layer with these property values; those not named have their defaults. */
  restore(values: Readonly<Record<string, unknown>>, call: string): L
}

const nameProperty = settable(
  'name',
  accepts(v.string(), 'text', "It is the layer's name in the network; leave it out to have one made."),
  '',
)

/** Turns a definition into a kind of layer, whose `create` the layer function calls with its arguments. */
export function defineLayer<L extends Layer>(definition: LayerDefinition<L>): LayerKind<L> {
  const stored = [...definition.properties, nameProperty]
  const inputNames = Object.freeze([...(definition.inputNames ?? ['in'])])
  const outputNames = Object.freeze([...(definition.outputNames ?? ['out'])])
  const prototype = layerPrototype(stored, inputNames, outputNames)
  // The definition's functions only ever get layers of this kind, which `make` below makes.
  const kind = { ...definition, stored, prototype } as LayerDefinition<never> as Kind
  const positional = definition.positional ?? { names: [], required: 0 }
  const options = [...stored.filter(({ access }) => access !== 'derived'), ...(definition.arguments ?? [])]
    .map(({ name }) => name)
    .filter((name) => !positional.names.includes(name))

  function make(values: Record<string, unknown>, call: string): L {
    const layer = layerOf<L>(kind, values)
    definition.check?.(layer, call)
    return layer
  }

  return {
    className: definition.className,
    propertyNames: stored.map(({ name }) => name),
    create(given) {
      const call = definition.functionName
      const read = readArguments(call, given, positional, options)
      const values: Record<string, unknown> = {}
      for (const { name, check, default: value, access } of stored)
        values[name] = access !== 'derived' && name in read ? frozen(check(read[name], { call, name })) : frozen(value)
      for (const { name, apply } of definition.arguments ?? [])
        if (name in read) Object.assign(values, frozen(apply(read[name], values, { call, name })))
      return make(values, call)
    },
    restore(given, call) {
      const values: Record<string, unknown> = {}
      for (const name of positional.names.slice(0, positional.required))
        if (given[name] === undefined)
          throw new OptionError({
            call,
            expects: `a value for ${name}`,
            got: 'none',
            remedy: 'The file may be damaged, or written by another version.',
          })
      for (const { name, check, default: value } of stored)
        values[name] = name in given ? frozen(check(given[name], { call, name })) : frozen(value)
      return make(values, call)
    },
  }
}

/** Lists are handed out as they are kept. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || isArrayValue(value)) return value
  for (const entry of Object.values(value)) if (Array.isArray(entry)) frozen(entry)
  return Array.isArray(value) ? Object.freeze(value) : value
}

const inspect = Symbol.for('nodejs.util.inspect.custom')

/** Accessors for the properties: assignment is checked as construction is, read-only properties say so. */
function layerPrototype(
  stored: readonly PropertyDefinition[],
  inputNames: readonly string[],
  outputNames: readonly string[],
): object {
  const prototype = Object.create(strict) as object
  const accessor = (name: string, get: (layer: Layer) => unknown, set: (layer: Layer, value: unknown) => void) =>
    Object.defineProperty(prototype, name, {
      enumerable: true,
      get(this: Layer) {
        return get(this)
      },
      set(this: Layer, value: unknown) {
        set(this, value)
      },
    })
  for (const property of stored.filter(({ hidden }) => !hidden))
    accessor(
      property.name,
      (layer) => interiorOf(layer).values[property.name],
      (layer, value) => {
        if (property.access === 'settable') assign(layer, property, value)
        else throw readOnly(layer, property.name)
      },
    )
  const computed: Record<string, (layer: Layer) => unknown> = {
    numInputs: () => inputNames.length,
    inputNames: () => inputNames,
    numOutputs: () => outputNames.length,
    outputNames: () => outputNames,
    className: (layer) => interiorOf(layer).kind.className,
    typeName: (layer) => interiorOf(layer).kind.typeName,
    description: (layer) => interiorOf(layer).kind.description(layer),
  }
  for (const [name, get] of Object.entries(computed))
    accessor(name, get, (layer) => {
      throw readOnly(layer, name)
    })
  const print = {
    value(this: Layer) {
      return displayLayer(this)
    },
  }
  return Object.defineProperties(prototype, { toString: print, [inspect]: print })
}

/** What layers inherit from behind their accessors: reached by assignments only where there is no such property. */
const strict = new Proxy(Object.prototype, {
  set(target, name, value, layer) {
    if (typeof name === 'symbol' || !isLayer(layer)) return Reflect.set(target, name, value, layer)
    const { kind } = interiorOf(layer)
    throw new OptionError({
      call: `${kind.className}.${name}`,
      expects: `a property among ${settableNames(kind)}`,
      got: `'${name}'`,
      remedy: 'Check the spelling.',
    })
  },
})

function settableNames(kind: Kind): string {
  return kind.stored
    .filter(({ access }) => access === 'settable')
    .map(({ name }) => name)
    .join(', ')
}

function readOnly(layer: Layer, name: string): OptionError {
  const { kind } = interiorOf(layer)
  return new OptionError({
    call: `${kind.className}.${name}`,
    expects: 'no assignment: the property is read-only',
    got: 'a new value',
    remedy: kind.stored.some((property) => property.name === name && property.access === 'fixed')
      ? `Make a new layer with ${kind.functionName}.`
      : `The properties that can be set are ${settableNames(kind)}.`,
  })
}

/** Sets a property as `layer.property = value` does: a value that is refused leaves the layer as it was. */
export function assign(layer: Layer, property: PropertyDefinition, value: unknown): void {
  const { kind, values } = interiorOf(layer)
  const call = kind.className
  const before = values[property.name]
  values[property.name] = frozen(property.check(value, { call, name: property.name }))
  try {
    kind.check?.(layer, call)
  } catch (error) {
    const refused = values[property.name]
    if (isArrayValue(refused)) refused.dispose()
    values[property.name] = before
    throw error
  }
}

/** The object display: what `console.log(layer)` shows. */
function displayLayer(layer: Layer): string {
  const { kind } = interiorOf(layer)
  const all = properties(layer)
  const groups: PropertyGroup[] = kind.display(layer).map(({ title, properties: names }) => ({
    title,
    rows: names.map((name) => [matlabName(name), displayValue(all[name])]),
  }))
  const footer = kind.learnables?.length ? 'Use properties method to see a list of all properties.' : undefined
  return displayObject({ className: kind.className, groups, footer })
}

function displayValue(value: unknown): string {
  if (isArrayValue(value))
    return value.numel === 1 ? formatShort(value.item()) : `[${value.size.join('×')} ${value.underlyingType}]`
  return formatShort(value as DisplayValue)
}
