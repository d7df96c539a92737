import type { DlArray } from '../array/dlarray.js'
import type { Elements, Storage } from '../array/storage.js'
import { wasmBackend } from '../backends/current.js'
import type { KernelBlock } from '../backends/wasm/backend.js'
import { makeArray } from '../memory/scope.js'
import { allocate } from '../operations/operation.js'
import { integerPower } from './exact-functions.js'

// One step of parameters, in place: the gradient made ready (L2, then clipping) and the solver's rule, in one pass over
// the memory. The parameter's memory must be the caller's own. The formulas stand in kernels/training/solver.ts as well;
// here they are computed in float64.

/** What happens to a gradient before the solver sees it: `g = clip((gradient + decay * parameter) * factor, limit)`. */
export interface Preparation {
  /** L2 regularization times the parameter's factor. */
  readonly decay: number
  /** Of clipping by a norm; 1 without. */
  readonly factor: number
  /** Largest magnitude of an element; Infinity without. */
  readonly limit: number
}

/** A solver's rule with its numbers for this step of this parameter; `rate` is the learn rate times the parameter's factor. */
export type Step =
  | { readonly solver: 'sgdm'; readonly rate: number; readonly momentum: number }
  | {
      readonly solver: 'adam'
      readonly rate: number
      readonly gradientDecay: number
      readonly squaredDecay: number
      readonly epsilon: number
      /** From 1. */
      readonly iteration: number
    }
  | { readonly solver: 'rmsprop'; readonly rate: number; readonly squaredDecay: number; readonly epsilon: number }

export type SolverName = Step['solver']

/** What a solver keeps for each parameter between steps: arrays of the parameter's size that begin with zeros. */
export const solverAverages: Readonly<Record<SolverName, readonly string[]>> = {
  sgdm: ['velocity'],
  adam: ['averageGrad', 'averageSqGrad'],
  rmsprop: ['averageSqGrad'],
}

/** Elements of one work item, fixed in the kernels, and items that are worth waking a thread for. */
const BLOCK = 4096
const GRAIN = 4
const KERNELS = { gradientSquares: 0, sgdm: 1, adam: 2, rmsprop: 3 } as const

/** A new array of the same size, class and labels: zeros, or a copy. */
export function freshLike(array: DlArray, content: 'zeros' | 'copy'): DlArray {
  const storage = allocate({ size: array.size, type: array.underlyingType })
  if (content === 'zeros') storage.view().fill(0)
  else storage.view().set(array.storage.view())
  return makeArray(storage, array.size, array.dims, array.underlyingType)
}

/** One parameter's part in a step. All arrays have the same number of elements. */
export interface ParameterUpdate {
  /** Changed in place, as are the averages. */
  readonly parameter: DlArray
  readonly gradient: DlArray
  readonly averages: readonly DlArray[]
  readonly preparation: Preparation
  readonly step: Step
}

/** One step of all these parameters, with the same solver. */
export function updateParameters(updates: readonly ParameterUpdate[]): void {
  withGradientsBeside(updates, (gradients) => {
    const blocks: SolverBlock[] = []
    for (let i = 0; i < updates.length; i++) {
      const { parameter, averages, preparation, step } = updates[i]!
      const { storage } = parameter
      const ready = gradients[i]!.storage
      if (storage.backend === 'wasm') blocks.push(blockOf(storage, ready, averages, preparation, step))
      else {
        const views = averages.map((average) => average.storage.view())
        updateElements(storage.view(), ready.view(), views, preparation, step)
      }
    }
    if (blocks.length > 0) launchUpdates(updates[0]!.step.solver, blocks)
  })
}

/** What sums of squares are made of; `decay` is as in {@link Preparation}. */
type Squared = Pick<ParameterUpdate, 'parameter' | 'gradient'> & { readonly decay: number }

/** For each parameter the sum of the squares of `gradient + decay * parameter`. */
export function gradientSquares(updates: readonly Squared[]): number[] {
  const sums = new SquareSums(updates)
  const totals = sums.totals()
  sums.release()
  return totals
}

/** The same in two steps: what launches, and what reads the results. The memory between them is held until `release`. */
export class SquareSums {
  /** The totals of parameters that are not in the heap. */
  readonly #others: number[]
  /** Of those in the heap, sums of parts, one parameter after the other. */
  readonly #sums: Storage | undefined
  /** Parts of each parameter; 0 for those that are not in the heap. */
  readonly #parts: readonly number[]

  constructor(updates: readonly Squared[]) {
    const isInHeap = updates.map(({ parameter }) => parameter.storage.backend === 'wasm')
    this.#parts = updates.map(({ parameter }, i) => (isInHeap[i] ? Math.ceil(parameter.storage.length / BLOCK) : 0))
    this.#others = new Array<number>(updates.length).fill(0)
    if (isInHeap.includes(true))
      this.#sums = wasmBackend()
        .allocate(Math.max(1, total(this.#parts)), 'float64')
        .retain()
    try {
      withGradientsBeside(updates, (gradients) => {
        if (this.#sums) this.#launch(this.#sums, updates, gradients, isInHeap)
        for (const [i, { parameter, decay }] of updates.entries()) {
          if (isInHeap[i]) continue
          const w = parameter.storage.view()
          const g = gradients[i]!.storage.view()
          for (let k = 0; k < w.length; k++) this.#others[i]! += (g[k]! + decay * w[k]!) ** 2
        }
      })
    } catch (error) {
      this.release()
      throw error
    }
  }

  #launch(
    sums: Storage,
    updates: readonly Squared[],
    gradients: readonly DlArray[],
    isInHeap: readonly boolean[],
  ): void {
    const wasm = wasmBackend()
    let at = wasm.pointer(sums)
    const blocks: KernelBlock<'gradientSquares'>[] = []
    for (const [i, { parameter, decay }] of updates.entries()) {
      if (!isInHeap[i]) continue
      blocks.push({
        parameter: wasm.pointer(parameter.storage),
        gradient: wasm.pointer(gradients[i]!.storage),
        count: parameter.storage.length,
        sums: at,
        decay,
      })
      at += 8 * this.#parts[i]!
    }
    launchUpdates('gradientSquares', blocks)
  }

  /** For each parameter; parts are added up in their order. */
  totals(): number[] {
    const view = this.#sums?.view()
    let next = 0
    return this.#parts.map((parts, i) => {
      let sum = this.#others[i]!
      for (let part = 0; part < parts; part++) sum += view![next++]!
      return sum
    })
  }

  retain(): this {
    this.#sums?.retain()
    return this
  }

  release(): void {
    this.#sums?.release()
  }
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0)
}

