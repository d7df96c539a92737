import type { Task } from './task.js'

/** A task made ready by one library: inputs where the library wants them, outputs computed at least once. */
export interface Prepared {
  /** The work as a user calls it. */
  run(): unknown
  /** The same work with the memory of its outputs reused, where that is another call. */
  runReusing?(): unknown
  /** The results by name, elements in the order of N C H W. Called before anything is timed. */
  outputs(): Promise<Record<string, Float32Array>> | Record<string, Float32Array>
  release?(): void
}

/** One library that computes tasks, alone in its process. */
export interface Peer {
  /** Name and version as the table shows them. */
  readonly version: string
  /** Threads it really uses. */
  readonly threads: number
  /** Throws {@link Unsupported} for what the library cannot do. */
  prepare(task: Task): Promise<Prepared>
}

/** What every file of a peer offers. */
export interface PeerModule {
  start(threads: number): Promise<Peer>
}

/** A library has no way to compute a task; the message says what is missing. */
export class Unsupported extends Error {}
