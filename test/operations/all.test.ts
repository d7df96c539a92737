import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DlArray, UnderlyingType } from '../../src/array/dlarray.js'
import { numel } from '../../src/array/format.js'
import { dlfeval } from '../../src/autodiff/dlfeval.js'
import { dlgradient } from '../../src/autodiff/dlgradient.js'
import { setBackend, setThreads, startedBackends, wasmBackend } from '../../src/backends/current.js'
import { scope } from '../../src/memory/scope.js'
import { dlarray } from '../../src/operations/arrays/dlarray.js'
import { stripdims } from '../../src/operations/arrays/relabel.js'
import { plus, times } from '../../src/operations/elementwise/arithmetic.js'
import type { Sample } from '../../src/operations/operation.js'
import { sum } from '../../src/operations/reductions/sum.js'
import { expectClose, SINGLE } from '../support/close.js'
import { type AnyOperation, allOperations } from '../support/operations.js'
import { normals } from '../support/random.js'

// Every operation with every sample: value on each backend against the float64 reference, gradient against central
// differences, gradient of each backend against the reference, gradient of the gradient, one thread against two bit for bit,
// and no array left over. An operation is tested by having samples.

type Named = Record<string, DlArray>

// Kernels of a gradient that have no samples are reached through the operation whose gradient they are.
const operations = (await allOperations()).filter((operation) => operation.samples().length > 0)

/** Step of central differences: the error of the fourth-order formula is about step^4, of rounding 1e-16 / step. */
const STEP = 5e-4
/** Central differences of smooth functions of order 1 with that step. */
const DIFFERENCES = 1e-7
/** Single gradients go through several operations. */
const SINGLE_GRADIENT = 20 * SINGLE

function inputsOf(operation: AnyOperation, sample: Sample<string, object>, type: UnderlyingType, seed = 1): Named {
  const named: Named = {}
  operation.inputNames.forEach((name, position) => {
    const input = sample.inputs[name]
    if (!input) return
    const draw = normals(seed * 100 + position)
    // Rounded to single, so that both classes compute with the same numbers.
    const values = Float64Array.from({ length: numel(input.size) }, (_, i) =>
      Math.fround(input.values ? input.values(i) : draw()),
    )
    named[name] =
      input.format === undefined
        ? dlarray(values, input.size, { type })
        : dlarray(values, input.size, input.format, { type })
  })
  return named
}

/** Fixed weights that turn a result into a scalar. */
function weightsFor(Y: DlArray, seed = 77): DlArray {
  const draw = normals(seed)
  const values = Float64Array.from({ length: Y.numel }, () => Math.fround(draw()))
  const W = dlarray(values, [...Y.size], { type: Y.underlyingType === 'double' ? 'double' : 'single' })
  return Y.dims === '' ? W : dlarray(W, Y.dims)
}

function loss(operation: AnyOperation, named: Named, options: object): DlArray {
  const Y = operation.run(named as never, options)
  return sum(times(Y, weightsFor(Y)), 'all')
}

function gradientsOf(operation: AnyOperation, named: Named, options: object): Named {
  const variables = operation.differentiable.filter((name) => named[name])
  return dlfeval((traced: Named) => {
    const wanted = Object.fromEntries(variables.map((name) => [name, traced[name]!]))
    return dlgradient(loss(operation, traced, options), wanted)
  }, named)
}

/** The gradient of sum(v .* gradient) with respect to every input: second derivatives along one direction. */
function secondOf(operation: AnyOperation, named: Named, options: object): Named {
  const variables = operation.differentiable.filter((name) => named[name])
  return dlfeval((traced: Named) => {
    const wanted = Object.fromEntries(variables.map((name) => [name, traced[name]!]))
    const first = dlgradient(loss(operation, traced, options), wanted, { enableHigherDerivatives: true })
    const parts = Object.values(first).map((gradient, i) => sum(times(gradient, weightsFor(gradient, 5 + i)), 'all'))
    return dlgradient(
      parts.map(scalarOf).reduce((a, b) => plus(a, b)),
      wanted,
    )
  }, named)
}

function scalarOf(X: DlArray): DlArray {
  return stripdims(X)
}

/** The derivative of `value` by each element of one input, by the five-point formula. */
function differences(named: Named, input: string, value: (named: Named) => number): Float64Array {
  const X = named[input]!
  const base = X.values()
  return Float64Array.from(base, (_, i) =>
    scope(() => {
      const at = (h: number) => {
        const moved = Float64Array.from(base)
        moved[i]! += h
        const Y = dlarray(moved, [...X.size], { type: 'double' })
        return value({ ...named, [input]: X.dims === '' ? Y : dlarray(Y, X.dims) })
      }
      return (at(-2 * STEP) - 8 * at(-STEP) + 8 * at(STEP) - at(2 * STEP)) / (12 * STEP)
    }),
  )
}

