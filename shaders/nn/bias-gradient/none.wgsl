// The layer has no bias.
fn store_bias_gradient(at: u32, value: f32) {}
