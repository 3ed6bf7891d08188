//! The program as it is published: built as a whole (link-time optimisation), and twice: the first build counts which ways its
//! work goes, the second is compiled for them, and its machine code is then arranged by the same (BOLT). In `target/ship/`.

use crate::child::{self, Result};
use crate::root;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Each of the two builds.
const BUILD_LIMIT: Duration = Duration::from_secs(3_600);
/// The work that is counted.
const TRAIN_LIMIT: Duration = Duration::from_secs(600);
/// Each tool that works on what is built or counted.
const TOOL_LIMIT: Duration = Duration::from_secs(600);

/// How the machine code is arranged: what is taken together lies together, what is never taken lies apart.
const ARRANGEMENT: [&str; 5] = [
    "-reorder-blocks=ext-tsp",
    "-reorder-functions=cdsort",
    "-split-functions",
    "-split-all-cold",
    "-split-eh",
];

/// Builds it; where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let compiler = Compiler::ask()?;
    let tools = Tools::find(&compiler)?;
    let directory = root().join("target/ship");
    let (counts, moves) = (fresh(&directory, "counts")?, fresh(&directory, "moves")?);
    let work = fresh(&directory, "work")?;
    let counting = compile(
        &compiler,
        &directory,
        "counting",
        &[flag("-Cprofile-generate=", &counts)],
    )?;
    train(&counting, &directory, &work.join("counting"))?;
    let profile = directory.join("portcullis.profdata");
    let merge = [OsStr::new("merge"), "-o".as_ref(), profile.as_ref(), counts.as_ref()];
    tools.run("llvm-profdata", &merge, &directory)?;
    // Cargo does not see that the profile of what it has built is another.
    let last = directory.join("published");
    if last.exists() {
        fs::remove_dir_all(&last)?;
    }
    // What moves code must know what refers to it.
    let flags = [flag("-Cprofile-use=", &profile), "-Clink-arg=-Wl,--emit-relocs".into()];
    let built = compile(&compiler, &directory, "published", &flags)?;
    let arranged = arrange(&tools, &built, &directory, &moves, &work.join("arranging"))?;
    let program = directory.join("portcullis");
    // In one step: a gateway may run from there.
    fs::rename(&arranged, &program)?;
    Ok(program)
}

/// The program `built` with its machine code arranged by what is counted in it once more, now by instruction.
fn arrange(tools: &Tools, built: &Path, directory: &Path, moves: &Path, work: &Path) -> Result<PathBuf> {
    let counting = moves.join("portcullis");
    // One file for each process.
    let to = flag("--instrumentation-file=", &moves.join("counts"));
    let instrument = [
        built.as_ref(),
        "-instrument".as_ref(),
        to.as_os_str(),
        "--instrumentation-file-append-pid".as_ref(),
        "-o".as_ref(),
        counting.as_ref(),
    ];
    tools.run("llvm-bolt", &instrument, directory)?;
    train(&counting, directory, work)?;
    fs::remove_file(&counting)?;
    let profile = directory.join("portcullis.fdata");
    let mut counts: Vec<OsString> = vec!["-o".into(), profile.clone().into()];
    for entry in fs::read_dir(moves)? {
        counts.push(entry?.path().into());
    }
    tools.run("merge-fdata", &counts, directory)?;
    let arranged = directory.join("portcullis.new");
    let data = flag("-data=", &profile);
    let mut arguments = vec![built.as_os_str(), &data, "-o".as_ref(), arranged.as_ref()];
    arguments.extend(ARRANGEMENT.map(OsStr::new));
    tools.run("llvm-bolt", &arguments, directory)?;
    Ok(arranged)
}

/// An empty directory `name` in `directory`: counts of an earlier build are of another program.
fn fresh(directory: &Path, name: &str) -> Result<PathBuf> {
    let fresh = directory.join(name);
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh)?;
    Ok(fresh)
}

/// `name` and `path` in one.
fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(path);
    flag
}

