import type { DlArray } from '../array/dlarray.js'
import { positionsOf } from '../array/format.js'
import { tapeOf, withoutRecording } from '../autodiff/record.js'
import { asText, DimensionError, OptionError } from '../errors.js'
import type { Layer } from '../layers/layer.js'
import type { LayerResult } from '../layers/layer-definition.js'
import { ownParameters } from '../layers/layer-parameters.js'
import { blockPart } from '../layers/layer-running.js'
import { relabelOperation } from '../operations/arrays/relabel.js'
import { blockOperation } from '../operations/block/block.js'
import {
  type BlockInputs,
  type BlockOptions,
  type BlockPart,
  blockPays,
  defaultBlock,
} from '../operations/block/block-options.js'
import { backendFor } from '../operations/operation.js'
import type { LayerGraph } from './layer-graph.js'

// Layers in series that run as one operation: convolution, normalization, activation, pooling, in this order, at least two
// of them. The plan finds such series; whether one runs as a block is decided with the arrays at hand.

let isOn = true

/**
 * Whether networks run layers in series as one operation from now on; default true. Results agree to rounding either way:
 * switch it off to compare, or to look for the cause of a difference.
 *
 * Fused are series of at least two of these layers in this order: convolution; instance, batch, group or layer normalization;
 * ReLU or leaky ReLU; maximum or average pooling, global too. Each must be the only reader of the one before, on single arrays
 * with one to three S dimensions, C, and at most a B. Errors: an {@link OptionError} unless given true or false.
 */
export function setFusion(enabled: boolean): void {
  if (typeof enabled !== 'boolean')
    throw new OptionError({
      call: 'setFusion',
      expects: 'true or false',
      got: asText(enabled),
      remedy: 'True is the default.',
    })
  isOn = enabled
}

/** What {@link setFusion} chose. */
export function isFusionOn(): boolean {
  return isOn
}

/** A step of a plan, before it is known what each finishes. */
interface PlannedStep {
  readonly layer: number
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}

const ORDER: readonly BlockPart['step'][] = ['convolution', 'normalization', 'activation', 'pooling']

/** The same steps, with those that may run as one joined at the place of the first. `asked` are slots that are results. */
export function fusedSteps(
  steps: readonly PlannedStep[],
  graph: LayerGraph,
  asked: readonly number[],
): (PlannedStep & { readonly followers?: readonly number[] })[] {
  const readers = new Map<number, PlannedStep[]>()
  for (const step of steps)
    for (const slot of step.inputs) {
      const known = readers.get(slot)
      if (known) known.push(step)
      else readers.set(slot, [step])
    }
  const results = new Set(asked)
  /** The one step that reads the one result of a step. */
  const next = ({ outputs }: PlannedStep): PlannedStep | undefined => {
    const [slot] = outputs
    const reading = readers.get(slot!)
    if (outputs.length !== 1 || results.has(slot!) || reading?.length !== 1) return undefined
    return reading[0]!.inputs.length === 1 ? reading[0] : undefined
  }
  const place = ({ layer }: PlannedStep) => {
    const part = blockPart(graph.layers[layer]!)
    return part ? ORDER.indexOf(part.step) : -1
  }
  const taken = new Set<PlannedStep>()
  return steps.flatMap((step) => {
    if (taken.has(step)) return []
    const series = [step]
    let at = place(step)
    for (let one = next(step); at >= 0 && one && place(one) > at; one = next(one)) {
      series.push(one)
      at = place(one)
    }
    if (series.length === 1) return [step]
    for (const one of series) taken.add(one)
    const last = series.at(-1)!
    return [{ ...step, outputs: last.outputs, followers: series.slice(1).map(({ layer }) => layer) }]
  })
}

interface LayerInSeries {
  readonly layer: Layer
  /** In place of the layer's own. */
  readonly parameters: Readonly<Record<string, DlArray>> | undefined
}

interface SeriesResult {
  readonly Y: DlArray
  /** Place in the series, and new state, of a layer that changed its state. */
  readonly changed?: { readonly place: number; readonly state: NonNullable<LayerResult['state']> }
}

/** The result of layers in series as one operation; undefined where they cannot, or should not, run as one. */
export function runAsBlock(
  layers: readonly LayerInSeries[],
  X: DlArray,
  { training }: { readonly training: boolean },
): SeriesResult | undefined {
  if (!isOn || backendFor('single') !== 'wasm') return undefined
  let inputs: BlockInputs<DlArray> = { X }
  let options: BlockOptions = defaultBlock
  /** Takes new mean and variance into the state of the layer that has them. */
  let change: ((mu: DlArray, sigmaSq: DlArray) => SeriesResult['changed']) | undefined
  const rank = positionsOf(X.dims, 'S').length
  for (const [place, { layer, parameters }] of layers.entries()) {
    const part = blockPart(layer)
    if (!part || (part.rank !== undefined && part.rank !== rank)) return undefined
    const { step, state } = part
    options = { ...options, ...part.options }
    if (step !== 'convolution' && step !== 'normalization') continue
    const all = parameters ?? ownParameters(layer)
    const { Weights: weights, Bias: bias, Offset: offset, Scale: scale } = all
    inputs = { ...inputs, ...(step === 'convolution' ? { weights, bias } : { offset, scale }) }
    if (!state) continue
    const [mu, sigmaSq] = [all[state.mu]!, all[state.sigmaSq]!]
    inputs = { ...inputs, mu, sigmaSq }
    if (!training) options = { ...options, numGroups: 'given' }
    else
      change = (newMu, newSigmaSq) => ({
        place,
        state: { [state.mu]: sizedLike(newMu, mu), [state.sigmaSq]: sizedLike(newSigmaSq, sigmaSq) },
      })
  }
  const arrays = Object.values(inputs)
  if (!arrays.every((array) => array.underlyingType === 'single')) return undefined
  options = { ...options, keep: tapeOf(arrays) !== undefined }
  // Inputs that do not fit are left to the layers one by one: they say which it is.
  try {
    if (!blockPays(inputs, options)) return undefined
    if (!change) return { Y: blockOperation.run(inputs, options) }
    const { Y, batchMu, batchSigmaSq } = blockOperation.runAll(inputs, options)
    return { Y, changed: change(batchMu, batchSigmaSq) }
  } catch (error) {
    if (error instanceof DimensionError || error instanceof OptionError) return undefined
    throw error
  }
}

function sizedLike(X: DlArray, { size }: DlArray): DlArray {
  return withoutRecording(() => relabelOperation.run({ X }, { size, dims: '' }))
}
