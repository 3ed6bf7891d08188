//! What tells the server that a command runs from others, and a word for it: the package, module, image or path that a runner
//! is given, whatever its version, and never its other arguments, which change while the server stays. By the words alone: no
//! file is looked at.

use std::path::{Component, Path, PathBuf};

/// How deep a command may stand in another (`env`, `uv run python`).
const DEPTH_MAX: usize = 4;

/// Words that tell no server from another: of many, they name the place of the program within its package.
const GENERIC: &str = "\
    app bin build cjs cli code debug dist esm home index js lib local main mcp mcp-server mjs \
    mod node_modules opt out package packages release run sbin scripts server src start stdio target usr \
    venv";

/// Options of `uvx` and `pipx run` that have a value.
const UVX_VALUED: &str = "\
    --from --with --with-editable --with-requirements -p --python -i --index-url --index --default-index \
    --extra-index-url -f --find-links -c --constraints --spec --env-file --directory --project \
    --cache-dir --config-file";

/// Options of `uv` and `uv run` that have a value.
const UV_VALUED: &str = "\
    --directory --project --with --with-editable --with-requirements -p --python --extra --group \
    --package --env-file --index-url --index --default-index --extra-index-url --cache-dir --config-file \
    -m --module";

/// Options of `docker run` that have a value.
const DOCKER_VALUED: &str = "\
    -e --env --env-file -v --volume --mount --name --network --net -p --publish -w --workdir -u --user \
    --entrypoint --add-host -l --label --platform --pull -m --memory --cpus --gpus -h --hostname \
    --device --ipc --log-driver --log-opt --restart --ulimit --shm-size --tmpfs --cap-add --cap-drop \
    --security-opt --dns --userns --pid --runtime --pids-limit --stop-timeout --volumes-from --group-add \
    --link --expose --cidfile";

/// A server as its command tells it.
#[derive(Debug)]
pub(super) struct Told {
    /// A word for it.
    pub(super) name: String,
    /// What makes it another server than others. It may hold what is secret in a command.
    pub(super) identity: String,
}

impl Told {
    fn new(name: &str, identity: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            identity: identity.into(),
        }
    }
}

/// The server that `words` run in `directory`.
pub(super) fn tell(words: &[&str], directory: &Path) -> Told {
    let mut server = told(words, directory, 0);
    // A bridge is given the server's address, and what a server is in front of is a part of it.
    for address in words.iter().filter_map(|word| address(word)) {
        server.identity.push_str(" at ");
        server.identity.push_str(&address);
    }
    server
}

/// The address in an argument, without what changes or is secret: user, password, query.
fn address(word: &str) -> Option<String> {
    if word.starts_with("git+") {
        return None;
    }
    let (_, rest) = word.split_once("://")?;
    let whole = rest.split(['?', '#', '"', '\'', ' ', ',']).next().unwrap_or(rest);
    let (authority, path) = whole.split_once('/').unwrap_or((whole, ""));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    Some(format!("{host}/{}", path.trim_end_matches('/')))
}