function storages(): number {
  return startedBackends().reduce((total, backend) => total + backend.memory().storages, 0)
}

const LARGEST_FOR_SECOND = 48

beforeAll(async () => {
  setThreads(2)
  await wasmBackend().ready()
})

afterAll(() => setBackend('wasm'))

describe.each(operations.map((operation) => [operation.name, operation] as const))('%s', (_, operation) => {
  const samples = operation.samples().map((sample) => [describeSample(sample), sample] as const)
  describe.each(samples)('%s', (_, sample) => {
    const options = sample.options ?? {}
    const smooth = operation.differentiable.length > 0

    it('has the value of the float64 reference on every backend, with any number of threads', () => {
      const before = storages()
      scope(() => {
        const expected = operation.runAll(inputsOf(operation, sample, 'double') as never, options)
        const infos = operation.infer(inputsOf(operation, sample, 'double') as never, options)
        for (const backend of ['reference', 'wasm'] as const) {
          setBackend(backend)
          const actual = operation.runAll(inputsOf(operation, sample, 'single') as never, options)
          operation.outputNames.forEach((name, i) => {
            expect([...actual[name]!.size]).toEqual([...infos[i]!.size])
            expect(actual[name]!.dims).toBe(infos[i]!.dims)
            expectClose(actual[name]!.values(), expected[name]!.values(), SINGLE, `${backend} ${name}`)
          })
        }
        const single = inputsOf(operation, sample, 'single')
        const two = operation.run(single as never, options).values()
        setThreads(1)
        expect(operation.run(single as never, options).values()).toEqual(two)
        setThreads(2)
      })
      expect(storages()).toBe(before)
    })

    if (!smooth) return
    it('has the gradient of central differences, on every backend', () => {
      const before = storages()
      scope(() => {
        const double = inputsOf(operation, sample, 'double')
        const gradients = gradientsOf(operation, double, options)
        for (const [name, gradient] of Object.entries(gradients)) {
          expect([...gradient.size]).toEqual([...double[name]!.size])
          expect(gradient.dims).toBe(double[name]!.dims)
          const numeric = differences(double, name, (moved) => loss(operation, moved, options).item())
          expectClose(gradient.values(), numeric, DIFFERENCES, `gradient of ${name}`, 1)
        }
        for (const backend of ['reference', 'wasm'] as const) {
          setBackend(backend)
          const actual = gradientsOf(operation, inputsOf(operation, sample, 'single'), options)
          for (const [name, gradient] of Object.entries(gradients))
            expectClose(actual[name]!.values(), gradient.values(), SINGLE_GRADIENT, `${backend} gradient of ${name}`, 1)
        }
        const single = inputsOf(operation, sample, 'single')
        const two = gradientsOf(operation, single, options)
        setThreads(1)
        const one = gradientsOf(operation, single, options)
        setThreads(2)
        for (const name of Object.keys(gradients)) expect(one[name]!.values()).toEqual(two[name]!.values())
      })
      expect(storages()).toBe(before)
    })

    const elements = operation.inputNames.reduce((total, name) => total + numel(sample.inputs[name]?.size ?? [0]), 0)
    if (elements > LARGEST_FOR_SECOND) return
    it('has the second derivative of central differences', () => {
      scope(() => {
        const double = inputsOf(operation, sample, 'double')
        const second = secondOf(operation, double, options)
        for (const [name, actual] of Object.entries(second)) {
          const numeric = differences(double, name, (moved) => {
            const first = gradientsOf(operation, moved, options)
            return Object.values(first).reduce(
              (total, gradient, i) => total + sum(times(gradient, weightsFor(gradient, 5 + i)), 'all').item(),
              0,
            )
          })
          expectClose(actual.values(), numeric, 10 * DIFFERENCES, `second derivative by ${name}`, 1)
        }
      })
    })
  })
})

function describeSample(sample: Sample<string, object>): string {
  const inputs = Object.entries(sample.inputs).map(([name, input]) =>
    `${name} ${input?.size.join('×')} ${input?.format ?? ''}`.trim(),
  )
  return `${inputs.join(', ')} ${JSON.stringify(sample.options ?? {}, (_, value) => (typeof value === 'function' ? 'function' : value))}`
}
