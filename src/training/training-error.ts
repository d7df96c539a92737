import { type Problem, TrainingError } from '../errors.js'
import type { DlNetwork } from '../network/dlnetwork.js'
import type { TrainingInfo } from './training-info.js'

/**
 * Training that began and cannot go on: a loss that is not a number, data or a callback that fails, a disk that is full. What
 * was reached is not lost: `net` is the network after the last complete iteration, `info` its history.
 */
export class TrainingInterruptedError extends TrainingError {
  readonly net: DlNetwork
  readonly info: TrainingInfo

  constructor(problem: Problem, net: DlNetwork, info: TrainingInfo, options?: ErrorOptions) {
    super(problem, options)
    this.net = net
    this.info = info
  }
}
