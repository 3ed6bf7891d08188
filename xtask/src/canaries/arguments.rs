//! The other way: secrets and marks in what a client says reach no server, and what only looks like one reaches it as it was, as do
//! the numbers that a server works with. What reached it is what the carrier noted.

use super::alike;
use super::client::Era;
use super::encode::{ENCODINGS, Encoding, Traces};
use super::make::{CLASSES, Canary, Nest, SECRETS};
use super::places::{agree, go_on};
use super::{Faults, Leg, contains, short};
use crate::child::Result;
use crate::fresh::dice::Dice;
use serde_json::{Value, json};
use std::fs;

/// Where a client says something.
const PLACES: [&str; 6] = ["tool", "field", "prompt", "completion", "elicitation", "sampling"];

/// What a client says and what must become of it.
struct Told {
    place: &'static str,
    what: String,
    text: String,
    label: &'static str,
    /// `None` where it must arrive.
    refused: Option<Traces>,
    /// What the refusal has to name.
    names: &'static str,
    /// A mark of ours, which may be told.
    is_mark: bool,
}

/// Says `count` secrets with the marks, and `count` of what must arrive; the figure.
pub(super) fn refuse(leg: &mut Leg, count: usize, faults: &mut Faults) -> Result<String> {
    let (mut refused, mut arrived) = (0, 0);
    for told in plan(count)? {
        let place = told.place;
        let from = fs::metadata(&leg.heard).map_or(0, |file| file.len());
        let heard = tell(leg, place, &told)?;
        let all = heard.concat();
        let noted = fs::read(&leg.heard)?;
        let noted = noted.get(usize::try_from(from)?..).unwrap_or_default();
        let name = format!("{}: {} at {place}: {:?}", leg.name, told.what, told.text);
        match &told.refused {
            Some(traces) => {
                // Hidden characters are refused before anything else is looked for.
                let is_named = contains(&all, told.names.as_bytes()) || contains(&all, b"hidden characters");
                let has_path = [&b"/params/"[..], b"/result/"].iter().any(|part| contains(&all, part));
                let said_back = traces.seen_in(&all).filter(|_| !told.is_mark);
                if let Some(part) = traces.seen_in(noted) {
                    faults.add("let in", &format!("{name}: `{part}` reached the server"));
                } else if let Some(part) = said_back {
                    faults.add("said back", &format!("{name}: `{part}` in {}", short(&all)));
                } else if is_named && has_path {
                    refused += 1;
                } else {
                    faults.add("not named", &format!("{name}: {}", short(&all)));
                }
            }
            None => {
                let is_there = noted
                    .split(|byte| *byte == b'\n')
                    .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
                    .any(|message| holds(&message, &told.text));
                match is_there {
                    true => arrived += 1,
                    false => faults.add("kept back", &format!("{name}: {}", short(&all))),
                }
            }
        }
    }
    Ok(format!(
        "in arguments {refused} secrets and marks refused, {arrived} others as they were"
    ))
}

fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(said) => said == text,
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(members) => members.values().any(|member| holds(member, text)),
        _ => false,
    }
}

fn plan(count: usize) -> Result<Vec<Told>> {
    let mut nest = Nest::new(super::SEED + 1)?;
    let mut dice = Dice::new(super::SEED + 1, 2);
    let mut told = Vec::new();
    let place_of = |at: usize| PLACES[(at + at / PLACES.len()) % PLACES.len()];
    for at in 0..count {
        let place = place_of(at);
        // A mark for every eight secrets.
        if at % 9 == 8 {
            let class = CLASSES[at / 9 % CLASSES.len()];
            let mark = match class {
                "CARD" | "IBAN" => format!("[{class}:{}]", dice.digits(4)),
                _ => format!("[{class}]"),
            };
            let canary = Canary {
                class,
                kind: "mark".to_owned(),
                label: None,
                is_sure: false,
                values: vec![mark.clone()],
                text: format!("pay to {mark} at once"),
            };
            told.push(Told {
                place,
                what: format!("mark of {class}"),
                refused: Some(Traces::of(&canary)),
                text: canary.text,
                label: "note",
                names: class,
                is_mark: true,
            });
            continue;
        }
        let class = at % SECRETS;
        // No secret is written in digits of another script, and the client's messages are written by this proof's own hand.
        let encoding = match ENCODINGS[at % ENCODINGS.len()] {
            Encoding::OtherDigits | Encoding::Wire => Encoding::Plain,
            other => other,
        };
        let is_field = place == "field" && encoding.is_of_characters() && encoding != Encoding::QuotedPrintable;
        let canary = loop {
            let canary = nest.hatch(class, is_field);
            if !Traces::of(&canary).is_empty() {
                break canary;
            }
        };
        let (text, label) = match (is_field, canary.label, canary.values.first()) {
            (true, Some(label), Some(value)) => (encoding.of_value(value), label),
            _ => (encoding.of_text(&canary), "note"),
        };
        told.push(Told {
            place,
            what: format!("{} ({}) as {encoding:?}", canary.class, canary.kind),
            refused: Some(Traces::of(&canary)),
            text,
            label,
            names: canary.class,
            is_mark: false,
        });
    }
    for at in 0..count {
        // A number of a person or an account for every three look-alikes: servers work with them.
        let text = match at % 4 {
            3 => nest.hatch(SECRETS + at / 4 % (CLASSES.len() - SECRETS), false).text,
            _ => alike::alike(&mut dice, at).text,
        };
        told.push(Told {
            place: place_of(at),
            what: "look-alike".to_owned(),
            text,
            label: "note",
            refused: None,
            names: "",
            is_mark: false,
        });
    }
    Ok(told)
}

/// Says it; what is heard in answer.
fn tell(leg: &mut Leg, place: &str, told: &Told) -> Result<Vec<Vec<u8>>> {
    let client = &mut leg.site.carrier;
    let text = &told.text;
    let (method, params) = match place {
        "prompt" => ("prompts/get", json!({"name": "letter", "arguments": {"note": text}})),
        "completion" => (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "letter"}, "argument": {"name": "note", "value": text}}),
        ),
        "elicitation" | "sampling" => {
            let params = json!({"name": "say", "arguments": {"place": place, "at": 0}});
            let mut reply = |question: &Value| match question.get("method").and_then(Value::as_str) {
                Some("sampling/createMessage") => {
                    json!({"role": "assistant", "content": {"type": "text", "text": text}, "model": "none"})
                }
                Some("elicitation/create") => json!({"action": "accept", "content": {"reply": text}}),
                _ => agree(question),
            };
            let mut heard = client.ask("tools/call", params.clone(), &mut reply)?;
            if client.era() == Era::Modern {
                heard.extend(go_on(client, "tools/call", params, &heard, &mut reply)?);
            }
            return Ok(heard);
        }
        "field" => (
            "tools/call",
            json!({"name": "take", "arguments": {"deep": [{told.label: text}]}}),
        ),
        _ => (
            "tools/call",
            json!({"name": "take", "arguments": {"rows": [{"note": text}]}}),
        ),
    };
    client.ask(method, params, &mut agree)
}
