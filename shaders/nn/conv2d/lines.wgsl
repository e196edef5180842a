// Lines of the source as the three taps of a kernel's line see them, for 4 neighbouring pixels of the target. Each value is read
// once where taps of neighbouring pixels fall on the same: at strides of one and two dilations. Depends on `source_at`.

override STRIDE_Y: i32;
override STRIDE_X: i32;
override DILATION_Y: i32;
override DILATION_X: i32;
// Whether the columns of one tap are those of the first, moved on by one pixel.
override MIDDLE_IS_MOVED = STRIDE_X == DILATION_X;
override RIGHT_IS_MOVED = STRIDE_X == 2 * DILATION_X;

// 4 columns of the source; those outside of it are read elsewhere and count as 0.
struct Columns {
  at: vec4u,
  exist: vec4<bool>,
}

struct Taken {
  left: Columns,
  middle: Columns,
  // Of the right tap, or those that follow the left one's.
  far: Columns,
}

struct Line {
  left: vec4f,
  middle: vec4f,
  right: vec4f,
}

// What the three lines of a kernel see.
struct Lines {
  upper: Line,
  middle: Line,
  lower: Line,
}

// Columns for pixels whose first tap is STRIDE_X columns after the one before it.
fn taken_from(first: i32) -> Taken {
  let left = vec4i(first) + STRIDE_X * vec4i(0, 1, 2, 3);
  let far = left + select(2 * DILATION_X, 4 * STRIDE_X, MIDDLE_IS_MOVED | RIGHT_IS_MOVED);
  return Taken(columns(left), columns(left + DILATION_X), columns(far));
}

fn columns(x: vec4i) -> Columns {
  return Columns(vec4u(clamp(x, vec4i(0), vec4i(i32(SOURCE_WIDTH) - 1))), vec4u(x) < vec4u(SOURCE_WIDTH));
}

fn line(plane: u32, y: i32, c: Taken) -> Line {
  let exists = u32(y) < SOURCE_HEIGHT;
  let at = plane + u32(clamp(y, 0, i32(SOURCE_HEIGHT) - 1)) * SOURCE_WIDTH;
  let left = values(at, c.left, exists);
  if (MIDDLE_IS_MOVED) {
    let far = select(
      vec2f(), vec2f(source_at(at + c.far.at.x), source_at(at + c.far.at.y)), c.far.exist.xy & vec2<bool>(exists));
    return Line(left, vec4f(left.yzw, far.x), vec4f(left.zw, far));
  }
  let middle = values(at, c.middle, exists);
  if (RIGHT_IS_MOVED) {
    return Line(left, middle, vec4f(left.yzw, select(0.0, source_at(at + c.far.at.x), c.far.exist.x & exists)));
  }
  return Line(left, middle, values(at, c.far, exists));
}

fn values(at: u32, c: Columns, exists: bool) -> vec4f {
  let v = vec4f(source_at(at + c.at.x), source_at(at + c.at.y), source_at(at + c.at.z), source_at(at + c.at.w));
  return select(vec4f(), v, c.exist & vec4<bool>(exists));
}

// The lines from y on.
fn lines_from(plane: u32, y: i32, c: Taken) -> Lines {
  return Lines(line(plane, y, c), line(plane, y + DILATION_Y, c), line(plane, y + 2 * DILATION_Y, c));
}

// What lines_after needs to find the lines at `y`.
fn lines_before(plane: u32, y: i32, c: Taken) -> Lines {
  if (STRIDE_Y == DILATION_Y) { return Lines(Line(), line(plane, y, c), line(plane, y + DILATION_Y, c)); }
  return Lines(Line(), Line(), line(plane, y, c));
}

// The same a stride further, at `y`.
fn lines_after(lines: Lines, plane: u32, y: i32, c: Taken) -> Lines {
  if (STRIDE_Y == DILATION_Y) {
    return Lines(lines.middle, lines.lower, line(plane, y + 2 * DILATION_Y, c));
  }
  if (STRIDE_Y == 2 * DILATION_Y) {
    return Lines(lines.lower, line(plane, y + DILATION_Y, c), line(plane, y + 2 * DILATION_Y, c));
  }
  return lines_from(plane, y, c);
}
