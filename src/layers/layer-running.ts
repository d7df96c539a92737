import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import { describe, normalized, numel } from '../array/format.js'
import { DimensionError, DlnetError, NetworkError, OptionError } from '../errors.js'
import type { RandomStream } from '../operations/arrays/random.js'
import type { BlockPart } from '../operations/block/block-options.js'
import { constantValue, initialValue } from './initializers.js'
import { interiorOf, isInputLayer, type Layer, layerLabel } from './layer.js'
import type { LayerContext, LayerResult } from './layer-definition.js'
import { ownParameters } from './layer-parameters.js'
import { held, isArrayValue } from './property.js'

// What networks do with any layer: infer sizes, fill what is unset, and compute. Errors from inside come out with its name.

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
