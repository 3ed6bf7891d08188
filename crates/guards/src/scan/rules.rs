//! Rules as data: what a scanner looks for, read from TOML and compiled. Ours are built in; anybody may add their own in the
//! same form (`crates/guards/README.md`).
//!
//! It must not know how a text is looked through.

use super::checks::{self, Check};
use super::class::Class;
use super::fields::Grammar;
use super::pattern::{Beginning, Pattern, PatternError};
use serde::Deserialize;

/// Rules that a [`Scanner`](super::Scanner) is made of.
#[derive(Debug, Default)]
pub struct Rules {
    pub(crate) tokens: Vec<Token>,
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) fields: Vec<Field>,
    pub(crate) secrets: Vec<Named>,
    pub(crate) issuers: Vec<Issuers>,
    pub(crate) harmless: Vec<String>,
    pub(crate) vetoes: Vec<String>,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// Not TOML, or not of this form.
    #[error("the rules cannot be read: {0}")]
    Syntax(String),
    /// One rule is wrong.
    #[error("rule `{rule}`: {what}")]
    Rule {
        /// Its `id`, or its first word.
        rule: String,
        /// What is wrong, and what to do.
        what: String,
    },
}

/// What is known by its own form.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) id: Box<str>,
    pub(crate) class: Class,
    pub(crate) prefix: Vec<Box<[u8]>>,
    /// What stands before the prefix, where the fixed part is in the middle.
    pub(crate) before: Option<Pattern>,
    pub(crate) body: Pattern,
    /// What the body may begin with.
    pub(crate) begins: Beginning,
    pub(crate) check: Option<Check>,
    pub(crate) near: Vec<String>,
    /// What its issuer is called, where that and the form are enough.
    pub(crate) names: Vec<String>,
}

/// Tokens without a form of their own: what names one is a name of its issuer and one of some words for a key.
#[derive(Debug)]
pub(crate) struct Issuers {
    /// The indices of their tokens, and the names.
    pub(crate) names: Vec<(usize, Vec<String>)>,
    pub(crate) words: Vec<String>,
}

impl Token {
    /// How long its body is at the beginning of `text`, if it ends there.
    pub(crate) fn body_length(&self, text: &[u8]) -> Option<usize> {
        self.body_reached(text).ok()
    }

    /// The same, or how many bytes could begin a body.
    pub(crate) fn body_reached(&self, text: &[u8]) -> Result<usize, usize> {
        let length = self.body.reached(text)?;
        let goes_on = text
            .get(length)
            .is_some_and(|next| self.body.goes_on_with(*next) || next.is_ascii_alphanumeric());
        if goes_on { Err(length) } else { Ok(length) }
    }

    /// Whether the whole of it passes its check.
    pub(crate) fn is_right(&self, whole: Option<&[u8]>) -> bool {
        self.check.is_none_or(|check| whole.is_some_and(check))
    }
}

/// A number or code with a written form.
#[derive(Debug)]
pub(crate) struct Identifier {
    pub(crate) id: Box<str>,
    pub(crate) class: Class,
    pub(crate) forms: Vec<Form>,
    pub(crate) check: Option<Check>,
    /// Whether the check wants small letters left small.
    pub(crate) is_as_written: bool,
    pub(crate) words: Vec<String>,
}

/// One way to write it.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) pattern: Pattern,
    pub(crate) begins: Beginning,
    /// Whether it needs no word beside it, given the check.
    pub(crate) is_proof: bool,
}

/// Words that name a value without a form of its own.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) id: Box<str>,
    pub(crate) class: Class,
    pub(crate) grammar: Grammar,
    pub(crate) words: Vec<String>,
}

/// Words that name a secret.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) class: Class,
    pub(crate) words: Vec<String>,
}

/// Shorter prefixes are in every text.
const PREFIX_BYTES_MIN: usize = 3;