/// One build with more flags, in a directory of its own. The target is named so that the flags are not for build scripts and
/// macros.
fn compile(compiler: &Compiler, directory: &Path, name: &str, flags: &[OsString]) -> Result<PathBuf> {
    let log = directory.join(format!("{name}.log"));
    let built = directory.join(name);
    let mut command = Command::new("cargo");
    command
        .args(["build", "--package", "portcullis", "--profile", "ship", "--target"])
        .arg(&compiler.host)
        .arg("--target-dir")
        .arg(&built)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\u{1f}")))
        .current_dir(root());
    match child::run(&mut command, &log, BUILD_LIMIT)?.success() {
        true => Ok(built.join(&compiler.host).join("ship/portcullis")),
        false => Err(format!("the build failed\n{}", child::tail(&log, 30)).into()),
    }
}

/// Lets `program` work, in a directory that stays until the next time: see the bench.
fn train(program: &Path, directory: &Path, work: &Path) -> Result<()> {
    let mut build = Command::new("cargo");
    build
        .args(["build", "--quiet", "--release", "--package", "portcullis-benches"])
        .current_dir(root());
    child::succeed(&mut build, BUILD_LIMIT)?;
    let log = directory.join("train.log");
    let mut command = Command::new(root().join("target/release/portcullis-benches"));
    command.arg("train").arg(work).env("PORTCULLIS", program);
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

    /// Where LLVM's program `name` may be: rustup's, or the system's of the same version. By its own path first: BOLT looks for
    /// the library that it puts into programs beside the path by which it is called.
    fn places(&self, name: &str) -> [PathBuf; 3] {
        let own = self.sysroot.join("lib/rustlib").join(&self.host).join("bin").join(name);
        let llvm = self.llvm;
        [
            own,
            format!("/usr/lib/llvm-{llvm}/bin/{name}").into(),
            format!("{name}-{llvm}").into(),
        ]
    }
}

/// LLVM's programs that turn counts into a better program, each of the compiler's LLVM version.
struct Tools(Vec<(&'static str, PathBuf)>);

/// Their names, and what installs them.
const TOOLS: [(&str, &str); 3] = [
    (
        "llvm-profdata",
        "`rustup component add llvm-tools`, or `apt-get install llvm-{}`",
    ),
    ("llvm-bolt", "`apt-get install bolt-{} libbolt-{}-dev`"),
    ("merge-fdata", "`apt-get install bolt-{}`"),
];

impl Tools {
    /// All of them, before a quarter of an hour is spent on the first.
    fn find(compiler: &Compiler) -> Result<Self> {
        let found = TOOLS.map(|(name, hint)| {
            let program = compiler.places(name).into_iter().find(|program| {
                let mut command = Command::new(program);
                command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            });
            let version = compiler.llvm.to_string();
            let missing = || format!("{name} {version} is not there; hint: {}", hint.replace("{}", &version));
            program.map(|program| (name, program)).ok_or_else(missing)
        });
        Ok(Self(found.into_iter().collect::<std::result::Result<_, _>>()?))
    }

    /// Runs one of them, which leaves what it says in a file of its name.
    fn run(&self, name: &str, arguments: &[impl AsRef<OsStr>], directory: &Path) -> Result<()> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        let (_, program) = found.ok_or_else(|| format!("`{name}` is none of the tools"))?;
        let log = directory.join(format!("{name}.log"));
        match child::run(Command::new(program).args(arguments), &log, TOOL_LIMIT)?.success() {
            true => Ok(()),
            false => Err(format!("{} failed\n{}", program.display(), child::tail(&log, 20)).into()),
        }
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
            compiler
                .places("llvm-bolt")
                .map(|program| program.display().to_string()),
            [
                "/rust/lib/rustlib/x86_64-unknown-linux-gnu/bin/llvm-bolt",
                "/usr/lib/llvm-22/bin/llvm-bolt",
                "llvm-bolt-22"
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
        let error = Tools::find(&compiler).err().unwrap().to_string();
        assert!(
            error.contains("llvm-profdata 9999") && error.contains("hint: ") && error.contains("llvm-9999"),
            "{error}"
        );
    }
}
