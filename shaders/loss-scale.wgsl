// One invocation ends a step of several optimizers that share a loss scale: grow or back off.

#import lib/loss-scale

@group(0) @binding(0) var<storage, read_write> scaler: LossScale;

@compute @workgroup_size(1)
fn update_loss_scale() {
  loss_scale_update();
}
