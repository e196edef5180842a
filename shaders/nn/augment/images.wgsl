// Takes one batch of images out of a data set that lies on the GPU, and changes each a little. One invocation makes 4 neighbouring
// features of one image:
//   input[r, c, y, x] = sample[order[first + r], c, y + dy, x' + dx] + NOISE n,   x' = x or WIDTH - 1 - x,   FILL outside
// dy, dx and the flip are drawn once for an image, n for each feature. All of them are hashes of (seed, step, row), integers only
// until the last multiplication: a run that is repeated or resumed sees the same images. n is the sum of 4 random bytes, which has
// the mean 510 and the variance 4 (256^2 - 1) / 12, made standard. In an evaluation (TRAINING false) the middle of the image is
// taken as it is. Rows behind the batch become 0.
// The hash is that of Wellons' "lowbias32" (hash-prospector), once for each of the numbers.

#import nn/lib/batch
#import nn/augment/elements

override WORKGROUP_SIZE: u32 = 64;
override TRAINING: bool;
override ROWS: u32;                   // capacity of a batch
override CHANNELS: u32;
override HEIGHT: u32;                 // of what the model gets
override WIDTH: u32;
override SOURCE_HEIGHT: u32;          // of what is stored: at least as much
override SOURCE_WIDTH: u32;
override SHIFT_Y: u32;                // how far the window may leave the stored image
override SHIFT_X: u32;
override FLIP: bool;                  // every second image, left to right
override NOISE: f32;                  // standard deviation; of bytes, 1 is 255
override FILL: f32;
override QUADS = (CHANNELS * HEIGHT * WIDTH + 3u) / 4u;
override SOURCE_QUADS = (CHANNELS * SOURCE_HEIGHT * SOURCE_WIDTH + 3u) / 4u;

struct Random {
  seed: u32,
  step: u32,
}

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<uniform> random: Random;                // what the draws of this batch are hashed from
@group(0) @binding(2) var<storage, read> samples: array<Element>;      // [samples, SOURCE_QUADS] quads
@group(0) @binding(3) var<storage, read> order: array<u32>;            // index of a sample, by position
@group(0) @binding(4) var<storage, read_write> input: array<Quad>;     // [ROWS, QUADS]

// Hashes with other first numbers: layers with dropout use small ones.
const STREAM = 0x61756721u;
const NOISE_STREAM = 0x6e6f6973u;
const NOISE_MEAN = 510.0;
const NOISE_DEVIATION = 147.8017;

struct Change {
  offset: vec2i,        // of the window, y and x
  flip: bool,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn augment(@builtin(global_invocation_id) id: vec3u) {
  let quad = id.x;
  let row = id.y;
  if (quad >= QUADS || row >= ROWS) { return; }
  var made = vec4f();
  if (row < batch.count) {
    let sample = order[batch.first + row];
    let change = change_of(row);
    for (var lane = 0u; lane < 4u; lane++) {
      let feature = 4u * quad + lane;
      if (feature < CHANNELS * HEIGHT * WIDTH) {
        made[lane] = pixel(sample, feature, change) + noise(row, feature);
      }
    }
  }
  input[row * QUADS + quad] = quad_of(made);
}

fn change_of(row: u32) -> Change {
  let spare = vec2u(SOURCE_HEIGHT - HEIGHT, SOURCE_WIDTH - WIDTH);
  if (!TRAINING) { return Change(vec2i(spare / 2u), false); }
  let shift = vec2u(SHIFT_Y, SHIFT_X);
  let base = hash(STREAM, row);
  let drawn = vec2u(mixed(base), mixed(base + 1u)) % (spare + 2u * shift + 1u);
  return Change(vec2i(drawn) - vec2i(shift), FLIP && (mixed(base + 2u) & 1u) == 1u);
}

fn pixel(sample: u32, feature: u32, change: Change) -> f32 {
  let channel = feature / (HEIGHT * WIDTH);
  let y = feature / WIDTH % HEIGHT;
  let x = feature % WIDTH;
  let source = vec2i(vec2u(y, select(x, WIDTH - 1u - x, change.flip))) + change.offset;
  if (any(source < vec2i()) || source.x >= i32(SOURCE_HEIGHT) || source.y >= i32(SOURCE_WIDTH)) { return FILL; }
  return element(sample, (channel * SOURCE_HEIGHT + u32(source.x)) * SOURCE_WIDTH + u32(source.y));
}

fn noise(row: u32, feature: u32) -> f32 {
  if (!TRAINING || NOISE == 0.0) { return 0.0; }
  let word = vec4u(mixed(hash(NOISE_STREAM, row) + feature));
  let sum = dot((word >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u), vec4u(1u));
  return NOISE * ((f32(sum) - NOISE_MEAN) / NOISE_DEVIATION);
}

fn hash(stream: u32, row: u32) -> u32 {
  return mixed(mixed(mixed(mixed(random.seed) + stream) + random.step) + row);
}

fn mixed(number: u32) -> u32 {
  var x = number + 0x9e3779b9u;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}
