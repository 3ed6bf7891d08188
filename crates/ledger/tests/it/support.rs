//! What the tests share: records to write, a runtime to write them in, files to look at.

use portcullis_ledger::{
    CallId, Content, Decision, Durability, EffectClass, Ledger, Options, Outcome, Request, Sealed, Status, Verdict,
    VerdictKind, Who, digest,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub(crate) const ORIGIN: &str = "portcullis.local/test";

/// Small and quick, so that every threshold is crossed in a test.
pub(crate) fn options(directory: &Path) -> Options {
    Options {
        segment_bytes: 64 * 1024,
        publish_interval: Duration::from_millis(20),
        retry_interval: Duration::from_millis(20),
        ..Options::new(directory, ORIGIN)
    }
}

pub(crate) fn decision(call: CallId) -> Decision<'static> {
    Decision {
        call,
        who: Who {
            subject: "alice@example.org",
            client: "inspector",
            session: None,
        },
        request: Request {
            method: "tools/call",
            tool: "bank/balance",
            tool_definition: Some([7; 32]),
            upstream: "bank",
            protocol: "2026-07-28",
            request_id: "17",
        },
        input: Content {
            digest: digest(b"{\"account\":\"DE02\"}"),
            bytes: 18,
        },
        seen: &[],
        policy: Verdict {
            set: "starter-1",
            ids: &["permit-reads"],
            decision: VerdictKind::Allow,
            reason_code: "permitted",
            obligations: &[],
        },
        effect: EffectClass::Read,
    }
}

pub(crate) fn outcome(call: CallId) -> Outcome<'static> {
    Outcome {
        call,
        output: Some(Content {
            digest: digest(b"{\"balance\":12}"),
            bytes: 14,
        }),
        is_error: false,
        status: Status::Executed,
        reason_code: "",
        attempts: 1,
        latency_us: 812,
        news: 0,
        seen: &[],
    }
}

pub(crate) fn refusal(call: CallId) -> Outcome<'static> {
    Outcome {
        output: None,
        is_error: true,
        status: Status::Refused,
        reason_code: "no_policy_permits",
        attempts: 0,
        ..outcome(call)
    }
}

/// One read, from decision to sealed answer.
pub(crate) async fn read_call(
    ledger: &Ledger,
    durability: Durability,
) -> Result<Sealed<CallId>, portcullis_ledger::LedgerError> {
    let call = ledger.call_id();
    let intended = ledger.intend(&decision(call), Durability::Written, call).await?;
    ledger.seal(&outcome(call), durability, intended.into_inner()).await
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A closed log of `records` records or a few more.
pub(crate) fn closed_log(directory: &Path, records: u64) {
    block_on(async {
        let ledger = Ledger::open(options(directory)).unwrap();
        while ledger.progress().written + 1 < records {
            let _ = read_call(&ledger, Durability::Written).await.unwrap();
        }
        ledger.close().await.unwrap();
    });
}

/// Asks again until it is true. Panics after a minute.
pub(crate) fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_true() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// Every file below `directory`, relative.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path)
            } else {
                found.push(path.strip_prefix(directory).unwrap().to_path_buf())
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&file), target).unwrap();
    }
}

/// A small generator of numbers that are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
