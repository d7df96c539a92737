// What a library costs before it computes: the time to the first prediction in a process of its own, and the bytes that a
// browser loads.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { compiledFile, published } from './compilation.js'
import type { ContenderName } from './contender-process.js'
import { median } from './measure.js'
import { onnxModel } from './peers/onnx-model.js'
import { inputsOf, type Task } from './task.js'

export interface Footprint {
  /** Chosen by `--rows`. */
  readonly name: string
  /** What is measured. */
  readonly size: string
  readonly goal: string
  /** Cells of the table by contender; those it does not know are left out. */
  measure(wanted: readonly ContenderName[], quick: boolean): Promise<Partial<Record<ContenderName, string>>>
}

const folder = fileURLToPath(new URL('.', import.meta.url))

const start: Footprint = {
  name: 'start',
  size: "import and first prediction of the page's network, fresh process",
  goal: 'under 150 ms',
  async measure(wanted, quick) {
    const files = mkdtempSync(join(tmpdir(), 'dlnet-bench-'))
    const model = join(files, 'network.onnx')
    const task: Task = { kind: 'network', pass: 'predict', batch: 1 }
    writeFileSync(model, onnxModel(task, inputsOf(task))!.bytes)
    const names = (['dlnet', 'onnxruntime-node', 'onnxruntime-web'] as const).filter((name) => wanted.includes(name))
    const times = new Map(names.map((name) => [name, [] as number[]]))
    const failures: Partial<Record<ContenderName, string>> = {}
    try {
      // In turns; the first round fills the cache of files and does not count.
      for (let round = 0; round <= (quick ? 3 : 11); round++)
        for (const name of names) {
          if (failures[name]) continue
          const milliseconds = await firstPrediction(name, name === 'dlnet' ? published.node : model)
          if (milliseconds === undefined) failures[name] = 'failed'
          else if (round > 0) times.get(name)!.push(milliseconds)
        }
    } finally {
      rmSync(files, { recursive: true, force: true })
    }
    const own = times.get('dlnet')
    return Object.fromEntries(
      names.map((name) => {
        const taken = median(times.get(name)!)
        const ratio = name === 'dlnet' || !own?.length ? '' : `, ${(taken / median(own)).toFixed(2)}x`
        return [name, failures[name] ?? `${taken.toFixed(0)} ms${ratio}`]
      }),
    )
  },
}

async function firstPrediction(name: ContenderName, file: string): Promise<number | undefined> {
  const child = spawn(process.execPath, [compiledFile('first-prediction'), name, file], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 30_000,
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const status = await new Promise((resolve) => child.once('close', resolve))
  const line = said.split('\n').find((line) => line.startsWith('{'))
  return status === 0 && line ? (JSON.parse(line) as { milliseconds: number }).milliseconds : undefined
}

const PREDICTION = [
  'dlarray',
  'dlnetwork',
  'imageInputLayer',
  'convolution2dLayer',
  'instanceNormalizationLayer',
  'reluLayer',
  'maxPooling2dLayer',
  'fullyConnectedLayer',
  'softmaxLayer',
]

/** Bytes of what `names` of dlnet need in a browser, kernels included, minified and compressed. */
export async function bundledBytes(names: readonly string[] | 'all', entry = published.modules): Promise<number> {
  const wanted = names === 'all' ? '*' : `{ ${names.join(', ')} }`
  return compressed(await bundled(`export ${wanted} from ${JSON.stringify(entry)}`))
}

const compressed = (bytes: Uint8Array) => gzipSync(bytes, { level: 9 }).length

async function bundled(contents: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: folder },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    external: ['node:*'],
    write: false,
    logLevel: 'error',
  })
  return outputFiles[0]!.contents
}

/** Libraries with a file of WebAssembly beside their JavaScript: entry and that file. */
const peers = {
  'onnxruntime-web': {
    entry: 'onnxruntime-web/wasm',
    wasm: 'onnxruntime-web/dist/ort-wasm-simd-threaded.wasm',
  },
  tfjs: {
    entry: '@tensorflow/tfjs-backend-wasm',
    wasm: '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm',
  },
}

async function peerBytes({ entry, wasm }: { entry: string; wasm: string }): Promise<string> {
  const module = `${folder}node_modules/${wasm}`
  if (!existsSync(module)) return 'not installed'
  const script = await bundled(`export * from ${JSON.stringify(entry)}`)
  return kilobytes(compressed(script) + compressed(readFileSync(module)))
}

const kilobytes = (bytes: number) => `${(bytes / 1e3).toFixed(0)} kB`

function bundle(name: string, size: string, names: readonly string[] | 'all', others: boolean): Footprint {
  return {
    name,
    size,
    goal: 'under 150 kB',
    async measure(wanted) {
      const cells: Partial<Record<ContenderName, string>> = {}
      if (wanted.includes('dlnet')) cells.dlnet = kilobytes(await bundledBytes(names))
      for (const peer of others ? (['onnxruntime-web', 'tfjs'] as const) : [])
        if (wanted.includes(peer)) cells[peer] = await peerBytes(peers[peer])
      return cells
    },
  }
}

export const footprints: readonly Footprint[] = [
  start,
  bundle('bundle-all', 'browser bundle with kernels, all of the library, gzip', 'all', true),
  bundle(
    'bundle-train',
    "the same, only what training of the page's network needs",
    [...PREDICTION, 'trainnet', 'trainingOptions'],
    false,
  ),
  bundle('bundle-predict', 'the same, only what its prediction needs', PREDICTION, false),
]
