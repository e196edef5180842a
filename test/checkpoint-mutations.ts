/** Broken checkpoint files, and some that only look it: what a reader must survive. */
import { words } from "./reference/prng.ts";

export interface Mutation {
  readonly kind: string;
  readonly file: Uint8Array;
  /**
   * What reading must give: an error; the state of the base file; the base's state or an error (for what depends on limits);
   * or, for bits that have been flipped at random, an error or what JSON.parse finds in the file.
   */
  readonly must: "fail" | "read" | "read or fail" | "agree";
}

interface Random {
  /** Below `n`, whole. */
  below(n: number): number;
  pick<T>(list: readonly T[]): T;
}

function randomOf(seed: number, stream: number): Random {
  let i = 0;
  const below = (n: number): number => Math.floor((words(seed, stream, 0, i++).w1 / 2 ** 32) * n);
  return { below, pick: (list) => list[below(list.length)]! };
}

/** A file in its two parts. */
export function partsOf(file: Uint8Array): { header: string; data: Uint8Array } {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  return { header: new TextDecoder().decode(file.subarray(8, 8 + length)), data: file.subarray(8 + length) };
}

export function fileOf(header: string, data: Uint8Array, length?: bigint): Uint8Array {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
  /** As it stands in the header. */
  readonly text: string;
}

function entriesOf(header: string): Entry[] {
  const found = header.matchAll(/"([^"]+)":\{"dtype":"(\w+)","shape":\[([\d,]*)\],"data_offsets":\[(\d+),(\d+)\]\}/g);
  return [...found].map(([text, name, dtype, shape, begin, end]) => ({
    text,
    name: name!,
    dtype: dtype!,
    shape: shape === "" ? [] : shape!.split(",").map(Number),
    begin: Number(begin),
    end: Number(end),
  }));
}

type Make = (random: Random, base: Uint8Array) => { file: Uint8Array; must: Mutation["must"] };

/** Changes the header, after which the file must be refused unless it says otherwise. */
const header =
  (change: (random: Random, text: string, entry: Entry) => string, must: Mutation["must"] = "fail"): Make =>
  (random, base) => {
    const { header: text, data } = partsOf(base);
    // Now and then what is put in is what stood there.
    for (;;) {
      const changed = change(random, text, random.pick(entriesOf(text)));
      if (changed !== text) return { file: fileOf(changed, data), must };
    }
  };

const NO_COUNT = [
  "-1",
  "-4",
  "1.5",
  "1e3",
  "01",
  '"4"',
  "null",
  "true",
  "[]",
  "{}",
  "9007199254740992",
  "1e999",
  "NaN",
  "",
];
const NO_STRING = ["3", "null", "true", "[]", "{}", '"f32"', '""', '"F32 "', '"toString"', '"__proto__"', '"F4"'];
const PROTOTYPE = ["__proto__", "constructor", "toString", "hasOwnProperty", "model", "optimizer.", "__metadata__"];
const SPACES = [" ", "\n", "\t", "\r", "   \n"];

