//! Writes a text from a template and notes where values stand in it.
//!
//! A template is literal text with slots `‹kind:argument|form#memo›` (or `#memo|form`): `form` is how the value is escaped at this place (the
//! template's own form without one), and slots of one memo hold one value. `‹label:kind#memo›` is what the value of that memo
//! is called. Repeats are `⟦F:between|body⟧` over the fields of a row, `⟦H:..⟧` over the fields of the first row, `⟦R:..⟧` over
//! rows; inside stand `‹k:style›`, `‹v›`, `‹jv›` (a value of JSON with its quotes) and `‹i›`.

use super::dice::Dice;
use super::value::{Class, Value};
use super::words::Lang;
use super::wrap::{self, Wrap};
use super::{contact, filler, money, national, papers, secrets, tokens};
use std::collections::BTreeMap;

/// How a place wants its values written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    /// JSON documents, one a line.
    JsonLines,
    Xml,
    Csv,
    Tsv,
    Markdown,
    Yaml,
    Env,
    Shell,
    Sql,
    Url,
    /// Inside double quotes of a program.
    Code,
    /// On one line without quotes.
    Line,
}

impl Form {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "json" => Self::Json,
            "jsonl" => Self::JsonLines,
            "xml" => Self::Xml,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "md" => Self::Markdown,
            "yaml" => Self::Yaml,
            "env" => Self::Env,
            "sh" => Self::Shell,
            "sql" => Self::Sql,
            "url" => Self::Url,
            "code" => Self::Code,
            "line" => Self::Line,
            _ => return None,
        })
    }

    /// The text for this place: what stands before, the text itself, what stands after. `indent` is that of the line.
    pub(super) fn escape(self, text: &str, indent: usize) -> (&'static str, String, &'static str) {
        let special = |signs: &str| text.contains(|sign| signs.contains(sign));
        match self {
            Self::Text => ("", text.to_owned(), ""),
            Self::Json | Self::JsonLines => ("", json(text), ""),
            Self::Xml => {
                let body = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                ("", body.replace('"', "&quot;"), "")
            }
            Self::Csv if special(",;\"\n") => ("\"", text.replace('"', "\"\""), "\""),
            Self::Csv => ("", text.to_owned(), ""),
            Self::Tsv => ("", text.replace('\t', " ").replace('\n', "\\n"), ""),
            Self::Markdown => ("", text.replace('|', "\\|").replace('\n', "\\n"), ""),
            Self::Yaml if text.contains('\n') => {
                let pad = " ".repeat(indent + 2);
                (
                    "|\n",
                    text.lines()
                        .map(|line| format!("{pad}{line}"))
                        .collect::<Vec<_>>()
                        .join("\n"),
                    "",
                )
            }
            Self::Yaml if special(":#\"'{}[]&*!|>%@`,") || text.starts_with(['-', '?']) => ("\"", json(text), "\""),
            Self::Yaml => ("", text.to_owned(), ""),
            Self::Env if text.contains('\n') => ("\"", text.to_owned(), "\""),
            Self::Env if special(" #\"$`;&<>|()'\\") => ("'", text.replace('\'', "'\\''"), "'"),
            Self::Env => ("", text.to_owned(), ""),
            Self::Shell if special(" \t\n#\"$`;&<>|(){}[]*?!~'\\") => ("'", text.replace('\'', "'\\''"), "'"),
            Self::Shell => ("", text.to_owned(), ""),
            Self::Sql => ("", text.replace('\'', "''"), ""),
            Self::Url => {
                // A query's plain parts stay as they are: only what would break it is encoded.
                let body: String = text
                    .chars()
                    .map(|sign| match sign {
                        ' ' => "%20".to_owned(),
                        '\n' => "%0A".to_owned(),
                        '#' | '&' | '?' | '%' | '+' | '/' | '=' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|'
                        | '}' | ';' | '[' | ']' | '$' | ',' | '@' | ':' => format!("%{:02X}", sign as u32),
                        other => other.to_string(),
                    })
                    .collect();
                ("", body, "")
            }
            Self::Code => ("", json(text), ""),
            Self::Line => ("", text.replace('\n', "\\n"), ""),
        }
    }
}

