// From the embedded bytes of the kernels to an instance: what the engine must be able to do, memory shared between
// threads where that is possible, and the same module over unshared memory where it is not.

import { BackendError } from '../../errors.js'
import { kernelBytes } from './kernel-bytes.js'

/** Bytes of one WebAssembly page. */
const PAGE = 65536
const GIGABYTE = 2 ** 30
/** Pages the module asks for at least (scripts/build-kernels.mjs). */
const INITIAL_PAGES = 16

/** A module with one function that returns `i8x16.splat(i32.const 0)`: valid only where 128-bit SIMD is known. */
const SIMD_MODULE = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, 0x03, 0x02, 0x01, 0x00,
  0x0a, 0x08, 0x01, 0x06, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x0b,
])

/** Runs items `begin` to `end` (exclusive) of the work described by the block at address `block`. */
export type Kernel = (block: number, begin: number, end: number) => void

/** The exports that are no kernels: kernels/scratch.ts and kernels/pool.ts. */
interface HostExports {
  setScratch(address: number): void
  scratchBytes(): number
  heapBase(): number
  poolBytes(): number
  resetPool(control: number): void
  publish(control: number, kernel: number, block: number, items: number, grain: number): void
  close(control: number): number
  claim(control: number): number
  rangeEnd(control: number, begin: number): number
  finish(control: number, count: number): void
  pollDone(control: number, target: number, polls: number): number
  sleepWhileDone(control: number, done: number, milliseconds: number): void
  readyWorkers(control: number): number
  failureText(control: number): number
  failureBytes(control: number): number
}

export interface KernelInstance {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly host: HostExports
  /** The exported kernel of that name. */
  kernel(name: string): Kernel
  /** The largest size of the memory, in bytes. */
  readonly maximumBytes: number
  /** Why the memory is not shared; absent when it is. */
  readonly unsharedBecause?: string
}

interface InstanceOptions {
  /** Largest size of the memory, in bytes. Default 4 GB. */
  maximumBytes?: number
  /** Whether to share memory between threads where that is possible. Default true. */
  shared?: boolean
  /** The module's bytes. Default: the embedded kernels. */
  bytes?: Uint8Array<ArrayBuffer>
}

/** Throws {@link BackendError} where WebAssembly or its SIMD instructions are missing, or modules may not be compiled. */
function checkFeatures(): void {
  if (typeof WebAssembly === 'undefined')
    throw new BackendError({
      call: 'the wasm backend',
      expects: 'an engine with WebAssembly',
      got: 'one without it',
      remedy:
        "Run without --jitless or a lockdown mode, in Node 20 or a current browser, or use setBackend('reference').",
    })
  if (!WebAssembly.validate(SIMD_MODULE))
    throw new BackendError({
      call: 'the wasm backend',
      expects: 'an engine with 128-bit WebAssembly SIMD',
      got: 'one that rejects SIMD instructions',
      remedy:
        'Use Node 20 or a browser from 2023 on (Chrome 91, Firefox 89, Safari 16.4) on a processor with SSE4.1 or NEON, ' +
        "or use setBackend('reference').",
    })
  try {
    new WebAssembly.Module(SIMD_MODULE)
  } catch (cause) {
    // The module is valid: what remains is that compiling is forbidden.
    const problem = {
      call: 'the wasm backend',
      expects: 'leave to compile WebAssembly',
      got: `a refusal: ${cause instanceof Error ? cause.message.replace(/\.$/, '') : cause}`,
      remedy:
        "Allow it in the page's Content-Security-Policy: script-src 'self' 'wasm-unsafe-eval', and for threads " +
        "worker-src blob:; or use setBackend('reference').",
    }
    throw new BackendError(problem, { cause })
  }
}

/** Why memory cannot be shared between threads here, or undefined. */
function sharingImpossible(): string | undefined {
  // Node has no such property; in a browser it says whether the page was served with both headers.
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false)
    return (
      'the page is not cross-origin isolated: serve it with the headers ' +
      'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp (COOP and COEP)'
    )
  if (typeof SharedArrayBuffer === 'undefined') return 'this engine has no SharedArrayBuffer'
  return undefined
}

