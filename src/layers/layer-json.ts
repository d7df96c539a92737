import { DlArray, isdlarray } from '../array/dlarray.js'
import { numel } from '../array/format.js'
import { OptionError } from '../errors.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { averagePoolingKinds } from './average-pooling.js'
import { batchNormalizationKind } from './batch-normalization.js'
import { convolutionKinds } from './convolution.js'
import { featureInputKind } from './feature-input.js'
import { fullyConnectedKind } from './fully-connected.js'
import { globalPoolingKinds } from './global-pooling.js'
import { groupNormalizationKind } from './group-normalization.js'
import { imageInputKinds } from './image-input.js'
import { inputKind } from './input.js'
import { instanceNormalizationKind } from './instance-normalization.js'
import { type Layer, storedValues } from './layer.js'
import type { LayerKind } from './layer-kind.js'
import { layerNormalizationKind } from './layer-normalization.js'
import { parameterProperties } from './layer-parameters.js'
import { leakyReluKind } from './leaky-relu.js'
import { maxPoolingKinds } from './max-pooling.js'
import { shown } from './property.js'
import { reluKind } from './relu.js'
import { sequenceInputKind } from './sequence-input.js'
import { softmaxKind } from './softmax.js'

// Layers as plain data. All kinds are listed here, so that a file can name any of them.

const kinds: ReadonlyMap<string, LayerKind> = new Map(
  [
    ...imageInputKinds,
    featureInputKind,
    sequenceInputKind,
    inputKind,
    ...convolutionKinds,
    instanceNormalizationKind,
    batchNormalizationKind,
    groupNormalizationKind,
    layerNormalizationKind,
    reluKind,
    leakyReluKind,
    ...maxPoolingKinds,
    ...averagePoolingKinds,
    ...globalPoolingKinds,
    fullyConnectedKind,
    softmaxKind,
  ].map((kind) => [kind.className, kind]),
)

/** A layer without its parameters, as JSON holds it. */
export interface LayerJSON {
  /** MATLAB's class. */
  readonly className: string
  /** Properties that differ from their defaults. */
  readonly properties: Readonly<Record<string, JSONValue>>
}

export type JSONValue = string | number | boolean | null | readonly JSONValue[] | { readonly [key: string]: JSONValue }

/**
 * A layer's settings as plain data: all properties but learnable and state parameters, which files keep as tensors.
 *
 * Errors: an {@link OptionError} for a property that is a function, which a file cannot hold.
 */
export function layerToJSON(layer: Layer): LayerJSON {
  const parameters = parameterProperties(layer)
  const properties: Record<string, JSONValue> = {}
  for (const [name, value] of Object.entries(storedValues(layer)))
    if (!parameters.includes(name)) properties[name] = encode(value, layer, name)
  return { className: layer.className, properties }
}

function encode(value: unknown, layer: Layer, name: string): JSONValue {
  if (value === undefined) return null
  if (typeof value === 'string' || typeof value === 'boolean') return value
  // JSON has no words for NaN, the infinities and the negative zero.
  if (Object.is(value, -0)) return { number: '-0' }
  if (typeof value === 'number') return Number.isFinite(value) ? value : { number: String(value) }
  if (Array.isArray(value)) return value.map((entry) => encode(entry, layer, name))
  if (value instanceof DlArray)
    return {
      size: [...value.size],
      type: value.underlyingType,
      values: Array.from(value.values(), (entry) => encode(entry, layer, name)),
    }
  throw new OptionError({
    call: `layer '${layer.name}' (${layer.className})`,
    expects: `settings that can be written to a file for ${name}`,
    got: shown(value),
    remedy: 'Functions cannot be saved: give the values themselves, or save after setting it to a name.',
  })
}

/**
 * The layer that {@link layerToJSON} described, without parameters.
 *
 * Errors: an {@link OptionError} for anything that describes no layer; values are checked as in the layer functions.
 */
export function layerFromJSON(json: unknown): Layer {
  const call = 'layerFromJSON'
  const wrong = (got: string) =>
    new OptionError({
      call,
      expects: 'a layer as layerToJSON writes it: a className and properties',
      got,
      remedy: 'The file may be damaged, or written by another version.',
    })
  if (!isRecord(json)) throw wrong(shown(json))
  const { className, properties } = json
  const kind = typeof className === 'string' ? kinds.get(className) : undefined
  if (!kind) throw wrong(`className ${shown(className)}`)
  if (!isRecord(properties)) throw wrong(`properties ${shown(properties)}`)
  const unknown = Object.keys(properties).find((name) => !kind.propertyNames.includes(name))
  if (unknown !== undefined) throw wrong(`'${unknown}' among the properties of ${className}`)
  const values = Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, decode(value, wrong)]))
  return kind.restore(values, className as string)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isdlarray(value)
}

/** Lists inside lists that a property may have: the two rows of a padding. */
const DEEPEST = 2

function decode(value: unknown, wrong: (got: string) => OptionError, depth = 0): unknown {
  if (value === null) return undefined
  if (Array.isArray(value)) {
    if (depth === DEEPEST) throw wrong('lists nested too deeply')
    return value.map((entry) => decode(entry, wrong, depth + 1))
  }
  if (!isRecord(value)) return value
  if (typeof value.number === 'string' && ['NaN', 'Infinity', '-Infinity', '-0'].includes(value.number))
    return Number(value.number)
  const { size, type, values } = value
  const isSize = Array.isArray(size) && size.length <= 32 && size.every((n) => Number.isInteger(n) && n >= 0)
  const numbers = Array.isArray(values) ? values.map((entry) => decode(entry, wrong)) : []
  const isArray =
    isSize &&
    (type === 'single' || type === 'double') &&
    Array.isArray(values) &&
    numbers.length === numel(size) &&
    numbers.every((entry) => typeof entry === 'number')
  if (!isArray) throw wrong(`a property of ${Object.keys(value).slice(0, 5).join(', ')}`)
  return dlarray(Float64Array.from(numbers as number[]), size as number[], { type })
}
