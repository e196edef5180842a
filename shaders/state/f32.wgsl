// State as it is: float32, packed as parameters are, slot after slot.

alias StateWord = Lane;

override STORES: bool = true;      // false: the state is only looked at

fn load_state(slot: u32, at: u32) -> Lane {
  return state[slot * window.state_stride + at];
}

fn store_state(slot: u32, at: u32, value: Lane) {
  if (STORES) { state[slot * window.state_stride + at] = value; }
}

// Numbers behind the slots: one, and a lane that begins with number `i` of the window's state.
#import number
fn load_numbers(i: u32) -> Lane { return state[i / LANES]; }
fn store_numbers(i: u32, value: Lane) { if (STORES) { state[i / LANES] = value; } }
