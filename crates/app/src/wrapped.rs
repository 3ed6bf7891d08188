//! Which server a command of `wrap` runs, and what it is called. Policies, state and records hang on the name, so that two
//! servers never share one, and one server keeps its own when its version or its arguments change. It starts nothing.

use crate::config::name::{NAME_BYTES_MAX, Name};
use crate::failure::Failure;
use portcullis_store::files;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// Letters of the digest that tell two servers of one name apart.
const SUFFIX_CHARS: usize = 6;
/// The file in a server's directory that says which server has the name: SHA-256 of what tells it, in hex.
const MARK: &str = "server.sha256";
/// How deep a command may stand in another (`env`, `uv run python`).
const DEPTH_MAX: usize = 4;

/// Words that tell no server from another: of many, they name the place of the program within its package.
const GENERIC: [&str; 36] = [
    "__main__",
    "app",
    "bin",
    "build",
    "cjs",
    "cli",
    "code",
    "debug",
    "dist",
    "esm",
    "home",
    "index",
    "js",
    "lib",
    "local",
    "main",
    "mcp",
    "mcp-server",
    "mjs",
    "mod",
    "node_modules",
    "opt",
    "out",
    "package",
    "packages",
    "release",
    "run",
    "sbin",
    "scripts",
    "server",
    "src",
    "start",
    "stdio",
    "target",
    "usr",
    "venv",
];

/// A server as its command tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// What it is called as long as no other server is.
    plain: String,
    /// What makes it another server than others.
    identity: String,
}

impl Server {
    /// The server that `command` runs in `directory`.
    pub(crate) fn of(command: &[String], directory: &Path) -> Self {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        told(&words, directory, 0)
    }

    fn new(name: &str, identity: impl Into<String>) -> Self {
        Self {
            plain: slug(name, NAME_BYTES_MAX),
            identity: identity.into(),
        }
    }

    /// What it is called where another server has the plain name: the same, and the beginning of a digest.
    fn in_full(&self) -> String {
        let mark = self.mark();
        let suffix = mark.get(..SUFFIX_CHARS).unwrap_or_default();
        format!("{}-{suffix}", slug(&self.plain, NAME_BYTES_MAX - SUFFIX_CHARS - 1))
    }

    /// A digest and not the words: some of them may be secret.
    fn mark(&self) -> String {
        portcullis_ledger::digest(self.identity.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Its name under `wraps`, where each name has a directory. With `takes`, the name becomes its own.
    ///
    /// # Errors
    /// The directory cannot be used, or both names are others' (one in sixteen million).
    pub(crate) fn name(&self, wraps: &Path, takes: bool) -> Result<Name, Failure> {
        let mark = self.mark();
        let names = [self.plain.clone(), self.in_full()];
        let owners = names.each_ref().map(|name| owner(&wraps.join(name)));
        let own = owners.iter().position(|owner| owner.as_deref() == Some(mark.as_str()));
        let mut order: Vec<usize> = own.into_iter().chain([0, 1]).collect();
        order.dedup();
        for name in order.into_iter().filter_map(|place| names.get(place)) {
            let directory = wraps.join(name);
            let is_own = match takes {
                true => take(&directory, &mark)?,
                false => owner(&directory).is_none_or(|owner| owner == mark),
            };
            if is_own {
                return name.parse().map_err(Failure::usage);
            }
        }
        Err(Failure::usage(format!(
            "`{}` and `{}` are names of other servers already, hint: choose one with `--name NAME`",
            self.plain,
            self.in_full()
        )))
    }

    /// Takes `name`, which somebody chose, unless it is another server's: then the two share it, as they are told to.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub(crate) fn take_chosen(&self, wraps: &Path, name: &Name) -> Result<(), Failure> {
        take(&wraps.join(name.as_str()), &self.mark()).map(drop)
    }
}

fn owner(directory: &Path) -> Option<String> {
    let mark = files::read_limited(&directory.join(MARK), 128).ok()?;
    Some(String::from_utf8_lossy(&mark).trim().to_owned())
}

/// Marks `directory`, whole or not at all; whether it is ours now. Of two that start at once one is first.
fn take(directory: &Path, mark: &str) -> Result<bool, Failure> {
    let cannot = |error: io::Error| Failure::cannot(format!("state directory `{}`: {error}", directory.display()));
    if let Some(owner) = owner(directory) {
        return Ok(owner == mark);
    }
    if let Some(parent) = directory.parent() {
        files::create_private_directory(parent).map_err(cannot)?;
    }
    files::create_private_directory(directory).map_err(cannot)?;
    let scratch = directory.join(format!("{MARK}.{}", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&scratch)?;
        file.write_all(format!("{mark}\n").as_bytes())?;
        file.sync_all()?;
        std::fs::hard_link(&scratch, directory.join(MARK))
    };
    let written = write();
    // Of no use any more, whatever came of it.
    let _ = std::fs::remove_file(&scratch);
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(owner(directory).as_deref() == Some(mark)),
        Err(error) => Err(cannot(error)),
    }
}

