//! What the fuzz targets see of the inside of this crate. No part of its interface: it is built for them alone, with the feature
//! `fuzzing`.

use crate::scan::view::View;
use std::ops::Range;

/// Shows `look` the normalised view of `original`, which is shorter than 4 GiB, and the way from a span of it back to the bytes that
/// stand there.
pub fn view<R>(original: &[u8], look: impl FnOnce(&[u8], &dyn Fn(Range<usize>) -> Range<usize>) -> R) -> R {
    let view = View::new(original);
    look(view.text(), &|span| view.original(&span))
}
