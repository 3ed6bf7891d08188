//! Which characters may hide something, and where each has its honest use. Tables are ranges of blocks (Unicode 17) and
//! coarse on purpose: a neighbour of the right script is enough.

use std::ops::Range;

/// What a character may be. Most are none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// U+E0000 to E007F.
    Tag,
    /// A variation selector.
    Variation,
    /// An embedding, override or isolate, or the end of one.
    Bidi,
    /// A left-to-right, right-to-left or Arabic letter mark.
    DirectionMark,
    /// Without width or ink.
    Invisible,
    /// Begins a terminal escape.
    Escape,
    /// Another control character.
    Control,
}

impl Kind {
    pub(super) fn of(character: char) -> Option<Self> {
        Some(match character {
            '\t' | '\n' | '\r' => return None,
            '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}' => Self::Escape,
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Self::Control,
            '\u{e0000}'..='\u{e007f}' => Self::Tag,
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Self::Variation,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Self::Bidi,
            '\u{200e}' | '\u{200f}' | '\u{61c}' => Self::DirectionMark,
            // Soft hyphen, grapheme joiner.
            '\u{ad}' | '\u{34f}'
            // Hangul fillers, Khmer inherent vowels, Mongolian selectors and separator.
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            // Zero-width space and joiners, word joiner, invisible operators, deprecated formats, byte order mark.
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            // Interlinear annotation, shorthand and musical formats.
            | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Default ignorable and unassigned, and the private planes.
            | '\u{fff0}'..='\u{fff8}' | '\u{e0080}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}' => Self::Invisible,
            _ => return None,
        })
    }
}

/// Whether a character of some [`Kind`] may begin with this byte of UTF-8. Bytes inside a character never say yes.
pub(super) const fn may_begin_hidden(byte: u8) -> bool {
    matches!(
        byte,
        0..=8 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f | 0xc2 | 0xcd | 0xd8 | 0xe1 | 0xe2 | 0xe3 | 0xef | 0xf0 | 0xf3 | 0xf4
    )
}

/// The subdivisions whose flags exist (Unicode emoji data, RGI tag sequences), as their tags spell them.
const FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];

/// The length of the tag sequence at the start of `tags` that makes a flag of the black flag before it.
pub(super) fn flag(before: Option<char>, tags: &str) -> Option<usize> {
    if before != Some('\u{1f3f4}') {
        return None;
    }
    // Each tag has four bytes in UTF-8; five letters and the cancel tag.
    let sequence = tags.get(..24)?;
    let spelt: String = sequence
        .chars()
        .filter_map(|tag| char::from_u32(u32::from(tag).wrapping_sub(0xe0000)))
        .collect();
    let name = spelt.strip_suffix('\u{7f}')?;
    FLAGS.contains(&name).then_some(sequence.len())
}

/// Whether `selector` may select a variant of the character before it.
pub(super) fn selects(before: Option<char>, selector: char) -> bool {
    let Some(before) = before else { return false };
    if u32::from(selector) >= 0xe0100 {
        return is_han(before);
    }
    match before {
        '0'..='9' | '#' | '*' => true,
        '\0'..='\u{a0}' => false,
        _ if Kind::of(before).is_some() => false,
        // Letters have no variants, save in a few scripts and among the letter-like symbols.
        _ => !before.is_alphabetic() || is_han(before) || has_letter_variants(before),
    }
}

fn is_han(character: char) -> bool {
    matches!(
        character,
        '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}'
    )
}

fn has_letter_variants(character: char) -> bool {
    matches!(
        character,
        '\u{1000}'..='\u{109f}' | '\u{1800}'..='\u{18af}' | '\u{2100}'..='\u{214f}' | '\u{2460}'..='\u{24ff}'
            | '\u{a840}'..='\u{a87f}' | '\u{aa60}'..='\u{aa7f}' | '\u{ff00}'..='\u{ffef}'
            | '\u{10ac0}'..='\u{10aff}' | '\u{13000}'..='\u{143ff}' | '\u{1f100}'..='\u{1f2ff}'
    )
}

/// Whether an invisible character has a use between the texts before and behind it.
pub(super) fn is_of_use(before: &str, character: char, behind: &str) -> bool {
    let last = before.chars().next_back();
    let next = behind.chars().next();
    match character {
        // The byte order mark of a file that was read as text.
        '\u{feff}' => before.is_empty(),
        '\u{200d}' if last.is_some_and(is_emoji_part) && next.is_some_and(is_pictograph) => true,
        '\u{200c}' | '\u{200d}' => last.is_some_and(joins),
        '\u{200b}' => last.is_some_and(is_without_spaces) || next.is_some_and(is_without_spaces),
        // A syllable has two letters or more: real hyphenation leaves none alone.
        '\u{ad}' => {
            let two = |characters: &mut dyn Iterator<Item = char>| {
                let letter = |character: char| character.is_alphabetic();
                characters.next().is_some_and(letter) && characters.next().is_some_and(letter)
            };
            two(&mut before.chars().rev()) && two(&mut behind.chars())
        }
        '\u{34f}' => last.is_some_and(|last| !last.is_ascii() && Kind::of(last).is_none()),
        '\u{115f}' | '\u{1160}' => {
            let jamo =
                |one: char| matches!(one, '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97f}' | '\u{d7b0}'..='\u{d7ff}');
            next.is_some_and(jamo) || last.is_some_and(jamo)
        }
        '\u{17b4}' | '\u{17b5}' => {
            last.is_some_and(|one| matches!(one, '\u{1780}'..='\u{17d3}') && Kind::of(one).is_none())
        }
        '\u{180b}'..='\u{180f}' => last.is_some_and(|one| matches!(one, '\u{1810}'..='\u{18af}')),
        _ => false,
    }
}

