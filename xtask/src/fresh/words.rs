//! The languages: what things are called in each, its names, streets and letters. Read from `texts/words.txt`.

use super::dice::Dice;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One language.
pub(super) struct Lang {
    pub(super) code: &'static str,
    /// Countries where it is spoken, as often as they shall be drawn.
    pub(super) regions: Vec<&'static str>,
    words: BTreeMap<&'static str, &'static str>,
}

impl Lang {
    /// The words for `what`, `|` between; empty when the language has none.
    pub(super) fn words(&self, what: &str) -> &'static str {
        self.words.get(what).copied().unwrap_or_default()
    }

    /// One of the words for `what`.
    pub(super) fn word(&self, what: &str, dice: &mut Dice) -> &'static str {
        dice.word(self.words(what))
    }

    /// Whether family names come first and no space stands between.
    pub(super) fn joins_names(&self) -> bool {
        matches!(self.code, "ja" | "zh" | "ko")
    }

    /// A full name of a given and a family name.
    pub(super) fn full_name(&self, given: &str, family: &str) -> String {
        match self.code {
            "ja" | "zh" | "ko" => format!("{family}{given}"),
            "hu" | "vi" => format!("{family} {given}"),
            _ => format!("{given} {family}"),
        }
    }
}

/// All languages, in the order of the file.
pub(super) static LANGS: LazyLock<Vec<Lang>> = LazyLock::new(|| {
    let mut langs: Vec<Lang> = Vec::new();
    for line in include_str!("texts/words.txt").lines() {
        if let Some(head) = line.strip_prefix('[') {
            let (code, regions) = head.trim_end_matches(']').split_once(' ').unwrap_or((head, ""));
            langs.push(Lang {
                code,
                regions: regions.split(',').collect(),
                words: BTreeMap::new(),
            });
        } else if let (Some(lang), Some((what, words))) = (langs.last_mut(), line.split_once('=')) {
            lang.words.insert(what, words);
        }
    }
    langs
});

/// A language, English in three cases of ten.
pub(super) fn any_lang(dice: &mut Dice) -> &'static Lang {
    if dice.chance(30) { &LANGS[0] } else { dice.pick(&LANGS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_word() {
        assert!(LANGS.len() >= 20);
        for lang in LANGS.iter() {
            for what in LANGS[0].words.keys() {
                assert!(!lang.words(what).is_empty(), "{} has no `{what}`", lang.code);
            }
        }
    }
}
