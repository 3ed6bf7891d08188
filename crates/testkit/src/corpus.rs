//! The corpus of messages that must travel unchanged (`crates/wire/tests/corpus`), for every test that sends them through something.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One message of the corpus.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its file's path below the corpus, without the ending.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

/// All messages below `root`, in order: a directory for each revision, in it files with a message a line.
///
/// # Errors
/// What reading says.
pub fn read(root: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for directory in list(root)? {
        for file in list(&directory)? {
            let name = file.with_extension("");
            let name = name.strip_prefix(root).unwrap_or(&name).to_string_lossy().into_owned();
            for (index, line) in fs::read_to_string(&file)?.lines().enumerate() {
                entries.push(Entry {
                    file: name.clone(),
                    line: index + 1,
                    text: line.to_owned(),
                });
            }
        }
    }
    Ok(entries)
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<_> = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// Where two texts part, with what stands there; `None` where they are the same.
#[must_use]
pub fn difference(left: &[u8], right: &[u8]) -> Option<String> {
    if left == right {
        return None;
    }
    let at = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let around = |text: &[u8]| {
        let from = at.saturating_sub(30).min(text.len());
        let piece = text.get(from..text.len().min(at + 90)).unwrap_or_default();
        String::from_utf8_lossy(piece).into_owned()
    };
    Some(format!("at byte {at}: `{}` became `{}`", around(left), around(right)))
}
