import { numel } from '../array/format.js'
import { type GradientRule, operation, type Sample } from './operation.js'

type UnaryRule = GradientRule<'X', never, 'Y', object, { readonly count: number }, 'X' | 'Y'>

/** An element-wise function of one array: its value, what its gradient reads, its gradient. Any format, kept. */
export interface UnaryDefinition {
  readonly name: string
  readonly value: (x: number) => number
  readonly saves: readonly ('X' | 'Y')[]
  readonly gradient: UnaryRule | null
  /** Values that the function takes, for samples: standard normal unless given. */
  readonly domain?: (index: number) => number
}

/** Turns an element-wise function into an operation. */
export function unaryOperation({ name, value, saves, gradient, domain }: UnaryDefinition) {
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
      wasm() {
        throw new Error(`${name}: kernel`)
      },
    },
    samples: (): Sample<'X', object>[] => [
      { inputs: { X: { size: [3, 5, 2], format: 'SCB', values: domain } } },
      { inputs: { X: { size: [1, 1], values: domain } } },
      { inputs: { X: { size: [0, 3], values: domain } } },
    ],
  })
}
