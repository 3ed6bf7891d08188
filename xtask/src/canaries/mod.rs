//! Canaries as a claim: what the starter set masks is said by servers that others wrote, in every place, in every encoding that the
//! detectors claim, and reaches no client of the running gateway; what only looks like it arrives as it was. The other way, secrets and
//! marks in what a client says reach no server.
//!
//! The same is done without the gateway: there the check must see every canary, or it could not fail; and look-alikes are compared with
//! what comes then.
#![expect(
    clippy::indexing_slicing,
    reason = "tables, plans and texts are this module's own, and a proof that panics fails"
)]

mod alike;
mod arguments;
mod client;
mod encode;
mod make;
mod places;

use crate::child::{self, Result};
use crate::fresh::dice::Dice;
use crate::peers::{self, Peers};
use alike::Alike;
use client::{Client, Era};
use encode::{ENCODINGS, Encoding, Traces};
use make::{CLASSES, Canary, Nest, SECRETS};
use places::{PLACES, Place, Server, Site, Wants};
use portcullis_testkit::gateway::{Gateway, wrap_command};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Every run draws the same.
const SEED: u64 = 4_005;
/// Canaries and look-alikes each, in full and for CI.
const COUNTS: (usize, usize) = (1_000, 132);
/// Shorter texts make shorter runs of Base64 and hex than are unpacked: 24 characters.
const PACKED_BYTES_MIN: usize = 18;
/// Longest name of a file, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// What went wrong that is told, of each kind; all of it is in the log.
const TOLD_MAX: usize = 8;
/// So much of each.
const TOLD_CHARACTERS_MAX: usize = 320;

/// Something that a server says.
struct Said {
    place: Place,
    encoding: Encoding,
    what: What,
    /// As it is written in its place.
    text: String,
    /// The key of the field that it stands in, where it stands in one.
    label: &'static str,
}

enum What {
    Canary(Canary, Traces),
    Alike(Alike),
}

/// One way from a client to the servers.
struct Leg {
    name: &'static str,
    era: Era,
    site: Site,
    /// What the carrier hears on it.
    heard: PathBuf,
    /// Keeps it running.
    _gateway: Option<Gateway>,
}

/// Proves it; in full with a thousand of each.
///
/// # Errors
/// What reached a client that must not, what did not arrive as it was, or that nothing could be proved.
pub(crate) fn prove(full: bool) -> Result<String> {
    let program = child::program(false)?;
    let peers = peers::install()?;
    let count = if full { COUNTS.0 } else { COUNTS.1 };
    let work = peers.scratch("canaries")?;
    fs::remove_dir_all(&work)?;
    let said = plan(count, &program, &work)?;
    let bench = Bench::set_up(&peers, &program, &work, &said)?;
    let mut faults = Faults::default();
    let mut figures = Vec::new();
    let mut baselines = BTreeMap::new();
    for era in [Era::Legacy, Era::Modern] {
        let mut direct = bench.direct(era)?;
        baselines.insert(era.name(), look(&mut direct, &said, None, &mut faults)?.heard);
        let legs = match full {
            true => vec![bench.up(era)?, bench.wrap(era)?],
            false if era == Era::Legacy => vec![bench.wrap(era)?],
            false => vec![bench.up(era)?],
        };
        for mut leg in legs {
            let tally = look(&mut leg, &said, baselines.get(era.name()), &mut faults)?;
            let back = arguments::refuse(&mut leg, if full { count / 4 } else { count / 3 }, &mut faults)?;
            figures.push(format!(
                "{}: {} canaries masked, {} withheld, {} look-alikes as they were; {back}",
                leg.name, tally.masked, tally.withheld, tally.untouched
            ));
        }
    }
    fs::write(work.join("faults.txt"), faults.all.join("\n"))?;
    let kinds = |of: &dyn Fn(&Said) -> String| {
        let canaries = said.iter().filter(|said| matches!(said.what, What::Canary(..)));
        canaries.map(of).collect::<BTreeSet<String>>().len()
    };
    let what = format!(
        "{count} canaries ({} classes, {} kinds, {} places, {} encodings; {} pairs of class and place, {} of class and encoding, {} of \
         place and encoding), {count} look-alikes of {} kinds",
        CLASSES.len(),
        kinds(&|said| said.what.kind()),
        kinds(&|said| said.place.name.to_owned()),
        kinds(&|said| format!("{:?}", said.encoding)),
        kinds(&|said| format!("{} {}", said.what.class(), said.place.name)),
        kinds(&|said| format!("{} {:?}", said.what.class(), said.encoding)),
        kinds(&|said| format!("{} {:?}", said.place.name, said.encoding)),
        alike::kinds(),
    );
    let figure = format!("{what}; {}", figures.join("; "));
    match faults.all.is_empty() {
        true => Ok(figure),
        false => Err(format!("{}\n{figure}", faults.told()).into()),
    }
}

