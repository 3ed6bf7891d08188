//! Tables: a head of names and the cells below each, in lines (CSV, TSV, Markdown) or lists (`(id, ssn) VALUES (1, '2')`,
//! `["id","ssn"],"rows":[[1,"2"]]`). Each table is read once, whatever number of words is in its head, and a line of its body
//! heads no other, so that a text of nothing but tables is read once too.
//!
//! It must not know what is looked for.

use super::peek::{ahead, behind};
use std::ops::Range;

/// A table is followed so far.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The longest head.
const HEAD_BYTES_MAX: usize = 4 * 1024;

/// A name of a column has so many digits: `sha256`, `q3 2024`.
const NAME_DIGITS_MAX: usize = 5;

/// A list of names begins so near a name in it.
const LIST_BYTES_MAX: usize = 1_024;

/// The tables of a text, asked for its words in order.
#[derive(Debug)]
pub(crate) struct Tables<'a> {
    text: &'a [u8],
    /// The last table.
    last: Option<Table>,
    /// Words before these places are in a line, and in a list, that heads no table.
    no_line_before: usize,
    no_list_before: usize,
    /// Where the last border of a list before this place is, so that no byte is asked twice.
    borders_before: usize,
    border: Option<usize>,
}

#[derive(Debug)]
struct Table {
    /// The names, each with its cells.
    columns: Vec<(Range<usize>, Vec<Range<usize>>)>,
    /// Where the head ends, and the body.
    head_end: usize,
    end: usize,
}

impl<'a> Tables<'a> {
    pub(crate) const fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            last: None,
            no_line_before: 0,
            no_list_before: 0,
            borders_before: 0,
            border: None,
        }
    }

    /// The cells below `word`, if it heads a column. Words must come in order.
    pub(crate) fn cells(&mut self, word: &Range<usize>) -> &[Range<usize>] {
        let is_known = self.last.as_ref().is_some_and(|last| word.start < last.end);
        if !is_known && let Some(table) = self.headed_by(word) {
            self.last = Some(table);
        }
        let last = self.last.as_ref().filter(|last| word.start < last.head_end);
        let column = last.and_then(|last| {
            last.columns
                .iter()
                .find(|(name, _)| name.start <= word.start && word.end <= name.end)
        });
        column.map_or(&[], |(_, cells)| cells)
    }

    fn headed_by(&mut self, word: &Range<usize>) -> Option<Table> {
        if word.start >= self.no_line_before {
            let (table, end) = lines(self.text, word);
            if table.is_some() {
                return table;
            }
            self.no_line_before = end;
        }
        if word.start >= self.no_list_before {
            let border = self.border_before(word.start);
            let (table, end) = lists(self.text, word, border);
            self.no_list_before = end;
            return table;
        }
        None
    }

    /// The last bracket or other border of a list before `at`, if it is near.
    fn border_before(&mut self, at: usize) -> Option<usize> {
        let from = self.borders_before.max(at.saturating_sub(LIST_BYTES_MAX)).min(at);
        let is_border = |byte: &u8| matches!(byte, b'(' | b'[' | b'{' | b'}' | b':' | b';' | b'\n' | b']' | b')');
        let last = self.text.get(from..at).unwrap_or_default().iter().rposition(is_border);
        self.border = last.map(|last| from + last).or(self.border);
        self.borders_before = self.borders_before.max(at);
        let is_near = |border: &usize| at.checked_sub(*border).is_some_and(|far| far <= LIST_BYTES_MAX);
        self.border.filter(is_near)
    }
}

