import type { DlArray } from '../array/dlarray.js'
import type { Storage } from '../array/storage.js'
import { save } from '../autodiff/record.js'
import { wasmBackend } from '../backends/current.js'
import type { Recording } from '../backends/wasm/recording.js'
import type { MiniBatch } from '../data/minibatch.js'
import { MemoryError } from '../errors.js'
import { isFusionOn } from '../network/fusion.js'
import { type Kind, mayRecord, RecordedKinds } from '../network/recorded-kinds.js'
import { freshLike } from './solver-update.js'
import type { ComputedStep, StepContext } from './training-step.js'

/** A step that can run again. The arrays are holds of its own. */
interface RecordedStep {
  readonly recording: Recording
  readonly computed: ComputedStep
  /** Where the parameters were. */
  readonly parameters: readonly Storage[]
}

/** The steps of one training, and what of them can run again: see network/recorded-kinds.ts. */
export class RecordedSteps {
  readonly #context: StepContext
  readonly #kinds = new RecordedKinds<RecordedStep>(releaseStep)
  /** A step did something that cannot be recorded, or memory is short. */
  #isRefused = false

  constructor(context: StepContext) {
    this.#context = context
  }

  /** What `compute` gives for this mini-batch, computed by it or by the launches of a step before. */
  step(batch: MiniBatch, compute: () => ComputedStep): ComputedStep {
    if (this.#isRefused || !mayRecord()) return compute()
    const arrays = [...batch.inputs, ...batch.targets]
    const { kind, isNew } = this.#kinds.next(arrays, isFusionOn() ? 'fused' : 'layer by layer')
    if (isNew) return compute()
    const { recorded } = kind
    if (recorded?.recording.isReleased) {
      // The heap was full: what fits without recordings must fit with them.
      this.#refuse()
      return compute()
    }
    if (recorded && this.#isInPlace(recorded)) return this.#again(recorded, arrays)
    this.#kinds.forget(kind)
    return this.#kinds.hasRoom() ? this.#record(kind, arrays, compute) : compute()
  }

  dispose(): void {
    this.#kinds.dispose()
  }

  #isInPlace({ parameters }: RecordedStep): boolean {
    return this.#context.parameters.every(({ value }, i) => value.storage === parameters[i])
  }

  #record(kind: Kind<RecordedStep>, arrays: readonly DlArray[], compute: () => ComputedStep): ComputedStep {
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
      kind.recorded = recording && recordedStep(recording, result, inputs, parameters)
      if (recording && !kind.recorded) wasmBackend().releaseRecording(recording)
      if (!kind.recorded || isDrawn) this.#refuse()
      return kind.recorded ? apart(result) : result
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

function releaseStep({ recording, computed: { value, gradients, squares, state, outputs } }: RecordedStep): void {
  wasmBackend().releaseRecording(recording)
  for (const array of [value, ...gradients, ...state.map((row) => row.value!), ...outputs]) array.dispose()
  squares.release()
}
