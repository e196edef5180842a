/**
 * The formulas of `lr_lambda` in the golden data, such as `epoch%2==0?0.9:1.05`: numbers, `epoch`, `pi`, `+ - * / %`,
 * comparisons (1 or 0), `a?b:c`, parentheses and a few functions; precedence as in C. A small parser, because data is
 * not to be run as code.
 */

type Formula = (epoch: number) => number;

const functions: Readonly<Record<string, (...args: number[]) => number>> = {
  pow: Math.pow,
  min: Math.min,
  max: Math.max,
  cos: Math.cos,
  sin: Math.sin,
  exp: Math.exp,
  sqrt: Math.sqrt,
  floor: Math.floor,
};

/** Binary operators, loosest first; all associate to the left. */
const levels: readonly Readonly<Record<string, (a: number, b: number) => number>>[] = [
  { "==": (a, b) => Number(a === b), "!=": (a, b) => Number(a !== b) },
  {
    "<": (a, b) => Number(a < b),
    ">": (a, b) => Number(a > b),
    "<=": (a, b) => Number(a <= b),
    ">=": (a, b) => Number(a >= b),
  },
  { "+": (a, b) => a + b, "-": (a, b) => a - b },
  { "*": (a, b) => a * b, "/": (a, b) => a / b, "%": (a, b) => a % b },
];

const token = /\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|[=!<>]=|[-+*/%<>?:(),])/y;

/** Parses a formula. @throws Error that says where it fails. */
export function parseFormula(text: string): Formula {
  const tokens: string[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.trimEnd().length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (!match) throw new Error(`formula "${text}": unknown character at ${at}`);
    tokens.push(match[1]!);
  }

  let next = 0;
  const fail = (wanted: string): never => {
    throw new Error(`formula "${text}": expected ${wanted}, got ${tokens[next] ?? "the end"}`);
  };
  const accept = (wanted: string): boolean => tokens[next] === wanted && ++next > 0;
  const expect = (wanted: string): void => void (accept(wanted) || fail(`"${wanted}"`));

  function ternary(): Formula {
    const condition = binary(0);
    if (!accept("?")) return condition;
    const yes = ternary();
    expect(":");
    const no = ternary();
    return (epoch) => (condition(epoch) !== 0 ? yes(epoch) : no(epoch));
  }

  function binary(level: number): Formula {
    const operators = levels[level];
    if (operators === undefined) return unary();
    let left = binary(level + 1);
    for (;;) {
      const operator = own(operators, tokens[next]);
      if (!operator) return left;
      next++;
      const [a, b] = [left, binary(level + 1)];
      left = (epoch) => operator(a(epoch), b(epoch));
    }
  }

  function unary(): Formula {
    if (accept("+")) return unary();
    if (!accept("-")) return primary();
    const operand = unary();
    return (epoch) => -operand(epoch);
  }

  function primary(): Formula {
    if (accept("(")) {
      const inner = ternary();
      expect(")");
      return inner;
    }
    const word = tokens[next] ?? fail("a value");
    if (/^[\d.]/.test(word)) {
      next++;
      const value = Number(word);
      return () => value;
    }
    if (accept("epoch")) return (epoch) => epoch;
    if (accept("pi")) return () => Math.PI;
    const fn = own(functions, word) ?? fail("a value");
    next++;
    expect("(");
    const args = [ternary()];
    while (accept(",")) args.push(ternary());
    expect(")");
    return (epoch) => fn(...args.map((arg) => arg(epoch)));
  }

  const formula = ternary();
  if (next < tokens.length) fail("an operator");
  return formula;
}

/** A property of the object itself: `constructor` is no operator. */
function own<T>(table: Readonly<Record<string, T>>, key: string | undefined): T | undefined {
  return key !== undefined && Object.hasOwn(table, key) ? table[key] : undefined;
}
