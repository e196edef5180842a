// What one product works on. `left` to `mirror` are places in the table, where a batch's first matrix stands.
struct Product {
  rows: u32,            // of the result
  cols: u32,
  depth: u32,           // addends of a sum
  left: u32,
  right: u32,
  addend: u32,
  result: u32,
  mirror: u32,
  left_stride: u32,     // of a row, in quads
  right_stride: u32,
  addend_stride: u32,
  result_stride: u32,   // of a row, in elements as they are stored: quads or floats
  mirror_stride: u32,   // of a row, in quads
  alpha: f32,
  beta: f32,
}
