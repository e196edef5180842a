// Embedding, backward to its weights. One invocation makes 4 neighbouring features of one word, walking over all tokens in their
// order: no atomics, equal bits on every run.
//   dW[v] = sum of dy[r, t] over the tokens that are v

#import nn/lib/flat-index

override ROWS: u32;
override TOKENS: u32;
override TOKEN_STRIDE: u32;                           // tokens from a row to the next
override VOCABULARY: u32;
override FEATURES: u32;                               // of a token
override STRIDE: u32;                                 // floats of a row
override ACCUMULATE: bool = false;
override QUADS = (FEATURES + 3u) / 4u;

@group(0) @binding(0) var<storage, read> tokens: array<u32>;                   // [ROWS, TOKEN_STRIDE], each below VOCABULARY
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, STRIDE]
@group(0) @binding(2) var<storage, read_write> weight_gradient: array<f32>;    // dW [VOCABULARY, FEATURES]

@compute @workgroup_size(WORKGROUP_SIZE)
fn embedding_weight_gradient(@builtin(global_invocation_id) id: vec3u) {
  let index = flat_index(id);
  let word = index / QUADS;
  if (word >= VOCABULARY) { return; }
  let first = index % QUADS * 4u;
  let features = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(FEATURES - 1u));
  var sum = vec4f();
  for (var row = 0u; row < ROWS; row++) {
    for (var t = 0u; t < TOKENS; t++) {
      // As the forward pass reads a token that is no word.
      if (min(tokens[row * TOKEN_STRIDE + t], VOCABULARY - 1u) == word) {
        let at = vec4u(row * STRIDE + t * FEATURES) + features;
        sum += vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
      }
    }
  }
  for (var i = 0u; i < min(4u, FEATURES - first); i++) {
    let at = word * FEATURES + first + i;
    weight_gradient[at] = select(sum[i], weight_gradient[at] + sum[i], ACCUMULATE);
  }
}