/// The table of lines whose head `word` is in, and where that line ends.
fn lines(text: &[u8], word: &Range<usize>) -> (Option<Table>, usize) {
    let before = behind(text, word.start, HEAD_BYTES_MAX);
    let line = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let start = word.start - (before.len() - line);
    let rest = ahead(text, word.end, HEAD_BYTES_MAX);
    let Some(length) = memchr::memchr(b'\n', rest) else {
        return (None, word.end + rest.len());
    };
    let end = word.end + length;
    let head = text.get(start..end).unwrap_or_default();
    // Of JSON and of code most lines are told by this.
    if memchr::memchr3(b':', b'=', b'(', head).is_some() || memchr::memchr(b'{', head).is_some() {
        return (None, end);
    }
    let count = |delimiter: u8| memchr::memchr_iter(delimiter, head).count();
    let Some(delimiter) = b",\t;|".iter().copied().max_by_key(|delimiter| count(*delimiter)) else {
        return (None, end);
    };
    let is_head =
        count(delimiter) > 0 && !is_no_head(head, delimiter) && !head.split(|byte| *byte == delimiter).any(is_value);
    if !is_head {
        return (None, end);
    }
    let mut columns: Vec<(Range<usize>, Vec<Range<usize>>)> = delimited(head, delimiter)
        .into_iter()
        .map(|name| (start + name.start..start + name.end, Vec::new()))
        .collect();
    // All delimiters are in quotes.
    if columns.len() < 2 {
        return (None, end);
    }
    let limit = (end + 1 + BODY_BYTES_MAX).min(text.len());
    let mut at = end + 1;
    for line in text.get(at..limit).unwrap_or_default().split(|byte| *byte == b'\n') {
        let cells = delimited(line, delimiter);
        if cells.len() != columns.len() {
            break;
        }
        for ((_, column), cell) in columns.iter_mut().zip(cells) {
            column.push(at + cell.start..at + cell.end);
        }
        at += line.len() + 1;
    }
    let table = Table {
        columns,
        head_end: end,
        end: at,
    };
    (Some(table), end)
}

/// A line of a list in code, a sentence, a remark, assembly.
fn is_no_head(head: &[u8], delimiter: u8) -> bool {
    let line = head.trim_ascii();
    let is_remark = [&b"//"[..], b"# ", b"* ", b"-- ", b"/*"]
        .iter()
        .any(|mark| line.starts_with(mark));
    let is_code = |name: &[u8]| name.is_empty() || matches!(name.first(), Some(b'.' | b'$' | b'%'));
    match delimiter {
        b',' => line.ends_with(b",") || line.ends_with(b".") || is_remark,
        b'\t' => head.split(|byte| *byte == b'\t').any(is_code) || is_remark,
        _ => is_remark,
    }
}

/// A head has names and no values: neither figures without letters, nor as many as a number has, nor what JSON and SQL have for
/// values that are no text.
fn is_value(cell: &[u8]) -> bool {
    if [&b"true"[..], b"false", b"null"]
        .iter()
        .any(|literal| cell.trim_ascii().eq_ignore_ascii_case(literal))
    {
        return true;
    }
    let digits = cell.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits > NAME_DIGITS_MAX || digits > 0 && !cell.iter().any(u8::is_ascii_alphabetic)
}

/// The cells of a line; a delimiter in quotes is none.
fn delimited(line: &[u8], delimiter: u8) -> Vec<Range<usize>> {
    let mut cells = Vec::new();
    let (mut start, mut is_quoted) = (0, false);
    for (at, byte) in line.iter().enumerate() {
        if *byte == b'"' {
            is_quoted = !is_quoted;
        } else if *byte == delimiter && !is_quoted {
            cells.push(start..at);
            start = at + 1;
        }
    }
    cells.push(start..line.len());
    cells
}

