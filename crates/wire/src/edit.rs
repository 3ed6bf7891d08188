//! Editing by splicing: a few ranges of a received text are replaced, everything else leaves as the slice it came as.

use crate::json::{self, JsonError, Raw};
use bytes::Bytes;
use std::ops::Range;

/// A text in pieces, ready for a vectored write.
#[derive(Debug, Clone, Default)]
pub struct Rope {
    pieces: Vec<Bytes>,
}

impl Rope {
    /// A rope of one piece.
    #[must_use]
    pub fn one(piece: impl Into<Bytes>) -> Self {
        Self {
            pieces: vec![piece.into()],
        }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces in order; none is empty.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The pieces in order.
    #[must_use]
    pub fn into_pieces(self) -> Vec<Bytes> {
        self.pieces
    }

    /// Appends a piece.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push(piece);
        }
    }

    /// The whole text in one buffer; copies only when there is more than one piece.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if self.pieces.len() == 1
            && let Some(piece) = self.pieces.pop()
        {
            return piece;
        }
        let mut whole = Vec::with_capacity(self.len());
        for piece in &self.pieces {
            whole.extend_from_slice(piece);
        }
        Bytes::from(whole)
    }
}

/// Below this a copy is cheaper than slices, one more buffer and a longer vectored write.
const COPY_BYTES_MAX: usize = 16 << 10;

/// Replacements to be made in one validated text. Ranges must not overlap; they may be given in any order.
#[derive(Debug)]
pub struct Edits {
    text: Bytes,
    list: Vec<(Range<usize>, Bytes)>,
    objects: Vec<Object>,
}

/// An object whose members were set or removed: whether an inserted member needs a comma behind it shows only at the end.
#[derive(Debug)]
struct Object {
    /// Where its `{` is.
    at: usize,
    /// Members of the text that stay.
    remaining: usize,
    /// New members, joined by commas.
    inserted: Vec<u8>,
}

impl Edits {
    /// No edits yet.
    #[must_use]
    pub fn of(text: Bytes) -> Self {
        Self {
            text,
            list: Vec::with_capacity(4),
            objects: Vec::new(),
        }
    }

