// The matrices that one dispatch of `norm` or `normalize` works on.
struct Matrices {
  rows: u32,
  cols: u32,
  source: u32,          // place in the table where the first matrix of the batch stands
  normalized: u32,      // the same of X
  transposed: u32,      // and of its transpose
  parts: u32,           // partial norms of one matrix
  eps: f32,
}