/// What went wrong, by what kind of thing it is.
#[derive(Default)]
pub(super) struct Faults {
    all: Vec<String>,
}

impl Faults {
    pub(super) fn add(&mut self, kind: &str, what: &str) {
        self.all.push(format!("{kind}: {what}"));
    }

    fn told(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut out = String::new();
        for fault in &self.all {
            let count = counts.entry(fault.split(':').next().unwrap_or_default()).or_default();
            *count += 1;
            if *count <= TOLD_MAX {
                // Writing to a `String` cannot fail.
                let _ = write!(
                    out,
                    "\n  {}",
                    fault.chars().take(TOLD_CHARACTERS_MAX).collect::<String>()
                );
            }
        }
        let sums: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        format!("{}{out}", sums.join(", "))
    }
}

impl What {
    fn kind(&self) -> String {
        match self {
            Self::Canary(canary, _) => canary.kind.clone(),
            Self::Alike(alike) => alike.kind.to_owned(),
        }
    }

    const fn class(&self) -> &'static str {
        match self {
            Self::Canary(canary, _) => canary.class,
            Self::Alike(_) => "",
        }
    }
}

impl Era {
    const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

impl Said {
    fn name(&self, at: usize) -> String {
        let what = match &self.what {
            What::Canary(canary, _) => format!("{} ({})", canary.class, canary.kind),
            What::Alike(alike) => alike.kind.to_owned(),
        };
        format!(
            "{what} at {} as {:?} (number {at}): {:?}",
            self.place.name, self.encoding, self.text
        )
    }
}

/// `count` canaries and as many look-alikes: every class in every place, and in every encoding; every encoding in every place that can
/// have it, where there are enough.
fn plan(count: usize, program: &Path, work: &Path) -> Result<Vec<Said>> {
    let mut nest = Nest::new(SEED)?;
    let mut dice = Dice::new(SEED, 2);
    // More than are needed, in turns by class.
    let mut pool: Vec<Canary> = (0..count * 4).map(|at| nest.hatch(at % CLASSES.len(), false)).collect();
    make::weigh(&mut pool, program, &work.join("pool"))?;
    let mut pools: Vec<VecDeque<Canary>> = CLASSES.iter().map(|_| VecDeque::new()).collect();
    for (at, canary) in pool.into_iter().enumerate() {
        pools[at % CLASSES.len()].push_back(canary);
    }
    let mut used: BTreeMap<(String, Encoding), usize> = BTreeMap::new();
    let mut said = Vec::new();
    for at in 0..count {
        let class = at % CLASSES.len();
        let mut turn = at / CLASSES.len() + at;
        let mut attempts = 0;
        let next = loop {
            attempts += 1;
            let place = PLACES[turn % PLACES.len()];
            // A secret does not go to a server: none says it back. And a private key is no name of a file.
            if place.wants == Wants::Echo && class < SECRETS || attempts % 20 == 0 {
                turn += 1;
                continue;
            }
            let canary = match place.wants {
                Wants::Field => nest.hatch(class, true),
                _ => pools[class].pop_front().ok_or("too few canaries")?,
            };
            let traces = Traces::of(&canary);
            let mut fit: Vec<(usize, usize, Encoding, String)> = ENCODINGS
                .iter()
                .filter_map(|encoding| {
                    let text = written(&canary, *encoding, &place)?;
                    let times = |what: &str| used.get(&(what.to_owned(), *encoding)).copied().unwrap_or(0);
                    Some((
                        times(place.name) * 2 + times(canary.class),
                        dice.below(1_000),
                        *encoding,
                        text,
                    ))
                })
                .collect();
            fit.sort();
            match fit.into_iter().next() {
                Some((_, _, encoding, text)) if !traces.is_empty() => {
                    let label = canary.label.unwrap_or("note");
                    break Said {
                        place,
                        encoding,
                        text,
                        label,
                        what: What::Canary(canary, traces),
                    };
                }
                _ if attempts > 400 => return Err(format!("no canary fits {}", place.name).into()),
                _ => {}
            }
        };
        for what in [next.place.name, CLASSES[class]] {
            *used.entry((what.to_owned(), next.encoding)).or_default() += 1;
        }
        said.push(next);
    }
    let wrappings = [
        Encoding::Plain,
        Encoding::Wire,
        Encoding::JsonInString,
        Encoding::Base64,
        Encoding::JsonEscapes,
    ];
    for at in 0..count {
        let place = PLACES[(at / alike::kinds() + at) % PLACES.len()];
        let mut attempts = 0;
        said.push(loop {
            attempts += 1;
            let mut alike = alike::alike(&mut dice, at + attempts / 20);
            let encoding = *dice.pick(&wrappings);
            if encoding == Encoding::Wire {
                // The carrier knows by the text what to escape, and the same one is said in plain elsewhere.
                let _ = write!(alike.text, " ({at})");
            }
            let canary = Canary {
                class: "",
                kind: String::new(),
                label: Some("note"),
                is_sure: true,
                values: vec![alike.text.clone()],
                text: alike.text.clone(),
            };
            if let Some(text) = written(&canary, encoding, &place) {
                break Said {
                    place,
                    encoding,
                    text,
                    label: "note",
                    what: What::Alike(alike),
                };
            }
            if attempts > 2_000 {
                return Err(format!("no look-alike fits {}", place.name).into());
            }
        });
    }
    Ok(said)
}

/// What is written at `place`; `None` where it cannot be.
fn written(canary: &Canary, encoding: Encoding, place: &Place) -> Option<String> {
    if encoding == Encoding::OtherDigits && !canary.is_number() {
        return None;
    }
    let text = encoding.of_text(canary);
    let is_carried = place.server == Server::Carrier;
    match (place.wants, encoding) {
        // The message itself is written by the carrier alone.
        (_, Encoding::Wire) if !is_carried || place.wants == Wants::Bytes => None,
        (Wants::Bytes, _) if encoding.packed() > 2 => None,
        // What hides characters in arguments is refused.
        (Wants::Echo, Encoding::ZeroWidth | Encoding::SoftHyphen) => None,
        _ if encoding.packed() > 0 && (!canary.is_sure || canary.text.len() < PACKED_BYTES_MIN) => None,
        (Wants::Field, _) => {
            let value = canary.values.first()?;
            (encoding.is_of_characters() && encoding != Encoding::QuotedPrintable && canary.label.is_some())
                .then(|| encoding.of_value(value))
        }
        (Wants::Name, _) => {
            let is_name = !text.contains(['/', '\n', '\0', '\r']) && text.len() <= NAME_BYTES_MAX;
            is_name.then_some(text)
        }
        _ => Some(text),
    }
}

/// What is needed to open legs.
struct Bench {
    carrier: Vec<String>,
    files: Vec<String>,
    everything: Vec<String>,
    program: PathBuf,
    work: PathBuf,
    directory: PathBuf,
}

impl Bench {
    /// Writes what the servers have to say.
    fn set_up(peers: &Peers, program: &Path, work: &Path, said: &[Said]) -> Result<Self> {
        let directory = work.join("files");
        fs::create_dir_all(&directory)?;
        let texts: Vec<Value> = said
            .iter()
            .map(|said| json!({"text": said.text, "label": said.label, "escaped": said.encoding == Encoding::Wire}))
            .collect();
        let file = work.join("texts.json");
        fs::write(&file, json!(texts).to_string())?;
        for (at, said) in said.iter().enumerate() {
            let path = places::file(&directory, &said.place, at);
            match (said.place.server, said.place.wants) {
                (Server::Files, Wants::Name) => {
                    fs::create_dir_all(&path)?;
                    fs::write(path.join(&said.text), "")?;
                }
                (Server::Files, _) => fs::write(path, &said.text)?,
                _ => {}
            }
        }
        let word = |path: &Path| path.to_string_lossy().into_owned();
        let script = |name: &str| word(&peers.module(&format!("@modelcontextprotocol/{name}/dist/index.js")));
        let node = word(&peers.node());
        Ok(Self {
            carrier: vec![
                word(&peers.python("python")),
                word(&peers.root().join("peers/python/carrier.py")),
                word(&file),
            ],
            files: vec![node.clone(), script("server-filesystem"), word(&directory)],
            everything: vec![node, script("server-everything"), "stdio".to_owned()],
            program: program.to_owned(),
            work: work.to_owned(),
            directory,
        })
    }

