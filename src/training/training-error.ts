import { DlnetError, type Problem, TrainingError } from '../errors.js'
import type { DlNetwork } from '../network/dlnetwork.js'
import type { TrainingInfo } from './training-info.js'

/**
 * Training that began and cannot go on: a loss that is not a number, data or a callback that fails, a disk that is full. What
 * was reached is not lost: `net` is the network after the last complete iteration, `info` its history.
 */
export class TrainingInterruptedError extends TrainingError {
  override readonly name: string = 'TrainingInterruptedError'
  readonly net: DlNetwork
  readonly info: TrainingInfo

  constructor(problem: Problem, net: DlNetwork, info: TrainingInfo, options?: ErrorOptions) {
    super(problem, options)
    this.net = net
    this.info = info
  }
}

/** The call in errors about validation data. */
export const validating = 'trainnet (validationData)'

/**
 * An error that came while validating, told as one about validation data. A loss or metric function that gives no number is not
 * the fault of data: such an error stays as it is.
 */
export function aboutValidation(error: unknown): unknown {
  if (!(error instanceof DlnetError) || error instanceof TrainingError) return error
  const { call, ...problem } = error.problem
  const Same = error.constructor as typeof DlnetError
  return new Same({ ...problem, call: call === 'trainnet' ? validating : `${validating}: ${call}` }, { cause: error })
}

/** The call of an error as training tells it, `trainnet` before it once. */
export function callWithin({ problem: { call } }: DlnetError): string {
  return call.startsWith('trainnet') ? call : `trainnet: ${call}`
}
