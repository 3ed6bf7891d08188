//! The compile-fail suite: each file of `crates/gateway/breakages/` is one way to break the order of the stages, applied to a
//! copy of the tree. The compiler must refuse it, with the error and at the place that the file names.

use crate::child::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

/// One breakage, as its file says.
struct Breakage {
    name: String,
    file: String,
    edits: Vec<(String, String)>,
    error: String,
    at: String,
}

/// Breaks the copy once for each file and asks the compiler. Returns how many it refused, all.
///
/// # Errors
/// The first breakage that compiles, or that is refused for another reason.
pub(crate) fn check(root: &Path) -> Result<usize> {
    let copy = root.join("target/breakages");
    let source = copy.join("tree");
    copy_tree(root, &source)?;
    let breakages = read(&root.join("crates/gateway/breakages"))?;
    // The whole copy compiles unbroken, or every refusal below would prove nothing.
    let (ok, output) = compile(&source, &copy)?;
    if !ok {
        return Err(format!("the unbroken copy does not compile:\n{output}").into());
    }
    for breakage in &breakages {
        let path = source.join("crates").join(&breakage.file);
        let whole = fs::read_to_string(&path)?;
        let mut broken = whole.clone();
        for (find, replace) in &breakage.edits {
            if broken.matches(find.as_str()).count() != 1 {
                return Err(format!(
                    "{}: the text to break is not in {} exactly once:\n{find}",
                    breakage.name, breakage.file
                )
                .into());
            }
            broken = broken.replace(find.as_str(), replace);
        }
        fs::write(&path, &broken)?;
        let (ok, output) = compile(&source, &copy)?;
        fs::write(&path, &whole)?;
        if ok {
            return Err(format!("{}: it compiles", breakage.name).into());
        }
        let line = broken
            .lines()
            .position(|line| line.contains(&breakage.at))
            .map(|at| at + 1);
        let Some(line) = line else {
            return Err(format!("{}: no line has `{}`", breakage.name, breakage.at).into());
        };
        let wanted = format!("{}:{line}:", breakage.file);
        let refused = output
            .lines()
            .any(|found| found.contains(&wanted) && found.contains(&format!("error[{}]", breakage.error)));
        if !refused {
            return Err(format!(
                "{}: expected {} at {wanted}, the compiler says:\n{output}",
                breakage.name, breakage.error
            )
            .into());
        }
    }
    Ok(breakages.len())
}

/// One line for each error: `crates/file:line:column: error[CODE]: message`.
fn compile(source: &Path, copy: &Path) -> Result<(bool, String)> {
    let output = Command::new("cargo")
        .args([
            "check",
            "--quiet",
            "--offline",
            "-p",
            "portcullis-gateway",
            "--message-format",
            "short",
        ])
        .current_dir(source)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .output()?;
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

fn copy_tree(root: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to.join("crates"))?;
    for name in ["Cargo.lock", "clippy.toml"] {
        fs::copy(root.join(name), to.join(name))?;
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    // Only the crates that the pipeline stands on, and the one that their tests do, which cargo wants to see.
    let crates = ["wire", "guards", "store", "ledger", "transport", "gateway", "testkit"];
    let members = crates.map(|name| format!("\"crates/{name}\"")).join(", ");
    let manifest = manifest
        .lines()
        .filter(|line| !line.starts_with("default-members"))
        .map(|line| match line.starts_with("members = ") {
            true => format!("members = [{members}]"),
            false => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n");
    fs::write(to.join("Cargo.toml"), manifest)?;
    for name in crates {
        // The rules of the detectors are compiled in.
        for part in ["Cargo.toml", "src", "rules"] {
            let from = root.join("crates").join(name).join(part);
            if !from.exists() && part == "rules" {
                continue;
            }
            fs::create_dir_all(to.join("crates").join(name))?;
            let status = Command::new("cp")
                .arg("-rp")
                .arg(from)
                .arg(to.join("crates").join(name))
                .status()?;
            if !status.success() {
                return Err(format!("crates/{name}/{part} cannot be copied").into());
            }
        }
    }
    Ok(())
}

fn read(directory: &Path) -> Result<Vec<Breakage>> {
    let mut paths: Vec<_> = fs::read_dir(directory)?
        .collect::<std::io::Result<Vec<_>>>()?
        .into_iter()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            parse(
                &path.file_stem().unwrap_or_default().to_string_lossy(),
                &fs::read_to_string(path)?,
            )
        })
        .collect()
}

/// `file: PATH`, then pairs of `--- find` and `--- replace`, then `--- error`, `CODE`, and text of the line it is at.
fn parse(name: &str, text: &str) -> Result<Breakage> {
    let mut breakage = Breakage {
        name: name.to_owned(),
        file: String::new(),
        edits: Vec::new(),
        error: String::new(),
        at: String::new(),
    };
    let mut find = String::new();
    for (index, section) in text.split("\n--- ").enumerate() {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let body = body.strip_suffix('\n').unwrap_or(body);
        match (index, head) {
            (0, _) => {
                let file = section.lines().find_map(|line| line.strip_prefix("file: "));
                breakage.file = file.ok_or_else(|| format!("{name}: no `file:`"))?.to_owned();
            }
            (_, "find") => find = body.to_owned(),
            (_, "replace") => breakage.edits.push((std::mem::take(&mut find), body.to_owned())),
            (_, "error") => {
                let (code, at) = body
                    .split_once('\n')
                    .ok_or_else(|| format!("{name}: `error` wants a code and a line"))?;
                breakage.error = code.to_owned();
                breakage.at = at.trim().to_owned();
            }
            _ => return Err(format!("{name}: unknown section `{head}`").into()),
        }
    }
    match breakage.edits.is_empty() || breakage.error.is_empty() {
        true => Err(format!("{name}: nothing to break, or no error expected").into()),
        false => Ok(breakage),
    }
}
