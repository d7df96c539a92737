import { numel } from '../../array/format.js'
import type { WasmBackend } from '../../backends/wasm/backend.js'
import { type GradientRule, operation, type Sample } from '../operation.js'

type UnaryRule = GradientRule<'X', never, 'Y', object, { readonly count: number }, 'X' | 'Y'>

/** An element-wise function of one array: its value, what its gradient reads, its gradient. Any format, kept. */
export interface UnaryDefinition {
  readonly name: string
  readonly value: (x: number) => number
  readonly kernel: UnaryFunction
  readonly saves: readonly ('X' | 'Y')[]
  readonly gradient: UnaryRule | null
  /** Values that the function takes, for samples: standard normal unless given. */
  readonly domain?: (index: number) => number
}

/** Turns an element-wise function into an operation. */
export function unaryOperation({ name, value, kernel, saves, gradient, domain }: UnaryDefinition) {
  return operation({
    name,
    inputs: ['X'],
    outputs: ['Y'],
    options: {},
    rule: ({ X }) => ({
      outputs: [{ ...X, type: X.type === 'logical' ? 'single' : X.type }],
      plan: { count: numel(X.size) },
    }),
    saves,
    gradient: { X: gradient },
    kernels: {
      reference({ inputs: { X }, outputs: { Y } }) {
        for (let i = 0; i < X.length; i++) Y[i] = value(X[i]!)
      },
      wasm({ inputs, outputs, plan, wasm }) {
        launchUnary(wasm, kernel, inputs.X, outputs.Y, plan.count)
      },
    },
    samples: (): Sample<'X', object>[] => [
      { inputs: { X: { size: [3, 5, 2], format: 'SCB', values: domain } } },
      { inputs: { X: { size: [1, 1], values: domain } } },
      { inputs: { X: { size: [0, 3], values: domain } } },
    ],
  })
}

/** Functions of one number, in the order of the kernel's codes. */
const functions = [
  'abs',
  'sign',
  'floor',
  'ceil',
  'round',
  'fix',
  'sqrt',
  'exp',
  'expm1',
  'log',
  'log1p',
  'sin',
  'cos',
  'tan',
  'tanh',
  'sigmoid',
  'relu',
  'leakyRelu',
  'elu',
  'gelu',
  'swish',
  'softplus',
  'clip',
  'multiplyScalar',
  'normalDistribution',
  'normalDensity',
] as const
export type UnaryFunction = (typeof functions)[number]

/** Functions whose gradient has a kernel of its own, in the order of the kernel's codes. */
const gradientFunctions = [
  'relu',
  'leakyRelu',
  'tanh',
  'sigmoid',
  'elu',
  'gelu',
  'swish',
  'softplus',
  'clip',
  'abs',
] as const
export type GradientFunction = (typeof gradientFunctions)[number]

/** Elements that a thread takes at once. */
const GRAIN = 16384

/** y = f(x), float32 in the heap; `first` and `second` are the function's own numbers. */
export function launchUnary(
  wasm: WasmBackend,
  kernel: UnaryFunction,
  x: number,
  y: number,
  count: number,
  first = 0,
  second = 0,
): void {
  wasm.launch('unary', { x, y, code: functions.indexOf(kernel), first, second }, { items: count, grain: GRAIN })
}

/** dx = dy f'(saved), float32 in the heap; what is saved is x or y, as the kernel says. */
export function launchGradient(
  wasm: WasmBackend,
  kernel: GradientFunction,
  { dy, saved, dx }: { readonly dy: number; readonly saved: number; readonly dx: number },
  count: number,
  first = 0,
  second = 0,
): void {
  const code = gradientFunctions.indexOf(kernel)
  wasm.launch('elementwiseGradient', { dy, saved, dx, code, first, second }, { items: count, grain: GRAIN })
}
