//! Composes one record: which values, in what setting, under what disguise.

use super::dice::Dice;
use super::filler;
use super::pen::{Column, Form, Made, Pen, Span, json, style};
use super::value::Value;
use super::words::{Lang, any_lang};
use super::wrap::{self, Wrap};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// One of the hand-written settings.
pub(super) struct Template {
    /// File and number, for the count of how often each is used.
    pub(super) id: String,
    pub(super) form: Form,
    /// Further words of the head.
    flags: Vec<&'static str>,
    pub(super) text: &'static str,
}

impl Template {
    fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }
}

/// A file of templates: each begins with a line `@@ FORM FLAG...`.
fn templates(file: &str, text: &'static str) -> Vec<Template> {
    let mut all: Vec<Template> = Vec::new();
    let mut start: Option<(Form, Vec<&'static str>, usize)> = None;
    let mut at = 0;
    let mut close = |start: Option<(Form, Vec<&'static str>, usize)>, end: usize| {
        if let Some((form, flags, from)) = start {
            all.push(Template {
                id: format!("{file}.{}", all.len() + 1),
                form,
                flags,
                text: text.get(from..end).unwrap_or_default().trim_end_matches('\n'),
            });
        }
    };
    for line in text.split_inclusive('\n') {
        let mut words = line.split_whitespace();
        // A hunk of a difference begins like a head, but names no form.
        if words.next() == Some("@@")
            && let Some(form) = words.next().and_then(Form::of)
        {
            close(start.take(), at);
            start = Some((form, words.collect(), at + line.len()));
        }
        at += line.len();
    }
    close(start, at);
    all
}

/// All settings, by what they are for.
pub(super) struct Settings {
    pub(super) shapes: Vec<Template>,
    pub(super) secrets: Vec<Template>,
    pub(super) personal: Vec<Template>,
    pub(super) prose: Vec<Template>,
    pub(super) negatives: Vec<Template>,
    pub(super) carriers: Vec<Template>,
}

pub(super) static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings {
    shapes: templates("shape", include_str!("texts/shapes.txt")),
    secrets: templates("secret", include_str!("texts/scenes_secrets.txt")),
    personal: templates("personal", include_str!("texts/scenes_pii.txt")),
    prose: templates("prose", include_str!("texts/prose.txt")),
    negatives: templates("negative", include_str!("texts/negatives.txt")),
    carriers: templates("carrier", include_str!("texts/carriers.txt")),
});

/// A labelled text.
pub(super) struct Record {
    pub(super) text: String,
    pub(super) spans: Vec<Span>,
    pub(super) ignore: Vec<(usize, usize)>,
    pub(super) tags: Vec<&'static str>,
    pub(super) positive: bool,
    pub(super) wrapped: bool,
    /// The template.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests count templates"))]
    pub(super) skeleton: &'static str,
    /// What the text is made of.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests parse what should parse"))]
    pub(super) form: Form,
}

/// Of 100 records, those without a value.
const NEGATIVES: usize = 40;
/// Of 100 records with a value, those that are disguised.
const WRAPPED: usize = 12;

/// Kinds of fields that stand together, each group as often as it is named.
const THEMES: &[&[&str]] = &[
    &["name", "email", "phone", "address", "dob", "nid"],
    &["given", "family", "email", "phone", "nid"],
    &["sorted", "dob", "nid", "address"],
    &["nid", "nid", "name"],
    &["nid", "dob"],
    &["name", "card", "email"],
    &["card", "iban", "bank"],
    &["iban", "name", "bank", "nid"],
    &["bank", "bank", "name"],
    &["name", "dob", "health", "phone"],
    &["health", "nid", "address"],
    &["health", "dob"],
    &["name", "passport", "dob", "email"],
    &["passport", "licence", "nid"],
    &["vehicle:vin", "vehicle:plate", "licence"],
    &["device", "mac", "ip", "phone"],
    &["device", "email"],
    &["ip", "mac"],
    &["ip", "email"],
    &["crypto", "email", "ip"],
    &["crypto", "crypto"],
    &["password", "email"],
    &["password", "secret", "token"],
    &["password", "ip"],
    &["password:config", "token"],
    &["token", "token", "secret"],
    &["token", "jwt"],
    &["secret", "password", "jwt"],
    &["token", "secret", "password", "email"],
    &["pem", "token"],
    &["phrase", "secret"],
];

/// What a text made for a disguise may carry.
const CARRIED: &[&str] = &[
    "card", "iban", "email", "phone", "nid", "nid", "health", "bank", "dob", "passport", "licence", "vehicle",
    "device", "ip", "mac", "crypto", "token", "token", "token", "password", "password", "secret", "secret", "jwt",
    "pem", "name", "address",
];