fn told(words: &[&str], directory: &Path, depth: usize) -> Server {
    let Some((program, rest)) = words.split_first().filter(|_| depth < DEPTH_MAX) else {
        return Server::new("server", line(words));
    };
    let runner = program.rsplit('/').next().unwrap_or(program);
    match (runner, rest.first().copied()) {
        ("env", _) => {
            let (_, rest) = options(rest, &["-u", "--unset", "-C", "--chdir"]);
            let command: Vec<&str> = rest.iter().copied().skip_while(|word| word.contains('=')).collect();
            told(&command, directory, depth + 1)
        }
        ("npx" | "bunx" | "pnpx", _) => npm(rest),
        ("npm", Some("exec" | "x")) | ("pnpm" | "yarn", Some("dlx")) | ("bun", Some("x")) => npm(tail(rest)),
        ("uvx", _) => pypi(rest),
        ("pipx", Some("run")) => pypi(tail(rest)),
        ("uv", _) => uv(rest, directory, depth),
        ("docker" | "podman" | "nerdctl", Some("run")) => image(program, tail(rest)),
        ("npm" | "pnpm" | "yarn" | "cargo" | "go" | "make" | "just" | "poetry" | "hatch" | "pdm" | "pixi", _) => {
            project(words, directory)
        }
        _ if is_interpreter(runner) => script(words, directory),
        // What they run is somewhere in their arguments, or on another machine.
        (
            "docker" | "podman" | "nerdctl" | "ssh" | "kubectl" | "sudo" | "nice" | "nohup" | "timeout" | "nix"
            | "mise" | "conda" | "wsl" | "cmd" | "op" | "doppler" | "flatpak" | "snap",
            _,
        ) => Server::new(runner, line(words)),
        _ if program.contains('/') => at_path(&directory.join(program)),
        _ => Server::new(program, format!("program {program}")),
    }
}

fn tail<'a, 'w>(words: &'a [&'w str]) -> &'a [&'w str] {
    words.get(1..).unwrap_or_default()
}

/// All words, each with its length, so that no two lines read the same.
fn line(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{}:{word}", word.len())).collect();
    format!("line {}", words.join(" "))
}

fn is_interpreter(runner: &str) -> bool {
    let bare = runner.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    matches!(
        bare,
        "node"
            | "nodejs"
            | "deno"
            | "bun"
            | "tsx"
            | "ts-node"
            | "python"
            | "pypy"
            | "ruby"
            | "perl"
            | "php"
            | "java"
            | "dotnet"
    ) || matches!(bare, "sh" | "bash" | "dash" | "zsh" | "fish")
}

/// The options of `words` that stand before its first other word, each with its value if it is one of `valued`; then that
/// word and what follows.
fn options<'a, 'w>(words: &'a [&'w str], valued: &[&str]) -> (Vec<(&'w str, Option<&'w str>)>, &'a [&'w str]) {
    let mut options = Vec::new();
    let mut rest = words;
    while let Some((word, after)) = rest
        .split_first()
        .filter(|(word, _)| word.starts_with('-') && word.len() > 1)
    {
        rest = after;
        if *word == "--" {
            break;
        }
        match (word.split_once('='), valued.contains(word)) {
            (Some((name, value)), _) => options.push((name, Some(value))),
            (None, true) => {
                options.push((word, rest.first().copied()));
                rest = tail(rest);
            }
            (None, false) => options.push((word, None)),
        }
    }
    (options, rest)
}

