// What an element adds to the two sums that `prepare` makes of every tensor. Padding must add nothing: 0 where theta and g are 0.
struct Prepared {
  a: Lane,
  b: Lane,
}
