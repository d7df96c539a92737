import type { DlArray } from '../array/dlarray.js'
import { numel, strides } from '../array/format.js'
import { type MiniBatch, releaseBatch } from '../data/minibatch.js'
import { asText, checkOptionNames, DimensionError, OptionError } from '../errors.js'
import { scope } from '../memory/scope.js'
import { DlNetwork } from '../network/dlnetwork.js'
import { dlarray } from '../operations/arrays/dlarray.js'
import { currentStream } from '../operations/arrays/random.js'
import { type NetworkData, networkSource } from './network-data.js'

/** Options of {@link minibatchpredict}. */
export interface MinibatchpredictOptions {
  /** Observations in a mini-batch. Default 128. */
  readonly miniBatchSize?: number
  /** Layers or layer outputs to return, `'relu'` or `['relu', 'softmax']`. Default: the network's outputs. */
  readonly outputs?: string | readonly string[]
  /** Labels of the predictors' dimensions as they are in memory, one format for each input. Default `'auto'`. */
  readonly inputDataFormats?: string | readonly string[]
  /** Labels of the dimensions of each result, in the order wanted. Default `'auto'`: observations first for features, last otherwise. */
  readonly outputDataFormats?: string | readonly string[]
  /** Stops between two mini-batches by throwing the signal's reason. */
  readonly signal?: AbortSignal
}

const optionNames = ['miniBatchSize', 'outputs', 'inputDataFormats', 'outputDataFormats', 'signal']

/**
 * Predictions for many observations, mini-batch by mini-batch.
 *
 * `X` is predictors in memory, a datastore, or mini-batches (whose targets are not read). The result is unformatted and in
 * the order of data in memory: N-by-C for features and classes (format `CB`), H-by-W-by-C-by-N for images, T-by-C-by-N for
 * sequences; one array, or a list where `outputs` is one or the network has several: `minibatchpredict<DlArray<''>[]>(net, X)`.
 *
 * Errors: those of `predict`, and an {@link OptionError} for an option that does not exist. Source: MATLAB,
 * `minibatchpredict`.
 */
export function minibatchpredict(
  net: DlNetwork,
  X: NetworkData,
  options?: MinibatchpredictOptions & { readonly outputs?: string },
): Promise<DlArray<''>>
export function minibatchpredict(
  net: DlNetwork,
  X: NetworkData,
  options: MinibatchpredictOptions & { readonly outputs: readonly string[] },
): Promise<DlArray<''>[]>
export function minibatchpredict<R extends DlArray<''> | DlArray<''>[] = DlArray<''>>(
  net: DlNetwork,
  X: NetworkData,
  options?: MinibatchpredictOptions,
): Promise<R>
export async function minibatchpredict(
  net: DlNetwork,
  X: NetworkData,
  options: MinibatchpredictOptions = {},
): Promise<DlArray<''> | DlArray<''>[]> {
  const call = 'minibatchpredict'
  checkNetwork(call, net)
  checkOptionNames(call, options, optionNames)
  const names = typeof options.outputs === 'string' ? [options.outputs] : (options.outputs ?? net.outputNames)
  const { miniBatchSize, inputDataFormats } = options
  const source = networkSource(net, X, undefined, { call, miniBatchSize, inputDataFormats })
  const collected = names.map((name) => new Collected(name))
  for await (const batch of source) {
    options.signal?.throwIfAborted()
    predictBatch(net, batch, names, (outputs) => {
      outputs.forEach((output, i) => {
        collected[i]!.add(output, batch.observations)
      })
    })
  }
  const formats = options.outputDataFormats === 'auto' ? undefined : options.outputDataFormats
  const wanted = typeof formats === 'string' ? [formats] : formats
  if (wanted && wanted.length !== names.length)
    throw new OptionError({
      call,
      expects: `outputDataFormats for each of the ${names.length} outputs`,
      got: wanted.map((format) => `'${format}'`).join(', '),
      remedy: "Give one format for each, or 'auto'.",
    })
  const results = collected.map((one, i) => one.result(wanted?.[i]))
  return results.length === 1 && !Array.isArray(options.outputs) ? results[0]! : results
}

/** Runs a network on a mini-batch, and hands its outputs to a function before they are freed too. */
export function predictBatch(
  net: DlNetwork,
  batch: MiniBatch,
  outputs: readonly string[] | undefined,
  use: (outputs: readonly DlArray[]) => void,
): void {
  try {
    scope(() => {
      use(net.outputsFor(batch.inputs, { random: currentStream(), outputs }, 'minibatchpredict'))
    })
  } finally {
    releaseBatch(batch)
  }
}

