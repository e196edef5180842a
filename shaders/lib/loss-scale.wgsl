// Dynamic loss scaling, as torch.amp.GradScaler: after a step with a non-finite gradient the scale is multiplied by
// backoff_factor and the tracker starts again; after growth_interval good steps in a row it is multiplied by growth_factor.
// Depends on the declaration `scaler: LossScale`.

struct LossScale {
  scale: f32,
  growth_factor: f32,
  backoff_factor: f32,
  growth_interval: u32,   // steps
  growth_tracker: u32,    // good steps since the last change
  found_non_finite: u32,  // 1: a step since the last update had a non-finite gradient
}

fn loss_scale_update() {
  if (scaler.found_non_finite != 0u) {
    scaler.scale *= scaler.backoff_factor;
    scaler.growth_tracker = 0u;
  } else {
    scaler.growth_tracker += 1u;
    if (scaler.growth_tracker == scaler.growth_interval) {
      let grown = scaler.scale * scaler.growth_factor;
      // A scale that would overflow stays, as in PyTorch.
      if (grown < 3.4028234e38) { scaler.scale = grown; }
      scaler.growth_tracker = 0u;
    }
  }
  scaler.found_non_finite = 0u;
}
