import type { DlArray } from '../array/dlarray.js'
import { OptionError } from '../errors.js'
import { arraysIn, type NoPromise, scope } from '../memory/scope.js'
import { relabelOperation } from '../operations/relabel.js'
import { replaceArrays } from './dlgradient.js'
import { Tape } from './record.js'

/** Objects that hold arrays to be traced give a copy of themselves over the traced arrays: a network does. */
export const tracedCopy = Symbol('dlnet.tracedCopy')

/**
 * Evaluates `fn(...inputs)` with tracing on, so that `dlgradient` inside it can differentiate with respect to the inputs:
 * arrays, lists and records of arrays, and networks. What `fn` returns is no longer traced; everything else it made is freed.
 *
 * Errors: an {@link OptionError} when `fn` is not a function, a {@link MemoryError} when it returns a promise.
 * Source: MATLAB, `dlfeval`.
 */
export function dlfeval<A extends readonly unknown[], T>(fn: (...inputs: A) => T & NoPromise<T>, ...inputs: A): T {
  if (typeof fn !== 'function')
    throw new OptionError({
      call: 'dlfeval',
      expects: 'a function and its inputs',
      got: typeof fn,
      remedy: 'Call dlfeval((x) => ..., x).',
    })
  const tape = new Tape()
  try {
    return scope(() => {
      const traced = inputs.map((input) => trace(input, tape)) as unknown as A
      const result = fn(...traced)
      // What is returned lives on without its trace, which ends here.
      for (const array of arraysIn(result)) array.trace = undefined
      return result as never
    }) as T
  } finally {
    tape.close()
  }
}

function trace(value: unknown, tape: Tape): unknown {
  const leaf = (array: DlArray) => {
    const copy = relabelOperation.run({ X: array }, { size: array.size, dims: array.dims })
    copy.trace = tape.input(copy)
    return copy
  }
  if (typeof value === 'object' && value !== null && tracedCopy in value && typeof value[tracedCopy] === 'function')
    return value[tracedCopy](leaf)
  return replaceArrays(value, leaf)
}