export function checkNetwork(call: string, net: unknown): void {
  if (!(net instanceof DlNetwork))
    throw new OptionError({
      call,
      expects: 'a dlnetwork',
      got: asText(net),
      remedy: 'Give what dlnetwork, trainnet or loadNetwork returns.',
    })
  net.checkInUse(call)
}

/** The mini-batches of one output, put together. */
class Collected {
  readonly #name: string
  readonly #parts: { readonly values: Float32Array | Float64Array; readonly observations: number }[] = []
  #pattern: DlArray | undefined

  constructor(name: string) {
    this.#name = name
  }

  add(output: DlArray, observations: number): void {
    const pattern = this.#pattern
    const batch = output.dims.indexOf('B')
    const isAlike =
      pattern === undefined ||
      (pattern.dims === output.dims &&
        output.size.every((extent, position) => position === batch || extent === pattern.size[position]))
    if (!isAlike || (batch >= 0 && output.size[batch] !== observations))
      throw new DimensionError({
        call: 'minibatchpredict',
        expects: `'${this.#name}' to have one size for all mini-batches and their observations along B`,
        got: `${pattern?.size.join('×') ?? ''} (${pattern?.dims ?? ''}) and ${output.size.join('×')} (${output.dims})`,
        remedy: 'Give sequences of one length, or one sequence at a time.',
      })
    this.#pattern ??= output
    this.#parts.push({ values: output.values(), observations })
  }

  /** All observations, unformatted, the dimensions in the order of `format`. */
  result(format: string | undefined): DlArray<''> {
    const { dims, size, underlyingType } = this.#pattern!
    const batch = dims.indexOf('B')
    const labels = batch < 0 ? `${dims}B` : dims
    const order = format === undefined ? inMemory(labels) : this.#checked(format, labels)
    const total = this.#parts.reduce((sum, { observations }) => sum + observations, 0)
    const extents = [...labels].map((label, position) => (label === 'B' ? total : size[position]!))
    const resultSize = order.map((position) => extents[position]!)
    const steps: number[] = []
    strides(resultSize).forEach((step, position) => {
      steps[order[position]!] = step
    })
    const result =
      underlyingType === 'double' ? new Float64Array(numel(resultSize)) : new Float32Array(numel(resultSize))
    let begin = 0
    for (const { values, observations } of this.#parts) {
      const partSize = [...labels].map((label, position) => (label === 'B' ? observations : size[position]!))
      scatter(values, partSize, result, steps, begin * steps[labels.indexOf('B')]!)
      begin += observations
    }
    return dlarray(result, resultSize, { type: underlyingType })
  }

  #checked(format: string, labels: string): number[] {
    const left: (string | undefined)[] = [...labels]
    const order = [...format].map((label) => {
      const position = left.indexOf(label)
      if (position >= 0) left[position] = undefined
      return position
    })
    if (!order.includes(-1) && left.every((label) => label === undefined || label === 'U'))
      return order.concat(left.flatMap((label, position) => (label === undefined ? [] : [position])))
    throw new OptionError({
      call: 'minibatchpredict',
      expects: `outputDataFormats with the labels of '${this.#name}', ${labels}`,
      got: `'${format}'`,
      remedy: "Give each label once, in the order wanted, or 'auto'.",
    })
  }
}

/** Positions of the labels in the order in which data lies in memory: `BC`, `TCB`, `SSCB`, `SSCTB`. */
function inMemory(labels: string): number[] {
  const at = (wanted: string) => [...labels].flatMap((label, position) => (label === wanted ? [position] : []))
  const [S, C, B, T, U] = [...'SCBTU'].map(at) as [number[], number[], number[], number[], number[]]
  // A U that only makes a vector two-dimensional stays at the end.
  if (S.length > 0) return [...S, ...C, ...T, ...B, ...U]
  return T.length > 0 ? [...T, ...C, ...B, ...U] : [...B, ...C, ...U]
}

/** Copies a column-major array into places of a larger one: `steps` from one index to the next along each dimension. */
function scatter(
  from: ArrayLike<number>,
  size: readonly number[],
  to: Float32Array | Float64Array,
  steps: readonly number[],
  begin: number,
): void {
  const index = size.map(() => 0)
  let place = begin
  for (let element = 0; element < from.length; element++) {
    to[place] = from[element]!
    for (let d = 0; d < size.length; d++) {
      place += steps[d]!
      if (++index[d]! < size[d]!) break
      place -= steps[d]! * size[d]!
      index[d] = 0
    }
  }
}
