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

/** One recorded operation, or (without a rule) one traced input of `dlfeval`. */
export class TraceNode {
  constructor(
    readonly tape: Tape,
    /** Increases along the tape: inputs of a node have smaller numbers. */
    readonly order: number,
    readonly operation: string,
    readonly inputs: readonly (TraceEntry | undefined)[],
    readonly inputNames: readonly string[],
    readonly inputInfos: readonly (ArrayInfo | undefined)[],
    readonly outputInfos: readonly ArrayInfo[],
    private rule: NodeRule | undefined,
    private saved: readonly DlArray[],
  ) {}

  /** False once the arrays it saved are given back. */
  get usable(): boolean {
    return this.rule !== undefined || this.inputs.length === 0
  }

  get isInput(): boolean {
    return this.inputs.length === 0
  }

  differentiate(gradients: readonly (DlArray | undefined)[], wanted: readonly boolean[]): (DlArray | undefined)[] {
    return this.rule?.(gradients, wanted) ?? []
  }

  /** Gives back the arrays the backward pass would have read. */
  release(): void {
    if (this.isInput) return
    for (const array of this.saved) array.dispose()
    this.saved = []
    this.rule = undefined
  }
}

/** One `dlfeval` call's record. */
export class Tape {
  open = true
  private readonly nodes: TraceNode[] = []

  input(array: DlArray): TraceEntry {
    const node = new TraceNode(this, this.nodes.length, 'dlfeval', [], [], [], [array], undefined, [])
    this.nodes.push(node)
    return { node, output: 0 }
  }

  add(
    operation: string,
    inputs: readonly (DlArray | undefined)[],
    inputNames: readonly string[],
    outputs: readonly DlArray[],
    rule: NodeRule,
    saved: readonly DlArray[],
  ): void {
    const node = new TraceNode(
      this,
      this.nodes.length,
      operation,
      inputs.map((array) => array && liveTrace(array)),
      inputNames,
      inputs.map((array) => array && { size: array.size, dims: array.dims, type: array.underlyingType }),
      outputs.map((array) => ({ size: array.size, dims: array.dims, type: array.underlyingType })),
      rule,
      saved,
    )
    this.nodes.push(node)
    outputs.forEach((array, output) => {
      const entry: TraceEntry = { node, output }
      array.trace = entry
    })
  }

  close(): void {
    this.open = false
    for (const node of this.nodes) node.release()
  }
}

let paused = 0

/** The trace of an array while its `dlfeval` is running. */
export function liveTrace(array: DlArray): TraceEntry | undefined {
  const entry = array.trace as TraceEntry | undefined
  return entry?.node.tape.open ? entry : undefined
}

/** The tape that an operation on these arrays is recorded on, if any. */
export function tapeOf(inputs: readonly (DlArray | undefined)[]): Tape | undefined {
  if (paused > 0) return undefined
  for (const array of inputs) {
    const tape = array && liveTrace(array)?.node.tape
    if (tape) return tape
  }
  return undefined
}

export function isRecordingPaused(): boolean {
  return paused > 0
}

/** Runs `fn` without recording. */
export function withoutRecording<T>(fn: () => T): T {
  paused++
  try {
    return fn()
  } finally {
    paused--
  }
}

/** A second hold on an array's memory that no scope frees: what the backward pass will read. */
export function save(array: DlArray): DlArray {
  const saved = new DlArray(array.storage, array.size, array.dims, array.underlyingType)
  saved.trace = array.trace
  return saved
}
