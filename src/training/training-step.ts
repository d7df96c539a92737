import type { DlArray } from '../array/dlarray.js'
import { dlfeval } from '../autodiff/dlfeval.js'
import { dlgradient } from '../autodiff/dlgradient.js'
import { liveTrace } from '../autodiff/record.js'
import type { BatchSource, MiniBatch } from '../data/minibatch.js'
import { TrainingError } from '../errors.js'
import { scope } from '../memory/scope.js'
import type { DlNetwork } from '../network/dlnetwork.js'
import type { ParameterRow } from '../network/network-display.js'
import type { RandomStream } from '../operations/arrays/random.js'
import { Divergence, isFiniteArray } from './divergence.js'
import type { TrainingLoss } from './losses.js'
import { type Metric, measured } from './metrics.js'
import type { RecordedSteps } from './recorded-steps.js'
import { SquareSums } from './solver-update.js'
import type { Solver, TrainedParameter } from './solvers.js'
import type { TrainingOptions } from './training-options.js'

/** What one iteration needs. */
export interface StepContext {
  readonly net: DlNetwork
  readonly parameters: readonly TrainedParameter[]
  readonly solver: Solver
  readonly loss: TrainingLoss
  readonly metrics: readonly Metric[]
  readonly random: RandomStream
  /** Iterations like these before; none, and each is computed as if it were the first. */
  readonly recorded?: RecordedSteps
}

/** What a run works on. The network and its parameters' memory are the run's own. */
export interface RunSettings extends StepContext {
  readonly options: TrainingOptions
  readonly source: BatchSource
  readonly validation: BatchSource | undefined
}

export interface StepResult {
  readonly loss: number
  readonly metrics: Readonly<Record<string, number>>
}

/**
 * One iteration: forward pass, loss, gradients, update in place. Every array it makes is freed. Throws a {@link Divergence},
 * with nothing changed, when the loss or a gradient is not finite.
 */
export function trainingStep(context: StepContext, batch: MiniBatch, learnRate: number, iteration: number): StepResult {
  const { net, parameters, solver, metrics, recorded } = context
  return scope(() => {
    const compute = () => computeStep(context, batch)
    const { value, gradients, squares, state, outputs } = recorded?.step(batch, compute) ?? compute()
    try {
      const loss = value.item()
      if (!Number.isFinite(loss)) throw new Divergence({ loss })
      checkGradients(parameters, gradients, squares.totals())
      const measured = metrics.length > 0 ? measure(metrics, [{ outputs, batch }]) : {}
      solver.step(gradients, learnRate, iteration)
      if (state.length > 0) net.state = state
      return { loss, metrics: measured }
    } finally {
      squares.release()
    }
  })
}

/** What an iteration computes before it changes anything. */
export interface ComputedStep {
  readonly value: DlArray
  /** In the order of the parameters, as are the sums of their squares. */
  readonly gradients: readonly DlArray[]
  readonly squares: SquareSums
  /** The network's state afterwards, or the part of it that changed. */
  readonly state: readonly ParameterRow[]
  /** The network's outputs, where metrics want them. */
  readonly outputs: readonly DlArray[]
}

function computeStep({ net, parameters, loss, metrics, random }: StepContext, batch: MiniBatch): ComputedStep {
  const values = parameters.map(({ value }) => value)
  const computed = dlfeval((traced: DlArray[]) => {
    const { outputs, state } = net.run(batch.inputs, { training: true, random, parameters: traced })
    const value = loss.compute(outputs, batch.targets)
    checkTraced(value)
    const gradients = dlgradient(value, traced)
    return { value, gradients, state, outputs: metrics.length > 0 ? outputs : [] }
  }, values)
  const squared = values.map((parameter, i) => ({ parameter, gradient: computed.gradients[i]!, decay: 0 }))
  return { ...computed, squares: new SquareSums(squared) }
}

function checkTraced(loss: DlArray): void {
  if (liveTrace(loss)) return
  throw new TrainingError({
    call: 'trainnet',
    expects: "a loss that is computed from the network's outputs, step by step with functions of dlarrays",
    got: 'an array that does not depend on them',
    remedy: 'Do not go through values(), item() or extractdata in the loss function.',
  })
}

/** A gradient that is not finite would destroy its parameter; the squares were one fast pass over all. */
function checkGradients(
  parameters: readonly TrainedParameter[],
  gradients: readonly DlArray[],
  squares: readonly number[],
): void {
  // From the loss backwards: where it began comes last in the list of parameters.
  for (let i = parameters.length - 1; i >= 0; i--) {
    if (Number.isFinite(squares[i]) || isFiniteArray(gradients[i]!)) continue
    const { name } = parameters[i]!
    const slash = name.lastIndexOf('/')
    throw new Divergence({ gradient: name.slice(slash + 1), layer: name.slice(0, slash) })
  }
}

interface Measured {
  readonly outputs: readonly DlArray[]
  readonly batch: MiniBatch
}

/** Values of metrics for some predictions, by name. */
function measure(metrics: readonly Metric[], predictions: readonly Measured[]): Record<string, number> {
  for (const metric of metrics) metric.reset()
  for (const { outputs, batch } of predictions) for (const metric of metrics) metric.update(outputs, batch.targets)
  return valuesOf(metrics)
}

function valuesOf(metrics: readonly Metric[]): Record<string, number> {
  return Object.fromEntries(metrics.map((metric) => [metric.name, measured(metric)]))
}

/** Loss and metrics over many mini-batches: the loss is the mean over observations. */
export class Evaluation {
  #loss = 0
  #observations = 0

  constructor(private readonly context: Omit<StepContext, 'parameters' | 'solver'>) {
    for (const metric of context.metrics) metric.reset()
  }

  /** Takes one mini-batch; the network is in prediction mode. */
  update(batch: MiniBatch): void {
    const { net, loss, metrics, random } = this.context
    scope(() => {
      const outputs = net.outputsFor(batch.inputs, { random })
      this.#loss += loss.compute(outputs, batch.targets).item() * batch.observations
      this.#observations += batch.observations
      for (const metric of metrics) metric.update(outputs, batch.targets)
    })
  }

  result(): StepResult {
    return { loss: this.#loss / this.#observations, metrics: valuesOf(this.context.metrics) }
  }
}
