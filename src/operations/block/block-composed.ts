import type { DlArray } from '../../array/dlarray.js'
import type { Elements } from '../../array/storage.js'
import { liveTrace, type TraceEntry, withoutRecording, withRecording } from '../../autodiff/record.js'
import { makeArray, scope } from '../../memory/scope.js'
import { relabelOperation } from '../arrays/relabel.js'
import { dlconvOperation } from '../convolution/convolution.js'
import { leakyreluOperation } from '../elementwise/leakyrelu.js'
import { reluOperation } from '../elementwise/relu.js'
import { batchnormGivenOperation } from '../normalization/batchnorm-given.js'
import { batchnormWithStatisticsOperation } from '../normalization/batchnorm-training.js'
import { groupnormOperation } from '../normalization/groupnorm.js'
import { allocate } from '../operation.js'
import { avgpoolOperation, maxpoolOperation } from '../pooling/pooling.js'
import { type BlockInputs, type BlockOptions, poolingOf, windowsOf } from './block-options.js'

// A block as the operations that it stands for, one after the other: what it means, and its derivatives of any order.

interface Composed {
  readonly Y: DlArray
  /** What the convolution made. */
  readonly Z: DlArray | undefined
  readonly statistics: DlArray | undefined
  readonly batchMu: DlArray | undefined
  readonly batchSigmaSq: DlArray | undefined
}

export function composedBlock(
  { X, weights, bias, offset, scale, mu, sigmaSq }: BlockInputs<DlArray>,
  options: BlockOptions,
): Composed {
  const { numGroups, epsilon, meanDecay, varianceDecay, activation, leak, pooling, paddingValue, keep } = options
  const convolved = bias ? { X, weights: weights!, bias } : { X, weights: weights! }
  const Z = weights && dlconvOperation.run(convolved, windowsOf(options))
  let Y = Z ?? X
  let statistics: DlArray | undefined
  let batchMu: DlArray | undefined
  let batchSigmaSq: DlArray | undefined
  if (offset && scale) {
    const normalized = { X: Y, offset, scale }
    if (numGroups === 'given')
      Y = batchnormGivenOperation.run({ ...normalized, mu: mu!, sigmaSq: sigmaSq! }, { epsilon })
    else if (numGroups === 'batch') {
      const dataset = mu && sigmaSq && { datasetMu: mu, datasetSigmaSq: sigmaSq }
      const decays = dataset && { meanDecay, varianceDecay }
      const all = batchnormWithStatisticsOperation.runAll({ ...normalized, ...dataset }, { epsilon, ...decays })
      ;({ Y, statistics, mu: batchMu, sigmaSq: batchSigmaSq } = all)
    } else ({ Y, statistics } = groupnormOperation.runAll(normalized, { numGroups, epsilon }))
  }
  if (activation === 'relu') Y = reluOperation.run({ X: Y })
  if (activation === 'leakyrelu') Y = leakyreluOperation.run({ X: Y }, { scale: leak })
  if (pooling === 'max') Y = maxpoolOperation.run({ X: Y }, { ...poolingOf(options), winners: keep })
  if (pooling === 'average') Y = avgpoolOperation.run({ X: Y }, { ...poolingOf(options), paddingValue })
  return { Y, Z, statistics, batchMu, batchSigmaSq }
}

/** By input of the block, the gradient with respect to it: for those that are traced. */
export type BlockGradients = Partial<Record<keyof BlockInputs<unknown>, DlArray>>

/** The gradients of what a block makes, where any flows. */
interface ResultGradients {
  readonly Y: DlArray
  readonly batchMu?: DlArray | undefined
  readonly batchSigmaSq?: DlArray | undefined
}

/**
 * The gradients of a block for inputs of which some are traced, from those of its results: the steps again, and back through
 * them. Each step has its predecessor as its first input.
 */
export function composedGradients(
  inputs: BlockInputs<DlArray>,
  { Y: dY, batchMu, batchSigmaSq }: ResultGradients,
  options: BlockOptions,
  differentiate = <T>(back: () => T): T => back(),
): BlockGradients {
  const { Y } = composedBlock(inputs, { ...options, keep: true })
  const steps =
    Number(inputs.weights !== undefined) +
    Number(inputs.offset !== undefined) +
    Number(options.activation !== 'none') +
    Number(options.pooling !== 'none')
  const gradients: BlockGradients = {}
  let gradient: DlArray | undefined = dY
  let entry: TraceEntry | undefined = liveTrace(Y)
  for (let step = 0; step < steps && entry && gradient; step++) {
    const { node }: TraceEntry = entry
    const flowing: DlArray = gradient
    const wanted = node.inputs.map((input) => input !== undefined)
    const all = node.operation === batchnormWithStatisticsOperation.name ? [flowing, batchMu, batchSigmaSq] : [flowing]
    const results = differentiate(() => node.differentiate(all, wanted))
    node.inputNames.forEach((name, i) => {
      if (i > 0) gradients[name as keyof BlockInputs<unknown>] = results[i]
    })
    gradient = results[0]
    entry = node.inputs[0]
  }
  // what is left came back to X, unless X is not traced
  if (entry) gradients.X = gradient
  return gradients
}

/** Elements with their description, as the reference kernels get them. */
export interface Described {
  readonly values: Elements
  readonly info: {
    readonly size: readonly number[]
    readonly dims: string
    readonly type: 'single' | 'double' | 'logical'
  }
}

function arrayOf({ values, info }: Described): DlArray {
  const storage = allocate(info)
  storage.view().set(values)
  return makeArray(storage, info.size, info.dims, info.type)
}

function arraysOf(described: BlockInputs<Described>): BlockInputs<DlArray> {
  return Object.fromEntries(
    Object.entries(described).map(([name, one]) => [name, arrayOf(one as Described)]),
  ) as unknown as BlockInputs<DlArray>
}

/** The reference kernel: the composed form. */
export function referenceBlock(
  inputs: BlockInputs<Described>,
  options: BlockOptions,
  write: (results: Composed) => void,
): void {
  withoutRecording(() => scope(() => write(composedBlock(arraysOf(inputs), options))))
}

/** The gradients of a block for all its inputs, outside of any trace. */
export function separateGradients(
  inputs: BlockInputs<DlArray>,
  gradients: ResultGradients,
  options: BlockOptions,
): BlockGradients {
  return withoutRecording(() =>
    withRecording((tape) =>
      scope(() => {
        const arrays = Object.fromEntries(
          Object.entries(inputs).map(([name, X]: [string, DlArray]) => {
            const own = relabelOperation.run({ X }, { size: X.size, dims: X.dims })
            own.trace = tape.input(own)
            return [name, own]
          }),
        ) as unknown as BlockInputs<DlArray>
        return composedGradients(arrays, gradients, options, withoutRecording)
      }),
    ),
  )
}

/** The reference kernel of the gradient: back through the composed form. */
export function referenceBlockGradient(
  inputs: BlockInputs<Described>,
  dY: Described,
  options: BlockOptions,
  write: (results: BlockGradients) => void,
): void {
  scope(() => write(separateGradients(arraysOf(inputs), { Y: arrayOf(dY) }, options)))
}
