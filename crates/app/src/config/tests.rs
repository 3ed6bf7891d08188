//! The file, both ways: what is in order loads, what is not is refused with its place and a hint.

use super::file::{Durability, EffectWord, Era, HiddenCharacters};
use super::*;

fn read(text: &str) -> Result<File, Problems> {
    let environment = Environment::of([("API_KEY", "k"), ("TOKEN", "t")]);
    Config::read(Path::new("/nowhere/portcullis.toml"), text, &environment).map(|config| config.file)
}

/// What is wrong with `text`, each as `line:column message | hint`.
fn wrong(text: &str) -> Vec<String> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems
            .iter()
            .map(|(line, column, problem)| format!("{line}:{column} {} | {}", problem.message, problem.hint))
            .collect(),
    }
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    assert_eq!(wrong(text), expected);
}

#[test]
fn an_empty_file_is_the_defaults() {
    let file = read("").unwrap();
    assert_eq!(file, File::default());
    assert_eq!(file.listen.address.to_string(), "127.0.0.1:8650");
    assert_eq!(file.record.durability.read, Durability::Ordered);
    assert_eq!(file.record.durability.write, Durability::Strict);
}

#[test]
fn what_is_in_order_loads() {
    let file = read(
        r#"
        [listen]
        address = "[::1]:9000"
        threads = 2
        origins = ["http://localhost:6274"]
        [identity]
        anonymous = "local"
        [[upstream]]
        name = "remote"
        url = "https://mcp.example.org/mcp"
        headers = { Authorization = { env = "TOKEN", prefix = "Bearer " }, X-Tenant = "acme" }
        era = "modern"
        [[upstream]]
        name = "files"
        command = ["server", "--stdio"]
        env = { API_KEY = { env = "API_KEY" }, MODE = "quiet" }
        deadline_ms = 5_000
        [upstream.tools."delete file"]
        effect = "destroy"
        idempotent = true
        hidden = true
        [[endpoint]]
        name = "some"
        upstreams = ["remote", "files"]
        tools = ["files/read_*", "*/search"]
        [screen]
        hidden_characters = "refuse"
        [limits]
        depth_max = 0x40
        "#,
    )
    .unwrap();
    assert_eq!(file.identity.anonymous.unwrap().as_str(), "local");
    let [remote, files] = file.upstream.as_slice() else {
        panic!()
    };
    assert_eq!(remote.era, Era::Modern);
    assert_eq!(remote.headers.len(), 2);
    assert_eq!(files.deadline_ms, Some(5000));
    assert_eq!(files.tools["delete file"].effect, Some(EffectWord::Destroy));
    assert_eq!(file.screen.hidden_characters, HiddenCharacters::Refuse);
    assert_eq!(file.limits.depth_max, 64);
}

#[test]
fn all_problems_come_at_once() {
    let text = r#"
[listn]
[listen]
adress = "127.0.0.1:1"
threads = "four"
[[upstream]]
name = "My Bank"
demo = true
[[upstream]]
url = "ftp://x"
[[endpoint]]
name = "e"
upstreams = ["bnk"]
[screen]
schema = "true"
"#;
    refused(
        text,
        &[
            "2:2 unknown key `listn` | did you mean `listen`?",
            "4:1 unknown key `adress` in `listen` | did you mean `address`?",
            "5:11 `threads` must be an integer, not a string | an integer from 1 to 256",
            "7:8 `name`: `My Bank` is no valid name | 1 to 32 of a-z, 0-9 and `-`, for example `my-bank`",
            "9:1 missing key `name` in `upstream[1]` | add `name = ...`: what policies and paths call it: 1 to 32 of a-z, 0-9 and `-`. Required and unique",
            "10:7 `url`: `ftp://x` is no http or https URL | for example `https://mcp.example.org/mcp`",
            "13:14 no upstream is called `bnk` | one of `My Bank`",
            "15:10 `schema` must be `true` or `false`, not a string | without quotes: `true`",
        ],
    );
}

