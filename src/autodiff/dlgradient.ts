import { type ArrayInfo, type DlArray, isdlarray } from '../array/dlarray.js'
import { describe } from '../array/format.js'
import { argumentError, checkOptionNames, className, DimensionError, GradientError, isObject } from '../errors.js'
import { makeArray, scope } from '../memory/scope.js'
import { castOperation } from '../operations/arrays/cast.js'
import { relabelOperation } from '../operations/arrays/relabel.js'
import { scalar } from '../operations/call.js'
import { plusOperation } from '../operations/elementwise/arithmetic.js'
import { allocate } from '../operations/operation.js'
import { expandOperation, sameSize, sumTo } from '../operations/reductions/sum.js'
import { isContainer, isRecord, replaceArrays } from './containers.js'
import { isRecording, liveTrace, save, type TraceEntry, type TraceNode, withoutRecording } from './record.js'

/** Options of {@link dlgradient}. */
export interface GradientOptions {
  /** Record the backward pass too, so that the gradients can be differentiated again. Default false. */
  readonly enableHigherDerivatives?: boolean
  /** Keep the trace for another `dlgradient` in the same `dlfeval`. Default: the same as `enableHigherDerivatives`. */
  readonly retainData?: boolean
}

/** What a gradient is taken with respect to, where there are several. */
type Variable = DlArray | readonly unknown[] | ReadonlyMap<unknown, unknown> | VariableRecord
interface VariableRecord {
  readonly [name: string]: Variable
}

/**
 * The gradient of a scalar with respect to one array, a list or a record of arrays (nested as you like; `net.learnables` is
 * such a list): a container of the same shape, every array in it replaced by the gradient with respect to it. An array the
 * loss does not depend on gets zeros.
 *
 * | call | result |
 * | --- | --- |
 * | `dlgradient(loss, W)` | the gradient with respect to an array, or those for all arrays in a list or record |
 * | `dlgradient(loss, W, b, ...)` | a list of them: `const [dW, db] = dlgradient(loss, W, b)` |
 * | `dlgradient(..., options)` | the same with {@link GradientOptions}, as one object behind the variables |
 *
 * To be called inside a function that `dlfeval` evaluates, on arrays traced there. Reverse-mode differentiation.
 *
 * Errors: a {@link GradientError} for a loss that is not a scalar or not traced, for an array that is not traced, and for a
 * second call without `retainData`. Source: MATLAB, `dlgradient`.
 */
export function dlgradient<T>(loss: DlArray, variables: T, options?: GradientOptions): T
export function dlgradient<T extends readonly [Variable, Variable, ...Variable[]]>(
  loss: DlArray,
  ...given: readonly [...variables: T, options: GradientOptions]
): [...T]
export function dlgradient<T extends readonly [Variable, Variable, ...Variable[]]>(
  loss: DlArray,
  ...variables: T
): [...T]
export function dlgradient(loss: DlArray, ...given: readonly unknown[]): unknown {
  const last = given.at(-1)
  const hasOptions = given.length > 1 && (last === undefined || isOptions(last))
  const options = checkOptions(given, hasOptions ? (last ?? {}) : {})
  const { enableHigherDerivatives = false, retainData = enableHigherDerivatives } = options
  const all = hasOptions ? given.slice(0, -1) : given
  const variables = all.length > 1 ? all : all[0]
  const start = checkLoss(loss)
  const targets: TraceEntry[] = []
  for (const one of all.length > 1 ? all : [variables]) collect(one, targets)
  const work = () => backward(loss, start, targets, retainData)
  const gradients = scope(() => (enableHigherDerivatives ? work() : withoutRecording(work)))
  let next = 0
  return replaceArrays(variables, () => gradients[next++]!)
}

/** Whether it is a record that holds no arrays, nor anything that might. */
function isOptions(value: unknown): value is GradientOptions {
  return isRecord(value) && !Object.values(value).some(isContainer)
}

