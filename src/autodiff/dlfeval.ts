import type { DlArray } from '../array/dlarray.js'
import { evaluating } from '../array/storage.js'
import { OptionError } from '../errors.js'
import { arraysIn, makeArray, type NoPromise, scoped } from '../memory/scope.js'
import { relabelOperation } from '../operations/arrays/relabel.js'
import { replaceArrays } from './containers.js'
import { dropEndedTrace, liveTrace, type Tape, withRecording } from './record.js'

/** Objects that hold arrays to be traced give a copy of themselves over the traced arrays: a network does. */
export const tracedCopy = Symbol('dlnet.tracedCopy')

/**
 * Evaluates `fn(...inputs)` with tracing on, so that `dlgradient` inside it can differentiate with respect to the inputs:
 * arrays, lists, records and maps of arrays, and networks. What `fn` returns is no longer traced; everything else it made
 * is freed. Inside another `dlfeval` the trace is shared: what the inner call returns stays traced for the outer one.
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
  const recorded = () =>
    withRecording((tape) => {
      const traced = inputs.map((input) => trace(input, tape)) as readonly unknown[] as A
      return fn(...traced)
    })
  const result = evaluating(() => scoped<T>(recorded, 'dlfeval'))
  for (const array of arraysIn(result)) dropEndedTrace(array)
  return result
}

function trace(value: unknown, tape: Tape): unknown {
  const leaf = (array: DlArray) => {
    const { storage, size, dims, underlyingType } = array
    // An array traced by a dlfeval around this one keeps its past, so that the outer call can differentiate through it.
    if (liveTrace(array)) return relabelOperation.run({ X: array }, { size, dims })
    const copy = makeArray(storage, size, dims, underlyingType)
    copy.trace = tape.input(copy)
    return copy
  }
  if (typeof value === 'object' && value !== null && tracedCopy in value && typeof value[tracedCopy] === 'function')
    return value[tracedCopy](leaf)
  return replaceArrays(value, leaf)
}
