// Inputs as floats. Depends on `input`.
alias InputElement = vec4f;

fn input_quad(at: u32) -> vec4f {
  return input[at];
}
