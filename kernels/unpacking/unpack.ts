// Unpacks the module of the kernels: a module of its own, which runs once. scripts/pack-kernels.mjs writes what this reads,
// by the same code compiled with ENCODING, so that both predict the same.
//
// A module is a sequence of instructions and their operands, all cut into binary decisions. Four predictions of a decision,
// each learned in a context of its own, are mixed by weights that learn too, and an arithmetic coder keeps what was not
// predicted. Source: M. Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", Florida Tech CS-2005-16.

/** Operands of an instruction: what they are, and the contexts that predict them. Others are numbers in the format LEB128. */
const REST: i32 = 0; // a byte outside of functions, and of the table of instructions
const PARAMETERS: i32 = 1; // begins a function: how many parameters it takes
const LOCAL: i32 = 2; // a local variable, by how many others were used since
const VECTOR: i32 = 3; // 16 bytes, each as the one four before it changed
const SHUFFLE: i32 = 4; // 16 bytes, each as what it is above the one before it
const FIRST_NUMBER: i32 = 8; // from here on as many bytes as the number has, below as many as the instruction says
const OPERANDS: i32 = 16;
/** Symbols that are no operands: which instruction comes next, the type of a local variable. */
const INSTRUCTION: i32 = 16;
const TYPE: i32 = 17;
const KINDS: i32 = 18;

const CONTEXTS: i32 = 4;
/** Nodes of a kind of symbols that have weights of their own. */
const NODES: i32 = 16;
const SLOTS: i32 = 1 << 22;
const FIRST_WEIGHT: f32 = 0.3;
const LEARNING: f32 = 0.015;
/** A slot holds a probability of 12 bits and, in the lower 4, from how many decisions it was learned, up to a limit. */
const ONE: i32 = 4096;
const LIMIT: i32 = 15;
/** Logarithms of odds from -8 to 8 in steps of 1/256. */
const STEPS: i32 = 256;
const REACH: i32 = 8;

// The memory. The host writes the packed module to PACKED and finds the module at MODULE.
const USED: usize = 0; // addresses of the slots of a decision
const INPUTS: usize = 64;
const HASHES: usize = 128;
const RECENT: usize = 0x200; // local variables in the order of their last use, and by their index:
const MADE: usize = 0x300; // the instruction that made the value
const FOLLOWER: usize = 0x400; // the variable that was used after it
const STATES_END: usize = 0x500;
const TYPES: usize = 0x700; // types of the variables that are no parameters
const BEFORE: usize = 0x800; // the last four bytes of each kind of operand
const RATES: usize = 0x900;
const WEIGHTS: usize = 0x1000;
const STRETCHED: usize = 0x8000; // from probability to logarithm of odds
const SQUASHED: usize = 0xc000; // and back, in 1/65536
const TABLE: usize = 0x10000; // where each instruction is described
const PACKED: usize = 0x20000;
const MODULE: usize = 0x60000;
const MODULE_END: usize = 0x100000;
const SLOTS_BEGIN: usize = MODULE_END;
const DECISIONS: usize = SLOTS_BEGIN + SLOTS * 2; // ENCODING: the decisions, one byte each

let low: u32 = 0;
let high: u32 = 0xffffffff;
let code: u32 = 0;
let packed: usize = PACKED;
let decisions: usize = DECISIONS;
let end: usize = MODULE;

let functions: i32 = 0;
let begin: usize = 0;
let parameters: i32 = 0;
let variables: i32 = 0;
let last: i32 = 0;
// Each of the last ones plus 1: instructions, what made the last variable that was used, and ranks.
let t0: i32 = 0;
let t1: i32 = 0;
let t2: i32 = 0;
let t3: i32 = 0;
let t4: i32 = 0;
let made0: i32 = 0;
let rank0: i32 = 0;
let rank1: i32 = 0;
let rank2: i32 = 0;

/** Where the host writes the packed module. */
export function packedBegin(): usize {
  return PACKED;
}

/** Where it finds the module. */
export function moduleBegin(): usize {
  return MODULE;
}

/** Where the decisions to be packed are. */
export function decisionsBegin(): usize {
  return DECISIONS;
}

function mix(hash: i32, value: i32): i32 {
  const mixed = (hash ^ (value + 0x7f4a7c15)) * 0x2c1b3c6d;
  return mixed ^ (mixed >>> 15);
}

function predictFrom(h0: i32, h1: i32, h2: i32, h3: i32): void {
  store<i32>(HASHES, h0);
  store<i32>(HASHES, h1 + 1, 4);
  store<i32>(HASHES, h2 + 2, 8);
  store<i32>(HASHES, h3 + 3, 12);
  for (let i: usize = 0; i < <usize>CONTEXTS * 4; i += 4) store<i32>(HASHES + i, (load<i32>(HASHES + i) * 0x85ebca6b) >>> 8);
}

