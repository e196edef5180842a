// Gradients in 16 bits.

#import lib/half

override GRADS_F16: bool = false;       // binary16, else bfloat16

alias GradWord = vec2u;

fn load_grad(at: u32) -> Lane { return widen(grads[at], GRADS_F16); }