/// The inside of a JSON string.
pub(super) fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
    pub(super) sub: String,
    /// The value undisguised.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests check that it is valid"))]
    pub(super) plain: String,
    /// The value as it should stand in the text.
    pub(super) shown: String,
}

/// What a slot holds.
#[derive(Clone, Debug)]
pub(super) enum Made {
    /// Of a class: labelled.
    Value(Value),
    /// Of no class.
    Plain(String),
    /// Arguable.
    Ignored(String),
}

/// A column of a table: what it is called and what its cells are.
pub(super) struct Column {
    pub(super) key: String,
    pub(super) cells: Vec<Made>,
}

/// A part of a template.
pub(super) enum Node {
    Text(String),
    Slot {
        kind: String,
        argument: String,
        form: Option<Form>,
        memo: String,
    },
    Repeat {
        over: char,
        between: Vec<Node>,
        body: Vec<Node>,
    },
}

/// Reads a template.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(template: &str) -> Result<Vec<Node>, String> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['‹', '⟦']) {
        if at > 0 {
            nodes.push(Node::Text(rest[..at].to_owned()));
        }
        if rest[at..].starts_with('‹') {
            let end = rest[at..]
                .find('›')
                .ok_or_else(|| format!("a slot without end: {rest}"))?
                + at;
            nodes.push(slot(&rest[at + '‹'.len_utf8()..end])?);
            rest = &rest[end + '›'.len_utf8()..];
        } else {
            let inner = &rest[at + '⟦'.len_utf8()..];
            let end = closing(inner).ok_or_else(|| format!("a repeat without end: {rest}"))?;
            let (head, body) = inner[..end].split_once('|').ok_or("a repeat without `|`")?;
            let (over, between) = head.split_once(':').ok_or("a repeat without `:`")?;
            nodes.push(Node::Repeat {
                over: over.chars().next().unwrap_or('F'),
                between: parse(between)?,
                body: parse(body)?,
            });
            rest = &inner[end + '⟧'.len_utf8()..];
        }
    }
    if !rest.is_empty() {
        nodes.push(Node::Text(rest.to_owned()));
    }
    Ok(nodes)
}

/// Where the repeat that has been opened before `text` ends.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, sign) in text.char_indices() {
        match sign {
            '⟦' => open += 1,
            '⟧' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

fn slot(text: &str) -> Result<Node, String> {
    // The argument of a `pattern` is full of these signs, and takes neither a memo nor a form.
    let (text, memo) = match text.rsplit_once('#') {
        Some(parts) if !text.starts_with("pattern:") => parts,
        _ => (text, ""),
    };
    let (memo, late) = memo.split_once('|').unwrap_or((memo, ""));
    let (text, early) = text.rsplit_once('|').unwrap_or((text, ""));
    let form = match (early, late) {
        ("", "") => None,
        ("", name) | (name, _) => Some(Form::of(name).ok_or_else(|| format!("no form `{name}`"))?),
    };
    let (kind, argument) = text.split_once(':').unwrap_or((text, ""));
    Ok(Node::Slot {
        kind: kind.to_owned(),
        argument: argument.to_owned(),
        form,
        memo: memo.to_owned(),
    })
}

/// The pen.
pub(super) struct Pen<'d> {
    pub(super) dice: &'d mut Dice,
    pub(super) lang: &'static Lang,
    pub(super) region: &'static str,
    pub(super) form: Form,
    pub(super) wrap: Option<Wrap>,
    /// Whether a value was disguised.
    pub(super) wrapped: bool,
    /// Whether a value had to be percent-encoded for its place.
    pub(super) percented: bool,
    pub(super) text: String,
    pub(super) spans: Vec<Span>,
    pub(super) ignore: Vec<(usize, usize)>,
    pub(super) columns: Vec<Column>,
    /// What a text made for a disguise carries: the value, and its encoded form.
    pub(super) carried: Option<(Value, String)>,
    given: &'static str,
    family: &'static str,
    memos: BTreeMap<String, Made>,
    /// Inside a sentence: its own words are escaped for this place, too.
    inside: Option<Form>,
    /// The first thing that was wrong with the template.
    pub(super) fault: Option<String>,
}