/** Gradients of another class or from another backend are brought to where their parameters live. */
function withGradientsBeside(
  updates: readonly { readonly parameter: DlArray; readonly gradient: DlArray }[],
  use: (gradients: readonly DlArray[]) => void,
): void {
  const copies: DlArray[] = []
  try {
    const gradients = updates.map(({ parameter, gradient }) => {
      const { storage } = parameter
      const { backend, elementType } = gradient.storage
      if (backend === storage.backend && elementType === storage.elementType) return gradient
      const copy = freshLike(parameter, 'zeros')
      copies.push(copy)
      copy.storage.view().set(gradient.storage.view())
      return copy
    })
    use(gradients)
  } finally {
    for (const copy of copies) copy.dispose()
  }
}

type SolverBlock = { [K in SolverName]: KernelBlock<K> }[SolverName]

/** Runs one kernel for all blocks, which are its own. */
function launchUpdates(
  name: keyof typeof KERNELS,
  blocks: readonly (SolverBlock | KernelBlock<'gradientSquares'>)[],
): void {
  const wasm = wasmBackend()
  const items = total(blocks.map(({ count }) => Math.ceil(count / BLOCK)))
  wasm.withBlocks(name, blocks as readonly KernelBlock<typeof name>[], (address, bytes) => {
    const all = { blocks: address, bytes, parameters: blocks.length, kernel: KERNELS[name] }
    wasm.launch('updateParameters', all, { items, grain: GRAIN })
  })
}

function blockOf(
  parameterStorage: Storage,
  gradientStorage: Storage,
  averages: readonly DlArray[],
  { decay, factor, limit }: Preparation,
  step: Step,
): SolverBlock {
  const wasm = wasmBackend()
  const parameter = wasm.pointer(parameterStorage)
  const gradient = wasm.pointer(gradientStorage)
  const first = wasm.pointer(averages[0]!.storage)
  const count = parameterStorage.length
  const { rate } = step
  switch (step.solver) {
    case 'sgdm':
      return { parameter, gradient, count, velocity: first, decay, factor, limit, rate, momentum: step.momentum }
    case 'adam': {
      const { gradientDecay, squaredDecay, epsilon, iteration } = step
      return {
        parameter,
        gradient,
        count,
        average: first,
        squares: wasm.pointer(averages[1]!.storage),
        decay,
        factor,
        limit,
        rate,
        gradientDecay,
        gradientGain: 1 - gradientDecay,
        squaredDecay,
        squaredGain: 1 - squaredDecay,
        gradientCorrection: 1 / (1 - integerPower(gradientDecay, iteration)),
        squaredCorrection: 1 / (1 - integerPower(squaredDecay, iteration)),
        epsilon,
      }
    }
    case 'rmsprop': {
      const { squaredDecay, epsilon } = step
      const squaredGain = 1 - squaredDecay
      return {
        parameter,
        gradient,
        count,
        squares: first,
        decay,
        factor,
        limit,
        rate,
        squaredDecay,
        squaredGain,
        epsilon,
      }
    }
  }
}

function updateElements(
  w: Elements,
  gradient: Elements,
  averages: readonly Elements[],
  { decay, factor, limit }: Preparation,
  step: Step,
): void {
  const { rate } = step
  const [first, second] = averages as [Elements, Elements]
  const ready = (i: number) => {
    const g = (gradient[i]! + decay * w[i]!) * factor
    return Math.min(Math.max(g, -limit), limit)
  }
  switch (step.solver) {
    case 'sgdm':
      for (let i = 0; i < w.length; i++) {
        const v = step.momentum * first[i]! - rate * ready(i)
        first[i] = v
        w[i]! += v
      }
      break
    case 'adam': {
      const { gradientDecay: b1, squaredDecay: b2, epsilon, iteration } = step
      const correction1 = 1 - integerPower(b1, iteration)
      const correction2 = 1 - integerPower(b2, iteration)
      for (let i = 0; i < w.length; i++) {
        const g = ready(i)
        const m = b1 * first[i]! + (1 - b1) * g
        const v = b2 * second[i]! + (1 - b2) * g * g
        first[i] = m
        second[i] = v
        w[i]! -= (rate * (m / correction1)) / (Math.sqrt(v / correction2) + epsilon)
      }
      break
    }
    case 'rmsprop': {
      const { squaredDecay: b2, epsilon } = step
      for (let i = 0; i < w.length; i++) {
        const g = ready(i)
        const v = b2 * first[i]! + (1 - b2) * g * g
        first[i] = v
        w[i]! -= (rate * g) / (Math.sqrt(v) + epsilon)
      }
      break
    }
  }
}
