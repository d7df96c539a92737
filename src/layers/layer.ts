import * as v from 'valibot'
import { displayObject, type PropertyGroup } from '../array/display.js'
import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { describe, normalized, numel } from '../array/format.js'
import { type DisplayValue, formatShort } from '../array/number-display.js'
import { DimensionError, DlnetError, NetworkError, OptionError } from '../errors.js'
import type { RandomStream } from '../operations/arrays/random.js'
import type { BlockPart } from '../operations/block/block-options.js'
import { constantValue, initialValue } from './initializers.js'
import { matlabName, readArguments } from './layer-arguments.js'
import type {
  LayerContext,
  LayerDefinition,
  LayerResult,
  LearnableDefinition,
  StateDefinition,
} from './layer-definition.js'
import { accepts, held, isArrayValue, type PropertyDefinition, settable, shown } from './property.js'

// A layer is settings, parameters and one call. Everything a kind of layer is stands in its one definition; this file turns
// definitions into the objects users hold, and offers what networks and training do with any layer.

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

/** Behind every layer: its kind and the values of its properties. */
interface Interior {
  readonly kind: Kind
  readonly values: Record<string, unknown>
}

type Kind = LayerDefinition<Layer> & { readonly stored: readonly PropertyDefinition[]; readonly prototype: object }

const interiors = new WeakMap<object, Interior>()

function interiorOf(layer: Layer): Interior {
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
    const layer = Object.create(prototype) as L
    interiors.set(layer, { kind, values })
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

function assign(layer: Layer, property: PropertyDefinition, value: unknown): void {
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

// --- What every layer can be asked ------------------------------------------------------------------------------------

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
  const copy = Object.create(kind.prototype) as L
  interiors.set(copy, { kind, values: copied })
  return copy
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

/** @internal The properties that hold learnable and state parameters. */
export function parameterProperties(layer: Layer): string[] {
  const { kind } = interiorOf(layer)
  return [...(kind.learnables ?? []), ...(kind.state ?? [])].map(({ property }) => property)
}

/** @internal The value of a property, hidden ones included. */
export function storedValue(layer: Layer, name: string): unknown {
  return interiorOf(layer).values[name]
}

/** @internal Replaces values without the checks of assignment: for sizes and statistics found in the data. */
export function replaceValues(layer: Layer, replaced: Readonly<Record<string, unknown>>): void {
  Object.assign(interiorOf(layer).values, replaced)
}

// --- Parameters ---------------------------------------------------------------------------------------------------------

/** A learnable parameter of a layer. */
export interface LayerLearnable {
  readonly name: string
  /** Undefined until the layer is initialized. */
  readonly value: DlArray | undefined
  readonly learnRateFactor: number
  readonly l2Factor: number
}

/** The learnable parameters in MATLAB's order. */
export function learnablesOf(layer: Layer): LayerLearnable[] {
  const { kind, values } = interiorOf(layer)
  return (kind.learnables ?? []).map(({ name, property, learnRateFactor, l2Factor }) => ({
    name,
    value: values[property] as DlArray | undefined,
    learnRateFactor: values[learnRateFactor] as number,
    l2Factor: values[l2Factor] as number,
  }))
}

/** The state parameters in MATLAB's order. */
export function stateOf(layer: Layer): { name: string; value: DlArray | undefined }[] {
  const { kind, values } = interiorOf(layer)
  return (kind.state ?? []).map(({ name, property }) => ({ name, value: values[property] as DlArray | undefined }))
}

function named<D extends { readonly name: string }>(layer: Layer, list: readonly D[], name: string, what: string): D {
  const found = list.find((definition) => definition.name === name)
  if (found) return found
  const names = list.map((definition) => `'${definition.name}'`).join(', ')
  throw new OptionError({
    call: layerLabel(layer),
    expects: names ? `a ${what} parameter among ${names}` : `no parameter name: it has no ${what} parameters`,
    got: shown(name),
    remedy: names ? 'Check the spelling.' : 'Choose another layer.',
  })
}

function learnableNamed(layer: Layer, name: string): LearnableDefinition<Layer> {
  return named(layer, interiorOf(layer).kind.learnables ?? [], name, 'learnable')
}

/**
 * Gives a learnable a value of the size it has (any size before initialization). The layer takes a hold of its own on the
 * memory; the value it had is not freed, since others may hold it.
 */
export function setLearnable(layer: Layer, name: string, value: DlArray): void {
  replaceArray(layer, learnableNamed(layer, name), value)
}

function stateNamed(layer: Layer, name: string): StateDefinition<Layer> {
  return named(layer, interiorOf(layer).kind.state ?? [], name, 'state')
}

/** As {@link setLearnable}, for state. Throws an {@link OptionError} for values that it cannot have. */
export function setState(layer: Layer, name: string, value: DlArray): void {
  checkState(layer, name, value)
  replaceArray(layer, stateNamed(layer, name), value)
}

/** Throws an {@link OptionError} for values that this state parameter cannot have. */
export function checkState(layer: Layer, name: string, value: DlArray): void {
  stateNamed(layer, name).check?.(value, { call: layerLabel(layer), name })
}

function replaceArray(layer: Layer, { name, property }: { name: string; property: string }, value: DlArray): void {
  const { values } = interiorOf(layer)
  const before = values[property] as DlArray | undefined
  if (before && numel(before.size) !== numel(value.size))
    throw new DimensionError({
      call: layerLabel(layer),
      expects: `${numel(before.size)} elements for ${name} (${before.size.join('×')})`,
      got: `${numel(value.size)} (${value.size.join('×')})`,
      remedy: 'Give an array of that size.',
    })
  values[property] = held(value, before?.size ?? value.size)
}

export type FactorKind = 'learnRate' | 'l2'

function factorProperty(layer: Layer, parameter: string, kind: FactorKind): string {
  const { learnRateFactor, l2Factor } = learnableNamed(layer, parameter)
  return kind === 'learnRate' ? learnRateFactor : l2Factor
}

/** Sets the factor by which a parameter's learn rate or L2 regularization is multiplied. */
export function setFactor(layer: Layer, parameter: string, kind: FactorKind, factor: number): void {
  const name = factorProperty(layer, parameter, kind)
  const property = interiorOf(layer).kind.stored.find((candidate) => candidate.name === name)!
  assign(layer, property, factor)
}

export function getFactor(layer: Layer, parameter: string, kind: FactorKind): number {
  return interiorOf(layer).values[factorProperty(layer, parameter, kind)] as number
}

// --- Sizes, initialization, running -----------------------------------------------------------------------------------

/** Rewords an error from inside a layer: which layer, then what was expected and found. */
function inLayer<T>(layer: Layer, inputs: readonly ArrayInfo[], work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof DlnetError) || error instanceof NetworkError) throw error
    if (!(error instanceof DimensionError) && !(error instanceof OptionError)) throw error
    const { expects, got, remedy } = error.problem
    const input = inputs.map(describe).join(' and ')
    const seen = got.includes(input) ? got : `${got}; the input is ${input}`
    throw new NetworkError({ call: layerLabel(layer), expects, got: seen, remedy }, { cause: error })
  }
}

