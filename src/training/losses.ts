import { type DlArray, isdlarray } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import { OptionError, TrainingError } from '../errors.js'
import { callUsers } from '../operations/call.js'
import { crossentropy, indexcrossentropy } from '../operations/losses/crossentropy.js'
import { huber } from '../operations/losses/huber.js'
import { l1loss } from '../operations/losses/l1loss.js'
import { l2loss } from '../operations/losses/l2loss.js'
import { checkChannels } from './network-data.js'

/** The losses of `trainnet` that have a name. */
export type LossName =
  | 'crossentropy'
  | 'index-crossentropy'
  | 'binary-crossentropy'
  | 'mse'
  | 'mean-squared-error'
  | 'l2loss'
  | 'mae'
  | 'mean-absolute-error'
  | 'l1loss'
  | 'huber'

/** A loss of your own: `f(Y1, ..., YM, T1, ..., TM)`, outputs of the network first, then targets; a scalar array. */
export type LossFunction = (...outputsThenTargets: DlArray[]) => DlArray

/** What training minimizes: a loss by its name, or a function of the outputs and then the targets. */
export type Loss = LossName | LossFunction

/** A loss as training uses it. */
export interface TrainingLoss {
  readonly name: string
  /** Whether it is one of {@link LossName}, not a function of the user's. */
  readonly isNamed: boolean
  /** How class labels among the targets become numbers: undefined where numbers are not class labels. */
  readonly labels: 'onehot' | 'index' | undefined
  compute(outputs: readonly DlArray[], targets: readonly DlArray[]): DlArray
}

interface NamedLoss {
  readonly labels?: 'onehot' | 'index'
  readonly compute: (Y: DlArray, T: DlArray) => DlArray
}

const binary: NamedLoss = { compute: (Y, T) => crossentropy(Y, T, { classificationMode: 'multilabel' }) }
// Not the function mse, which is half of this.
const squared: NamedLoss = { compute: (Y, T) => l2loss(Y, T) }
const absolute: NamedLoss = { compute: (Y, T) => l1loss(Y, T) }

/**
 * Sums over everything but observations, divided by their number N:
 *
 * | name | loss |
 * | --- | --- |
 * | crossentropy | -1/N sum(T log Y), T one-hot |
 * | index-crossentropy | the same with class numbers from 1 |
 * | binary-crossentropy | -1/N sum(T log Y + (1 - T) log(1 - Y)) |
 * | mse, mean-squared-error, l2loss | 1/N sum((Y - T)²), without the half of the function `mse` |
 * | mae, mean-absolute-error, l1loss | 1/N sum(abs(Y - T)) |
 * | huber | 1/N sum(h(Y - T)), h(d) = d²/2 up to 1, abs(d) - 1/2 beyond |
 */
const named: Readonly<Record<LossName, NamedLoss>> = {
  crossentropy: { labels: 'onehot', compute: (Y, T) => crossentropy(Y, T) },
  'index-crossentropy': { labels: 'index', compute: (Y, T) => indexcrossentropy(Y, T) },
  'binary-crossentropy': binary,
  mse: squared,
  'mean-squared-error': squared,
  l2loss: squared,
  mae: absolute,
  'mean-absolute-error': absolute,
  l1loss: absolute,
  huber: { compute: (Y, T) => huber(Y, T) },
}

/** The loss meant by a name or function. Errors: an {@link OptionError} for anything else. Source: MATLAB, `trainnet`. */
export function trainingLoss(loss: unknown, call: string): TrainingLoss {
  if (typeof loss === 'function') {
    const compute = loss as LossFunction
    return {
      name: loss.name || 'loss',
      isNamed: false,
      labels: undefined,
      compute(outputs, targets) {
        const value = callUsers(() => compute(...outputs, ...targets))
        return checkScalar(value, call)
      },
    }
  }
  const name = typeof loss === 'string' ? (loss.toLowerCase() as LossName) : undefined
  const found = name !== undefined && Object.hasOwn(named, name) ? named[name] : undefined
  if (!name || !found)
    throw new OptionError({
      call,
      expects: `a loss among ${Object.keys(named)
        .map((one) => `'${one}'`)
        .join(', ')}, or a function of outputs and targets`,
      got: typeof loss === 'string' ? `'${loss}'` : loss === null ? 'null' : typeof loss,
      remedy: "Use 'crossentropy' for classes and 'mse' for numbers.",
    })
  return {
    name,
    isNamed: true,
    labels: found.labels,
    compute(outputs, targets) {
      if (outputs.length !== 1 || targets.length !== 1)
        throw new OptionError({
          call,
          expects: `one output and one target for the loss '${name}'`,
          got: `${outputs.length} outputs and ${targets.length} targets`,
          remedy:
            targets.length === 0
              ? 'Give targets: trainnet(X, T, layers, loss, options), or a datastore that holds them.'
              : 'Give a function that adds the losses of all outputs.',
        })
      checkChannels(outputs, targets, call, found.labels)
      return found.compute(outputs[0]!, targets[0]!)
    },
  }
}

function checkScalar(value: unknown, call: string): DlArray {
  if (isdlarray(value) && value.numel === 1) return value
  if (value instanceof Promise) {
    // It goes on, finds its arrays freed, and that error would come after this one.
    value.catch(() => undefined)
    throw new TrainingError({
      call,
      expects: 'a loss function that returns a scalar dlarray',
      got: 'a promise',
      remedy: 'Write the function without async and await.',
    })
  }
  throw new TrainingError({
    call,
    expects: 'a loss function that returns a scalar dlarray',
    got: isdlarray(value) ? describe(value) : typeof value,
    remedy: "Reduce it, for instance with sum(Y, 'all'), and return it.",
  })
}
