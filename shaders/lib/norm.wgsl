// Norms that neither overflow nor underflow: a sum of |x|^p is kept as sum * 2^(p * exponent), where exponent is about that of
// the largest |x| so far. So a gradient of 3e19, whose square is infinite in float32, has its finite norm, and one of 1e-30 a
// norm that is not zero. Powers of two scale exactly. After Blue (1978), "A Portable Fortran Program to Find the Euclidean
// Norm of a Vector", with a running exponent in place of three fixed ranges.

struct Norm {
  sum: f32,
  exponent: i32,
}

const NORM_ZERO = Norm(0.0, -126);
const F32_MAX = 3.4028234e38;
// How far above 2^exponent a value may lie before the sum is scaled down: for p <= 12, 2^20 addends of 2^(8 p) are finite.
const HEADROOM = 8;

fn pow2(exponent: i32) -> f32 {
  return bitcast<f32>(u32(clamp(exponent, -126, 127) + 127) << 23u);
}

// The e with 2^e <= x < 2^(e+1), for x >= 0; -126 for zero.
fn exponent_of(x: f32) -> i32 {
  return max(i32(bitcast<u32>(x) >> 23u) - 127, -126);
}

// x^p for x >= 0: exact products for a whole p (pow is off by tens of ulp), about 1e-6 relative otherwise.
fn power(x: f32, p: f32) -> f32 {
  if (p != floor(p)) { return select(exp2(p * log2(max(x, 1.1754944e-38))), 0.0, x == 0.0); }
  var y = x;
  for (var i = 1.0; i < p; i += 1.0) { y *= x; }
  return y;
}

// The same norm, expressed with an exponent that is not smaller.
fn norm_raise(n: Norm, exponent: i32, p: f32) -> Norm {
  return Norm(n.sum * power(pow2(n.exponent - exponent), p), exponent);
}

fn norm_join(a: Norm, b: Norm, p: f32) -> Norm {
  if (a.exponent == b.exponent) { return Norm(a.sum + b.sum, a.exponent); }
  let exponent = max(a.exponent, b.exponent);
  return Norm(norm_raise(a, exponent, p).sum + norm_raise(b, exponent, p).sum, exponent);
}

// sum^(1/p) * 2^exponent, at most the largest float32. Beyond p = 2 a Newton step mends what exp2 and log2 lose.
fn norm_value(n: Norm, p: f32) -> f32 {
  if (n.sum == 0.0) { return 0.0; }
  var root = n.sum;
  if (p == 2.0) {
    root = sqrt(n.sum);
  } else if (p > 1.0) {
    root = exp2(log2(n.sum) / p);
    let below = power(root, p) / root;
    root -= (root * below - n.sum) / (p * below);
  }
  let scale = pow2(n.exponent);
  return select(root * scale, F32_MAX, root >= F32_MAX / max(scale, 1.0));
}