/// `words` in `directory`, at most so deep within other commands.
fn told(words: &[&str], directory: &Path, depth: usize) -> Told {
    let Some((program, rest)) = words.split_first().filter(|_| depth < DEPTH_MAX) else {
        return Told::new("server", line(words));
    };
    let runner = program.rsplit('/').next().unwrap_or(program);
    match (runner, rest.first().copied()) {
        ("env", _) => {
            let (_, rest) = options(rest, "-u --unset -C --chdir");
            let command: Vec<&str> = rest.iter().copied().skip_while(|word| word.contains('=')).collect();
            told(&command, directory, depth + 1)
        }
        ("npx" | "bunx" | "pnpx", _) => npm(rest, directory, depth),
        ("npm", Some("exec" | "x")) | ("pnpm" | "yarn", Some("dlx")) | ("bun", Some("x")) => {
            npm(tail(rest), directory, depth)
        }
        ("uvx", _) => pypi(rest, directory, depth),
        ("pipx", Some("run")) => pypi(tail(rest), directory, depth),
        ("uv", _) => uv(rest, directory, depth),
        ("docker" | "podman" | "nerdctl", Some("run")) => image(runner, tail(rest)),
        ("npm" | "pnpm" | "yarn" | "cargo" | "go" | "make" | "just" | "poetry" | "hatch" | "pdm" | "pixi", _) => {
            project(words, directory)
        }
        _ if runs_words(words) => script(words, directory, depth),
        // What they run is somewhere in their arguments, or on another machine.
        (
            "docker" | "podman" | "nerdctl" | "ssh" | "kubectl" | "sudo" | "nice" | "nohup" | "timeout" | "nix"
            | "mise" | "conda" | "wsl" | "cmd" | "op" | "doppler" | "flatpak" | "snap",
            _,
        ) => Told::new(runner, line(words)),
        _ if program.contains('/') => at_path(&directory.join(program)),
        _ => Told::new(program, format!("program {program}")),
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
    is_shell(bare)
        || "node nodejs deno bun tsx ts-node python pypy ruby perl php java dotnet"
            .split(' ')
            .any(|known| known == bare)
}

fn is_shell(runner: &str) -> bool {
    matches!(runner, "sh" | "bash" | "dash" | "zsh" | "fish")
}

/// Whether the server is in the words after the first: a script of an interpreter, or of the protocol's own runner.
fn runs_words(words: &[&str]) -> bool {
    let Some((program, rest)) = words.split_first() else {
        return false;
    };
    let runner = program.rsplit('/').next().unwrap_or(program);
    is_interpreter(runner) || matches!((runner, rest.first()), ("mcp" | "fastmcp", Some(&("run" | "dev"))))
}

/// The options of `words` that stand before its first other word, each with its value if it is one of `valued`; then that
/// word and what follows.
fn options<'a, 'w>(words: &'a [&'w str], valued: &str) -> (Vec<(&'w str, Option<&'w str>)>, &'a [&'w str]) {
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
        match (word.split_once('='), valued.split(' ').any(|name| name == *word)) {
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
fn npm(words: &[&str], directory: &Path, depth: usize) -> Told {
    let (options, rest) = options(words, "-p --package -c --call --registry -w --workspace");
    let packages = values(&options, &["-p", "--package"]);
    let Some(word) = rest.first().or(packages.first()) else {
        return Told::new("npx", line(words));
    };
    let package = npm_package(word);
    if !values(&options, &["-c", "--call"]).is_empty() {
        return Told::new(&npm_name(package), line(words));
    }
    if is_interpreter(package) {
        let words: Vec<&str> = [package].into_iter().chain(tail(rest).iter().copied()).collect();
        return told(&words, directory, depth + 1);
    }
    if package.starts_with(['.', '/']) {
        return at_path(&directory.join(package));
    }
    // The servers of a catalog are run by one package, which is told which.
    let of_catalog = match package {
        "@smithery/cli" => tail(rest)
            .iter()
            .copied()
            .take_while(|word| !word.starts_with('-'))
            .collect(),
        _ => Vec::new(),
    };
    let name = match of_catalog.last() {
        Some(server) => npm_name(server),
        None => npm_name(package),
    };
    let from = packages.iter().map(|package| npm_package(package));
    let identity: Vec<&str> = ["npm", package].into_iter().chain(from).chain(of_catalog).collect();
    Told::new(&name, identity.join(" "))
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
fn pypi(words: &[&str], directory: &Path, depth: usize) -> Told {
    let (options, rest) = options(words, UVX_VALUED);
    let Some(word) = rest.first() else {
        return Told::new("uvx", line(words));
    };
    let package = pypi_package(word);
    let run: Vec<&str> = [package].into_iter().chain(tail(rest).iter().copied()).collect();
    if runs_words(&run) {
        return told(&run, directory, depth + 1);
    }
    let from = values(&options, &["--from", "--spec"]).into_iter().map(pypi_package);
    let identity: Vec<&str> = ["pypi", package].into_iter().chain(from).collect();
    Told::new(source_name(package), identity.join(" "))
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
fn uv(words: &[&str], directory: &Path, depth: usize) -> Told {
    let (before, rest) = options(words, UV_VALUED);
    match rest {
        ["tool", "run", rest @ ..] => pypi(rest, directory, depth),
        ["run", rest @ ..] => {
            let (after, rest) = options(rest, UV_VALUED);
            let all: Vec<_> = before.into_iter().chain(after).collect();
            let project = values(&all, &["--directory", "--project"])
                .into_iter()
                .fold(directory.to_owned(), |at, next| at.join(next));
            let module = values(&all, &["-m", "--module"]).into_iter().next();
            match (module, rest.first()) {
                (Some(module), _) => Told::new(
                    &module_name(module),
                    format!("module {module} in {}", normal(&project).display()),
                ),
                (None, Some(_)) if runs_words(rest) => {
                    let mut server = told(rest, &project, depth + 1);
                    // Its packages are the project's.
                    if server.identity.starts_with("module ") {
                        server.identity.push_str(&format!(" in {}", normal(&project).display()));
                    }
                    server
                }
                (None, Some(word)) if word.ends_with(".py") || word.contains('/') => at_path(&project.join(word)),
                (None, Some(word)) => {
                    let place = project.join(word);
                    match is_generic(word) {
                        true => at_path(&place),
                        false => Told::new(word, format!("program {word} in {}", normal(&project).display())),
                    }
                }
                (None, None) => Told::new("uv", line(words)),
            }
        }
        _ => Told::new("uv", line(words)),
    }
}

/// An image, without registry, tag and digest in its name, and without tag and digest in what tells it.
fn image(runner: &str, words: &[&str]) -> Told {
    let (options, rest) = options(words, DOCKER_VALUED);
    let Some(image) = rest.first() else {
        return Told::new(runner, line(words));
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
        true => Told::new(last, line(words)),
        false => Told::new(&placed(&Path::new("/").join(image)), format!("image {image}")),
    }
}

/// What a tool of projects runs is told by where it is called and how.
fn project(words: &[&str], directory: &Path) -> Told {
    let names: Vec<&str> = "--prefix -C --dir --cwd --directory --manifest-path --project"
        .split(' ')
        .collect();
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
    Told::new(&placed(&place), format!("{} in {}", line(words), place.display()))
}

/// What an interpreter runs: a module, an archive, a package by its specifier, or a script.
fn script(words: &[&str], directory: &Path, depth: usize) -> Told {
    let (program, rest) = words
        .split_first()
        .map_or(("", words), |(program, rest)| (*program, rest));
    let runner = program.rsplit('/').next().unwrap_or(program);
    let valued = match runner {
        _ if runner.starts_with("python") || runner.starts_with("pypy") => "-m -X -W -c",
        "node" | "nodejs" | "tsx" | "ts-node" => {
            "-r --require --import --loader --experimental-loader -C --conditions -e --eval -p --print"
        }
        "java" => "-jar -cp -classpath --class-path -p --module-path -m --module",
        "deno" => "--config -c --import-map --lock --env-file",
        "mcp" | "fastmcp" => "--with --with-editable -f -e -v -t --transport --host --port --server-spec",
        _ => "-c -e -r -I -o -O",
    };
    let (options, rest) = options(rest, valued);
    let rest = match rest {
        ["run" | "dev" | "watch" | "exec", after @ ..] => self::options(after, valued).1,
        rest => rest,
    };
    if let Some(archive) = values(&options, &["-jar"]).first() {
        return at_path(&directory.join(archive));
    }
    let module = values(&options, &["-m", "--module"]);
    if let Some(module) = module.first() {
        return Told::new(&module_name(module), module_identity(module, program, directory));
    }
    let is_text = options.iter().any(|(name, _)| match runner {
        "deno" | "mcp" | "fastmcp" => false,
        // Also `-lc` and the like.
        _ if is_shell(runner) => name.ends_with('c') && !name.starts_with("--"),
        _ => matches!(*name, "-c" | "-e" | "--eval" | "-p" | "--print"),
    });
    match rest.first() {
        Some(word) if !is_text => match word.split_once(':') {
            Some(("npm" | "jsr", package)) => npm(&[package], directory, depth),
            Some((_, address)) if address.starts_with("//") => {
                Told::new(&placed(Path::new(address)), format!("url {word}"))
            }
            // An object in a script is no other script.
            Some((script, _)) if script.ends_with(".py") => at_path(&directory.join(script)),
            _ => at_path(&directory.join(word)),
        },
        _ => Told::new(runner, line(words)),
    }
}

/// A module is its own wherever it is called, but for one whose name many have (`server`, `src.main`), and one of an interpreter
/// with packages of its own.
fn module_identity(module: &str, program: &str, directory: &Path) -> String {
    let is_systems = |program: &str| {
        ["/usr/", "/bin/", "/opt/homebrew/"]
            .iter()
            .any(|at| program.starts_with(at))
    };
    if program.contains('/') && !is_systems(program) {
        return format!("module {module} of {}", normal(&directory.join(program)).display());
    }
    match module.split('.').all(is_generic) {
        true => format!("module {module} in {}", normal(directory).display()),
        false => format!("module {module}"),
    }
}

/// `mcp_server_git.server` is told by its first part that is not generic.
fn module_name(module: &str) -> String {
    let mut parts = module.split('.');
    parts.rfind(|part| !is_generic(part)).unwrap_or(module).to_owned()
}

fn at_path(path: &Path) -> Told {
    let path = normal(path);
    Told::new(&placed(&path), format!("path {}", path.display()))
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
    let word = word.trim_matches('-');
    GENERIC.split(' ').any(|generic| generic == word)
}

#[cfg(test)]
mod tests {
    use super::super::Server;
    use super::super::tests::server;
    use super::*;
    use crate::config::name::Name;

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
            ("npx -y tsx src/index.ts", "weather"),
            ("npx tsx /srv/notes/src/index.ts", "notes"),
            ("npx /srv/notes/", "notes"),
            ("npx -y @smithery/cli@latest run @acme/notes --key K", "notes"),
            ("uv run --with mcp[cli] mcp run /srv/tides/server.py", "tides"),
            ("uv run --with fastmcp fastmcp run tides.py:app", "tides-py"),
            ("uvx fastmcp run /srv/tides/server.py --transport stdio", "tides"),
            ("fastmcp run /srv/tides/server.py:mcp", "tides"),
            ("bash -lc x", "bash"),
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
            (
                "npx mcp-remote https://a.example/mcp",
                "npx mcp-remote@2 https://me:x@a.example/mcp?key=y",
                true,
            ),
            (
                "npx mcp-remote https://a.example/mcp",
                "npx mcp-remote https://b.example/mcp",
                false,
            ),
            (
                "npx mcp-remote https://a.example/a",
                "npx mcp-remote https://a.example/b",
                false,
            ),
            (
                "npx server-pg postgresql://u:p@h/a",
                "npx server-pg postgresql://u:q@h/a",
                true,
            ),
            (
                "npx supergateway --sse=https://a/x",
                "npx supergateway --sse=https://b/x",
                false,
            ),
            (
                "npx @smithery/cli run a --key k",
                "npx @smithery/cli@2 run a --key l",
                true,
            ),
            ("npx @smithery/cli run a", "npx @smithery/cli run b", false),
            ("npx tsx /a/index.ts", "npx tsx /b/index.ts", false),
            ("uvx fastmcp run /a/server.py", "uvx fastmcp run /b/server.py", false),
            ("mcp run /a/server.py", "uv run mcp run /a/server.py:mcp", true),
            ("bash -lc a", "bash -lc b", false),
            ("npx @a/notes", "npx @b/notes", false),
            (
                "python -m mcp_server_git",
                "/usr/bin/python3.12 -m mcp_server_git -r /x",
                true,
            ),
            ("/a/.venv/bin/python -m server", "/b/.venv/bin/python -m server", false),
            ("/a/.venv/bin/python -m tides", "/b/.venv/bin/python -m tides", false),
            (
                "uv --directory /a run python -m tides",
                "uv --directory /b run python -m tides",
                false,
            ),
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
        let from = |command: &str| {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            ["/home/me/a", "/home/me/b"].map(|place| Server::of(&words, Path::new(place)))
        };
        let [here, there] = from("python server.py");
        assert_eq!((here.plain.as_str(), there.plain.as_str()), ("a", "b"));
        assert_ne!(here.identity, there.identity);
        let [here, there] = from("python -m src.server");
        assert_ne!(here.identity, there.identity);
        let [here, there] = from("python -m mcp_server_git");
        assert_eq!(here.identity, there.identity);
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
}
