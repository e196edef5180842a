// Tiles of one channel, for groups of one: depthwise convolutions.

// 4 pixels of a line.
alias Sums = vec4f;
// A line of 3 taps.
alias Taps = vec3f;
// Where the weights of the channel are.
alias Weights = u32;

fn channels_of(tile: Tile) -> u32 {
  return tile.channel;
}

fn beginnings(tile: Tile) -> Sums {
  return vec4f(beginning(tile.group * TARGET_CHANNELS + tile.channel));
}

fn taps_at(w: Weights) -> Taps {
  return vec3f(weight[w], weight[w + 1u], weight[w + 2u]);
}

fn tap_at(w: Weights) -> f32 {
  return weight[w];
}

fn tap_products(x: vec4f, k: f32) -> Sums {
  return k * x;
}

fn mirrored(k: Taps) -> Taps {
  return k.zyx;
}

fn products(left: vec4f, middle: vec4f, right: vec4f, k: Taps) -> Sums {
  return k.x * left + k.y * middle + k.z * right;
}

fn outer_products(left: vec4f, right: vec4f, k: Taps) -> Sums {
  return k.x * left + k.z * right;
}

fn middle_products(middle: vec4f, k: Taps) -> Sums {
  return k.y * middle;
}

// The first and the last 4 of 8 pixels.
fn first_of(even: Sums, odd: Sums) -> Sums {
  return vec4f(even.x, odd.x, even.y, odd.y);
}

fn last_of(even: Sums, odd: Sums) -> Sums {
  return vec4f(even.z, odd.z, even.w, odd.w);
}

fn store_sums(tile: Tile, at: u32, x: u32, sums: Sums) {
  store_pixels(at, x, sums);
}
