//! What is done about secrets and personal data, by class and direction: what policies say in `@results`, `@arguments`, `@mask`
//! and `@redact`, over what is done where none says anything. It must not know how data is found or masked.

use super::model::{Obligation, ObligationKind};
use crate::catalog::closest;
use portcullis_guards::scan::{Class, Family};

/// What is done about a class of data. In order of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// It passes, and is counted.
    Pass,
    /// Its class and a keyed hash stand in its place: the same value can be told again.
    Hash,
    /// Its class stands in its place, with the last characters where the class has such a form.
    Mask,
    /// A value that the tool's schema takes stands in its place where that takes no mark, else its class.
    Form,
    /// Its class alone stands in its place.
    Redact,
    /// The answer that it is in does not go out.
    Withhold,
    /// The call that it is in does not go to the server.
    Refuse,
}

impl Action {
    /// The word for it in policies and on the record.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Hash => "hash",
            Self::Mask => "mask",
            Self::Form => "form",
            Self::Redact => "redact",
            Self::Withhold => "withhold",
            Self::Refuse => "refuse",
        }
    }

    /// Whether something stands in its place then.
    pub(crate) const fn is_masking(self) -> bool {
        matches!(self, Self::Hash | Self::Mask | Self::Form | Self::Redact)
    }
}

/// What may be done in what goes to the client.
const IN_RESULTS: [Action; 5] = [Action::Pass, Action::Hash, Action::Mask, Action::Form, Action::Withhold];

/// The word in `@arguments` for texts that carry one of our marks.
const MARKS: &str = "marks";
/// The words for families.
const FAMILIES: [(&str, Family); 2] = [("secrets", Family::Secrets), ("personal", Family::Personal)];
/// A word that policies may use for a class beside its name.
const ALIAS: (&str, Class) = ("name", Class::Person);

/// An action for each class that something is said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    by_class: [Option<Action>; Class::ALL.len()],
    marks: Option<Action>,
}

impl Said {
    const NOTHING: Self = Self {
        by_class: [None; Class::ALL.len()],
        marks: None,
    };

    fn of(&self, class: Class) -> Option<Action> {
        self.by_class.get(class as usize).copied().flatten()
    }

    fn say(&mut self, class: Class, action: Action) {
        if let Some(said) = self.by_class.get_mut(class as usize) {
            *said = (*said).max(Some(action));
        }
    }

    /// This and what another policy says: the strictest holds.
    fn and(&mut self, other: &Self) {
        for (said, others) in self.by_class.iter_mut().zip(other.by_class) {
            *said = (*said).max(others);
        }
        self.marks = self.marks.max(other.marks);
    }
}

/// What the policies that decided say, with what holds where they say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handling {
    results: Said,
    arguments: Said,
}

/// A statement that means nothing, and what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meaningless {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Handling {
    /// What holds where no policy says anything.
    pub(crate) const STARTER: Self = Self {
        results: Said::NOTHING,
        arguments: Said::NOTHING,
    };

    /// What these obligations say together.
    ///
    /// # Errors
    /// One says something that cannot be understood; it would not have been put in force.
    pub(crate) fn of(obligations: &[Obligation]) -> Result<Self, Meaningless> {
        let mut handling = Self::STARTER;
        for obligation in obligations {
            let Some(said) = read(obligation.kind, &obligation.value) else {
                continue;
            };
            let said = said?;
            match obligation.kind {
                ObligationKind::Arguments => handling.arguments.and(&said),
                _ => handling.results.and(&said),
            }
        }
        Ok(handling)
    }

    /// What is done about a class in what goes to the client.
    pub(crate) fn result(&self, class: Class) -> Action {
        self.results.of(class).unwrap_or(match (class.family(), class) {
            (Family::Secrets, _) | (_, Class::Card | Class::Iban | Class::NationalId) => Action::Mask,
            _ => Action::Pass,
        })
    }

    /// What is done about a class in what goes to the server.
    pub(crate) fn argument(&self, class: Class) -> Action {
        self.arguments.of(class).unwrap_or(match class.family() {
            Family::Secrets => Action::Refuse,
            Family::Personal => Action::Pass,
        })
    }

    /// What is done about one of our marks in what goes to the server.
    pub(crate) fn mark(&self) -> Action {
        self.arguments.marks.unwrap_or(Action::Refuse)
    }

    /// Whether policy asks for more than to let something pass: what cannot be had where nothing is looked for.
    pub(crate) fn is_demanding(&self) -> bool {
        let said = |said: &Said| said.by_class.iter().copied().chain([said.marks]).max().flatten();
        said(&self.results).max(said(&self.arguments)) > Some(Action::Pass)
    }
}