/// Composes a record.
///
/// # Errors
/// What is wrong with a template.
pub(super) fn record(dice: &mut Dice) -> Result<Record, String> {
    if dice.chance(NEGATIVES) {
        return negative(dice);
    }
    if !dice.chance(WRAPPED) {
        return positive(dice, None);
    }
    let wrap = *dice.pick(Wrap::ALL);
    if wrap.has_carriers() {
        return carried(dice, wrap);
    }
    loop {
        let record = positive(dice, Some(wrap))?;
        if record.wrapped {
            return Ok(record);
        }
    }
}

fn finish(
    pen: Pen<'_>,
    template: &'static Template,
    mut tags: Vec<&'static str>,
    positive: bool,
) -> Result<Record, String> {
    if let Some(fault) = pen.fault {
        return Err(format!("template {}: {fault}", template.id));
    }
    if positive == pen.spans.is_empty() {
        return Err(format!("template {}: {} values", template.id, pen.spans.len()));
    }
    if pen.percented && !tags.contains(&"url") {
        tags.push("url");
    }
    Ok(Record {
        text: pen.text,
        spans: pen.spans,
        ignore: pen.ignore,
        tags,
        positive,
        wrapped: pen.wrapped,
        skeleton: &template.id,
        form: pen.form,
    })
}

fn negative(dice: &mut Dice) -> Result<Record, String> {
    let lang = any_lang(dice);
    let in_shape = dice.chance(35);
    let template = dice.pick(if in_shape {
        &SETTINGS.shapes
    } else {
        &SETTINGS.negatives
    });
    let mut pen = Pen::new(dice, lang, template.form);
    if in_shape {
        let rows = rows(pen.dice, template);
        let count = pen.dice.between(2, 7);
        pen.columns = filler_columns(pen.dice, lang, count, rows, 25, &mut BTreeSet::new());
    }
    pen.write(template.text);
    finish(pen, template, Vec::new(), false)
}

fn rows(dice: &mut Dice, template: &Template) -> usize {
    if template.has("row") { dice.between(1, 4) } else { 1 }
}

fn positive(dice: &mut Dice, wrap: Option<Wrap>) -> Result<Record, String> {
    let lang = any_lang(dice);
    let (source, in_shape) = match dice.below(100) {
        0..46 => (&SETTINGS.shapes, true),
        46..67 => (&SETTINGS.secrets, false),
        67..87 => (&SETTINGS.personal, false),
        _ => (&SETTINGS.prose, false),
    };
    let template = dice.pick(source);
    let mut pen = Pen::new(dice, lang, template.form);
    pen.wrap = wrap;
    let mut bare = template.has("noctx");
    if in_shape {
        bare = pen.dice.chance(14);
        let rows = rows(pen.dice, template);
        fields(&mut pen, lang, rows, bare);
    }
    pen.write(template.text);
    let mut tags = vec![if bare { "noctx" } else { "ctx" }];
    if wrap == Some(Wrap::Nested) {
        nest(&mut pen);
    }
    if pen.wrapped
        && let Some(wrap) = wrap
    {
        tags.push(wrap.tag());
    }
    finish(pen, template, tags, true)
}

/// Puts the text into a string of JSON, once or twice.
fn nest(pen: &mut Pen<'_>) {
    for _ in 0..pen.dice.between(1, 2) {
        let id = pen.dice.between(1, 999);
        let tool = pen.dice.word("read_file|fetch|query|search|get_record").to_owned();
        let envelope = match pen.dice.below(5) {
            0 => format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"‹@›\"}}]}}}}"
            ),
            1 => format!("{{\"statusCode\":200,\"body\":\"‹@›\",\"n\":{id}}}"),
            2 => {
                format!("{{\"role\":\"tool\",\"tool_call_id\":\"call_{id}\",\"name\":\"{tool}\",\"content\":\"‹@›\"}}")
            }
            3 => format!("{{\"Records\":[{{\"messageId\":\"m-{id}\",\"body\":\"‹@›\"}}]}}"),
            _ => format!("{{\"event\":\"{tool}\",\"payload\":\"‹@›\",\"seq\":{id}}}"),
        };
        pen.nest(&envelope);
    }
    pen.wrapped = true;
}

