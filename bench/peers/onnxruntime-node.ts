import type { Peer } from '../peer.js'
import { type Ort, onnxruntimePeer } from './onnxruntime.js'

const name: string = 'onnxruntime-node'

export async function start(threads: number): Promise<Peer> {
  const ort = (await import(name)) as Ort
  const options = { executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1 }
  return onnxruntimePeer(ort, name, threads, options)
}
