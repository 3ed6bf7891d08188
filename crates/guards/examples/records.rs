//! Reads JSON lines with `id` and `text` from standard input and prints what is found in each, with the rules that found it: for
//! trying rules without the gateway.

use portcullis_guards::scan::{Rules, Scanner};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{self, BufRead};

fn main() -> Result<(), Box<dyn Error>> {
    let scanner = Scanner::new(Rules::built_in()?)?;
    for line in io::stdin().lock().lines() {
        let record: Value = serde_json::from_str(&line?)?;
        let text = record.get("text").and_then(Value::as_str).unwrap_or_default();
        let found = scanner.scan(text.as_bytes());
        let spans: Vec<Value> = found
            .iter()
            .map(|found| json!([found.span.start, found.span.end, found.class.as_str()]))
            .collect();
        let rules: Vec<&str> = found.iter().map(|found| found.rule).collect();
        println!("{}", json!({ "id": record.get("id"), "spans": spans, "rules": rules }));
    }
    Ok(())
}