/// The lists below the list of names that `word` is in, which has its last `border` before it, and up to where no other word need
/// ask.
fn lists(text: &[u8], word: &Range<usize>, border: Option<usize>) -> (Option<Table>, usize) {
    let Some(border) = border else {
        return (None, word.end);
    };
    let start = border + 1;
    let close = match text.get(border) {
        Some(b'(') => b')',
        Some(b'[') => b']',
        _ => return (None, word.end),
    };
    let rest = ahead(text, word.end, HEAD_BYTES_MAX);
    let Some(length) = memchr::memchr(close, rest) else {
        return (None, word.end + rest.len());
    };
    let end = word.end + length;
    let names = delimited_by_commas(text.get(start..end).unwrap_or_default());
    let cell = |name: &Range<usize>| text.get(start + name.start..start + name.end).unwrap_or_default();
    // The bracket that closes the names is not one that a name opened: of a mark, as of any other text.
    let is_open = |name: &Range<usize>| cell(name).contains(&b'[') || cell(name).contains(&b'(');
    if names.len() < 2 || names.iter().any(|name| is_open(name) || is_value(cell(name))) {
        return (None, end);
    }
    let mut columns: Vec<(Range<usize>, Vec<Range<usize>>)> = names
        .into_iter()
        .map(|name| (start + name.start..start + name.end, Vec::new()))
        .collect();
    let limit = (end + 1 + BODY_BYTES_MAX).min(text.len());
    let mut at = end + 1;
    // What may stand between the names and the first list, and between lists.
    let mut between_max = 64;
    while let Some(rest) = text.get(at..limit) {
        let open = rest
            .iter()
            .take(between_max)
            .position(|byte| matches!(byte, b'(' | b'['));
        let Some(mut start) = open.map(|open| at + open + 1) else {
            break;
        };
        // `(id, ssn) VALUES (1, 2)`; rows of code are as much in brackets as its first.
        if close == b')' && at == end + 1 && !is_values(text.get(at..start).unwrap_or_default()) {
            break;
        }
        while matches!(text.get(start), Some(b'[' | b' ' | b'\n' | b'\r' | b'\t')) {
            start += 1;
        }
        let list = text.get(start..limit).unwrap_or_default();
        let Some(length) = list_length(list) else { break };
        let values = delimited_by_commas(list.get(..length).unwrap_or_default());
        if values.len() != columns.len() {
            break;
        }
        for ((_, column), value) in columns.iter_mut().zip(values) {
            column.push(start + value.start..start + value.end);
        }
        at = start + length + 1;
        between_max = 8;
    }
    let table = Table {
        columns,
        head_end: end,
        end: at,
    };
    (Some(table), end)
}

/// Whether SQL says that values follow.
fn is_values(between: &[u8]) -> bool {
    between.windows(6).any(|word| word.eq_ignore_ascii_case(b"values"))
}

/// How far it is to the end of a list, quotes heeded.
fn list_length(list: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in list.iter().enumerate().take(HEAD_BYTES_MAX * 4) {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if *byte == open => quote = None,
            (None, b')' | b']') => return Some(at),
            (None, b'(' | b'[' | b'{') => return None,
            _ => {}
        }
    }
    None
}

fn delimited_by_commas(list: &[u8]) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (at, byte) in list.iter().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if *byte == open => quote = None,
            (None, b',') => {
                values.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    values.push(start..list.len());
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<String> {
        let start = text.find("ssn").unwrap();
        let mut tables = Tables::of(text.as_bytes());
        let cells = tables.cells(&(start..start + 3));
        cells.iter().map(|cell| text[cell.clone()].to_owned()).collect()
    }

    #[test]
    fn a_head_has_its_column() {
        for (text, cells) in [
            ("id,ssn,x\n1,22,3\n4,55,6\n\n7,8,9\n", vec!["22", "55"]),
            ("id\tssn\n1\t22\n", vec!["22"]),
            ("| id | ssn |\n|----|-----|\n| 1 | 22 |\n", vec!["-----", " 22 "]),
            (
                "INSERT INTO t (id, ssn) VALUES (1, '2,2'), (3, '44');",
                vec![" '2,2'", " '44'"],
            ),
            (
                r#"{"columns":["id","ssn"],"rows":[[1,"22"],[3,"44"]]}"#,
                vec!["\"22\"", "\"44\""],
            ),
            ("id, ssn\n", vec![]),
            ("ssn: 1\n2,3\n", vec![]),
        ] {
            assert_eq!(super::tests::cells(text), cells, "{text}");
        }
    }

    #[test]
    fn a_line_of_a_body_heads_nothing() {
        let text = "ssn,ssn\nssn,ssn\nssn,ssn\n";
        let mut tables = Tables::of(text.as_bytes());
        let words = (0..6).map(|index| index * 4..index * 4 + 3);
        let counts: Vec<usize> = words.map(|word| tables.cells(&word).len()).collect();
        assert_eq!(counts, [2, 2, 0, 0, 0, 0]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_tables(text: String, at in proptest::collection::vec(0..60_usize, 1..6)) {
            let text = format!("{text},ssn\n{text},2\n({text},ssn) ({text},1)");
            let mut at = at;
            at.sort_unstable();
            let mut tables = Tables::of(text.as_bytes());
            for at in at {
                let at = at.min(text.len());
                let word = at..(at + 3).min(text.len());
                for cell in tables.cells(&word) {
                    proptest::prop_assert!(cell.start <= cell.end && cell.end <= text.len());
                }
            }
        }
    }
}
