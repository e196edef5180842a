// Embedding, forward. One invocation makes one feature: y[r, t] = W[token[r, t]]

#import nn/lib/flat-index

override ROWS: u32;
override TOKENS: u32;
override TOKEN_STRIDE: u32;                           // tokens from a row to the next
override VOCABULARY: u32;
override FEATURES: u32;                               // of a token
override STRIDE: u32;                                 // floats of a row

@group(0) @binding(0) var<storage, read> tokens: array<u32>;                   // [ROWS, TOKEN_STRIDE], each below VOCABULARY
@group(0) @binding(1) var<storage, read> weight: array<f32>;                   // W [VOCABULARY, FEATURES]
@group(0) @binding(2) var<storage, read_write> output: array<f32>;             // y [ROWS, STRIDE]

@compute @workgroup_size(WORKGROUP_SIZE)
fn embedding_forward(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  if (at >= ROWS * STRIDE) { return; }
  let i = at % STRIDE;
  let token = tokens[at / STRIDE * TOKEN_STRIDE + min(i / FEATURES, TOKENS - 1u)];
  output[at] = select(0.0, weight[min(token, VOCABULARY - 1u) * FEATURES + i % FEATURES], i < TOKENS * FEATURES);
}
