//! Names of principals and groups that no credential gives are told when a policy is loaded, and those that one gives are not.

use super::{bank, sources, user};
use crate::identity::{IssuerNames, Method, Nameable, Subject, SubjectKind};
use crate::policy::{CatalogFacts, Severity, check};

fn issuer(issuer: &str, subjects: &str, groups: Option<&str>) -> IssuerNames {
    IssuerNames {
        issuer: issuer.to_owned(),
        kind: SubjectKind::User,
        subject_prefix: subjects.to_owned(),
        group_prefix: groups.map(str::to_owned),
    }
}

/// What is said of a policy where a key of `ana` and one of an agent are there, and tokens of `issuers`.
fn said(policy: &str, issuers: Vec<IssuerNames>) -> Vec<String> {
    let batch = Subject::new(SubjectKind::Agent, "batch", [], Method::Key, None).unwrap();
    let facts = CatalogFacts {
        people: Some(Nameable::new([&user("ana", &["staff"]), &batch], issuers)),
        ..bank()
    };
    let report = check(&sources(policy), &facts);
    assert!(!report.is_barred() && !report.has_errors(), "{policy}: {report}");
    assert!(report.problems.iter().all(|it| it.severity == Severity::Warning));
    report.problems.iter().map(ToString::to_string).collect()
}

fn two() -> Vec<IssuerNames> {
    vec![
        issuer("https://a.example", "https://a.example#", Some("https://a.example#")),
        issuer("https://b.example", "b/", None),
    ]
}

fn scoped(principal: &str) -> String {
    format!("@id(\"no\")\nforbid (principal {principal}, action, resource);")
}

#[test]
fn names_that_somebody_has_are_not_told() {
    for principal in [
        "== User::\"ana\"",
        "== User::\"https://a.example#bob\"",
        "== User::\"b/bob\"",
        "== Agent::\"batch\"",
        // No issuer names agents: a key may be made for it tomorrow.
        "== Agent::\"nightly\"",
        "in Group::\"staff\"",
        "in Group::\"https://a.example#staff\"",
        "is User in Group::\"staff\"",
    ] {
        assert_eq!(said(&scoped(principal), two()), [""; 0], "{principal}");
    }
    // Without issuers, and with one that may give any name.
    for issuers in [vec![], vec![issuer("https://a.example", "", Some(""))]] {
        for principal in ["== User::\"bob\"", "in Group::\"clerks\""] {
            assert_eq!(said(&scoped(principal), issuers.clone()), [""; 0], "{principal}");
        }
    }
    let of_a = "permit (principal, action, resource) when { principal has issuer && principal.issuer == \"https://a.example\" };";
    assert_eq!(said(of_a, two()), [""; 0]);
}

#[test]
fn names_that_nobody_has_are_told_with_the_way_to_write_them() {
    let policy = |text: &str, at: &str, what: &str, hint: &str| {
        assert_eq!(
            said(text, two()),
            [format!("test.cedar:{at}: warning: policy `no` {what}, hint: {hint}")],
            "{text}"
        );
    };
    let nobody = "which nobody is: no key has that name, and no issuer's tokens give it";
    for (principal, entity, hint) in [
        (
            "== User::\"bob\"",
            "User::\"bob\"",
            "from a token it is `User::\"https://a.example#bob\"` or `User::\"b/bob\"`; or make a key, `portcullis key create`",
        ),
        (
            "in Group::\"clerks\"",
            "Group::\"clerks\"",
            "from a token it is `Group::\"https://a.example#clerks\"`; or make a key, `--group`",
        ),
        (
            "== User::\"https://a.exmple#bob\"",
            "User::\"https://a.exmple#bob\"",
            "did you mean `User::\"https://a.example#bob\"`?",
        ),
        (
            "in Group::\"https://c.example.org#clerks\"",
            "Group::\"https://c.example.org#clerks\"",
            "from a token it is `Group::\"https://a.example#..\"`",
        ),
        (
            "== Agent::\"https://a.example#bob\"",
            "Agent::\"https://a.example#bob\"",
            "no issuer is configured whose tokens give such names, `[[identity.jwt]]`",
        ),
    ] {
        policy(&scoped(principal), "2:22", &format!("names `{entity}`, {nobody}"), hint);
    }
    policy(
        "@id(\"no\")\nforbid (principal, action, resource)\nunless { principal == User::\"bob\" };",
        "3:23",
        &format!("names `User::\"bob\"`, {nobody}"),
        "from a token it is `User::\"https://a.example#bob\"` or `User::\"b/bob\"`; or make a key, `portcullis key create`",
    );
    policy(
        "@id(\"no\")\nforbid (principal, action, resource)\nwhen { principal has issuer && principal.issuer == \"https://a.exmple\" };",
        "3:52",
        "asks for the issuer \"https://a.exmple\", which is not configured",
        "did you mean \"https://a.example\"?",
    );
}
