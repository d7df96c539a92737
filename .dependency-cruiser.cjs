// Imports point one way: training -> network -> layers -> operations -> autodiff (recording) -> backends -> memory -> array
// -> errors. `io` stands beside network, `data` beside training, and `cli` above all.

/** What a folder of src may import besides itself. */
const below = {
  array: [],
  memory: ['array'],
  backends: ['array', 'memory'],
  operations: ['array', 'memory', 'backends', 'autodiff/record'],
  autodiff: ['array', 'memory', 'backends', 'operations'],
  layers: ['array', 'memory', 'autodiff', 'operations'],
  io: ['array', 'memory', 'operations'],
  network: ['array', 'memory', 'backends', 'autodiff', 'operations', 'layers', 'io'],
  data: ['array', 'memory', 'operations', 'layers'],
  training: ['array', 'memory', 'backends', 'autodiff', 'operations', 'layers', 'network', 'io', 'data', 'cli'],
}

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'index-is-the-door',
      comment: 'src/index.ts re-exports; nothing inside the library imports it.',
      severity: 'error',
      from: { path: '^src/(?!cli/)' },
      to: { path: '^src/index\\.ts$' },
    },
    ...Object.entries(below).map(([folder, allowed]) => ({
      name: `${folder}-imports-down`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: {
        path: '^src/',
        pathNot: `^src/(${[folder, ...allowed].join('|')})|^src/errors\\.ts$`,
      },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
}
