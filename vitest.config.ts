import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    // Kernels run on threads of their own; test files side by side would only compete for the same processors.
    fileParallelism: false,
    pool: 'forks',
  },
})