/// Scripts whose letters join or form clusters, which joiners and non-joiners steer.
fn joins(character: char) -> bool {
    matches!(
        character,
        '\u{590}'..='\u{61b}' | '\u{61d}'..='\u{109f}' | '\u{1780}'..='\u{17b3}' | '\u{17b6}'..='\u{17ff}'
            | '\u{1810}'..='\u{18af}' | '\u{1900}'..='\u{1cff}' | '\u{a800}'..='\u{a8ff}' | '\u{a980}'..='\u{a9df}'
            | '\u{aa00}'..='\u{aadf}' | '\u{abc0}'..='\u{abff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}'
    )
}

/// Scripts written without spaces, where a zero-width space parts words.
fn is_without_spaces(character: char) -> bool {
    matches!(
        character,
        '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aaf}'
            | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aadf}' | '\u{11700}'..='\u{1174f}'
    ) && Kind::of(character).is_none()
}

/// What may stand before the joiner in an emoji: a pictograph, its presentation selector or skin tone, a keycap, a flag's end.
fn is_emoji_part(character: char) -> bool {
    is_pictograph(character) || matches!(character, '\u{fe0f}' | '\u{20e3}' | '\u{e007f}')
}

fn is_pictograph(character: char) -> bool {
    matches!(
        character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
            | '\u{2300}'..='\u{23ff}' | '\u{2460}'..='\u{24ff}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}'
            | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}'
    )
}

fn is_right_to_left(character: char) -> bool {
    matches!(
        character,
        '\u{590}'..='\u{61b}' | '\u{61d}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}'
    )
}

/// What holds for the paragraph that was looked at last: bidirectional controls reach no further than its end (UAX 9, P1).
#[derive(Debug, Default)]
pub(super) struct Paragraph {
    span: Range<usize>,
    right_to_left: bool,
    /// Offsets of controls that are paired and of use, ascending; built when the first is asked for.
    paired: Option<Vec<usize>>,
}

impl Paragraph {
    /// Goes to the paragraph that holds `at`, which is never before the last.
    pub(super) fn enter(&mut self, text: &str, at: usize) {
        if self.span.contains(&at) {
            return;
        }
        let is_break = ['\n', '\r', '\u{85}', '\u{2029}'];
        let before = text.get(self.span.end..at).unwrap_or_default();
        let start = self.span.end + before.rfind(is_break).map_or(0, |offset| offset + 1);
        let behind = text.get(at..).unwrap_or_default();
        let end = at + behind.find(is_break).unwrap_or(behind.len());
        // `start` may lie inside a break character of several bytes; `get` is asked for what begins behind it.
        let start = (start..=at).find(|start| text.is_char_boundary(*start)).unwrap_or(at);
        let content = text.get(start..end).unwrap_or_default();
        *self = Self {
            span: start..end,
            right_to_left: content.chars().any(is_right_to_left),
            paired: None,
        };
    }

    pub(super) const fn is_right_to_left(&self) -> bool {
        self.right_to_left
    }

    /// Whether the control at `at` begins or ends a pair that has a use: any but an override in a paragraph with right-to-left
    /// text, and the isolate that takes its direction from its content, which message formatters put round every insertion.
    pub(super) fn is_paired(&mut self, text: &str, at: usize) -> bool {
        let paired = self.paired.get_or_insert_with(|| {
            let content = text.get(self.span.clone()).unwrap_or_default();
            pairs(content, self.span.start, self.right_to_left)
        });
        paired.binary_search(&at).is_ok()
    }
}

fn pairs(content: &str, offset: usize, right_to_left: bool) -> Vec<usize> {
    let mut paired = Vec::new();
    let mut open: Vec<(usize, char)> = Vec::new();
    // Counted, so that an end without a beginning does not search all that is open.
    let mut isolates = 0usize;
    for (at, character) in content.char_indices() {
        let at = at + offset;
        let begun = match character {
            '\u{202a}' | '\u{202b}' | '\u{202d}' | '\u{202e}' | '\u{2066}'..='\u{2068}' => {
                open.push((at, character));
                isolates += usize::from(character >= '\u{2066}');
                continue;
            }
            '\u{202c}' => open.pop_if(|(_, begun)| *begun < '\u{2066}'),
            // An isolate's end closes the embeddings inside it that are still open.
            '\u{2069}' if isolates > 0 => {
                isolates -= 1;
                while open.pop_if(|(_, begun)| *begun < '\u{2066}').is_some() {}
                open.pop()
            }
            _ => continue,
        };
        if let Some((start, begun)) = begun
            && !matches!(begun, '\u{202d}' | '\u{202e}')
            && (right_to_left || begun == '\u{2068}')
        {
            paired.push(start);
            paired.push(at);
        }
    }
    paired.sort_unstable();
    paired
}
