import { type Peer, type Prepared, Unsupported } from '../peer.js'
import { elements, inputsOf, type Task } from '../task.js'
import { onnxModel } from './onnx-model.js'

// onnxruntime-node and onnxruntime-web have one interface; this is the part of it that is used here.

interface OrtTensor {
  readonly data: Float32Array
}
interface OrtSession {
  run(feeds: Record<string, OrtTensor>, fetches?: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>
  release(): Promise<void>
}
export interface Ort {
  readonly Tensor: new (type: 'float32', data: Float32Array, size: readonly number[]) => OrtTensor
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<OrtSession> }
  readonly env: {
    readonly versions: { readonly common: string }
    readonly wasm: { numThreads?: number }
  }
}

export function onnxruntimePeer(ort: Ort, name: string, threads: number, options: object): Peer {
  return { version: `${name} ${ort.env.versions.common}`, threads, prepare: (task) => prepare(ort, task, options) }
}

async function prepare(ort: Ort, task: Task, options: object): Promise<Prepared> {
  const model = onnxModel(task, inputsOf(task))
  if (!model) throw new Unsupported('inference only')
  const session = await ort.InferenceSession.create(model.bytes, { ...options, graphOptimizationLevel: 'all' })
  const feeds = Object.fromEntries(
    Object.entries(model.inputs).map(([input, { values, size }]) => [input, new ort.Tensor('float32', values, size)]),
  )
  const { name, size } = model.output
  const fetches = { [name]: new ort.Tensor('float32', new Float32Array(elements(size)), size) }
  return {
    run: () => session.run(feeds),
    runReusing: () => session.run(feeds, fetches),
    outputs: async () => ({ [name]: (await session.run(feeds))[name]!.data }),
    release: () => void session.release(),
  }
}
