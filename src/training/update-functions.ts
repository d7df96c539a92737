import { type DlArray, isdlarray } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import { isContainer, replaceArrays } from '../autodiff/containers.js'
import { withoutRecording } from '../autodiff/record.js'
import { argumentError, asText, DimensionError, OptionError } from '../errors.js'
import { keep } from '../memory/scope.js'
import { DlNetwork } from '../network/dlnetwork.js'
import { sameSize } from '../operations/reductions/sum.js'
import { freshLike, type SolverName, type Step, solverAverages, updateParameters } from './solver-update.js'

// The solvers' rules for training loops of one's own. Parameters are an array, lists and records of arrays (nested as you
// like; `net.learnables` is such a list), or a network; gradients and averages have the same shape.

/** Every array of a container, in order. */
function arraysOf(container: unknown): DlArray[] {
  if (container instanceof DlNetwork) return container.parameterList().map(({ value }) => value)
  const found: DlArray[] = []
  replaceArrays(container, (array) => {
    found.push(array)
    return array
  })
  return found
}

/** Throws an {@link OptionError} for what holds no arrays and could hold none. */
function checkContainer(call: string, name: string, container: unknown): void {
  if (container instanceof DlNetwork || isContainer(container)) return
  throw argumentError(
    call,
    `${name} as an array, or as lists and records of arrays`,
    container,
    'Give parameters, a network or net.learnables, and what dlgradient returned for them.',
  )
}

/** A container of the same shape with other arrays, given in order; a network becomes another network. */
function withArrays(container: unknown, arrays: readonly DlArray[]): unknown {
  if (container instanceof DlNetwork) return container.withParameters(arrays)
  let next = 0
  return replaceArrays(container, () => arrays[next++]!)
}

/** The parameters after a step: a network takes the new values and frees the old, so that a loop needs no more memory. */
function stepped(parameters: unknown, values: readonly DlArray[]): unknown {
  if (!(parameters instanceof DlNetwork)) return withArrays(parameters, values)
  parameters.replaceParameters(values)
  for (const value of values) value.dispose()
  return parameters
}

function checkSameShape(call: string, name: string, parameters: readonly DlArray[], others: readonly DlArray[]): void {
  if (others.length !== parameters.length)
    throw new DimensionError({
      call,
      expects: `${name} for each of ${parameters.length} parameters`,
      got: `${others.length}`,
      remedy: 'Give what dlgradient returned for these parameters.',
    })
  for (const [i, other] of others.entries())
    if (!sameSize(other.size, parameters[i]!.size))
      throw new DimensionError({
        call,
        expects: `${name} of the size of parameter ${i + 1}, ${describe(parameters[i]!)}`,
        got: describe(other),
        remedy: 'Give what dlgradient returned for these parameters.',
      })
}

function checkNumber(
  call: string,
  name: string,
  value: number,
  accepts: (x: number) => boolean,
  expects: string,
): void {
  if (typeof value === 'number' && accepts(value)) return
  throw new OptionError({
    call,
    expects: `${name} to be ${expects}`,
    got: asText(value),
    remedy: 'Leave it out for the default.',
  })
}

const isRate = (x: number) => x >= 0 && Number.isFinite(x)
const isDecay = (x: number) => x >= 0 && x < 1

/** What averages start as: MATLAB's `[]`, undefined or null. */
type Started<G> = G | undefined | null | readonly []

/**
 * One step of every parameter; the parameters and averages after it. A network is changed itself, other parameters are not.
 * Averages are the solver's own: those given are freed, and the new ones outlive every scope.
 */