impl<'d> Pen<'d> {
    pub(super) fn new(dice: &'d mut Dice, lang: &'static Lang, form: Form) -> Self {
        let region = *dice.pick(&lang.regions);
        let given = lang.word("givens", dice);
        let family = lang.word("families", dice);
        Self {
            dice,
            lang,
            region,
            form,
            wrap: None,
            wrapped: false,
            percented: false,
            text: String::new(),
            spans: Vec::new(),
            ignore: Vec::new(),
            columns: Vec::new(),
            carried: None,
            given,
            family,
            memos: BTreeMap::new(),
            inside: None,
            fault: None,
        }
    }

    /// Writes a whole template.
    pub(super) fn write(&mut self, template: &str) {
        match parse(template) {
            Ok(nodes) => self.nodes(&nodes, 0, None),
            Err(fault) => self.fault = Some(fault),
        }
    }

    fn nodes(&mut self, nodes: &[Node], row: usize, field: Option<usize>) {
        for node in nodes {
            match node {
                Node::Text(text) => match self.inside {
                    Some(form) => self.text.push_str(&form.escape(text, 0).1),
                    None => self.text.push_str(text),
                },
                Node::Slot {
                    kind,
                    argument,
                    form,
                    memo,
                } => self.slot(kind, argument, form.unwrap_or(self.form), memo, row, field),
                Node::Repeat { over, between, body } => {
                    let rows = self.columns.first().map_or(0, |column| column.cells.len());
                    let count = if *over == 'R' { rows } else { self.columns.len() };
                    for at in 0..count {
                        if at > 0 {
                            self.nodes(between, row, field);
                        }
                        match over {
                            'R' => self.nodes(body, at, None),
                            _ => self.nodes(body, row, Some(at)),
                        }
                    }
                }
            }
        }
    }

    fn slot(&mut self, kind: &str, argument: &str, form: Form, memo: &str, row: usize, field: Option<usize>) {
        match kind {
            "k" | "v" | "jv" | "i" => self.field_slot(kind, argument, form, row, field),
            "greet" => self.greeting(form),
            "carried" => {
                if let Some((value, shown)) = self.carried.clone() {
                    self.span(&value, &shown);
                    self.wrapped = true;
                }
            }
            "carriedkey" => {
                let label = self
                    .carried
                    .as_ref()
                    .map(|(value, _)| value.label.clone())
                    .unwrap_or_default();
                let key = style(argument, &label);
                self.put(&Made::Plain(key), form);
            }
            "pempre" => {
                // A key with something before each line, as in a quotation or a difference.
                let Some(value) = self.value("pem", "") else { return };
                let shown = value.text.lines().collect::<Vec<_>>().join(&format!("\n{argument}"));
                self.text.push_str(argument);
                self.span(&value, &shown);
            }
            "label" => {
                let (kind, argument) = argument.split_once(':').unwrap_or((argument, ""));
                let made = self.remembered(kind, argument, memo);
                if let Made::Value(value) = made {
                    self.put(&Made::Plain(value.label), form);
                }
            }
            "say" | "calm" => {
                let template = filler::sentence(self.dice, self.lang, kind == "say", argument);
                match parse(template) {
                    Ok(nodes) => {
                        // Each sentence has values of its own.
                        let memos = std::mem::take(&mut self.memos);
                        self.inner(&nodes, form);
                        self.memos = memos;
                    }
                    Err(fault) => self.fault = Some(fault),
                }
            }
            _ => {
                let made = self.remembered(kind, argument, memo);
                self.put(&made, form);
            }
        }
    }

