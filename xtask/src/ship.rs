//! The program as it is published: built as a whole (link-time optimisation), and twice: the first build counts which ways its
//! work goes, the second is laid out for them. In `target/ship/`.

use crate::child::{self, Result};
use crate::root;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Each of the two builds.
const BUILD_LIMIT: Duration = Duration::from_secs(3_600);
/// The work that is counted.
const TRAIN_LIMIT: Duration = Duration::from_secs(600);

/// Builds it; where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let compiler = Compiler::ask()?;
    let merge = compiler.merger()?;
    let directory = root().join("target/ship");
    let counts = directory.join("counts");
    // Counts of an earlier build are of another program.
    if counts.exists() {
        fs::remove_dir_all(&counts)?;
    }
    fs::create_dir_all(&counts)?;
    let flag = |name: &str, path: &Path| {
        let mut flag = OsString::from(format!("-C{name}="));
        flag.push(path);
        flag
    };
    let counting = compile(&compiler, &directory, "counting", &flag("profile-generate", &counts))?;
    train(&counting, &directory)?;
    let profile = directory.join("portcullis.profdata");
    let mut command = Command::new(&merge);
    command.arg("merge").arg("-o").arg(&profile).arg(&counts);
    let log = directory.join("merge.log");
    if !child::run(&mut command, &log, TRAIN_LIMIT)?.success() {
        return Err(format!("{} failed\n{}", merge.display(), child::tail(&log, 20)).into());
    }
    // Cargo does not see that the profile of what it has built is another.
    let last = directory.join("published");
    if last.exists() {
        fs::remove_dir_all(&last)?;
    }
    let built = compile(&compiler, &directory, "published", &flag("profile-use", &profile))?;
    let program = directory.join("portcullis");
    // In one step: a gateway may run from there.
    let fresh = directory.join("portcullis.new");
    fs::copy(built, &fresh)?;
    fs::rename(&fresh, &program)?;
    Ok(program)
}

/// One build with one more flag, in a directory of its own. The target is named so that the flag is not for build scripts and
/// macros.
fn compile(compiler: &Compiler, directory: &Path, name: &str, flag: &OsString) -> Result<PathBuf> {
    let log = directory.join(format!("{name}.log"));
    let built = directory.join(name);
    let mut command = Command::new("cargo");
    command
        .args(["build", "--package", "portcullis", "--profile", "ship", "--target"])
        .arg(&compiler.host)
        .arg("--target-dir")
        .arg(&built)
        .env("CARGO_ENCODED_RUSTFLAGS", flag)
        .current_dir(root());
    match child::run(&mut command, &log, BUILD_LIMIT)?.success() {
        true => Ok(built.join(&compiler.host).join("ship/portcullis")),
        false => Err(format!("the build failed\n{}", child::tail(&log, 30)).into()),
    }
}

fn train(program: &Path, directory: &Path) -> Result<()> {
    let mut build = Command::new("cargo");
    build
        .args(["build", "--quiet", "--release", "--package", "portcullis-benches"])
        .current_dir(root());
    child::succeed(&mut build, BUILD_LIMIT)?;
    let log = directory.join("train.log");
    let mut command = Command::new(root().join("target/release/portcullis-benches"));
    command.arg("train").env("PORTCULLIS", program);
    match child::run(&mut command, &log, TRAIN_LIMIT)?.success() {
        true => Ok(()),
        false => Err(format!("the work to count failed\n{}", child::tail(&log, 20)).into()),
    }
}

/// What the compiler says of itself.
struct Compiler {
    /// The triple that it runs on.
    host: String,
    /// The major version of its LLVM, whose counts are read by no older one.
    llvm: u32,
    sysroot: PathBuf,
}

impl Compiler {
    fn ask() -> Result<Self> {
        let says = |arguments: &[&str]| -> Result<String> {
            let output = Command::new("rustc").args(arguments).current_dir(root()).output()?;
            Ok(String::from_utf8(output.stdout)?)
        };
        let sysroot = says(&["--print", "sysroot"])?.trim().into();
        Self::read(&says(&["-vV"])?, sysroot)
    }

    fn read(verbose_version: &str, sysroot: PathBuf) -> Result<Self> {
        let field = |name: &str| {
            verbose_version
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .ok_or_else(|| format!("`rustc -vV` says no `{name}`"))
        };
        let llvm = field("LLVM version")?;
        Ok(Self {
            host: field("host")?.to_owned(),
            llvm: llvm
                .split('.')
                .next()
                .and_then(|major| major.parse().ok())
                .ok_or_else(|| format!("no version: `{llvm}`"))?,
            sysroot,
        })
    }

    /// The program that makes a profile of counts: rustup's, or the system's of the same version.
    fn merger(&self) -> Result<PathBuf> {
        let found = self.mergers().into_iter().find(|program| {
            let mut command = Command::new(program);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        });
        found.ok_or_else(|| {
            format!(
                "llvm-profdata {0} is not there; hint: `rustup component add llvm-tools`, or `apt-get install llvm-{0}`",
                self.llvm
            )
            .into()
        })
    }

    fn mergers(&self) -> [PathBuf; 3] {
        let own = self
            .sysroot
            .join("lib/rustlib")
            .join(&self.host)
            .join("bin/llvm-profdata");
        let llvm = self.llvm;
        [
            own,
            format!("llvm-profdata-{llvm}").into(),
            format!("/usr/lib/llvm-{llvm}/bin/llvm-profdata").into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_names_its_host_and_its_llvm() {
        let says = "rustc 1.95.0 (59807616e 2026-04-14)\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        let compiler = Compiler::read(says, "/rust".into()).unwrap();
        assert_eq!(
            (compiler.host.as_str(), compiler.llvm),
            ("x86_64-unknown-linux-gnu", 22)
        );
        assert_eq!(
            compiler.mergers().map(|program| program.display().to_string()),
            [
                "/rust/lib/rustlib/x86_64-unknown-linux-gnu/bin/llvm-profdata",
                "llvm-profdata-22",
                "/usr/lib/llvm-22/bin/llvm-profdata"
            ]
        );
        assert!(Compiler::read("rustc 1.95.0\nhost: a\n", "/rust".into()).is_err());
    }

    #[test]
    fn a_tool_that_is_not_there_is_named_with_what_to_do() {
        let compiler = Compiler {
            host: "nowhere".to_owned(),
            llvm: 9_999,
            sysroot: "/nowhere".into(),
        };
        let error = compiler.merger().unwrap_err().to_string();
        assert!(
            error.contains("llvm-profdata 9999") && error.contains("hint:"),
            "{error}"
        );
    }
}
