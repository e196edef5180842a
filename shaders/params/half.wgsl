// Parameters in 16 bits. Either a float32 copy in a state slot is the one that is trained (the master), and what lies here is that
// copy rounded to the nearest; or there is no copy, and what is stored is rounded by chance, so that steps smaller than a unit of 16 bits
// are not lost but made with the right probability. The chance is a hash of the tensor, its step and the element.
// Source: Micikevicius et al. (2018), arXiv:1710.03740; Gupta et al. (2015), arXiv:1502.02551.

#import lib/half

override PARAMS_F16: bool = false;      // binary16, else bfloat16
override MASTER: bool = false;
override MASTER_SLOT: u32 = 0;          // state slot of the master

alias ParamWord = vec2u;

var<private> rounding_key: u32;
var<private> rounding_word: u32;         // first word of noise of the chunk's tensor, less two for each packed element before it in the window

fn load_param(at: u32) -> Lane {
  if (MASTER) { return load_state(MASTER_SLOT, at); }
  return widen(params[at], PARAMS_F16);
}

fn store_param(at: u32, theta: Lane) {
  if (MASTER) {
    store_state(MASTER_SLOT, at, theta);
    show_param(at, theta);
  } else {
    params[at] = narrow_by_chance(theta, PARAMS_F16, rounding_noise(at));
  }
}

// What is to be seen for a while: the master stays as it is.
fn show_param(at: u32, theta: Lane) { params[at] = narrow(theta, PARAMS_F16); }

// Once per chunk: the key of its tensor, and how many updates this has had with the present one.
fn rounding_begin(key: u32, count: u32, chunk: vec4u) {
  if (!MASTER) {
    rounding_key = mix_bits(mix_bits(key + 0x9e3779b9u) + count + 0x9e3779b9u);
    rounding_word = (chunk.w >> 1u) - 2u * chunk.y;
  }
}

// Two words for four elements.
fn rounding_noise(at: u32) -> vec4u {
  let first = rounding_key + rounding_word + 2u * at + 0x9e3779b9u;
  let words = vec2u(mix_bits(first), mix_bits(first + 1u));
  return (vec4u(words.xx, words.yy) >> vec4u(0u, 16u, 0u, 16u)) & vec4u(0xffffu);
}

// A bijective mix (lowbias32 by Chris Wellons).
fn mix_bits(word: u32) -> u32 {
  var x = word;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}
