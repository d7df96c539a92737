// How threads share one job at a time: the words of the control region and the atomic steps over them. The host
// (src/backends/wasm/threads.ts) runs the loops around these steps; the layout of the region is known here only.
//
// A job is a kernel, its block, a number of items and a grain. The claim word holds the number of the job in its high
// half and the next unclaimed item in its low half. A thread reads the claim word, then the job, then moves the claim
// word on by one grain with a compare-exchange: when that succeeds the word did not change in between, so the job
// belonged to it. Between two jobs the low half is CLOSED, so that nobody can claim while the next job is written.

const CLAIM: usize = 0; // u64: number of the job << 32 | next item
const DONE: usize = 64; // i32: items finished
const KERNEL: usize = 128; // i32: index of the kernel among the sorted names
const BLOCK: usize = 132; // address of the parameter block
const ITEMS: usize = 136; // i32
const GRAIN: usize = 140; // i32: items claimed at once
const SLEEPERS: usize = 192; // i32: workers that wait for a job without spinning
const CALLER_SLEEPS: usize = 196; // i32: 1 while the caller waits for DONE without spinning
const READY: usize = 200; // i32: workers that have started
const FAILED: usize = 204; // i32: bytes of FAILURE once a kernel failed on a worker; 0 none has, -1 being written
const FAILURE: usize = 256; // UTF-8
const FAILURE_BYTES: i32 = 256;

const CLOSED: u64 = 0xffffffff;

// @ts-ignore: decorator
@inline
function at(control: usize, word: usize): usize {
  return control + word;
}

/** Where the host may put its own data: the end of the module's constants. */
export function heapBase(): usize {
  return __heap_base;
}

/** Bytes of a control region, which is aligned to 64 bytes and starts as zeros. */
export function poolBytes(): i32 {
  return <i32>FAILURE + FAILURE_BYTES;
}

export function resetPool(control: usize): void {
  memory.fill(control, 0, poolBytes());
  atomic.store<u64>(at(control, CLAIM), CLOSED);
}

/** The caller opens a job and wakes as many sleeping workers as there are grains beside its own. */
export function publish(control: usize, kernel: i32, block: usize, items: i32, grain: i32): void {
  const job = (atomic.load<u64>(at(control, CLAIM)) >> 32) + 1;
  store<i32>(at(control, KERNEL), kernel);
  store<usize>(at(control, BLOCK), block);
  store<i32>(at(control, ITEMS), items);
  store<i32>(at(control, GRAIN), grain);
  atomic.store<i32>(at(control, FAILED), 0);
  atomic.store<i32>(at(control, DONE), 0);
  atomic.store<u64>(at(control, CLAIM), job << 32);
  if (atomic.load<i32>(at(control, SLEEPERS)) > 0) {
    atomic.notify(at(control, CLAIM) + 4, (items - 1) / grain);
  }
}

/** The caller ends a job; no item can be claimed any more. Returns how many were. */
export function close(control: usize): i32 {
  const word = atomic.load<u64>(at(control, CLAIM)) | CLOSED;
  const next = atomic.xchg<u64>(at(control, CLAIM), word) & CLOSED;
  const items = <u64>load<i32>(at(control, ITEMS));
  return <i32>min<u64>(next, items);
}

/** The first item of a range that now belongs to this thread, or -1. */
export function claim(control: usize): i32 {
  while (true) {
    const word = atomic.load<u64>(at(control, CLAIM));
    const next = word & CLOSED;
    const items = <u64>load<i32>(at(control, ITEMS));
    if (next >= items) return -1;
    const grain = <u64>load<i32>(at(control, GRAIN));
    if (atomic.cmpxchg<u64>(at(control, CLAIM), word, word + grain) == word) return <i32>next;
  }
}

// What the job is. Only a thread that holds a claimed range may ask: the job stays until the range is finished.

export function jobKernel(control: usize): i32 {
  return load<i32>(at(control, KERNEL));
}

export function jobBlock(control: usize): usize {
  return load<usize>(at(control, BLOCK));
}

/** The end of the claimed range that begins at `begin`. */
export function rangeEnd(control: usize, begin: i32): i32 {
  const items = load<i32>(at(control, ITEMS));
  const grain = load<i32>(at(control, GRAIN));
  return items - begin < grain ? items : begin + grain;
}

/** A thread has run items it had claimed. The one that finishes the job wakes the caller if it sleeps. */
export function finish(control: usize, count: i32): void {
  // The job may be gone as soon as DONE is complete, so its size is read before.
  const items = load<i32>(at(control, ITEMS));
  const before = atomic.add<i32>(at(control, DONE), count);
  if (before + count == items && atomic.load<i32>(at(control, CALLER_SLEEPS)) != 0) {
    atomic.notify(at(control, DONE), 1);
  }
}

/** The number of the job that was published last. */
export function jobNumber(control: usize): i32 {
  return <i32>(atomic.load<u64>(at(control, CLAIM)) >> 32);
}

/** Looks up to `polls` times for a job other than `last`. */
export function pollJob(control: usize, last: i32, polls: i32): bool {
  for (let i = 0; i < polls; i++) if (jobNumber(control) != last) return true;
  return false;
}

/** A worker waits until there is a job other than `last`. */
export function sleepUntilJob(control: usize, last: i32): void {
  atomic.add<i32>(at(control, SLEEPERS), 1);
  atomic.wait<i32>(at(control, CLAIM) + 4, last, -1);
  atomic.sub<i32>(at(control, SLEEPERS), 1);
}

/** Looks up to `polls` times whether `target` items are finished; returns how many are. */
export function pollDone(control: usize, target: i32, polls: i32): i32 {
  let done = atomic.load<i32>(at(control, DONE));
  for (let i = 0; i < polls && done != target; i++) done = atomic.load<i32>(at(control, DONE));
  return done;
}

/** The caller waits, for `milliseconds` at most, while `done` items are finished. */
export function sleepWhileDone(control: usize, done: i32, milliseconds: i32): void {
  atomic.store<i32>(at(control, CALLER_SLEEPS), 1);
  atomic.wait<i32>(at(control, DONE), done, <i64>milliseconds * 1000000);
  atomic.store<i32>(at(control, CALLER_SLEEPS), 0);
}

/** A worker says that it runs. */
export function reportReady(control: usize): void {
  atomic.add<i32>(at(control, READY), 1);
}

export function readyWorkers(control: usize): i32 {
  return atomic.load<i32>(at(control, READY));
}

/** Where a worker writes how a kernel failed, and how many bytes there are. */
export function failureText(control: usize): usize {
  return at(control, FAILURE);
}

export function failureCapacity(): i32 {
  return FAILURE_BYTES;
}

/** Whether this worker is the first of the job on which a kernel fails, and therefore the one to write the text. */
export function claimFailure(control: usize): bool {
  return atomic.cmpxchg<i32>(at(control, FAILED), 0, -1) == 0;
}

/** The text of the failure is written and has `bytes` bytes. */
export function reportFailure(control: usize, bytes: i32): void {
  atomic.store<i32>(at(control, FAILED), bytes);
}

export function failureBytes(control: usize): i32 {
  return atomic.load<i32>(at(control, FAILED));
}