function checkOptions(given: readonly unknown[], options: GradientOptions): GradientOptions {
  const wrong = given.slice(1).find((value) => value !== undefined && !isObject(value))
  if (wrong !== undefined)
    throw argumentError(
      'dlgradient',
      'options as one object',
      wrong,
      'Write them behind the variables: dlgradient(loss, W, b, { retainData: true }).',
    )
  checkOptionNames('dlgradient', options, ['enableHigherDerivatives', 'retainData'])
  for (const [key, value] of Object.entries(options))
    if (value !== undefined && typeof value !== 'boolean')
      throw argumentError('dlgradient', `${key} to be true or false`, value, 'Leave it out for the default.')
  return options
}

function checkLoss(loss: DlArray): TraceEntry {
  if (!isdlarray(loss) || loss.numel !== 1)
    throw new GradientError({
      call: 'dlgradient',
      expects: 'a scalar loss: the value to differentiate must be a traced real dlarray scalar',
      got: isdlarray(loss) ? `a non-scalar, ${describe(loss)}` : typeof loss,
      remedy: "Reduce it first, for instance with sum(Y, 'all').",
    })
  const entry = liveTrace(loss)
  if (!entry)
    throw new GradientError({
      call: 'dlgradient',
      expects: 'a traced loss: the value to differentiate must be a traced real dlarray scalar',
      got: 'one that is not traced',
      remedy:
        'Call dlgradient inside a function evaluated by dlfeval, pass the variables (or the network) to dlfeval, and do not go through extractdata or values().',
    })
  return entry
}

function collect(variables: unknown, targets: TraceEntry[]): void {
  if (!isContainer(variables))
    throw new GradientError({
      call: 'dlgradient',
      expects: 'an array, or a list, record or map of arrays, to differentiate with respect to',
      got:
        variables === null
          ? 'null'
          : typeof variables === 'object'
            ? `an object of class ${className(variables)}`
            : typeof variables,
      remedy: 'Pass the argument your function receives from dlfeval; of a network, its learnables.',
    })
  replaceArrays(variables, (array) => {
    const entry = liveTrace(array)
    if (!entry)
      throw new GradientError({
        call: 'dlgradient',
        expects: 'traced arrays to differentiate with respect to',
        got: `an array of ${describe(array)} that is not traced`,
        remedy: 'Pass it to dlfeval and differentiate with respect to the argument your function receives.',
      })
    targets.push(entry)
    return array
  })
}

/** The one backward loop: it alone adds gradients up, undoes expansion and checks sizes. */
function backward(loss: DlArray, start: TraceEntry, targets: readonly TraceEntry[], retain: boolean): DlArray[] {
  const nodes = reachable(start.node)
  const wanted = leadingTo(nodes, new Set(targets.map((target) => target.node)))
  const isTarget = new Set(targets.map((target) => target.node))
  // Gradients on their way: holds of our own, which no scope frees, given back as soon as they are used.
  const pending = new Map<TraceNode, (DlArray | undefined)[]>()
  const add = ({ node, output }: TraceEntry, gradient: DlArray) => {
    let slots = pending.get(node)
    if (!slots) {
      slots = []
      pending.set(node, slots)
    }
    const before = slots[output]
    slots[output] = before ? save(plusOperation.run({ A: before, B: gradient })) : save(gradient)
    before?.dispose()
  }
  try {
    scope(() => {
      if (wanted.has(start.node))
        add(start, relabelOperation.run({ X: scalar(1, gradientType(loss)) }, { size: loss.size, dims: loss.dims }))
    })
    for (const node of nodes) {
      const gradients = pending.get(node)
      if (!gradients || node.isInput || !wanted.has(node)) continue
      if (!node.usable)
        throw new GradientError({
          call: 'dlgradient',
          expects: 'a trace that still holds its data',
          got: `one whose data an earlier dlgradient gave back (at ${node.operation})`,
          remedy: 'Give the earlier call { retainData: true }, or ask for all gradients in one call.',
        })
      scope(() => {
        const wantedInputs = node.inputs.map((input) => input !== undefined && wanted.has(input.node))
        const whole = node.lazyExpansion
          ? gradients
          : gradients.map((gradient, i) => gradient && expanded(gradient, node.outputInfos[i]!))
        const results = node.differentiate(whole, wantedInputs)
        node.inputs.forEach((input, i) => {
          const gradient = results[i]
          if (input && wantedInputs[i] && gradient) add(input, fitted(gradient, node, i))
        })
      })
      if (!isTarget.has(node)) {
        for (const gradient of gradients) gradient?.dispose()
        pending.delete(node)
      }
      if (!retain) node.release()
    }
    return targets.map(({ node, output }) => {
      const info = node.outputInfos[output]!
      const found = pending.get(node)?.[output]
      const gradient = found && expanded(found, info)
      const result = gradient ? makeArray(gradient.storage, info.size, info.dims, gradient.underlyingType) : zeros(info)
      // A gradient that depends on nothing traced still can be differentiated: to zeros.
      if (isRecording()) result.trace = gradient?.trace ?? start.node.tape.input(result)
      return result
    })
  } finally {
    for (const slots of pending.values()) for (const gradient of slots) gradient?.dispose()
  }
}