    fn field_slot(&mut self, kind: &str, argument: &str, form: Form, row: usize, field: Option<usize>) {
        let at = field.unwrap_or(0);
        if kind == "i" {
            self.text.push_str(&(at + 1).to_string());
            return;
        }
        let Some(column) = self.columns.get(at) else { return };
        if kind == "k" {
            let key = style(argument, &column.key);
            self.put(&Made::Plain(key), form);
            return;
        }
        let Some(made) = column.cells.get(row).cloned() else {
            return;
        };
        if kind == "jv" {
            let bare = match &made {
                Made::Plain(text) | Made::Ignored(text) => is_json_number(text) || text == "true" || text == "false",
                // A long number of digits alone is at times a number in JSON, too.
                Made::Value(value) => {
                    self.wrap.is_none() && is_json_number(&value.text) && value.text.len() < 18 && self.dice.chance(25)
                }
            };
            if !bare {
                self.text.push('"');
            }
            self.put(&made, form);
            if !bare {
                self.text.push('"');
            }
            return;
        }
        self.put(&made, form);
    }

    /// A salutation in the language, with the name labelled.
    fn greeting(&mut self, form: Form) {
        let template = self.lang.word("greet", self.dice);
        let template = template
            .replace("{n}", "‹name›")
            .replace("{g}", "‹given›")
            .replace("{f}", "‹family›");
        match parse(&template) {
            Ok(nodes) => self.inner(&nodes, form),
            Err(fault) => self.fault = Some(fault),
        }
    }

    /// Writes a sentence where `form` is what its place wants.
    fn inner(&mut self, nodes: &[Node], form: Form) {
        let outer = std::mem::replace(&mut self.form, form);
        self.inside = Some(form);
        self.nodes(nodes, 0, None);
        self.inside = None;
        self.form = outer;
    }

    fn remembered(&mut self, kind: &str, argument: &str, memo: &str) -> Made {
        if memo.is_empty() {
            return self.make(kind, argument);
        }
        let key = format!("{kind}#{memo}");
        if let Some(made) = self.memos.get(&key) {
            return made.clone();
        }
        let made = self.make(kind, argument);
        self.memos.insert(key, made.clone());
        made
    }

    /// Something for a slot.
    pub(super) fn make(&mut self, kind: &str, argument: &str) -> Made {
        match self.value(kind, argument) {
            Some(value) => Made::Value(value),
            None => match filler::filler(self.dice, self.lang, kind, argument) {
                Some(made) => made,
                None => {
                    self.fault = Some(format!("no slot `{kind}`"));
                    Made::Plain(String::new())
                }
            },
        }
    }