function checkCount(layer: Layer, count: number): void {
  const expected = isInputLayer(layer) ? 1 : layer.numInputs
  if (count !== expected)
    throw new DimensionError({
      call: layerLabel(layer),
      expects: expected === 1 ? '1 input' : `${expected} inputs (${layer.inputNames.join(', ')})`,
      got: String(count),
      remedy: 'Connect as many layers to it.',
    })
}

/** What every learnable and state will be for these inputs. */
function parameterInfos(layer: Layer, inputs: readonly ArrayInfo[]): Record<string, ArrayInfo> {
  const { kind, values } = interiorOf(layer)
  const infos: Record<string, ArrayInfo> = {}
  for (const definition of [...(kind.learnables ?? []), ...(kind.state ?? [])]) {
    const { size } = normalized(definition.size(layer, inputs), '')
    const given = values[definition.property] as DlArray | undefined
    if (given) checkGiven(layer, definition, given, size)
    const type = given?.underlyingType ?? 'single'
    infos[definition.name] = { size, dims: '', type }
  }
  return infos
}

function checkGiven(
  layer: Layer,
  { name, exact }: { readonly name: string; readonly exact?: boolean },
  given: ArrayInfo,
  size: readonly number[],
): void {
  const isVector = given.size.filter((extent) => extent !== 1).length <= 1
  const fits = exact ? given.size.join() === size.join() : numel(given.size) === numel(size) && isVector
  if (!fits)
    throw new DimensionError({
      call: layerLabel(layer),
      expects: exact ? `${name} of size ${size.join('×')}` : `${numel(size)} elements in ${name}, one for each channel`,
      got: exact ? given.size.join('×') : `${numel(given.size)} (${given.size.join('×')})`,
      remedy: `Give ${name} that size, or leave it out to have it initialized.`,
    })
}

