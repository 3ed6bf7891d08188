//! `cargo xtask fresh`: labelled texts that later tell whether the detectors of secrets and personal data know more than the texts
//! they were tuned on.
//!
//! FROZEN. This generator was written from general knowledge of formats and laws alone, by a helper session that saw neither the
//! detectors (`crates/guards`), nor their design, nor the corpora they are tuned on, nor any result; and whoever tunes detectors
//! does not read it. Its worth is that independence. So it is not changed to suit a detector: a label that is plainly wrong may be
//! corrected, with a line in the log that says so, and a new generator is written when this one has been looked into for tuning.
//!
//! It knows nothing of the rest of the workspace.
#![expect(
    clippy::indexing_slicing,
    reason = "tables and texts are this module's own, nothing comes from outside, and a developer runs it by hand"
)]

mod codec;
mod compose;
mod contact;
pub(crate) mod dice;
mod digits;
mod filler;
mod money;
mod national;
mod papers;
mod pen;
mod secrets;
#[cfg(test)]
mod tests;
mod tokens;
mod value;
mod words;
mod wrap;

use crate::child::Result;
use compose::Record;
use dice::Dice;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use value::Class;

/// Records without `--records`.
const RECORDS: usize = 20_000;
/// At most as many, so that an `id` keeps its width and memory its bounds.
const RECORDS_MAX: usize = 2_000_000;
/// The seed without `--seed`.
const SEED: u64 = 1;
/// Attempts for a record, when a text came out that is there already.
const ATTEMPTS: u64 = 64;

/// The command: `[--records N] [--seed S] (--out FILE | --counts)`.
///
/// # Errors
/// A wrong argument, a template that is wrong, or a file that cannot be written.
pub(crate) fn command(arguments: &[String]) -> Result<bool> {
    let (mut records, mut seed, mut out, mut counts) = (RECORDS, SEED, None, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .ok_or_else(|| format!("`{word}` wants a value\nhint: {USAGE}"))
        };
        match word.as_str() {
            "--records" => records = value()?.parse()?,
            "--seed" => seed = value()?.parse()?,
            "--out" => out = Some(value()?.clone()),
            "--counts" => counts = true,
            other => return Err(format!("unknown argument `{other}`\nhint: {USAGE}").into()),
        }
    }
    if records > RECORDS_MAX {
        return Err(format!("`--records {records}` is too many\nhint: at most {RECORDS_MAX}").into());
    }
    if out.is_none() && !counts {
        return Err(format!("nothing to do\nhint: {USAGE}").into());
    }
    let all = generate(seed, records)?;
    if let Some(path) = out {
        let mut file = BufWriter::new(File::create(&path)?);
        for (at, record) in all.iter().enumerate() {
            writeln!(file, "{}", line(at + 1, record))?;
        }
        file.flush()?;
        println!("fresh: {} records of seed {seed} in {path}", all.len());
    }
    if counts {
        print!("{}", table(&all));
    }
    Ok(true)
}

const USAGE: &str = "cargo xtask fresh [--records N] [--seed S] (--out FILE | --counts)";

/// The records of a seed. The first ones do not depend on how many are asked for.
fn generate(seed: u64, count: usize) -> Result<Vec<Record>> {
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(count);
    for at in 0..count as u64 {
        for attempt in 0..ATTEMPTS {
            let record = compose::record(&mut Dice::new(seed, at * ATTEMPTS + attempt))?;
            if seen.insert(record.text.clone()) || attempt == ATTEMPTS - 1 {
                all.push(record);
                break;
            }
        }
    }
    Ok(all)
}

/// A record as a line of JSON, without the line's end.
fn line(number: usize, record: &Record) -> String {
    let text = serde_json::Value::from(record.text.as_str());
    let spans: Vec<String> = record
        .spans
        .iter()
        .map(|span| format!("[{},{},\"{}\"]", span.start, span.end, span.class.name()))
        .collect();
    let subs: Vec<String> = record.spans.iter().map(|span| format!("\"{}\"", span.sub)).collect();
    let tags: Vec<String> = record.tags.iter().map(|tag| format!("\"{tag}\"")).collect();
    let kind = if record.positive { "pos" } else { "neg" };
    let ignore: Vec<String> = record
        .ignore
        .iter()
        .map(|(start, end)| format!("[{start},{end}]"))
        .collect();
    let ignore = if ignore.is_empty() {
        String::new()
    } else {
        format!(",\"ignore\":[{}]", ignore.join(","))
    };
    format!(
        "{{\"id\":\"fresh-{number:05}\",\"text\":{text},\"spans\":[{}],\"subs\":[{}],\"tags\":[{}],\"kind\":\"{kind}\",\"source\":\"fresh\"{ignore}}}",
        spans.join(","),
        subs.join(","),
        tags.join(",")
    )
}

/// How many there are of each class, sub and tag.
fn table(all: &[Record]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tags: BTreeMap<&str, usize> = BTreeMap::new();
    let mut classes: BTreeMap<Class, BTreeMap<&str, usize>> = BTreeMap::new();
    for record in all {
        *kinds.entry(if record.positive { "pos" } else { "neg" }).or_default() += 1;
        for tag in &record.tags {
            *tags.entry(tag).or_default() += 1;
        }
        for span in &record.spans {
            *classes.entry(span.class).or_default().entry(&span.sub).or_default() += 1;
        }
    }
    let list = |counts: &BTreeMap<&str, usize>| {
        let items: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        items.join(", ")
    };
    let sum = |secret: bool| -> usize {
        classes
            .iter()
            .filter(|(class, _)| class.is_secret() == secret)
            .flat_map(|(_, subs)| subs.values())
            .sum()
    };
    let mut text = format!(
        "records: {}\ntags: {}\nspans: secrets {}, pii {}\n",
        list(&kinds),
        list(&tags),
        sum(true),
        sum(false)
    );
    for class in Class::ALL {
        let empty = BTreeMap::new();
        let subs = classes.get(class).unwrap_or(&empty);
        let total: usize = subs.values().sum();
        text.push_str(&format!("{:<15} {total:>5}  {}\n", class.name(), list(subs)));
    }
    text
}
