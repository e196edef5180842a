// One number of the state, where elements are taken one at a time.

fn load_number(i: u32) -> f32 { return state[i]; }