function updated(
  call: string,
  parameters: unknown,
  gradients: unknown,
  averages: readonly unknown[],
  solver: SolverName,
  step: (learnRateFactor: number) => Step,
): [parameters: unknown, ...averages: unknown[]] {
  checkContainer(call, 'parameters', parameters)
  checkContainer(call, 'gradients', gradients)
  const values = arraysOf(parameters)
  const gradientArrays = arraysOf(gradients)
  checkSameShape(call, 'a gradient', values, gradientArrays)
  const factors =
    parameters instanceof DlNetwork
      ? parameters.parameterList().map(({ learnRateFactor }) => learnRateFactor)
      : values.map(() => 1)
  const before = averages.map((average, k) => {
    const arrays = arraysOf(average)
    const isStart = average === undefined || average === null || (Array.isArray(average) && average.length === 0)
    if (isStart) return undefined
    checkSameShape(call, `an average (${solverAverages[solver][k]})`, values, arrays)
    return arrays
  })
  return withoutRecording(() => {
    const newValues = values.map((value) => freshLike(value, 'copy'))
    const newAverages = before.map((arrays) =>
      values.map((value, i) => (arrays ? freshLike(arrays[i]!, 'copy') : freshLike(value, 'zeros'))),
    )
    updateParameters(
      newValues.map((parameter, i) => ({
        parameter,
        gradient: gradientArrays[i]!,
        averages: newAverages.map((arrays) => arrays[i]!),
        preparation: { decay: 0, factor: 1, limit: Number.POSITIVE_INFINITY },
        step: step(factors[i]!),
      })),
    )
    for (const arrays of before) for (const array of arrays ?? []) array.dispose()
    for (const arrays of newAverages) for (const array of arrays) keep(array)
    return [stepped(parameters, newValues), ...newAverages.map((arrays) => withArrays(gradients, arrays))]
  })
}

/**
 * One step of stochastic gradient descent with momentum: `v = momentum * v - learnRate * gradient`, `parameter + v`. Returns
 * the new parameters and velocity. A network is updated itself and returned, its old values freed; other parameters stay as
 * they are: in a loop, `dispose()` the old ones once the new ones are there, as {@link scope} shows. The velocity given is
 * freed: use the one returned.
 *
 * | argument | meaning |
 * | --- | --- |
 * | `parameters` | an array, a list or record of arrays (`net.learnables`), or a network, whose learn-rate factors count |
 * | `gradients` | what `dlgradient` gave for them, in the same shape |
 * | `velocity` | what the call before returned; undefined or `[]` at the start |
 * | `learnRate`, `momentum` | default 0.01 and 0.9 |
 *
 * Errors: a {@link DimensionError} when shapes or sizes differ, an {@link OptionError} for the numbers. L2 regularization and
 * clipping are not included. Source: MATLAB, `sgdmupdate`.
 */
export function sgdmupdate<P, G>(
  parameters: P,
  gradients: G,
  velocity?: Started<G>,
  learnRate = 0.01,
  momentum = 0.9,
): [parameters: P, velocity: G] {
  const call = 'sgdmupdate'
  checkNumber(call, 'learnRate', learnRate, isRate, 'a finite number that is not negative')
  checkNumber(call, 'momentum', momentum, (x) => x >= 0 && x <= 1, 'a number from 0 to 1')
  const step = (factor: number): Step => ({ solver: 'sgdm', rate: learnRate * factor, momentum })
  return updated(call, parameters, gradients, [velocity], 'sgdm', step) as [P, G]
}

/**
 * One step of Adam, with bias correction for `iteration` (from 1): the rule stands at {@link Solver}. Returns the new
 * parameters, average gradient and average squared gradient. Arguments as for {@link sgdmupdate}; `learnRate` 0.001,
 * `gradientDecay` 0.9, `squaredGradientDecay` 0.999 and `epsilon` 1e-8 by default.
 *
 * Source: Kingma, Ba, "Adam: A Method for Stochastic Optimization", 2015; MATLAB, `adamupdate`.
 */
export function adamupdate<P, G>(
  parameters: P,
  gradients: G,
  averageGrad: Started<G>,
  averageSqGrad: Started<G>,
  iteration: number,
  learnRate = 0.001,
  gradientDecay = 0.9,
  squaredGradientDecay = 0.999,
  epsilon = 1e-8,
): [parameters: P, averageGrad: G, averageSqGrad: G] {
  const call = 'adamupdate'
  checkNumber(call, 'iteration', iteration, (x) => Number.isInteger(x) && x >= 1, 'a whole number from 1')
  checkNumber(call, 'learnRate', learnRate, isRate, 'a finite number that is not negative')
  checkNumber(call, 'gradientDecay', gradientDecay, isDecay, 'a number from 0 to below 1')
  checkNumber(call, 'squaredGradientDecay', squaredGradientDecay, isDecay, 'a number from 0 to below 1')
  checkNumber(call, 'epsilon', epsilon, (x) => x > 0 && Number.isFinite(x), 'a positive number')
  const step = (factor: number): Step => ({
    solver: 'adam',
    rate: learnRate * factor,
    gradientDecay,
    squaredDecay: squaredGradientDecay,
    epsilon,
    iteration,
  })
  return updated(call, parameters, gradients, [averageGrad, averageSqGrad], 'adam', step) as [P, G, G]
}