/**
 * The module with its imported memory declared unshared, so that it can be instantiated where shared memory is missing.
 * Atomic instructions are valid on unshared memory; waiting is not, and only the thread pool waits.
 * Source: WebAssembly specification, binary format of the import section.
 */
export function withUnsharedMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const patched = new Uint8Array(bytes)
  let at = 8 // after magic number and version
  const number = () => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = patched[at++] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
  }
  const skipName = () => {
    const length = number()
    at += length
  }
  const skipLimits = () => {
    const flags = patched[at++]!
    number()
    if (flags & 1) number()
  }
  while (at < patched.length) {
    const section = patched[at++]
    const end = number() + at
    if (section !== 2) {
      at = end
      continue
    }
    for (let imports = number(); imports > 0; imports--) {
      skipName()
      skipName()
      const kind = patched[at++]
      if (kind === 0) number()
      else if (kind === 1) {
        at++
        skipLimits()
      } else if (kind === 2) {
        patched[at]! &= ~2
        skipLimits()
      } else if (kind === 3) at += 2
      else throw new Error(`kernel module: import of unknown kind ${kind}`)
    }
    break
  }
  return patched
}

let embeddedShared: WebAssembly.Module | undefined
let embeddedUnshared: WebAssembly.Module | undefined

/** Compiles each form of the embedded module once. */
function compile(shared: boolean, bytes: Uint8Array<ArrayBuffer> | undefined): WebAssembly.Module {
  if (bytes) return new WebAssembly.Module(shared ? bytes : withUnsharedMemory(bytes))
  if (shared) {
    embeddedShared ??= new WebAssembly.Module(kernelBytes())
    return embeddedShared
  }
  embeddedUnshared ??= new WebAssembly.Module(withUnsharedMemory(kernelBytes()))
  return embeddedUnshared
}

/** A memory of at most `maximumBytes`, or of less where the system will not reserve that many addresses. */
function reserve(maximumBytes: number, shared: boolean): { memory: WebAssembly.Memory; maximumBytes: number } {
  const sizes = [maximumBytes, ...[2 * GIGABYTE, GIGABYTE].filter((bytes) => bytes < maximumBytes)]
  let cause: unknown
  for (const bytes of sizes) {
    try {
      const maximum = Math.max(INITIAL_PAGES, Math.floor(bytes / PAGE))
      const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum, shared })
      return { memory, maximumBytes: maximum * PAGE }
    } catch (error) {
      cause = error
    }
  }
  const problem = {
    call: 'the wasm backend',
    expects: 'addresses for a WebAssembly memory',
    got: `none for ${shared ? 'shared' : 'unshared'} memory of ${sizes.map((bytes) => `${bytes / GIGABYTE} GB`).join(', ')}`,
    remedy: 'Raise the limit on virtual memory (ulimit -v), or close other programs or tabs.',
  }
  throw new BackendError(problem, { cause })
}

/** Compiles and instantiates the kernels over a memory of their own. */
export function instantiateKernels(options: InstanceOptions = {}): KernelInstance {
  checkFeatures()
  const maximumBytes = options.maximumBytes ?? 4 * GIGABYTE
  let unsharedBecause = options.shared === false ? 'shared memory was switched off' : sharingImpossible()
  let reserved: ReturnType<typeof reserve> | undefined
  if (!unsharedBecause) {
    try {
      reserved = reserve(maximumBytes, true)
    } catch (error) {
      if (!(error instanceof BackendError)) throw error
      unsharedBecause = `shared memory cannot be had: ${error.problem.got}`
    }
  }
  reserved ??= reserve(maximumBytes, false)
  const module = compile(!unsharedBecause, options.bytes)
  const exports = new WebAssembly.Instance(module, { env: { memory: reserved.memory } }).exports
  return {
    module,
    ...reserved,
    host: exports as WebAssembly.Exports & HostExports,
    kernel(name) {
      const kernel = exports[name]
      if (typeof kernel !== 'function')
        throw new Error(`the kernel module has no kernel ${name}; run npm run build:kernels`)
      return kernel as Kernel
    },
    unsharedBecause,
  }
}
