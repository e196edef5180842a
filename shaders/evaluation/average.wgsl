// The parameters to evaluate are the average.

override AVERAGE_SLOT: u32 = 0;

fn is_evaluated(count: u32) -> bool { return true; }

fn evaluated(at: u32, theta: Lane, opened: Opened) -> Lane { return load_state(AVERAGE_SLOT, at); }