/** The next decision, which is 1 with a probability given in 1/65536: arithmetic coding with 32 bits. */
function decisionOf(probability: u32): i32 {
  const middle = low + <u32>((<u64>(high - low) * probability) >> 16);
  let decision: i32;
  if (isDefined(ENCODING)) decision = load<u8>(decisions++);
  else decision = i32(code <= middle);
  if (decision) high = middle;
  else low = middle + 1;
  while ((low ^ high) >>> 24 == 0) {
    if (isDefined(ENCODING)) store<u8>(packed, high >>> 24);
    else code = (code << 8) | load<u8>(packed);
    packed++;
    low <<= 8;
    high = (high << 8) | 255;
  }
  return decision;
}

function decide(node: i32, weights: usize): i32 {
  let sum: f32 = 0;
  for (let i: usize = 0; i < <usize>CONTEXTS * 4; i += 4) {
    const slot = SLOTS_BEGIN + (((load<i32>(HASHES + i) + node) & (SLOTS - 1)) << 1);
    const input = load<f32>(STRETCHED + ((<usize>load<u16>(slot) >> 4) << 2));
    store<u32>(USED + i, <u32>slot);
    store<f32>(INPUTS + i, input);
    sum += load<f32>(weights + i) * input;
  }
  const step = min(max(i32((sum + f32(REACH)) * f32(STEPS)), 0), 2 * REACH * STEPS - 1);
  const probability = <i32>load<u16>(SQUASHED + (step << 1));
  const decision = decisionOf(probability);
  const correction = f32((decision << 16) - probability) * (LEARNING / 65536);
  for (let i: usize = 0; i < <usize>CONTEXTS * 4; i += 4) {
    store<f32>(weights + i, load<f32>(weights + i) + correction * load<f32>(INPUTS + i));
    const slot = <usize>load<u32>(USED + i);
    const before = <i32>load<u16>(slot);
    const count = before & LIMIT;
    const rate = load<i32>(RATES + (count << 2));
    let learned = before >> 4;
    if (learned == 0) learned = ONE / 2;
    learned += decision ? ((ONE - learned) * rate) >> 16 : -((learned * rate) >> 16);
    store<u16>(slot, (learned << 4) | min(count + 1, LIMIT));
  }
  return decision;
}

/** A number from 0 to 510: how many binary digits follow the first one of the number that comes after it, and these. */
function symbol(kind: i32): i32 {
  const weights = WEIGHTS + kind * (NODES * CONTEXTS * 4);
  let digits = 0;
  while (digits < 8 && decide(digits, weights + digits * (CONTEXTS * 4))) digits++;
  let value = 1;
  for (let i = 0; i < digits; i++)
    value = value * 2 + decide(8 + (1 << digits) + value, weights + min(9 + i, NODES - 1) * (CONTEXTS * 4));
  return value - 1;
}

/** A byte of an operand other than a local variable: the one at `position` of a number or a vector. */
function byteOf(kind: i32, position: i32, instruction: i32): i32 {
  const bytes = BEFORE + (kind << 2);
  const b0 = <i32>load<u8>(bytes);
  const b1 = <i32>load<u8>(bytes, 1);
  const b2 = <i32>load<u8>(bytes, 2);
  const b3 = <i32>load<u8>(bytes, 3);
  const base = mix(mix(kind, position), position > 0 ? b0 : 0);
  const own = mix(base, instruction);
  predictFrom(own, mix(own, b0), mix(mix(own, t0), t1), mix(mix(mix(mix(base, b0), b1), b2), b3));
  let byte = symbol(kind);
  if (kind == VECTOR && position > 3) byte ^= b3;
  if (kind == SHUFFLE && position > 0) byte = (byte + b0 + 1) & 255;
  store<u32>(bytes, (load<u32>(bytes) << 8) | byte);
  return byte;
}

function write(byte: i32): void {
  store<u8>(end++, byte);
}

function beginFunction(count: i32): void {
  memory.fill(RECENT, 0, STATES_END - RECENT);
  functions++;
  begin = end;
  parameters = variables = count;
  for (let i = 0; i < count; i++) store<u8>(RECENT + i, i);
  last = made0 = 0;
}

/** Puts the size of the function and the types of its local variables before its instructions. */
function endFunction(): void {
  const own = variables - parameters;
  let runs = 0;
  for (let i = 0; i < own; i++) runs += i32(i == 0 || load<u8>(TYPES + i) != load<u8>(TYPES + i - 1));
  const size = <u32>(end - begin) + 1 + 2 * runs;
  const head = 2 + 2 * runs + i32(size >= 1 << 7) + i32(size >= 1 << 14);
  memory.copy(begin + head, begin, end - begin);
  const instructions = end + head;
  end = begin;
  let rest = size;
  for (; rest > 127; rest >>= 7) write((rest & 127) | 128);
  write(rest);
  write(runs);
  for (let i = 0; i < own; ) {
    const type = load<u8>(TYPES + i);
    let count = 0;
    while (i < own && load<u8>(TYPES + i) == type) {
      i++;
      count++;
    }
    write(count);
    write(type);
  }
  end = instructions;
}

