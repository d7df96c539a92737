import type { DlArray, UnderlyingType } from '../../array/dlarray.js'
import type { Combined } from '../../array/format.js'
import type { WasmBackend } from '../../backends/wasm/backend.js'
import { eachPair, expansion, type LoopNest, loopNest } from '../arrays/expansion.js'
import type { Numbers, Operand } from '../call.js'
import { type GradientRule, operation, resultType, type Sample } from '../operation.js'

interface BinaryPlan {
  readonly nest: LoopNest
}

type BinaryRule = GradientRule<'A' | 'B', never, 'Y', object, BinaryPlan, 'A' | 'B' | 'Y'>

/** An element-wise function of two arrays with implicit expansion: the value, the kernel's name for it, two derivatives. */
export interface BinaryDefinition {
  readonly name: string
  readonly value: (a: number, b: number) => number
  readonly kernel: BinaryFunction
  readonly type?: UnderlyingType
  readonly saves: readonly ('A' | 'B' | 'Y')[]
  readonly gradient: { readonly A: BinaryRule | null; readonly B: BinaryRule | null }
  readonly lazyExpansion?: boolean
  readonly isProduct?: (plan: BinaryPlan) => boolean
  /** Values that samples take, standard normal unless given. */
  readonly domain?: { readonly A?: (index: number) => number; readonly B?: (index: number) => number }
}

/** Turns an element-wise function into an operation. Gradients come back expanded; the backward loop sums them. */
export function binaryOperation({
  name,
  value,
  kernel,
  type,
  saves,
  gradient,
  lazyExpansion,
  isProduct,
  domain,
}: BinaryDefinition) {
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
    lazyExpansion,
    isProduct,
    kernels: {
      reference({ inputs: { A, B }, outputs: { Y }, plan }) {
        eachPair(plan.nest, (to, a, b) => {
          Y[to] = value(A[a]!, B[b]!)
        })
      },
      wasm({ inputs, outputs, plan, wasm }) {
        launchBinary(wasm, kernel, inputs.A, inputs.B, outputs.Y, plan.nest)
      },
    },
    samples: () =>
      expansionSamples.map(({ inputs: { A, B } }) => ({
        inputs: { A: { ...A!, values: domain?.A }, B: { ...B!, values: domain?.B } },
      })),
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

/** How users call an element-wise function of two arrays or of an array and numbers: the compiler follows the formats. */
export interface ElementwiseOfTwo {
  <A extends string, B extends string>(A: DlArray<A>, B: DlArray<B>): DlArray<Combined<A, B>>
  <A extends string>(A: DlArray<A>, B: Numbers): DlArray<A>
  <B extends string>(A: Numbers, B: DlArray<B>): DlArray<B>
  (A: Operand, B: Operand): DlArray
}

/** Functions of two numbers, in the order of the kernel's codes. */
const functions = [
  'plus',
  'minus',
  'times',
  'rdivide',
  'power',
  'max',
  'min',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
] as const
export type BinaryFunction = (typeof functions)[number]

/** Loops that the kernel runs; further ones are run here, a launch each. */
const KERNEL_LOOPS = 6
/** Elements that a thread takes at once. */
const GRAIN = 16384

/** y = f(a, b) over a loop nest, float32 in the heap. */
export function launchBinary(
  wasm: WasmBackend,
  kernel: BinaryFunction,
  a: number,
  b: number,
  y: number,
  { extents, steps }: LoopNest,
): void {
  const [stepsA, stepsB] = steps as [readonly number[], readonly number[]]
  if (extents.length > KERNEL_LOOPS) {
    const last = extents.length - 1
    const inner = { extents: extents.slice(0, last), steps: [stepsA.slice(0, last), stepsB.slice(0, last)] }
    const size = inner.extents.reduce((product, extent) => product * extent, 4)
    for (let i = 0; i < extents[last]!; i++)
      launchBinary(wasm, kernel, a + 4 * i * stepsA[last]!, b + 4 * i * stepsB[last]!, y + i * size, inner)
    return
  }
  const extent = (d: number) => extents[d] ?? 1
  const stepA = (d: number) => stepsA[d] ?? 0
  const stepB = (d: number) => stepsB[d] ?? 0
  const items = extents.reduce((product, n) => product * n, 1)
  wasm.launch(
    'binary',
    {
      a,
      b,
      y,
      code: functions.indexOf(kernel),
      size0: extent(0),
      size1: extent(1),
      size2: extent(2),
      size3: extent(3),
      size4: extent(4),
      size5: extent(5),
      aStride0: stepA(0),
      aStride1: stepA(1),
      aStride2: stepA(2),
      aStride3: stepA(3),
      aStride4: stepA(4),
      aStride5: stepA(5),
      bStride0: stepB(0),
      bStride1: stepB(1),
      bStride2: stepB(2),
      bStride3: stepB(3),
      bStride4: stepB(4),
      bStride5: stepB(5),
    },
    { items, grain: GRAIN },
  )
}
