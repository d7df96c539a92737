import { checkArray, type DlArray, type UnderlyingType } from '../../array/dlarray.js'
import { numel } from '../../array/format.js'
import { asText, OptionError } from '../../errors.js'
import { ne } from '../elementwise/comparison.js'
import { operation, type Sample } from '../operation.js'
import { launchCopy } from './movement.js'
import { relabelOperation } from './relabel.js'

interface CastOptions {
  readonly type: 'single' | 'double'
}

/** The same numbers as another floating-point class, rounded where that is single. */
export const castOperation = operation({
  name: 'cast',
  inputs: ['X'],
  outputs: ['Y'],
  options: { type: 'double' } as CastOptions,
  rule({ X }, { type }) {
    const count = numel(X.size)
    return {
      outputs: [{ size: X.size, dims: X.dims, type }],
      plan: { size: [count], xSteps: [1], ySteps: [1] },
    }
  },
  saves: [],
  // The backward loop gives the gradient the class of X.
  gradient: { X: ({ gradient }): DlArray => gradient },
  kernels: {
    reference({ inputs: { X }, outputs: { Y } }) {
      Y.set(X)
    },
    wasm({ inputs, outputs, plan, wasm }) {
      launchCopy(wasm, inputs.X, outputs.Y, plan)
    },
  },
  samples: (): readonly Sample<'X', CastOptions>[] => [
    { inputs: { X: { size: [3, 4], format: 'CB' } }, options: { type: 'double' } },
    { inputs: { X: { size: [0, 4] } }, options: { type: 'double' } },
  ],
})

/**
 * The array in another class: `'single'` rounds, `'logical'` is 1 where an element is not zero. Gradients pass through a
 * cast between single and double and have the class of what they belong to; a logical array is not traced.
 *
 * Errors: an {@link OptionError} for a class that is none. Source: MATLAB, `cast`.
 */
export function cast<F extends string>(X: DlArray<F>, type: UnderlyingType): DlArray<F> {
  checkArray(X, 'cast')
  if (type !== 'single' && type !== 'double' && type !== 'logical')
    throw new OptionError({
      call: 'cast',
      expects: "'single', 'double' or 'logical'",
      got: asText(type),
      remedy: 'Integer classes hold data outside of arrays: give them to dlarray.',
    })
  if (type === X.underlyingType) return relabelOperation.run({ X }, { size: X.size, dims: X.dims }) as DlArray<F>
  return (type === 'logical' ? ne(X, 0) : castOperation.run({ X }, { type })) as DlArray<F>
}