function local(instruction: i32, reads: bool): void {
  const l0 = <usize>load<u8>(RECENT);
  const l1 = <usize>load<u8>(RECENT, 1);
  const l2 = <usize>load<u8>(RECENT, 2);
  const follower = <i32>load<u8>(FOLLOWER + last) - 1;
  let expected = 0;
  while (expected < variables && load<u8>(RECENT + expected) != follower) expected++;
  const base = mix(LOCAL, instruction);
  const history = mix(base, t0);
  const longer = mix(history, t1);
  predictFrom(
    longer,
    mix(mix(mix(mix(longer, t2), rank0), rank1), rank2),
    mix(mix(mix(mix(history, expected), load<u8>(MADE + l0)), load<u8>(MADE + l1)), load<u8>(MADE + l2)),
    mix(mix(base, functions), variables),
  );
  const rank = symbol(LOCAL);
  let index = variables;
  if (rank == 0) {
    const base = mix(TYPE, t0);
    predictFrom(base, mix(base, t1), mix(base, instruction), mix(base, made0));
    store<u8>(TYPES + index - parameters, 127 - symbol(TYPE));
    variables++;
    memory.copy(RECENT + 1, RECENT, index);
  } else {
    index = load<u8>(RECENT + rank - 1);
    memory.copy(RECENT + 1, RECENT, rank - 1);
  }
  store<u8>(RECENT, index);
  if (!reads) store<u8>(MADE + index, t0);
  store<u8>(FOLLOWER + last, index + 1);
  last = index;
  made0 = load<u8>(MADE + index) + 1;
  rank2 = rank1;
  rank1 = rank0;
  rank0 = rank + 1;
  write(index);
}

function prepare(): void {
  let odds: f64 = 1 / 2980.9579870417283;
  let probability: i32 = 1;
  for (let i = 0; i < 2 * REACH * STEPS; i++) {
    const squashed = odds / (1 + odds);
    store<u16>(SQUASHED + (i << 1), <u32>(squashed * 65536));
    for (; probability < squashed * ONE; probability++)
      store<f32>(STRETCHED + (probability << 2), f32(i - REACH * STEPS) / f32(STEPS));
    odds *= 1.0039138893383475;
  }
  for (; probability < ONE; probability++) store<f32>(STRETCHED + (probability << 2), f32(REACH));
  for (let i = 0; i <= LIMIT; i++) store<i32>(RATES + (i << 2), <i32>(65536 / (i + 1.3)));
  for (let i = 0; i < KINDS * NODES * CONTEXTS; i++) store<f32>(WEIGHTS + (i << 2), FIRST_WEIGHT);
  if (!isDefined(ENCODING)) {
    code = bswap(load<u32>(PACKED));
    packed += 4;
  }
}

/**
 * Unpacks the module, and gives the address behind it (with ENCODING, the address behind the packed one). First comes a
 * table: how many instructions there are, and of each the number of bytes of its code and these, the number of its operands
 * and their kinds. An instruction without code and operands ends the module.
 */
export function unpack(): usize {
  prepare();
  const count = byteOf(REST, 0, 0);
  let table = TABLE + 1024;
  for (let i = 0; i < count; i++) {
    store<u32>(TABLE + (i << 2), <u32>table);
    for (let part = 0; part < 2; part++) {
      const length = byteOf(REST, 1 + part, 0);
      store<u8>(table++, length);
      for (let j = 0; j < length; j++) store<u8>(table++, byteOf(REST, 3 + part, 0));
    }
  }
  for (;;) {
    const base = mix(INSTRUCTION, t0);
    const four = mix(mix(mix(base, t1), t2), t3);
    predictFrom(base, mix(base, made0), four, mix(mix(four, t4), made0));
    const instruction = symbol(INSTRUCTION);
    let at = <usize>load<u32>(TABLE + (instruction << 2));
    const bytes = load<u8>(at++);
    const reads = load<u8>(at) == 0x20;
    for (let i = 0; i < <i32>bytes; i++) write(load<u8>(at++));
    const operands = <i32>load<u8>(at++);
    const first = operands > 0 ? <i32>load<u8>(at) : REST;
    if (bytes == 0 && first <= PARAMETERS) {
      if (begin) endFunction();
      begin = 0;
      if (operands == 0) break;
    }
    for (let i = 0; i < operands; i++) {
      const kind = <i32>load<u8>(at + i);
      if (kind == PARAMETERS) beginFunction(byteOf(kind, 0, instruction));
      else if (kind == LOCAL) local(instruction, reads);
      else if (kind < FIRST_NUMBER) write(byteOf(kind, i, instruction));
      else {
        let position = 0;
        let byte: i32;
        do {
          byte = byteOf(kind, position++, instruction);
          write(byte);
        } while (byte > 127);
      }
    }
    t4 = t3;
    t3 = t2;
    t2 = t1;
    t1 = t0;
    t0 = instruction + 1;
  }
  if (isDefined(ENCODING)) {
    store<u32>(packed, bswap(low));
    return packed + 4;
  }
  return end;
}
