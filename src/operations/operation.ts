import { type ArrayInfo, checkArray, type DlArray, isdlarray, type UnderlyingType } from '../array/dlarray.js'
import { numel } from '../array/format.js'
import { type BackendName, type Elements, mayPutOff, type Storage } from '../array/storage.js'
import { type NodeRule, save, type Tape, tapeOf } from '../autodiff/record.js'
import { backendNamed, chosenBackend, wasmBackend } from '../backends/current.js'
import type { WasmBackend } from '../backends/wasm/backend.js'
import { unknownOption } from '../errors.js'
import { makeArray } from '../memory/scope.js'
import { type Finding, Findings } from './repetition.js'

// One operation, defined once. A definition holds everything about an operation; `operation` turns it into something that
// checks, computes and records. No operation does any of that itself.

/** Array inputs by name: `Q` names those that may be missing. */
type Named<I extends string, Q extends string, T> = { readonly [K in Exclude<I, Q>]: T } & { readonly [K in Q]?: T }

/** What a kernel gets: elements (reference) or addresses in the heap (wasm; 0 for a missing input), and the rule's plan. */
export interface ReferenceCall<I extends string, Q extends string, U extends string, P> {
  readonly inputs: Named<I, Q, Elements>
  readonly outputs: { readonly [K in U]: Elements }
  readonly plan: P
}
export interface WasmCall<I extends string, U extends string, P> {
  readonly inputs: { readonly [K in I]: number }
  readonly outputs: { readonly [K in U]: number }
  readonly plan: P
  /** The addresses of the factors where the first input is a product that is not written; its own address is then 0. */
  readonly product?: readonly [number, number]
  /** Launches kernels and lends temporary memory. */
  readonly wasm: WasmBackend
}

/** What a gradient rule may look at. */
export interface GradientContext<I extends string, Q extends string, U extends string, O, P, S extends string> {
  /** The gradient with respect to the first output. */
  readonly gradient: DlArray
  /** The gradients with respect to all outputs; undefined where none flows. */
  readonly gradients: { readonly [K in U]?: DlArray }
  /** What the definition saves; an optional input that was left out is missing. */
  readonly saved: { readonly [K in Exclude<S, Q>]: DlArray } & { readonly [K in S & Q]?: DlArray }
  readonly inputs: Named<I, Q, ArrayInfo>
  readonly options: O
  readonly plan: P
  /** Inputs whose gradient is asked for. */
  readonly wanted: { readonly [K in I]: boolean }
  /** True when the gradient will itself be differentiated: then only differentiable operations may be used. */
  readonly recording: boolean
  /** Runs `compute` once for all inputs' rules of this backward step. */
  readonly shared: <T>(compute: () => T) => T
}

export type GradientRule<I extends string, Q extends string, U extends string, O, P, S extends string> = (
  context: GradientContext<I, Q, U, O, P, S>,
) => DlArray

/** A small valid call for the test that loops over all operations. */
export interface Sample<I extends string, O> {
  /** Size and format of each input; `values` overrides the default, random normal numbers. */
  readonly inputs: {
    readonly [K in I]?: { size: readonly number[]; format?: string; values?: (index: number) => number }
  }
  readonly options?: Partial<O>
}

