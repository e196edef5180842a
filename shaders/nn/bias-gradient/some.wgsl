// The layer has a bias. Depends on ACCUMULATE.
@group(0) @binding(2) var<storage, read_write> bias_gradient: array<f32>;      // db

fn store_bias_gradient(at: u32, value: f32) {
  bias_gradient[at] = select(value, bias_gradient[at] + value, ACCUMULATE);
}