pub(super) const BUILT_IN: &[&str] = &[
    include_str!("../../rules/fields.toml"),
    include_str!("../../rules/identifiers-africa.toml"),
    include_str!("../../rules/identifiers-americas.toml"),
    include_str!("../../rules/identifiers-asia.toml"),
    include_str!("../../rules/identifiers-crypto.toml"),
    include_str!("../../rules/identifiers-devices.toml"),
    include_str!("../../rules/identifiers-documents.toml"),
    include_str!("../../rules/identifiers-east.toml"),
    include_str!("../../rules/identifiers-general.toml"),
    include_str!("../../rules/identifiers-health.toml"),
    include_str!("../../rules/identifiers-money.toml"),
    include_str!("../../rules/identifiers-north.toml"),
    include_str!("../../rules/identifiers-west.toml"),
    include_str!("../../rules/issuers-forms-1.toml"),
    include_str!("../../rules/issuers-forms-2.toml"),
    include_str!("../../rules/issuers.toml"),
    include_str!("../../rules/secret-words.toml"),
    include_str!("../../rules/tokens-ai.toml"),
    include_str!("../../rules/tokens-anchored.toml"),
    include_str!("../../rules/tokens-chat.toml"),
    include_str!("../../rules/tokens-ci.toml"),
    include_str!("../../rules/tokens-cloud.toml"),
    include_str!("../../rules/tokens-code.toml"),
    include_str!("../../rules/tokens-commerce.toml"),
    include_str!("../../rules/tokens-data.toml"),
    include_str!("../../rules/tokens-hosting.toml"),
    include_str!("../../rules/tokens-identity.toml"),
    include_str!("../../rules/tokens-jwt.toml"),
    include_str!("../../rules/tokens-mail.toml"),
    include_str!("../../rules/tokens-observability.toml"),
    include_str!("../../rules/tokens-payments.toml"),
    include_str!("../../rules/tokens-web.toml"),
    include_str!("../../rules/veto-words.toml"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<TokenText>,
    #[serde(default)]
    identifier: Vec<IdentifierText>,
    #[serde(default)]
    issuer: Vec<IssuerText>,
    form: Option<IssuerForm>,
    #[serde(default)]
    field: Vec<FieldText>,
    #[serde(default)]
    secret: Vec<SecretText>,
    #[serde(default)]
    harmless: Vec<WordsText>,
    #[serde(default)]
    veto: Vec<WordsText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenText {
    id: String,
    class: String,
    #[serde(rename = "issuer")]
    _issuer: String,
    #[serde(default)]
    prefix: Vec<String>,
    before: Option<String>,
    body: String,
    check: Option<String>,
    #[serde(default)]
    near: Vec<String>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
    #[serde(rename = "finds")]
    finds: Vec<String>,
    #[serde(rename = "passes")]
    passes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentifierText {
    id: String,
    class: String,
    forms: Vec<String>,
    #[serde(default)]
    proof: Vec<String>,
    check: Option<String>,
    #[serde(default)]
    words: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
    finds: Vec<String>,
    passes: Vec<String>,
}

/// An issuer whose keys have no form of their own: its name and a word for a key name them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerText {
    id: String,
    #[serde(rename = "at")]
    _at: String,
    names: Vec<String>,
}

/// What the keys of all [`IssuerText`]s have in common.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerForm {
    class: String,
    body: String,
    check: Option<String>,
    words: Vec<String>,
    finds: Vec<String>,
    passes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldText {
    class: String,
    grammar: String,
    words: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretText {
    class: String,
    words: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordsText {
    words: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
}

impl Rules {
    /// The rules that are compiled in.
    ///
    /// # Errors
    /// None in a build whose tests passed.
    pub fn built_in() -> Result<Self, RuleError> {
        let mut rules = Self::default();
        for text in BUILT_IN {
            rules.add(text)?;
        }
        Ok(rules)
    }

    /// The names of issuers, each with the index of a token that it and a form are enough for.
    pub(crate) fn issued(&self) -> Vec<(&String, usize)> {
        let tokens = self.tokens.iter().enumerate();
        tokens
            .flat_map(|(index, token)| token.names.iter().map(move |name| (name, index)))
            .collect()
    }

    /// Adds the rules of a TOML text.
    ///
    /// # Errors
    /// [`RuleError`] names the rule and what is wrong with it; nothing of the text is added then.
    pub fn add(&mut self, text: &str) -> Result<(), RuleError> {
        // The message alone: the line that it is about may be a secret, where somebody names the wrong file.
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| {
                text.get(..span.start).unwrap_or_default().matches('\n').count() + 1
            });
            RuleError::Syntax(format!("line {line}: {}", error.message()))
        })?;
        let mut tokens = file.token.into_iter().map(token).collect::<Result<Vec<_>, _>>()?;
        let mut names = Vec::new();
        if let Some(form) = &file.form {
            for issuer in file.issuer {
                names.push((self.tokens.len() + tokens.len(), issuer.names.clone()));
                tokens.push(of_issuer(&issuer, form)?);
            }
        }
        let identifiers = file
            .identifier
            .into_iter()
            .map(identifier)
            .collect::<Result<Vec<_>, _>>()?;
        let fields = file.field.into_iter().map(field).collect::<Result<Vec<_>, _>>()?;
        let secrets = file.secret.into_iter().map(secret).collect::<Result<Vec<_>, _>>()?;
        self.tokens.extend(tokens);
        self.issuers.extend(file.form.map(|form| Issuers {
            names,
            words: form.words,
        }));
        self.identifiers.extend(identifiers);
        self.fields.extend(fields);
        self.secrets.extend(secrets);
        self.harmless
            .extend(file.harmless.into_iter().flat_map(|words| words.words));
        self.vetoes.extend(file.veto.into_iter().flat_map(|words| words.words));
        Ok(())
    }
}

fn wrong(rule: &str, what: impl Into<String>) -> RuleError {
    RuleError::Rule {
        rule: rule.to_owned(),
        what: what.into(),
    }
}

fn class(rule: &str, name: &str) -> Result<Class, RuleError> {
    Class::named(name).ok_or_else(|| {
        let known: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
        wrong(rule, format!("no class `{name}`; hint: one of {}", known.join(", ")))
    })
}

fn check(rule: &str, name: Option<&str>) -> Result<Option<Check>, RuleError> {
    match name {
        None => Ok(None),
        Some(name) => match checks::named(name) {
            Some(check) => Ok(Some(check)),
            None => Err(wrong(
                rule,
                format!("no check `{name}`; hint: leave it out, or take one of the built-in rules'"),
            )),
        },
    }
}

fn examples(rule: &str, finds: &[String], passes: &[String]) -> Result<(), RuleError> {
    match finds.is_empty() || passes.is_empty() {
        true => Err(wrong(
            rule,
            "wants an example that it finds and one that it lets pass; hint: `finds` and `passes`",
        )),
        false => Ok(()),
    }
}

fn token(text: TokenText) -> Result<Token, RuleError> {
    let id = text.id.as_str();
    examples(id, &text.finds, &text.passes)?;
    if text.prefix.is_empty() && text.near.is_empty() && text.names.is_empty() {
        return Err(wrong(
            id,
            "a token without a `prefix` wants words that it stands `near`, or the `names` of its issuer",
        ));
    }
    for prefix in &text.prefix {
        let is_word = text.before.is_some() || prefix.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if prefix.len() < PREFIX_BYTES_MIN || !is_word {
            return Err(wrong(
                id,
                format!(
                    "prefix `{prefix}`: at least {PREFIX_BYTES_MIN} bytes, the first a letter or digit; hint: put the rest into `body`"
                ),
            ));
        }
    }
    let body = Pattern::body(&text.body).map_err(|error: PatternError| wrong(id, format!("body: {error}")))?;
    Ok(Token {
        class: class(id, &text.class)?,
        begins: body.begins(),
        body,
        before: match &text.before {
            None => None,
            Some(before) => Some(Pattern::body(before).map_err(|error| wrong(id, format!("before: {error}")))?),
        },
        check: check(id, text.check.as_deref())?,
        prefix: text
            .prefix
            .into_iter()
            .map(|prefix| prefix.into_bytes().into())
            .collect(),
        near: text.near,
        names: text.names,
        id: text.id.into(),
    })
}

fn of_issuer(issuer: &IssuerText, form: &IssuerForm) -> Result<Token, RuleError> {
    let id = issuer.id.as_str();
    examples(id, &form.finds, &form.passes)?;
    let body = Pattern::body(&form.body).map_err(|error| wrong(id, format!("body: {error}")))?;
    Ok(Token {
        id: id.into(),
        class: class(id, &form.class)?,
        prefix: Vec::new(),
        before: None,
        begins: body.begins(),
        body,
        check: check(id, form.check.as_deref())?,
        near: Vec::new(),
        names: Vec::new(),
    })
}

fn identifier(text: IdentifierText) -> Result<Identifier, RuleError> {
    let id = text.id.as_str();
    examples(id, &text.finds, &text.passes)?;
    if let Some(proof) = text.proof.iter().find(|proof| !text.forms.contains(proof)) {
        return Err(wrong(id, format!("proof `{proof}` is none of `forms`")));
    }
    let forms = text.forms.iter().map(|form| {
        let pattern = Pattern::form(form).map_err(|error| wrong(id, format!("form `{form}`: {error}")))?;
        Ok(Form {
            begins: pattern.begins(),
            pattern,
            is_proof: text.proof.contains(form),
        })
    });
    Ok(Identifier {
        class: class(id, &text.class)?,
        forms: forms.collect::<Result<_, RuleError>>()?,
        check: check(id, text.check.as_deref())?,
        is_as_written: text.check.as_deref().is_some_and(checks::as_written),
        words: text.words,
        id: text.id.into(),
    })
}

fn field(text: FieldText) -> Result<Field, RuleError> {
    let rule = text.words.first().map_or("field", String::as_str);
    Ok(Field {
        id: format!("field-{}", text.grammar).into(),
        class: class(rule, &text.class)?,
        grammar: Grammar::named(&text.grammar).ok_or_else(|| {
            wrong(
                rule,
                format!(
                    "no grammar `{}`; hint: `name`, `salutation`, `address`, `whereabouts`, `date` or `phone`",
                    text.grammar
                ),
            )
        })?,
        words: text.words,
    })
}

fn secret(text: SecretText) -> Result<Named, RuleError> {
    let rule = text.words.first().map_or("secret", String::as_str);
    Ok(Named {
        class: class(rule, &text.class)?,
        words: text.words,
    })
}
