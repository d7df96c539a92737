import type { WasmBackend } from '../../backends/wasm/backend.js'
import type { Grouping, NormalizationAddresses, NormalizationGradientAddresses } from './normalization.js'

// How planes of a few elements without gaps are cut for kernels/normalization/normalization-tiny.ts: by their sizes only.

/** The largest plane that goes this way. */
const LARGEST = 64
/** Columns of a row, at least, where it holds several observations. */
const LEAST_COLUMNS = 256
/** With as many channels, planes that do not fill a vector at the end of a row are not worth joining rows for. */
const MANY_CHANNELS = 1024
/** Most columns of an item where a row holds one observation. */
const TOGETHER = 2048
/** Most rows of an item: so many numbers are added in float32. */
const ROWS = 32
/** Elements that a thread takes at once: at least, at most, and so that it takes as many turns. */
const GRAIN = { least: 32768, most: 1048576, turns: 16 }

/** Whether each group is one plane of a few elements; its statistics are then taken from it again where they are needed. */
export function isTiny({ inner, channels, observations, outer, groupChannels }: Grouping): boolean {
  return (
    inner > 0 &&
    outer > 0 &&
    groupChannels === 1 &&
    (outer === 1 ? inner <= LARGEST : channels * observations === 1 && inner * outer <= LARGEST)
  )
}

function cutOf({ inner, outer, channels, observations, epsilon }: Grouping) {
  const planes = channels * observations
  // as many observations as make whole vectors of planes
  const whole = channels % 4 === 0 ? 1 : channels % 2 === 0 ? 2 : 4
  const joined = whole * Math.ceil(LEAST_COLUMNS / (whole * channels))
  const row = channels * (channels < MANY_CHANNELS ? Math.min(joined, observations) : 1)
  const together = row > channels ? row : Math.min(row, TOGETHER)
  const elements = inner * outer * planes
  const turn = Math.min(GRAIN.most, Math.max(GRAIN.least, elements / GRAIN.turns))
  const rows = Math.max(1, Math.min(ROWS, Math.floor(turn / (together * inner * outer))))
  const parts = Math.ceil(planes / (row * rows))
  return {
    block: { inner: inner * outer, channels, planes, row, together, rows, epsilon },
    parts,
    work: {
      items: parts * Math.ceil(row / together),
      grain: Math.max(1, Math.round(turn / (together * rows * inner * outer))),
    },
  }
}

/** As launchNormalization; statistics are 0 where they are not kept. */
export function launchTiny(wasm: WasmBackend, addresses: NormalizationAddresses, grouping: Grouping): void {
  const { block, work } = cutOf(grouping)
  wasm.launch('normalizeTiny', { ...addresses, ...block }, work)
}

/** As launchNormalizationGradient. */
export function launchTinyGradient(
  wasm: WasmBackend,
  addresses: Omit<NormalizationGradientAddresses, 'statistics'>,
  grouping: Grouping,
): void {
  const { block, parts, work } = cutOf(grouping)
  const { x, dy, dx, scale, dscale, doffset } = addresses
  const { channels } = grouping
  // kernels read whole vectors
  wasm.withTemporary(8 * channels * parts + 16, (planeSums) => {
    wasm.launch('normalizeTinyGradient', { x, dy, dx, scale, planeSums, ...block }, work)
    wasm.launch(
      'normalizeParameterGradient',
      { planeSums, dscale, doffset, channels, observations: parts },
      { items: channels, grain: 64 },
    )
  })
}