export interface Definition<I extends string, Q extends I, U extends string, O extends object, P, S extends I | U> {
  /** The name users call it by. */
  readonly name: string
  readonly inputs: readonly I[]
  /** Those inputs that may be left out. */
  readonly optional?: readonly Q[]
  /** Names of the outputs; callers of the public function see the first. */
  readonly outputs: readonly U[]
  /** Every option with its default. `dataFormat` is understood by all operations and not listed. */
  readonly options: O
  /** Checks formats, sizes and options; gives what each output is and the plan the kernels follow. */
  readonly rule: (inputs: Named<I, Q, ArrayInfo>, options: O) => { outputs: readonly ArrayInfo[]; plan: P }
  /** All that the backward pass may read. */
  readonly saves: readonly S[]
  /**
   * One rule per input; null where there is no derivative. A gradient may have a larger size than its input where the
   * operation expanded it: the backward loop sums it back.
   */
  readonly gradient: { readonly [K in I]: null | GradientRule<I, Q, U, O, P, S> }
  /**
   * Whether gradients, taken and given, may have extent 1 where they are the same all along a dimension of the array: the
   * backward loop expands them when an operation without this needs it. Default false.
   */
  readonly lazyExpansion?: boolean
  /** Whether the output is the product of two inputs, element by element or with a single element: it may wait to be written. */
  readonly isProduct?: (plan: P) => boolean
  /** Whether the WebAssembly kernel takes the factors of a first input that waits, both of its size. Default false. */
  readonly takesProduct?: boolean
  /** A kernel on each backend, or `'view'`: the output is the first input's elements under another size or format. */
  readonly kernels:
    | 'view'
    | {
        readonly reference: (call: ReferenceCall<I, Q, U, P>) => void
        readonly wasm: (call: WasmCall<I, U, P>) => void
      }
  readonly samples: () => readonly Sample<I, O>[]
}

export interface Operation<I extends string, Q extends I, U extends string, O extends object> {
  readonly name: string
  readonly inputNames: readonly I[]
  readonly optionalInputs: readonly Q[]
  readonly outputNames: readonly U[]
  readonly options: O
  readonly samples: () => readonly Sample<I, O>[]
  /** Inputs that have a gradient rule. */
  readonly differentiable: readonly I[]
  /** What the outputs would be, without computing. */
  infer(inputs: Named<I, Q, ArrayInfo>, options?: Partial<O>): readonly ArrayInfo[]
  /** Computes; returns the first output. */
  run(inputs: Named<I, Q, DlArray>, options?: Partial<O>): DlArray
  /** Computes; returns every output by name. */
  runAll(inputs: Named<I, Q, DlArray>, options?: Partial<O>): { readonly [K in U]: DlArray }
}

/** Single when any input is single, else double when any is double, else single. */
export function resultType(inputs: readonly (ArrayInfo | undefined)[]): UnderlyingType {
  if (inputs.some((info) => info?.type === 'single')) return 'single'
  return inputs.some((info) => info?.type === 'double') ? 'double' : 'single'
}

/** The backend that holds arrays of a class: `double` is at home on the reference backend. */
export function backendFor(type: UnderlyingType): BackendName {
  return type === 'double' ? 'reference' : chosenBackend()
}

/** New uninitialised memory for an array of this description. */
export function allocate(info: { readonly size: readonly number[]; readonly type: UnderlyingType }): Storage {
  return backendNamed(backendFor(info.type)).allocate(numel(info.size), info.type === 'double' ? 'float64' : 'float32')
}

/** Turns a definition into an operation. */
export function operation<
  const I extends string,
  const U extends string,
  O extends object,
  P,
  const S extends I | U,
  const Q extends I = never,
