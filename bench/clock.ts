/** Time that passes, or time that processors spend on this process: its own compilers and collectors included. */
export type Clock = 'wall' | 'cpu'

/** The reading of a clock in milliseconds. */
export function reading(clock: Clock): number {
  if (clock === 'wall') return performance.now()
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e3
}