/// What an annotation says; `None` for one that is not about data.
fn read(kind: ObligationKind, value: &str) -> Option<Result<Said, Meaningless>> {
    match kind {
        ObligationKind::Results => Some(statements(value, &IN_RESULTS)),
        ObligationKind::Arguments => Some(statements(value, &[Action::Pass, Action::Refuse])),
        ObligationKind::Mask => Some(classes_to_mask(value)),
        ObligationKind::Redact => Some(match value.is_empty() {
            true => {
                let mut said = Said::NOTHING;
                set(&mut said, &Subject::Family(Family::Personal), Action::Redact);
                Ok(said)
            }
            false => Err(Meaningless {
                message: "`@redact` has no value".to_owned(),
                hint: "`@results(\"EMAIL mask\")` is for some classes".to_owned(),
            }),
        }),
        ObligationKind::Approve | ObligationKind::Purpose | ObligationKind::Record => None,
    }
}

/// Whether an annotation can be understood.
pub(super) fn check(kind: ObligationKind, value: &str) -> Result<(), Meaningless> {
    read(kind, value).map_or(Ok(()), |said| said.map(drop))
}

/// What something is said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Class(Class),
    Family(Family),
    Marks,
}

fn set(said: &mut Said, subject: &Subject, action: Action) {
    match subject {
        Subject::Class(class) => said.say(*class, action),
        Subject::Family(family) => {
            for class in Class::ALL.iter().filter(|class| class.family() == *family) {
                said.say(*class, action);
            }
        }
        Subject::Marks => said.marks = said.marks.max(Some(action)),
    }
}

/// `IBAN pass, personal mask`. Within one annotation a class counts before its family.
fn statements(value: &str, actions: &[Action]) -> Result<Said, Meaningless> {
    let takes_marks = actions.contains(&Action::Refuse);
    let (mut families, mut said) = (Said::NOTHING, Said::NOTHING);
    for statement in value.split(',') {
        let mut words = statement.split_whitespace();
        let (Some(subject), Some(action), None) = (words.next(), words.next(), words.next()) else {
            return Err(Meaningless {
                message: format!("`{}` is no class with an action", shown(statement.trim())),
                hint: format!("for example `IBAN {}`, more of them behind commas", example(actions)),
            });
        };
        let subject = subject_of(subject, takes_marks)?;
        let action = action_of(action, actions)?;
        match subject {
            Subject::Family(_) => set(&mut families, &subject, action),
            _ => set(&mut said, &subject, action),
        }
    }
    for (said, family) in said.by_class.iter_mut().zip(families.by_class) {
        *said = (*said).or(family);
    }
    Ok(said)
}

/// `iban, name`
fn classes_to_mask(value: &str) -> Result<Said, Meaningless> {
    let mut said = Said::NOTHING;
    for word in value.split(',') {
        set(&mut said, &subject_of(word.trim(), false)?, Action::Mask);
    }
    Ok(said)
}

fn subject_of(word: &str, takes_marks: bool) -> Result<Subject, Meaningless> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if let Some(class) = Class::ALL.iter().find(|class| is(class.as_str())) {
        return Ok(Subject::Class(*class));
    }
    if let Some((_, family)) = FAMILIES.iter().find(|(name, _)| is(name)) {
        return Ok(Subject::Family(*family));
    }
    match word {
        _ if is(ALIAS.0) => return Ok(Subject::Class(ALIAS.1)),
        _ if is(MARKS) && takes_marks => return Ok(Subject::Marks),
        _ => {}
    }
    let known = Class::ALL.iter().map(|class| class.as_str());
    let known = known.chain(FAMILIES.iter().map(|(name, _)| *name));
    let known: Vec<&str> = known.chain(takes_marks.then_some(MARKS)).collect();
    let hint = match closest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    Err(Meaningless {
        message: format!("`{}` is no class of data", shown(word)),
        hint,
    })
}

fn action_of(word: &str, actions: &[Action]) -> Result<Action, Meaningless> {
    if let Some(action) = actions.iter().find(|action| action.as_str() == word) {
        return Ok(*action);
    }
    let words = || actions.iter().map(|action| action.as_str());
    let hint = match (word, actions.contains(&Action::Refuse)) {
        ("hash" | "mask" | "form" | "redact" | "withhold", true) => {
            "what a caller says is never rewritten: `refuse` it or let it `pass`".to_owned()
        }
        ("refuse", false) => "in answers it is `withhold`".to_owned(),
        _ => match closest(word, words()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", words().collect::<Vec<_>>().join(", ")),
        },
    };
    Err(Meaningless {
        message: format!("`{}` is nothing that is done here", shown(word)),
        hint,
    })
}

fn example(actions: &[Action]) -> &'static str {
    actions.last().map_or("pass", |action| action.as_str())
}

fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handling(annotations: &[(ObligationKind, &str)]) -> Result<Handling, Meaningless> {
        let obligations: Vec<Obligation> = annotations
            .iter()
            .map(|(kind, value)| Obligation {
                kind: *kind,
                value: (*value).to_owned(),
            })
            .collect();
        Handling::of(&obligations)
    }

    #[test]
    fn without_a_word_secrets_cards_ibans_and_national_ids_are_masked_and_secrets_refused() {
        let starter = handling(&[(ObligationKind::Purpose, "x")]).unwrap();
        assert_eq!(starter, Handling::STARTER);
        assert!(!starter.is_demanding());
        for class in Class::ALL {
            let is_secret = class.family() == Family::Secrets;
            let is_masked = is_secret || matches!(class, Class::Card | Class::Iban | Class::NationalId);
            assert_eq!(starter.result(*class) == Action::Mask, is_masked, "{class}");
            assert_eq!(starter.argument(*class) == Action::Refuse, is_secret, "{class}");
        }
        assert_eq!(starter.mark(), Action::Refuse);
    }

    #[test]
    fn the_strictest_of_several_policies_wins_and_a_class_counts_before_its_family() {
        let said = handling(&[
            (
                ObligationKind::Results,
                "IBAN pass, personal mask, EMAIL pass, PASSWORD withhold",
            ),
            (ObligationKind::Results, "iban withhold"),
            (
                ObligationKind::Arguments,
                "PROVIDER_TOKEN pass, IBAN refuse, marks pass",
            ),
        ])
        .unwrap();
        assert_eq!(said.result(Class::Iban), Action::Withhold);
        assert_eq!(said.result(Class::Email), Action::Pass);
        assert_eq!(said.result(Class::Phone), Action::Mask);
        assert_eq!(said.result(Class::Password), Action::Withhold);
        assert_eq!(said.result(Class::Jwt), Action::Mask);
        assert_eq!(said.argument(Class::ProviderToken), Action::Pass);
        assert_eq!(said.argument(Class::Iban), Action::Refuse);
        assert_eq!(said.argument(Class::Jwt), Action::Refuse);
        assert_eq!(said.mark(), Action::Pass);
        assert!(said.is_demanding());
        assert!(
            !handling(&[(ObligationKind::Results, "IBAN pass")])
                .unwrap()
                .is_demanding()
        );
        let lax = handling(&[
            (ObligationKind::Results, "IBAN pass"),
            (ObligationKind::Mask, "iban, name"),
        ])
        .unwrap();
        assert_eq!([lax.result(Class::Iban), lax.result(Class::Person)], [Action::Mask; 2]);
        for (one, other, stricter) in [
            ("hash", "pass", Action::Hash),
            ("hash", "mask", Action::Mask),
            ("form", "mask", Action::Form),
            ("form", "withhold", Action::Withhold),
        ] {
            let [one, other] = [one, other].map(|action| format!("CARD {action}"));
            let said = handling(&[(ObligationKind::Results, &*one), (ObligationKind::Results, &*other)]).unwrap();
            assert_eq!(said.result(Class::Card), stricter, "{one}, {other}");
            assert!(said.is_demanding());
        }
        let none = handling(&[(ObligationKind::Redact, "")]).unwrap();
        assert_eq!(
            [
                none.result(Class::Dob),
                none.result(Class::Card),
                none.result(Class::Jwt)
            ],
            [Action::Redact, Action::Redact, Action::Mask]
        );
    }

    #[test]
    fn what_means_nothing_is_told_with_what_was_meant() {
        for (kind, value, message, hint) in [
            (
                ObligationKind::Results,
                "IBNA pass",
                "`IBNA` is no class",
                "did you mean `IBAN`?",
            ),
            (
                ObligationKind::Results,
                "IBAN maks",
                "`maks` is nothing",
                "did you mean `mask`?",
            ),
            (
                ObligationKind::Results,
                "IBAN refuse",
                "`refuse` is nothing",
                "`withhold`",
            ),
            (
                ObligationKind::Results,
                "IBAN",
                "`IBAN` is no class with an action",
                "IBAN withhold",
            ),
            (
                ObligationKind::Results,
                "",
                "`` is no class with an action",
                "for example",
            ),
            (
                ObligationKind::Results,
                "marks pass",
                "`marks` is no class",
                "there are",
            ),
            (
                ObligationKind::Arguments,
                "IBAN mask",
                "`mask` is nothing",
                "never rewritten",
            ),
            (
                ObligationKind::Arguments,
                "IBAN hash",
                "`hash` is nothing",
                "never rewritten",
            ),
            (
                ObligationKind::Arguments,
                "secretes pass",
                "`secretes` is no class",
                "did you mean `secrets`?",
            ),
            (ObligationKind::Mask, "iban,, name", "`` is no class", "there are"),
            (ObligationKind::Redact, "iban", "has no value", "@results"),
        ] {
            let wrong = handling(&[(kind, value)]).unwrap_err();
            assert!(wrong.message.contains(message), "{value}: {wrong:?}");
            assert!(wrong.hint.contains(hint), "{value}: {wrong:?}");
        }
    }
}
