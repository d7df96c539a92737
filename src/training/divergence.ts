import type { DlArray } from '../array/dlarray.js'
import { formatShortG } from '../array/number-display.js'
import type { MiniBatch } from '../data/minibatch.js'
import type { Problem } from '../errors.js'
import { layerLabel } from '../layers/layer.js'
import { scope } from '../memory/scope.js'
import type { DlNetwork } from '../network/dlnetwork.js'
import { RandomStream } from '../operations/arrays/random.js'
import { withLayerCopies } from './layer-copies.js'

// Where a loss that is not a number comes from: a second forward pass that looks at every array.

/** Found while a step is computed, before anything is changed by it. */
export class Divergence extends Error {
  constructor(
    /** The loss, or where that is a number the gradient with respect to a parameter. */
    readonly of: { readonly loss: number } | { readonly gradient: string; readonly layer: string },
  ) {
    super('loss or gradient is not finite')
  }
}

/** The number of elements that are NaN or infinite, and the first of them. */
function notFinite(array: DlArray): { count: number; first: number } | undefined {
  let count = 0
  let first = 0
  for (const value of array.storage.view())
    if (!Number.isFinite(value)) {
      if (count === 0) first = value
      count++
    }
  return count > 0 ? { count, first } : undefined
}

export function isFiniteArray(array: DlArray): boolean {
  return notFinite(array) === undefined
}

/** What was found, as the error tells it: the first place in the order of computation that is not finite. */
export function diagnose(
  divergence: Divergence,
  net: DlNetwork,
  batch: MiniBatch,
  random: RandomStream,
  where: { readonly iteration: number; readonly epoch: number; readonly learnRate: number },
): Problem {
  const at = `at iteration ${where.iteration} (epoch ${where.epoch}, learn rate ${where.learnRate})`
  const remedy =
    'Lower initialLearnRate, clip with gradientThreshold, or check the data; error.net is the network so far.'
  const problem = (got: string, what = remedy): Problem => ({
    call: 'trainnet',
    expects: 'a loss that is a finite number',
    got: `${'loss' in divergence.of ? String(divergence.of.loss) : 'a gradient that is not'} ${at}, beginning in ${got}`,
    remedy: what,
  })
  const checkData = 'Leave out or replace such values in the data; error.net is the network so far.'
  for (const [i, input] of batch.inputs.entries()) {
    const found = notFinite(input)
    if (found) return problem(`the data: input ${i + 1} of the network has ${words(found, input)}`, checkData)
  }
  for (const [i, target] of batch.targets.entries()) {
    const found = notFinite(target)
    if (found) return problem(`the data: target ${i + 1} has ${words(found, target)}`, checkData)
  }
  const { inLayer, outputs } = lookThrough(net, batch, random)
  if (inLayer) return problem(inLayer)
  if ('gradient' in divergence.of)
    return problem(
      `the backward pass: the gradient with respect to ${divergence.of.gradient} of ${labelOf(net, divergence.of.layer)}`,
    )
  return problem(`the loss function, which was given finite values: ${outputs.join(', ')}`)
}

interface Findings {
  /** The first layer of the network with a parameter or an output that is not finite. */
  readonly inLayer: string | undefined
  /** The layers that give the network's outputs, and how large these are. */
  readonly outputs: readonly string[]
}

function lookThrough(net: DlNetwork, batch: MiniBatch, random: RandomStream): Findings {
  const parameters = net.parameterList()
  const outputNames = new Set(net.outputNames.map((name) => name.replace(/\/[^/]*$/, '')))
  const outputs: string[] = []
  let inLayer: string | undefined
  scope(() => {
    net.run([...batch.inputs], {
      training: true,
      // The draws of the pass that failed are over; others of the same stream's future do as well.
      random: RandomStream.fromState(random.state()),
      observe(layer, results) {
        if (inLayer) return
        for (const { parameter, value } of parameters.filter((one) => one.layer === layer)) {
          const found = notFinite(value)
          if (found) inLayer = `${labelOf(net, layer)}: its ${parameter} have ${words(found, value)}`
        }
        for (const result of results) {
          const found = notFinite(result)
          if (found) inLayer ??= `${labelOf(net, layer)}: its output has ${words(found, result)}`
          if (!found && outputNames.has(layer))
            outputs.push(`those of ${labelOf(net, layer)}, of magnitude up to ${formatShortG(largest(result))}`)
        }
      },
    })
  })
  return { inLayer, outputs }
}

function largest(array: DlArray): number {
  let result = 0
  for (const value of array.storage.view()) result = Math.max(result, Math.abs(value))
  return result
}

function words({ count, first }: { count: number; first: number }, { numel }: DlArray): string {
  return `${count} of ${numel} values that are not finite (the first is ${first})`
}

function labelOf(net: DlNetwork, name: string): string {
  return withLayerCopies(net, (layers) => {
    const layer = layers.find((one) => one.name === name)
    return layer ? layerLabel(layer) : `layer '${name}'`
  })
}
