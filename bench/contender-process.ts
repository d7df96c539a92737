import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { compiledFile } from './compilation.js'
import type { Failure, Hello, Ready, Refusal, Request, Times } from './protocol.js'

/** In the order of the table's columns. */
export const contenderNames = [
  'dlnet',
  'copy',
  'onnxruntime-node',
  'onnxruntime-web',
  'tfjs',
  'jax-js',
  'pytorch',
] as const
export type ContenderName = (typeof contenderNames)[number]

/** Longest wait for an answer. A library that needs longer for a row is not waited for. */
const PATIENCE_SECONDS = 60

/** A contender's process. It computes only between a request and its answer. */
export class Contender {
  readonly name: ContenderName
  readonly hello: Hello
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #lines: AsyncIterator<string>

  private constructor(
    name: ContenderName,
    hello: Hello,
    child: ChildProcessByStdio<Writable, Readable, Readable>,
    lines: AsyncIterator<string>,
  ) {
    this.name = name
    this.hello = hello
    this.#child = child
    this.#lines = lines
  }

  /** The contender, or why there is none. */
  static async start(name: ContenderName, threads: number): Promise<Contender | string> {
    const command = commandOf(name, threads)
    if (typeof command === 'string') return command
    const [program, ...given] = command
    const child = spawn(program!, given, { stdio: ['pipe', 'pipe', 'pipe'] })
    let complaints = ''
    child.stderr.on('data', (chunk: Buffer) => {
      complaints = (complaints + chunk.toString()).slice(-2000)
    })
    child.stdin.on('error', () => {})
    const started = await new Promise<boolean>((resolve) => {
      child.once('spawn', () => resolve(true))
      child.once('error', () => resolve(false))
    })
    if (!started) return `${program} does not start`
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const hello = await nextAnswer<Hello>(lines, child)
    if ('failure' in hello)
      return complaints ? `${hello.failure}: ${complaints.trim().split('\n').at(-1)}` : hello.failure
    return new Contender(name, hello, child, lines)
  }

  async ask(request: Request & { ask: 'prepare' }): Promise<Ready | Refusal | Failure>
  async ask(request: Request & { ask: 'time' }): Promise<Times | Failure>
  async ask(request: Request & { ask: 'release' }): Promise<object>
  async ask(request: Request): Promise<object> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`)
    return nextAnswer(this.#lines, this.#child)
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  async stop(): Promise<void> {
    if (!this.running) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.stdin.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3000)
    await ended
    clearTimeout(timer)
  }
}

async function nextAnswer<T extends object>(
  lines: AsyncIterator<string>,
  child: ChildProcessByStdio<Writable, Readable, Readable>,
): Promise<T | Failure> {
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_SECONDS * 1000)
  try {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) return { failure: child.killed ? `over ${PATIENCE_SECONDS} s` : 'its process ended' }
      // Libraries that print to standard output do not print JSON objects.
      if (value.startsWith('{')) return JSON.parse(value) as T
    }
  } finally {
    clearTimeout(timer)
  }
}

const contenderFile = fileURLToPath(new URL('./contender.ts', import.meta.url))
const pythonFile = fileURLToPath(new URL('./peers/pytorch.py', import.meta.url))

function commandOf(name: ContenderName, threads: number): string[] | string {
  if (name === 'dlnet') return [process.execPath, compiledFile('contender'), name, String(threads)]
  if (name !== 'pytorch') return [process.execPath, '--import', 'tsx', contenderFile, name, String(threads)]
  const python = pythonWithTorch()
  return python ? [python, pythonFile, String(threads)] : 'not installed'
}

let found: string | undefined | null = null

/** A Python that has PyTorch: the one named by DLNET_BENCH_PYTHON, or the first that is found. */
export function pythonWithTorch(): string | undefined {
  if (found === null) {
    const chosen = process.env.DLNET_BENCH_PYTHON
    const candidates = chosen ? [chosen] : ['python3', '/usr/bin/python3']
    found = candidates.find(
      (python) => spawnSync(python, ['-c', 'import torch, numpy'], { stdio: 'ignore' }).status === 0,
    )
  }
  return found
}
