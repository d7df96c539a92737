// The process of one contender: `contender.ts NAME THREADS` starts that peer and answers requests.

import { createInterface } from 'node:readline'
import { type Clock, reading } from './clock.js'
import type { ContenderName } from './contender-process.js'
import { type Peer, type PeerModule, type Prepared, Unsupported } from './peer.js'
import { type Failure, type Ready, type Refusal, type Request, sketch, type Times } from './protocol.js'

const WARM_UP_CALLS = 3
const WARM_UP_LONGEST = 2000

/** Those that run in Node. */
const modules: Record<Exclude<ContenderName, 'pytorch'>, () => Promise<PeerModule>> = {
  dlnet: () => import('./peers/dlnet.js'),
  copy: () => import('./peers/copy.js'),
  'onnxruntime-node': () => import('./peers/onnxruntime-node.js'),
  'onnxruntime-web': () => import('./peers/onnxruntime-web.js'),
  tfjs: () => import('./peers/tfjs.js'),
  'jax-js': () => import('./peers/jax-js.js'),
}

const [name, threads] = process.argv.slice(2)
const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`)
// Libraries that print must not be taken for answers.
console.log = console.info = console.debug = console.error

async function timed(work: () => unknown, clock: Clock = 'wall'): Promise<number> {
  const start = reading(clock)
  const pending = work()
  if (pending instanceof Promise) await pending
  return reading(clock) - start
}

/** Calls until compilers and caches have settled; gives the shortest time. */
async function warmUp(work: () => unknown, milliseconds: number): Promise<number> {
  const start = performance.now()
  let shortest = Number.POSITIVE_INFINITY
  for (let calls = 0; ; calls++) {
    const spent = performance.now() - start
    if (calls > 0 && spent > WARM_UP_LONGEST) break
    if (calls >= WARM_UP_CALLS && spent > milliseconds) break
    shortest = Math.min(shortest, await timed(work))
  }
  return shortest
}

let peer: Peer
let prepared: Prepared | undefined

async function answer(request: Request): Promise<Ready | Times | Refusal | Failure | object> {
  if (request.ask === 'release') {
    prepared?.release?.()
    prepared = undefined
    return {}
  }
  if (request.ask === 'prepare') {
    try {
      prepared = await peer.prepare(request.task)
    } catch (error) {
      if (error instanceof Unsupported) return { unsupported: error.message }
      throw error
    }
    const outputs = Object.fromEntries(
      Object.entries(await prepared.outputs()).map(([output, values]) => [output, sketch(values)]),
    )
    const { run, runReusing } = prepared
    const milliseconds = await warmUp(run, request.warmUp)
    if (runReusing) await warmUp(runReusing, request.warmUp)
    return { outputs, milliseconds, reuses: runReusing !== undefined }
  }
  if (!prepared) throw new Error('nothing is prepared')
  const work = (request.reusing && prepared.runReusing) || prepared.run
  if (request.settling) await timed(work)
  const milliseconds: number[] = []
  for (let call = 0; call < request.calls; call++) milliseconds.push(await timed(work, request.clock))
  return { milliseconds }
}

try {
  const load = modules[name as keyof typeof modules]
  peer = await (await load()).start(Number(threads))
  say({ version: peer.version, threads: peer.threads })
} catch (error) {
  say({ failure: describe(error) })
  process.exit(0)
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    say(await answer(JSON.parse(line) as Request))
  } catch (error) {
    say({ failure: describe(error) })
  }
}
process.exit(0)

function describe(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const missing = /Cannot find (?:package|module) '([^']+)'/.exec(message)
  return missing ? `not installed: ${missing[1]}` : message.split('\n')[0]!
}
