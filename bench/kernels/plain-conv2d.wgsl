// The convolution of textbooks, of square kernels and planes with a border of zeros: one invocation makes one value.

override ROWS: u32;
override IN: u32;                                     // channels
override OUT: u32;
override GROUPS: u32;
override SIZE: u32;                                   // height and width, before and after
override OUT_SIZE: u32;
override KERNEL: u32;
override STRIDE: u32;
override PAD: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;                        // [ROWS, IN, SIZE, SIZE]
@group(0) @binding(1) var<storage, read> w: array<f32>;                        // [OUT, IN / GROUPS, KERNEL, KERNEL]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;                  // [ROWS, OUT, OUT_SIZE, OUT_SIZE]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let plane = OUT_SIZE * OUT_SIZE;
  if (id.x >= ROWS * OUT * plane) { return; }
  let row = id.x / (OUT * plane);
  let out = id.x / plane % OUT;
  let v = id.x % plane / OUT_SIZE * STRIDE;
  let u = id.x % OUT_SIZE * STRIDE;
  let ins = IN / GROUPS;
  let first = row * IN + out / (OUT / GROUPS) * ins;
  var sum = 0.0;
  for (var c = 0u; c < ins; c++) {
    for (var i = 0u; i < KERNEL; i++) {
      for (var j = 0u; j < KERNEL; j++) {
        let inside = (v + i - PAD < SIZE) & (u + j - PAD < SIZE);
        let at = ((first + c) * SIZE + v + i - PAD) * SIZE + u + j - PAD;
        sum += select(0.0, x[select(0u, at, inside)], inside) * w[((out * ins + c) * KERNEL + i) * KERNEL + j];
      }
    }
  }
  y[id.x] = sum;
}
