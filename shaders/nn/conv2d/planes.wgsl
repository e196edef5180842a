// What a convolution reads and writes, for kernels that make a tile of the target. Linked in: what is convolved (source/), how sums
// begin and end (epilogue/), how they are stored (target/).

#import nn/lib/flat-index

override ROWS: u32;
override GROUPS: u32;
override SOURCE_CHANNELS: u32;                        // of a group
override SOURCE_HEIGHT: u32;
override SOURCE_WIDTH: u32;
override SOURCE_STRIDE: u32;                          // floats of a row (sample)
override TARGET_CHANNELS: u32;                        // of a group
override TARGET_HEIGHT: u32;
override TARGET_WIDTH: u32;
override TARGET_STRIDE: u32;
override PAD_Y: i32;
override PAD_X: i32;
override TILE_HEIGHT: u32;
override TILE_WIDTH: u32;
override TILE_CHANNELS: u32;
override PIXEL_STEP: u32 = 1u;                        // from a pixel of a tile's line to the next
override TILES_Y = (TARGET_HEIGHT + TILE_HEIGHT - 1u) / TILE_HEIGHT;
override TILES_X = (TARGET_WIDTH + TILE_WIDTH - 1u) / TILE_WIDTH;
override CHANNEL_TILES = (TARGET_CHANNELS + TILE_CHANNELS - 1u) / TILE_CHANNELS;
override SOURCE_PLANE = SOURCE_HEIGHT * SOURCE_WIDTH;
override TARGET_PLANE = TARGET_HEIGHT * TARGET_WIDTH;

// binding 0: source/
@group(0) @binding(1) var<storage, read> weight: array<f32>;                   // W [out, in / GROUPS, kernel height, kernel width]
// binding 2: target/, [ROWS, TARGET_STRIDE]
// binding 3: epilogue/

#import source
#import epilogue
#import target

// A tile of the target, by its first pixel and its first channel.
struct Tile {
  row: u32,
  group: u32,
  channel: u32,                                       // within the group
  y: u32,
  x: u32,
}

// Rows that do not exist belong to invocations that have nothing to do.
fn tile_of(index: u32) -> Tile {
  var rest = index;
  let x = TILE_WIDTH * (rest % TILES_X);
  rest /= TILES_X;
  let y = TILE_HEIGHT * (rest % TILES_Y);
  rest /= TILES_Y;
  let channel = TILE_CHANNELS * (rest % CHANNEL_TILES);
  rest /= CHANNEL_TILES;
  return Tile(rest / GROUPS, rest % GROUPS, channel, y, x);
}

// `count`, having asked for the lengths of what loops read: see nn/lib/flat-index.
fn bounded(count: u32) -> u32 {
  return bounded_by(count, max(arrayLength(&source), arrayLength(&weight)));
}

// The first value of the first plane that a tile is made from, and its own first value.
fn source_of(tile: Tile) -> u32 {
  return tile.row * SOURCE_STRIDE + tile.group * SOURCE_CHANNELS * SOURCE_PLANE;
}

fn target_of(tile: Tile) -> u32 {
  return tile.row * TARGET_STRIDE + (tile.group * TARGET_CHANNELS + tile.channel) * TARGET_PLANE
    + tile.y * TARGET_WIDTH + tile.x;
}

// One tile of a row answers for what lies behind its last feature.
fn clear_padding_by(tile: Tile) {
  if (tile.group + tile.channel + tile.y + tile.x == 0u) {
    clear_padding(tile.row, GROUPS * TARGET_CHANNELS * TARGET_PLANE);
  }
}
