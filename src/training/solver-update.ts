import type { DlArray } from '../array/dlarray.js'
import type { Elements } from '../array/storage.js'
import { wasmBackend } from '../backends/current.js'
import type { WasmBackend } from '../backends/wasm/backend.js'
import { makeArray } from '../memory/scope.js'
import { allocate } from '../operations/operation.js'
import { integerPower } from './exact-functions.js'

// One step of one parameter, in place: the gradient made ready (L2, then clipping) and the solver's rule, in one pass over
// the memory. The parameter's memory must be the caller's own. The formulas stand in kernels/solver.ts as well; here they
// are computed in float64.

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

/** Elements that are worth waking a thread for. */
const GRAIN = 16384
/** Elements whose squares are summed together, fixed in the kernel. */
const BLOCK = 4096

/** A new array of the same size, class and labels: zeros, or a copy. */
export function freshLike(array: DlArray, content: 'zeros' | 'copy'): DlArray {
  const storage = allocate({ size: array.size, type: array.underlyingType })
  if (content === 'zeros') storage.view().fill(0)
  else storage.view().set(array.storage.view())
  return makeArray(storage, array.size, array.dims, array.underlyingType)
}

/** Changes `parameter` and `averages` in place by one step. All arrays have the same number of elements. */
export function updateParameter(
  parameter: DlArray,
  gradient: DlArray,
  averages: readonly DlArray[],
  preparation: Preparation,
  step: Step,
): void {
  withGradientBeside(parameter, gradient, (ready) => {
    if (parameter.storage.backend === 'wasm') launchUpdate(wasmBackend(), parameter, ready, averages, preparation, step)
    else {
      const views = averages.map((average) => average.storage.view())
      updateElements(parameter.storage.view(), ready.storage.view(), views, preparation, step)
    }
  })
}

/** The sum of the squares of `gradient + decay * parameter`. */
export function gradientSquares(parameter: DlArray, gradient: DlArray, decay: number): number {
  let total = 0
  withGradientBeside(parameter, gradient, (ready) => {
    const { storage } = parameter
    if (storage.backend !== 'wasm') {
      const w = storage.view()
      const g = ready.storage.view()
      for (let i = 0; i < w.length; i++) total += (g[i]! + decay * w[i]!) ** 2
      return
    }
    const wasm = wasmBackend()
    const count = storage.length
    const blocks = Math.ceil(count / BLOCK)
    const sums = wasm.allocate(Math.max(1, blocks), 'float64').retain()
    try {
      wasm.launch(
        'gradientSquares',
        {
          parameter: wasm.pointer(storage),
          gradient: wasm.pointer(ready.storage),
          sums: wasm.pointer(sums),
          count,
          decay,
        },
        { items: blocks, grain: 4 },
      )
      const view = sums.view()
      for (let block = 0; block < blocks; block++) total += view[block]!
    } finally {
      sums.release()
    }
  })
  return total
}

/** A gradient of another class or from another backend is brought to where the parameter lives. */
function withGradientBeside(parameter: DlArray, gradient: DlArray, use: (gradient: DlArray) => void): void {
  const { storage } = parameter
  if (gradient.storage.backend === storage.backend && gradient.storage.elementType === storage.elementType) {
    use(gradient)
    return
  }
  const copy = freshLike(parameter, 'zeros')
  try {
    copy.storage.view().set(gradient.storage.view())
    use(copy)
  } finally {
    copy.dispose()
  }
}

function launchUpdate(
  wasm: WasmBackend,
  parameterArray: DlArray,
  gradientArray: DlArray,
  averages: readonly DlArray[],
  { decay, factor, limit }: Preparation,
  step: Step,
): void {
  const parameter = wasm.pointer(parameterArray.storage)
  const gradient = wasm.pointer(gradientArray.storage)
  const [first, second] = averages.map((average) => wasm.pointer(average.storage)) as [number, number]
  const { rate } = step
  const all = { parameter, gradient, decay, factor, limit, rate }
  const work = { items: parameterArray.storage.length, grain: GRAIN }
  switch (step.solver) {
    case 'sgdm':
      wasm.launch('sgdm', { ...all, velocity: first, momentum: step.momentum }, work)
      break
    case 'adam': {
      const { gradientDecay, squaredDecay, epsilon, iteration } = step
      wasm.launch(
        'adam',
        {
          ...all,
          average: first,
          squares: second,
          gradientDecay,
          gradientGain: 1 - gradientDecay,
          squaredDecay,
          squaredGain: 1 - squaredDecay,
          gradientCorrection: 1 / (1 - integerPower(gradientDecay, iteration)),
          squaredCorrection: 1 / (1 - integerPower(squaredDecay, iteration)),
          epsilon,
        },
        work,
      )
      break
    }
    case 'rmsprop': {
      const { squaredDecay, epsilon } = step
      wasm.launch('rmsprop', { ...all, squares: first, squaredDecay, squaredGain: 1 - squaredDecay, epsilon }, work)
      break
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