/// Fills the pen's columns with values that go together, and some of no class between them.
fn fields(pen: &mut Pen<'_>, lang: &'static Lang, rows: usize, bare: bool) {
    let theme = *pen.dice.pick(THEMES);
    let wanted = if bare {
        pen.dice.between(1, 2)
    } else {
        pen.dice.between(1, theme.len().min(4))
    };
    let mut specs = theme.to_vec();
    pen.dice.shuffle(&mut specs);
    let mut keys = BTreeSet::new();
    let mut columns = Vec::new();
    for spec in specs.iter().take(wanted) {
        let (kind, argument) = if bare {
            ("proof", "")
        } else {
            spec.split_once(':').unwrap_or((spec, ""))
        };
        let Some(first) = pen.value(kind, argument) else {
            continue;
        };
        let key = match bare {
            true => format!(
                "{}{}",
                pen.dice
                    .word("value|data|field|x|item|content|col|attr|entry|arg|out|v"),
                columns.len() + 1
            ),
            false => first.label.clone(),
        };
        if !keys.insert(style("snake", &key)) {
            continue;
        }
        let mut cells = vec![Made::Value(first.clone())];
        while cells.len() < rows {
            let next = if kind == "nid" {
                pen.value("nid", &first.sub)
            } else {
                one_more(pen, kind, argument, &first)
            };
            cells.push(Made::Value(next.unwrap_or_else(|| first.clone())));
        }
        columns.push(Column { key, cells });
    }
    let count = pen.dice.between(0, 4);
    columns.extend(filler_columns(pen.dice, lang, count, rows, 80, &mut keys));
    pen.dice.shuffle(&mut columns);
    pen.columns = columns;
}

/// Another value for the same column: of the same kind where the column's name says the kind.
fn one_more(pen: &mut Pen<'_>, kind: &str, argument: &str, first: &Value) -> Option<Value> {
    let narrow = matches!(kind, "health" | "bank" | "device" | "crypto" | "token");
    // People of a table are not all the same one.
    let argument = if matches!(kind, "name" | "given" | "family" | "sorted") {
        "other"
    } else {
        argument
    };
    (0..400).find_map(|_| {
        pen.value(kind, argument)
            .filter(|next| !narrow || next.sub == first.sub)
    })
}

/// Columns of no class; `everyday` of 100 are ordinary ones, the others look like values.
fn filler_columns(
    dice: &mut Dice,
    lang: &'static Lang,
    count: usize,
    rows: usize,
    everyday: usize,
    keys: &mut BTreeSet<String>,
) -> Vec<Column> {
    let mut columns = Vec::new();
    while columns.len() < count {
        let wanted = dice.chance(everyday);
        let (ordinary, key, cell) = *dice.pick(&filler::COLUMNS);
        if ordinary != wanted || !keys.insert(key.to_owned()) {
            continue;
        }
        let cells = (0..rows)
            .map(|_| {
                let mut pen = Pen::new(dice, lang, Form::Text);
                pen.write(cell);
                Made::Plain(pen.text)
            })
            .collect();
        columns.push(Column {
            key: key.to_owned(),
            cells,
        });
    }
    columns
}

/// A record whose value stands encoded in a text made for that.
fn carried(dice: &mut Dice, wrap: Wrap) -> Result<Record, String> {
    let lang = any_lang(dice);
    let fitting: Vec<&'static Template> = SETTINGS
        .carriers
        .iter()
        .filter(|template| template.has(wrap.tag()))
        .collect();
    let template = *dice.pick(&fitting);
    let mut pen = Pen::new(dice, lang, template.form);
    let encoded = matches!(wrap, Wrap::Base64 | Wrap::Gzip64 | Wrap::Hex);
    let value = loop {
        let kind = if template.has("basic") {
            "password"
        } else {
            *pen.dice.pick(CARRIED)
        };
        if let Some(value) = pen.value(kind, "")
            && (encoded || !value.text.contains('\n'))
        {
            break value;
        }
    };
    let document = match template.has("doc") {
        true => document(pen.dice, &value),
        false if template.has("basic") => format!("{}:{}", pen.dice.word("admin|svc|ops|reporting|webapp"), value.text),
        false => value.text.clone(),
    };
    let mut shown = wrap::encode(wrap, &document, pen.dice);
    if template.form == Form::Json {
        shown = json(&shown);
    }
    pen.carried = Some((value, shown));
    pen.write(template.text);
    finish(pen, template, vec!["ctx", wrap.tag()], true)
}

/// A small document that holds the value and what it is called.
fn document(dice: &mut Dice, value: &Value) -> String {
    let key = style("snake", &value.label);
    let number = dice.between(1, 9999);
    match dice.below(5) {
        0 => format!("{{\"id\":{number},\"{}\":\"{}\"}}", json(&key), json(&value.text)),
        1 => format!("id={number}\n{key}={}\n", value.text),
        2 => format!("---\nid: {number}\n{key}: {}\n", Form::Yaml.escape(&value.text, 0).1),
        3 => format!(
            "<r id=\"{number}\"><{key}>{}</{key}></r>",
            Form::Xml.escape(&value.text, 0).1
        ),
        _ => format!(
            "{{\"type\":\"record\",\"attributes\":{{\"{}\":\"{}\",\"rev\":{number}}}}}",
            json(&key),
            json(&value.text)
        ),
    }
}