>(definition: Definition<I, Q, U, O, P, S>): Operation<I, Q, U, O> {
  const { name, inputs: inputNames, outputs: outputNames, saves, gradient, kernels } = definition
  const differentiable = inputNames.filter((input) => gradient[input] !== null)
  const optional: readonly I[] = definition.optional ?? []

  const findings = new Findings<O, Call<I, Q, O, P>>(definition.options)

  function completed(options: Partial<O> | undefined): O {
    if (!options) return definition.options
    const all = { ...definition.options }
    for (const key in options) {
      if (!(key in all)) throw unknownOption(name, key, Object.keys(all))
      const value = options[key]
      if (value !== undefined) all[key] = value
    }
    return all
  }

  /** The rule's answer for a call of this kind. */
  function finding(arrays: readonly (DlArray | undefined)[], given: Partial<O> | undefined): Call<I, Q, O, P> {
    const known = findings.find(arrays, given)
    if (known) return known
    const options = completed(given)
    const inputs = arrays.map((array) => array && infoOf(array))
    const named = byName(inputNames, inputs) as Named<I, Q, ArrayInfo>
    const { outputs, plan } = definition.rule(named, options)
    for (const { size } of outputs) Object.freeze(size)
    // A comparison of doubles is logical, but compares at home.
    const isDouble = outputs.some((info) => info.type === 'double') || resultType(inputs) === 'double'
    const found = { inputs, named, options, outputs, plan, isDouble }
    findings.keep(found)
    return found
  }

  function compute(named: Named<I, Q, DlArray>, options: Partial<O> | undefined): DlArray[] {
    const arrays = inputNames.map((input) => (named as { readonly [name: string]: DlArray | undefined })[input])
    for (let i = 0; i < arrays.length; i++)
      if (!isdlarray(arrays[i]) && (arrays[i] !== undefined || !optional.includes(inputNames[i]!)))
        checkArray(arrays[i], name, inputNames[i])
    const call = finding(arrays, options)
    const storages = kernels === 'view' ? [arrays[0]!.storage] : runKernels(definition, arrays, call)
    const results = call.outputs.map((info, i) => makeArray(storages[i]!, info.size, info.dims, info.type))
    const tape = tapeOf(arrays)
    if (tape && differentiable.length > 0) record(tape, arrays, call, results)
    return results
  }

  function record(
    tape: Tape,
    arrays: readonly (DlArray | undefined)[],
    call: Call<I, Q, O, P>,
    results: readonly DlArray[],
  ): void {
    const saved: Record<string, DlArray> = {}
    const held: DlArray[] = []
    const rule: NodeRule = (gradients, wanted) => differentiate(call, saved, held, gradients, wanted)
    tape.add({
      operation: name,
      inputs: arrays,
      inputNames,
      inputInfos: call.inputs,
      outputs: results,
      outputInfos: call.outputs,
      rule,
      lazyExpansion: definition.lazyExpansion === true,
      held,
    })
    // Outputs are saved after the node exists, so that what is saved knows where it came from.
    for (const key of saves) {
      const position = inputNames.indexOf(key as I)
      const array = position >= 0 ? arrays[position] : results[outputNames.indexOf(key as U)]
      if (!array) continue
      const copy = save(array)
      saved[key] = copy
      held.push(copy)
    }
  }

  function differentiate(
    { named, options, outputs, plan }: Call<I, Q, O, P>,
    saved: Readonly<Record<string, DlArray>>,
    held: readonly DlArray[],
    gradients: readonly (DlArray | undefined)[],
    wanted: readonly boolean[],
  ): (DlArray | undefined)[] {
    const first = gradients[0] ?? zerosLike(outputs[0]!)
    let memo: { value: unknown } | undefined
    const context: GradientContext<I, Q, U, O, P, S> = {
      gradient: first,
      gradients: byName(outputNames, [first, ...gradients.slice(1)]) as { [K in U]?: DlArray },
      saved: saved as { [K in S]: DlArray },
      inputs: named,
      options,
      plan,
      wanted: byName(inputNames, wanted) as { [K in I]: boolean },
      recording: tapeOf([first, ...held]) !== undefined,
      shared: <T>(make: () => T) => {
        memo ??= { value: make() }
        return memo.value as T
      },
    }
    return inputNames.map((input, i) => {
      const one = gradient[input]
      return wanted[i] && one ? one(context) : undefined
    })
  }

  function zerosLike(info: ArrayInfo): DlArray {
    const storage = allocate(info)
    storage.view().fill(0)
    return makeArray(storage, info.size, info.dims, info.type)
  }

  const self: Operation<I, Q, U, O> = {
    name,
    inputNames,
    optionalInputs: definition.optional ?? [],
    outputNames,
    options: definition.options,
    samples: definition.samples,
    differentiable,
    infer(inputs, options) {
      const infos = inputNames.map((input) => (inputs as { readonly [name: string]: ArrayInfo | undefined })[input])
      return definition.rule(
        byName(
          inputNames,
          infos.map((info) => info && infoOf(info)),
        ) as Named<I, Q, ArrayInfo>,
        completed(options),
      ).outputs
    },
    run: (inputs, options) => compute(inputs, options)[0]!,
    runAll: (inputs, options) => byName(outputNames, compute(inputs, options)) as { [K in U]: DlArray },
  }
  return self
}