#[test]
fn keys_are_refused_at_any_depth_with_a_way_out() {
    refused(
        "[[upstream]]\nname = \"a\"\ndemo = true\n[upstream.tools.t]\nefect = \"read\"\n",
        &["5:1 unknown key `efect` in `upstream[0].tools.t` | did you mean `effect`?"],
    );
    refused(
        "[log]\nhosts = []\n",
        &["2:1 unknown key `hosts` in `log` | `hosts` belongs in `listen`"],
    );
    refused(
        "[log]\nzzz = 1\n",
        &["2:1 unknown key `zzz` in `log` | known here: `format`, `level`"],
    );
}

#[test]
fn types_and_ranges_are_held() {
    refused(
        "[limits]\ndeadline_ms = \"5s\"\n",
        &["2:15 `deadline_ms` must be an integer, not a string | milliseconds without quotes: `5000`"],
    );
    refused(
        "[limits]\ndepth_max = 300\n",
        &["2:13 `depth_max` is out of range: 300 | an integer from 8 to 256"],
    );
    refused(
        "[upstream]\nname = \"a\"\n",
        &["1:1 `upstream` must be a list, not a table | begin each one with `[[upstream]]`"],
    );
    refused(
        "[log]\nlevel = \"warning\"\nformat = 3\n",
        &[
            "2:9 `level` cannot be `warning` | did you mean `warn`?",
            "3:10 `format` must be one of `text`, `json`, not an integer | for example `format = \"text\"`",
        ],
    );
    refused(
        "[[upstream]]\nname = \"a\"\ncommand = \"npx server\"\n",
        &["3:11 `command` must be a list, not a string | put it in brackets: `command = [\"...\"]`"],
    );
}

#[test]
fn no_caller_may_have_all_sessions_by_mistake() {
    let file = read("[listen.limits]\nsessions_max = 20\nsessions_per_caller_max = 10\n").unwrap();
    assert_eq!(file.listen.limits.sessions_per_caller_max(), 10);
    assert_eq!(File::default().listen.limits.sessions_per_caller_max(), 256);
    for (all, of_caller) in [(1, 1), (3, 1), (20, 5), (1023, 255), (1024, 256), (1_000_000, 256)] {
        let file = read(&format!("[listen.limits]\nsessions_max = {all}\n")).unwrap();
        assert_eq!(file.listen.limits.sessions_per_caller_max(), of_caller, "{all}");
    }
    refused(
        "[listen.limits]\nsessions_max = 20\nsessions_per_caller_max = 21\n",
        &[
            "3:27 one caller may have 21 sessions, and `sessions_max` is 20 | lower it, so that one caller cannot have all of them",
        ],
    );
    refused(
        "[listen.limits]\nsessions_per_caler_max = 5\n",
        &["2:1 unknown key `sessions_per_caler_max` in `listen.limits` | did you mean `sessions_per_caller_max`?"],
    );
    refused(
        "[listen.limits]\nsessions_per_caller_max = 0\n",
        &["2:27 `sessions_per_caller_max` is out of range: 0 | an integer from 1 to 1000000"],
    );
}

#[test]
fn syntax_and_duplicates_have_their_place() {
    assert_eq!(wrong("a = \nb = [1\n").len(), 2);
    let duplicate = wrong("[log]\nlevel = \"info\"\nlevel = \"warn\"\n");
    assert!(
        duplicate
            .first()
            .is_some_and(|problem| problem.starts_with("3:1 duplicate key")),
        "{duplicate:?}"
    );
}

