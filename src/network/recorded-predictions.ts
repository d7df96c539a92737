import type { ArrayInfo, DlArray, UnderlyingType } from '../array/dlarray.js'
import type { Storage } from '../array/storage.js'
import { wasmBackend } from '../backends/current.js'
import type { Recording } from '../backends/wasm/recording.js'
import { MemoryError } from '../errors.js'
import type { Layer } from '../layers/layer.js'
import { LayerContent } from '../layers/layer-content.js'
import { makeArray } from '../memory/scope.js'
import type { RandomStream } from '../operations/arrays/random.js'
import { isFusionOn } from './fusion.js'
import { type Kind, mayRecord, RecordedKinds } from './recorded-kinds.js'

/** A prediction that takes more memory takes so long that what is around its kernels does not count. */
const LARGEST_BYTES = 32 << 20

/** A prediction that can run again. */
interface RecordedPrediction {
  readonly recording: Recording
  readonly content: LayerContent
  /** Class and number of elements of each parameter. */
  readonly parameters: readonly { readonly type: UnderlyingType; readonly numel: number }[]
  /** What each output is, and in which of the results. */
  readonly outputs: readonly (ArrayInfo & { readonly result: number })[]
  /** Elements of each result. */
  readonly results: readonly number[]
}

/** Networks that nobody refers to any more. */
const abandoned = new FinalizationRegistry<RecordedPredictions>((predictions) => predictions.dispose())

/** The predictions of one network, and what of them can run again: see recorded-kinds.ts. Knows its layers, not the network. */
export class RecordedPredictions {
  readonly #layers: readonly Layer[]
  readonly #kinds = new RecordedKinds<RecordedPrediction>(({ recording }) => wasmBackend().releaseRecording(recording))
  /** Memory is short. */
  #isRefused = false

  constructor(network: object, layers: readonly Layer[]) {
    this.#layers = layers
    abandoned.register(network, this)
  }

  /** What `compute` gives for these inputs and names of outputs, computed by it or by the launches of a prediction before. */
  run(
    inputs: readonly DlArray[],
    names: readonly string[] | undefined,
    random: RandomStream,
    compute: () => DlArray[],
  ): DlArray[] {
    // An array that was freed is an error for whoever reads it first.
    if (this.#isRefused || !mayRecord() || inputs.some(({ hold }) => !hold.storage)) return compute()
    const { kind, isNew } = this.#kinds.next(inputs, `${isFusionOn()} ${names ? JSON.stringify(names) : ''}`)
    if (isNew || kind.isRefused) return compute()
    try {
      const outputs = this.#again(kind, inputs)
      if (outputs) return outputs
      if (!kind.recorded?.recording.isReleased) return this.#record(kind, inputs, random, compute)
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error
    }
    // The heap was full: what fits without recordings must fit with them.
    this.#isRefused = true
    this.dispose()
    return compute()
  }

  dispose(): void {
    this.#kinds.dispose()
  }

  /** Undefined where there is nothing to run again, or other layers than before. */
  #again({ recorded }: Kind<RecordedPrediction>, inputs: readonly DlArray[]): DlArray[] | undefined {
    if (!recorded?.content.isUnchanged()) return undefined
    const { recording, content, outputs, results } = recorded
    const parameters = content.parameters()
    const isAlike = parameters.every((one, i) => {
      const before = recorded.parameters[i]
      return one.type === before?.type && one.numel === before.numel
    })
    const read = storagesOf([...inputs, ...parameters])
    if (!isAlike || parameters.length !== recorded.parameters.length || !isPlain(read)) return undefined
    const wasm = wasmBackend()
    const written: Storage[] = []
    try {
      for (const length of results) written.push(wasm.allocate(length, 'float32').retain())
      // Room for these may have been made of recordings.
      if (recording.isReleased) return undefined
      wasm.replay(recording, [...read, ...written])
      return outputs.map(({ size, dims, type, result }) => makeArray(written[result]!, size, dims, type))
    } finally {
      for (const storage of written) storage.release()
    }
  }

  #record(
    kind: Kind<RecordedPrediction>,
    inputs: readonly DlArray[],
    random: RandomStream,
    compute: () => DlArray[],
  ): DlArray[] {
    this.#kinds.forget(kind)
    const content = new LayerContent(this.#layers)
    const parameters = content.parameters()
    const read = storagesOf([...inputs, ...parameters])
    if (!isPlain(read) || !this.#kinds.hasRoom()) return compute()
    const wasm = wasmBackend()
    const before = JSON.stringify(random.state())
    const { result, recording } = wasm.record({ inputs: read, changing: [] }, compute)
    const written = [...new Set(storagesOf(result))]
    const isKept =
      recording !== undefined &&
      recording.bytesTaken <= LARGEST_BYTES &&
      JSON.stringify(random.state()) === before &&
      wasm.giveResults(recording, written)
    if (isKept)
      kind.recorded = {
        recording,
        content,
        parameters: parameters.map(({ type, numel }) => ({ type, numel })),
        outputs: result.map(({ size, dims, type, storage }) => ({
          size,
          dims,
          type,
          result: written.indexOf(storage),
        })),
        results: written.map(({ length }) => length),
      }
    else {
      kind.isRefused = true
      if (recording) wasm.releaseRecording(recording)
    }
    return result
  }
}

function storagesOf(arrays: readonly DlArray[]): Storage[] {
  return arrays.map(({ storage }) => storage)
}

/** Whether storages are each one of the heap. */
function isPlain(storages: readonly Storage[]): boolean {
  return storages.every(({ backend }) => backend === 'wasm') && new Set(storages).size === storages.length
}
