import type { DlArray } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import { FileError } from '../errors.js'
import { keep } from '../memory/scope.js'
import { sameSize } from '../operations/reductions/sum.js'
import {
  freshLike,
  gradientSquares,
  type ParameterUpdate,
  type Step,
  solverAverages,
  updateParameters,
} from './solver-update.js'
import type { TrainingOptions } from './training-options.js'

/** A parameter in training. Its memory belongs to the training: steps change it in place. */
export interface TrainedParameter {
  /** `conv/Weights`: unique in the network. */
  readonly name: string
  readonly value: DlArray
  readonly learnRateFactor: number
  readonly l2Factor: number
}

/**
 * The rule by which gradients change parameters, and what it remembers of the steps before. The order of one step is L2
 * regularization, clipping, rule:
 *
 * | solver | rule, with alpha the learn rate times the parameter's factor |
 * | --- | --- |
 * | sgdm | v = momentum v - alpha g; w = w + v |
 * | adam | m = b1 m + (1-b1) g; v = b2 v + (1-b2) g²; w = w - alpha (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + epsilon) |
 * | rmsprop | v = b2 v + (1-b2) g²; w = w - alpha g / (sqrt(v) + epsilon) |
 *
 * A parameter with learn-rate factor 0 stays as it is; its gradient counts in a global norm.
 * Sources: Kingma, Ba, "Adam", 2015; Tieleman, Hinton, lecture 6.5, 2012; MATLAB, `trainingOptions`.
 */
export interface Solver {
  /** Changes the parameters in place. `iteration` counts from 1. */
  step(gradients: readonly DlArray[], learnRate: number, iteration: number): void
  /** What it remembers, by name: `velocity/conv/Weights`. The arrays are its own. */
  state(): Record<string, DlArray>
  /** Goes on with a state; throws a {@link FileError} unless it fits the parameters. */
  restore(state: Readonly<Record<string, DlArray>>, source: string): void
  dispose(): void
}

export function createSolver(options: TrainingOptions, parameters: readonly TrainedParameter[]): Solver {
  const names = solverAverages[options.solver]
  const averages = parameters.map(({ value }) => names.map(() => keep(freshLike(value, 'zeros'))))
  const { l2Regularization, gradientThreshold: threshold, gradientThresholdMethod: method } = options

  /** What the gradients are multiplied by so that their norms stay below the threshold. */
  function factors(gradients: readonly DlArray[]): number[] {
    if (threshold === Number.POSITIVE_INFINITY || method === 'absolute-value') return parameters.map(() => 1)
    const squares = gradientSquares(
      parameters.map(({ value, l2Factor }, i) => ({
        parameter: value,
        gradient: gradients[i]!,
        decay: l2Regularization * l2Factor,
      })),
    )
    const shrink = (sum: number) => {
      const norm = Math.sqrt(sum)
      return norm > threshold ? threshold / norm : 1
    }
    if (method === 'l2norm') return squares.map(shrink)
    const factor = shrink(squares.reduce((sum, square) => sum + square, 0))
    return parameters.map(() => factor)
  }

  return {
    step(gradients, learnRate, iteration) {
      const factor = factors(gradients)
      const limit = method === 'absolute-value' ? threshold : Number.POSITIVE_INFINITY
      const updates: ParameterUpdate[] = []
      for (let i = 0; i < parameters.length; i++) {
        const { value, learnRateFactor, l2Factor } = parameters[i]!
        if (learnRateFactor === 0) continue
        updates.push({
          parameter: value,
          gradient: gradients[i]!,
          averages: averages[i]!,
          preparation: { decay: l2Regularization * l2Factor, factor: factor[i]!, limit },
          step: stepOf(options, learnRate * learnRateFactor, iteration),
        })
      }
      updateParameters(updates)
    },
    state() {
      const state: Record<string, DlArray> = {}
      for (const [i, { name }] of parameters.entries())
        for (const [k, average] of names.entries()) state[`${average}/${name}`] = averages[i]![k]!
      return state
    },
    restore(state, source) {
      for (const [name, array] of Object.entries(this.state())) {
        const saved = state[name]
        if (!saved || !sameSize(saved.size, array.size) || saved.underlyingType !== array.underlyingType)
          throw new FileError({
            call: 'trainnet',
            expects: `${name} of ${describe(array)} (${array.underlyingType}) in ${source}`,
            got: saved ? `${describe(saved)} (${saved.underlyingType})` : 'none',
            remedy: 'Resume with the network and the solver that wrote the checkpoint.',
          })
        array.storage.view().set(saved.storage.view())
      }
    },
    dispose() {
      for (const average of averages.flat()) average.dispose()
    },
  }
}

function stepOf(options: TrainingOptions, rate: number, iteration: number): Step {
  switch (options.solver) {
    case 'sgdm':
      return { solver: 'sgdm', rate, momentum: options.momentum }
    case 'adam':
      return {
        solver: 'adam',
        rate,
        gradientDecay: options.gradientDecayFactor,
        squaredDecay: options.squaredGradientDecayFactor,
        epsilon: options.epsilon,
        iteration,
      }
    case 'rmsprop':
      return { solver: 'rmsprop', rate, squaredDecay: options.squaredGradientDecayFactor, epsilon: options.epsilon }
  }
}