#[test]
fn secrets_are_references() {
    let text =
        "[[upstream]]\nname = \"a\"\nurl = \"https://a.example\"\nheaders = { Authorization = \"Bearer hunter2\" }\n";
    refused(
        text,
        &[
            "4:29 `Authorization` must be a reference to a secret, not the secret itself | write `{ env = \"NAME\" }` or `{ file = \"path\" }`: secrets do not stand in this file",
        ],
    );
    let shown = read(text).unwrap_err();
    assert!(!shown.to_string().contains("hunter2") && !shown.to_json().to_string().contains("hunter2"));
    refused(
        "[[upstream]]\nname = \"a\"\ncommand = [\"s\"]\nenv = { A = { env = \"ABSENT\" }, B_TOKEN = \"x\", C = { evn = \"x\" }, D = { env = \"TOKEN\", file = \"y\" } }\n",
        &[
            "4:21 `A`: the environment variable `ABSENT` is not set | start with `ABSENT=... portcullis ...`, or use { file = \"path\" }",
            "4:43 `B_TOKEN` must be a reference to a secret, not the secret itself | write `{ env = \"NAME\" }` or `{ file = \"path\" }`: secrets do not stand in this file",
            "4:48 `C` refers to no secret | write `{ env = \"NAME\" }` or `{ file = \"path\" }`: secrets do not stand in this file",
            "4:54 unknown key `evn` in a reference to a secret | write `{ env = \"NAME\" }` or `{ file = \"path\" }`: secrets do not stand in this file",
            "4:95 `D` has both `env` and `file` | keep one of them",
        ],
    );
}

#[test]
fn other_machines_are_a_decision() {
    refused(
        "[listen]\naddress = \"0.0.0.0:8650\"\n[identity]\nanonymous = \"me\"\n",
        &[
            "2:11 `0.0.0.0:8650` can be reached from other machines and has no `tls` | add `tls = { certificate = \"...\", key = \"...\" }`; `danger_plaintext = true` only behind something that encrypts",
            "2:11 `0.0.0.0:8650` can be reached from other machines and has no `hosts` | add the names by which clients reach it, for example `hosts = [\"gateway.example.org\"]`",
            "4:1 `anonymous` is for loopback addresses, and `listen.address` is `0.0.0.0:8650` | remove it and give callers keys (`portcullis key create`), or listen on `127.0.0.1`",
        ],
    );
    assert!(
        read("[listen]\naddress = \"0.0.0.0:8650\"\ndanger_plaintext = true\nhosts = [\"gateway.example.org\"]\n")
            .is_ok()
    );
    assert!(read("[identity]\nanonymous = \"me\"\n").is_ok());
}

#[test]
fn an_upstream_is_one_thing() {
    refused(
        "[[upstream]]\nname = \"a\"\n",
        &[
            "1:1 upstream `a` has no way to be reached | add `url = \"https://...\"`, `command = [\"program\", \"argument\"]` or `demo = true`",
        ],
    );
    refused(
        "[[upstream]]\nname = \"a\"\ndemo = true\nurl = \"https://a.example\"\n",
        &["3:1 upstream `a` has both `url` and `demo` | keep one of them, or write two upstreams"],
    );
    refused(
        "[[upstream]]\nname = \"a\"\ndemo = true\nworking_directory = \"/\"\nheaders = {}\n",
        &[
            "4:1 `working_directory` means nothing without `command` | remove `working_directory`",
            "5:1 `headers` means nothing without `url` | remove `headers`",
        ],
    );
    refused(
        "[[upstream]]\nname = \"a\"\ndemo = true\n[[upstream]]\nname = \"a\"\ndemo = true\n[[endpoint]]\nname = \"a\"\nupstreams = [\"a\", \"a\"]\ntools = [\"x\", \"b/*\"]\n",
        &[
            "5:8 a second upstream is called `a` | choose another name",
            "8:8 `a` is the name of an upstream already | `/mcp/a` can lead to one place: choose another name",
            "9:19 `a` is listed twice | remove one",
            "10:10 `x` names no upstream | write `UPSTREAM/TOOL`, for example `*/x`",
            "10:15 `b/*` can match no tool of this endpoint | it has the upstreams `a`, `a`",
        ],
    );
    refused(
        "[[upstream]]\nname = \"a\"\nurl = \"http://a.example\"\nheaders = { A = { env = \"TOKEN\" }, Host = \"x\", Mcp-Name = \"x\" }\ntls = { key = \"-----BEGIN PRIVATE KEY-----\" }\n",
        &[
            "3:7 `http://a.example/` would carry a secret in clear | use `https`, or remove the secret from `headers`",
            "4:36 the header `Host` is the gateway's own | remove it: the protocol decides its value",
            "4:48 the header `Mcp-Name` is the gateway's own | remove it: the protocol decides its value",
            "5:1 `tls` means nothing for `http://a.example/` | use `https` in `url`, or remove `tls`",
            "5:9 `key` wants `certificate` beside it | add `certificate`",
            "5:15 the key or certificate itself stands where its file should be named | put it in a file and write the path: secrets do not stand in this file",
        ],
    );
}

