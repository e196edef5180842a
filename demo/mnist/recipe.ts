/** The numbers of the standard run: `npm start`, and what the live page begins with. */

/** Features of an image and of the hidden layer, and the classes. */
export const SIZES = [784, 128, 10] as const;
export const PIXELS = SIZES[0];
export const BATCH_SIZE = 128;
export const EPOCHS = 3;
export const PEAK_LR = 5e-3;
export const WARMUP_STEPS = 100;
export const WEIGHT_DECAY = 0.01;
/** Global norm to which gradients are clipped. */
export const CLIP_NORM = 1;
