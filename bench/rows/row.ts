import type { Task } from '../task.js'

/** One line of the table. */
export interface Row {
  /** Chosen by `--rows`. */
  readonly name: string
  /** The size as the table shows it. */
  readonly size: string
  readonly task: Task
  /** What one call does, in the unit that the rate is given in per second. */
  readonly work: { readonly amount: number; readonly unit: 'GB' | 'GFLOP' | 'images' }
  /** Largest difference between libraries, relative to the root of the mean square of the result. */
  readonly tolerance: number
  /** What `--quick` does in place of it, where the whole takes too long for that. */
  readonly quick?: Pick<Row, 'size' | 'task' | 'work'>
}