/** Every node the loss came from, latest first. */
function reachable(from: TraceNode): TraceNode[] {
  const found = new Set([from])
  const stack = [from]
  for (let node = stack.pop(); node; node = stack.pop())
    for (const input of node.inputs)
      if (input && !found.has(input.node)) {
        found.add(input.node)
        stack.push(input.node)
      }
  return [...found].sort((a, b) => b.order - a.order)
}

/** Those nodes through which a target is reached. */
function leadingTo(nodes: readonly TraceNode[], targets: ReadonlySet<TraceNode>): Set<TraceNode> {
  const wanted = new Set<TraceNode>()
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i]!
    if (targets.has(node) || node.inputs.some((input) => input && wanted.has(input.node))) wanted.add(node)
  }
  return wanted
}

/** The gradient of an array that is the same along dimensions where its extent is 1, at the array's size. */
function expanded(gradient: DlArray, { size, dims }: ArrayInfo): DlArray {
  return sameSize(gradient.size, size) ? gradient : expandOperation.run({ X: gradient }, { size, dims })
}

/** Whether the gradient has the array's labels (those of dimensions it has) and, in each dimension, its extent or 1. */
function isExpandable(gradient: DlArray, { size, dims }: ArrayInfo): boolean {
  const isAlike = gradient.dims === '' ? dims === '' : dims.startsWith(gradient.dims)
  if (!isAlike || gradient.size.length > size.length) return false
  return size.every((extent, d) => [1, extent].includes(gradient.size[d] ?? 1))
}

/** The gradient with its input's size (or, where the node allows it, not yet), labels and class: expansion undone. */
function fitted(gradient: DlArray, node: TraceNode, input: number): DlArray {
  const info = node.inputInfos[input]!
  let result = gradient
  if (!(node.lazyExpansion && isExpandable(gradient, info))) {
    if (node.lazyExpansion) result = expanded(gradient, node.outputInfos[0]!)
    if (result.dims !== info.dims || !sameSize(result.size, info.size)) result = sumTo(result, info)
    checkSize(gradient, result, node, input)
  }
  const type = gradientType(info)
  return result.underlyingType === type ? result : castOperation.run({ X: result }, { type })
}

function checkSize(gradient: DlArray, result: DlArray, node: TraceNode, input: number): void {
  const info = node.inputInfos[input]!
  if (!sameSize(result.size, info.size))
    throw new DimensionError({
      call: 'dlgradient',
      expects: `${node.operation} to give a gradient of ${describe(info)} for ${node.inputNames[input]}`,
      got: describe(gradient),
      remedy: 'This is a mistake in the gradient rule of that operation.',
    })
}

/** The class of the gradient with respect to an array: its own; single for a logical one. */
function gradientType({ type }: ArrayInfo): 'single' | 'double' {
  return type === 'double' ? 'double' : 'single'
}

function zeros(info: ArrayInfo): DlArray {
  const type = gradientType(info)
  const storage = allocate({ size: info.size, type })
  storage.view().fill(0)
  return makeArray(storage, info.size, info.dims, type)
}