    /// Replaces what stands at `range` (a value's or a whole member's range) by `with`.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Bytes>) {
        self.list.push((range, with.into()));
    }

    /// Sets member `key` of the object whose `{` is at `object`: replaces the value if the member is there, else inserts the
    /// member as the first. `value` is JSON text. One call for each key, for the edits do not see each other.
    ///
    /// # Errors
    /// [`JsonError::NotAnObject`] and what reading the object finds.
    pub fn set(&mut self, object: usize, key: &str, value: &[u8]) -> Result<(), JsonError> {
        let members = json::members(&self.text, object)?;
        if let Some(member) = members.iter().find(|member| json::is_key(&self.text, &member.key, key)) {
            self.replace(member.value.clone(), Bytes::copy_from_slice(value));
            return Ok(());
        }
        let mut insert = json::string(key);
        insert.push(b':');
        insert.extend_from_slice(value);
        let object = self.object(object, members.len());
        if !object.inserted.is_empty() {
            insert.push(b',');
            insert.append(&mut object.inserted);
        }
        object.inserted = insert;
        Ok(())
    }

    /// Removes the members `keys` of the object whose `{` is at `object`, with their commas; those that are not there are no
    /// matter. One call for each object.
    ///
    /// # Errors
    /// As [`Edits::set`].
    pub fn remove(&mut self, object: usize, keys: &[&str]) -> Result<(), JsonError> {
        let members = json::members(&self.text, object)?;
        let goes = |member: &json::Member| keys.iter().any(|key| json::is_key(&self.text, &member.key, key));
        let last_kept = members.iter().rposition(|member| !goes(member));
        // Keys stand behind their opening quote.
        let start = |member: &json::Member| member.key.start - 1;
        let mut ranges = Vec::new();
        for pair in members.windows(2) {
            if let [this, next] = pair
                && goes(this)
                && last_kept.is_some_and(|kept| members.get(kept).is_some_and(|kept| kept.key.start > this.key.start))
            {
                ranges.push(start(this)..start(next));
            }
        }
        // What goes behind the last that stays goes in one piece, and takes the comma before it along.
        if let Some(last) = members.last().filter(|last| goes(last)) {
            let from = match last_kept.and_then(|kept| members.get(kept)) {
                Some(kept) => kept.value.end,
                None => members.first().map_or(last.value.end, start),
            };
            ranges.push(from..last.value.end);
        }
        let removed = members.iter().filter(|member| goes(member)).count();
        let entry = self.object(object, members.len());
        entry.remaining = entry.remaining.saturating_sub(removed);
        for range in ranges {
            self.replace(range, Bytes::new());
        }
        Ok(())
    }

    fn object(&mut self, at: usize, members: usize) -> &mut Object {
        let index = match self.objects.iter().position(|object| object.at == at) {
            Some(index) => index,
            None => self.objects.len(),
        };
        if index == self.objects.len() {
            self.objects.push(Object {
                at,
                remaining: members,
                inserted: Vec::new(),
            });
        }
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut self.objects[index]
    }

    /// Carries the edits out.
    #[must_use]
    pub fn finish(mut self) -> Rope {
        for mut object in std::mem::take(&mut self.objects) {
            if object.inserted.is_empty() {
                continue;
            }
            if object.remaining > 0 {
                object.inserted.push(b',');
            }
            self.replace(object.at + 1..object.at + 1, object.inserted);
        }
        if self.list.is_empty() {
            return Rope::one(self.text);
        }
        // An insertion goes before a replacement of what stands at the same place.
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
        let copy = self.text.len() < COPY_BYTES_MAX;
        let mut pieces = Rope::default();
        let mut whole = Vec::with_capacity(if copy { self.text.len() + 256 } else { 0 });
        let mut at = 0;
        for (range, with) in self.list {
            if copy {
                whole.extend_from_slice(self.text.get(at..range.start).unwrap_or_default());
                whole.extend_from_slice(&with);
            } else {
                pieces.push(self.text.slice(at..range.start.max(at)));
                pieces.push(with);
            }
            at = range.end.max(at);
        }
        if copy {
            whole.extend_from_slice(self.text.get(at..).unwrap_or_default());
            return Rope::one(whole);
        }
        pieces.push(self.text.slice(at..));
        pieces
    }

    /// [`Edits::finish`] as a validated value.
    ///
    /// # Errors
    /// A replacement that was no JSON, or that made the text too deep.
    pub fn into_raw(self) -> Result<Raw, JsonError> {
        Raw::own(self.finish().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &'static str, with: impl FnOnce(&mut Edits)) -> String {
        let mut edits = Edits::of(Bytes::from_static(text.as_bytes()));
        with(&mut edits);
        String::from_utf8(edits.finish().into_bytes().to_vec()).unwrap()
    }

    #[test]
    fn set_replaces_or_inserts_and_leaves_the_rest() {
        assert_eq!(
            edit(r#"{ "a" : 1, "b":[ 2] }"#, |e| e.set(0, "b", b"3").unwrap()),
            r#"{ "a" : 1, "b":3 }"#
        );
        assert_eq!(
            edit(r#"{ "a" : 1 }"#, |e| e.set(0, "b", b"3").unwrap()),
            r#"{"b":3, "a" : 1 }"#
        );
        assert_eq!(edit("{}", |e| e.set(0, "b", b"3").unwrap()), r#"{"b":3}"#);
        let two = edit("{}", |e| {
            e.set(0, "a", b"1").unwrap();
            e.set(0, "b", b"2").unwrap();
        });
        assert_eq!(two, r#"{"b":2,"a":1}"#);
    }

    #[test]
    fn remove_takes_the_comma_along() {
        let remove = |text, key| edit(text, |e| e.remove(0, &[key]).unwrap());
        assert_eq!(remove(r#"{"a":1,"b":2,"c":3}"#, "a"), r#"{"b":2,"c":3}"#);
        assert_eq!(remove(r#"{"a":1,"b":2,"c":3}"#, "b"), r#"{"a":1,"c":3}"#);
        assert_eq!(remove(r#"{"a":1,"b":2,"c":3}"#, "c"), r#"{"a":1,"b":2}"#);
        assert_eq!(remove(r#"{ "a":1 }"#, "a"), "{  }");
        assert_eq!(remove(r#"{"a":1}"#, "z"), r#"{"a":1}"#);
        let some = |text| edit(text, |e| e.remove(0, &["a", "b", "c"]).unwrap());
        assert_eq!(some(r#"{"a":1,"b":2,"x":0,"c":3}"#), r#"{"x":0}"#);
        assert_eq!(some(r#"{"x":0,"a":1,"b":2}"#), r#"{"x":0}"#);
        assert_eq!(some(r#"{"a":1,"x":0,"b":2,"y":0}"#), r#"{"x":0,"y":0}"#);
        assert_eq!(some(r#"{"a":1,"b":2}"#), "{}");
    }

    #[test]
    fn setting_and_removing_in_one_object_keeps_the_commas_right() {
        let both = |text| {
            edit(text, |e| {
                e.set(0, "b", b"3").unwrap();
                e.remove(0, &["a"]).unwrap();
            })
        };
        assert_eq!(both(r#"{"a":1}"#), r#"{"b":3}"#);
        assert_eq!(both(r#"{"a":1,"c":2}"#), r#"{"b":3,"c":2}"#);
        assert_eq!(both(r#"{"c":2,"a":1}"#), r#"{"b":3,"c":2}"#);
        assert_eq!(
            edit(r#"{ "a":1 }"#, |e| {
                e.remove(0, &["a"]).unwrap();
                e.set(0, "b", b"3").unwrap();
                e.set(0, "c", b"4").unwrap();
            }),
            r#"{"c":4,"b":3  }"#
        );
    }

    #[test]
    fn a_long_text_is_not_copied() {
        let long = format!(r#"{{"a":"{}","id":7}}"#, "x".repeat(COPY_BYTES_MAX));
        let mut edits = Edits::of(Bytes::from(long.clone()));
        edits.set(0, "id", b"123456").unwrap();
        let rope = edits.finish();
        assert!(rope.pieces().len() > 1);
        assert_eq!(rope.into_bytes(), long.replace("\"id\":7", "\"id\":123456").as_bytes());
    }
}
