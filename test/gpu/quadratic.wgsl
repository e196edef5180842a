// Gradient of a quadratic loss, for tests that close the loop: one invocation does one weight.
//   L = sum a/2 (w - w*)^2          g = a (w - w*)

override CURVATURE: f32 = 1.0;    // a

@group(0) @binding(0) var<storage, read> weights: array<f32>;             // w
@group(0) @binding(1) var<storage, read_write> gradients: array<f32>;     // g
@group(0) @binding(2) var<storage, read> minima: array<f32>;              // w*

@compute @workgroup_size(64)
fn gradient(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&minima)) {
    gradients[id.x] = CURVATURE * (weights[id.x] - minima[id.x]);
  }
}
