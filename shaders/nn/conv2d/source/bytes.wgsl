// What is convolved, as bytes, four in a word, that stand for INPUT_SCALE * byte / 255 + INPUT_SHIFT. The padding of a
// convolution stays 0: it is put around what the bytes stand for.
override INPUT_SCALE: f32 = 1.0;
override INPUT_SHIFT: f32 = 0.0;

@group(0) @binding(0) var<storage, read> source: array<u32>;                   // [ROWS, SOURCE_STRIDE / 4]

fn source_at(at: u32) -> f32 {
  let byte = (source[at / 4u] >> (8u * (at & 3u))) & 255u;
  return f32(byte) / 255.0 * INPUT_SCALE + INPUT_SHIFT;
}