/**
 * One step of RMSProp, without bias correction: the rule stands at {@link Solver}. Returns the new parameters and average
 * squared gradient. Arguments as for {@link sgdmupdate}; `learnRate` 0.001, `squaredGradientDecay` 0.9 and `epsilon` 1e-8 by
 * default. Source: Tieleman, Hinton, "Neural Networks for Machine Learning", lecture 6.5, 2012; MATLAB, `rmspropupdate`.
 */
export function rmspropupdate<P, G>(
  parameters: P,
  gradients: G,
  averageSqGrad?: Started<G>,
  learnRate = 0.001,
  squaredGradientDecay = 0.9,
  epsilon = 1e-8,
): [parameters: P, averageSqGrad: G] {
  const call = 'rmspropupdate'
  checkNumber(call, 'learnRate', learnRate, isRate, 'a finite number that is not negative')
  checkNumber(call, 'squaredGradientDecay', squaredGradientDecay, isDecay, 'a number from 0 to below 1')
  checkNumber(call, 'epsilon', epsilon, (x) => x > 0 && Number.isFinite(x), 'a positive number')
  const step = (factor: number): Step => ({
    solver: 'rmsprop',
    rate: learnRate * factor,
    squaredDecay: squaredGradientDecay,
    epsilon,
  })
  return updated(call, parameters, gradients, [averageSqGrad], 'rmsprop', step) as [P, G]
}

/**
 * Calls `fn` with the arrays that stand at the same place in containers of the same shape (arrays, lists, records, networks),
 * and gives a container of its results: the shape of the first. When `fn` returns a list of arrays, a list of containers.
 *
 * Errors: a {@link DimensionError} when the containers do not hold the same number of arrays, an {@link OptionError} when `fn`
 * returns anything but arrays. Source: MATLAB, `dlupdate`.
 */
export function dlupdate<A>(fn: (...arrays: DlArray[]) => DlArray, first: A, ...more: unknown[]): A
export function dlupdate<A>(fn: (...arrays: DlArray[]) => readonly DlArray[], first: A, ...more: unknown[]): A[]
export function dlupdate<A>(
  fn: (...arrays: DlArray[]) => DlArray | readonly DlArray[],
  first: A,
  ...more: unknown[]
): A | A[] {
  if (typeof fn !== 'function')
    throw new OptionError({
      call: 'dlupdate',
      expects: 'a function of arrays',
      got: asText(fn),
      remedy: 'Write dlupdate((p, g) => minus(p, times(rate, g)), parameters, gradients).',
    })
  for (const container of [first, ...more])
    checkContainer('dlupdate', 'what the function is to be applied to', container)
  const lists = [first, ...more].map(arraysOf)
  const count = lists[0]!.length
  for (const [k, list] of lists.entries())
    if (list.length !== count)
      throw new DimensionError({
        call: 'dlupdate',
        expects: `containers of one shape, with ${count} arrays as the first`,
        got: `${list.length} arrays in number ${k + 1}`,
        remedy: 'Give containers with the same arrays, such as gradients beside parameters.',
      })
  const results = lists[0]!.map((_, i) => fn(...lists.map((list) => list[i]!)))
  const isMany = results.some((result) => Array.isArray(result))
  const rows = results.map((result) => (Array.isArray(result) ? (result as readonly DlArray[]) : [result as DlArray]))
  const width = rows[0]?.length ?? 1
  for (const row of rows)
    if (row.length !== width || !row.every(isdlarray))
      throw new OptionError({
        call: 'dlupdate',
        expects: 'a function that returns an array, or always the same number of arrays',
        got: row.every(isdlarray) ? `${row.length} and ${width} arrays` : 'something else',
        remedy: 'Return dlarrays.',
      })
  const containers = Array.from(
    { length: width },
    (_, k) =>
      withArrays(
        first,
        rows.map((row) => row[k]!),
      ) as A,
  )
  return isMany ? containers : containers[0]!
}
