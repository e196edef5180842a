// Parameters as they are: float32.
alias ParamWord = Lane;

fn load_param(at: u32) -> Lane { return params[at]; }
fn store_param(at: u32, theta: Lane) { params[at] = theta; }
fn show_param(at: u32, theta: Lane) { params[at] = theta; }
fn rounding_begin(key: u32, count: u32, chunk: vec4u) {}
