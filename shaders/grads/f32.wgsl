// Gradients as they are: float32.
alias GradWord = Lane;

fn load_grad(at: u32) -> Lane { return grads[at]; }
