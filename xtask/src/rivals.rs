//! Other detectors of secrets and personal data, installed at pinned versions, and how fast they look through the same documents. They are
//! large, so that nothing but the full form of a claim installs them. This file must not know our scanner.

use crate::child::{self, Result};
use crate::root;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What is measured: a package of `peers/detectors/requirements.txt`, or one of the ways to run it (`speed.py`).
pub(crate) const RIVALS: [&str; 8] = [
    "gitleaks",
    "credsweeper",
    "credsweeper-without-model",
    "detect-secrets",
    "cpex-secrets-detection",
    "presidio-analyzer",
    "cpex-pii-filter",
    "datafog-core",
];

/// What has no wheel: two packages that CredSweeper reads formats with.
const FROM_SOURCE: &str = "--no-binary=odfpy,twofish";

const INSTALL_LIMIT: Duration = Duration::from_secs(900);
/// One measure, with the start of what is slow to start.
const LIMIT: Duration = Duration::from_secs(300);
/// Documents are looked through for so long; the slowest take longer for one.
const SECONDS: &str = "5";

/// The Python environment with those of them that can be installed on this machine.
pub(crate) struct Rivals {
    directory: PathBuf,
}

/// Installs all of them; one that cannot be had keeps no other away. Quick when nothing changed.
///
/// # Errors
/// There is no Python.
pub(crate) fn install() -> Result<Rivals> {
    let from = root().join("peers/detectors");
    let directory = root().join("target/peers/detectors");
    let wanted = fs::read_to_string(from.join("requirements.txt"))?;
    let stamp = directory.join("installed");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        println!("installing other detectors");
        child::succeed(
            Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory),
            INSTALL_LIMIT,
        )
        .map_err(|error| format!("{error}\nhint: Python 3.10 or later with `venv` must be on the path"))?;
        let log = root().join("target/peers/detectors.log");
        let pip = |what: &[&str]| {
            let mut pip = Command::new(directory.join("bin/pip"));
            pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps"])
                .args(["--only-binary=:all:", FROM_SOURCE])
                .args(what);
            child::run(&mut pip, &log, INSTALL_LIMIT)
        };
        let all = from.join("requirements.txt").display().to_string();
        if !pip(&["-r", &all])?.success() {
            for requirement in wanted.lines().filter(|line| line.contains("==")) {
                // What is missing is said by the row of whoever needs it.
                if !pip(&[requirement])?.success() {
                    println!("`{requirement}` cannot be installed here: {}", child::tail(&log, 1));
                }
            }
        }
        fs::write(&stamp, wanted)?;
    }
    Ok(Rivals { directory })
}

impl Rivals {
    /// MB a second of user time on one core over the files of `documents`; or why there is no figure.
    pub(crate) fn speed(&self, rival: &str, documents: &Path) -> Result<f64> {
        let log = root().join("target/speed").join(format!("{rival}.log"));
        let mut command = Command::new("taskset");
        command
            .args(["-c", "0"])
            .arg(self.directory.join("bin/python"))
            .arg(root().join("peers/detectors/speed.py"))
            .args([rival.as_ref(), documents.as_os_str(), SECONDS.as_ref()])
            // None of them may start threads of its own, or ask anybody for a model.
            .envs(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"].map(|name| (name, "1")))
            .env("HF_HUB_OFFLINE", "1");
        let (status, printed) = child::read(&mut command, &log, LIMIT)?;
        if !status.success() {
            return Err(child::tail(&log, 1).into());
        }
        rate(&printed).ok_or_else(|| format!("`{rival}` said `{}`", printed.trim()).into())
    }
}

/// MB a second of what is printed: `BYTES SECONDS FINDINGS`.
fn rate(printed: &str) -> Option<f64> {
    let mut words = printed.lines().last()?.split_whitespace();
    let bytes: f64 = words.next()?.parse().ok()?;
    let seconds: f64 = words.next()?.parse().ok()?;
    (bytes > 0.0 && seconds > 0.0).then(|| bytes / seconds / 1e6)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rate_is_bytes_in_seconds() {
        assert_eq!(super::rate("noise\n3000000 1.5 7\n"), Some(2.0));
        assert_eq!(super::rate("0 1.5 7\n"), None);
        assert_eq!(super::rate("Traceback\n"), None);
    }
}