#[test]
fn what_is_switched_off_has_no_settings() {
    let problems = wrong(
        "[policy]\ndanger_disabled = true\nfiles = [\"b.cedar\"]\n[record]\ndanger_disabled = true\ndurability = \"strict\"\n",
    );
    for start in [
        "3:1 policies have no effect with `danger_disabled`",
        "6:1 `durability` means nothing without a record",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(start)),
            "{problems:?}"
        );
    }
    assert_eq!(
        wrong("[policy]\ndanger_disabled = true\n[record]\ndanger_disabled = true\n"),
        [""; 0]
    );
}

#[test]
fn files_must_be_there() {
    let problems = wrong(
        "[policy]\nfile = \"absent.cedar\"\nfiles = [\"b.cedar\"]\n[[identity.jwt]]\nissuer = \"https://i\"\naudience = \"a\"\njwks = \"absent.json\"\nalgorithms = [\"HS256\"]\n",
    );
    let expected = [
        "2:8 cannot read `absent.cedar`",
        "3:1 both `file` and `files` are there",
        "3:10 cannot read `b.cedar`",
        "7:8 cannot read `absent.json`",
        "8:15 `algorithms` cannot be `HS256` | one of `ES256`",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn a_file_that_is_no_file_is_refused() {
    let environment = Environment::of([]);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("huge"), vec![b'#'; (1 << 20) + 1]).unwrap();
    std::fs::write(at("latin"), [b'#', 0xe9]).unwrap();
    std::fs::write(at("good"), "[log]\n").unwrap();
    for name in ["absent", "huge", "latin", "."] {
        let problems = Config::load(&at(name), &environment).unwrap_err();
        assert!(problems.to_string().contains("hint:"), "{problems}");
    }
    assert_eq!(
        Config::load(&at("good"), &environment).unwrap().directory,
        directory.path()
    );
}

/// The schema that editors use is the one that the reader uses. To renew it after a change of the types, run this test
/// with `PORTCULLIS_BLESS=1`.
#[test]
fn the_published_schema_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/portcullis.schema.json");
    let fresh = schema().to_value();
    if Environment::of_process().variable("PORTCULLIS_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&fresh).unwrap() + "\n").unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    let published: serde_json::Value = serde_json::from_str(&published).unwrap_or_default();
    assert!(
        published == fresh,
        "docs/portcullis.schema.json is stale, hint: run this test with PORTCULLIS_BLESS=1"
    );
    assert!(jsonschema::meta::is_valid(&fresh), "the schema is no valid schema");
}

/// The default of every key passes the schema, and the schema says so too.
#[test]
fn the_defaults_fit_the_schema() {
    let mut text = serde_json::to_value(File::default()).unwrap();
    strip_nulls(&mut text);
    let validator = jsonschema::validator_for(&schema().to_value()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&text).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

fn strip_nulls(value: &mut serde_json::Value) {
    if let serde_json::Value::Object(members) = value {
        members.retain(|_, value| !value.is_null());
        members.values_mut().for_each(strip_nulls);
    }
}

#[test]
fn issuers_name_callers_of_their_own() {
    let issuer = |lines: &str| format!("[[identity.jwt]]\naudience = \"a\"\njwks = \"/dev/null\"\n{lines}\n");
    let of = |text: String| {
        let problems = wrong(&text);
        let own: Vec<String> = problems
            .into_iter()
            .filter(|line| !line.contains("/dev/null"))
            .collect();
        own
    };
    let two = |a: &str, b: &str| {
        of(issuer(&format!("issuer = \"https://a\"\n{a}")) + &issuer(&format!("issuer = \"https://b\"\n{b}")))
    };
    assert_eq!(two("", ""), [""; 0]);
    assert_eq!(two("subject_prefix = \"a/\"", "subject_prefix = \"b/\""), [""; 0]);
    assert_eq!(of(issuer("issuer = \"https://a\"\nsubject_prefix = \"\"")), [""; 0]);
    let hint = "give each a `subject_prefix`, neither of which begins with the other, or leave them out";
    assert_eq!(
        two("subject_prefix = \"\"", ""),
        [format!(
            "9:10 `https://b` (prefix `https://b#`) and `https://a` (prefix ``) could name the same caller | {hint}"
        )]
    );
    assert_eq!(
        two("subject_prefix = \"x/\"", "subject_prefix = \"x/y\""),
        [format!(
            "10:18 `https://b` (prefix `x/y`) and `https://a` (prefix `x/`) could name the same caller | {hint}"
        )]
    );
    let groups = |a: &str, b: &str| two(&format!("group_prefix = \"{a}\""), &format!("group_prefix = \"{b}\""));
    assert_eq!(groups("x/", "x/"), [""; 0], "shared on purpose");
    assert_eq!(groups("", "x/"), [""; 0], "any group");
    assert_eq!(
        groups("x/y", "x/"),
        [
            "10:16 `https://b` (prefix `x/`) and `https://a` (prefix `x/y`) could name the same group | give each a `group_prefix`, neither of which begins with the other, or both the same if they shall share groups"
        ]
    );
    let of_subjects = two("group_prefix = \"b/c\"", "subject_prefix = \"b/\"");
    assert!(
        of_subjects.len() == 1 && of_subjects[0].starts_with("10:18 `https://b` (prefix `b/`)"),
        "{of_subjects:?}"
    );
    // Whatever their audiences: the place of the second is told.
    let twice = of(issuer("issuer = \"https://a\"") + &issuer("issuer = \"https://a\"").replace("\"a\"", "\"b\""));
    assert_eq!(twice.len(), 1);
    assert!(
        twice[0].starts_with("8:10 the issuer `https://a` is there twice | keep one"),
        "{twice:?}"
    );
    let long = of(issuer(&format!("issuer = \"https://{}\"", "a".repeat(120))));
    assert!(long[0].contains("give it a shorter `subject_prefix`"), "{long:?}");
    let control = of(issuer("issuer = \"https://a\"\ngroup_prefix = \"a\\n\""));
    assert_eq!(
        control,
        ["5:16 `group_prefix` `a\\n` holds a control character | take it out"]
    );
    let typo = of(issuer("issuer = \"https://a\"\nsubjet_prefix = \"a\""));
    assert!(typo[0].ends_with("did you mean `subject_prefix`?"), "{typo:?}");
}

/// The guide's examples load, together and each alone, and the guide names every key.
#[test]
fn the_guide_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/configuration.md");
    let guide = std::fs::read_to_string(&path).unwrap();
    let examples: Vec<&str> = guide
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(examples.len() > 3, "the guide has lost its examples");
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "policy.cedar",
        "tls/server.crt",
        "tls/server.key",
        "tls/clients.pem",
        "issuer.jwks.json",
        "tls/ca.pem",
        "extra.cedar",
    ] {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let environment = Environment::of([("GITHUB_TOKEN", "x"), ("TICKETS_TOKEN", "x")]);
    for example in examples {
        if let Err(problems) = Config::read(&directory.path().join("portcullis.toml"), example, &environment) {
            panic!("{problems}\n--- in\n{example}");
        }
    }
    let schema = schema().to_value();
    let mut missing = Vec::new();
    each_key(&schema, &mut |key| {
        if !guide.contains(&format!("`{key}`")) {
            missing.push(key.to_owned());
        }
    });
    assert!(missing.is_empty(), "the guide does not name {missing:?}");
}

fn each_key(schema: &serde_json::Value, visit: &mut impl FnMut(&str)) {
    match schema {
        serde_json::Value::Object(members) => {
            if let Some(properties) = members.get("properties").and_then(serde_json::Value::as_object) {
                properties.keys().for_each(|key| visit(key));
            }
            members.values().for_each(|below| each_key(below, visit));
        }
        serde_json::Value::Array(elements) => elements.iter().for_each(|below| each_key(below, visit)),
        _ => {}
    }
}
