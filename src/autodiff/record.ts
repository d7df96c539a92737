import { type ArrayInfo, DlArray, type Trace } from '../array/dlarray.js'

// Recording: what operations write down while `dlfeval` traces, so that `dlgradient` can walk back. Operations import this
// file; the walk itself (dlgradient.ts) imports operations.

/** One array in a trace: output `output` of `node`. */
export interface TraceEntry extends Trace {
  readonly node: TraceNode
}

/** The gradient of each output (undefined where none flows) to the gradient of each input (undefined where there is none). */
export type NodeRule = (
  gradients: readonly (DlArray | undefined)[],
  wanted: readonly boolean[],
) => (DlArray | undefined)[]

/** An operation that was computed on traced arrays. */
export interface RecordedOperation {
  readonly operation: string
  readonly inputs: readonly (DlArray | undefined)[]
  readonly inputNames: readonly string[]
  readonly inputInfos: readonly (ArrayInfo | undefined)[]
  readonly outputs: readonly DlArray[]
  readonly outputInfos: readonly ArrayInfo[]
  readonly rule: NodeRule
  /** Whether the gradients that the rule takes and gives may wait to be expanded. */
  readonly lazyExpansion: boolean
  /** What the rule will read; filled after the node is there. */
  readonly held: readonly DlArray[]
}

/** One recorded operation, or (without a rule) one traced input of `dlfeval`. */
export class TraceNode {
  constructor(
    readonly tape: Tape,
    /** Increases along the tape: inputs of a node have smaller numbers. */
    readonly order: number,
    readonly operation: string,
    public inputs: readonly (TraceEntry | undefined)[],
    readonly inputNames: readonly string[],
    readonly inputInfos: readonly (ArrayInfo | undefined)[],
    readonly outputInfos: readonly ArrayInfo[],
    private rule: NodeRule | undefined,
    private saved: readonly DlArray[],
    /** True for what `dlfeval` was given: nothing came before it. */
    readonly isInput: boolean,
    /** Whether the gradients that the rule takes and gives may wait to be expanded. */
    readonly lazyExpansion = false,
  ) {}

  /** False once the arrays it saved are given back. */
  get usable(): boolean {
    return this.rule !== undefined || this.isInput
  }

  differentiate(gradients: readonly (DlArray | undefined)[], wanted: readonly boolean[]): (DlArray | undefined)[] {
    return this.rule?.(gradients, wanted) ?? []
  }

  /** Gives back the arrays the backward pass would have read. */
  release(): void {
    for (const array of this.saved) array.dispose()
    this.saved = []
    this.rule = undefined
  }
}

/** The record of one `dlfeval` call and of those inside it. */
export class Tape {
  /** True once the `dlfeval` that made it has returned. */
  isClosed = false
  private readonly nodes: TraceNode[] = []

  input(array: ArrayInfo): TraceEntry {
    const node = new TraceNode(this, this.nodes.length, 'dlfeval', [], [], [], [infoOf(array)], undefined, [], true)
    this.nodes.push(node)
    return { node, output: 0 }
  }

  add(recorded: RecordedOperation): void {
    const { operation, inputs, inputNames, inputInfos, outputs, outputInfos, rule, lazyExpansion, held } = recorded
    const traces = inputs.map((array) => array && liveTrace(array))
    const order = this.nodes.length
    const node = new TraceNode(
      this,
      order,
      operation,
      traces,
      inputNames,
      inputInfos,
      outputInfos,
      rule,
      held,
      false,
      lazyExpansion,
    )
    this.nodes.push(node)
    outputs.forEach((array, output) => {
      const entry: TraceEntry = { node, output }
      array.trace = entry
    })
  }

  /** Gives everything back. An array that outlives the call keeps its own node at most, not the chain behind it. */
  close(): void {
    this.isClosed = true
    for (const node of this.nodes) {
      node.release()
      node.inputs = []
    }
    this.nodes.length = 0
  }
}

/** The tape that operations are recorded on: that of the outermost `dlfeval`, or none while recording is switched off. */
let current: Tape | undefined

/** The trace of an array on the tape in use. */
export function liveTrace(array: DlArray): TraceEntry | undefined {
  const entry = array.trace as TraceEntry | undefined
  return current && entry?.node.tape === current ? entry : undefined
}

/** Takes away the trace of an array whose `dlfeval` has returned. */
export function dropEndedTrace(array: DlArray): void {
  const entry = array.trace as TraceEntry | undefined
  if (entry?.node.tape.isClosed) array.trace = undefined
}

/** The tape that an operation on these arrays is recorded on, if any. */
export function tapeOf(inputs: readonly (DlArray | undefined)[]): Tape | undefined {
  return current && inputs.some((array) => array && liveTrace(array)) ? current : undefined
}

export function isRecording(): boolean {
  return current !== undefined
}

/** Runs `fn` with recording on a tape of its own, or on the one in use when there is one. */
export function withRecording<T>(fn: (tape: Tape) => T): T {
  if (current) return fn(current)
  const tape = new Tape()
  current = tape
  try {
    return fn(tape)
  } finally {
    current = undefined
    tape.close()
  }
}

/** Runs `fn` without recording. */
export function withoutRecording<T>(fn: () => T): T {
  const before = current
  current = undefined
  try {
    return fn()
  } finally {
    current = before
  }
}

/** A second hold on an array's memory that no scope frees: what the backward pass will read. */
export function save(array: DlArray): DlArray {
  const saved = new DlArray(array.storage, array.size, array.dims, array.underlyingType)
  saved.trace = array.trace
  return saved
}

function infoOf({ size, dims, type }: ArrayInfo): ArrayInfo {
  return { size, dims, type }
}
