import type { DlArray } from '../array/dlarray.js'
import {
  type AsyncBatchSource,
  type BatchSourceState,
  gatheredBatch,
  isGathered,
  type MiniBatch,
} from '../data/minibatch.js'
import { freshLike } from './solver-update.js'

/** A mini-batch, and where its source stood when it had given it. */
export interface BatchRead {
  readonly batch: MiniBatch
  readonly state: BatchSourceState
}

/**
 * A pass over a source that waits for its data: the next mini-batch is asked for before one is handed out, so that files are
 * read and pictures decoded while a step computes. One mini-batch ahead, no more. Since a batch is used up when the next one is
 * asked for, what is handed out of a user's stream is a copy, to be freed after use.
 *
 * An error of the source comes after the mini-batches before it. A pass that is left early ends the source's iteration: at once,
 * or, without anybody waiting for it, once what has begun to be read is there.
 */
export function readingAhead(source: AsyncBatchSource): AsyncIterator<BatchRead> {
  const iterator = source[Symbol.asyncIterator]()
  let isLeft = false
  let isReading = false
  const ask = () => {
    const next = iterator.next()
    isReading = true
    const settled = () => {
      isReading = false
    }
    // An error is told when the batch is needed, or never.
    next.then(settled, settled)
    return next
  }
  let next: ReturnType<typeof ask> | undefined
  return {
    async next() {
      next ??= ask()
      const { value, done } = await next
      if (done || isLeft) return { done: true, value: undefined }
      const state = source.state()
      const batch = isGathered(value) ? value : copied(value)
      next = ask()
      return { value: { batch, state } }
    },
    async return() {
      isLeft = true
      const ended = iterator.return?.()
      // A stream may take long, or for ever, to give what nobody needs any more.
      if (isReading) ended?.catch(() => undefined)
      else await ended
      return { done: true, value: undefined }
    },
  }
}

function copied({ inputs, targets, observations }: MiniBatch): MiniBatch {
  const copy = (array: DlArray) => freshLike(array, 'copy')
  return gatheredBatch({ inputs: inputs.map(copy), targets: targets.map(copy), observations })
}
