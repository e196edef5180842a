// The matrices that one dispatch of `norm` or `normalize` works on.
struct Matrices {
  quads: u32,           // of one matrix, each row filled up to whole quads
  cols: u32,
  source: u32,          // place in the table where the first matrix of the batch stands
  destination: u32,     // the same of the normalized matrix
  parts: u32,           // partial norms of one matrix
  eps: f32,
}
