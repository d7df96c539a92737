import { kernelBlocks } from './kernels.generated.js'
import type { Kernel, KernelInstance } from './module.js'

/** How a parameter lies in a kernel's block: every one takes 4 bytes. */
type ParameterKind = 'address' | 'integer' | 'float'

/** What a launch needs to know of a kernel. */
export interface KernelPlan {
  readonly name: string
  /** Its number among the kernels in the order of their names. */
  readonly index: number
  readonly kernel: Kernel
  /** The parameters in their order, and of what kind each is. */
  readonly fields: readonly string[]
  readonly kinds: readonly ParameterKind[]
}

const MARKS: Readonly<Record<string, ParameterKind>> = { '*': 'address', '.': 'float' }

/** All kernels of an instance, in the order of their numbers. */
export function kernelPlans(instance: KernelInstance): KernelPlan[] {
  return Object.entries(kernelBlocks).map(([name, block], index) => {
    const marked = block.split(' ')
    const kinds = marked.map((field) => MARKS[field.at(-1)!] ?? 'integer')
    return {
      name,
      index,
      kernel: instance.kernel(name),
      fields: marked.map((field) => field.replace(/\W$/, '')),
      kinds,
    }
  })
}

/** Writes the parameters of a kernel; both views begin where its block does. */
export function writeBlock(
  { fields, kinds }: KernelPlan,
  block: Readonly<Record<string, number>>,
  asIntegers: Int32Array,
  asFloats: Float32Array,
): void {
  for (let i = 0; i < fields.length; i++) {
    const value = block[fields[i]!]!
    if (kinds[i] === 'float') asFloats[i] = value
    else asIntegers[i] = value
  }
}
