// Inputs as bytes, four in a word: INPUT_SCALE * byte / 255 + INPUT_SHIFT. A quarter of the reads of floats, which is what a
// first layer spends its time on. Behind the last feature and the last row INPUT_SHIFT is read, and meets zeros: in the weights
// (behind the last input) and in dy. Depends on `input`.
alias InputElement = u32;

override INPUT_SCALE: f32 = 1.0;
override INPUT_SHIFT: f32 = 0.0;

fn input_quad(at: u32) -> vec4f {
  return unpack4x8unorm(input[at]) * INPUT_SCALE + INPUT_SHIFT;
}