const KINDS: Readonly<Record<string, Make>> = {
  truncated: (random, base) => ({ file: base.slice(0, random.below(base.length)), must: "fail" }),
  lengthened: (random, base) => {
    const file = new Uint8Array(base.length + 1 + random.below(64));
    file.set(base);
    return { file, must: "fail" };
  },
  "cut inside": (random, base) => {
    const at = random.below(base.length - 8);
    const count = 1 + random.below(8);
    const file = new Uint8Array(base.length - count);
    file.set(base.subarray(0, at));
    file.set(base.subarray(at + count), at);
    return { file, must: "fail" };
  },
  "header length": (random, base) => {
    const { header: text, data } = partsOf(base);
    const near = BigInt(new TextEncoder().encode(text).length);
    const wrong = [
      0n,
      1n,
      2n,
      near - 1n,
      near + 1n,
      near + 8n,
      2n ** 31n,
      2n ** 32n,
      2n ** 53n + 1n,
      2n ** 63n,
      2n ** 64n - 1n,
    ];
    const some = BigInt(random.below(2 ** 31));
    const length = random.pick([...wrong, some === near ? 0n : some]);
    return { file: fileOf(text, data, length), must: "fail" };
  },
  "overlap or gap": header((random, text, { text: entry, begin, end }) => {
    const by = random.pick([-8, -4, -1, 1, 4, 8, 4096]);
    const moved = begin + by < 0 ? 8 : by;
    return text.replace(entry, entry.replace(`[${begin},${end}]`, `[${begin + moved},${end + moved}]`));
  }),
  "same place": header((random, text, { text: entry, begin, end }) => {
    const others = entriesOf(text).filter((other) => other.begin !== begin && other.end - other.begin === end - begin);
    if (others.length === 0) return text.replace(entry, entry.replace(`[${begin},${end}]`, `[${begin},${end + 4}]`));
    const { begin: b, end: e } = random.pick(others);
    return text.replace(entry, entry.replace(`[${begin},${end}]`, `[${b},${e}]`));
  }),
  "huge offsets": header((random, text, { text: entry, begin, end }) => {
    const huge = [
      "9007199254740991",
      "9007199254740993",
      "18446744073709551616",
      "4294967296",
      "1e308",
      "-9223372036854775808",
    ];
    const offsets = random.pick([
      `${begin},${random.pick(huge)}`,
      `${random.pick(huge)},${end}`,
      `${random.pick(huge)},${random.pick(huge)}`,
    ]);
    return text.replace(entry, entry.replace(`[${begin},${end}]`, `[${offsets}]`));
  }),
  "reversed offsets": header((_, text, { text: entry, begin, end }) =>
    text.replace(entry, entry.replace(`[${begin},${end}]`, `[${end},${begin}]`)),
  ),
  "wrong offsets": header((random, text, { text: entry, begin, end }) => {
    const one = random.pick(NO_COUNT);
    const list = [
      `[${one},${end}]`,
      `[${begin},${one}]`,
      "[]",
      `[${begin}]`,
      `[${begin},${end},${end}]`,
      one,
      `{"0":${begin}}`,
    ];
    return text.replace(entry, entry.replace(`[${begin},${end}]`, random.pick(list)));
  }),
  "wrong shape": header((random, text, { text: entry, shape }) => {
    const list = `[${shape.join()}]`;
    const wrong = [
      `[${random.pick(NO_COUNT)}]`,
      `[${[...shape, 2].join()}]`,
      "null",
      "3",
      `[${[...shape, 1].join()}]`,
      "[0]",
    ];
    const huge = [
      "[9007199254740991,4]",
      "[4294967296,4294967296]",
      `[${Array(65).fill(1).join()}]`,
      "[67108864,67108864]",
    ];
    return text.replace(entry, entry.replace(`"shape":${list}`, `"shape":${random.pick([...wrong, ...huge])}`));
  }),
  "wrong dtype": header((random, text, { text: entry, dtype }) => {
    const others = ["I32", "U32", "F64", "F16", "U8", "C64"]
      .filter((other) => other !== dtype)
      .map((other) => `"${other}"`);
    return text.replace(entry, entry.replace(`"${dtype}"`, random.pick([...NO_STRING, ...others])));
  }),
  "missing or unknown key": header((random, text, { text: entry }) => {
    const key = random.pick(["dtype", "shape", "data_offsets"]);
    return text.replace(
      entry,
      entry.replace(`"${key}"`, `"${random.pick(["x", "Dtype", "", "__proto__", key.slice(1)])}"`),
    );
  }),
  "duplicate name": header((random, text, entry) => {
    const name = random.pick([entry.name, entry.name.replace("o", "\\u006f")]);
    const again = entry.text.replace(entry.name, name);
    return random.below(2) ? text.replace(entry.text, `${entry.text},${again}`) : text.replace(/\}\s*$/, `,${again}}`);
  }),
  "duplicate key": header((random, text, { text: entry, dtype, shape }) =>
    text.replace(entry, entry.replace("{", `{${random.pick([`"dtype":"${dtype}",`, `"shape":[${shape.join()}],`])}`)),
  ),
  "prototype names": header((random, text, { text: entry, name }) =>
    text.replace(entry, entry.replace(`"${name}"`, `"${random.pick(PROTOTYPE)}"`)),
  ),
  "deep JSON": header((random, text, { text: entry, name, shape, begin, end, dtype }) => {
    const deep = random.pick(["[", '{"a":', "[[", '{"dtype":', '[{"shape":']).repeat(10 ** (1 + random.below(5)));
    const [from, to] = random.pick([
      [entry, `"${name}":${deep}`],
      [`"shape":[${shape.join()}]`, `"shape":${deep}`],
      [`"data_offsets":[${begin},${end}]`, `"data_offsets":${deep}`],
      [`"dtype":"${dtype}"`, `"dtype":${deep}`],
      ['"__metadata__":{', `"__metadata__":{"x":${deep},`],
      ['"__metadata__":{', `"__metadata__":${deep}`],
    ] as const);
    return text.replace(entry, entry.replace(from, to)) === text
      ? text.replace(from, to)
      : text.replace(entry, entry.replace(from, to));
  }),
  "deep groups": header((random, text) => {
    const deep = random.pick(["[", "{", '{\\"name\\":', '{\\"hyper\\":{\\"a\\":[']).repeat(10 ** (1 + random.below(4)));
    return text.replace(/"groups":"\[/, (begin) => `${begin}${deep}`);
  }),
  "many empty tensors": header((random, text) => {
    const count = 10 ** (1 + random.below(4)) * (1 + random.below(3));
    const more = Array.from(
      { length: count },
      (_, i) => `"model.x${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`,
    );
    return text.replace(/\}\s*$/, `,${more.join()}}`);
  }, "read or fail"),
  "giant metadata": header((random, text) => {
    const value = random.pick(["x", "\\n", "\u00e9", "\u4e2d", '\\"']).repeat(10 ** (1 + random.below(6)));
    return text.replace('"__metadata__":{', `"__metadata__":{"comment":"${value}",`);
  }, "read or fail"),
  "much metadata": header((random, text) => {
    const more = Array.from({ length: 10 ** (1 + random.below(4)) }, (_, i) => `"${i}":"",`);
    return text.replace('"__metadata__":{', `"__metadata__":{${more.join("")}`);
  }, "read or fail"),
  "giant name": header((random, text, { text: entry, name }) =>
    text.replace(entry, entry.replace(`"${name}"`, `"${"n".repeat(10 ** (1 + random.below(6)))}"`)),
  ),
  "bad text": header((random, text, { text: entry, name }) => {
    const bad = ["\\", "\\x", "\\u12", "\\ud800", "\u0000", "\n", '"', "\\udc00\\ud800"];
    return text.replace(entry, entry.replace(`"${name}"`, `"${name.slice(0, 3)}${random.pick(bad)}${name.slice(3)}"`));
  }),
  "bad UTF-8": (random, base) => {
    const { header: text, data } = partsOf(base);
    const file = fileOf(text, data);
    const at = text.indexOf(random.pick(entriesOf(text)).name);
    file[8 + at + random.below(4)] = random.pick([0x80, 0xc0, 0xff, 0xf8, 0xe2]);
    return { file, must: "fail" };
  },
  "another order": header((random, text, { text: entry }) => {
    const others = entriesOf(text).filter((other) => other.text !== entry);
    const other = random.pick(others).text;
    return text.replace(entry, "\u0001").replace(other, entry).replace("\u0001", other);
  }, "read"),
  "white space": header((random, text) => {
    let at = 0;
    // Between tokens: before a key or after a bracket, and never inside a text.
    return text.replace(/,"model\.|"shape":|\]\}/g, (token) =>
      at++ % 3 === 0 ? `${random.pick(SPACES)}${token}` : token,
    );
  }, "read"),
  "escaped names": header((random, text, { name }) => {
    const i = random.below(name.length);
    const code = `\\u${name.charCodeAt(i).toString(16).padStart(4, "0")}`;
    return text.replace(`"${name}":{"dtype"`, `"${name.slice(0, i)}${code}${name.slice(i + 1)}":{"dtype"`);
  }, "read"),
  "header bits": (random, base) => {
    const file = base.slice();
    const { header: text } = partsOf(base);
    for (let i = 0; i <= random.below(4); i++) file[8 + random.below(text.length)]! ^= 1 << random.below(8);
    return { file, must: "agree" };
  },
  "group bits": (random, base) => {
    const file = base.slice();
    const { header: text } = partsOf(base);
    const from = text.indexOf('"groups"');
    const to = text.indexOf("]", text.lastIndexOf("tensors\\"));
    for (let i = 0; i <= random.below(2); i++) file[8 + from + random.below(to - from)]! ^= 1 << random.below(8);
    return { file, must: "agree" };
  },
  "data bits": (random, base) => {
    const file = base.slice();
    const { data } = partsOf(base);
    for (let i = 0; i <= random.below(8); i++)
      file[base.length - 1 - random.below(data.length)]! ^= 1 << random.below(8);
    return { file, must: "agree" };
  },
};

/** `count` files, the kinds in turn. The same for the same base. */
export function* mutations(base: Uint8Array, count: number): Generator<Mutation> {
  const kinds = Object.entries(KINDS);
  for (let i = 0; i < count; i++) {
    const [kind, make] = kinds[i % kinds.length]!;
    yield { kind, ...make(randomOf(4711, i), base) };
  }
}