    /// The carrier's command, with the file for what it hears; of the client's era, for questions pass within one alone.
    fn carrier(&self, leg: &str, era: Era) -> (Vec<String>, PathBuf) {
        let heard = self.work.join(format!("heard-{}.jsonl", leg.replace(' ', "-")));
        let mut words = self.carrier.clone();
        words.extend([heard.to_string_lossy().into_owned(), era.name().to_owned()]);
        (words, heard)
    }

    /// Without a gateway. The published servers are of the legacy era alone.
    fn direct(&self, era: Era) -> Result<Leg> {
        let name = match era {
            Era::Legacy => "direct legacy",
            Era::Modern => "direct modern",
        };
        let (carrier, heard) = self.carrier(name, era);
        let site = Site {
            carrier: self.start(name, era, &carrier)?,
            files: self.start(name, Era::Legacy, &self.files)?,
            everything: self.start(name, Era::Legacy, &self.everything)?,
            directory: self.directory.clone(),
        };
        Ok(leg(name, era, site, heard, None))
    }

    /// Each server behind a `portcullis wrap` of its own.
    fn wrap(&self, era: Era) -> Result<Leg> {
        let name = match era {
            Era::Legacy => "wrap legacy",
            Era::Modern => "wrap modern",
        };
        let (carrier, heard) = self.carrier(name, era);
        let through = |command: &[String]| self.start(name, era, &wrap_command(&self.program, command));
        let site = Site {
            carrier: through(&carrier)?,
            files: through(&self.files)?,
            everything: through(&self.everything)?,
            directory: self.directory.clone(),
        };
        Ok(leg(name, era, site, heard, None))
    }

