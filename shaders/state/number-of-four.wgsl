// One number of the state, where elements are taken four at a time: it is loaded by itself.

fn load_number(i: u32) -> f32 { return state[i / 4u][i % 4u]; }
