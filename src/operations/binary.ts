import type { UnderlyingType } from '../array/dlarray.js'
import { eachPair, expansion, type LoopNest, loopNest } from './expansion.js'
import { type GradientRule, operation, resultType, type Sample } from './operation.js'

interface BinaryPlan {
  readonly nest: LoopNest
}

type BinaryRule = GradientRule<'A' | 'B', never, 'Y', object, BinaryPlan, 'A' | 'B' | 'Y'>

/** An element-wise function of two arrays with implicit expansion: the value, the kernel's name for it, two derivatives. */
export interface BinaryDefinition {
  readonly name: string
  readonly value: (a: number, b: number) => number
  readonly type?: UnderlyingType
  readonly saves: readonly ('A' | 'B' | 'Y')[]
  readonly gradient: { readonly A: BinaryRule | null; readonly B: BinaryRule | null }
  readonly samples?: readonly Sample<'A' | 'B', object>[]
}

/** Turns an element-wise function into an operation. Gradients come back expanded; the backward loop sums them. */
export function binaryOperation({ name, value, type, saves, gradient, samples }: BinaryDefinition) {
  return operation({
    name,
    inputs: ['A', 'B'],
    outputs: ['Y'],
    options: {},
    rule({ A, B }) {
      const { size, dims, sizes } = expansion(A, B, name)
      return { outputs: [{ size, dims, type: type ?? resultType([A, B]) }], plan: { nest: loopNest(size, sizes) } }
    },
    saves,
    gradient,
    kernels: {
      reference({ inputs: { A, B }, outputs: { Y }, plan }) {
        eachPair(plan.nest, (to, a, b) => {
          Y[to] = value(A[a]!, B[b]!)
        })
      },
      wasm() {
        throw new Error(`${name}: kernel`)
      },
    },
    samples: () => [...expansionSamples, ...(samples ?? [])],
  })
}

const expansionSamples: readonly Sample<'A' | 'B', object>[] = [
  { inputs: { A: { size: [3, 5] }, B: { size: [3, 5] } } },
  { inputs: { A: { size: [3, 5] }, B: { size: [1, 1] } } },
  { inputs: { A: { size: [3, 1] }, B: { size: [1, 5] } } },
  { inputs: { A: { size: [4, 3, 2], format: 'SCB' }, B: { size: [3], format: 'C' } } },
  { inputs: { A: { size: [3, 4, 2], format: 'SCB' }, B: { size: [3, 5], format: 'ST' } } },
  { inputs: { A: { size: [5, 3, 4, 2], format: 'SSCB' }, B: { size: [1, 1, 4] } } },
  { inputs: { A: { size: [0, 3] }, B: { size: [1, 3] } } },
]
