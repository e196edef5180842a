// Tiles of 4 channels. Where fewer are left, the last one stands for those that do not exist.

// 4 pixels of a line; a column of the matrix is a channel.
alias Sums = mat4x4f;
// A line of 3 taps for each channel.
alias Taps = mat4x3f;
// Where the weights of each channel are.
alias Weights = vec4u;

fn channels_of(tile: Tile) -> vec4u {
  return min(vec4u(tile.channel) + vec4u(0u, 1u, 2u, 3u), vec4u(TARGET_CHANNELS - 1u));
}

fn beginnings(tile: Tile) -> Sums {
  let c = channels_of(tile) + vec4u(tile.group * TARGET_CHANNELS);
  return mat4x4f(
    vec4f(beginning(c.x)), vec4f(beginning(c.y)), vec4f(beginning(c.z)), vec4f(beginning(c.w)));
}

fn taps_at(w: Weights) -> Taps {
  return mat4x3f(
    weight[w.x], weight[w.x + 1u], weight[w.x + 2u], weight[w.y], weight[w.y + 1u], weight[w.y + 2u],
    weight[w.z], weight[w.z + 1u], weight[w.z + 2u], weight[w.w], weight[w.w + 1u], weight[w.w + 2u]);
}

fn tap_at(w: Weights) -> vec4f {
  return vec4f(weight[w.x], weight[w.y], weight[w.z], weight[w.w]);
}

fn tap_products(x: vec4f, k: vec4f) -> Sums {
  return mat4x4f(k.x * x, k.y * x, k.z * x, k.w * x);
}

fn mirrored(k: Taps) -> Taps {
  return mat4x3f(k[0].zyx, k[1].zyx, k[2].zyx, k[3].zyx);
}

fn products(left: vec4f, middle: vec4f, right: vec4f, k: Taps) -> Sums {
  return mat4x4f(
    k[0].x * left + k[0].y * middle + k[0].z * right,
    k[1].x * left + k[1].y * middle + k[1].z * right,
    k[2].x * left + k[2].y * middle + k[2].z * right,
    k[3].x * left + k[3].y * middle + k[3].z * right);
}

fn outer_products(left: vec4f, right: vec4f, k: Taps) -> Sums {
  return mat4x4f(
    k[0].x * left + k[0].z * right, k[1].x * left + k[1].z * right,
    k[2].x * left + k[2].z * right, k[3].x * left + k[3].z * right);
}

fn middle_products(middle: vec4f, k: Taps) -> Sums {
  return mat4x4f(k[0].y * middle, k[1].y * middle, k[2].y * middle, k[3].y * middle);
}

// The first and the last 4 of 8 pixels.
fn first_of(even: Sums, odd: Sums) -> Sums {
  return mat4x4f(
    vec4f(even[0].x, odd[0].x, even[0].y, odd[0].y), vec4f(even[1].x, odd[1].x, even[1].y, odd[1].y),
    vec4f(even[2].x, odd[2].x, even[2].y, odd[2].y), vec4f(even[3].x, odd[3].x, even[3].y, odd[3].y));
}

fn last_of(even: Sums, odd: Sums) -> Sums {
  return mat4x4f(
    vec4f(even[0].z, odd[0].z, even[0].w, odd[0].w), vec4f(even[1].z, odd[1].z, even[1].w, odd[1].w),
    vec4f(even[2].z, odd[2].z, even[2].w, odd[2].w), vec4f(even[3].z, odd[3].z, even[3].w, odd[3].w));
}

fn store_sums(tile: Tile, at: u32, x: u32, sums: Sums) {
  let channels = TARGET_CHANNELS - tile.channel;
  store_pixels(at, x, sums[0]);
  if (channels > 1u) { store_pixels(at + TARGET_PLANE, x, sums[1]); }
  if (channels > 2u) { store_pixels(at + 2u * TARGET_PLANE, x, sums[2]); }
  if (channels > 3u) { store_pixels(at + 3u * TARGET_PLANE, x, sums[3]); }
}
