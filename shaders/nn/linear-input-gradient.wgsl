// Dense layer, backward to its input. One invocation makes a register tile of 8 rows (samples) by 4 inputs:
//   dx = dy W,  and with RELU  dx = 0 where x <= 0: then x is the output of a ReLU and dx the gradient before it
// Layouts as in linear-forward.wgsl.

override WORKGROUP_X: u32 = 8;
override WORKGROUP_Y: u32 = 8;
override ROWS: u32;
override IN: u32;
override OUT: u32;
override RELU: bool = false;
override IN_QUADS = (IN + 3u) / 4u;
override OUT_QUADS = (OUT + 3u) / 4u;

@group(0) @binding(0) var<storage, read> output_gradient: array<vec4f>;        // dy [ROWS, OUT_QUADS], zero behind OUT
@group(0) @binding(1) var<storage, read> weight: array<WeightElement>;         // W [OUT, IN]
@group(0) @binding(2) var<storage, read> input: array<vec4f>;                  // x [ROWS, IN_QUADS]
@group(0) @binding(3) var<storage, read_write> input_gradient: array<vec4f>;   // dx [ROWS, IN_QUADS]

#import weight-rows

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn linear_input_gradient(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y * 8u;
  if (id.x >= IN_QUADS || row >= ROWS) { return; }
  var dx0 = vec4f(); var dx1 = vec4f(); var dx2 = vec4f(); var dx3 = vec4f();
  var dx4 = vec4f(); var dx5 = vec4f(); var dx6 = vec4f(); var dx7 = vec4f();
  for (var q = 0u; q < OUT_QUADS; q++) {
    let o = min(vec4u(4u * q) + vec4u(0u, 1u, 2u, 3u), vec4u(OUT - 1u));
    let w = mat4x4f(weight_quad(weight_row(o.x), id.x), weight_quad(weight_row(o.y), id.x),
                    weight_quad(weight_row(o.z), id.x), weight_quad(weight_row(o.w), id.x));
    let i = row * OUT_QUADS + q;
    dx0 += w * output_gradient[i];
    dx1 += w * output_gradient[i + OUT_QUADS];
    dx2 += w * output_gradient[i + 2u * OUT_QUADS];
    dx3 += w * output_gradient[i + 3u * OUT_QUADS];
    dx4 += w * output_gradient[i + 4u * OUT_QUADS];
    dx5 += w * output_gradient[i + 5u * OUT_QUADS];
    dx6 += w * output_gradient[i + 6u * OUT_QUADS];
    dx7 += w * output_gradient[i + 7u * OUT_QUADS];
  }
  let at = row * IN_QUADS + id.x;
  store(at, dx0);
  store(at + IN_QUADS, dx1);
  store(at + 2u * IN_QUADS, dx2);
  store(at + 3u * IN_QUADS, dx3);
  store(at + 4u * IN_QUADS, dx4);
  store(at + 5u * IN_QUADS, dx5);
  store(at + 6u * IN_QUADS, dx6);
  store(at + 7u * IN_QUADS, dx7);
}

fn store(at: u32, dx: vec4f) {
  input_gradient[at] = select(dx, vec4f(), vec4<bool>(RELU) & (input[at] <= vec4f()));
}
