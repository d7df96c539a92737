import type { Peer } from '../peer.js'
import { type Ort, onnxruntimePeer } from './onnxruntime.js'

const name: string = 'onnxruntime-web'

export async function start(threads: number): Promise<Peer> {
  const ort = (await import(name)) as Ort
  ort.env.wasm.numThreads = threads
  return onnxruntimePeer(ort, name, threads, { executionProviders: ['wasm'] })
}
