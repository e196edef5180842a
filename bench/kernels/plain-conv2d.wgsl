// The convolution of textbooks, 3 x 3 with a border of zeros: one invocation makes one value.

override ROWS: u32;
override IN: u32;                                     // channels
override OUT: u32;
override SIZE: u32;                                   // height and width

@group(0) @binding(0) var<storage, read> x: array<f32>;                        // [ROWS, IN, SIZE, SIZE]
@group(0) @binding(1) var<storage, read> w: array<f32>;                        // [OUT, IN, 3, 3]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;                  // [ROWS, OUT, SIZE, SIZE]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let plane = SIZE * SIZE;
  if (id.x >= ROWS * OUT * plane) { return; }
  let row = id.x / (OUT * plane);
  let out = id.x / plane % OUT;
  let v = id.x % plane / SIZE;
  let u = id.x % SIZE;
  var sum = 0.0;
  for (var c = 0u; c < IN; c++) {
    for (var i = 0u; i < 3u; i++) {
      for (var j = 0u; j < 3u; j++) {
        let inside = (v + i - 1u < SIZE) & (u + j - 1u < SIZE);
        let at = (row * IN + c) * plane + (v + i - 1u) * SIZE + u + j - 1u;
        sum += select(0.0, x[select(0u, at, inside)], inside) * w[((out * IN + c) * 3u + i) * 3u + j];
      }
    }
  }
  y[id.x] = sum;
}