    /// All servers behind one `portcullis up`, each at its own endpoint.
    fn up(&self, era: Era) -> Result<Leg> {
        let name = match era {
            Era::Legacy => "up legacy",
            Era::Modern => "up modern",
        };
        let (carrier, heard) = self.carrier(name, era);
        let gateway = Gateway::start_with(&self.program, &self.work, |address, state, policy| {
            let mut text = format!(
                "[listen]\naddress = \"{address}\"\n[identity]\nanonymous = \"listener\"\n[state]\ndirectory = {}\n[policy]\nfile = {}\n",
                json!(state),
                json!(policy)
            );
            for (name, command) in [
                ("carrier", &carrier),
                ("files", &self.files),
                ("everything", &self.everything),
            ] {
                text.push_str(&format!(
                    "[[upstream]]\nname = \"{name}\"\ncommand = {}\n",
                    json!(command)
                ));
            }
            text
        })?;
        let open = |endpoint: &str| Client::http(era, gateway.address(), &format!("/mcp/{endpoint}"));
        let site = Site {
            carrier: open("carrier")?,
            files: open("files")?,
            everything: open("everything")?,
            directory: self.directory.clone(),
        };
        Ok(leg(name, era, site, heard, Some(gateway)))
    }

    fn start(&self, leg: &str, era: Era, words: &[String]) -> Result<Client> {
        let log = self.work.join(format!("{}.log", leg.replace(' ', "-")));
        let state = self.work.join("state");
        Client::stdio(era, words, &log, &[("XDG_STATE_HOME", &state.to_string_lossy())])
    }
}

const fn leg(name: &'static str, era: Era, site: Site, heard: PathBuf, gateway: Option<Gateway>) -> Leg {
    Leg {
        name,
        era,
        site,
        heard,
        _gateway: gateway,
    }
}

/// What came of a leg.
#[derive(Default)]
struct Tally {
    masked: usize,
    withheld: usize,
    untouched: usize,
    /// What was heard of each look-alike.
    heard: BTreeMap<usize, Vec<Vec<u8>>>,
}

/// Has everything said and looks at what comes. Without a baseline it comes without a gateway, and every canary must be seen.
fn look(
    leg: &mut Leg,
    said: &[Said],
    baseline: Option<&BTreeMap<usize, Vec<Vec<u8>>>>,
    faults: &mut Faults,
) -> Result<Tally> {
    let mut tally = Tally::default();
    for (at, said) in said.iter().enumerate() {
        if leg.era == Era::Modern && !said.place.is_modern {
            continue;
        }
        // Questions of published servers pass within one era only.
        let heard = match leg.site.hear(&said.place, at, &said.text) {
            Ok(heard) => heard,
            Err(error) => return Err(format!("{}: {error} at {}", leg.name, said.name(at)).into()),
        };
        match &said.what {
            What::Canary(_, traces) => {
                let seen = heard.iter().find_map(|message| traces.seen_in(message));
                let all = heard.concat();
                match (seen, baseline) {
                    (None, None) => faults.add(
                        "blind",
                        &format!("{}: {} is not seen in {}", leg.name, said.name(at), short(&all)),
                    ),
                    (Some(part), Some(_)) => faults.add(
                        "leaked",
                        &format!("{}: `{part}` of {} in {}", leg.name, said.name(at), short(&all)),
                    ),
                    (None, Some(_)) if is_withheld(&heard, &said.place) => tally.withheld += 1,
                    (None, Some(_)) if heard.iter().any(|message| encode::is_marked(message)) => tally.masked += 1,
                    (None, Some(_)) => faults.add(
                        "lost",
                        &format!(
                            "{}: neither {} nor a mark of it in {}",
                            leg.name,
                            said.name(at),
                            short(&all)
                        ),
                    ),
                    (Some(_), None) => {}
                }
            }
            What::Alike(_) => {
                if let Some(before) = baseline.and_then(|baseline| baseline.get(&at)) {
                    // The published servers are of the legacy era, and tell beside an answer what they like, when they like.
                    let is_carrier = said.place.server == Server::Carrier;
                    let own = |heard: &'_ [Vec<u8>]| match is_carrier {
                        true => heard.to_vec(),
                        false => heard.last().cloned().into_iter().collect(),
                    };
                    match difference(&own(before), &own(&heard), leg.era == Era::Modern && !is_carrier) {
                        None => tally.untouched += 1,
                        Some(difference) => {
                            faults.add("altered", &format!("{}: {}: {difference}", leg.name, said.name(at)));
                        }
                    }
                }
                tally.heard.insert(at, heard);
            }
        }
    }
    if baseline.is_some() {
        let beside: Vec<u8> = leg
            .site
            .clients()
            .iter()
            .flat_map(|client| client.beside())
            .copied()
            .collect();
        for (at, said) in said.iter().enumerate() {
            if let What::Canary(canary, _) = &said.what
                && canary.values.iter().any(|value| contains(&beside, value.as_bytes()))
            {
                faults.add("leaked", &format!("{}: {} in a head", leg.name, said.name(at)));
            }
        }
    }
    Ok(tally)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}