    /// A value of a class; `None` for a kind that is of none.
    pub(super) fn value(&mut self, kind: &str, argument: &str) -> Option<Value> {
        let (lang, region) = (self.lang, self.region);
        let dice = &mut *self.dice;
        Some(match kind {
            "name" | "given" | "family" | "sorted" if argument.is_empty() => {
                let mut value = contact::person(dice, lang, kind);
                value.text = match kind {
                    "given" => self.given.to_owned(),
                    "family" => self.family.to_owned(),
                    "sorted" if !lang.joins_names() => format!("{}, {}", self.family, self.given),
                    _ => lang.full_name(self.given, self.family),
                };
                value
            }
            "name" | "given" | "family" | "sorted" => contact::person(dice, lang, kind),
            "address" => contact::address(dice, lang, region),
            "email" => contact::email(dice, lang),
            "plainmail" => loop {
                let value = contact::email(dice, lang);
                if !matches!(value.sub.as_str(), "quoted" | "eai" | "odd") {
                    break value;
                }
            },
            "phone" => contact::phone(dice, region, lang),
            "ephone" => loop {
                let value = contact::phone(dice, region, lang);
                if value.proof {
                    break value;
                }
            },
            "dob" => contact::dob(dice, lang),
            "ip" => contact::ip(dice, lang),
            "ip4" => contact::ip4(dice, lang),
            "ip6" => contact::ip6(dice, lang),
            "mac" => contact::mac(dice, lang),
            "nid" => national_id(dice, region, argument),
            "health" => loop {
                let value = papers::health(dice, if argument.is_empty() { region } else { "" });
                if value.sub.ends_with(argument) {
                    break value;
                }
            },
            "card" => labelled(money::card(dice), lang, "card", dice),
            "iban" => labelled(money::iban(dice, region), lang, "iban", dice),
            "bank" => money::bank(dice, region),
            "crypto" => money::crypto(dice),
            "ethaddr" => loop {
                let value = money::crypto(dice);
                if value.sub.starts_with("eth") {
                    break value;
                }
            },
            "passport" => labelled(papers::passport(dice, region), lang, "passport", dice),
            "mrz" => {
                let (family, given) = (contact::coined(dice), contact::coined(dice));
                papers::mrz(dice, region, &family, &given)
            }
            "licence" => labelled(papers::licence(dice, region), lang, "licence", dice),
            "vehicle" => loop {
                let mut value = papers::vehicle(dice, region);
                let plate = value.label == "plate";
                if plate {
                    value.label = lang.word("plate", dice).to_owned();
                }
                if argument.is_empty() || (argument == "plate") == plate {
                    break value;
                }
            },
            "device" => papers::device(dice),
            "token" if argument.is_empty() => tokens::token(dice),
            "token" => tokens::of(dice, argument),
            "ptoken" => tokens::proven(dice),
            "password" => secrets::password(dice, lang, if argument.is_empty() { "config" } else { argument }, false),
            "phrase" => secrets::password(dice, lang, if argument.is_empty() { "config" } else { argument }, true),
            // In running text: nothing that could be taken for the sentence's own punctuation.
            "spoken" => loop {
                let value = secrets::password(dice, lang, "prose", false);
                if value.text.ends_with(char::is_alphanumeric)
                    && !value.text.contains(['"', '`', '<', '>', ',', ';', '(', ')'])
                {
                    break value;
                }
            },
            "secret" => secrets::generic(dice, lang),
            "hexsecret" => loop {
                let value = secrets::generic(dice, lang);
                if value.sub == "hex" {
                    break value;
                }
            },
            "jwt" => secrets::jwt(dice),
            "pem" => secrets::private_key(dice),
            "proof" => {
                let kinds = [
                    "card", "iban", "email", "ptoken", "jwt", "ephone", "crypto", "mac", "ip6", "pem", "mrz", "ptoken",
                    "ptoken", "iban", "card",
                ];
                return loop {
                    let kind = *self.dice.pick(&kinds);
                    let Some(value) = self.value(kind, "") else { continue };
                    let multiline = value.text.contains('\n');
                    if value.proof && !(argument == "line" && multiline) {
                        break Some(value);
                    }
                };
            }
            _ => return None,
        })
    }

    /// Writes what a slot holds, in the form of its place.
    pub(super) fn put(&mut self, made: &Made, form: Form) {
        let line = self.text.rsplit('\n').next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        match made {
            Made::Plain(text) => {
                let (before, body, after) = form.escape(text, indent);
                self.text.push_str(before);
                self.text.push_str(&body);
                self.text.push_str(after);
            }
            Made::Ignored(text) => {
                let (before, body, after) = form.escape(text, indent);
                self.text.push_str(before);
                self.ignore.push((self.text.len(), self.text.len() + body.len()));
                self.text.push_str(&body);
                self.text.push_str(after);
            }
            Made::Value(value) => {
                let disguised = self.wrap.and_then(|wrap| wrap::disguise(wrap, value, form, self.dice));
                self.wrapped |= disguised.is_some();
                let (text, last) = disguised.unwrap_or_else(|| (value.text.clone(), false));
                let (before, body, after) = if last {
                    ("", text, "")
                } else {
                    form.escape(&text, indent)
                };
                self.percented |= form == Form::Url && body.contains('%');
                self.text.push_str(before);
                self.span(value, &body);
                self.text.push_str(after);
            }
        }
    }

