import type { ArrayInfo, DlArray } from '../array/dlarray.js'
import type { Storage } from '../array/storage.js'
import { isRecording, save } from '../autodiff/record.js'
import { chosenBackend, wasmBackend } from '../backends/current.js'
import type { Recording } from '../backends/wasm/recording.js'
import type { MiniBatch } from '../data/minibatch.js'
import { MemoryError } from '../errors.js'
import { isFusionOn } from '../network/fusion.js'
import { sameSize } from '../operations/reductions/sum.js'
import { freshLike } from './solver-update.js'
import type { ComputedStep, StepContext } from './training-step.js'

// Iterations with mini-batches of the same sizes launch the same kernels with the same parameters. The launches of one are
// written down, and the following ones are these launches again, over other data: the network, the trace and the rules of its
// operations need not be gone through.

/** Kinds of mini-batches that are remembered, and of those how many have a recording, which holds memory. */
const MOST_KINDS = 16
const MOST_RECORDINGS = 2
/** A recording that was not used for so many iterations makes way for another. */
const OLD = 1000

/** What a step depends on, besides the numbers. */
interface Kind {
  readonly arrays: readonly ArrayInfo[]
  readonly fusion: boolean
  /** The iteration that was the last of this kind. */
  latest: number
  step?: RecordedStep | undefined
}

/** A step that can run again. The arrays are holds of its own. */
interface RecordedStep {
  readonly recording: Recording
  readonly computed: ComputedStep
  /** Where the parameters were. */
  readonly parameters: readonly Storage[]
}

let isOn = true

/** Whether steps are recorded from now on; they give the same bits either way. To compare. */
export function setStepRecording(enabled: boolean): void {
  isOn = enabled
}

/** The steps of one training, and what of them can run again. */
export class RecordedSteps {
  readonly #context: StepContext
  #kinds: Kind[] = []
  #iteration = 0
  /** A step did something that cannot be recorded, or memory is short. */
  #isRefused = false

  constructor(context: StepContext) {
    this.#context = context
  }

  /** What `compute` gives for this mini-batch, computed by it or by the launches of a step before. */
  step(batch: MiniBatch, compute: () => ComputedStep): ComputedStep {
    if (this.#isRefused || !isOn || chosenBackend() !== 'wasm' || isRecording()) return compute()
    this.#iteration++
    const arrays = [...batch.inputs, ...batch.targets]
    const kind = this.#kindOf(arrays)
    const isNew = kind.latest === 0
    kind.latest = this.#iteration
    if (isNew) return compute()
    const { step } = kind
    if (step?.recording.isReleased) {
      // The heap was full: what fits without recordings must fit with them.
      this.#refuse()
      return compute()
    }
    if (step && this.#isInPlace(step)) return this.#again(step, arrays)
    if (step) this.#forget(kind)
    return this.#hasRoom() ? this.#record(kind, arrays, compute) : compute()
  }

  dispose(): void {
    for (const kind of this.#kinds) this.#forget(kind)
    this.#kinds = []
  }

  #kindOf(arrays: readonly DlArray[]): Kind {
    const fusion = isFusionOn()
    const known = this.#kinds.find((kind) => kind.fusion === fusion && isAlike(kind.arrays, arrays))
    if (known) return known
    if (this.#kinds.length === MOST_KINDS) {
      const plain = this.#kinds.findIndex(({ step }) => !step)
      this.#kinds.splice(plain, 1)
    }
    const kind = { arrays: arrays.map(({ size, dims, type }) => ({ size, dims, type })), fusion, latest: 0 }
    this.#kinds.push(kind)
    return kind
  }

  /** Whether one more may be recorded; an old one goes for that. */
  #hasRoom(): boolean {
    const recorded = this.#kinds.filter(({ step }) => step)
    if (recorded.length < MOST_RECORDINGS) return true
    const old = recorded.find(({ latest }) => this.#iteration - latest > OLD)
    if (old) this.#forget(old)
    return old !== undefined
  }

  #isInPlace({ parameters }: RecordedStep): boolean {
    return this.#context.parameters.every(({ value }, i) => value.storage === parameters[i])
  }

  #record(kind: Kind, arrays: readonly DlArray[], compute: () => ComputedStep): ComputedStep {
    const { random } = this.#context
    const parameters = this.#context.parameters.map(({ value }) => value.storage)
    const inputs = this.#inputs(arrays)
    const all = [...inputs, ...parameters]
    const isPlain = all.every(({ backend }) => backend === 'wasm') && new Set(all).size === all.length
    if (!isPlain) return compute()
    const before = random.state()
    try {
      const { result, recording } = wasmBackend().record({ inputs, changing: parameters }, compute)
      const isDrawn = JSON.stringify(random.state()) !== JSON.stringify(before)
      kind.step = recording && recordedStep(recording, result, inputs, parameters)
      if (recording && !kind.step) wasmBackend().releaseRecording(recording)
      if (!kind.step || isDrawn) this.#refuse()
      return kind.step ? apart(result) : result
    } catch (error) {
      // What does not fit beside the memory of a recording may fit without.
      if (!(error instanceof MemoryError)) throw error
      this.#refuse()
      return compute()
    }
  }

