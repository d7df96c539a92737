// Training computes for long stretches; in between, timers, signals, progress bars and pages want their turn.

/** Milliseconds after which others get a turn. */
const STRETCH = 25

/** A turn of the event loop, as soon as possible: timers would wait 1 to 4 ms. */
function turn(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve))
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
}

/** To be called often; gives a promise to await when the last turn of the event loop was some time ago. */
export function pacer(): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < STRETCH) return undefined
    return turn().then(() => {
      last = performance.now()
    })
  }
}
