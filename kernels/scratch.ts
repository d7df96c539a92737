// Working memory of one thread. Every thread has its own instance of this module and therefore its own value of this
// global; the host sets it once, before the first kernel runs on that thread.

/** Bytes of working memory each thread owns: packed panels of a matrix product, a line of partial sums, ... */
export const SCRATCH_BYTES: i32 = 2 << 20;

/** Address of this thread's working memory, aligned to 64 bytes. Its content lasts for one kernel call only. */
export let scratch: usize = 0;

/** Called by the host, once per thread. */
export function setScratch(address: usize): void {
  scratch = address;
}

/** Tells the host how many bytes to reserve per thread. */
export function scratchBytes(): i32 {
  return SCRATCH_BYTES;
}