  /** What a step reads that is elsewhere in each iteration: the mini-batch, and the network's state. */
  #inputs(arrays: readonly DlArray[]): Storage[] {
    const inputs = arrays.map(({ storage }) => storage)
    for (const { value } of this.#context.net.state) if (value) inputs.push(value.storage)
    return inputs
  }

  #again({ recording, computed }: RecordedStep, arrays: readonly DlArray[]): ComputedStep {
    wasmBackend().replay(recording, this.#inputs(arrays))
    return apart({ ...computed, squares: computed.squares.retain() })
  }

  #refuse(): void {
    this.#isRefused = true
    this.dispose()
  }

  #forget(kind: Kind): void {
    if (!kind.step) return
    wasmBackend().releaseRecording(kind.step.recording)
    releaseStep(kind.step)
    kind.step = undefined
  }
}

function isAlike(infos: readonly ArrayInfo[], arrays: readonly DlArray[]): boolean {
  if (infos.length !== arrays.length) return false
  return infos.every(({ size, dims, type }, i) => {
    const array = arrays[i]!
    return array.dims === dims && array.type === type && sameSize(array.size, size)
  })
}

/**
 * A step with state and outputs in memory of their own. Those of the recording change when it runs again, and must not be its
 * inputs either: earlier launches of a run may write where its last ones left the state.
 */
function apart(step: ComputedStep): ComputedStep {
  return {
    ...step,
    state: step.state.map((row) => ({ ...row, value: row.value && freshLike(row.value, 'copy') })),
    outputs: step.outputs.map((output) => freshLike(output, 'copy')),
  }
}

/** The results of a step where later runs of the recording find them; undefined where they are not all made by it. */
function recordedStep(
  recording: Recording,
  { value, gradients, squares, state, outputs }: ComputedStep,
  inputs: readonly Storage[],
  parameters: readonly Storage[],
): RecordedStep | undefined {
  const wasm = wasmBackend()
  const isOwn = ({ storage }: DlArray) => wasm.isOf(recording, storage)
  const changed = state.filter((row) => row.value && !inputs.includes(row.value.storage))
  if (![value, ...gradients, ...changed.map((row) => row.value!), ...outputs].every(isOwn)) return undefined
  return {
    recording,
    parameters,
    computed: {
      value: save(value),
      gradients: gradients.map(save),
      squares: squares.retain(),
      state: changed.map((row) => ({ ...row, value: save(row.value!) })),
      outputs: outputs.map(save),
    },
  }
}

function releaseStep({ computed: { value, gradients, squares, state, outputs } }: RecordedStep): void {
  for (const array of [value, ...gradients, ...state.map((row) => row.value!), ...outputs]) array.dispose()
  squares.release()
}