/** A call of an operation: what its rule found, and what else follows from that. */
interface Call<I extends string, Q extends I, O, P> extends Finding<O, P> {
  /** The inputs by name. */
  readonly named: Named<I, Q, ArrayInfo>
  /** Whether it computes on the backend that doubles live on. */
  readonly isDouble: boolean
}

/** A plain description of what may be an array: a rule may spread it. */
function infoOf({ size, dims, type }: ArrayInfo): ArrayInfo {
  return { size, dims, type }
}

/** Allocates the outputs and runs the kernel on the backend where they belong, moving inputs there when they are not. */
function runKernels<I extends string, Q extends I, U extends string, O extends object, P, S extends I | U>(
  definition: Definition<I, Q, U, O, P, S>,
  arrays: readonly (DlArray | undefined)[],
  { outputs: infos, plan, isDouble }: Call<I, Q, O, P>,
): Storage[] {
  const { kernels, inputs: inputNames, outputs: outputNames } = definition
  if (kernels === 'view') return []
  const target = isDouble ? 'reference' : chosenBackend()
  const backend = backendNamed(target)
  const outputs: Storage[] = []
  const moved: Storage[] = []
  try {
    for (const info of infos)
      outputs.push(backend.allocate(numel(info.size), info.type === 'double' ? 'float64' : 'float32').retain())
    const inputs = arrays.map((array) => {
      if (!array || array.storage.backend === target) return array?.storage
      const copy = moveTo(target, array.storage).retain()
      moved.push(copy)
      return copy
    })
    if (target === 'reference')
      kernels.reference({
        inputs: byName(
          inputNames,
          inputs.map((storage) => storage?.view()),
        ) as Named<I, Q, Elements>,
        outputs: byName(
          outputNames,
          outputs.map((storage) => storage.view()),
        ) as { [K in U]: Elements },
        plan,
      })
    else {
      const wasm = wasmBackend()
      const address = (storage: Storage | undefined) => (storage ? wasm.pointer(storage) : 0)
      const factors = definition.takesProduct ? wholeFactors(inputs[0]) : undefined
      const run = () =>
        kernels.wasm({
          inputs: byName(inputNames, factors ? [0] : inputs.map(address)) as { [K in I]: number },
          outputs: byName(outputNames, outputs.map(address)) as { [K in U]: number },
          plan,
          product: factors && [address(factors[0]), address(factors[1])],
          wasm,
        })
      if (!mayPutOff() || moved.length > 0) run()
      else if (definition.isProduct?.(plan)) outputs[0]!.wait({ factors: [inputs[0]!, inputs[1]!], write: run })
      else wasm.held.lending([...inputs, ...outputs], run)
    }
  } catch (error) {
    for (const storage of outputs) storage.release()
    throw error
  } finally {
    for (const storage of moved) storage.release()
  }
  for (const storage of outputs) storage.handOver()
  return outputs
}

/** The factors of a product that waits, where both have its size. */
function wholeFactors(storage: Storage | undefined): readonly [Storage, Storage] | undefined {
  const factors = storage?.product?.factors
  return factors?.every(({ length }) => length === storage?.length) ? factors : undefined
}

function moveTo(target: BackendName, storage: Storage): Storage {
  const copy = backendNamed(target).allocate(storage.length, target === 'wasm' ? 'float32' : storage.elementType)
  copy.view().set(storage.view())
  return copy
}

/** The items by their names. */
function byName<T>(names: readonly string[], items: readonly T[]): Record<string, T> {
  const result: Record<string, T> = {}
  for (let i = 0; i < names.length; i++) result[names[i]!] = items[i]!
  return result
}
