// No averages of the parameters.

fn averaged(at: u32, theta: Lane, group: GroupRecord) -> Lane { return theta; }
fn average_idle(chunk: vec4u, tensor: vec4u, lane: u32) {}