/// Whether the gateway answered in the place of the server, or dropped news.
fn is_withheld(heard: &[Vec<u8>], place: &Place) -> bool {
    let is_news = matches!(
        place.name,
        "log" | "log of no call" | "progress" | "elicitation of no call"
    );
    is_news && heard.len() == 1 || heard.iter().any(|message| contains(message, b"withheld"))
}

fn short(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(600).collect()
}

/// What of a message is the server's own: all but ids and tokens of progress, which are of one hop.
#[derive(serde::Deserialize)]
struct Message<'a> {
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// How what came through differs from what came directly. From one era to the other only the content is the server's.
fn difference(direct: &[Vec<u8>], through: &[Vec<u8>], is_foreign: bool) -> Option<String> {
    if direct.len() != through.len() {
        return Some(format!("{} messages became {}", direct.len(), through.len()));
    }
    for (before, after) in direct.iter().zip(through) {
        let (Ok(old), Ok(new)) = (
            serde_json::from_slice::<Message<'_>>(before),
            serde_json::from_slice::<Message<'_>>(after),
        ) else {
            return Some("no message".to_owned());
        };
        let parts = [
            (old.method, new.method),
            (old.params, new.params),
            (old.result, new.result),
            (old.error, new.error),
        ];
        for (old, new) in parts {
            let is_same = match (old, new) {
                (Some(old), Some(new)) if is_foreign => content(old.get()) == content(new.get()),
                (Some(old), Some(new)) => without_token(old.get()) == without_token(new.get()),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                return Some(format!("{} became {}", short(before), short(after)));
            }
        }
    }
    None
}

/// The text with the token of progress, a number or a text, taken out.
fn without_token(text: &str) -> String {
    match text.split_once("\"progressToken\":") {
        None => text.to_owned(),
        Some((front, rest)) => {
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            format!("{front}{}", rest.get(end..).unwrap_or_default())
        }
    }
}

fn content(text: &str) -> Vec<Option<Value>> {
    let read: Value = serde_json::from_str(text).unwrap_or_default();
    let members = [
        "content",
        "structuredContent",
        "contents",
        "messages",
        "description",
        "completion",
        "isError",
    ];
    members.iter().map(|name| read.get(name).cloned()).collect()
}