/// The values of the options `names`.
fn values<'w>(options: &[(&'w str, Option<&'w str>)], names: &[&str]) -> Vec<&'w str> {
    options
        .iter()
        .filter(|(name, _)| names.contains(name))
        .filter_map(|(_, value)| *value)
        .collect()
}

/// A package of npm: the name without its version, and without the scope of the protocol's own servers.
fn npm(words: &[&str]) -> Server {
    let (options, rest) = options(
        words,
        &["-p", "--package", "-c", "--call", "--registry", "-w", "--workspace"],
    );
    let packages = values(&options, &["-p", "--package"]);
    let Some(word) = rest.first() else {
        return match (values(&options, &["-c", "--call"]).is_empty(), packages.first()) {
            (true, Some(package)) => Server::new(&npm_name(package), format!("npm {}", npm_package(package))),
            _ => Server::new("npx", line(words)),
        };
    };
    let from: Vec<&str> = packages.iter().map(|package| npm_package(package)).collect();
    Server::new(
        &npm_name(word),
        ["npm", npm_package(word)]
            .into_iter()
            .chain(from)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// `@scope/name@1.2` and `name@1.2` without the version.
fn npm_package(word: &str) -> &str {
    match word.rfind('@') {
        Some(at) if at > 0 && !word.contains("://") => word.get(..at).unwrap_or(word),
        _ => word,
    }
}

fn npm_name(word: &str) -> String {
    let package = npm_package(word);
    match package.strip_prefix('@').and_then(|scoped| scoped.split_once('/')) {
        Some((scope, name)) if is_generic(name) && scope != "modelcontextprotocol" => format!("{scope}-{name}"),
        Some((_, name)) => name.to_owned(),
        None => source_name(package).to_owned(),
    }
}

/// A package of PyPI, or the program that is taken `--from` one.
fn pypi(words: &[&str]) -> Server {
    let valued = [
        "--from",
        "--with",
        "--with-editable",
        "--with-requirements",
        "-p",
        "--python",
        "-i",
        "--index-url",
        "--index",
        "--default-index",
        "--extra-index-url",
        "-f",
        "--find-links",
        "-c",
        "--constraints",
        "--spec",
        "--env-file",
        "--directory",
        "--project",
        "--cache-dir",
        "--config-file",
    ];
    let (options, rest) = options(words, &valued);
    let Some(word) = rest.first() else {
        return Server::new("uvx", line(words));
    };
    let own = |word| pypi_package(word);
    let from = values(&options, &["--from", "--spec"]).into_iter().map(own);
    Server::new(
        source_name(own(word)),
        ["pypi", own(word)]
            .into_iter()
            .chain(from)
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// `name[extra]==1.2` and `name@latest` without all but the name; a source that is a URL as it stands.
fn pypi_package(word: &str) -> &str {
    match word.contains("://") {
        true => word,
        false => word
            .split(['[', '=', '<', '>', '!', '~', '@', ';', ' '])
            .next()
            .unwrap_or(word),
    }
}

/// The last part of a source such as `git+https://host/user/repository.git@v1` or `github:user/repository#main`.
fn source_name(source: &str) -> &str {
    let bare = source.split(['#', '?']).next().unwrap_or(source);
    let last = bare.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(bare);
    let last = match last.rfind('@') {
        Some(at) if at > 0 => last.get(..at).unwrap_or(last),
        _ => last,
    };
    let last = last.strip_suffix(".git").unwrap_or(last);
    last.strip_suffix(".tgz").unwrap_or(last)
}

/// `uv tool run` is `uvx`; `uv run` runs something within a project.
fn uv(words: &[&str], directory: &Path, depth: usize) -> Server {
    let valued = [
        "--directory",
        "--project",
        "--with",
        "--with-editable",
        "--with-requirements",
        "-p",
        "--python",
        "--extra",
        "--group",
        "--package",
        "--env-file",
        "--index-url",
        "--index",
        "--default-index",
        "--extra-index-url",
        "--cache-dir",
        "--config-file",
        "-m",
        "--module",
    ];
    let (before, rest) = options(words, &valued);
    match rest {
        ["tool", "run", rest @ ..] => pypi(rest),
        ["run", rest @ ..] => {
            let (after, rest) = options(rest, &valued);
            let all: Vec<_> = before.into_iter().chain(after).collect();
            let project = values(&all, &["--directory", "--project"])
                .into_iter()
                .fold(directory.to_owned(), |at, next| at.join(next));
            let module = values(&all, &["-m", "--module"]).into_iter().next();
            match (module, rest.first()) {
                (Some(module), _) => Server::new(module, format!("module {module} in {}", project.display())),
                (None, Some(word)) if word.ends_with(".py") || word.contains('/') => at_path(&project.join(word)),
                (None, Some(word)) if is_interpreter(word) => told(rest, &project, depth + 1),
                (None, Some(word)) => {
                    let place = project.join(word);
                    match is_generic(word) {
                        true => at_path(&place),
                        false => Server::new(word, format!("program {word} in {}", normal(&project).display())),
                    }
                }
                (None, None) => Server::new("uv", line(words)),
            }
        }
        _ => Server::new("uv", line(words)),
    }
}

/// An image, without registry, tag and digest in its name, and without tag and digest in what tells it.
fn image(program: &str, words: &[&str]) -> Server {
    let valued = [
        "-e",
        "--env",
        "--env-file",
        "-v",
        "--volume",
        "--mount",
        "--name",
        "--network",
        "--net",
        "-p",
        "--publish",
        "-w",
        "--workdir",
        "-u",
        "--user",
        "--entrypoint",
        "--add-host",
        "-l",
        "--label",
        "--platform",
        "--pull",
        "-m",
        "--memory",
        "--cpus",
        "--gpus",
        "-h",
        "--hostname",
        "--device",
        "--ipc",
        "--log-driver",
        "--log-opt",
        "--restart",
        "--ulimit",
        "--shm-size",
        "--tmpfs",
        "--cap-add",
        "--cap-drop",
        "--security-opt",
        "--dns",
        "--userns",
        "--pid",
        "--runtime",
        "--pids-limit",
        "--stop-timeout",
        "--volumes-from",
        "--group-add",
        "--link",
        "--expose",
        "--cidfile",
    ];
    let (options, rest) = options(words, &valued);
    let Some(image) = rest.first() else {
        return Server::new(program, line(words));
    };
    let image = image.split('@').next().unwrap_or(image);
    let image = match image.rfind(':') {
        // Before a slash it is the port of a registry.
        Some(colon) if image.get(colon..).is_some_and(|tag| !tag.contains('/')) => image.get(..colon).unwrap_or(image),
        _ => image,
    };
    // Such an image runs what its arguments say.
    let entry = values(&options, &["--entrypoint"]);
    let last = image.rsplit('/').next().unwrap_or(image);
    let is_bare = is_interpreter(last) || matches!(last, "alpine" | "busybox" | "debian" | "ubuntu" | "uv");
    match is_bare || !entry.is_empty() {
        true => Server::new(last, line(words)),
        false => Server::new(&placed(&Path::new("/").join(image)), format!("image {image}")),
    }
}

/// What a tool of projects runs is told by where it is called and how.
fn project(words: &[&str], directory: &Path) -> Server {
    let names = [
        "--prefix",
        "-C",
        "--dir",
        "--cwd",
        "--directory",
        "--manifest-path",
        "--project",
    ];
    let place = words
        .iter()
        .zip(words.iter().skip(1).map(Some).chain([None]))
        .find_map(|(word, next)| match word.split_once('=') {
            Some((name, value)) if names.contains(&name) => Some(value),
            _ if names.contains(word) => next.copied(),
            _ => None,
        });
    let place = normal(&place.map_or_else(|| directory.to_owned(), |place| directory.join(place)));
    let place = match place.file_name().and_then(|name| name.to_str()) {
        Some("Cargo.toml" | "package.json") => place.parent().map_or_else(PathBuf::new, Path::to_owned),
        _ => place,
    };
    Server::new(&placed(&place), format!("{} in {}", line(words), place.display()))
}

/// What an interpreter runs: a module, an archive, a package by its specifier, or a script.
fn script(words: &[&str], directory: &Path) -> Server {
    let (program, rest) = words
        .split_first()
        .map_or(("", words), |(program, rest)| (*program, rest));
    let runner = program.rsplit('/').next().unwrap_or(program);
    let valued: &[&str] = match runner {
        _ if runner.starts_with("python") || runner.starts_with("pypy") => &["-m", "-X", "-W", "-c"],
        "node" | "nodejs" | "tsx" | "ts-node" => &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "-e",
            "--eval",
            "-p",
            "--print",
        ],
        "java" => &[
            "-jar",
            "-cp",
            "-classpath",
            "--class-path",
            "-p",
            "--module-path",
            "-m",
            "--module",
        ],
        "deno" => &["--config", "-c", "--import-map", "--lock", "--env-file"],
        _ => &["-c", "-e", "-r", "-I", "-o", "-O"],
    };
    let (options, rest) = options(rest, valued);
    let rest = match rest {
        ["run" | "watch" | "exec", after @ ..] => self::options(after, valued).1,
        rest => rest,
    };
    if let Some(archive) = values(&options, &["-jar"]).first() {
        return at_path(&directory.join(archive));
    }
    let module = values(&options, &["-m", "--module"]);
    if let Some(module) = module.first() {
        return Server::new(&module_name(module), format!("module {module}"));
    }
    let text = ["-c", "-e", "--eval", "-p", "--print"];
    match rest.first() {
        Some(word) if !options.iter().any(|(name, _)| text.contains(name) && runner != "deno") => {
            match word.split_once(':') {
                Some(("npm" | "jsr", package)) => npm(&[package]),
                Some((_, address)) if address.starts_with("//") => {
                    Server::new(&placed(Path::new(address)), format!("url {word}"))
                }
                _ => at_path(&directory.join(word)),
            }
        }
        _ => Server::new(runner, line(words)),
    }
}

/// `mcp_server_git.server` is told by its first part that is not generic.
fn module_name(module: &str) -> String {
    let mut parts = module.split('.');
    parts.rfind(|part| !is_generic(part)).unwrap_or(module).to_owned()
}

fn at_path(path: &Path) -> Server {
    let path = normal(path);
    Server::new(&placed(&path), format!("path {}", path.display()))
}

/// Without `.` and `..`, by the words alone: what stands there may change, or be a link.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// The last part of a path that says more than where in its package a program is.
fn placed(path: &Path) -> String {
    let parts: Vec<&str> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    let stem = |part: &str| match part.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => part.to_owned(),
    };
    let telling = parts
        .iter()
        .rev()
        .find(|part| !is_generic(&stem(part)) && !part.starts_with('.'));
    telling.or(parts.last()).copied().unwrap_or("server").to_owned()
}

fn is_generic(word: &str) -> bool {
    let word = word.to_ascii_lowercase().replace('_', "-");
    GENERIC.contains(&word.as_str()) || word == "--main--"
}

/// A name made of a word, of at most `bytes_max` bytes: `Some_Server.py` becomes `some-server-py`.
fn slug(word: &str, bytes_max: usize) -> String {
    let text: String = word
        .trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => c,
            _ => '-',
        })
        .take(bytes_max)
        .collect();
    match text.trim_matches('-') {
        "" => "server".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(command: &str) -> Server {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        Server::of(&words, Path::new("/home/me/weather"))
    }

    #[test]
    fn real_commands_have_names_that_tell_them() {
        let wrong: Vec<String> = [
            ("npx -y @modelcontextprotocol/server-filesystem /x", "server-filesystem"),
            (
                "npx -y @modelcontextprotocol/server-filesystem@2025.8.21 /x",
                "server-filesystem",
            ),
            ("npx @playwright/mcp@latest", "playwright-mcp"),
            ("npx -y @upstash/context7-mcp --api-key X", "context7-mcp"),
            ("npx -y -p @scope/tools some-server", "some-server"),
            (
                "npx --package=mcp-remote mcp-remote https://a.example/mcp",
                "mcp-remote",
            ),
            ("npx -y github:me/notes-server#main", "notes-server"),
            ("npm exec -- some-server@1.2", "some-server"),
            ("pnpm dlx some-server", "some-server"),
            ("bunx some-server", "some-server"),
            ("uvx mcp-server-git", "mcp-server-git"),
            ("uvx mcp-server-git==1.2 --repository /r", "mcp-server-git"),
            ("uvx --python 3.12 mcp-server-time[tz]@latest", "mcp-server-time"),
            (
                "uvx --from git+https://git.example/me/serena serena start-mcp-server",
                "serena",
            ),
            ("uvx git+https://git.example/me/notes.git@v1", "notes"),
            ("pipx run mcp-server-git", "mcp-server-git"),
            ("uv tool run mcp-server-git", "mcp-server-git"),
            ("uv --directory /srv/tides run server.py", "tides"),
            ("uv run --directory /srv/tides tides-mcp", "tides-mcp"),
            ("uv run server.py", "weather"),
            ("uv run --with mcp python -m tides.server", "tides"),
            ("node /a/dist/index.js", "a"),
            ("node /b/dist/index.js", "b"),
            ("node --require ./x.js build/index.js", "weather"),
            (
                "/usr/bin/node /srv/node_modules/@acme/ledger-mcp/dist/index.js",
                "ledger-mcp",
            ),
            ("python -m mcp_server_fetch", "mcp-server-fetch"),
            ("python3.12 -X utf8 -m tides.server", "tides"),
            ("python /home/me/tides.py", "tides-py"),
            ("/srv/tides/.venv/bin/python /srv/tides/src/server.py", "tides"),
            ("python server.py", "weather"),
            ("bun run /srv/notes/index.ts", "notes"),
            ("deno run -A npm:@acme/notes@1", "notes"),
            ("deno run --allow-net https://a.example/notes/mod.ts", "notes"),
            ("java -jar /opt/tides/tides-mcp.jar", "tides-mcp-jar"),
            ("docker run -i --rm img", "img"),
            (
                "docker run -i --rm -e TOKEN -v /a:/b ghcr.io/github/github-mcp-server:1.2 stdio",
                "github-mcp-server",
            ),
            ("docker run --rm -i --env=A=b mcp/git@sha256:00", "git"),
            ("docker run -i registry.example:5000/acme/mcp", "acme"),
            ("npm --prefix /srv/notes run start", "notes"),
            ("cargo run --quiet", "weather"),
            ("cargo run --manifest-path /srv/notes/Cargo.toml", "notes"),
            ("mcp-server-git --repository /r", "mcp-server-git"),
            ("/usr/bin/Some_Server.py", "some-server-py"),
            ("/srv/notes/target/release/server", "notes"),
            ("./server", "weather"),
            ("env TOKEN=x npx -y some-server", "some-server"),
            ("sh -c script", "sh"),
            ("ssh host mcp", "ssh"),
            ("\u{e9}", "server"),
            ("/usr/bin/server", "server"),
        ]
        .into_iter()
        .filter(|(command, name)| server(command).plain != *name)
        .map(|(command, name)| format!("{command}: {} and not {name}", server(command).plain))
        .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// What is the same server, and what is another though its plain name is the same.
    #[test]
    fn versions_and_arguments_make_no_other_server_and_places_do() {
        for (one, other, same) in [
            (
                "npx -y @modelcontextprotocol/server-filesystem /x",
                "npx @modelcontextprotocol/server-filesystem@2 /y",
                true,
            ),
            ("npx some-server --token a", "bunx some-server --token b", true),
            ("docker run -i --rm img:1 a", "docker run -i -e B=c img:2", true),
            ("uvx a==1", "uvx a==2 --x", true),
            (
                "node /a/dist/index.js /x",
                "/usr/bin/node /a/./lib/../dist/index.js",
                true,
            ),
            ("npx @a/notes", "npx @b/notes", false),
            ("npx notes", "uvx notes", false),
            ("uvx --from a notes", "uvx --from b notes", false),
            ("node /a/dist/index.js", "node /a/build/index.js", false),
            ("node /x/a/dist/index.js", "node /y/a/dist/index.js", false),
            ("docker run -i a.example/img", "docker run -i b.example/img", false),
            ("docker run -i node:22 npx a", "docker run -i node:22 npx b", false),
            ("docker run --entrypoint a img", "docker run --entrypoint b img", false),
            ("sh -c a", "sh -c b", false),
            ("python -c a", "python -c b", false),
            ("ssh a mcp", "ssh b mcp", false),
            ("npm run a", "npm run b", false),
            ("/a/notes", "/b/notes", false),
            ("line 1:a", "line 1:a 1:b", true),
            ("ssh a b", "ssh a\u{a0}b", false),
        ] {
            let (one, other) = (server(one), server(other));
            assert_eq!(one.identity == other.identity, same, "{one:?} {other:?}");
            assert_eq!(one.in_full() == other.in_full(), same, "{one:?} {other:?}");
        }
        let words = ["python".to_owned(), "server.py".to_owned()];
        let [here, there] = ["/home/me/a", "/home/me/b"].map(|place| Server::of(&words, Path::new(place)));
        assert_eq!((here.plain.as_str(), there.plain.as_str()), ("a", "b"));
        assert_ne!(here.identity, there.identity);
    }

    #[test]
    fn every_name_is_one() {
        for command in [
            "",
            "-",
            "/",
            "npx",
            "npx -y",
            "npx -p",
            "uvx --from",
            "uv",
            "uv run",
            "docker run -i",
            "env env env env env a",
            "python -m",
            "node",
            "npm",
            "../..",
            &format!("npx {}", "x-".repeat(100)),
        ] {
            let server = server(command);
            assert!(server.plain.parse::<Name>().is_ok(), "{command}: {}", server.plain);
            assert!(
                server.in_full().parse::<Name>().is_ok(),
                "{command}: {}",
                server.in_full()
            );
        }
        assert_eq!(Server::of(&[], Path::new("/")).plain, "server");
    }

    #[test]
    fn the_first_has_the_plain_name_and_each_keeps_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let wraps = directory.path().join("wrap");
        let [one, other, third] = ["/x/a/dist/index.js", "/y/a/dist/index.js", "/z/a/dist/index.js"]
            .map(|path| server(&format!("node {path}")));
        let name = |server: &Server, takes| server.name(&wraps, takes).unwrap().as_str().to_owned();
        // Who only asks takes nothing.
        assert_eq!(name(&other, false), "a");
        assert!(!wraps.exists());
        for _ in 0..2 {
            assert_eq!(name(&one, true), "a");
            assert_eq!(name(&other, true), other.in_full());
        }
        assert_eq!(name(&one, false), "a");
        assert_eq!(name(&other, false), other.in_full());
        assert_eq!(name(&third, false), third.in_full());
        // The plain name is free again, and who has another keeps it.
        std::fs::remove_dir_all(wraps.join("a")).unwrap();
        assert_eq!(name(&other, true), other.in_full());
        assert_eq!(name(&third, true), "a");
        assert_eq!(name(&one, true), one.in_full());
        // A chosen name is the first's, too, and may be shared on purpose.
        let chosen: Name = "a-b".parse().unwrap();
        one.take_chosen(&wraps, &chosen).unwrap();
        other.take_chosen(&wraps, &chosen).unwrap();
        assert_eq!(owner(&wraps.join("a-b")), Some(one.mark()));
        // Both names are others': it must be said.
        let fourth = server("node /w/a/dist/index.js");
        third.take_chosen(&wraps, &fourth.in_full().parse().unwrap()).unwrap();
        let failure = fourth.name(&wraps, true).unwrap_err().to_string();
        assert!(failure.contains("hint: choose one with `--name NAME`"), "{failure}");
    }
}