    fn span(&mut self, value: &Value, shown: &str) {
        self.spans.push(Span {
            start: self.text.len(),
            end: self.text.len() + shown.len(),
            class: value.class,
            sub: value.sub.clone(),
            plain: value.text.clone(),
            shown: shown.to_owned(),
        });
        self.text.push_str(shown);
    }

    /// Makes the whole text the content of a JSON string inside `envelope`, which has `‹@›` where it goes.
    pub(super) fn nest(&mut self, envelope: &str) {
        let (before, after) = envelope.split_once("‹@›").unwrap_or(("", ""));
        let old = std::mem::take(&mut self.text);
        let mut marks: Vec<usize> = self.spans.iter().flat_map(|span| [span.start, span.end]).collect();
        marks.extend(self.ignore.iter().flat_map(|(start, end)| [*start, *end]));
        marks.push(old.len());
        marks.sort_unstable();
        marks.dedup();
        let mut moved = BTreeMap::from([(0, before.len())]);
        let mut text = before.to_owned();
        let mut last = 0;
        for mark in marks {
            text.push_str(&json(old.get(last..mark).unwrap_or_default()));
            moved.insert(mark, text.len());
            last = mark;
        }
        text.push_str(after);
        let to = |at: usize| moved.get(&at).copied().unwrap_or(0);
        for span in &mut self.spans {
            span.start = to(span.start);
            span.end = to(span.end);
            span.shown = json(&span.shown);
        }
        for range in &mut self.ignore {
            *range = (to(range.0), to(range.1));
        }
        self.text = text;
        self.form = Form::Json;
    }
}

fn labelled(mut value: Value, lang: &Lang, what: &str, dice: &mut Dice) -> Value {
    value.label = lang.word(what, dice).to_owned();
    value
}

/// A number of the region, or of any country; of a given kind when `sub` says so.
fn national_id(dice: &mut Dice, region: &str, sub: &str) -> Value {
    let own: Vec<&national::Kind> = national::KINDS.iter().filter(|kind| kind.region == region).collect();
    let kind = match national::kind(sub) {
        Some(kind) => kind,
        None if !own.is_empty() && dice.chance(60) => dice.pick(&own),
        None => dice.pick(national::KINDS),
    };
    let label = dice.word(kind.labels);
    Value::new(Class::NationalId, kind.sub, kind.written(dice), label, false)
}

fn is_json_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.chars().all(|sign| sign.is_ascii_digit())
        && !digits.is_empty()
        && (digits == "0" || !digits.starts_with('0'))
}

/// A name in the style of a place.
pub(super) fn style(style: &str, name: &str) -> String {
    if name
        .chars()
        .all(|sign| sign.is_ascii_uppercase() || sign.is_ascii_digit() || sign == '_')
        && style != "tag"
        && name.contains('_')
    {
        return match style {
            "snake" | "camel" | "kebab" => name.to_lowercase(),
            _ => name.to_owned(),
        };
    }
    let words: Vec<String> = name
        .replace("'s ", "s ")
        .split(|sign: char| !sign.is_alphanumeric() && !is_mark(sign))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let capital = |word: &String| {
        let mut signs = word.chars();
        signs
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().chain(signs).collect())
    };
    match style {
        "snake" => words.join("_"),
        "kebab" => words.join("-"),
        "upper" => words.join("_").to_uppercase(),
        "camel" => words
            .iter()
            .enumerate()
            .map(|(at, word)| if at == 0 { word.clone() } else { capital(word) })
            .collect(),
        "pascal" => words.iter().map(capital).collect(),
        "tag" => {
            let tag: String = words.iter().map(capital).collect();
            if tag.starts_with(|sign: char| sign.is_ascii_digit()) {
                format!("F{tag}")
            } else {
                tag
            }
        }
        "title" => {
            let mut signs = name.chars();
            signs
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().chain(signs).collect())
        }
        _ => name.to_owned(),
    }
}

/// Marks that combine with a letter of Indic or Thai script and belong to the word.
fn is_mark(sign: char) -> bool {
    matches!(sign as u32, 0x0900..=0x097f | 0x0e00..=0x0e7f | 0x0300..=0x036f)
}