/**
 * What a layer's outputs are for inputs of this description, without computing. Throws a {@link NetworkError} that names the
 * layer, the format and both numbers when they do not fit.
 */
export function inferLayer(layer: Layer, examples: readonly ArrayInfo[]): ArrayInfo[] {
  const inputs = examples.map(infoOf)
  return inLayer(layer, inputs, () => {
    checkCount(layer, inputs.length)
    return [...interiorOf(layer).kind.output(layer, inputs, parameterInfos(layer, inputs))]
  })
}

/** The description alone of what may be an array. */
function infoOf({ size, dims, type }: ArrayInfo): ArrayInfo {
  return { size, dims, type }
}

/**
 * Fills what is unset for inputs of this description: 'auto' sizes, then parameters from their initializers, in order. Values
 * given are kept and brought to the size they have for this kind of input. Throws a {@link NetworkError} as
 * {@link inferLayer} does.
 */
export function initializeLayer(layer: Layer, examples: readonly ArrayInfo[], random: RandomStream): void {
  const inputs = examples.map(infoOf)
  inLayer(layer, inputs, () => {
    checkCount(layer, inputs.length)
    const { kind, values } = interiorOf(layer)
    const infos = parameterInfos(layer, inputs)
    kind.output(layer, inputs, infos)
    // Collected first: a layer that fails here stays as it was.
    const filled: Record<string, unknown> = { ...kind.resolve?.(layer, inputs) }
    for (const { name, property, initializer, fans, size } of kind.learnables ?? []) {
      const given = values[property] as DlArray | undefined
      const place = { call: kind.functionName, name: initializer }
      filled[property] = given
        ? sized(given, infos[name]!.size)
        : initialValue(values[initializer], size(layer, inputs), fans?.(layer, inputs), random, place)
    }
    for (const { name, property, initial } of kind.state ?? []) {
      const given = values[property] as DlArray | undefined
      const { size } = infos[name]!
      const place = { call: kind.functionName, name: property }
      filled[property] = given ? sized(given, size) : constantValue(initial, size, place)
    }
    for (const [name, value] of Object.entries(filled)) {
      const before = values[name]
      values[name] = value
      if (isArrayValue(before) && before !== value) before.dispose()
    }
  })
}

/** A given value under the size it has in the network. */
function sized(given: DlArray, size: readonly number[]): DlArray {
  return given.size.join() === size.join() ? given : held(given, size)
}

/**
 * Computes a layer's outputs, and in training its new state. `parameters` are its learnables and state by name; undefined means
 * the layer's own. Throws a {@link NetworkError} for inputs that do not fit and for parameters that are not initialized.
 */
export function evaluateLayer(
  layer: Layer,
  inputs: readonly DlArray[],
  parameters: Readonly<Record<string, DlArray>> | undefined,
  context: LayerContext,
): LayerResult {
  return inLayer(layer, inputs, () => {
    checkCount(layer, inputs.length)
    const { kind } = interiorOf(layer)
    const given = parameters ?? ownParameters(layer)
    if (context.training && kind.train) return kind.train(layer, inputs, given, context)
    return { outputs: kind.compute(layer, inputs, given, context) }
  })
}

/** What the layer is where a network runs several as one operation. */
export function blockPart(layer: Layer): BlockPart | undefined {
  return interiorOf(layer).kind.block?.(layer)
}

/** Learnables and state by name. Throws a {@link NetworkError} for one that is empty. */
export function ownParameters(layer: Layer): Record<string, DlArray> {
  const own: Record<string, DlArray> = {}
  for (const { name, value } of [...learnablesOf(layer), ...stateOf(layer)]) {
    if (!value)
      throw new NetworkError({
        call: layerLabel(layer),
        expects: `${name} to be initialized`,
        got: 'an empty one',
        remedy: 'Initialize the network with an example input, or give the layer its values.',
      })
    own[name] = value
  }
  return own
}
