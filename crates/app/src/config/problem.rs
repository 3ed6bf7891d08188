//! What is wrong with a file, as a compiler says it: all at once, each with its place, what to do, and the line itself. It
//! knows text and places in it; what makes a problem is the checks' matter.

use serde_json::json;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Most problems that are kept; a file that has more is some other file.
const PROBLEMS_MAX: usize = 200;
/// Longest source line that is shown, in characters.
const LINE_CHARS_MAX: usize = 160;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where, in bytes; `None` for the file as a whole.
    pub(crate) span: Option<Range<usize>>,
    /// What, lower case, what the user wrote in backticks.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: String,
    /// The text at `span` may be a secret and is not shown.
    pub(crate) concealed: bool,
}

impl Problem {
    /// A problem at `span`.
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            span: Some(span),
            message: message.into(),
            hint: hint.into(),
            concealed: false,
        }
    }

    /// The same, with the text at its place not shown.
    pub(crate) const fn concealed(mut self) -> Self {
        self.concealed = true;
        self
    }
}

/// Everything that is wrong with one file. Prints like a compiler; [`Problems::to_json`] is for programs.
#[derive(Debug, Clone)]
pub(crate) struct Problems {
    path: PathBuf,
    source: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Problems of the file `path` with the text `source`, in the order of the text.
    pub(crate) fn new(path: &Path, source: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.span.as_ref().map_or((0, 0), |span| (span.start, span.end)));
        list.dedup();
        list.truncate(PROBLEMS_MAX);
        Self {
            path: path.to_owned(),
            source: source.to_owned(),
            list,
        }
    }

    /// One problem of the file as a whole.
    pub(crate) fn whole(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let problem = Problem {
            span: None,
            message: message.into(),
            hint: hint.into(),
            concealed: false,
        };
        Self::new(path, "", vec![problem])
    }

    /// Each problem with its line and column, from 1; columns count characters.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize, &Problem)> {
        self.list.iter().map(|problem| {
            let place = self.place(problem);
            (place.line, place.column, problem)
        })
    }

    /// For programs: `[{"file", "line", "column", "message", "hint"}]`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        self.iter()
            .map(|(line, column, problem)| {
                json!({
                    "file": self.path.display().to_string(),
                    "line": line,
                    "column": column,
                    "message": problem.message,
                    "hint": problem.hint,
                })
            })
            .collect()
    }

    fn place(&self, problem: &Problem) -> Place<'_> {
        let start = problem.span.as_ref().map_or(0, |span| span.start);
        Place::of(&self.source, start)
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            self.write(f, problem)?;
        }
        Ok(())
    }
}

impl Problems {
    fn write(&self, f: &mut fmt::Formatter<'_>, problem: &Problem) -> fmt::Result {
        let Some(span) = &problem.span else {
            writeln!(f, "{}: {}", self.path.display(), problem.message)?;
            return write!(f, "  hint: {}", problem.hint);
        };
        let place = self.place(problem);
        writeln!(
            f,
            "{}:{}:{}: {}",
            self.path.display(),
            place.line,
            place.column,
            problem.message
        )?;
        let shown = match problem.concealed {
            // What follows on the line may be more of the secret.
            true => place.text.chars().take(place.column - 1).collect::<String>() + "...",
            false => place.text.to_owned(),
        };
        if place.column <= LINE_CHARS_MAX {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            let shown: String = shown.chars().take(LINE_CHARS_MAX).map(printable).collect();
            // A tab is as wide in the line of carets as above it.
            let indent: String = shown
                .chars()
                .take(place.column - 1)
                .map(|c| if c == '\t' { c } else { ' ' })
                .collect();
            let marked = self.source.get(span.clone()).unwrap_or_default();
            let marked = marked.lines().next().unwrap_or_default().chars().count();
            let room = shown.chars().count().saturating_sub(place.column - 1);
            let carets = "^".repeat(marked.min(room).max(1));
            writeln!(f, "{margin} |\n{number} | {shown}\n{margin} | {indent}{carets}")?;
        }
        write!(f, "  hint: {}", problem.hint)
    }
}

/// A control character must not reach the terminal; a tab may.
fn printable(c: char) -> char {
    match c {
        '\t' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

struct Place<'a> {
    line: usize,
    column: usize,
    text: &'a str,
}

impl<'a> Place<'a> {
    fn of(source: &'a str, at: usize) -> Self {
        let before = source.get(..at).unwrap_or(source);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let text = source.get(start..).unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(start..).unwrap_or_default().chars().count() + 1,
            text: text.lines().next().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(source: &str, list: Vec<Problem>) -> Problems {
        Problems::new(Path::new("portcullis.toml"), source, list)
    }

    #[test]
    fn a_problem_shows_its_line_and_marks_the_place() {
        let source = "[listen]\n\tadress = \"x\"\n";
        let shown = problems(
            source,
            vec![Problem::at(10..16, "unknown key `adress`", "did you mean `address`?")],
        );
        assert_eq!(
            shown.to_string(),
            "portcullis.toml:2:2: unknown key `adress`\n  |\n2 | \tadress = \"x\"\n  | \t^^^^^^\n  hint: did you mean `address`?"
        );
        assert_eq!(
            shown.to_json(),
            json!([{"file": "portcullis.toml", "line": 2, "column": 2, "message": "unknown key `adress`",
                    "hint": "did you mean `address`?"}])
        );
    }

    #[test]
    fn columns_count_characters_and_the_order_is_that_of_the_text() {
        let source = "a = 1\n\"éé\" = 2\n";
        let list = vec![Problem::at(15..16, "second", "-"), Problem::at(0..1, "first", "-")];
        let places: Vec<_> = problems(source, list)
            .iter()
            .map(|(line, column, problem)| (line, column, problem.message.clone()))
            .collect();
        assert_eq!(places, [(1, 1, "first".to_owned()), (2, 8, "second".to_owned())]);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let source = "key = \"hunter2\" # hunter2\n";
        let shown = problems(source, vec![Problem::at(6..15, "literal", "-").concealed()]).to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("1 | key = ..."), "{shown}");
    }

    #[test]
    fn places_outside_the_text_do_no_harm() {
        for span in [0..0, 100..200, 3..3] {
            let shown = problems("abc", vec![Problem::at(span, "m", "h")]).to_string();
            assert!(shown.ends_with("hint: h"));
        }
    }
}
