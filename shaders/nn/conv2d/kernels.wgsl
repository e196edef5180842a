// The 3 x 3 weights from a channel of the source to the channels of a tile. FLIPPED, they are of the convolution to whose input
// the tile belongs, upside down and mirrored.

// Weights from a channel of the target, and of the source, to the next.
override TARGET_STEP = select(9u * SOURCE_CHANNELS, 9u, FLIPPED);
override SOURCE_STEP = select(9u, 9u * TARGET_CHANNELS, FLIPPED);

struct Kernels {
  upper: Taps,
  middle: Taps,
  lower: Taps,
}

fn weights_of(tile: Tile) -> Weights {
  return Weights(tile.group * TARGET_CHANNELS * SOURCE_CHANNELS * 9u) + channels_of(tile) * TARGET_STEP;
}

fn kernels_at(w: Weights) -> Kernels {
  let a = taps_at(w);
  let b = taps_at(w + Weights(3u));
  let c = taps_at(w + Weights(6u));
  if (FLIPPED) { return Kernels(mirrored(c), mirrored(b), mirrored(a)); }
  return Kernels(a, b, c);
}
