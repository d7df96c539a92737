import type { BackendName } from '../array/storage.js'
import { asText, OptionError } from '../errors.js'
import { largestArrays } from '../memory/live.js'
import type { Backend, BackendInfo } from './backend.js'
import { referenceBackend } from './reference/storage.js'
import { createWasmBackend, type WasmBackend } from './wasm/backend.js'

// Which backend runs kernels. `single` and `logical` arrays use the chosen one, `double` arrays always the reference.

/** How many of the largest arrays the error of a full heap names. */
const ARRAYS_IN_ERROR = 5

let chosen: BackendName = 'wasm'
let wasm: WasmBackend | undefined

/** The WebAssembly backend, started when first used. Throws a {@link BackendError} where WebAssembly SIMD is missing. */
export function wasmBackend(): WasmBackend {
  if (!wasm) {
    wasm = createWasmBackend()
    wasm.describeLargest = () =>
      largestArrays(ARRAYS_IN_ERROR, (storage) => storage.backend === 'wasm')
        .map(({ text }) => `  ${text}`)
        .join('\n')
  }
  return wasm
}

export function backendNamed(name: BackendName): Backend {
  return name === 'wasm' ? wasmBackend() : referenceBackend
}

/** To be called before functions of the user's: they may do anything, so that a recording made meanwhile cannot be used. */
export function refuseRecording(): void {
  wasm?.refuseRecording()
}

/** The backend that `single` arrays use. */
export function chosenBackend(): BackendName {
  return chosen
}

/**
 * Chooses the backend of `single` arrays made from now on: `'wasm'` (default; WebAssembly SIMD with threads) or
 * `'reference'` (plain TypeScript, slow, for checking).
 */
export function setBackend(name: BackendName): void {
  if (name !== 'wasm' && name !== 'reference')
    throw new OptionError({
      call: 'setBackend',
      expects: "'wasm' or 'reference'",
      got: `${asText(name)}`,
      remedy: "Use 'wasm' for speed, 'reference' to check values.",
    })
  chosen = name
}

/** Name, threads and SIMD of the backend in use, and why it runs on one thread if it does. */
export function backendInfo(): BackendInfo {
  return backendNamed(chosen).info()
}

/** Sets the number of threads that run kernels, the calling one included. Results are the same bits for any number. */
export function setThreads(threads: number): void {
  if (!Number.isInteger(threads) || threads < 1)
    throw new OptionError({
      call: 'setThreads',
      expects: 'a positive whole number of threads',
      got: asText(threads),
      remedy: 'Use 1 to run on the calling thread alone.',
    })
  wasmBackend().setThreads(threads)
}

/** The backends that have been started. */
export function startedBackends(): Backend[] {
  return wasm ? [wasm, referenceBackend] : [referenceBackend]
}
