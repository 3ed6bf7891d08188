//! Chance, from a seed: every draw of the generator goes through here. Knows nothing of what is drawn. The sampling is
//! written out (not taken from a library), so that a newer library cannot change the frozen texts.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub(crate) const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
pub(crate) const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(crate) const DIGITS: &str = "0123456789";
pub(crate) const HEX: &str = "0123456789abcdef";
pub(crate) const ALNUM: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub(crate) const LOWER_ALNUM: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
pub(crate) const UPPER_ALNUM: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub(crate) const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(crate) const URL64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
pub(crate) const STD64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// One stream of chance.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream numbered `stream` of `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut source = ChaCha8Rng::seed_from_u64(seed);
        source.set_stream(stream);
        Self(source)
    }

    /// A number under `end`; 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.0.next_u64()) * (end as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number of the range, both ends included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high + 1 - low)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `from`, which is not empty.
    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// One of the words of a list written `one|two|three`.
    pub(crate) fn word<'t>(&mut self, list: &'t str) -> &'t str {
        let count = list.split('|').count();
        let at = self.below(count);
        list.split('|').nth(at).unwrap_or_default()
    }

    /// `count` characters of an ASCII or other alphabet.
    pub(crate) fn draw(&mut self, alphabet: &str, count: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..count).map(|_| *self.pick(&alphabet)).collect()
    }

    pub(crate) fn digits(&mut self, count: usize) -> String {
        self.draw(DIGITS, count)
    }

    pub(crate) fn hex(&mut self, count: usize) -> String {
        self.draw(HEX, count)
    }

    pub(crate) fn alnum(&mut self, count: usize) -> String {
        self.draw(ALNUM, count)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A number of `width` digits with leading zeros, in `low..=high`.
    pub(crate) fn padded(&mut self, low: usize, high: usize, width: usize) -> String {
        let number = self.between(low, high);
        format!("{number:0width$}")
    }

    /// Fills a pattern: `#` a digit, `%` 1 to 9, `@` an upper-case letter, `~` a lower-case letter, `^` an upper-case letter
    /// or digit, `_h` stays. All else stands for itself.
    pub(crate) fn pattern(&mut self, pattern: &str) -> String {
        let mut text = String::new();
        for sign in pattern.chars() {
            match sign {
                '#' => text.push_str(&self.digits(1)),
                '%' => text.push_str(&self.draw("123456789", 1)),
                '@' => text.push_str(&self.draw(UPPER, 1)),
                '~' => text.push_str(&self.draw(LOWER, 1)),
                '^' => text.push_str(&self.draw(UPPER_ALNUM, 1)),
                other => text.push(other),
            }
        }
        text
    }

    /// A random UUID of version 4.
    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.hex(30);
        let variant = self.draw("89ab", 1);
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
        format!(
            "{}-{}-4{}-{variant}{}-{}",
            part(0..8),
            part(8..12),
            part(12..15),
            part(15..18),
            part(18..30)
        )
    }

    /// A plausible day of birth: year, month, day.
    pub(crate) fn birth(&mut self) -> (usize, usize, usize) {
        (self.between(1941, 2006), self.between(1, 12), self.between(1, 28))
    }

    /// Shuffles in place.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at + 1);
            items.swap(at, other);
        }
    }
}
