// For programs compiled without the library that has Symbol.dispose.
/// <reference lib="esnext.disposable" preserve="true" />

import { checkArray, DlArray, type Hold, type UnderlyingType } from '../array/dlarray.js'
import type { Storage } from '../array/storage.js'
import { argumentError, MemoryError } from '../errors.js'

// Scopes free. Every array made while a scope is open belongs to the innermost one and is freed when it ends, unless the
// scope's function returns it. Arrays made outside any scope belong to whoever holds them: if the collector finds one
// unreachable its memory goes back too, but the collector runs when it likes, never inside a loop, and cannot see the heap
// fill: a loop wants a scope.

/** What the innermost open scope will free; undefined outside of scopes. */
let innermost: Set<DlArray> | undefined

const orphans = new FinalizationRegistry<Hold>((hold) => hold.release())

/** Makes the array for a storage and gives it to the innermost scope. */
export function makeArray<F extends string>(
  storage: Storage,
  size: readonly number[],
  dims: F,
  type: UnderlyingType,
): DlArray<F> {
  const array = new DlArray<F>(storage, size, dims, type)
  own(array)
  return array
}

/** Gives an array to the innermost scope. */
function own(array: DlArray): void {
  array.owner = innermost
  if (innermost) innermost.add(array)
  else orphans.register(array, array.hold)
}

/** Takes an array out of the scope it is in: it lives until it is disposed or unreachable. For parameters and solver state. */
export function keep<A extends DlArray>(array: A): A {
  checkArray(array, 'keep')
  if (array.owner) {
    array.owner.delete(array)
    array.owner = undefined
    orphans.register(array, array.hold)
  }
  return array
}

/** Frees an array before its scope ends if the innermost scope owns it; one that belongs to somebody else stays. */
export function freeEarly(array: DlArray): void {
  if (innermost && array.owner === innermost) array.dispose()
}

/** What a scope's function may return: anything but a promise. */
export type NoPromise<T> =
  T extends PromiseLike<unknown> ? 'a scope frees its arrays when the function returns: await outside of it' : T

/**
 * Runs `fn` and frees every array made in it, except those it returns (alone or inside plain objects, arrays, maps and sets).
 * Returned arrays go to the enclosing scope. The library opens scopes itself in `dlfeval`, `predict`, `forward` and
 * training; user arithmetic in a loop wants one.
 *
 * What a scope returns may take the place of arrays that lie outside, which it cannot free, since others may use them.
 * A loop that steps parameters (not a network, which frees its own) frees the old ones by hand:
 *
 *     const before = p
 *     ;[p, v] = scope(() => sgdmupdate(p, dlfeval(gradients, p), v))
 *     before.dispose()
 *
 * Throws a {@link MemoryError} when `fn` returns a promise: its arrays would be freed while it runs.
 */
export function scope<T>(fn: () => T & NoPromise<T>): T {
  return scoped(fn)
}

/** {@link scope} for callers whose own types have excluded promises; `call` is theirs, for messages. */
export function scoped<T>(fn: () => T, call = 'scope'): T {
  const made = new Set<DlArray>()
  const escaping: DlArray[] = []
  const result = within(made, call, fn, escaping)
  for (const array of escaping) if (made.delete(array)) own(array)
  free(made)
  return result
}

function free(arrays: ReadonlySet<DlArray>): void {
  for (const array of arrays) {
    // The set goes as a whole.
    array.owner = undefined
    array.dispose()
  }
}

/**
 * Runs `fn` with arrays going to `made`, and adds those in its result to `returned`; when it throws or returns a promise, all
 * are freed.
 */
function within<T>(made: Set<DlArray>, call: string, fn: () => T, returned?: DlArray[]): T {
  if (typeof fn !== 'function')
    throw argumentError(call, 'a function', fn, `Write ${call}(() => ...) around what makes the arrays.`)
  const before = innermost
  innermost = made
  try {
    const result = fn()
    if (isPromise(result)) {
      // The work goes on and will find its arrays freed: that error is told here, once.
      result.then(undefined, () => undefined)
      throw new MemoryError({
        call,
        expects: 'a function that returns when its work is done',
        got: 'a function that returned a promise',
        remedy:
          'Arrays would be freed while it runs: compute inside, return the result, and await outside; or use openScope().',
      })
    }
    if (returned) collectArrays(result, returned)
    return result
  } catch (error) {
    free(made)
    throw error
  } finally {
    innermost = before
  }
}

/** A scope that lasts until it is closed, for work with `await` in it. Made by {@link openScope}. */
export class OpenScope {
  readonly #arrays = new Set<DlArray>()
  #isClosed = false

  /**
   * Runs `fn`; every array made in it lives until this scope is closed. Nothing stays open between two calls, so other work
   * may run while one awaits. Errors: a {@link MemoryError} when `fn` returns a promise, or after `close`.
   */
  run<T>(fn: () => T & NoPromise<T>): T {
    if (this.#isClosed)
      throw new MemoryError({
        call: 'run',
        expects: 'a scope that is open',
        got: 'one that was closed',
        remedy: 'Open another with openScope().',
      })
    const made = new Set<DlArray>()
    const result = within<T>(made, 'run', fn)
    for (const array of made) {
      array.owner = this.#arrays
      this.#arrays.add(array)
    }
    return result
  }

  /** Frees every array made in `run`, except those that were kept. A second time does nothing. */
  close(): void {
    this.#isClosed = true
    for (const array of this.#arrays) array.dispose()
  }

  declare [Symbol.dispose]: () => void
  static {
    // Not every browser knows the symbol yet; where it is missing nobody can write `using`.
    if (Symbol.dispose)
      OpenScope.prototype[Symbol.dispose] = function dispose(this: OpenScope) {
        this.close()
      }
  }
}

/** Opens a scope for work with `await` in it: `using work = openScope()`, then `work.run(() => ...)` between the awaits. */
export function openScope(): OpenScope {
  return new OpenScope()
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Objects that hold arrays somewhere a walk over plain values would not look tell them here. */
export const heldArrays = Symbol('dlnet.heldArrays')

/** Every array reachable through plain objects, arrays, maps, sets and objects with {@link heldArrays}; some perhaps twice. */
export function arraysIn(value: unknown): DlArray[] {
  const found: DlArray[] = []
  collectArrays(value, found)
  return found
}

function collectArrays(value: unknown, found: DlArray[]): void {
  if (value instanceof DlArray) found.push(value)
  else if (Array.isArray(value) && value.every(isArray)) for (const array of value) found.push(array)
  else walk(value, found, new Set())
}

const isArray = (item: unknown): item is DlArray => item instanceof DlArray

function walk(value: unknown, found: DlArray[], seen: Set<object>): void {
  if (value instanceof DlArray) {
    found.push(value)
    return
  }
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  if (heldArrays in value && typeof value[heldArrays] === 'function') {
    for (const array of value[heldArrays]() as Iterable<DlArray>) found.push(array)
  } else if (Array.isArray(value) || value instanceof Set) {
    for (const item of value) walk(item, found, seen)
  } else if (value instanceof Map) {
    for (const item of value.values()) walk(item, found, seen)
  } else if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
    for (const item of Object.values(value)) walk(item, found, seen)
  }
}
